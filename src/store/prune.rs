//! What moved to the trash, and what of it is still there.
//!
//! A trashed object has no row in the ledger, so nothing that reads the ledger can come upon it.
use crate::store::schema::{copies, objects, prunes, restore_points, trashed_objects};
use crate::store::upsert::UpsertExt;
use crate::store::{Conn, copy};
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::id::{DeviceId, PruneId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::retention::PruneState;
use domain::time::Time;

/// What moved to the trash at once, of one repository.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = prunes, treat_none_as_default_value = false)]
pub struct Prune {
    pub id: PruneId,
    pub repository_id: RepositoryId,
    pub device_id: DeviceId,
    pub state: PruneState,
    /// What was kept, as text.
    pub rule: String,
    /// Of the device's newest point at that time.
    pub sequence: i64,
    pub point_count: i64,
    pub object_count: i64,
    pub byte_count: i64,
    /// JSON: the names of the indexes that were written in place of others.
    pub published: String,
    pub trashed_at: Time,
    /// From when it may be erased.
    pub erase_at: Time,
    pub ended_at: Option<Time>,
}

/// An object in the trash, with what is known of its bytes at the primary location.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = trashed_objects, treat_none_as_default_value = false)]
pub struct TrashedObject {
    pub prune_id: PruneId,
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub size_bytes: i64,
    pub received_at: Time,
    pub verified_at: Option<Time>,
    pub damaged_at: Option<Time>,
    /// When its bytes were moved from their place to the store's trash.
    pub aside_at: Option<Time>,
}

/// Those that are not over.
pub const OPEN: [PruneState; 3] = [PruneState::Trashed, PruneState::Undoing, PruneState::Erasing];

/// A prune by its id.
pub fn find(conn: &mut Conn, id: PruneId) -> QueryResult<Option<Prune>> {
    prunes::table.find(id).select(Prune::as_select()).first(conn).optional()
}

/// The prune of a repository that is not over; there is at most one.
pub fn open_of(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<Prune>> {
    prunes::table
        .filter(prunes::repository_id.eq(repository).and(prunes::state.eq_any(OPEN)))
        .select(Prune::as_select())
        .first(conn)
        .optional()
}

/// When what a prune of a repository had moved was last put back.
pub fn put_back_at(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<Time>> {
    let newest: Option<Option<Time>> = prunes::table
        .filter(prunes::repository_id.eq(repository).and(prunes::state.eq(PruneState::Undone)))
        .order(prunes::ended_at.desc())
        .select(prunes::ended_at)
        .first(conn)
        .optional()?;
    Ok(newest.flatten())
}

/// Prunes in these states, oldest first.
pub fn in_states(conn: &mut Conn, states: &[PruneState], limit: i64) -> QueryResult<Vec<Prune>> {
    prunes::table
        .filter(prunes::state.eq_any(states.to_vec()))
        .order((prunes::erase_at, prunes::id))
        .limit(limit)
        .select(Prune::as_select())
        .load(conn)
}

/// Those that moved to the trash or were erased after a time, and those in the trash that may be erased after one and until
/// another.
pub fn changed_since(conn: &mut Conn, since: Time, (after, until): (Time, Time)) -> QueryResult<Vec<Prune>> {
    let is_soon = prunes::state.eq(PruneState::Trashed).and(prunes::erase_at.gt(after).and(prunes::erase_at.le(until)));
    let was_erased = prunes::state.eq(PruneState::Erased).and(prunes::ended_at.gt(since));
    prunes::table
        .filter(prunes::trashed_at.gt(since).or(is_soon).or(was_erased))
        .order((prunes::erase_at, prunes::id))
        .select(Prune::as_select())
        .load(conn)
}

/// Prunes in the trash after which a point of the same repository came whose test failed, and that was not made good.
pub fn failed_since(conn: &mut Conn) -> QueryResult<Vec<PruneId>> {
    let of_repository = restore_points::table.on(restore_points::repository_id.eq(prunes::repository_id));
    prunes::table
        .inner_join(of_repository)
        .filter(prunes::state.eq(PruneState::Trashed).and(restore_points::sequence.gt(prunes::sequence)))
        .filter(restore_points::failed_at.is_not_null().and(restore_points::made_good_at.is_null()))
        .filter(restore_points::trashed_by.is_null())
        .select(prunes::id)
        .distinct()
        .load(conn)
}

/// The newest prunes of a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<Prune>> {
    prunes::table
        .filter(prunes::device_id.eq(device))
        .order((prunes::trashed_at.desc(), prunes::id.desc()))
        .limit(limit)
        .select(Prune::as_select())
        .load(conn)
}

/// Adds a prune.
pub fn insert(conn: &mut Conn, prune: &Prune) -> QueryResult<()> {
    diesel::insert_into(prunes::table).values(prune).execute(conn).map(drop)
}

/// Rewrites how many objects and bytes a prune moved.
pub fn set_sizes(conn: &mut Conn, prune: &Prune) -> QueryResult<()> {
    diesel::update(prunes::table.find(prune.id))
        .set((prunes::object_count.eq(prune.object_count), prunes::byte_count.eq(prune.byte_count)))
        .execute(conn)
        .map(drop)
}

/// Moves a prune from one state to the next; false if something came in between.
pub fn advance(
    conn: &mut Conn,
    id: PruneId,
    (from, to): (PruneState, PruneState),
    ended_at: Option<Time>,
) -> QueryResult<bool> {
    let which = prunes::table.find(id).filter(prunes::state.eq(from));
    Ok(diesel::update(which).set((prunes::state.eq(to), prunes::ended_at.eq(ended_at))).execute(conn)? == 1)
}

/// Moves objects of a kind from the ledger to the trash of a prune; returns how many, and their bytes.
pub fn trash(
    conn: &mut Conn,
    (prune, repository): (PruneId, RepositoryId),
    kind: ObjectKind,
    names: &[ObjectName],
) -> QueryResult<(i64, i64)> {
    let (mut count, mut bytes) = (0, 0);
    for some in names.chunks(500) {
        let which =
            objects::repository_id.eq(repository).and(objects::kind.eq(kind)).and(objects::name.eq_any(some.to_vec()));
        let its_copy = copies::table.on(copies::repository_id
            .eq(objects::repository_id)
            .and(copies::kind.eq(objects::kind))
            .and(copies::name.eq(objects::name))
            .and(copies::location.eq(Location::Primary)));
        type Row = (ObjectName, i64, Time, Option<Time>, Option<Time>);
        let rows: Vec<Row> = objects::table
            .left_join(its_copy)
            .filter(which)
            .select((
                objects::name,
                objects::size_bytes,
                objects::received_at,
                copies::verified_at.nullable(),
                copies::damaged_at.nullable(),
            ))
            .load(conn)?;
        for (name, size_bytes, received_at, verified_at, damaged_at) in rows {
            let row = TrashedObject {
                prune_id: prune,
                repository_id: repository,
                kind,
                name,
                size_bytes,
                received_at,
                verified_at,
                damaged_at,
                aside_at: None,
            };
            diesel::insert_into(trashed_objects::table).values(&row).execute(conn)?;
            (count, bytes) = (count + 1, bytes + size_bytes);
        }
        let which =
            objects::repository_id.eq(repository).and(objects::kind.eq(kind)).and(objects::name.eq_any(some.to_vec()));
        // Its copies go with it, by their foreign key.
        diesel::delete(objects::table.filter(which)).execute(conn)?;
    }
    Ok((count, bytes))
}

/// What of a prune is in the trash, at most `limit`; with `is_at_its_place` only what was not moved yet.
pub fn objects(conn: &mut Conn, prune: PruneId, is_at_its_place: bool, limit: i64) -> QueryResult<Vec<TrashedObject>> {
    let mut query = trashed_objects::table
        .filter(trashed_objects::prune_id.eq(prune))
        .order((trashed_objects::kind, trashed_objects::name))
        .limit(limit)
        .select(TrashedObject::as_select())
        .into_boxed();
    if is_at_its_place {
        query = query.filter(trashed_objects::aside_at.is_null());
    }
    query.load(conn)
}

/// Whether the ledger has a row of the same name again: it was sent once more after it had been trashed.
pub fn is_in_ledger(conn: &mut Conn, it: &TrashedObject) -> QueryResult<bool> {
    let row = objects::table.find((it.repository_id, it.kind, it.name.clone()));
    diesel::select(exists(row)).get_result(conn)
}

/// Objects in the trash that the ledger has again.
pub fn sent_again(conn: &mut Conn, limit: i64) -> QueryResult<Vec<TrashedObject>> {
    let is_its_row = objects::repository_id
        .eq(trashed_objects::repository_id)
        .and(objects::kind.eq(trashed_objects::kind))
        .and(objects::name.eq(trashed_objects::name));
    trashed_objects::table
        .inner_join(objects::table.on(is_its_row))
        .limit(limit)
        .select(TrashedObject::as_select())
        .load(conn)
}

/// Notes when the bytes of an object were moved to the trash; none when they were moved back.
pub fn set_aside(conn: &mut Conn, it: &TrashedObject, at: Option<Time>) -> QueryResult<()> {
    diesel::update(trashed_objects::table.find((it.prune_id, it.kind, it.name.clone())))
        .set(trashed_objects::aside_at.eq(at))
        .execute(conn)
        .map(drop)
}

/// Forgets an object whose bytes are erased.
pub fn forget(conn: &mut Conn, it: &TrashedObject) -> QueryResult<()> {
    diesel::delete(trashed_objects::table.find((it.prune_id, it.kind, it.name.clone()))).execute(conn).map(drop)
}

/// Whether an object is in the trash, or is the snapshot of a point that ended: whatever brings its bytes back, nobody
/// sent it anew.
pub fn has_ended(conn: &mut Conn, id: RepositoryId, kind: ObjectKind, name: &ObjectName) -> QueryResult<bool> {
    let trashed = trashed_objects::table
        .filter(trashed_objects::repository_id.eq(id).and(trashed_objects::kind.eq(kind)))
        .filter(trashed_objects::name.eq(name));
    if diesel::select(exists(trashed)).get_result(conn)? {
        return Ok(true);
    }
    let ended = restore_points::table
        .filter(restore_points::repository_id.eq(id).and(restore_points::snapshot_name.eq(name)))
        .filter(restore_points::trashed_by.is_not_null());
    Ok(kind == ObjectKind::Snapshots && diesel::select(exists(ended)).get_result(conn)?)
}

/// Gives an object its row in the ledger back; false if one is there.
pub fn put_back(conn: &mut Conn, it: &TrashedObject, now: Time) -> QueryResult<bool> {
    let added = diesel::insert_into(objects::table)
        .values((
            objects::repository_id.eq(it.repository_id),
            objects::kind.eq(it.kind),
            objects::name.eq(it.name.clone()),
            objects::size_bytes.eq(it.size_bytes),
            objects::received_at.eq(it.received_at),
        ))
        .on_conflict_sql("(repository_id, kind, name) DO NOTHING")
        .execute(conn)?;
    if added == 1 {
        copy::put_back(conn, (it.repository_id, it.kind, &it.name), (it.verified_at, it.damaged_at), now)?;
    }
    forget(conn, it)?;
    Ok(added == 1)
}
