//! People who may sign in, and their roles.
use crate::store::Conn;
use crate::store::schema::{user_roles, users};
use diesel::dsl::count_star;
use diesel::prelude::*;
use domain::account::UserState;
use domain::id::{TeamId, UserId};
use domain::name::lookup;
use domain::role::{Grants, Permission, Role, Scope};
use domain::time::Time;

/// A person. `email` is in the form of [`domain::name::address`].
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub password_hash: Option<String>,
    pub state: UserState,
    /// A name from the IANA database, such as `Europe/Paris`.
    pub time_zone: String,
    /// Who made the account: an approver can never approve for an account they made.
    pub created_by: Option<UserId>,
    pub created_at: Time,
    pub password_changed_at: Option<Time>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("email", &self.email).finish_non_exhaustive()
    }
}

/// Adds a person.
pub fn insert(conn: &mut Conn, user: &User) -> QueryResult<()> {
    diesel::insert_into(users::table).values(user).execute(conn).map(drop)
}

/// A person by id.
pub fn find(conn: &mut Conn, id: UserId) -> QueryResult<Option<User>> {
    users::table.find(id).select(User::as_select()).first(conn).optional()
}

/// A person by address, ignoring case and with either spelling of its domain.
pub fn find_by_email(conn: &mut Conn, email: &str) -> QueryResult<Option<User>> {
    users::table.filter(users::email.eq(lookup(email))).select(User::as_select()).first(conn).optional()
}

/// The accounts a device's person may have: those with that address or, ignoring case, that name.
pub fn by_name_or_address(conn: &mut Conn, person: &str) -> QueryResult<Vec<UserId>> {
    let wanted = person.trim().to_lowercase();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<(UserId, String, String)> = users::table
        .filter(users::state.ne(UserState::Disabled))
        .select((users::id, users::email, users::name))
        .load(conn)?;
    // Not in SQL: SQLite folds case only for ASCII letters.
    let is_them = |email: &str, name: &str| email == wanted || name.trim().to_lowercase() == wanted;
    Ok(all.into_iter().filter(|(_, email, name)| is_them(email, name)).map(|(id, ..)| id).collect())
}

/// Everyone, by name.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<User>> {
    users::table.order((users::name.asc(), users::id.asc())).select(User::as_select()).load(conn)
}

/// Sets the password's hash and makes an invited account active; false when it is disabled.
pub fn set_password(conn: &mut Conn, id: UserId, hash: &str, now: Time) -> QueryResult<bool> {
    diesel::update(users::table.find(id).filter(users::state.ne(UserState::Disabled)))
        .set((users::password_hash.eq(hash), users::password_changed_at.eq(now), users::state.eq(UserState::Active)))
        .execute(conn)
        .map(|count| count == 1)
}

/// Replaces a hash with one of the same password with other parameters.
pub fn rehash(conn: &mut Conn, id: UserId, old: &str, new: &str) -> QueryResult<()> {
    // Only over the hash that was checked: the password may have been changed since.
    diesel::update(users::table.find(id).filter(users::password_hash.eq(old)))
        .set(users::password_hash.eq(new))
        .execute(conn)
        .map(drop)
}

/// Sets what a person may change about themselves.
pub fn set_profile(conn: &mut Conn, id: UserId, name: &str, time_zone: &str) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((users::name.eq(name), users::time_zone.eq(time_zone)))
        .execute(conn)
        .map(drop)
}

/// Moves an account from one state to another; false when it was not in `from`.
pub fn set_state(conn: &mut Conn, id: UserId, from: UserState, to: UserState) -> QueryResult<bool> {
    diesel::update(users::table.find(id).filter(users::state.eq(from)))
        .set(users::state.eq(to))
        .execute(conn)
        .map(|count| count == 1)
}

/// Names a founder, or revokes one.
pub fn set_founder(conn: &mut Conn, id: UserId, at: Option<Time>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::founder_at.eq(at)).execute(conn).map(drop)
}

/// What the server's own machine said about a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostSaid {
    pub founder_at: Option<Time>,
    pub locked_at: Option<Time>,
}

/// What the server's own machine said about a person.
pub fn host_said(conn: &mut Conn, id: UserId) -> QueryResult<HostSaid> {
    let row: Option<(Option<Time>, Option<Time>)> =
        users::table.find(id).select((users::founder_at, users::locked_at)).first(conn).optional()?;
    let (founder_at, locked_at) = row.unwrap_or_default();
    Ok(HostSaid { founder_at, locked_at })
}

