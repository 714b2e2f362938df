//! Brings the backups themselves back: every object of the second store, compared with its name on the way.
use crate::blob::{self, BlobKey, BlobStore, ReadFault, WriteFault};
use crate::service::repository::{self, Reconciled};
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use domain::id::RepositoryId;
use domain::object::ObjectKind;
use domain::time::Time;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many objects are on their way at once. Each is in memory once, and has at most 132 MiB.
const PARALLEL: usize = 6;

/// What came back of one repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Back {
    pub objects: usize,
    pub bytes: u64,
    /// Objects that are damaged or gone on the second store too.
    pub missing: usize,
    /// Objects that the restored ledger did not know: they came after the state was kept.
    pub newer: usize,
}

/// Copies everything of a repository from `copy` to `primary`, and lets the ledger say what is there.
///
/// # Errors
/// When a store or the database cannot be used.
pub fn bring_back(
    store: &Store,
    (copy, primary): (&dyn BlobStore, &dyn BlobStore),
    id: RepositoryId,
    now: Time,
) -> anyhow::Result<Back> {
    let back = bring_objects(store, (copy, primary), id)?;
    let Reconciled { added, removed, damaged } = repository::reconcile_repository(store, primary, id, now)?;
    // What the ledger had no room for is missing as well: nobody may think that it is there.
    Ok(Back { missing: damaged + removed, newer: added, ..back })
}

/// Copies everything of a repository from `copy` to `primary`. What is damaged there counts as missing.
///
/// # Errors
/// When a store or the database cannot be used.
pub fn bring_objects(
    store: &Store,
    (copy, primary): (&dyn BlobStore, &dyn BlobStore),
    id: RepositoryId,
) -> anyhow::Result<Back> {
    let there = copy.list(id).with_context(|| format!("listing repository {id} in the second store"))?;
    // Somebody's lock ended with the server.
    let keys: Vec<_> = there.into_iter().map(|it| it.0).filter(|it| it.kind != ObjectKind::Locks).collect();
    let (next, back) = (AtomicUsize::new(0), Mutex::new(Back::default()));
    let work = || -> anyhow::Result<()> {
        while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
            let fetched = fetch(store, copy, key)?;
            if let Some(bytes) = &fetched {
                put(primary, key, bytes)?;
            }
            let mut back = back.lock().unwrap_or_else(PoisonError::into_inner);
            match fetched {
                Some(bytes) => {
                    back.objects += 1;
                    back.bytes += bytes.len() as u64;
                }
                None => back.missing += 1,
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_panic| anyhow!("bringing objects back failed"))?)
    })?;
    Ok(back.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The bytes of an object; none if they are not what they should be, which the ledger says afterwards.
fn fetch(store: &Store, copy: &dyn BlobStore, key: &BlobKey) -> anyhow::Result<Option<Vec<u8>>> {
    let wanted = match key.name.hash() {
        Some(hash) => Some(hash),
        None => {
            let kept =
                store.read_blocking(|conn| store::kept_object::find(conn, key.repository, key.kind, &key.name))?;
            kept.map(|it| secret::sha256(&it))
        }
    };
    match blob::read_all(copy, key, key.kind.max_bytes()) {
        Ok(bytes) if wanted == Some(secret::sha256(&bytes)) => Ok(Some(bytes)),
        Ok(_) => {
            tracing::warn!(%key, "damaged on the second store");
            Ok(None)
        }
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(None),
        Err(ReadFault::Away(fault)) => Err(anyhow::Error::from(fault).context("reading the second store")),
    }
}

fn put(primary: &dyn BlobStore, key: &BlobKey, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> Result<(), WriteFault> {
        let mut upload = primary.begin(key)?;
        upload.write(bytes)?;
        upload.commit()?.settle();
        Ok(())
    };
    match write() {
        // From a run that was interrupted.
        Ok(()) | Err(WriteFault::Taken) => Ok(()),
        Err(fault) => Err(anyhow!("writing {key} to the backup store: {fault}")),
    }
}
