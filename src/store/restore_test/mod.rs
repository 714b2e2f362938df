//! Restore tests: waiting, running and done.
mod claim;

pub use claim::{claim, extend, finish, release};

use crate::store::schema::{device_proof, restore_tests};
use crate::store::{Conn, wanted};
use crate::wake::Wanted;
use claim::LONGEST_CLAIM;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::id::{DeviceId, RestorePointId, RestoreTestId, UserId};
use domain::proof::{Level, TestCause, TestResult, TestState};
use domain::restore_test::Failures;
use domain::time::Time;
use std::collections::HashSet;
use std::time::Duration;

/// One restore test.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = restore_tests, treat_none_as_default_value = false)]
pub struct RestoreTest {
    pub id: RestoreTestId,
    pub restore_point_id: RestorePointId,
    pub device_id: DeviceId,
    pub cause: TestCause,
    pub asked_by: Option<UserId>,
    pub state: TestState,
    pub result: Option<TestResult>,
    /// The level the test showed; `reported` until it has ended.
    pub level: Level,
    pub queued_at: Time,
    /// Until when its runner has it, or, while it is queued, until when it waits; after that anyone may take it.
    pub claimed_until: Option<Time>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub file_count: i64,
    pub matched_count: i64,
    pub excluded_count: i64,
    pub excluded_bytes: i64,
    pub byte_count: i64,
    pub stored_bytes_read: i64,
    /// The proven point this one was compared with, and what it holds beyond that.
    pub base_point_id: Option<RestorePointId>,
    pub beyond_files: Option<i64>,
    pub beyond_bytes: Option<i64>,
    /// [`Failures`] as JSON; see [`RestoreTest::failures`].
    pub failures: String,
    pub summary: String,
    /// Which process ran it.
    pub runner: String,
}

impl RestoreTest {
    /// A waiting test.
    pub fn queued(
        point: RestorePointId,
        device: DeviceId,
        cause: TestCause,
        asked_by: Option<UserId>,
        now: Time,
    ) -> Self {
        Self {
            id: RestoreTestId::generate(now),
            restore_point_id: point,
            device_id: device,
            cause,
            asked_by,
            state: TestState::Queued,
            result: None,
            level: Level::Reported,
            queued_at: now,
            claimed_until: None,
            started_at: None,
            finished_at: None,
            file_count: 0,
            matched_count: 0,
            excluded_count: 0,
            excluded_bytes: 0,
            byte_count: 0,
            stored_bytes_read: 0,
            base_point_id: None,
            beyond_files: None,
            beyond_bytes: None,
            failures: "{}".to_owned(),
            summary: String::new(),
            runner: String::new(),
        }
    }

    /// What failed, by name.
    pub fn failures(&self) -> QueryResult<Failures> {
        super::column::from_json(&self.failures)
    }

    /// How long it took, once it has ended.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.finished_at?.since(self.started_at?))
    }
}

/// A test by its id.
pub fn find(conn: &mut Conn, id: RestoreTestId) -> QueryResult<Option<RestoreTest>> {
    restore_tests::table.find(id).select(RestoreTest::as_select()).first(conn).optional()
}

/// The newest tests of a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<RestoreTest>> {
    restore_tests::table
        .filter(restore_tests::device_id.eq(device))
        .order((restore_tests::queued_at.desc(), restore_tests::id.desc()))
        .limit(limit)
        .select(RestoreTest::as_select())
        .load(conn)
}

/// The newest finished test of a restore point.
pub fn newest_of_point(conn: &mut Conn, point: RestorePointId) -> QueryResult<Option<RestoreTest>> {
    of_point(point, TestState::Finished).select(RestoreTest::as_select()).first(conn).optional()
}

/// The newest finished test of a restore point that ended with `result`.
pub fn newest_with_result(
    conn: &mut Conn,
    point: RestorePointId,
    results: &[TestResult],
) -> QueryResult<Option<RestoreTest>> {
    of_point(point, TestState::Finished)
        .filter(restore_tests::result.eq_any(results.to_vec()))
        .select(RestoreTest::as_select())
        .first(conn)
        .optional()
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of_point(point: RestorePointId, state: TestState) -> _ {
    restore_tests::table
        .filter(restore_tests::restore_point_id.eq(point))
        .filter(restore_tests::state.eq(state))
        .order((restore_tests::finished_at.desc(), restore_tests::id.desc()))
}

/// Whether a test of the point ended after `from` and not after `to`.
pub fn has_ended(conn: &mut Conn, point: RestorePointId, from: Time, to: Time) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        restore_tests::table
            .filter(restore_tests::restore_point_id.eq(point))
            .filter(restore_tests::finished_at.gt(from).and(restore_tests::finished_at.le(to))),
    ))
    .get_result(conn)
}

/// The waiting test of the point.
pub fn find_queued(conn: &mut Conn, point: RestorePointId) -> QueryResult<Option<RestoreTestId>> {
    restore_tests::table
        .filter(restore_tests::restore_point_id.eq(point))
        .filter(restore_tests::state.eq(TestState::Queued))
        .select(restore_tests::id)
        .first(conn)
        .optional()
}

/// All waiting or running tests.
pub fn open(conn: &mut Conn) -> QueryResult<HashSet<RestoreTestId>> {
    let open = restore_tests::table.filter(restore_tests::state.eq_any([TestState::Queued, TestState::Running]));
    Ok(open.select(restore_tests::id).load::<RestoreTestId>(conn)?.into_iter().collect())
}

