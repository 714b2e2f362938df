//! Escrow records: each repository's master key, sealed to recovery keys.
use crate::store::Conn;
use crate::store::recovery_key::RecoveryKey;
use crate::store::repository::Repository;
use crate::store::schema::{copies, escrows, recovery_keys, repositories};
use crate::store::upsert::UpsertExt;
use diesel::dsl::{count, exists, not};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::id::{DeviceId, RecoveryKeyId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;

/// A master key that a recovery key opens.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = escrows)]
pub struct Escrow {
    pub repository_id: RepositoryId,
    pub recovery_key_id: RecoveryKeyId,
    /// The 64-byte master key in base64, sealed to the recovery key with [`escrow_context`].
    pub sealed_master_key: String,
    pub sealed_at: Time,
}

/// The sealing context of [`Escrow::sealed_master_key`].
pub fn escrow_context(id: RepositoryId) -> String {
    format!("holdfast/escrow/1/{id}")
}

/// Adds a record; one that is there stays.
pub fn insert(conn: &mut Conn, escrow: &Escrow) -> QueryResult<()> {
    diesel::insert_into(escrows::table)
        .values(escrow)
        .on_conflict_sql("(repository_id, recovery_key_id) DO NOTHING")
        .execute(conn)
        .map(drop)
}

/// The records of a repository, in the order of their keys.
pub fn of_repository(conn: &mut Conn, id: RepositoryId) -> QueryResult<Vec<Escrow>> {
    escrows::table
        .filter(escrows::repository_id.eq(id))
        .order(escrows::recovery_key_id)
        .select(Escrow::as_select())
        .load(conn)
}

/// At most `limit` records of a key, of repositories after `after`.
pub fn of_key(
    conn: &mut Conn,
    key: RecoveryKeyId,
    after: Option<RepositoryId>,
    limit: i64,
) -> QueryResult<Vec<Escrow>> {
    let mut next = escrows::table
        .filter(escrows::recovery_key_id.eq(key))
        .order(escrows::repository_id)
        .select(Escrow::as_select())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        next = next.filter(escrows::repository_id.gt(after));
    }
    next.load(conn)
}

/// At most `limit` repositories after `after` that have no record for a key, and whose master key is here.
pub fn missing(
    conn: &mut Conn,
    key: RecoveryKeyId,
    after: Option<RepositoryId>,
    limit: i64,
) -> QueryResult<Vec<Repository>> {
    let of_key = escrows::repository_id.eq(repositories::id).and(escrows::recovery_key_id.eq(key));
    let mut next = repositories::table
        .left_join(escrows::table.on(of_key))
        .filter(escrows::repository_id.nullable().is_null())
        .filter(repositories::key_holder.eq(KeyHolder::Server))
        .order(repositories::id)
        .select(Repository::as_select())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        next = next.filter(repositories::id.gt(after));
    }
    next.load(conn)
}

/// How many repositories have a record for a key that is confirmed and not retired, other than `without`.
pub fn covered(conn: &mut Conn, without: Option<RecoveryKeyId>) -> QueryResult<i64> {
    let mut count = escrows::table
        .inner_join(recovery_keys::table.on(recovery_keys::id.eq(escrows::recovery_key_id)))
        .filter(recovery_keys::confirmed_at.is_not_null().and(recovery_keys::retired_at.is_null()))
        .select(count(escrows::repository_id).aggregate_distinct())
        .into_boxed();
    if let Some(without) = without {
        count = count.filter(recovery_keys::id.ne(without));
    }
    count.first(conn)
}

/// Which records count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// All of them.
    InDatabase,
    /// Those that the second store has as well.
    OnCopy,
}

