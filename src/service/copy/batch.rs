//! Copies objects of one repository.
use super::away;
use super::copier::Copier;
use super::damage;
use super::order;
use super::send::{self, Halt, Put, Wanted};
use crate::blob::BlobKey;
use crate::error::Result;
use crate::service::{backup, repository};
use crate::store;
use crate::store::uncopied::Uncopied;
use domain::id::RepositoryId;
use domain::object::Location;
use domain::time::Time;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many objects are on their way at once.
const PARALLEL: usize = 4;

/// How many objects are taken from the ledger at once.
const BATCH: i64 = 64;

impl Copier {
    /// Copies what may be copied of one repository, until the pace says so; returns how much that was.
    pub(super) fn copy_of(&self, repository: RepositoryId, now: Time) -> Result<usize, Halt> {
        let mut copied = 0;
        while self.may_send() && !self.store.wake().is_stopping() {
            let batch = self.store.read_blocking(move |conn| order::next(conn, repository, BATCH))?;
            if batch.is_empty() {
                break;
            }
            let some = self.copy_all(repository, &batch, now)?;
            copied += some;
            // What could not be read is not read again and again.
            if some == 0 {
                break;
            }
        }
        if copied > 0 {
            away::note_failure(&self.store, None, now)?;
        }
        Ok(copied)
    }

    /// Copies objects of one kind, several at once. The first failure stops the others before their next one: nothing
    /// that may need what failed goes before it.
    fn copy_all(&self, repository: RepositoryId, batch: &[Uncopied], now: Time) -> Result<usize, Halt> {
        let (next, ended) = (AtomicUsize::new(0), Mutex::new(Ended::default()));
        let work = || {
            while !ended.lock().unwrap_or_else(PoisonError::into_inner).is_over() {
                let Some(it) = batch.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                if !self.take(it.size_bytes) {
                    break;
                }
                let done = self.copy_one(repository, it, now);
                let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                match done {
                    Ok(true) => ended.copied += 1,
                    Ok(false) => self.turn().pace.give_back(it.size_bytes),
                    Err(halt) => {
                        ended.halt.get_or_insert(halt);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(batch.len()) {
                let helper = std::thread::Builder::new().name("copy".to_owned());
                // Without another thread it only takes longer.
                if helper.spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        let ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        match ended.halt {
            Some(halt) => Err(halt),
            None => Ok(ended.copied),
        }
    }

    /// Copies one object; false if the backup store has it damaged.
    fn copy_one(&self, repository: RepositoryId, it: &Uncopied, now: Time) -> Result<bool, Halt> {
        let (key, size) = (BlobKey::new(repository, it.kind, it.name.clone()), it.size());
        let _held = self.memory.take(size);
        let Some(wanted) = Wanted::of(&self.store, key.clone())? else {
            return Err(Halt::Failed("a config has no copy in the database to be compared with".to_owned()));
        };
        let known = self
            .store
            .read_blocking(|conn| store::copy::find(conn, Location::Copy, key.repository, key.kind, &key.name))?;
        let is_damaged = known.is_some_and(|it| it.damaged_at.is_some());
        if !is_damaged && self.may_be_there.load(Ordering::Relaxed) {
            match self.at(Location::Copy, size, |blobs| send::has(blobs, &wanted))? {
                Some(true) => return self.note(key, Put::WasThere, now),
                Some(false) => {}
                None => self.may_be_there.store(false, Ordering::Relaxed),
            }
        }
        let fetched = self.at(Location::Primary, size, |blobs| send::fetch(blobs, Location::Primary, &wanted))?;
        let Some(bytes) = fetched else { return self.is_damaged_here(&wanted, size, now) };
        let put = self.at(Location::Copy, size, |blobs| send::put(blobs, &wanted, &bytes, is_damaged))?;
        self.may_be_there.store(put == Put::WasThere, Ordering::Relaxed);
        self.note(key, put, now)
    }

    /// Writes the row of an object that is there.
    fn note(&self, key: BlobKey, put: Put, now: Time) -> Result<bool, Halt> {
        match put {
            Put::Sent | Put::WasThere => self.store.write_blocking(move |conn| {
                store::copy::mark_healed(conn, Location::Copy, key.repository, key.kind, &key.name, now)
            })?,
            Put::Replaced => {
                self.store.act_blocking(move |conn| damage::object_healed(conn, Location::Copy, &key, now))?;
            }
        }
        Ok(true)
    }

    /// Rot is never copied: what the database has a copy of is put right, and everything else is damage from now on.
    fn is_damaged_here(&self, wanted: &Wanted, size: u64, now: Time) -> Result<bool, Halt> {
        let key = wanted.key.clone();
        let is_healed = self.at(Location::Primary, size, |blobs| {
            // Read once more before it is called damaged: it may have been replaced meanwhile.
            if send::fetch(blobs, Location::Primary, wanted)?.is_some() {
                return Ok(true);
            }
            Ok::<_, Halt>(repository::heal_one(&self.store, blobs, &key, now)?)
        })?;
        if !is_healed {
            self.store.act_blocking(move |conn| backup::object_damaged(conn, &key, now))?;
        }
        Ok(false)
    }
}

/// How several threads ended.
#[derive(Default)]
struct Ended {
    copied: usize,
    halt: Option<Halt>,
}

impl Ended {
    const fn is_over(&self) -> bool {
        self.halt.is_some()
    }
}
