//! Tells of proofs that ran out and restore tests that failed.
use crate::domain::time::Time;
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::store::Store;
use std::time::Duration;

/// A proof runs out without any event, so somebody has to look.
pub const PERIOD: Duration = Duration::from_secs(20);

/// Puts into the outbox what people were not told.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    store.write_blocking(move |conn| service::alert::tell(conn, now)).map(Summary::done)
}
