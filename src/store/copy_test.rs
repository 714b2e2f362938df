//! Restore tests of the second store alone, opened with recovery shares.
use crate::store::Conn;
use crate::store::schema::{copies, copy_tests, device_proof, devices, recovery_keys, repositories, restore_points};
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::copy_proof::CopyTest as Shown;
use domain::device::DeviceState;
use domain::id::{CopyTestId, DeviceId, PruneId, RecoveryKeyId, RepositoryId, RestorePointId};
use domain::key_holder::KeyHolder;
use domain::object::Location;
use domain::proof::{Level, TestResult};
use domain::restore_test::Failures;
use domain::role::Reach;
use domain::time::Time;

/// One such test.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = copy_tests, treat_none_as_default_value = false)]
pub struct CopyTest {
    pub id: CopyTestId,
    pub device_id: DeviceId,
    pub repository_id: RepositoryId,
    pub restore_point_id: RestorePointId,
    /// When the restore point was received.
    pub point_at: Time,
    /// The id in the marker of the store that was read.
    pub store_id: String,
    /// The key that the shares gave.
    pub recovery_key_id: RecoveryKeyId,
    /// Which process ran it.
    pub runner: String,
    pub started_at: Time,
    pub finished_at: Time,
    pub result: TestResult,
    pub level: Level,
    pub file_count: i64,
    pub matched_count: i64,
    pub excluded_count: i64,
    pub byte_count: i64,
    /// As JSON; see [`CopyTest::failures`].
    pub failures: String,
    pub summary: String,
    /// Until when it counts, fixed when it ended; none if it showed nothing.
    pub valid_until: Option<Time>,
    /// Since when something that it read is known to be damaged in the second store.
    pub withdrawn_at: Option<Time>,
    /// Since when a later one counts instead.
    pub superseded_at: Option<Time>,
}

impl CopyTest {
    /// What failed, by name.
    pub fn failures(&self) -> QueryResult<Failures> {
        super::column::from_json(&self.failures)
    }

    /// How long it took.
    pub fn duration(&self) -> std::time::Duration {
        self.finished_at.since(self.started_at)
    }
}

/// The test of a device that counts, and what it is worth depends on.
#[derive(Debug, Clone, Queryable)]
pub struct Standing {
    pub device: DeviceId,
    pub test: Option<CopyTest>,
    /// The name of its recovery key, and since when that is retired.
    pub key: Option<(String, Option<Time>)>,
    /// The prune in whose trash the restore point is that was tested.
    pub trashed_by: Option<PruneId>,
    /// The device's newest restore point.
    pub newest_point: Option<RestorePointId>,
    /// When its newest complete backup was received; none if it has none.
    pub stored_at: Option<Time>,
    /// Whether the customer keeps the key to any of its backups.
    pub is_of_customer: bool,
}

impl Standing {
    /// Who can open its backups.
    pub const fn key_holder(&self) -> KeyHolder {
        if self.is_of_customer { KeyHolder::Customer } else { KeyHolder::Server }
    }

    /// What the test shows.
    pub fn shown(&self) -> Option<Shown> {
        let (test, (key, key_retired_at)) = self.test.as_ref().zip(self.key.clone())?;
        Some(Shown {
            point_at: test.point_at,
            tested_at: test.finished_at,
            until: test.valid_until,
            result: test.result,
            level: test.level,
            matched: test.matched_count,
            files: test.file_count,
            withdrawn_at: test.withdrawn_at,
            store: test.store_id.clone(),
            key,
            key_retired_at,
            is_ended: self.trashed_by.is_some(),
            is_newest: self.newest_point == Some(test.restore_point_id),
        })
    }
}

/// Which devices are asked about.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Every enrolled one within reach.
    Within(&'a Reach),
    /// These, in whatever state they are.
    Ids(&'a [DeviceId]),
}

/// How these devices stand.
pub fn standings(conn: &mut Conn, which: Which<'_>) -> QueryResult<Vec<Standing>> {
    let of_customer = repositories::table
        .filter(repositories::device_id.eq(devices::id).and(repositories::key_holder.eq(KeyHolder::Customer)));
    let that_counts = copy_tests::device_id.eq(devices::id).and(copy_tests::superseded_at.is_null());
    let mut query = devices::table
        .left_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
        .left_join(copy_tests::table.on(that_counts))
        .left_join(restore_points::table.on(restore_points::id.nullable().eq(copy_tests::restore_point_id.nullable())))
        .left_join(recovery_keys::table.on(recovery_keys::id.nullable().eq(copy_tests::recovery_key_id.nullable())))
        .into_boxed();
    query = match which {
        Which::Ids(ids) => query.filter(devices::id.eq_any(ids.to_vec())),
        Which::Within(reach) => {
            query = query.filter(devices::state.eq(DeviceState::Enrolled));
            match reach {
                Reach::All => query,
                Reach::Teams(teams) => query.filter(devices::team_id.eq_any(teams.clone())),
            }
        }
    };
    query
        .select((
            devices::id,
            Option::<CopyTest>::as_select(),
            (recovery_keys::name, recovery_keys::retired_at).nullable(),
            restore_points::trashed_by.nullable(),
            device_proof::newest_point_id.nullable(),
            device_proof::stored_at.nullable(),
            exists(of_customer),
        ))
        .load(conn)
}

/// The newest tests of a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<CopyTest>> {
    copy_tests::table
        .filter(copy_tests::device_id.eq(device))
        .order((copy_tests::finished_at.desc(), copy_tests::id.desc()))
        .limit(limit)
        .select(CopyTest::as_select())
        .load(conn)
}

/// When the last test of each device ended, whatever it found.
pub fn last_tries(conn: &mut Conn) -> QueryResult<Vec<(DeviceId, Time)>> {
    copy_tests::table
        .group_by(copy_tests::device_id)
        .select((copy_tests::device_id, diesel::dsl::max(copy_tests::finished_at).assume_not_null()))
        .load(conn)
}

/// Adds a test. If it showed something, it counts from now on instead of the one before.
pub fn insert(conn: &mut Conn, test: &CopyTest) -> QueryResult<()> {
    if test.superseded_at.is_none() {
        diesel::update(copy_tests::table)
            .filter(copy_tests::device_id.eq(test.device_id).and(copy_tests::superseded_at.is_null()))
            .set(copy_tests::superseded_at.eq(test.finished_at))
            .execute(conn)?;
    }
    diesel::insert_into(copy_tests::table).values(test).execute(conn).map(drop)
}

/// Withdraws what was shown of a repository; returns how many tests that took.
pub fn withdraw(conn: &mut Conn, repository: RepositoryId, now: Time) -> QueryResult<usize> {
    diesel::update(copy_tests::table)
        .filter(copy_tests::repository_id.eq(repository).and(copy_tests::superseded_at.is_null()))
        .filter(copy_tests::withdrawn_at.is_null())
        .set(copy_tests::withdrawn_at.eq(now))
        .execute(conn)
}

/// Whether something of a repository is damaged in the second store.
pub fn is_damaged(conn: &mut Conn, repository: RepositoryId) -> QueryResult<bool> {
    let damaged = copies::table
        .filter(copies::repository_id.eq(repository).and(copies::location.eq(Location::Copy)))
        .filter(copies::damaged_at.is_not_null());
    diesel::select(exists(damaged)).get_result(conn)
}
