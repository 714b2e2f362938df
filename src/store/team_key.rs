//! Team keys: to which the master keys of a team's repositories are sealed.
use crate::store::Conn;
use crate::store::repository::Repository;
use crate::store::schema::{devices, repositories, team_keys, teams};
use diesel::prelude::*;
use domain::id::{RepositoryId, TeamId, TeamKeyId};
use domain::key_holder::KeyHolder;
use domain::time::Time;

/// A team's key pair.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = team_keys, treat_none_as_default_value = false)]
pub struct TeamKey {
    pub id: TeamKeyId,
    /// None for the devices without a team.
    pub team_id: Option<TeamId>,
    /// X25519, base64 (32 bytes).
    pub public_key: String,
    /// The private half in base64, sealed to the proof key with [`team_key_context`].
    pub sealed_private_key: String,
    /// By which the proof side knows that it made this key; hex.
    pub voucher: String,
    pub made_at: Time,
    /// Since when nothing new is sealed to it.
    pub retired_at: Option<Time>,
}

/// The sealing context of [`TeamKey::sealed_private_key`].
pub fn team_key_context(id: TeamKeyId) -> String {
    format!("holdfast/team-key/1/{id}")
}

/// All of them, oldest first.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<TeamKey>> {
    team_keys::table.order((team_keys::made_at, team_keys::id)).select(TeamKey::as_select()).load(conn)
}

/// One by its id.
pub fn find(conn: &mut Conn, id: TeamKeyId) -> QueryResult<Option<TeamKey>> {
    team_keys::table.find(id).select(TeamKey::as_select()).first(conn).optional()
}

/// The one in use for a team, or for the devices without one.
pub fn current(conn: &mut Conn, team: Option<TeamId>) -> QueryResult<Option<TeamKey>> {
    let in_use = team_keys::table
        .filter(team_keys::retired_at.is_null())
        .order((team_keys::made_at.desc(), team_keys::id.desc()))
        .select(TeamKey::as_select())
        .into_boxed();
    match team {
        Some(team) => in_use.filter(team_keys::team_id.eq(team)).first(conn).optional(),
        None => in_use.filter(team_keys::team_id.is_null()).first(conn).optional(),
    }
}

/// Every team's id; none for the devices without one.
pub fn teams(conn: &mut Conn) -> QueryResult<Vec<Option<TeamId>>> {
    let teams: Vec<TeamId> = teams::table.select(teams::id).order(teams::id).load(conn)?;
    Ok(std::iter::once(None).chain(teams.into_iter().map(Some)).collect())
}

/// Adds one.
pub fn insert(conn: &mut Conn, key: &TeamKey) -> QueryResult<()> {
    diesel::insert_into(team_keys::table).values(key).execute(conn).map(drop)
}

/// Retires one.
pub fn retire(conn: &mut Conn, id: TeamKeyId, now: Time) -> QueryResult<()> {
    diesel::update(team_keys::table.find(id)).set(team_keys::retired_at.eq(now)).execute(conn).map(drop)
}

/// Retires all.
pub fn retire_all(conn: &mut Conn, now: Time) -> QueryResult<()> {
    diesel::update(team_keys::table.filter(team_keys::retired_at.is_null()))
        .set(team_keys::retired_at.eq(now))
        .execute(conn)
        .map(drop)
}

/// Puts another sealing of the private half in place.
pub fn reseal(conn: &mut Conn, id: TeamKeyId, sealed: &str, voucher: &str) -> QueryResult<()> {
    diesel::update(team_keys::table.find(id))
        .set((team_keys::sealed_private_key.eq(sealed), team_keys::voucher.eq(voucher)))
        .execute(conn)
        .map(drop)
}

/// Removes one to which nothing is sealed any more; false if something is.
pub fn remove(conn: &mut Conn, id: TeamKeyId) -> QueryResult<bool> {
    let any = repositories::table
        .filter(repositories::team_key_id.eq(id))
        .select(repositories::id)
        .first::<RepositoryId>(conn)
        .optional()?;
    if any.is_some() {
        return Ok(false);
    }
    Ok(diesel::delete(team_keys::table.find(id)).execute(conn)? == 1)
}

/// At most `limit` repositories after `after` of the key's team whose master key is sealed to something else.
pub fn elsewhere(
    conn: &mut Conn,
    key: &TeamKey,
    after: Option<RepositoryId>,
    limit: i64,
) -> QueryResult<Vec<Repository>> {
    let is_other = repositories::team_key_id.is_null().or(repositories::team_key_id.ne(key.id));
    let mut next = repositories::table
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .filter(is_other.assume_not_null())
        .filter(repositories::key_holder.eq(KeyHolder::Server))
        .order(repositories::id)
        .select(Repository::as_select())
        .limit(limit)
        .into_boxed();
    next = match key.team_id {
        Some(team) => next.filter(devices::team_id.eq(team)),
        None => next.filter(devices::team_id.is_null()),
    };
    if let Some(after) = after {
        next = next.filter(repositories::id.gt(after));
    }
    next.load(conn)
}

/// How many repositories are sealed to a key in use, whatever team their device is in.
pub fn wrapped(conn: &mut Conn) -> QueryResult<i64> {
    repositories::table
        .inner_join(team_keys::table.on(repositories::team_key_id.eq(team_keys::id.nullable())))
        .filter(team_keys::retired_at.is_null())
        .count()
        .get_result(conn)
}

/// How many repositories are sealed to the proof key itself.
pub fn sealed_to_root(conn: &mut Conn) -> QueryResult<i64> {
    repositories::table
        .filter(repositories::team_key_id.is_null().and(repositories::key_holder.eq(KeyHolder::Server)))
        .count()
        .get_result(conn)
}
