//! Copies to the second store, and repairs from it; looks whether it has room, and whether copying is late.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::service::copy::Replicator;
use crate::service::ground::Guarded;
use crate::store::Store;
use domain::time::{Time, hours, minutes};
use std::sync::Arc;
use std::time::Duration;

/// How soon an object that arrived is copied, and how evenly the pace is kept.
pub const PERIOD: Duration = Duration::from_secs(1);

/// One run.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(replicator: &Replicator, now: Time) -> Result<Summary> {
    let run = replicator.run(now)?;
    Ok(Summary { done_count: run.copied + run.repaired, failed_count: usize::from(run.failed), more: run.more })
}

/// How often its room is sampled.
pub const LOOK_PERIOD: Duration = hours(1);

/// How long it may be silent.
const PATIENCE: Duration = minutes(1);

/// Samples its room, and says so if copying is late.
///
/// # Errors
/// When the database cannot be reached.
pub fn look(store: &Store, copy: &Arc<dyn BlobStore>, guarded: &Guarded, now: Time) -> Result<Summary> {
    let stop = || store.wake().is_stopping();
    // One that is silent is told of by whoever copies.
    // Where its mount is gone, the folder is on another disk.
    let space =
        guarded.run(copy, PATIENCE, &stop, |copy, _| copy.check().ok().and_then(|()| copy.space())).ok().flatten();
    let told = space.map_or(Ok(false), |it| service::ground::sample_copy(store, it, now))?;
    let is_late = service::copy::tell_late(store, now)?;
    Ok(Summary { done_count: usize::from(told), failed_count: usize::from(is_late), more: false })
}
