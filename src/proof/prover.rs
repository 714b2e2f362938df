//! Takes restore tests from the queue, one process each.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::proof::escrow;
use crate::proof::frame::{FailedBefore, TestJob};
use crate::proof::keys::ProofKeys;
use crate::proof::runner::{Ended, Runner, Served, Watcher};
use crate::proof::team_key;
use crate::service;
use crate::service::proof::{Claimed, Needed};
use crate::store::Store;
use clock::Clock;
use domain::id::{DeviceId, RestoreTestId};
use domain::object::ObjectKind;
use domain::restore_test::TestReport;
use domain::time::minutes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A claim not renewed for this long is taken by another.
const LEASE: Duration = minutes(10);
/// How often it is renewed.
const RENEW: Duration = minutes(2);
/// The slowest speed at which an intact backup is read on a busy machine, and the time a test gets on top.
const BYTES_PER_SECOND: u64 = 8 << 20;
const SPARE_SECONDS: u64 = 120;
/// The size a device claims for its files is only its word, and buys no more than this.
const MOST_BY_ITS_WORD: u64 = 1800;

/// Takes restore tests from the queue. Cheap to clone.
#[derive(Clone)]
pub struct Prover {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    pub keys: Arc<ProofKeys>,
    pub clock: Clock,
    pub runner: Runner,
    /// Who runs the tests, as the pages show it: a host or "this server".
    pub name: String,
    /// How many tests run at once.
    pub parallel: usize,
}

