//! Devices whose backups fail to arrive, or that no policy asks for backups, and about which nobody was told.
use crate::store::Conn;
use crate::store::alert::Untold;
use crate::store::schema::{backup_attempts, commands, device_alerts, device_proof, device_status, devices};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use domain::command::{CommandKind, CommandState};
use domain::id::{DeviceId, TeamId};
use domain::time::Time;
use std::time::Duration;

/// When a device's newest complete backup arrived; its enrolment if none has.
const LAST: &str = "coalesce(device_proof.stored_at, devices.enrolled_at)";

/// Enrolled devices of a team, or of none, that checked in after a backup was due within `span` but sent none.
/// The longest overdue first; `evidence_at` is when the last backup arrived.
///
/// A backup further in the future than the span was dated by a wrong clock: it does not count as recent.
pub fn overdue_untold(
    conn: &mut Conn,
    kind: &str,
    team: Option<TeamId>,
    span: Duration,
    now: Time,
    limit: i64,
) -> QueryResult<Vec<Untold>> {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let is_overdue = sql::<Bool>("(")
        .sql(LAST)
        .sql(" < ")
        .bind::<BigInt, _>(now - span)
        .sql(" OR ")
        .sql(LAST)
        .sql(" > ")
        .bind::<BigInt, _>(now + span)
        .sql(")");
    let was_there = sql::<Bool>("(device_status.last_seen_at > ")
        .sql(LAST)
        .sql(" + ")
        .bind::<BigInt, _>(millis)
        .sql(" OR ")
        .sql(LAST)
        .sql(" > ")
        .bind::<BigInt, _>(now + span)
        .sql(")");
    let mut found = devices::table
        .inner_join(device_status::table.on(device_status::device_id.eq(devices::id)))
        .left_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
        .left_join(device_alerts::table.on(device_alerts::device_id.eq(devices::id).and(device_alerts::kind.eq(kind))))
        .filter(devices::state.eq("enrolled"))
        .filter(is_overdue.and(was_there))
        .filter(sql::<Bool>("(device_alerts.evidence_at IS NULL OR device_alerts.evidence_at <> ").sql(LAST).sql(")"))
        .into_boxed();
    found = match team {
        Some(team) => found.filter(devices::team_id.eq(team)),
        None => found.filter(devices::team_id.is_null()),
    };
    found
        .order((sql::<BigInt>(LAST), devices::id))
        .limit(limit)
        .select((devices::id, devices::name, devices::serial, devices::person, devices::team_id, sql::<BigInt>(LAST)))
        .load(conn)
}

/// Enrolled devices of a team, or of none, that were enrolled before `cut` and about which nobody was told;
/// oldest first.
pub fn unasked_untold(
    conn: &mut Conn,
    kind: &str,
    team: Option<TeamId>,
    cut: Time,
    limit: i64,
) -> QueryResult<Vec<Untold>> {
    let mut found = devices::table
        .inner_join(device_status::table.on(device_status::device_id.eq(devices::id)))
        .left_join(device_alerts::table.on(device_alerts::device_id.eq(devices::id).and(device_alerts::kind.eq(kind))))
        .filter(devices::state.eq("enrolled").and(devices::enrolled_at.lt(cut)))
        .filter(device_alerts::evidence_at.nullable().is_null())
        .into_boxed();
    found = match team {
        Some(team) => found.filter(devices::team_id.eq(team)),
        None => found.filter(devices::team_id.is_null()),
    };
    found
        .order((devices::enrolled_at, devices::id))
        .limit(limit)
        .select((devices::id, devices::name, devices::serial, devices::person, devices::team_id, devices::enrolled_at))
        .load(conn)
}

/// Enrolled devices of a team, or of none, about which somebody was told this.
pub fn told_of(conn: &mut Conn, kind: &str, team: Option<TeamId>, limit: i64) -> QueryResult<Vec<DeviceId>> {
    let mut found = device_alerts::table
        .inner_join(devices::table.on(devices::id.eq(device_alerts::device_id)))
        .filter(device_alerts::kind.eq(kind))
        .select(device_alerts::device_id)
        .limit(limit)
        .into_boxed();
    found = match team {
        Some(team) => found.filter(devices::team_id.eq(team)),
        None => found.filter(devices::team_id.is_null()),
    };
    found.load(conn)
}

