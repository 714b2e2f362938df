//! The ledger of what is stored: an object counts when its row is there, and a snapshot's row is a restore point.
use crate::blob::{self, BlobKey, BlobStore, ReadFault, Stored};
use crate::error::{Error, Result};
use crate::service::activity::{Act, record_often};
use crate::service::proof;
use crate::store::repository::{MAX_OBJECTS, Repository};
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn, Store};
use anyhow::Context;
use domain::activity::{Action, Actor, Object, Via};
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName, RepositoryState, TokenKind};
use domain::proof::TestCause;
use domain::time::Time;
use domain::words::bytes;

/// Bytes that are durable and waiting for their row.
#[derive(Debug)]
#[must_use = "settle it once the ledger has the row"]
pub struct Kept {
    pub key: BlobKey,
    pub size: i64,
    /// The bytes themselves, if the database keeps a copy of them.
    pub copy: Option<Vec<u8>>,
    stored: Stored,
}

impl Kept {
    /// Records that the row was committed.
    pub fn settle(self) {
        self.stored.settle();
    }
}

/// The key under which `bytes` are kept.
pub fn key_of(repository: RepositoryId, kind: ObjectKind, bytes: &[u8]) -> BlobKey {
    let name =
        if kind == ObjectKind::Config { ObjectName::config() } else { ObjectName::from_hash(&secret::sha256(bytes)) };
    BlobKey::new(repository, kind, name)
}

