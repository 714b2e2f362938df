//! Copies what the ledger says the second store does not have.
use super::away;
use super::damage;
use super::order;
use super::pace::{Backoff, Pace};
use super::send::{self, Halt, Put, Wanted};
use crate::blob::{BlobKey, BlobStore};
use crate::error::Result;
use crate::service::setting::COPY_SPEED;
use crate::service::{backup, repository};
use crate::store::uncopied::{self, Uncopied};
use crate::store::{self, Conn, Store};
use domain::id::RepositoryId;
use domain::object::Location;
use domain::time::{Time, minutes};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many objects are on their way at once.
const PARALLEL: usize = 4;

/// How much memory they may take together: a large object has it to itself.
const MEMORY: u64 = 192 << 20;

/// How many objects are taken from the ledger at once.
const BATCH: i64 = 64;

/// How often an idle second store is looked at.
const LOOK_EVERY: Duration = minutes(1);

/// How long nothing is looked for where only damaged objects wait.
const REST: Duration = Duration::from_secs(30);

/// Copies, and repairs from the copy. Cheap to clone.
#[derive(Clone)]
pub struct Replicator(Arc<Inner>);

pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) primary: Arc<dyn BlobStore>,
    pub(super) copy: Arc<dyn BlobStore>,
    turn: Mutex<Turn>,
    /// The last object was there already, so the next one may be, and is asked for before it is sent.
    may_be_there: AtomicBool,
}

/// Where the next run continues.
#[derive(Default)]
struct Turn {
    after: Option<RepositoryId>,
    pace: Pace,
    backoff: Backoff,
    looked_at: Option<Time>,
    /// All that waits is damaged in the backup store: nothing is looked for until then.
    rests_until: Option<Time>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Run {
    /// Objects that the second store has now.
    pub copied: usize,
    /// Objects of the backup store that were restored from the second one.
    pub repaired: usize,
    /// Whether something failed: it is tried again after a while.
    pub failed: bool,
    /// More can be copied at once.
    pub more: bool,
}

impl Replicator {
    /// Copies from `primary` to `copy`.
    pub fn new(store: Store, primary: Arc<dyn BlobStore>, copy: Arc<dyn BlobStore>) -> Self {
        let (turn, may_be_there) = (Mutex::default(), AtomicBool::new(false));
        Self(Arc::new(Inner { store, primary, copy, turn, may_be_there }))
    }

    /// The second store.
    pub fn copy(&self) -> &Arc<dyn BlobStore> {
        &self.0.copy
    }

    /// Copies some objects of one repository, and repairs what can be. Any stop may come in between: an object whose row
    /// was not written is sent again, and found to be there.
    ///
    /// # Errors
    /// When the database refuses. What goes wrong with a store is kept, and tried again.
    pub fn run(&self, now: Time) -> Result<Run> {
        if self.0.turn().backoff.waits(now) {
            return Ok(Run::default());
        }
        match self.0.turn_of(now) {
            Ok(run) => Ok(run),
            Err(Halt::Database(error)) => Err(error),
            Err(Halt::Away(Location::Copy, fault)) => {
                self.0.turn().looked_at = None;
                away::went(&self.0.store, &fault, now)?;
                Ok(self.0.failed(now))
            }
            // Its own watch keeps and tells that.
            Err(Halt::Away(Location::Primary, _)) => Ok(self.0.failed(now)),
            Err(Halt::Failed(why)) => {
                away::note_failure(&self.0.store, Some(&why), now)?;
                Ok(self.0.failed(now))
            }
        }
    }
}

impl Inner {
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pace lets anything go on its way.
    pub(super) fn may_send(&self) -> bool {
        self.turn().pace.may_send()
    }

    /// Takes from the pace what goes on its way; false if nothing may.
    pub(super) fn take(&self, bytes: i64) -> bool {
        self.turn().pace.take(bytes)
    }

    fn failed(&self, now: Time) -> Run {
        self.turn().backoff.failed(now);
        Run { failed: true, ..Run::default() }
    }

    fn turn_of(&self, now: Time) -> Result<Run, Halt> {
        // While the backup store is away, nobody can say what is missing from it.
        if self.store.read_blocking(store::ground::away)?.is_some() {
            return Ok(Run::default());
        }
        let rate = self.store.read_blocking(move |conn| COPY_SPEED.find(conn, now))?;
        self.turn().pace.grow(rate.saturating_mul(1 << 20), now);
        self.look(now)?;
        let repaired = self.repair(now)?;
        let Some(repository) = self.next(now)? else {
            self.turn().backoff.worked();
            return Ok(Run { repaired, ..Run::default() });
        };
        let copied = self.copy_of(repository, now)?;
        let mut turn = self.turn();
        turn.backoff.worked();
        Ok(Run { copied, repaired, failed: false, more: turn.pace.may_send() })
    }

    /// The repository whose turn it is; none if nothing can be copied.
    fn next(&self, now: Time) -> Result<Option<RepositoryId>> {
        let (after, rests_until) = {
            let turn = self.turn();
            (turn.after, turn.rests_until)
        };
        if rests_until.is_some_and(|it| now < it && it <= now + REST) {
            return Ok(None);
        }
        let found = self.store.read_blocking(|conn| turn_after(conn, after))?;
        let mut turn = self.turn();
        turn.rests_until = None;
        match found {
            Next::Repository(repository) => {
                turn.after = Some(repository);
                Ok(Some(repository))
            }
            Next::OnlyDamaged(last) => {
                // The others come in the next run.
                turn.after = last;
                turn.rests_until = last.is_none().then_some(now + REST);
                Ok(None)
            }
            Next::Nothing => Ok(None),
        }
    }

