//! Repositories, and the tokens that open the backup door for them.
use crate::store::schema::{repositories, repository_tokens};
use crate::store::{Conn, team_quota};
use diesel::dsl::{case_when, exists, not};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::id::{DeviceId, RepositoryId, RepositoryTokenId, TeamKeyId, UserId};
use domain::key_holder::KeyHolder;
use domain::object::{RepositoryState, TokenKind};
use domain::space::Space;
use domain::time::Time;

/// The backups of one enrolment of a device.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = repositories, treat_none_as_default_value = false)]
pub struct Repository {
    pub id: RepositoryId,
    pub device_id: DeviceId,
    /// The device's enrolment generation it was made for.
    pub generation: i64,
    pub state: RepositoryState,
    /// The 64-byte master key in base64, sealed to the team key, or to the proof key if there is none, with
    /// [`master_key_context`]; empty where the customer keeps it.
    pub sealed_master_key: String,
    pub team_key_id: Option<TeamKeyId>,
    pub quota_bytes: i64,
    pub stored_bytes: i64,
    pub object_count: i64,
    /// When its newest object was received; when it was made if it has none.
    pub newest_at: Time,
    pub created_at: Time,
    /// Who has the master key: if that is the customer, nothing here opens it.
    pub key_holder: KeyHolder,
}

impl Repository {
    /// What it holds, and the most it may hold.
    pub const fn space(&self) -> Space {
        Space { stored_bytes: self.stored_bytes, quota_bytes: self.quota_bytes }
    }
}

/// The sealing context of [`Repository::sealed_master_key`].
pub fn master_key_context(id: RepositoryId) -> String {
    format!("holdfast/master-key/{id}")
}

/// A token for the backup door; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = repository_tokens, treat_none_as_default_value = false)]
pub struct RepositoryToken {
    pub id: RepositoryTokenId,
    pub repository_id: RepositoryId,
    pub kind: TokenKind,
    pub token_hash: String,
    pub name: String,
    /// The user's name; none for the agent's own token.
    pub created_by: Option<String>,
    /// The account that made it, and with which it dies; none for the agent's own token.
    pub user_id: Option<UserId>,
    /// Why somebody wants to read; empty if nothing is read.
    pub reason: String,
    pub created_at: Time,
    /// None for one that lasts until it is revoked.
    pub expires_at: Option<Time>,
    pub revoked_at: Option<Time>,
    /// It only reads, and only what was received up to this time; none for everything.
    pub as_of: Option<Time>,
}

/// A repository by its id.
pub fn find(conn: &mut Conn, id: RepositoryId) -> QueryResult<Option<Repository>> {
    repositories::table.find(id).select(Repository::as_select()).first(conn).optional()
}

/// How many there are.
pub fn count(conn: &mut Conn) -> QueryResult<i64> {
    repositories::table.count().get_result(conn)
}

/// How many there are whose master key this holder keeps.
pub fn count_of(conn: &mut Conn, holder: KeyHolder) -> QueryResult<i64> {
    repositories::table.filter(repositories::key_holder.eq(holder)).count().get_result(conn)
}

/// The repositories whose keys customers keep.
pub fn of_customers(conn: &mut Conn) -> QueryResult<Vec<(RepositoryId, DeviceId)>> {
    repositories::table
        .filter(repositories::key_holder.eq(KeyHolder::Customer))
        .order(repositories::id)
        .select((repositories::id, repositories::device_id))
        .load(conn)
}

/// Who keeps the keys to a device's backups: the customer, as soon as that is so for one of its repositories.
pub fn key_holder_of(conn: &mut Conn, device: DeviceId) -> QueryResult<KeyHolder> {
    let of_customer = repositories::device_id.eq(device).and(repositories::key_holder.eq(KeyHolder::Customer));
    let is_there = diesel::select(exists(repositories::table.filter(of_customer))).get_result(conn)?;
    Ok(if is_there { KeyHolder::Customer } else { KeyHolder::Server })
}

/// The repositories of a device, newest enrolment first.
pub fn of_device(conn: &mut Conn, device: DeviceId) -> QueryResult<Vec<Repository>> {
    repositories::table
        .filter(repositories::device_id.eq(device))
        .order(repositories::generation.desc())
        .select(Repository::as_select())
        .load(conn)
}