/// Whether any test of the device is waiting or running.
pub fn is_open(conn: &mut Conn, device: DeviceId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        restore_tests::table
            .filter(restore_tests::device_id.eq(device))
            .filter(restore_tests::state.eq_any([TestState::Queued, TestState::Running])),
    ))
    .get_result(conn)
}

/// Tests that showed something and ended after `after`, oldest first.
pub fn ended_after(conn: &mut Conn, after: Time, limit: i64) -> QueryResult<Vec<RestoreTest>> {
    restore_tests::table
        .filter(restore_tests::state.eq(TestState::Finished))
        .filter(restore_tests::finished_at.gt(after))
        .filter(restore_tests::result.ne(TestResult::Unproven))
        .order((restore_tests::finished_at, restore_tests::id))
        .limit(limit)
        .select(RestoreTest::as_select())
        .load(conn)
}

/// Whether a test of the device is running.
pub fn is_running(conn: &mut Conn, device: DeviceId) -> QueryResult<bool> {
    let running = restore_tests::device_id.eq(device).and(restore_tests::state.eq(TestState::Running));
    diesel::select(diesel::dsl::exists(restore_tests::table.filter(running))).get_result(conn)
}

/// Removes the waiting tests of points that have ended.
pub fn remove_queued(conn: &mut Conn, points: &[RestorePointId]) -> QueryResult<()> {
    for some in points.chunks(500) {
        diesel::delete(restore_tests::table.filter(restore_tests::restore_point_id.eq_any(some.to_vec())))
            .filter(restore_tests::state.eq(TestState::Queued))
            .execute(conn)?;
    }
    Ok(())
}

/// Adds a test; the restore tests are woken after the commit.
pub fn insert(conn: &mut Conn, test: &RestoreTest) -> QueryResult<()> {
    diesel::insert_into(restore_tests::table).values(test).execute(conn)?;
    wanted::note(Wanted::Proof);
    Ok(())
}

/// The test that is next.
///
/// What a person asked for and what damage put in doubt comes first, then the device whose turn was longest
/// ago, then the oldest. A test whose runner has gone silent is taken again.
pub fn next(conn: &mut Conn, device: Option<DeviceId>, now: Time) -> QueryResult<Option<RestoreTest>> {
    for cause in [
        &[TestCause::Asked, TestCause::Damage][..],
        &[TestCause::NewBackup, TestCause::ProofExpiring, TestCause::Damage],
    ] {
        let mut query = restore_tests::table
            .filter(restore_tests::state.eq_any([TestState::Queued, TestState::Running]))
            .filter(
                restore_tests::claimed_until
                    .is_null()
                    .or(restore_tests::claimed_until.le(now))
                    .or(restore_tests::claimed_until.gt(now + LONGEST_CLAIM)),
            )
            .filter(restore_tests::cause.eq_any(cause.to_vec()))
            .into_boxed();
        if let Some(device) = device {
            query = query.filter(restore_tests::device_id.eq(device));
        }
        let next = query
            .order((sql::<BigInt>(LAST_TURN), restore_tests::queued_at, restore_tests::id))
            .select(RestoreTest::as_select())
            .first(conn)
            .optional()?;
        if next.is_some() {
            return Ok(next);
        }
    }
    Ok(None)
}

/// When a test of the same device last began.
const LAST_TURN: &str = "coalesce((SELECT max(turn.started_at) FROM restore_tests AS turn \
     WHERE turn.device_id = restore_tests.device_id), 0)";

/// Removes all but the newest `keep` of a device's tests waiting because of a new backup.
pub fn thin_out(conn: &mut Conn, device: DeviceId, keep: i64) -> QueryResult<usize> {
    let surplus = restore_tests::table
        .filter(restore_tests::device_id.eq(device))
        .filter(restore_tests::state.eq(TestState::Queued))
        .filter(restore_tests::cause.eq(TestCause::NewBackup))
        .order((restore_tests::queued_at.desc(), restore_tests::id.desc()))
        // SQLite takes an offset only with a limit.
        .limit(i64::from(u16::MAX))
        .offset(keep)
        .select(restore_tests::id)
        .load::<RestoreTestId>(conn)?;
    diesel::delete(restore_tests::table.filter(restore_tests::id.eq_any(surplus))).execute(conn)
}

/// Lets a waiting test run at once.
pub fn hurry(conn: &mut Conn, id: RestoreTestId) -> QueryResult<()> {
    diesel::update(restore_tests::table.find(id))
        .filter(restore_tests::state.eq(TestState::Queued))
        .set(restore_tests::claimed_until.eq(None::<Time>))
        .execute(conn)?;
    wanted::note(Wanted::Proof);
    Ok(())
}

/// Points that are the newest of their device and whose newest test could not be run and ended before `cut`.
pub fn ended_unproven(conn: &mut Conn, cut: Time, limit: i64) -> QueryResult<Vec<RestorePointId>> {
    let later = diesel::alias!(restore_tests as later);
    restore_tests::table
        .inner_join(
            device_proof::table.on(device_proof::newest_point_id.eq(restore_tests::restore_point_id.nullable())),
        )
        .filter(restore_tests::result.eq(TestResult::Unproven))
        .filter(restore_tests::finished_at.le(cut))
        .filter(diesel::dsl::not(diesel::dsl::exists(
            later
                .filter(later.field(restore_tests::restore_point_id).eq(restore_tests::restore_point_id))
                .filter(later.field(restore_tests::queued_at).gt(restore_tests::queued_at)),
        )))
        .limit(limit)
        .select(restore_tests::restore_point_id)
        .load(conn)
}
