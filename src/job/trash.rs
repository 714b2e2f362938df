//! Moves files to the trash, back, or out of the world, as the database says.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::job::Summary;
use crate::service::retention;
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// How soon what is put back is at its place.
pub const PERIOD: Duration = Duration::from_secs(10);

/// Continues with what is left.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, blobs: &dyn BlobStore, now: Time) -> Result<Summary> {
    retention::settle(store, blobs, now).map(Summary::done)
}
