//! Moves what restore points no longer need to the trash, and erases it when its time is over.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::proof::keys::ProofKeys;
use crate::proof::runner::{Runner, Served, Walked, Watcher};
use crate::proof::walk::frame::PruneJob;
use crate::service::backup::{self, Kept};
use crate::service::retention::{self, Due, Found, Plan, Verdict};
use crate::store::object::Object;
use crate::store::repository::Repository;
use crate::store::{self, Store};
use clock::Clock;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the server looks for something to do.
pub const LOOK: Duration = Duration::from_secs(30);

/// How many repositories are looked at in one run: 10,000 take an hour and a half.
const BATCH: usize = 60;

/// The slowest speed at which folders are walked on a busy machine, and the time a walk gets on top.
const BYTES_PER_SECOND: u64 = 8 << 20;
const SPARE_SECONDS: u64 = 120;

/// Prunes repositories in turn. Cheap to clone.
#[derive(Clone)]
pub struct Pruner {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    pub keys: Arc<ProofKeys>,
    pub clock: Clock,
    pub runner: Runner,
    turn: Arc<Mutex<Turn>>,
}

/// Where the next run continues.
#[derive(Default)]
pub(super) struct Turn {
    after: Option<RepositoryId>,
    /// Since when the clock has not jumped, as the last run saw it.
    steady_since: Option<Time>,
    /// When indexes without what is lost were last tried to be written.
    pub(super) tried: BTreeMap<RepositoryId, Time>,
}

impl Pruner {
    /// One that begins with the first repository.
    pub fn new(
        (store, blobs): (Store, Arc<dyn BlobStore>),
        keys: Arc<ProofKeys>,
        clock: Clock,
        runner: Runner,
    ) -> Self {
        Self { store, blobs, keys, clock, runner, turn: Arc::default() }
    }

    /// One run: says that the server lives, moves what has to be moved, looks at what came, and prunes the next
    /// repositories. Returns how much it did.
    ///
    /// # Errors
    /// When the database or the store refuses; the next run continues.
    pub fn run_once(&self) -> Result<usize> {
        let now = self.clock.now();
        let has_jumped = self.has_jumped();
        self.store.write_blocking(move |conn| retention::beat(conn, has_jumped, now))?;
        let mut done = retention::settle(&self.store, &*self.blobs, now)?;
        if self.store.read_blocking(retention::has_agreed)? {
            done += self.store.act_blocking(move |conn| retention::take_effect(conn, now))?;
        }
        // Before anything ends; where nothing is pruned, a job looks.
        done += retention::look_at_news(&self.store, now)?;
        done += self.put_back_what_is_needed(now)?;
        done += self.avoid_what_is_lost()?;
        for due in self.store.read_blocking(move |conn| retention::due_to_erase(conn, now))? {
            self.erase(&due)?;
            done += 1;
        }
        for repository in self.next()? {
            if self.store.wake().is_stopping() {
                break;
            }
            done += usize::from(self.prune(repository)?);
        }
        Ok(done)
    }

    pub(super) fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_jumped(&self) -> bool {
        let since = self.clock.steady_since();
        let mut turn = self.turn();
        turn.steady_since.replace(since).is_some_and(|before| before != since)
    }

    fn next(&self) -> Result<Vec<RepositoryId>> {
        let all = self.store.read_blocking(store::ground::repositories)?;
        let mut turn = self.turn();
        let later = all.iter().filter(|it| turn.after.is_none_or(|after| **it > after));
        let next: Vec<_> = later.take(BATCH).copied().collect();
        turn.after = next.last().copied().filter(|_| next.len() == BATCH);
        Ok(next)
    }

    /// A backup that began before a prune may need what went: its test fails, and everything comes back.
    fn put_back_what_is_needed(&self, now: Time) -> Result<usize> {
        let needed = self.store.read_blocking(retention::needs_what_is_gone)?;
        let count = needed.len();
        for id in needed {
            let why = "a backup that came since could not be restored without it";
            self.store.act_blocking(move |conn| retention::undo_by_rule(conn, id, why, now))?;
        }
        Ok(count)
    }

    /// Walks everything that is kept once more before what is in the trash is erased.
    fn erase(&self, due: &Due) -> Result<()> {
        let of = (&due.repository, &due.snapshots[..], &due.ledger[..]);
        let (id, now) = (due.prune.id, self.clock.now());
        match self.walk(of, Vec::new(), &mut |_, _| Ok(()))? {
            Walked::Done(_) => {
                let walked = due.repository.clone();
                self.store.act_blocking(move |conn| retention::begin_erase(conn, id, &walked, now))
            }
            Walked::CannotWalk(why) => {
                tracing::error!(prune = %id, why, "what is kept cannot be read without what is in the trash; it is put back");
                self.store.act_blocking(move |conn| retention::undo_by_rule(conn, id, &why, now))
            }
            Walked::Failed(why) => {
                tracing::warn!(prune = %id, why, "what is in the trash stays: what is kept could not be walked");
                Ok(())
            }
        }
    }

