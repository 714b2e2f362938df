//! Copies: where the bytes of each object are, and whether they were intact when they were last looked at.
use crate::store::Conn;
use crate::store::schema::{copies, objects, repositories};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;
use domain::verification::Rank;

/// The bytes of an object at one location.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = copies, treat_none_as_default_value = false)]
pub struct StoredCopy {
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub location: Location,
    /// What is read back again first.
    pub rank: Rank,
    /// When its bytes came there.
    pub added_at: Time,
    /// When these bytes were last read back from the disk itself, past the system's cache, and matched its name.
    pub verified_at: Option<Time>,
    /// When it was found missing or changed; none while it is intact.
    pub damaged_at: Option<Time>,
}

impl StoredCopy {
    /// One that nobody has looked at.
    fn new(
        location: Location,
        repository_id: RepositoryId,
        kind: ObjectKind,
        name: &ObjectName,
        added_at: Time,
    ) -> Self {
        let rank = Rank::at_first(kind, location);
        Self { repository_id, kind, name: name.clone(), location, rank, added_at, verified_at: None, damaged_at: None }
    }
}

/// The copy of an object at a location.
pub fn find(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
) -> QueryResult<Option<StoredCopy>> {
    copies::table.find((repository, kind, name, location)).select(StoredCopy::as_select()).first(conn).optional()
}

/// Whether a location has a copy of an object that nobody has found damaged.
pub fn is_intact(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
) -> QueryResult<bool> {
    Ok(find(conn, location, repository, kind, name)?.is_some_and(|it| it.damaged_at.is_none()))
}

/// What restore points may need and is damaged at the primary location. A macro, because diesel knows each place it is used
/// in as a type of its own.
macro_rules! needed_and_damaged {
    () => {
        copies::damaged_at
            .is_not_null()
            .and(copies::location.eq(Location::Primary))
            .and(copies::kind.eq_any(ObjectKind::NEEDED.to_vec()))
    };
}

/// Whether anything that restore points of a repository may need is damaged at the primary location.
pub fn has_damage(conn: &mut Conn, repository: RepositoryId) -> QueryResult<bool> {
    let damaged = copies::table.filter(copies::repository_id.eq(repository).and(needed_and_damaged!()));
    diesel::select(diesel::dsl::exists(damaged)).get_result(conn)
}

/// How many devices have a repository of which [`has_damage`] holds.
pub fn damaged_devices(conn: &mut Conn) -> QueryResult<i64> {
    copies::table
        .inner_join(repositories::table.on(repositories::id.eq(copies::repository_id)))
        .filter(needed_and_damaged!())
        .select(diesel::dsl::count(repositories::device_id).aggregate_distinct())
        .first(conn)
}

/// Adds the copy of an object whose bytes came to a location at `added_at`.
pub(super) fn insert(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
    added_at: Time,
) -> QueryResult<()> {
    add(conn, StoredCopy::new(location, repository, kind, name, added_at))
}

/// Damaged objects of the backup store of which the second one has a copy that nobody found damaged.
pub fn repairable(conn: &mut Conn, limit: i64) -> QueryResult<Vec<(RepositoryId, ObjectKind, ObjectName)>> {
    let its_object = objects::repository_id
        .eq(copies::repository_id)
        .and(objects::kind.eq(copies::kind))
        .and(objects::name.eq(copies::name));
    copies::table
        .inner_join(objects::table.on(its_object))
        .filter(copies::location.eq(Location::Primary).and(copies::damaged_at.is_not_null()))
        .filter(objects::uncopied.is_null())
        .order((copies::repository_id, copies::kind, copies::name))
        .limit(limit)
        .select((copies::repository_id, copies::kind, copies::name))
        .load(conn)
}

/// Whether the ledger says that the second store has anything.
pub fn has_any(conn: &mut Conn) -> QueryResult<bool> {
    let any = copies::table
        .filter(copies::location.eq(Location::Copy))
        .select(copies::repository_id)
        .first::<RepositoryId>(conn)
        .optional()?;
    Ok(any.is_some())
}

/// Forgets what the second store had of a repository.
pub fn forget(conn: &mut Conn, repository: RepositoryId) -> QueryResult<usize> {
    diesel::delete(
        copies::table.filter(copies::repository_id.eq(repository)).filter(copies::location.eq(Location::Copy)),
    )
    .execute(conn)
}

/// Adds the copy of an object that came back from the trash, with what was known of it: when it was read back, and when
/// it was found damaged.
pub(super) fn put_back(
    conn: &mut Conn,
    (repository, kind, name): (RepositoryId, ObjectKind, &ObjectName),
    (verified_at, damaged_at): (Option<Time>, Option<Time>),
    now: Time,
) -> QueryResult<()> {
    // Its bytes came back to their place now: where they are read back is a question of where they are.
    let copy = StoredCopy::new(Location::Primary, repository, kind, name, now);
    add(conn, StoredCopy { verified_at, damaged_at, ..copy })
}

fn add(conn: &mut Conn, copy: StoredCopy) -> QueryResult<()> {
    diesel::insert_into(copies::table).values(copy).execute(conn).map(drop)
}

/// Marks a copy as damaged; false if it was already marked, or there is no such object.
pub fn mark_damaged(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
    now: Time,
) -> QueryResult<bool> {
    let changed = diesel::update(copies::table.find((repository, kind, name, location)))
        .filter(copies::damaged_at.is_null())
        .set(copies::damaged_at.eq(now))
        .execute(conn)?;
    if changed == 1 || find(conn, location, repository, kind, name)?.is_some() {
        return Ok(changed == 1);
    }
    // Where nobody noted a copy, nobody else has told of its damage either.
    let is_object = diesel::dsl::exists(objects::table.find((repository, kind, name)));
    let is_there: bool = diesel::select(is_object).get_result(conn)?;
    if is_there {
        let copy = StoredCopy::new(location, repository, kind, name, now);
        add(conn, StoredCopy { damaged_at: Some(now), ..copy })?;
    }
    Ok(is_there)
}

/// Marks a copy as whole: its bytes were put in place anew at `now`, and are still to be read back.
pub fn mark_healed(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    kind: ObjectKind,
    name: &ObjectName,
    now: Time,
) -> QueryResult<()> {
    diesel::insert_into(copies::table)
        .values(StoredCopy::new(location, repository, kind, name, now))
        .on_conflict_sql(
            "(repository_id, kind, name, location) DO UPDATE SET added_at = excluded.added_at, \
             verified_at = excluded.verified_at, damaged_at = excluded.damaged_at",
        )
        .execute(conn)
        .map(drop)
}

/// Ends the damage of packs that a test that began at `started` read whole; returns how many there were.
///
/// What was found damaged since then may have been read earlier, and stays damaged. It is no read-back: a test may have
/// read what the system had in memory.
pub fn end_damage(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    packs: &[ObjectName],
    started: Time,
) -> QueryResult<usize> {
    let mut healed = 0;
    for some in packs.chunks(500) {
        let read = copies::table
            .filter(copies::repository_id.eq(repository).and(copies::kind.eq(ObjectKind::Data)))
            .filter(copies::location.eq(location).and(copies::name.eq_any(some.to_vec())));
        healed += diesel::update(read.filter(copies::damaged_at.lt(started)))
            .set(copies::damaged_at.eq(None::<Time>))
            .execute(conn)?;
    }
    Ok(healed)
}
