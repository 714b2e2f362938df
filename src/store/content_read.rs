//! Who read what devices backed up. The history names no files, because not everybody who reads it may see their
//! names; these rows do.
use crate::store::Conn;
use crate::store::schema::content_reads;
use diesel::prelude::*;
use domain::content::{ReadKind, ReadOutcome};
use domain::id::{ContentReadId, DeviceId, RestorePointId, UserId};
use domain::time::Time;

/// One time somebody read.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = content_reads, treat_none_as_default_value = false)]
pub struct ContentRead {
    pub id: ContentReadId,
    pub kind: ReadKind,
    pub device_id: DeviceId,
    pub restore_point_id: RestorePointId,
    pub user_id: UserId,
    pub user_name: String,
    pub at: Time,
    /// In the manifest's spelling; empty for the top.
    pub path: String,
    /// Why; empty if nothing left the server.
    pub reason: String,
    /// How a download ended; none while it runs, or if the server ended before it did.
    pub outcome: Option<ReadOutcome>,
    /// What went wrong.
    pub note: String,
    /// How many bytes of files were sent.
    pub byte_count: i64,
    pub finished_at: Option<Time>,
}

/// Adds one.
pub fn insert(conn: &mut Conn, read: &ContentRead) -> QueryResult<()> {
    diesel::insert_into(content_reads::table).values(read).execute(conn).map(drop)
}

/// One by its id.
pub fn find(conn: &mut Conn, id: ContentReadId) -> QueryResult<Option<ContentRead>> {
    content_reads::table.find(id).select(ContentRead::as_select()).first(conn).optional()
}

/// Notes how a download ended; false if that is known already.
pub fn finish(
    conn: &mut Conn,
    id: ContentReadId,
    (outcome, note, bytes): (ReadOutcome, &str, i64),
    now: Time,
) -> QueryResult<bool> {
    let changed = diesel::update(content_reads::table.find(id))
        .filter(content_reads::finished_at.is_null())
        .set((
            content_reads::outcome.eq(outcome),
            content_reads::note.eq(note),
            content_reads::byte_count.eq(bytes),
            content_reads::finished_at.eq(now),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// The newest downloads from a device's restore points, newest first.
pub fn downloads(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<ContentRead>> {
    content_reads::table
        .filter(content_reads::device_id.eq(device).and(content_reads::kind.eq(ReadKind::Download)))
        .order(content_reads::id.desc())
        .limit(limit)
        .select(ContentRead::as_select())
        .load(conn)
}
