//! Moves bytes to where the database says they are: to the trash, back, or out of the world.
//!
//! The database decides first, so that what ends the process leaves bytes at one of two known places, and the next run
//! continues. Going out, a row leaves the ledger before its bytes leave their place; coming back, the bytes are at their
//! place before the row is in the ledger.
use super::prune::write;
use crate::blob::{BlobKey, BlobStore};
use crate::error::{Error, Result};
use crate::service::{backup, freeze, proof};
use crate::store::prune::{Prune, TrashedObject};
use crate::store::{self, Conn, Store};
use anyhow::Context;
use domain::activity::{Action, Actor};
use domain::object::{ObjectKind, ObjectName};
use domain::retention::PruneState;
use domain::time::Time;
use std::sync::{Mutex, PoisonError};

/// How many objects of one prune are moved in one run.
const BATCH: i64 = 1_000;

/// How many prunes of each kind: those whose files are moved already must not keep the others from their turn.
const PRUNES: i64 = 1_000;

/// One move at a time: two could pass each other between the database and the file.
static MOVING: Mutex<()> = Mutex::new(());

/// One run; returns how many objects were moved and prunes ended.
///
/// # Errors
/// When the database refuses. What the store refuses is logged, and tried again by the next run.
pub fn settle(store: &Store, blobs: &dyn BlobStore, now: Time) -> Result<usize> {
    let _one = MOVING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut done = take_back_what_came_again(store, blobs).unwrap_or_else(|error| {
        tracing::warn!(error = format!("{error:#}"), "what came again could not be taken from the trash");
        0
    });
    for (state, work) in [
        (PruneState::Undoing, put_back as Work),
        (PruneState::Erasing, erase as Work),
        (PruneState::Trashed, set_aside as Work),
    ] {
        // Whatever had begun: a freeze stops it.
        if state == PruneState::Erasing && store.read_blocking(move |conn| freeze::holds_erasing(conn, now))? {
            continue;
        }
        for prune in store.read_blocking(move |conn| store::prune::in_states(conn, &[state], PRUNES))? {
            // One that the store refuses must not keep the others from being erased.
            match work(store, blobs, &prune, now) {
                Ok(count) => done += count,
                Err(error) => {
                    tracing::warn!(prune = %prune.id, error = format!("{error:#}"), "files could not be moved")
                }
            }
        }
    }
    Ok(done)
}

type Work = fn(&Store, &dyn BlobStore, &Prune, Time) -> Result<usize>;

fn key_of(it: &TrashedObject) -> BlobKey {
    BlobKey::new(it.repository_id, it.kind, it.name.clone())
}

/// An object that was sent once more while it was in the trash has a row again, and must have its bytes.
fn take_back_what_came_again(store: &Store, blobs: &dyn BlobStore) -> Result<usize> {
    let again = store.read_blocking(|conn| store::prune::sent_again(conn, BATCH))?;
    let count = again.len();
    for it in again {
        blobs.put_back(&key_of(&it))?;
        // A second copy of the same bytes stays in the trash until this.
        blobs.erase(&key_of(&it))?;
        store.write_blocking(move |conn| store::prune::forget(conn, &it))?;
    }
    Ok(count)
}

fn set_aside(store: &Store, blobs: &dyn BlobStore, prune: &Prune, now: Time) -> Result<usize> {
    let id = prune.id;
    let left = store.read_blocking(move |conn| store::prune::objects(conn, id, true, BATCH))?;
    let mut moved = Vec::new();
    for it in left {
        let asked = it.clone();
        // Sent again meanwhile: its bytes stay where they are; the next run sees to the rest.
        if store.read_blocking(move |conn| store::prune::is_in_ledger(conn, &asked))? {
            continue;
        }
        blobs.set_aside(&key_of(&it))?;
        moved.push(it);
    }
    let count = moved.len();
    if count > 0 {
        store
            .write_blocking(move |conn| moved.iter().try_for_each(|it| store::prune::set_aside(conn, it, Some(now))))?;
    }
    Ok(count)
}

/// Every file first, then all rows at once.
fn put_back(store: &Store, blobs: &dyn BlobStore, prune: &Prune, now: Time) -> Result<usize> {
    let id = prune.id;
    let all = store.read_blocking(move |conn| store::prune::objects(conn, id, false, i64::MAX))?;
    let mut missing = Vec::new();
    for it in &all {
        if !blobs.put_back(&key_of(it))? {
            missing.push(key_of(it));
        }
    }
    let published = published(prune)?;
    let (row, gone, count) = (prune.clone(), published.clone(), all.len());
    store.act_blocking(move |conn| restore_rows(conn, &row, &all, &gone, &missing, now))?;
    for name in published {
        let key = BlobKey::new(prune.repository_id, ObjectKind::Index, name);
        backup::discard(store, blobs, &key)?;
    }
    Ok(count + 1)
}

fn published(prune: &Prune) -> Result<Vec<ObjectName>> {
    Ok(serde_json::from_str(&prune.published).context("reading the names of indexes")?)
}

fn restore_rows(
    conn: &mut Conn,
    prune: &Prune,
    all: &[TrashedObject],
    published: &[ObjectName],
    missing: &[BlobKey],
    now: Time,
) -> Result<()> {
    // The indexes that come back may name what no store has intact.
    store::avoided_pack::forget(conn, prune.repository_id)?;
    let (mut count, mut bytes) = (0, 0);
    for it in all {
        if store::prune::put_back(conn, it, now)? {
            (count, bytes) = (count + 1, bytes + it.size_bytes);
        }
    }
    for name in published {
        if let Some(row) = store::object::find(conn, prune.repository_id, ObjectKind::Index, name)? {
            store::object::remove(conn, prune.repository_id, ObjectKind::Index, name)?;
            (count, bytes) = (count - 1, bytes - row.size_bytes);
        }
    }
    store::repository::count_out_many(conn, prune.repository_id, (-count, -bytes))?;
    store::restore_point::put_back(conn, prune.id)?;
    if !store::prune::advance(conn, prune.id, (PruneState::Undoing, PruneState::Undone), Some(now))? {
        return Err(Error::Conflict("this was already put back".to_owned()));
    }
    missing.iter().try_for_each(|it| backup::object_damaged(conn, it, now).map(drop))?;
    proof::refresh(conn, prune.device_id)?;
    // Backups that came meanwhile may have failed for want of this.
    proof::object_healed(conn, prune.repository_id, now)?;
    write(conn, &Actor::system(), Action::PointsPutBack, prune, "everything is back in its place", now)
}

fn erase(store: &Store, blobs: &dyn BlobStore, prune: &Prune, now: Time) -> Result<usize> {
    let id = prune.id;
    let some = store.read_blocking(move |conn| store::prune::objects(conn, id, false, BATCH))?;
    let count = some.len();
    for it in &some {
        blobs.erase(&key_of(it))?;
    }
    let row = prune.clone();
    store.write_blocking(move |conn| {
        some.iter().try_for_each(|it| store::prune::forget(conn, it))?;
        if store::prune::objects(conn, row.id, false, 1)?.is_empty() {
            let freed = store::restore_point::forget_excluded(conn, row.id)?;
            store::repository::discharge(conn, row.repository_id, freed)?;
            store::prune::advance(conn, row.id, (PruneState::Erasing, PruneState::Erased), Some(now))?;
        }
        Ok::<_, Error>(())
    })?;
    Ok(count)
}