/// The devices with a repository that no confirmed recovery key opens, by these records.
pub fn uncovered_devices(conn: &mut Conn, records: Records) -> QueryResult<Vec<DeviceId>> {
    let counts = records == Records::InDatabase;
    let opened = escrows::table
        .inner_join(recovery_keys::table.on(recovery_keys::id.eq(escrows::recovery_key_id)))
        .filter(recovery_keys::confirmed_at.is_not_null().and(recovery_keys::retired_at.is_null()))
        .filter(escrows::object_name.is_not_null().or(counts.into_sql::<Bool>()))
        .filter(escrows::repository_id.eq(repositories::id));
    repositories::table.filter(not(exists(opened))).select(repositories::device_id).distinct().load(conn)
}

/// Forgets at most `limit` records of a key; returns how many.
pub fn forget(conn: &mut Conn, key: RecoveryKeyId, limit: i64) -> QueryResult<usize> {
    let some: Vec<RepositoryId> = escrows::table
        .filter(escrows::recovery_key_id.eq(key))
        .order(escrows::repository_id)
        .limit(limit)
        .select(escrows::repository_id)
        .load(conn)?;
    diesel::delete(escrows::table.filter(escrows::recovery_key_id.eq(key).and(escrows::repository_id.eq_any(some))))
        .execute(conn)
}

/// At most `limit` of those that have no record on the second store, and whose repository is there whole enough to be
/// opened. Only of keys that stand and are among `public`.
pub fn unkept(conn: &mut Conn, public: &[String], limit: i64) -> QueryResult<Vec<(Escrow, RecoveryKey)>> {
    // The config goes last: what it opens is there.
    let its_config = copies::table
        .filter(copies::repository_id.eq(escrows::repository_id).and(copies::kind.eq(ObjectKind::Config)))
        .filter(copies::location.eq(Location::Copy).and(copies::damaged_at.is_null()));
    escrows::table
        .inner_join(recovery_keys::table.on(recovery_keys::id.eq(escrows::recovery_key_id)))
        .filter(escrows::object_name.is_null().and(recovery_keys::retired_at.is_null()))
        .filter(recovery_keys::public_key.eq_any(public.to_vec()))
        .filter(exists(its_config))
        .order((escrows::repository_id, escrows::recovery_key_id))
        .limit(limit)
        .select((Escrow::as_select(), RecoveryKey::as_select()))
        .load(conn)
}

/// Notes the record that the second store has, or that it has none.
pub fn note_kept(
    conn: &mut Conn,
    (repository, key): (RepositoryId, RecoveryKeyId),
    record: Option<&ObjectName>,
    now: Time,
) -> QueryResult<()> {
    diesel::update(escrows::table.find((repository, key)))
        .set((escrows::object_name.eq(record), escrows::kept_at.eq(record.map(|_| now))))
        .execute(conn)
        .map(drop)
}

/// The records that the second store should have.
pub fn kept(conn: &mut Conn) -> QueryResult<Vec<(RepositoryId, RecoveryKeyId, ObjectName)>> {
    escrows::table
        .filter(escrows::object_name.is_not_null())
        .order((escrows::repository_id, escrows::recovery_key_id))
        .select((escrows::repository_id, escrows::recovery_key_id, escrows::object_name.assume_not_null()))
        .load(conn)
}

/// How many repositories have a record on the second store, of a key that stands and whose shares were typed back.
pub fn kept_count(conn: &mut Conn) -> QueryResult<i64> {
    escrows::table
        .inner_join(recovery_keys::table.on(recovery_keys::id.eq(escrows::recovery_key_id)))
        .filter(recovery_keys::confirmed_at.is_not_null().and(recovery_keys::retired_at.is_null()))
        .filter(escrows::object_name.is_not_null())
        .select(count(escrows::repository_id).aggregate_distinct())
        .first(conn)
}

/// Forgets which records a second store has: another one takes its place.
pub fn forget_kept(conn: &mut Conn) -> QueryResult<usize> {
    let none: Option<ObjectName> = None;
    diesel::update(escrows::table)
        .filter(escrows::object_name.is_not_null())
        .set((escrows::object_name.eq(none), escrows::kept_at.eq(None::<Time>)))
        .execute(conn)
}
