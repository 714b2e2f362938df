//! The records that a second store has, and the repositories that it has none of.
use super::area::{is_area, key};
use super::keep::listed;
use super::record::{MAX_BYTES, Record, Secret};
use crate::blob::{self, BlobStore, ReadFault};
use crate::error::Result;
use anyhow::{Context, anyhow};
use domain::console_copy::HolderKey;
use domain::id::RepositoryId;
use domain::object::ObjectName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many are read at once: each is small, and of a bucket each is a call.
const PARALLEL: usize = 16;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest record of each repository that the key opens.
    pub opened: Vec<(Record, Secret)>,
    /// Repositories that are there and have none.
    pub closed: Vec<RepositoryId>,
    /// Repositories that have a record and nothing else.
    pub empty: Vec<RepositoryId>,
}

/// Reads all records that `holder` opens. What anybody else put there is none.
///
/// # Errors
/// When the store cannot be read.
pub fn find(copy: &dyn BlobStore, holder: &HolderKey) -> Result<Found> {
    let names = listed(copy)?;
    let mut newest: BTreeMap<RepositoryId, (Record, Secret)> = BTreeMap::new();
    for (record, secret) in read_all(copy, holder, &names)? {
        let is_newer = newest.get(&record.repository).is_none_or(|(_, it)| it.made_at < secret.made_at);
        if is_newer {
            newest.insert(record.repository, (record, secret));
        }
    }
    let there = copy.repositories().context("looking for repositories in the second store")?;
    let there: BTreeSet<_> = there.into_iter().filter(|it| !is_area(*it)).collect();
    Ok(Found {
        closed: there.iter().filter(|it| !newest.contains_key(it)).copied().collect(),
        empty: newest.keys().filter(|it| !there.contains(it)).copied().collect(),
        opened: newest.into_values().filter(|(it, _)| there.contains(&it.repository)).collect(),
    })
}

fn read_all(copy: &dyn BlobStore, holder: &HolderKey, names: &[ObjectName]) -> Result<Vec<(Record, Secret)>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let read = read_one(copy, holder, name)?;
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL.min(names.len())).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_panic| anyhow!("reading escrow records failed"))?)
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn read_one(copy: &dyn BlobStore, holder: &HolderKey, name: &ObjectName) -> anyhow::Result<Option<(Record, Secret)>> {
    let key = key(name).context("records have an area")?;
    let bytes = match blob::read_all(copy, &key, MAX_BYTES as u64) {
        Ok(bytes) => bytes,
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => return Ok(None),
        Err(ReadFault::Away(fault)) => return Err(anyhow::Error::from(fault).context("reading an escrow record")),
    };
    let record = Record::parse(&bytes).ok();
    Ok(record.and_then(|record| record.open(holder).ok().map(|secret| (record, secret))))
}