/// Notes that an account is locked, or no longer is.
pub fn set_locked(conn: &mut Conn, id: UserId, at: Option<Time>) -> QueryResult<()> {
    diesel::update(users::table.find(id)).set(users::locked_at.eq(at)).execute(conn).map(drop)
}

/// How many people who can sign in are founders, or have had their account since before `cut`.
pub fn settled_count(conn: &mut Conn, cut: Time) -> QueryResult<i64> {
    users::table
        .filter(users::state.eq(UserState::Active))
        .filter(users::founder_at.is_not_null().or(users::created_at.le(cut)))
        .select(count_star())
        .first(conn)
}

/// The roles of a person.
pub fn grants(conn: &mut Conn, id: UserId) -> QueryResult<Grants> {
    let rows: Vec<(Role, String)> = user_roles::table
        .filter(user_roles::user_id.eq(id))
        .order((user_roles::role.asc(), user_roles::scope.asc()))
        .select((user_roles::role, user_roles::scope))
        .load(conn)?;
    // A scope that cannot be read grants nothing.
    Ok(Grants::new(rows.into_iter().filter_map(|(role, scope)| Some((role, read_scope(&scope)?))).collect()))
}

/// Since when a person has held a permission for devices of a team; none if they do not.
pub fn held_since(
    conn: &mut Conn,
    id: UserId,
    permission: Permission,
    team: Option<TeamId>,
) -> QueryResult<Option<Time>> {
    let rows: Vec<(Role, String, Time)> = user_roles::table
        .filter(user_roles::user_id.eq(id))
        .select((user_roles::role, user_roles::scope, user_roles::granted_at))
        .load(conn)?;
    let holds = |role, scope: &str| {
        let grants = Grants::new(read_scope(scope).map(|it| (role, it)).into_iter().collect());
        grants.reach(permission).is_some_and(|it| it.covers(team))
    };
    // The one held longest: another that came later takes nothing away.
    Ok(rows.into_iter().filter(|(role, scope, _)| holds(*role, scope)).map(|(_, _, at)| at).min())
}

/// The roles of everyone.
pub fn all_grants(conn: &mut Conn) -> QueryResult<Vec<(UserId, Role, Scope)>> {
    let rows: Vec<(UserId, Role, String)> = user_roles::table
        .order((user_roles::user_id.asc(), user_roles::role.asc(), user_roles::scope.asc()))
        .select((user_roles::user_id, user_roles::role, user_roles::scope))
        .load(conn)?;
    Ok(rows.into_iter().filter_map(|(user, role, scope)| Some((user, role, read_scope(&scope)?))).collect())
}

/// Gives a role.
pub fn grant(
    conn: &mut Conn,
    id: UserId,
    (role, scope): (Role, Scope),
    granted_by: Option<UserId>,
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(user_roles::table)
        .values((
            user_roles::user_id.eq(id),
            user_roles::role.eq(role),
            user_roles::scope.eq(write_scope(scope)),
            user_roles::granted_by.eq(granted_by),
            user_roles::granted_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
}

/// Takes away a role; false if it was not held.
pub fn revoke(conn: &mut Conn, id: UserId, (role, scope): (Role, Scope)) -> QueryResult<bool> {
    diesel::delete(user_roles::table.find((id, role, write_scope(scope)))).execute(conn).map(|count| count == 1)
}

/// Whether somebody owns the organisation, or is invited to.
pub fn has_owner(conn: &mut Conn) -> QueryResult<bool> {
    let owners = holders(Role::Owner, ORGANISATION).filter(users::state.ne(UserState::Disabled));
    diesel::select(diesel::dsl::exists(owners)).get_result(conn)
}

/// How many people other than `id` who can sign in own the organisation.
pub fn other_owner_count(conn: &mut Conn, id: UserId) -> QueryResult<i64> {
    holders(Role::Owner, ORGANISATION)
        .filter(users::state.eq(UserState::Active).and(users::id.ne(id)))
        .select(count_star())
        .first(conn)
}

/// The people who hold a role in a scope.
#[diesel::dsl::auto_type(no_type_alias)]
fn holders(role: Role, scope: &'static str) -> _ {
    let is_held = user_roles::role.eq(role).and(user_roles::scope.eq(scope));
    user_roles::table.inner_join(users::table.on(users::id.eq(user_roles::user_id))).filter(is_held)
}

const ORGANISATION: &str = "organisation";

fn read_scope(text: &str) -> Option<Scope> {
    if text == ORGANISATION { Some(Scope::Organisation) } else { TeamId::parse(text).map(Scope::Team) }
}

fn write_scope(scope: Scope) -> String {
    match scope {
        Scope::Organisation => ORGANISATION.to_owned(),
        Scope::Team(team) => team.to_string(),
    }
}