/// Forgets that anybody was told this about these devices: should it come back, it is reported again.
pub fn forget(conn: &mut Conn, kind: &str, devices: &[DeviceId]) -> QueryResult<usize> {
    let of = device_alerts::table.filter(device_alerts::kind.eq(kind));
    diesel::delete(of.filter(device_alerts::device_id.eq_any(devices.to_vec()))).execute(conn)
}

/// Enrolled devices whose last `times` orders to back up all failed since their newest backup came;
/// `evidence_at` is when that arrived, or the enrolment.
pub fn failing_untold(conn: &mut Conn, kind: &str, times: i64, limit: i64) -> QueryResult<Vec<Untold>> {
    // Few devices have a failed command, so those are searched first.
    let any = sql::<Bool>("devices.id IN (SELECT f.device_id FROM commands f WHERE f.state = ")
        .bind::<Text, _>(CommandState::Failed)
        .sql(")");
    // What the device reports about its attempts is handled separately.
    let any = any
        .sql(" AND devices.id NOT IN (SELECT a.device_id FROM backup_attempts a WHERE a.failed_count >= ")
        .bind::<BigInt, _>(times)
        .sql(")");
    let failures = sql::<Bool>("(SELECT count(*) FROM commands c WHERE c.device_id = devices.id AND c.kind = ")
        .bind::<Text, _>(CommandKind::BackUpNow)
        .sql(" AND c.state = ")
        .bind::<Text, _>(CommandState::Failed)
        .sql(" AND c.generation = devices.generation AND c.finished_at >= ")
        .sql(LAST)
        .sql(") >= ")
        .bind::<BigInt, _>(times);
    devices::table
        .left_join(device_proof::table.on(device_proof::device_id.eq(devices::id)))
        .left_join(device_alerts::table.on(device_alerts::device_id.eq(devices::id).and(device_alerts::kind.eq(kind))))
        .filter(devices::state.eq("enrolled"))
        .filter(sql::<Bool>("(device_alerts.evidence_at IS NULL OR device_alerts.evidence_at <> ").sql(LAST).sql(")"))
        .filter(any.and(failures))
        .order((sql::<BigInt>(LAST), devices::id))
        .limit(limit)
        .select((devices::id, devices::name, devices::serial, devices::person, devices::team_id, sql::<BigInt>(LAST)))
        .load(conn)
}

/// Enrolled devices that report that at least their last `times` backups failed; `evidence_at` is since when.
pub fn attempts_untold(conn: &mut Conn, kind: &str, times: i64, limit: i64) -> QueryResult<Vec<Untold>> {
    let told_at = device_alerts::evidence_at.nullable();
    devices::table
        .inner_join(backup_attempts::table.on(backup_attempts::device_id.eq(devices::id)))
        .left_join(device_alerts::table.on(device_alerts::device_id.eq(devices::id).and(device_alerts::kind.eq(kind))))
        .filter(devices::state.eq("enrolled"))
        .filter(backup_attempts::failed_count.ge(times).and(backup_attempts::failing_since.is_not_null()))
        .filter(told_at.is_null().or(told_at.ne(backup_attempts::failing_since)))
        .order((backup_attempts::failing_since.asc(), devices::id.asc()))
        .limit(limit)
        .select((
            devices::id,
            devices::name,
            devices::serial,
            devices::person,
            devices::team_id,
            backup_attempts::failing_since.assume_not_null(),
        ))
        .load(conn)
}

/// Why the newest order to back a device up failed, in the device's words.
pub fn failure_of(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<String>> {
    let newest: Option<Option<String>> = commands::table
        .filter(commands::device_id.eq(device).and(commands::kind.eq(CommandKind::BackUpNow)))
        .filter(commands::state.eq(CommandState::Failed))
        .order((commands::finished_at.desc(), commands::id.desc()))
        .select(commands::result)
        .first::<Option<String>>(conn)
        .optional()?;
    Ok(newest.flatten())
}