    /// Prunes one repository; true if something moved to the trash.
    ///
    /// # Errors
    /// When the database or the store refuses.
    pub fn prune(&self, id: RepositoryId) -> Result<bool> {
        let now = self.clock.now();
        let plan = match self.store.read_blocking(move |conn| retention::plan(conn, id, now))? {
            Verdict::Go(plan) => plan,
            Verdict::Nothing => return Ok(false),
            Verdict::Stopped(why) => {
                tracing::debug!(repository = %id, ?why, "restore points would end, but something stops that");
                return Ok(false);
            }
            Verdict::Unreadable(why) => {
                tracing::error!(why, "what is kept cannot be read: nothing ends");
                return Ok(false);
            }
        };
        let mut kept = Vec::new();
        let walked = {
            let of = (&plan.repository, &plan.snapshots[..], &plan.ledger[..]);
            let mut keep = |old: &ObjectName, bytes: Vec<u8>| {
                kept.push((old.clone(), backup::keep(&*self.blobs, id, ObjectKind::Index, &bytes)?));
                Ok(())
            };
            self.walk(of, plan.may_go.clone(), &mut keep)?
        };
        match walked {
            Walked::Done(unneeded) => self.commit(*plan, (unneeded.packs, unneeded.indexes), kept),
            Walked::CannotWalk(why) => {
                tracing::warn!(repository = %id, why, "nothing ends: a restore point that is kept cannot be walked");
                self.discard(kept)?;
                Ok(false)
            }
            Walked::Failed(why) => {
                tracing::warn!(repository = %id, why, "a repository could not be walked");
                self.discard(kept)?;
                Ok(false)
            }
        }
    }

    fn commit(
        &self,
        plan: Plan,
        (packs, indexes): (Vec<ObjectName>, Vec<ObjectName>),
        kept: Vec<(ObjectName, Kept)>,
    ) -> Result<bool> {
        let published = kept.iter().map(|(old, it)| (old.clone(), it.key.clone(), it.size)).collect();
        let (found, now) = (Found { packs, indexes, published }, self.clock.now());
        let id = plan.repository.id;
        let verdict = self.store.act_blocking(move |conn| retention::commit(conn, &plan, &found, now));
        match verdict {
            Ok(Verdict::Go(_)) => {
                kept.into_iter().for_each(|it| it.1.settle());
                retention::settle(&self.store, &*self.blobs, now)?;
                Ok(true)
            }
            Ok(other) => {
                tracing::info!(repository = %id, ?other, "a prune was not carried out");
                self.discard(kept)?;
                Ok(false)
            }
            // Nobody knows whether it was: what is not in the ledger goes.
            Err(error) => {
                self.discard(kept)?;
                Err(error)
            }
        }
    }

    /// Removes indexes that got no row.
    pub(super) fn discard(&self, kept: Vec<(ObjectName, Kept)>) -> Result<()> {
        for (_, it) in kept {
            backup::discard(&self.store, &*self.blobs, &it.key)?;
            it.settle();
        }
        Ok(())
    }

    pub(super) fn walk(
        &self,
        (repository, snapshots, ledger): (&Repository, &[ObjectName], &[Object]),
        may_go: Vec<ObjectName>,
        keep: &mut crate::proof::runner::Keeper<'_>,
    ) -> Result<Walked> {
        let key = match self.keys.open_master_key(repository) {
            Ok(key) => key,
            Err(error) => return Ok(Walked::Failed(format!("its key cannot be opened here: {error}"))),
        };
        let stored: u64 = ledger.iter().map(Object::size).sum();
        let served = Served {
            blobs: Arc::clone(&self.blobs),
            repository: repository.id,
            ledger: ledger.iter().map(|it| ((it.kind, it.name.clone()), it.size())).collect(),
            since: HashMap::new(),
            manifests: Vec::new(),
        };
        let job =
            PruneJob { snapshots: snapshots.to_vec(), may_go, cpu_seconds: stored / BYTES_PER_SECOND + SPARE_SECONDS };
        Ok(self.runner.walk((&served, &key), &job, keep, self))
    }
}

impl Watcher for Pruner {
    fn stop(&self) -> bool {
        self.store.wake().is_stopping()
    }
}