impl Prover {
    /// Seals what has to be sealed to team keys and recovery keys, queues what is due, then runs tests until none is waiting; returns those that have ended.
    ///
    /// # Errors
    /// When the database refuses; tests that were taken are taken again later.
    pub fn run_once(&self, device: Option<DeviceId>) -> Result<Vec<RestoreTestId>> {
        self.keys.require_current(&self.store)?;
        team_key::keep(&self.store, &self.keys, &self.clock)?;
        escrow::add_missing(&self.store, &self.keys, &self.clock)?;
        let now = self.clock.now();
        for (point, cause) in self.store.read_blocking(|conn| service::proof::due(conn, now))? {
            self.store.write_blocking(move |conn| service::proof::queue(conn, point, cause, None, now))?;
        }
        let (ended, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        std::thread::scope(|scope| {
            for number in 0..self.parallel.max(1) {
                let (ended, failed) = (&ended, &failed);
                scope.spawn(move || {
                    if let Err(error) = self.work(number, device, ended) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    }
                });
            }
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn work(&self, number: usize, device: Option<DeviceId>, ended: &Mutex<Vec<RestoreTestId>>) -> Result<()> {
        // With the process's id, so that after a crash nobody takes an old claim for their own.
        let runner = format!("{} #{}.{number}", self.name, std::process::id());
        while !self.store.wake().is_stopping() {
            let (now, runner) = (self.clock.now(), runner.clone());
            let claim = move |conn: &mut _| service::proof::claim(conn, &runner, device, LEASE, now);
            let Some(claimed) = self.store.write_blocking(claim)? else { break };
            let id = claimed.test.id;
            if self.test(claimed)? {
                ended.lock().unwrap_or_else(PoisonError::into_inner).push(id);
            }
        }
        Ok(())
    }

    /// Runs one test; false if it was given back, or another has it.
    fn test(&self, claimed: Claimed) -> Result<bool> {
        let needed = self.store.read_blocking(|conn| service::proof::needed(conn, &claimed.test))?;
        // If this process may write to the store, what opens the repository is restored first.
        if let Err(error) = service::repository::heal(&self.store, &*self.blobs, needed.repository.id, self.clock.now())
        {
            tracing::warn!(error = format!("{error:#}"), "the files that open a repository could not be checked");
        }
        let report = match self.keys.open_master_key(&needed.repository) {
            Ok(key) => {
                let job = job(&needed);
                let beat = Beat::new(self, &claimed);
                match self.runner.run(&served(&self.blobs, &needed), &key, &job, &beat) {
                    Ended::Stopped => {
                        self.store.write_blocking(move |conn| service::proof::release(conn, &claimed))?;
                        return Ok(false);
                    }
                    Ended::Reported(report, used) => {
                        tracing::info!(test = %claimed.test.id, device = %claimed.test.device_id, result = %report.result,
                            level = %report.level, cpu = ?used.cpu, memory = used.peak_memory_bytes, "a restore test ended");
                        *report
                    }
                }
            }
            Err(error) => TestReport::unproven(format!("The repository's key cannot be opened here: {error}.")),
        };
        let (now, base) = (self.clock.now(), needed.base.map(|it| it.point));
        self.store.act_blocking(move |conn| service::proof::finish(conn, &claimed.test, base, &report, now))
    }
}

/// What the process of a test may read, from one store.
pub(super) fn served(blobs: &Arc<dyn BlobStore>, needed: &Needed) -> Served {
    let repository = needed.repository.id;
    let base = needed.base.as_ref().map(|it| (it.manifest.clone(), it.repository));
    let failed = needed.failed_before.manifests.iter().cloned();
    let own = needed.point.manifest_name.clone().map(|it| (it, repository));
    Served {
        blobs: Arc::clone(blobs),
        repository,
        ledger: needed.ledger.iter().map(|it| ((it.kind, it.name.clone()), it.size())).collect(),
        since: HashMap::new(),
        manifests: failed.chain(own).chain(base).collect(),
    }
}

/// What is asked of the process of a test.
pub(super) fn job(needed: &Needed) -> TestJob {
    let stored: u64 =
        needed.ledger.iter().filter(|it| it.kind == ObjectKind::Data).map(crate::store::object::Object::size).sum();
    let restored = needed.point.size_bytes.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    TestJob {
        device: needed.point.device_id,
        point: needed.point.id,
        snapshot: needed.point.snapshot_name.clone(),
        manifest: needed.point.manifest_name.clone(),
        base_manifest: needed.base.as_ref().map(|it| it.manifest.clone()),
        excluded: needed.excluded.clone(),
        failed_before: FailedBefore {
            keys: needed.failed_before.keys.clone(),
            manifests: needed.failed_before.manifests.iter().map(|it| it.0.clone()).collect(),
        },
        cpu_seconds: cpu_seconds(stored, restored),
    }
}

/// The processor time a test of this many stored and restored bytes may take.
fn cpu_seconds(stored: u64, restored: u64) -> u64 {
    (stored / BYTES_PER_SECOND).max((restored / BYTES_PER_SECOND).min(MOST_BY_ITS_WORD)) + SPARE_SECONDS
}

/// Renews the claim while the test runs, and stops it when the claim is lost or the server stops.
struct Beat<'a> {
    prover: &'a Prover,
    claimed: &'a Claimed,
    renewed: Mutex<Instant>,
    lost: AtomicBool,
}

impl<'a> Beat<'a> {
    fn new(prover: &'a Prover, claimed: &'a Claimed) -> Self {
        Self { prover, claimed, renewed: Mutex::new(Instant::now()), lost: AtomicBool::new(false) }
    }
}

impl Watcher for Beat<'_> {
    fn alive(&self) {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if renewed.elapsed() < RENEW {
            return;
        }
        *renewed = Instant::now();
        let (claimed, now) = (self.claimed.clone(), self.prover.clock.now());
        match self.prover.store.write_blocking(move |conn| service::proof::extend(conn, &claimed, now)) {
            Ok(true) => {}
            Ok(false) => self.lost.store(true, Ordering::Relaxed),
            // The database is away for a moment; the claim outlasts several tries.
            Err(error) => tracing::warn!(%error, "a restore test's claim could not be renewed"),
        }
    }

    fn stop(&self) -> bool {
        self.lost.load(Ordering::Relaxed) || self.prover.store.wake().is_stopping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_devices_word_buys_half_an_hour_at_most() {
        assert_eq!(cpu_seconds(800 << 20, 0), 100 + 120);
        assert_eq!(cpu_seconds(8 << 20, 800 << 20), 100 + 120);
        assert_eq!(cpu_seconds(8 << 20, u64::MAX), 1800 + 120);
        assert_eq!(cpu_seconds(80 << 30, u64::MAX), 10_240 + 120);
    }
}