/// The repository that accepts a device's backups.
pub fn active_of_device(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<Repository>> {
    repositories::table
        .filter(repositories::device_id.eq(device).and(repositories::state.eq(RepositoryState::Active)))
        .order(repositories::generation.desc())
        .select(Repository::as_select())
        .first(conn)
        .optional()
}

/// Adds a repository.
pub fn insert(conn: &mut Conn, repository: &Repository) -> QueryResult<()> {
    diesel::insert_into(repositories::table).values(repository).execute(conn).map(drop)
}

/// Keeps a master key as it is sealed to the proof key.
pub fn reseal(conn: &mut Conn, id: RepositoryId, sealed: &str) -> QueryResult<()> {
    let none: Option<TeamKeyId> = None;
    diesel::update(repositories::table.find(id))
        .set((repositories::sealed_master_key.eq(sealed), repositories::team_key_id.eq(none)))
        .execute(conn)
        .map(drop)
}

/// Puts another sealing of the master key in the place of `old`; false if another is there by now.
pub fn rewrap(conn: &mut Conn, old: &Repository, sealed: &str, key: TeamKeyId) -> QueryResult<bool> {
    let changed = diesel::update(repositories::table.find(old.id))
        .filter(repositories::sealed_master_key.eq(&old.sealed_master_key))
        .set((repositories::sealed_master_key.eq(sealed), repositories::team_key_id.eq(key)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Closes the repositories of a device's enrolments before `generation` to further backups.
pub fn close_older(conn: &mut Conn, device: DeviceId, generation: i64) -> QueryResult<usize> {
    diesel::update(repositories::table)
        .filter(repositories::device_id.eq(device).and(repositories::generation.lt(generation)))
        .set(repositories::state.eq(RepositoryState::ReadOnly))
        .execute(conn)
}

/// Sets the most a repository may hold, even below what it holds.
pub fn set_quota(conn: &mut Conn, id: RepositoryId, bytes: i64) -> QueryResult<()> {
    diesel::update(repositories::table.find(id)).set(repositories::quota_bytes.eq(bytes)).execute(conn).map(drop)
}

/// The most objects a repository may have: 4 TB in packs of 16 MiB. Each is a row, and takes memory in each
/// test.
pub const MAX_OBJECTS: i64 = 250_000;

/// Counts in an object received at `at`; false if the repository accepts no backups, or is full.
pub fn count_in(conn: &mut Conn, id: RepositoryId, size: i64, at: Time) -> QueryResult<bool> {
    // It never goes back, whatever the clock does: views as of a point rely on it.
    let newest_at =
        case_when(repositories::newest_at.gt(at), repositories::newest_at).otherwise(at.into_sql::<BigInt>());
    // Checked and counted in one statement, so that two uploads at once cannot both take the last room.
    let changed = diesel::update(repositories::table.find(id))
        .filter(repositories::state.eq(RepositoryState::Active))
        .filter((repositories::stored_bytes + size).le(repositories::quota_bytes))
        .filter(repositories::object_count.lt(MAX_OBJECTS))
        .filter(not(exists(team_quota::full_of())))
        .set((
            repositories::stored_bytes.eq(repositories::stored_bytes + size),
            repositories::object_count.eq(repositories::object_count + 1),
            repositories::newest_at.eq(newest_at),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Counts out an object.
pub fn count_out(conn: &mut Conn, id: RepositoryId, size: i64) -> QueryResult<()> {
    diesel::update(repositories::table.find(id))
        .set((
            repositories::stored_bytes.eq(repositories::stored_bytes - size),
            repositories::object_count.eq(repositories::object_count - 1),
        ))
        .execute(conn)
        .map(drop)
}

/// Counts out objects and their bytes; negative numbers count them in again, even into a full repository.
pub fn count_out_many(conn: &mut Conn, id: RepositoryId, (objects, bytes): (i64, i64)) -> QueryResult<()> {
    diesel::update(repositories::table.find(id))
        .set((
            repositories::stored_bytes.eq(repositories::stored_bytes - bytes),
            repositories::object_count.eq(repositories::object_count - objects),
        ))
        .execute(conn)
        .map(drop)
}

/// Counts in bytes that are not an object; false if the repository has no room for them.
pub fn charge(conn: &mut Conn, id: RepositoryId, bytes: i64) -> QueryResult<bool> {
    let changed = diesel::update(repositories::table.find(id))
        .filter((repositories::stored_bytes + bytes).le(repositories::quota_bytes))
        .set(repositories::stored_bytes.eq(repositories::stored_bytes + bytes))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Counts out bytes that are not an object.
pub fn discharge(conn: &mut Conn, id: RepositoryId, bytes: i64) -> QueryResult<()> {
    diesel::update(repositories::table.find(id))
        .set(repositories::stored_bytes.eq(repositories::stored_bytes - bytes))
        .execute(conn)
        .map(drop)
}

/// A token that is not revoked, with its repository.
pub fn find_token(conn: &mut Conn, hash: &str) -> QueryResult<Option<(RepositoryToken, Repository)>> {
    repository_tokens::table
        .inner_join(repositories::table.on(repositories::id.eq(repository_tokens::repository_id)))
        .filter(repository_tokens::token_hash.eq(hash).and(repository_tokens::revoked_at.is_null()))
        .select((RepositoryToken::as_select(), Repository::as_select()))
        .first(conn)
        .optional()
}

/// A token by its id.
pub fn token(conn: &mut Conn, id: RepositoryTokenId) -> QueryResult<Option<RepositoryToken>> {
    repository_tokens::table.find(id).select(RepositoryToken::as_select()).first(conn).optional()
}

/// The tokens of a repository, newest first, including revoked ones.
pub fn tokens(conn: &mut Conn, id: RepositoryId) -> QueryResult<Vec<RepositoryToken>> {
    repository_tokens::table
        .filter(repository_tokens::repository_id.eq(id))
        .order(repository_tokens::id.desc())
        .select(RepositoryToken::as_select())
        .load(conn)
}

/// Adds a token.
pub fn insert_token(conn: &mut Conn, token: &RepositoryToken) -> QueryResult<()> {
    diesel::insert_into(repository_tokens::table).values(token).execute(conn).map(drop)
}

/// Revokes a token; false if it was already revoked or is not there.
pub fn revoke_token(conn: &mut Conn, id: RepositoryTokenId, now: Time) -> QueryResult<bool> {
    let changed = diesel::update(repository_tokens::table.find(id))
        .filter(repository_tokens::revoked_at.is_null())
        .set(repository_tokens::revoked_at.eq(now))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Revokes every token of `kind` for the device's repositories of enrolments before `generation`.
pub fn revoke_older(
    conn: &mut Conn,
    device: DeviceId,
    generation: i64,
    kind: TokenKind,
    now: Time,
) -> QueryResult<usize> {
    let older = repositories::table
        .filter(repositories::device_id.eq(device).and(repositories::generation.lt(generation)))
        .select(repositories::id);
    diesel::update(repository_tokens::table)
        .filter(repository_tokens::repository_id.eq_any(older))
        .filter(repository_tokens::kind.eq(kind).and(repository_tokens::revoked_at.is_null()))
        .set(repository_tokens::revoked_at.eq(now))
        .execute(conn)
}

/// Revokes every token that an account made, of one kind.
pub fn revoke_of_user(conn: &mut Conn, user: UserId, kind: TokenKind, now: Time) -> QueryResult<usize> {
    diesel::update(repository_tokens::table)
        .filter(repository_tokens::user_id.eq(user).and(repository_tokens::kind.eq(kind)))
        .filter(repository_tokens::revoked_at.is_null())
        .set(repository_tokens::revoked_at.eq(now))
        .execute(conn)
}

/// Revokes every token of a device: nothing opens the door for it any more.
pub fn revoke_all(conn: &mut Conn, device: DeviceId, now: Time) -> QueryResult<usize> {
    let own = repositories::table.filter(repositories::device_id.eq(device)).select(repositories::id);
    diesel::update(repository_tokens::table)
        .filter(repository_tokens::repository_id.eq_any(own).and(repository_tokens::revoked_at.is_null()))
        .set(repository_tokens::revoked_at.eq(now))
        .execute(conn)
}
