//! Reconciles the ledger and the blobs after a crash.
use crate::blob::{self, BlobKey, BlobStore, ReadFault};
use crate::error::{Error, Result};
use crate::service::backup;
use crate::store::{self, Store};
use anyhow::Context;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, TokenKind};
use domain::time::Time;
use std::collections::HashSet;

/// What was done to reconcile the ledger and the blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Whole objects that had no row.
    pub added: usize,
    /// Bytes that belong to nothing.
    pub removed: usize,
    /// Rows whose object is missing or has another size.
    pub damaged: usize,
}

/// Looks at the uploads that were under way when the server last stopped: complete ones get their row, the rest
/// is removed.
///
/// It looks only at those, so it takes no longer with many objects than with few.
///
/// # Errors
/// When the database or the blobs cannot be read.
pub fn reconcile(store: &Store, blobs: &dyn BlobStore, now: Time) -> Result<Reconciled> {
    let mut done = Reconciled::default();
    for (key, stored) in blobs.unsettled().context("reading the uploads that were under way")? {
        settle(store, blobs, &key, now, &mut done)?;
        stored.settle();
    }
    if done != Reconciled::default() {
        tracing::info!(?done, "uploads that a stop had interrupted were looked at");
    }
    Ok(done)
}

/// Compares every object of one repository with the ledger; for a repair, not for each start.
///
/// # Errors
/// When the database or the blobs cannot be read.
pub fn reconcile_repository(store: &Store, blobs: &dyn BlobStore, id: RepositoryId, now: Time) -> Result<Reconciled> {
    let mut done = Reconciled::default();
    let rows = store.read_blocking(move |conn| store::object::all(conn, id, None))?;
    let there = blobs.list(id).with_context(|| format!("reading the objects of repository {id}"))?;
    let known: HashSet<BlobKey> = rows.iter().map(|it| BlobKey::new(id, it.kind, it.name.clone())).collect();
    for (key, _) in there.iter().filter(|(key, _)| !known.contains(key)) {
        settle(store, blobs, key, now, &mut done)?;
    }
    let whole: HashSet<(BlobKey, u64)> = there.into_iter().collect();
    for row in rows {
        let size = row.size();
        let key = BlobKey::new(id, row.kind, row.name);
        if !whole.contains(&(key.clone(), size)) {
            store.write_blocking(move |conn| backup::object_damaged(conn, &key, now))?;
            done.damaged += 1;
        }
    }
    Ok(done)
}

/// Gives durable bytes their row, or removes them.
fn settle(store: &Store, blobs: &dyn BlobStore, key: &BlobKey, now: Time, done: &mut Reconciled) -> Result<()> {
    let asked = key.clone();
    let (row, has_ended) = store.read_blocking(move |conn| {
        let row = store::object::find(conn, asked.repository, asked.kind, &asked.name)?;
        Ok::<_, Error>((row, store::prune::has_ended(conn, asked.repository, asked.kind, &asked.name)?))
    })?;
    // What waits in the trash is neither a backup of today nor for this to remove.
    if row.is_some() || has_ended {
        return Ok(());
    }
    if is_worth_a_row(blobs, key)? && add(store, blobs, key, now)? {
        done.added += 1;
    } else if blobs.remove(key).with_context(|| format!("removing {key}"))? {
        tracing::warn!(%key, "bytes without a row were removed: nobody was told that they are stored");
        done.removed += 1;
    }
    Ok(())
}

/// A lock is useless after a crash; everything else is complete if it hashes to its name.
fn is_worth_a_row(blobs: &dyn BlobStore, key: &BlobKey) -> Result<bool> {
    // A config is not named by its hash, so nobody can say whether it is whole.
    if matches!(key.kind, ObjectKind::Locks | ObjectKind::Config) {
        return Ok(false);
    }
    match blob::sha256_of(blobs, key) {
        // Nobody was told that they are stored, so whoever sent them sends them again.
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(false),
        hash => Ok(Some(hash.with_context(|| format!("reading {key}"))?) == key.name.hash()),
    }
}

/// False if the ledger does not want it: no such repository, or no room.
fn add(store: &Store, blobs: &dyn BlobStore, key: &BlobKey, now: Time) -> Result<bool> {
    let Some(size) = blobs.size(key).with_context(|| format!("reading {key}"))? else { return Ok(false) };
    // The crash may have come before the sync, and a power cut could still take it.
    blobs.make_durable(key).with_context(|| format!("syncing {key}"))?;
    let wanted = key.clone();
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    // Nobody knows any more who sent it. Taken as the agent's, it is what changes are counted from; otherwise
    // nothing would be.
    let added = store.act_blocking(move |conn| backup::received(conn, &wanted, size, TokenKind::Agent, now));
    match added {
        Ok(_) => Ok(true),
        Err(Error::Full(_) | Error::Refused(_) | Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
