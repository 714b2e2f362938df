//! Escrow records: each repository's master key, sealed to recovery keys.
use crate::store::Conn;
use crate::store::repository::Repository;
use crate::store::schema::{escrows, recovery_keys, repositories};
use crate::store::upsert::UpsertExt;
use diesel::dsl::count;
use diesel::prelude::*;
use domain::id::{RecoveryKeyId, RepositoryId};
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

/// At most `limit` repositories after `after` that have no record for a key.
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
