//! Lists of restore tests with their devices.
use crate::store::Conn;
use crate::store::restore_test::RestoreTest;
use crate::store::schema::{device_proof, devices, restore_points, restore_tests};
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::device::DeviceState;
use domain::id::RestoreTestId;
use domain::proof::{TestResult, TestState};
use domain::role::Reach;
use domain::time::Time;

/// Which tests are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    All,
    /// Waiting or running.
    Open,
    Ended(TestResult),
}

/// A test with the name of its device, and when its restore point was received.
pub type Listed = (RestoreTest, String, Time);

/// The newest tests first, at most `limit`, older than `before`.
pub fn newest(
    conn: &mut Conn,
    shown: Shown,
    reach: &Reach,
    before: Option<RestoreTestId>,
    limit: i64,
) -> QueryResult<Vec<Listed>> {
    let mut query = restore_tests::table
        .inner_join(devices::table.on(devices::id.eq(restore_tests::device_id)))
        .inner_join(restore_points::table.on(restore_points::id.eq(restore_tests::restore_point_id)))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query = match shown {
        Shown::All => query,
        Shown::Open => query.filter(restore_tests::state.ne(TestState::Finished)),
        Shown::Ended(result) => query.filter(restore_tests::result.eq(result)),
    };
    if let Some(before) = before {
        query = query.filter(restore_tests::id.lt(before));
    }
    // An id begins with the time it was queued.
    query
        .order(restore_tests::id.desc())
        .limit(limit)
        .select((RestoreTest::as_select(), devices::name, restore_points::received_at))
        .load(conn)
}

/// The standing failed tests, newest first: for each enrolled device the one that nothing has made up for.
pub fn standing_failures(conn: &mut Conn, reach: &Reach, limit: i64) -> QueryResult<Vec<Listed>> {
    let mut query = device_proof::table
        .inner_join(devices::table.on(devices::id.eq(device_proof::device_id)))
        .inner_join(restore_tests::table.on(device_proof::failed_test_id.eq(restore_tests::id.nullable())))
        .inner_join(restore_points::table.on(restore_points::id.eq(restore_tests::restore_point_id)))
        .filter(devices::state.eq(DeviceState::Enrolled).and(device_proof::rank.eq(0)))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query
        .order(restore_tests::id.desc())
        .limit(limit)
        .select((RestoreTest::as_select(), devices::name, restore_points::received_at))
        .load(conn)
}

/// How many tests ended with `result` since `since`.
pub fn ended_since(conn: &mut Conn, result: TestResult, reach: &Reach, since: Time) -> QueryResult<i64> {
    let mut query = restore_tests::table
        .inner_join(devices::table.on(devices::id.eq(restore_tests::device_id)))
        .filter(restore_tests::result.eq(result))
        .filter(restore_tests::finished_at.ge(since))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query.select(count_star()).first(conn)
}
