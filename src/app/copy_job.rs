//! The background work for the second store.
use super::App;
use crate::job::{self, Job};
use crate::service::ground::Guarded;
use std::sync::Arc;

impl App {
    /// Those of the second store, if there is one.
    pub(super) fn copy_jobs(&self) -> Vec<Job> {
        let Some(replicator) = self.copy.clone() else { return Vec::new() };
        let (copy, clock) = (Arc::clone(replicator.copy()), self.clock.clone());
        let mut jobs = vec![Job::new("copy", job::copy::PERIOD, move || job::copy::run_once(&replicator, clock.now()))];
        let (own, place, guarded) = (self.clone(), Arc::clone(&copy), Guarded::default());
        let look = move || job::copy::look(&own.store, &place, &guarded, own.clock.now());
        jobs.push(Job::new("room of the copy", job::copy::LOOK_PERIOD, look));
        let (store, clock, guarded) = (self.store.clone(), self.clock.clone(), Guarded::default());
        let work = move || job::escrow::run_guarded(&store, &copy, &guarded, clock.now());
        jobs.push(Job::new("escrow", job::escrow::PERIOD, work));
        let clock = self.clock.clone();
        jobs.extend(self.locker.clone().map(|it| {
            Job::new("copy lock", job::copy_lock::PERIOD, move || job::copy_lock::run_once(&it, clock.now()))
        }));
        let clock = self.clock.clone();
        if self.store.is_shared() {
            let app = self.clone();
            let look = move || job::console_copy::look_for_dump(&app.store, app.clock.now());
            jobs.push(Job::new("dump", job::console_copy::LOOK_PERIOD, look));
        }
        jobs.extend(self.keeper.clone().map(|it| {
            let guarded = Guarded::default();
            let work = move || job::console_copy::run_guarded(&it, &guarded, clock.now());
            Job::new("console copy", job::console_copy::PERIOD, work)
        }));
        jobs
    }
}