    /// Looks whether the second store is there and the right one, if that is not known from a moment ago.
    fn look(&self, now: Time) -> Result<(), Halt> {
        if self.turn().looked_at.is_some_and(|at| now >= at && now < at + LOOK_EVERY) {
            return Ok(());
        }
        self.copy.check().map_err(|fault| Halt::Away(Location::Copy, fault))?;
        away::is_there(&self.store, now)?;
        self.turn().looked_at = Some(now);
        Ok(())
    }

    /// Copies what may be copied of one repository, until the pace says so; returns how much that was.
    fn copy_of(&self, repository: RepositoryId, now: Time) -> Result<usize, Halt> {
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
        let (next, memory, ended) = (AtomicUsize::new(0), Memory::default(), Mutex::new(Ended::default()));
        let work = || {
            while !ended.lock().unwrap_or_else(PoisonError::into_inner).is_over() {
                let Some(it) = batch.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                if !self.take(it.size_bytes) {
                    break;
                }
                let _held = memory.take(u64::try_from(it.size_bytes).unwrap_or(0));
                let done = self.copy_one(BlobKey::new(repository, it.kind, it.name.clone()), now);
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
    fn copy_one(&self, key: BlobKey, now: Time) -> Result<bool, Halt> {
        let Some(wanted) = Wanted::of(&self.store, key)? else {
            return Err(Halt::Failed("a config has no copy in the database to be compared with".to_owned()));
        };
        let key = wanted.key.clone();
        let asked = key.clone();
        let known = self.store.read_blocking(move |conn| {
            store::copy::find(conn, Location::Copy, asked.repository, asked.kind, &asked.name)
        })?;
        let is_damaged = known.is_some_and(|it| it.damaged_at.is_some());
        if !is_damaged && self.may_be_there.load(Ordering::Relaxed) {
            match send::has(&*self.copy, &wanted)? {
                Some(true) => return self.note(&key, Put::WasThere, now),
                Some(false) => {}
                None => self.may_be_there.store(false, Ordering::Relaxed),
            }
        }
        let Some(bytes) = send::fetch(&*self.primary, Location::Primary, &wanted)? else {
            return self.is_damaged_here(&wanted, now);
        };
        let put = send::put(&*self.copy, &wanted, &bytes, is_damaged)?;
        self.may_be_there.store(put == Put::WasThere, Ordering::Relaxed);
        self.note(&key, put, now)
    }

    /// Writes the row of an object that is there.
    fn note(&self, key: &BlobKey, put: Put, now: Time) -> Result<bool, Halt> {
        let key = key.clone();
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
    fn is_damaged_here(&self, wanted: &Wanted, now: Time) -> Result<bool, Halt> {
        // Read once more before it is called damaged: it may have been replaced meanwhile.
        if send::fetch(&*self.primary, Location::Primary, wanted)?.is_some() {
            return Ok(false);
        }
        let key = wanted.key.clone();
        if !repository::heal_one(&self.store, &*self.primary, &key, now)? {
            self.store.act_blocking(move |conn| backup::object_damaged(conn, &key, now))?;
        }
        Ok(false)
    }
}

/// Which repository is next.
enum Next {
    Repository(RepositoryId),
    /// What waits of those up to this one, or of all, is damaged in the backup store.
    OnlyDamaged(Option<RepositoryId>),
    Nothing,
}

/// The first repository after `after`, or else of all, of which something can be copied.
fn turn_after(conn: &mut Conn, after: Option<RepositoryId>) -> Result<Next> {
    let (mut at, mut is_around) = (after, after.is_none());
    for _ in 0..BATCH {
        match uncopied::next_repository(conn, at)? {
            Some(next) if !order::next(conn, next, 1)?.is_empty() => return Ok(Next::Repository(next)),
            Some(next) => at = Some(next),
            None if is_around && at.is_none() => return Ok(Next::Nothing),
            None if is_around => return Ok(Next::OnlyDamaged(None)),
            None => (at, is_around) = (None, true),
        }
    }
    Ok(Next::OnlyDamaged(at))
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

/// Bounds the memory of objects on their way.
#[derive(Default)]
struct Memory {
    taken: Mutex<u64>,
    freed: Condvar,
}

impl Memory {
    /// Waits until there is room for `size` bytes; what is too large for all of it waits until it is alone.
    fn take(&self, size: u64) -> Held<'_> {
        let size = size.min(MEMORY);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut u64| *taken > 0 && *taken + size > MEMORY;
        let mut taken = self.freed.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner);
        *taken += size;
        Held { memory: self, size }
    }
}

struct Held<'a> {
    memory: &'a Memory,
    size: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.memory.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.size;
        self.memory.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_on_their_way_share_the_memory_and_a_large_one_has_it_to_itself() {
        let memory = Memory::default();
        let (small, other) = (memory.take(MEMORY / 2), memory.take(MEMORY / 2));
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _held = memory.take(u64::MAX);
                order.lock().unwrap().push("large");
            });
            order.lock().unwrap().push("small");
            drop(small);
            drop(other);
        });
        assert_eq!(*order.lock().unwrap(), ["small", "large"]);
        assert_eq!(*memory.taken.lock().unwrap(), 0);
    }
}
