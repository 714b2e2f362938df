//! A runner takes a test, and has it while its claim holds.
use crate::store::Conn;
use crate::store::column::to_json;
use crate::store::schema::restore_tests;
use diesel::prelude::*;
use domain::id::{RestorePointId, RestoreTestId};
use domain::proof::TestState;
use domain::restore_test::TestReport;
use domain::time::{Time, minutes};
use std::time::Duration;

/// No claim is longer; one that lasts longer was made by a clock that was ahead.
pub(super) const LONGEST_CLAIM: Duration = minutes(30);

/// Takes a test for `runner`; false if another was faster.
pub fn claim(conn: &mut Conn, id: RestoreTestId, runner: &str, until: Time, now: Time) -> QueryResult<bool> {
    // As in `next`, once more: another may have taken it since.
    let open = restore_tests::table
        .find(id)
        .filter(restore_tests::state.eq_any([TestState::Queued, TestState::Running]))
        .filter(
            restore_tests::claimed_until
                .is_null()
                .or(restore_tests::claimed_until.le(now))
                .or(restore_tests::claimed_until.gt(now + LONGEST_CLAIM)),
        );
    diesel::update(open)
        .set((
            restore_tests::state.eq(TestState::Running),
            restore_tests::claimed_until.eq(until),
            restore_tests::started_at.eq(now),
            restore_tests::runner.eq(runner),
        ))
        .execute(conn)
        .map(|rows| rows == 1)
}

/// Keeps a claim alive; false if the test is no longer the runner's.
pub fn extend(conn: &mut Conn, id: RestoreTestId, runner: &str, until: Time) -> QueryResult<bool> {
    diesel::update(taken(id, runner, TestState::Running))
        .set(restore_tests::claimed_until.eq(until))
        .execute(conn)
        .map(|rows| rows == 1)
}

/// Gives back what `runner` had when it was stopped early.
pub fn release(conn: &mut Conn, id: RestoreTestId, runner: &str) -> QueryResult<bool> {
    diesel::update(taken(id, runner, TestState::Running))
        .set((restore_tests::state.eq(TestState::Queued), restore_tests::claimed_until.eq(None::<Time>)))
        .execute(conn)
        .map(|rows| rows == 1)
}

/// Records how a test ended; false if it is no longer the runner's.
pub fn finish(
    conn: &mut Conn,
    id: RestoreTestId,
    runner: &str,
    report: &TestReport,
    base: Option<RestorePointId>,
    now: Time,
) -> QueryResult<bool> {
    let failures = to_json(&report.failures)?;
    diesel::update(taken(id, runner, TestState::Running))
        .set((
            restore_tests::state.eq(TestState::Finished),
            restore_tests::claimed_until.eq(None::<Time>),
            restore_tests::finished_at.eq(now),
            restore_tests::result.eq(report.result),
            restore_tests::level.eq(report.level),
            (
                restore_tests::file_count.eq(count(report.file_count)),
                restore_tests::matched_count.eq(count(report.matched_count)),
                restore_tests::excluded_count.eq(count(report.excluded_count)),
                restore_tests::excluded_bytes.eq(count(report.excluded_bytes)),
                restore_tests::byte_count.eq(count(report.byte_count)),
                restore_tests::stored_bytes_read.eq(count(report.stored_bytes_read)),
            ),
            (
                restore_tests::base_point_id.eq(report.beyond.and(base)),
                restore_tests::beyond_files.eq(report.beyond.map(|it| count(it.files))),
                restore_tests::beyond_bytes.eq(report.beyond.map(|it| count(it.bytes))),
            ),
            restore_tests::failures.eq(failures),
            restore_tests::summary.eq(&report.summary),
        ))
        .execute(conn)
        .map(|rows| rows == 1)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn taken<'a>(id: RestoreTestId, runner: &'a str, state: TestState) -> _ {
    restore_tests::table.find(id).filter(restore_tests::state.eq(state)).filter(restore_tests::runner.eq(runner))
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