/// A length as the ledger counts it.
pub fn size_of(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Makes a complete object durable under its hash. Slow, and without the database; [`received`] gives it its
/// row.
///
/// # Errors
/// When the store is full or cannot be written.
pub fn keep(blobs: &dyn BlobStore, repository: RepositoryId, kind: ObjectKind, bytes: &[u8]) -> Result<Kept> {
    let key = key_of(repository, kind, bytes);
    // Without its new indexes nothing of a repository ends: they are written to a full disk too.
    let mut upload = if kind == ObjectKind::Index { blobs.begin_own(&key)? } else { blobs.begin(&key)? };
    upload.write(bytes)?;
    // What is there has the same name, so its bytes are the same or damaged.
    let stored = if blobs.size(&key)?.is_some() { upload.replace()? } else { upload.commit()? };
    let copy = store::kept_object::KINDS.contains(&kind).then(|| bytes.to_vec());
    Ok(Kept { key, size: size_of(bytes.len()), copy, stored })
}

/// Writes the row of durable bytes; false if it is already there. A snapshot becomes a restore point; `sent_by`
/// is whose token it came with.
///
/// # Errors
/// `Full` if the quota would be exceeded, `Refused` if the repository accepts no more backups.
pub fn received(conn: &mut Conn, key: &BlobKey, size: i64, sent_by: TokenKind, now: Time) -> Result<bool> {
    if !store::repository::count_in(conn, key.repository, size, now)? {
        // What is sent again takes no room.
        let is_there = store::object::find(conn, key.repository, key.kind, &key.name)?.is_some();
        return if is_there { Ok(false) } else { Err(why_not(conn, key.repository)?) };
    }
    // After the count, which moves `newest_at` on.
    let snapshot_of = if key.kind == ObjectKind::Snapshots {
        Some(store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?)
    } else {
        None
    };
    // A snapshot is never older than what it needs, even when the clock was set back in between: a view as of
    // the snapshot must show all of it.
    let received_at = snapshot_of.as_ref().map_or(now, |it| it.newest_at);
    let object = store::object::Object {
        repository_id: key.repository,
        kind: key.kind,
        name: key.name.clone(),
        size_bytes: size,
        received_at,
    };
    if !store::object::insert(conn, &object, Location::Primary)? {
        // It was counted when it came first.
        store::repository::count_out(conn, key.repository, size)?;
        return Ok(false);
    }
    if let Some(repository) = snapshot_of {
        snapshot_received(conn, &repository, &key.name, sent_by, now)?;
    }
    Ok(true)
}

/// Whether a repository accepts `size` more bytes, judged by its state when it was read: asked before a body is
/// received.
///
/// # Errors
/// As [`received`].
pub fn check_room(repository: &Repository, size: i64) -> Result<()> {
    let has_room = repository.object_count < MAX_OBJECTS
        && size <= repository.quota_bytes.saturating_sub(repository.stored_bytes)
        && repository.state == RepositoryState::Active;
    if has_room { Ok(()) } else { Err(why_full(repository)) }
}

/// Removes bytes whose row was refused, unless the ledger has them after all: a full disk can fail a commit in
/// a way that leaves it unclear whether it happened. Blocks.
///
/// # Errors
/// When the database or the store does not answer; then the next start looks at them.
pub fn discard(store: &Store, blobs: &dyn BlobStore, key: &BlobKey) -> Result<()> {
    let is_kept = store.read_blocking(|conn| store::object::find(conn, key.repository, key.kind, &key.name))?.is_some();
    if !is_kept {
        blobs.remove(key)?;
    }
    Ok(())
}

fn why_not(conn: &mut Conn, id: RepositoryId) -> Result<Error> {
    let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
    if repository.state == RepositoryState::Active && store::team_quota::is_full_of(conn, repository.device_id)? {
        return Ok(Error::Full(TEAM_FULL.to_owned()));
    }
    Ok(why_full(&repository))
}

fn why_full(repository: &Repository) -> Error {
    match repository.state {
        RepositoryState::ReadOnly => Error::Refused(READ_ONLY.to_owned()),
        RepositoryState::Active if repository.object_count >= MAX_OBJECTS => Error::Full(TOO_MANY_OBJECTS.to_owned()),
        RepositoryState::Active => Error::Full(format!(
            "the backups of this device fill their {}; {MORE_SPACE}",
            bytes(repository.quota_bytes)
        )),
    }
}

/// What to do when a repository is full.
pub const MORE_SPACE: &str = "give it more space on its page, under Edit, or enroll it again for a new repository";

/// The answer to an upload to a repository that has the most objects it may have.
pub const TOO_MANY_OBJECTS: &str = "the backups of this device have reached the most objects a repository may have; enroll it again for a new \
     repository";

/// The answer to an upload of a device whose team has no space left.
pub const TEAM_FULL: &str = "the backups of this device’s team fill the space that they have together; give the team more under Settings, \
     Teams, or keep less under Settings, Retention";

/// The answer to an upload to a closed repository.
pub const READ_ONLY: &str = "this repository belongs to an older enrolment and accepts no more backups";

/// Turns a snapshot into a restore point and queues its test. `repository` is as the receipt of the snapshot
/// left it.
///
/// # Errors
/// When the database refuses.
pub fn snapshot_received(
    conn: &mut Conn,
    repository: &Repository,
    snapshot: &ObjectName,
    sent_by: TokenKind,
    now: Time,
) -> Result<()> {
    let point = match store::restore_point::of_snapshot(conn, repository.id, snapshot)? {
        // Sent once more after it had ended: what else it needs may be gone, and its test will say so.
        Some(ended) if ended.trashed_by.is_some() => {
            store::restore_point::begin_again(conn, &ended, repository.newest_at.max(now), now)?;
            ended.id
        }
        Some(reported) => {
            store::restore_point::mark_stored(conn, &reported, repository.newest_at, now)?;
            reported.id
        }
        None => {
            let of = (repository.id, repository.device_id);
            let point = RestorePoint::received(of, snapshot, sent_by, now);
            store::restore_point::insert(
                conn,
                &RestorePoint { as_of: repository.newest_at.max(now), ..point.clone() },
            )?;
            point.id
        }
    };
    proof::queue(conn, point, TestCause::NewBackup, None, now)?;
    proof::learned(conn, repository.device_id, now)?;
    let device = device_actor(conn, repository.device_id)?;
    let object = Object::new("restore_point", point, device.name.clone());
    record_often(conn, &device, &Act::done(Action::BackupStored, object).on(repository.device_id), now)
}

/// The device as the one who acts at the door.
pub(super) fn device_actor(conn: &mut Conn, id: DeviceId) -> Result<Actor> {
    let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
    Ok(Actor::device(id, &device.name, Via::Restic, ""))
}

/// Removes a lock from the ledger; false if it was not there.
///
/// # Errors
/// When the database refuses.
pub fn unlocked(conn: &mut Conn, key: &BlobKey) -> Result<bool> {
    let Some(lock) = store::object::find(conn, key.repository, ObjectKind::Locks, &key.name)? else {
        return Ok(false);
    };
    let removed = store::object::remove(conn, key.repository, ObjectKind::Locks, &key.name)?;
    if removed {
        store::repository::count_out(conn, key.repository, lock.size_bytes)?;
    }
    Ok(removed)
}

/// Removes the locks that came before `cut` from the ledger; returns which ones.
///
/// # Errors
/// When the database refuses.
pub fn remove_locks(conn: &mut Conn, repository: RepositoryId, cut: Time) -> Result<Vec<BlobKey>> {
    let stale = store::object::received_before(conn, repository, ObjectKind::Locks, cut)?;
    let keys: Vec<_> = stale.into_iter().map(|it| BlobKey::new(repository, ObjectKind::Locks, it.name)).collect();
    for key in &keys {
        unlocked(conn, key)?;
    }
    Ok(keys)
}

/// Whether the stored bytes of an object match its name.
///
/// # Errors
/// When the store cannot be read.
pub fn is_sound(blobs: &dyn BlobStore, key: &BlobKey) -> Result<bool> {
    match blob::sha256_of(blobs, key) {
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(false),
        hash => Ok(Some(hash.with_context(|| format!("reading {key}"))?) == key.name.hash()),
    }
}
