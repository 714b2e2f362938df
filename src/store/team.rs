//! Teams: groups of devices that roles and policies can be limited to.
use crate::store::Conn;
use crate::store::schema::{devices, teams};
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::id::TeamId;
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

/// How many devices each team has; teams without one are left out.
pub fn device_counts(conn: &mut Conn) -> QueryResult<Vec<(TeamId, i64)>> {
    devices::table
        .filter(devices::team_id.is_not_null())
        .group_by(devices::team_id)
        .select((devices::team_id.assume_not_null(), count_star()))
        .load(conn)
}
