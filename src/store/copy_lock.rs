//! What the second store's bucket locks, and what it holds.
use crate::store::Conn;
use crate::store::schema::{copies, copy_locks, objects};
use crate::store::upsert::UpsertExt;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;

/// The lock of one object, as it was last set.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = copy_locks, treat_none_as_default_value = false)]
pub struct CopyLock {
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    /// Of the bytes that are locked: others that came since then are not.
    pub added_at: Time,
    pub locked_until: Time,
    /// Since when a legal hold is on it.
    pub held_at: Option<Time>,
}

/// An object whose lock or hold is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Due {
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub added_at: Time,
    /// Whether it is to be held.
    pub received_at: Time,
    /// What was last set, of these or of earlier bytes.
    pub lock: Option<CopyLock>,
}

/// What should be true of a repository's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// A lock that ends before this is made longer.
    pub due_before: Time,
    /// What was received up to then is held; none if nothing is.
    pub held_until: Option<Time>,
}

impl Wanted {
    /// The time as it is compared: nothing was received before all times.
    fn held_until(self) -> Time {
        self.held_until.unwrap_or(Time::from_millis(i64::MIN))
    }
}

/// Whether the bytes of a lock and of a copy are of the same object. A macro, because diesel knows each place it is used
/// in as a type of its own.
macro_rules! same {
    ($one:ident, $other:ident) => {
        $one::repository_id.eq($other::repository_id).and($one::kind.eq($other::kind)).and($one::name.eq($other::name))
    };
}

/// Forgets until when everything is locked, because it is locked in another mode than it should be now: all of it is due.
pub fn set_all_due(conn: &mut Conn) -> QueryResult<usize> {
    diesel::update(copy_locks::table).set(copy_locks::locked_until.eq(Time::from_millis(0))).execute(conn)
}

/// At most `limit` objects of a repository that the second store has, and of which something is to be set.
pub fn due(conn: &mut Conn, repository: RepositoryId, wanted: Wanted, limit: i64) -> QueryResult<Vec<Due>> {
    let (lock, held) = (copy_locks::all_columns.nullable(), wanted.held_until());
    let is_new = copy_locks::added_at.nullable().is_null().or(copy_locks::added_at.ne(copies::added_at));
    let ends = copy_locks::locked_until.lt(wanted.due_before);
    let to_hold = copy_locks::held_at.is_null().and(objects::received_at.le(held));
    let to_free = copy_locks::held_at.is_not_null().and(objects::received_at.gt(held));
    copies::table
        .inner_join(objects::table.on(same!(objects, copies)))
        .left_join(copy_locks::table.on(same!(copy_locks, copies)))
        .filter(copies::repository_id.eq(repository).and(copies::location.eq(Location::Copy)))
        .filter(copies::damaged_at.is_null())
        .filter(is_new.or(ends).or(to_hold).or(to_free).assume_not_null())
        .order((copies::kind, copies::name))
        .limit(limit)
        .select((copies::kind, copies::name, copies::added_at, objects::received_at, lock))
        .load(conn)
}

/// Forgets the locks of objects that have ended, but for those that are held.
pub fn forget_ended(conn: &mut Conn, repository: RepositoryId) -> QueryResult<usize> {
    let ended = copy_locks::table
        .filter(copy_locks::repository_id.eq(repository).and(copy_locks::held_at.is_null()))
        .filter(not(exists(objects::table.filter(same!(objects, copy_locks)))));
    diesel::delete(ended).execute(conn)
}

/// Locks of objects that have ended and are held.
pub fn held_ended(conn: &mut Conn, repository: RepositoryId, limit: i64) -> QueryResult<Vec<CopyLock>> {
    copy_locks::table
        .filter(copy_locks::repository_id.eq(repository).and(copy_locks::held_at.is_not_null()))
        .filter(not(exists(objects::table.filter(same!(objects, copy_locks)))))
        .order((copy_locks::kind, copy_locks::name))
        .limit(limit)
        .select(CopyLock::as_select())
        .load(conn)
}

/// Keeps what was set.
pub fn set(conn: &mut Conn, lock: CopyLock) -> QueryResult<()> {
    diesel::insert_into(copy_locks::table)
        .values(lock)
        .on_conflict_sql(
            "(repository_id, kind, name) DO UPDATE SET added_at = excluded.added_at, \
             locked_until = excluded.locked_until, held_at = excluded.held_at",
        )
        .execute(conn)
        .map(drop)
}

/// Forgets the lock of an object.
pub fn remove(conn: &mut Conn, repository: RepositoryId, kind: ObjectKind, name: &ObjectName) -> QueryResult<()> {
    diesel::delete(copy_locks::table.find((repository, kind, name))).execute(conn).map(drop)
}

/// Forgets what an earlier second store locked of a repository.
pub fn forget(conn: &mut Conn, repository: RepositoryId) -> QueryResult<usize> {
    diesel::delete(copy_locks::table.filter(copy_locks::repository_id.eq(repository))).execute(conn)
}
