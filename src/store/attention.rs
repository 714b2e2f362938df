//! What every page shows in its frame: approvals that wait, and damage of the store.
use crate::domain::role::Reach;
use crate::domain::wipe::WipeState;
use crate::store::Conn;
use crate::store::schema::{devices, objects, repositories, wipe_requests};
use diesel::dsl::{count, count_star};
use diesel::prelude::*;

/// How many wipe requests wait for an approver who reaches `reach`.
pub fn approvals_waiting(conn: &mut Conn, reach: &Reach) -> QueryResult<i64> {
    let waiting = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .filter(wipe_requests::state.eq_any([WipeState::Requested, WipeState::Held, WipeState::ReviewAgain]))
        .select(count_star());
    match reach {
        Reach::All => waiting.first(conn),
        Reach::Teams(teams) => waiting.filter(devices::team_id.eq_any(teams.clone())).first(conn),
    }
}

/// How many stored objects are missing or damaged, and of how many devices.
pub fn damage(conn: &mut Conn) -> QueryResult<(i64, i64)> {
    objects::table
        .inner_join(repositories::table.on(repositories::id.eq(objects::repository_id)))
        .filter(objects::damaged_at.is_not_null())
        .select((count_star(), count(repositories::device_id).aggregate_distinct()))
        .first(conn)
}
