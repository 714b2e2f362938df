//! Teams: groups of devices that roles and policies can be limited to.
use crate::store::Conn;
use crate::store::schema::{devices, teams};
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::id::TeamId;
use domain::key_holder::KeyHolder;
use domain::time::Time;

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = teams)]
pub struct Team {
    pub id: TeamId,
    pub name: String,
    pub created_at: Time,
}

/// Adds a team.
pub fn insert(conn: &mut Conn, team: &Team) -> QueryResult<()> {
    diesel::insert_into(teams::table).values(team).execute(conn).map(drop)
}

/// A team by id.
pub fn find(conn: &mut Conn, id: TeamId) -> QueryResult<Option<Team>> {
    teams::table.find(id).select(Team::as_select()).first(conn).optional()
}

/// A team by its exact name.
pub fn find_by_name(conn: &mut Conn, name: &str) -> QueryResult<Option<Team>> {
    teams::table.filter(teams::name.eq(name)).select(Team::as_select()).first(conn).optional()
}

/// Every team, by name.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<Team>> {
    teams::table.order((teams::name.asc(), teams::id.asc())).select(Team::as_select()).load(conn)
}

/// Who keeps the keys to the backups of a team's devices; the server for those without a team.
pub fn key_holder(conn: &mut Conn, team: Option<TeamId>) -> QueryResult<KeyHolder> {
    let Some(team) = team else { return Ok(KeyHolder::Server) };
    let found = teams::table.find(team).select(teams::key_holder).first(conn).optional()?;
    Ok(found.unwrap_or_default())
}

/// Whether nothing passes between two teams: they are two, and a customer keeps the keys of one.
pub fn is_apart(conn: &mut Conn, one: Option<TeamId>, other: Option<TeamId>) -> QueryResult<bool> {
    let holders = [key_holder(conn, one)?, key_holder(conn, other)?];
    Ok(one != other && holders.contains(&KeyHolder::Customer))
}

/// The teams whose keys customers keep.
pub fn of_customers(conn: &mut Conn) -> QueryResult<Vec<TeamId>> {
    teams::table.filter(teams::key_holder.eq(KeyHolder::Customer)).select(teams::id).load(conn)
}

/// Leaves a team's keys to the customer. There is nothing that takes them back.
pub fn hand_over(conn: &mut Conn, id: TeamId) -> QueryResult<()> {
    diesel::update(teams::table.find(id)).set(teams::key_holder.eq(KeyHolder::Customer)).execute(conn).map(drop)
}

/// How many devices each team has; teams without one are left out.
pub fn device_counts(conn: &mut Conn) -> QueryResult<Vec<(TeamId, i64)>> {
    devices::table
        .filter(devices::team_id.is_not_null())
        .group_by(devices::team_id)
        .select((devices::team_id.assume_not_null(), count_star()))
        .load(conn)
}
