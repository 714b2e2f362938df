//! The ledger: an object is there when its row is.
use crate::store::schema::{copies, objects};
use crate::store::upsert::UpsertExt;
use crate::store::{Conn, avoided_pack, copy};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;
use domain::verification::Rank;

/// One stored object.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = objects, treat_none_as_default_value = false)]
pub struct Object {
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub size_bytes: i64,
    /// By the server's clock; the basis of point-in-time views.
    pub received_at: Time,
}

impl Object {
    /// The size, which is never negative.
    pub fn size(&self) -> u64 {
        u64::try_from(self.size_bytes).unwrap_or(0)
    }
}

/// An object by its key.
pub fn find(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
) -> QueryResult<Option<Object>> {
    objects::table.find((repository, kind, name)).select(Object::as_select()).first(conn).optional()
}

/// Adds an object whose bytes are at `location`; false if it is already there.
pub fn insert(conn: &mut Conn, object: &Object, location: Location) -> QueryResult<bool> {
    let added = diesel::insert_into(objects::table)
        .values(object)
        .on_conflict_sql("(repository_id, kind, name) DO NOTHING")
        .execute(conn)?;
    if added == 1 {
        copy::insert(conn, location, object.repository_id, object.kind, &object.name, object.received_at)?;
    }
    Ok(added == 1)
}

/// Removes an object and its copies; false if it was not there.
pub fn remove(conn: &mut Conn, repository: RepositoryId, kind: ObjectKind, name: &ObjectName) -> QueryResult<bool> {
    // Its copies go with it, by their foreign key.
    let removed = diesel::delete(objects::table.find((repository, kind, name))).execute(conn)?;
    Ok(removed == 1)
}

/// The objects of a kind by name, with their sizes; with `until` only those received up to it.
///
/// Damaged indexes and snapshots are left out: a client reads everything listed, and one it cannot read would
/// stop it from backing up. So are indexes that name a pack which no store has intact, once there is one without it.
pub fn list(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    until: Option<Time>,
) -> QueryResult<Vec<(ObjectName, i64)>> {
    let mut query = objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(kind)))
        .order(objects::name)
        .select((objects::name, objects::size_bytes))
        .into_boxed();
    if matches!(kind, ObjectKind::Index | ObjectKind::Snapshots) {
        let damaged = copies::table
            .filter(copies::repository_id.eq(repository).and(copies::kind.eq(kind)))
            .filter(copies::location.eq(Location::Primary).and(copies::damaged_at.is_not_null()))
            .select(copies::name);
        query = query.filter(objects::name.ne_all(damaged));
    }
    if let Some(until) = until {
        query = query.filter(objects::received_at.le(until));
    }
    let found: Vec<(ObjectName, i64)> = query.load(conn)?;
    if kind != ObjectKind::Index {
        return Ok(found);
    }
    let hidden = avoided_pack::hidden_indexes(conn, repository)?;
    Ok(found.into_iter().filter(|it| !hidden.contains(&it.0)).collect())
}

/// Every object of a repository; with `until` only those received up to it.
pub fn all(conn: &mut Conn, repository: RepositoryId, until: Option<Time>) -> QueryResult<Vec<Object>> {
    let mut query = objects::table
        .filter(objects::repository_id.eq(repository))
        .order((objects::kind, objects::name))
        .select(Object::as_select())
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(objects::received_at.le(until));
    }
    query.load(conn)
}

/// How many objects of a kind there are.
pub fn count(conn: &mut Conn, repository: RepositoryId, kind: ObjectKind) -> QueryResult<i64> {
    objects::table.filter(objects::repository_id.eq(repository).and(objects::kind.eq(kind))).count().get_result(conn)
}

/// How many bytes the chosen objects have together: a number on both databases, which sum in types of their own.
pub(super) fn sum() -> SqlLiteral<BigInt> {
    sql("CAST(COALESCE(SUM(objects.size_bytes), 0) AS BIGINT)")
}

/// The bytes of the packs of a repository that were received after `from` and not after `to`.
pub fn received_between(conn: &mut Conn, repository: RepositoryId, (from, to): (Time, Time)) -> QueryResult<i64> {
    let sizes = objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(ObjectKind::Data)))
        .filter(objects::received_at.gt(from).and(objects::received_at.le(to)))
        .select(objects::size_bytes)
        .load::<i64>(conn)?;
    Ok(sizes.iter().sum())
}

/// The bytes of the packs of a repository that were received up to `cut` and that its newest tested backup does not need.
pub fn spare_bytes(conn: &mut Conn, repository: RepositoryId, cut: Time) -> QueryResult<i64> {
    let needed = copies::table
        .filter(copies::repository_id.eq(repository).and(copies::kind.eq(ObjectKind::Data)))
        .filter(copies::location.eq(Location::Primary).and(copies::rank.eq(Rank::Needed)))
        .select(copies::name);
    objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(ObjectKind::Data)))
        .filter(objects::received_at.le(cut).and(objects::name.ne_all(needed)))
        .select(sum())
        .first(conn)
}

/// The bytes of everything of a repository that a prune may take besides packs: indexes, snapshots and manifests.
pub fn record_bytes(conn: &mut Conn, repository: RepositoryId) -> QueryResult<i64> {
    const RECORDS: [ObjectKind; 3] = [ObjectKind::Index, ObjectKind::Snapshots, ObjectKind::Manifests];
    objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq_any(RECORDS.to_vec())))
        .select(sum())
        .first(conn)
}

/// When the newest object of a kind was received; none if there is none.
pub fn newest_of(conn: &mut Conn, repository: RepositoryId, kind: ObjectKind) -> QueryResult<Option<Time>> {
    objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(kind)))
        .order(objects::received_at.desc())
        .select(objects::received_at)
        .first(conn)
        .optional()
}

/// Objects of a kind that were received before `cut`.
pub fn received_before(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    cut: Time,
) -> QueryResult<Vec<Object>> {
    objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(kind)))
        .filter(objects::received_at.lt(cut))
        .select(Object::as_select())
        .load(conn)
}
