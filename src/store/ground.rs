//! The state of the backup store, kept so that a restart forgets nothing, and how full the disks were.
use crate::store::schema::{device_proof, disk_samples, objects, repositories, restore_points};
use crate::store::setting::{self, Key, SettingValue};
use crate::store::upsert::UpsertExt;
use crate::store::{Conn, copy, wanted};
use crate::wake::Wanted;
use diesel::prelude::*;
use domain::ground::{Away, AwayCause, Disk, Ground, Sample, Stopped};
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::Time;

/// The state of the store and of the database, as last found.
pub fn find(conn: &mut Conn) -> QueryResult<Ground> {
    let database = setting::DATABASE_CHECK.find(conn)?.and_then(|it| it.trouble);
    let (stopped, mail) = (setting::STOPPED.find(conn)?, setting::UNDELIVERED.find(conn)?);
    Ok(Ground { away: away(conn)?, stopped, database, mail })
}

/// Since when the store cannot be read; none while it can.
pub fn away(conn: &mut Conn) -> QueryResult<Option<Away>> {
    read_away(conn, &setting::AWAY)
}

/// Since when the second store cannot be used, as whoever looked at it noted; none while it can. How long ago that was is not
/// asked: for those who look at it themselves.
pub fn copy_noted_away(conn: &mut Conn) -> QueryResult<Option<Away>> {
    read_away(conn, &setting::COPY_AWAY)
}

/// Since when nobody can say what the second store has: it cannot be used, or was not looked at for too long. None while it
/// can be. Whatever is said of the second store asks this.
pub fn copy_away(conn: &mut Conn, now: Time) -> QueryResult<Option<Away>> {
    if let Some(noted) = copy_noted_away(conn)? {
        return Ok(Some(noted));
    }
    let Some(second) = setting::COPY.find(conn)? else { return Ok(None) };
    let seen_at = setting::COPY_SEEN.find(conn)?;
    Ok(second.unseen(seen_at, now))
}

fn read_away(conn: &mut Conn, key: &Key<Away>) -> QueryResult<Option<Away>> {
    let entry = key.entry(conn)?;
    // What cannot be read still says that the store is away.
    Ok(entry.map(|it| {
        let (cause, since) = (AwayCause::Unreadable, it.updated_at);
        it.value.unwrap_or_else(|| Away { cause, why: "what was found cannot be read back".to_owned(), since })
    }))
}

fn write<T: SettingValue>(conn: &mut Conn, key: &Key<T>, value: Option<&T>, now: Time) -> QueryResult<()> {
    match value {
        Some(value) => key.set(conn, value, now),
        None => key.remove(conn),
    }
}

/// Records that the store cannot be read, or that it can, and with it what is known about each device that has
/// something in it.
pub fn set_away(conn: &mut Conn, away: Option<&Away>, now: Time) -> QueryResult<()> {
    write(conn, &setting::AWAY, away, now)?;
    if away.is_none() {
        // What waited for the store can be tested now.
        wanted::note(Wanted::Proof);
    }
    diesel::update(device_proof::table.filter(device_proof::stored_at.is_not_null()))
        .set(device_proof::store_away_since.eq(away.map(|it| it.since)))
        .execute(conn)
        .map(drop)
}

/// Records that the store accepts no backups, or that it does.
pub fn set_stopped(conn: &mut Conn, stopped: Option<&Stopped>, now: Time) -> QueryResult<()> {
    write(conn, &setting::STOPPED, stopped, now)
}

/// Whether the ledger has any object: then its bytes must be somewhere.
pub fn has_objects(conn: &mut Conn) -> QueryResult<bool> {
    let any = objects::table.select(objects::name).first::<String>(conn).optional()?;
    Ok(any.is_some())
}

/// Every repository.
pub fn repositories(conn: &mut Conn) -> QueryResult<Vec<RepositoryId>> {
    repositories::table.select(repositories::id).order(repositories::id).load(conn)
}

/// An object to look for, and its length.
pub type Witness = (RepositoryId, ObjectKind, ObjectName, i64);

/// An intact object from each of at most `limit` repositories after `after`: the newest snapshot, so that a
/// missing folder is noticed without reading everything.
pub fn witnesses(
    conn: &mut Conn,
    after: Option<RepositoryId>,
    limit: i64,
) -> QueryResult<Vec<(RepositoryId, Option<Witness>)>> {
    let mut next = repositories::table.select(repositories::id).order(repositories::id).limit(limit).into_boxed();
    if let Some(after) = after {
        next = next.filter(repositories::id.gt(after));
    }
    let mut found = Vec::new();
    for repository in next.load::<RepositoryId>(conn)? {
        found.push((repository, newest_snapshot(conn, repository)?));
    }
    Ok(found)
}

fn newest_snapshot(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<Witness>> {
    let snapshot = restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::stored_at.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::received_at.desc(), restore_points::id.desc()))
        .select(restore_points::snapshot_name)
        .first::<ObjectName>(conn)
        .optional()?;
    let Some(name) = snapshot else { return Ok(None) };
    let object = crate::store::object::find(conn, repository, ObjectKind::Snapshots, &name)?;
    let Some(object) = object else { return Ok(None) };
    // One that is known to be damaged would be found missing again in each run.
    let is_intact = copy::is_intact(conn, Location::Primary, repository, ObjectKind::Snapshots, &object.name)?;
    Ok(is_intact.then_some((repository, object.kind, object.name, object.size_bytes)))
}

/// Devices whose repository holds the most objects it may.
pub fn at_object_limit(conn: &mut Conn, most: i64) -> QueryResult<Vec<DeviceId>> {
    use domain::object::RepositoryState;
    repositories::table
        .filter(repositories::state.eq(RepositoryState::Active).and(repositories::object_count.ge(most)))
        .select(repositories::device_id)
        .limit(1000)
        .load(conn)
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = disk_samples)]
struct Row {
    disk: String,
    at: Time,
    free_bytes: i64,
    total_bytes: i64,
}

/// Adds a reading of a disk, and forgets those older than `cut`.
pub fn add_sample(conn: &mut Conn, disk: Disk, sample: Sample, cut: Time) -> QueryResult<()> {
    let row = Row {
        disk: disk.as_str().to_owned(),
        at: sample.at,
        free_bytes: sample.free_bytes,
        total_bytes: sample.total_bytes,
    };
    diesel::insert_into(disk_samples::table)
        .values(&row)
        .on_conflict_sql(
            "(disk, at) DO UPDATE SET free_bytes = excluded.free_bytes, total_bytes = excluded.total_bytes",
        )
        .execute(conn)?;
    diesel::delete(disk_samples::table.filter(disk_samples::disk.eq(disk.as_str()).and(disk_samples::at.lt(cut))))
        .execute(conn)
        .map(drop)
}

/// The readings of a disk, oldest first.
pub fn samples(conn: &mut Conn, disk: Disk) -> QueryResult<Vec<Sample>> {
    let rows = disk_samples::table
        .filter(disk_samples::disk.eq(disk.as_str()))
        .order(disk_samples::at)
        .select(Row::as_select())
        .load::<Row>(conn)?;
    Ok(rows
        .into_iter()
        .map(|it| Sample { at: it.at, free_bytes: it.free_bytes, total_bytes: it.total_bytes })
        .collect())
}
