//! Keeps the escrow records on the second store, and reads them back.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::job::Summary;
use crate::service::escrow;
use crate::service::ground::Guarded;
use crate::store::Store;
use domain::time::{Time, minutes};
use std::sync::Arc;
use std::time::Duration;

/// How soon a repository that is there gets its record.
pub const PERIOD: Duration = minutes(1);

/// How long the second store may be silent: once a day each record is read, and each is a call of a bucket.
const PATIENCE: Duration = minutes(60);

/// One run, on a thread of its own, which is left alone if the second store never answers.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_guarded(store: &Store, copy: &Arc<dyn BlobStore>, guarded: &Guarded, now: Time) -> Result<Summary> {
    let (own, stop) = (store.clone(), || store.wake().is_stopping());
    match guarded.run(copy, PATIENCE, &stop, move |copy, _| run_once(&own, copy, now)) {
        Ok(done) => done,
        // The replicator says that it is silent.
        Err(_silent) => Ok(Summary { failed_count: usize::from(!stop()), ..Summary::default() }),
    }
}

/// One run.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, copy: &dyn BlobStore, now: Time) -> Result<Summary> {
    let kept = escrow::keep(store, copy, now)?;
    Ok(Summary { done_count: kept.made, failed_count: kept.lost + usize::from(kept.failed), more: false })
}
