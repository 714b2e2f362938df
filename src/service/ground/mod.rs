//! What the server depends on: the backup store and the disks.
//!
//! Checks whether the store is the right one, can be read and accepts backups, and how much room the disks
//! have; keeps what it finds, and tells whoever can do something about it.
mod database;
mod guarded;
mod news;
mod notice;
mod watch;

pub use database::check_database;
pub use guarded::Guarded;
pub use watch::Watch;

use crate::blob::home::Identity;
use crate::error::{Error, Result};
use crate::store::setting::{COPY, DATABASE_ID, Key, SERVER_ID};
use crate::store::{self, Conn, Store};
use domain::failure_domain::StoreKind;
use domain::ground::{Disk, Room, Sample};
use domain::time::Time;

/// The identity of this server and its database, as in the store's marker; created if there is none yet.
///
/// # Errors
/// When the database refuses.
pub fn identity(conn: &mut Conn, now: Time) -> Result<Identity> {
    let mut id = |key: Key<String>| -> Result<String> {
        if let Some(known) = key.find(conn)? {
            return Ok(known);
        }
        let new = hex::encode(secret::bytes::<16>()?);
        key.set(conn, &new, now)?;
        Ok(new)
    };
    Ok(Identity { server: id(SERVER_ID)?, database: id(DATABASE_ID)?, copy: None })
}

/// Keeps an identity that an earlier attempt at the same thing created.
///
/// # Errors
/// When the database refuses.
pub fn keep_identity(conn: &mut Conn, known: &Identity, now: Time) -> Result<()> {
    SERVER_ID.set(conn, &known.server, now)?;
    Ok(DATABASE_ID.set(conn, &known.database, now)?)
}

/// The identity created earlier; none if no server has started on this database.
///
/// # Errors
/// When the database refuses.
pub fn known_identity(conn: &mut Conn) -> Result<Option<Identity>> {
    let (server, database) = (SERVER_ID.find(conn)?, DATABASE_ID.find(conn)?);
    Ok(server.zip(database).map(|(server, database)| Identity { server, database, copy: None }))
}

/// Stops anything that may destroy the last copy while nobody can read the others.
///
/// # Errors
/// `Refused`, with the reason and since when, while the store cannot be read.
pub fn refuse_while_away(conn: &mut Conn) -> Result<()> {
    match store::ground::away(conn)? {
        Some(away) => Err(Error::Refused(away.refusal())),
        None => Ok(()),
    }
}

/// Keeps how many bytes are free on the second store's disk, and how many there are; tells of it once for each step. True
/// if that was told.
///
/// # Errors
/// When the database refuses.
pub fn sample_copy(store: &Store, space: (u64, u64), now: Time) -> Result<bool> {
    let bytes = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let sample = Sample { at: now, free_bytes: bytes(space.0), total_bytes: bytes(space.1) };
    store.act_blocking(move |conn| news::note_room(conn, Disk::Copy, sample))
}

/// The room on each known disk, with its trend.
///
/// # Errors
/// When the database refuses.
pub fn rooms(conn: &mut Conn) -> Result<Vec<Room>> {
    let mut rooms = Vec::new();
    // What an earlier second store had says nothing of a bucket, which has no disk.
    let has_disk = COPY.find(conn)?.is_some_and(|it| it.kind != StoreKind::Bucket);
    for disk in Disk::ALL.iter().filter(|it| **it != Disk::Copy || has_disk) {
        rooms.extend(Room::of(*disk, &store::ground::samples(conn, *disk)?));
    }
    Ok(rooms)
}
