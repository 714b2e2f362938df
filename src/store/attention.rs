//! What every page shows in its frame: waiting approvals, and damage to the store.
use crate::store::Conn;
use crate::store::schema::{
    copies, device_proof, devices, holds, repositories, restores, retention_changes, wipe_requests,
};
use diesel::dsl::{count, count_star, min};
use diesel::prelude::*;
use domain::device::DeviceState;
use domain::id::{DeviceId, UserId};
use domain::key_holder::KeyHolder;
use domain::object::Location;
use domain::restore::RestoreState;
use domain::retention::{ChangeState, LIFT_WAITS};
use domain::role::Reach;
use domain::time::Time;
use domain::wipe::WipeState;

/// How many wipe requests are waiting for this approver, who reaches `reach`: except their own, and those
/// waiting for their requester.
pub fn approvals_waiting(conn: &mut Conn, reach: &Reach, approver: UserId) -> QueryResult<i64> {
    let waiting = wipe_requests::table
        .inner_join(devices::table.on(devices::id.eq(wipe_requests::device_id)))
        .filter(wipe_requests::state.eq_any([WipeState::Requested, WipeState::Held]))
        .filter(wipe_requests::requested_by.ne(approver))
        .select(count_star());
    match reach {
        Reach::All => waiting.first(conn),
        Reach::Teams(teams) => waiting.filter(devices::team_id.eq_any(teams.clone())).first(conn),
    }
}

/// How many restores to other devices wait for a second person, of those that somebody sees and did not ask for.
pub fn restores_waiting(conn: &mut Conn, reach: &Reach, approver: UserId) -> QueryResult<i64> {
    let waiting = restores::table
        .inner_join(devices::table.on(devices::id.eq(restores::device_id)))
        .filter(restores::state.eq(RestoreState::Requested))
        .filter(restores::requested_by.ne(approver))
        .select(count_star());
    match reach {
        Reach::All => waiting.first(conn),
        Reach::Teams(teams) => waiting.filter(devices::team_id.eq_any(teams.clone())).first(conn),
    }
}

/// How many requests wait for a second person that would let something end.
///
/// To lift a hold, or to keep less of everything, of which the latter is for whoever reaches all. Except their own, and
/// those that nobody agreed to in time.
pub fn removals_waiting(conn: &mut Conn, reach: &Reach, approver: UserId, now: Time) -> QueryResult<i64> {
    let mut lifts = holds::table
        .left_join(devices::table.on(devices::id.nullable().eq(holds::device_id)))
        .filter(holds::lifted_at.is_null().and(holds::lift_asked_at.gt(now - LIFT_WAITS)))
        .filter(holds::lift_asked_by.ne(approver))
        .select(count_star())
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        lifts = lifts.filter(devices::team_id.eq_any(teams.clone()));
    }
    let lifts: i64 = lifts.first(conn)?;
    if *reach != Reach::All {
        return Ok(lifts);
    }
    let shorter: i64 = retention_changes::table
        .filter(retention_changes::state.eq(ChangeState::Requested).and(retention_changes::expires_at.gt(now)))
        .filter(retention_changes::requested_by.ne(approver))
        .select(count_star())
        .first(conn)?;
    Ok(lifts + shorter)
}

/// Whether the restore test of an enrolled device within reach failed, and nothing has made up for it.
pub fn has_failed_test(conn: &mut Conn, reach: &Reach) -> QueryResult<bool> {
    let mut failed = device_proof::table
        .inner_join(devices::table.on(devices::id.eq(device_proof::device_id)))
        .filter(devices::state.eq(DeviceState::Enrolled).and(device_proof::rank.eq(0)))
        .select(device_proof::device_id)
        .limit(1)
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        failed = failed.filter(devices::team_id.eq_any(teams.clone()));
    }
    Ok(failed.first::<DeviceId>(conn).optional()?.is_some())
}

/// How many files of wiped devices within reach no backup holds intact, and on how many devices: they are lost.
pub fn lost(conn: &mut Conn, reach: &Reach) -> QueryResult<(i64, i64)> {
    let mut found = device_proof::table
        .inner_join(devices::table.on(devices::id.eq(device_proof::device_id)))
        .filter(devices::state.eq_any([DeviceState::Wiped, DeviceState::WipeFailed]))
        .filter(device_proof::damaged_files.gt(0))
        .select(device_proof::damaged_files)
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        found = found.filter(devices::team_id.eq_any(teams.clone()));
    }
    let files = found.load::<i64>(conn)?;
    Ok((files.iter().sum(), i64::try_from(files.len()).unwrap_or(i64::MAX)))
}

/// How many stored objects of enrolled devices are missing or damaged, and for how many devices; except those
/// that a later proof shows a device does not need.
pub fn damage(conn: &mut Conn) -> QueryResult<(i64, i64)> {
    damage_since(conn).map(|(objects, devices, _)| (objects, devices))
}

/// As [`damage`], and since when the oldest of it is known.
pub fn damage_since(conn: &mut Conn) -> QueryResult<(i64, i64, Option<Time>)> {
    let (tested, verified) = (device_proof::proven_tested_at, device_proof::verified_at);
    copies::table
        .inner_join(repositories::table.on(repositories::id.eq(copies::repository_id)))
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .left_join(device_proof::table.on(device_proof::device_id.eq(repositories::device_id)))
        .filter(devices::state.eq(DeviceState::Enrolled))
        .filter(copies::location.eq(Location::Primary).and(copies::damaged_at.is_not_null()))
        .filter(tested.nullable().is_null().or(tested.nullable().lt(copies::damaged_at)))
        // As in `uncopied`: where the customer keeps the key, a later backup that was read back whole.
        .filter(
            repositories::key_holder
                .eq(KeyHolder::Server)
                .or(verified.nullable().is_null())
                .or(verified.nullable().le(copies::damaged_at)),
        )
        .select((count_star(), count(repositories::device_id).aggregate_distinct(), min(copies::damaged_at)))
        .first(conn)
}
