//! What people were told of a device already, and what they were not.
use crate::store::Conn;
use crate::store::schema::{device_alerts, device_proof, devices};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::{DeviceId, TeamId};
use domain::time::Time;

/// A device of which something is to be told.
#[derive(Debug, Clone, Queryable)]
pub struct Untold {
    pub id: DeviceId,
    pub name: String,
    pub serial: String,
    pub person: String,
    pub team_id: Option<TeamId>,
    /// When it happened; the same value is told once.
    pub evidence_at: Time,
}

/// Enrolled devices that stand so since `$at` and of which nobody was told at that value; the oldest first. A macro,
/// because diesel knows each column as a type of its own.
macro_rules! untold {
    ($conn:expr, $kind:expr, $limit:expr, $at:ident, $stands_so:expr) => {{
        let told_at = device_alerts::evidence_at.nullable();
        devices::table
            .inner_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
            .left_join(
                device_alerts::table.on(device_alerts::device_id.eq(devices::id).and(device_alerts::kind.eq($kind))),
            )
            .filter(devices::state.eq("enrolled").and($stands_so))
            .filter(told_at.is_null().or(told_at.ne(device_proof::$at)))
            .order((device_proof::$at.asc(), devices::id.asc()))
            .limit($limit)
            .select((
                devices::id,
                devices::name,
                devices::serial,
                devices::person,
                devices::team_id,
                device_proof::$at.assume_not_null(),
            ))
            .load($conn)
    }};
}

/// Enrolled devices whose newest restore test failed, without anybody having been told about that failure.
pub fn failed_untold(conn: &mut Conn, kind: &str, limit: i64) -> QueryResult<Vec<Untold>> {
    untold!(conn, kind, limit, failed_at, device_proof::failed_at.is_not_null())
}

/// Enrolled devices whose proof has expired by `now`, without anybody having been told about that.
pub fn lapsed_untold(conn: &mut Conn, kind: &str, now: Time, limit: i64) -> QueryResult<Vec<Untold>> {
    let is_lapsed = device_proof::failed_at.is_null().and(device_proof::proven_until.le(now));
    untold!(conn, kind, limit, proven_until, is_lapsed)
}

/// A device, if nobody was told that something is so of it since `at`.
pub fn untold(conn: &mut Conn, kind: &str, device: DeviceId, at: Time) -> QueryResult<Option<Untold>> {
    let told = device_alerts::table
        .filter(device_alerts::device_id.eq(device).and(device_alerts::kind.eq(kind)))
        .select(device_alerts::evidence_at)
        .first::<Time>(conn)
        .optional()?;
    if told == Some(at) {
        return Ok(None);
    }
    let found: Option<(DeviceId, String, String, String, Option<TeamId>)> = devices::table
        .find(device)
        .select((devices::id, devices::name, devices::serial, devices::person, devices::team_id))
        .first(conn)
        .optional()?;
    Ok(found.map(|(id, name, serial, person, team_id)| Untold { id, name, serial, person, team_id, evidence_at: at }))
}

/// Notes that people were told.
pub fn told(conn: &mut Conn, kind: &str, device: &Untold, now: Time) -> QueryResult<()> {
    diesel::insert_into(device_alerts::table)
        .values((
            device_alerts::device_id.eq(device.id),
            device_alerts::kind.eq(kind),
            device_alerts::evidence_at.eq(device.evidence_at),
            device_alerts::told_at.eq(now),
        ))
        .on_conflict_sql(
            "(device_id, kind) DO UPDATE SET evidence_at = excluded.evidence_at, told_at = excluded.told_at",
        )
        .execute(conn)
        .map(drop)
}
