//! What is set on Apple devices: for all, and for each team that has its own.
use crate::store::Conn;
use crate::store::column::{from_json, to_json};
use crate::store::schema::{apple_enrollments, apple_settings, devices};
use diesel::prelude::*;
use domain::apple_settings::Settings;
use domain::device::DeviceState;
use domain::id::{AppleEnrollmentId, DeviceId, TeamId};
use domain::role::Reach;
use domain::time::Time;

/// The settings of the organisation, or of one team.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = apple_settings, treat_none_as_default_value = false)]
pub struct AppleSettings {
    /// The team's id, or [`ALL`].
    pub scope: String,
    /// None: for all devices whose team has none of its own.
    pub team_id: Option<TeamId>,
    /// Grows with each change.
    pub version: i64,
    /// JSON; see [`AppleSettings::settings`].
    pub settings: String,
    pub changed_by: String,
    pub changed_at: Time,
}

/// The scope of what is for all devices.
pub const ALL: &str = "all";

/// The scope of a team, or of all devices.
pub fn scope(team: Option<TeamId>) -> String {
    team.map_or_else(|| ALL.to_owned(), |it| it.to_string())
}

impl AppleSettings {
    /// What is set.
    pub fn settings(&self) -> QueryResult<Settings> {
        from_json(&self.settings)
    }
}

/// Those of all devices, and of each team that has its own.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<AppleSettings>> {
    apple_settings::table.order(apple_settings::scope).select(AppleSettings::as_select()).load(conn)
}

/// Those that count for a team: its own alone, if it has any.
pub fn of_team(conn: &mut Conn, team: Option<TeamId>) -> QueryResult<Option<AppleSettings>> {
    if team.is_some()
        && let Some(own) = find(conn, team)?
    {
        return Ok(Some(own));
    }
    find(conn, None)
}

/// Those of a team or of all devices.
pub fn find(conn: &mut Conn, team: Option<TeamId>) -> QueryResult<Option<AppleSettings>> {
    apple_settings::table.find(scope(team)).select(AppleSettings::as_select()).first(conn).optional()
}

/// Writes them in the place of `old`.
pub fn put(
    conn: &mut Conn,
    (team, old): (Option<TeamId>, Option<&AppleSettings>),
    settings: &Settings,
    (changed_by, changed_at): (String, Time),
) -> QueryResult<()> {
    let row = AppleSettings {
        scope: scope(team),
        team_id: team,
        version: old.map_or(1, |it| it.version + 1),
        settings: to_json(settings)?,
        changed_by,
        changed_at,
    };
    remove(conn, team)?;
    diesel::insert_into(apple_settings::table).values(row).execute(conn).map(drop)
}

/// Removes those of a team or of all devices.
pub fn remove(conn: &mut Conn, team: Option<TeamId>) -> QueryResult<()> {
    diesel::delete(apple_settings::table.find(scope(team))).execute(conn).map(drop)
}

/// The devices of a team, or all of them, are to be woken: what is set on them changed.
pub fn wake(conn: &mut Conn, team: Option<TeamId>, now: Time) -> QueryResult<()> {
    let enrolled = devices::table.filter(devices::state.eq(DeviceState::Enrolled));
    let current = apple_enrollments::table.filter(apple_enrollments::ended_at.is_null());
    let due = apple_enrollments::settings_due_at.eq(Some(now));
    match team {
        Some(_) => {
            let of_team = enrolled.filter(devices::team_id.eq(team)).select(devices::id.nullable());
            let current = current.filter(apple_enrollments::device_id.eq_any(of_team));
            diesel::update(current).set(due).execute(conn).map(drop)
        }
        None => {
            let all = enrolled.select(devices::id.nullable());
            let current = current.filter(apple_enrollments::device_id.eq_any(all));
            diesel::update(current).set(due).execute(conn).map(drop)
        }
    }
}

/// A device that is managed through Apple's protocol now.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Managed {
    pub id: DeviceId,
    pub name: String,
    pub team_id: Option<TeamId>,
    pub enrollment_id: AppleEnrollmentId,
}

/// Those within reach after an id, by id; at most `limit`.
pub fn managed(conn: &mut Conn, reach: &Reach, after: Option<DeviceId>, limit: i64) -> QueryResult<Vec<Managed>> {
    let mut query = apple_enrollments::table
        .inner_join(devices::table.on(apple_enrollments::device_id.eq(devices::id.nullable())))
        .filter(apple_enrollments::generation.eq(devices::generation.nullable()))
        .filter(apple_enrollments::ended_at.is_null().and(devices::state.eq(DeviceState::Enrolled)))
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    if let Some(after) = after {
        query = query.filter(devices::id.gt(after));
    }
    query
        .order(devices::id)
        .limit(limit)
        .select((devices::id, devices::name, devices::team_id, apple_enrollments::id))
        .load(conn)
}
