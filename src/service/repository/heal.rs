//! Restores a repository's `config` and key files from the copies in the database.
use crate::blob::{BlobKey, BlobStore, ReadFault};
use crate::error::Result;
use crate::service::backup;
use crate::store::{self, Store};
use domain::id::RepositoryId;
use domain::time::Time;

/// Heals missing or changed files that open a repository; returns how many there were. Blocks.
///
/// # Errors
/// When the database or the store does not answer; a store that is away is not healed.
pub fn heal(store: &Store, blobs: &dyn BlobStore, repository: RepositoryId, now: Time) -> Result<usize> {
    let names = store.read_blocking(move |conn| store::kept_object::names(conn, repository))?;
    let mut healed = 0;
    for (kind, name) in names {
        healed += usize::from(heal_one(store, blobs, &BlobKey::new(repository, kind, name), now)?);
    }
    Ok(healed)
}

/// Heals one of them; true if it was missing or changed. A file without a copy is left alone.
///
/// # Errors
/// As [`heal`].
pub fn heal_one(store: &Store, blobs: &dyn BlobStore, key: &BlobKey, now: Time) -> Result<bool> {
    let asked = key.clone();
    let copy =
        store.read_blocking(move |conn| store::kept_object::find(conn, asked.repository, asked.kind, &asked.name))?;
    let Some(copy) = copy else { return Ok(false) };
    // One byte more, so that a longer file does not pass for the copy.
    let found = match blobs.read(key, 0, copy.len() as u64 + 1) {
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => None,
        found => Some(found?),
    };
    if found.as_ref() == Some(&copy) {
        return Ok(false);
    }
    put_back(store, blobs, key, &copy, now)?;
    Ok(true)
}

/// Puts a copy in the place of a file that is missing or changed. Blocks.
///
/// # Errors
/// As [`heal`].
pub fn put_back(store: &Store, blobs: &dyn BlobStore, key: &BlobKey, copy: &[u8], now: Time) -> Result<()> {
    let mut upload = blobs.begin(key)?;
    upload.write(copy)?;
    // Its row is there already, so the next start has nothing to look at.
    upload.replace()?.settle();
    tracing::warn!(%key, "a file that opens a repository was missing or changed; it was restored from the database");
    let key = key.clone();
    store.act_blocking(move |conn| backup::object_put_back(conn, &key, now))
}
