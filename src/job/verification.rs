//! Reads stored backups back, and looks for what is missing.
use crate::error::Result;
use crate::job::Summary;
use crate::service::proof;
use crate::service::verification::{self, Verifier};
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// How often it reads: the budget is spent in bursts of so long, and what was found is kept after each.
pub const PERIOD: Duration = Duration::from_secs(5);

/// How often a step of the listing is made.
pub const LIST_PERIOD: Duration = Duration::from_secs(60);

/// How often it is looked whether a device is to be asked to send something again.
pub const ASK_PERIOD: Duration = Duration::from_secs(60);

/// Asks devices to send again what no store has intact.
///
/// # Errors
/// When the database cannot be reached.
pub fn ask_again(store: &Store, now: Time) -> Result<Summary> {
    verification::ask_again(store, now).map(Summary::done)
}

/// How often it is looked how far backups were read back that nobody here can test.
pub const UNTESTED_PERIOD: Duration = Duration::from_secs(60);

/// Notes how far backups were read back whose keys customers keep.
///
/// # Errors
/// When the database cannot be reached.
pub fn note_untested(store: &Store, now: Time) -> Result<Summary> {
    let mut count = 0;
    for it in store.read_blocking(move |conn| proof::untested(conn, now))? {
        count += store.write_blocking(move |conn| proof::note_read_back(conn, &it, now))?;
    }
    Ok(Summary::done(count))
}

/// A turn of reading.
///
/// # Errors
/// When the database cannot be reached.
pub fn read_back(verifier: &Verifier, now: Time) -> Result<Summary> {
    let turn = verifier.read_back(now)?;
    Ok(Summary { done_count: turn.looked_at, failed_count: turn.damaged, more: turn.more })
}

/// A step of the listing.
///
/// # Errors
/// When the database cannot be reached.
pub fn list(verifier: &Verifier, now: Time) -> Result<Summary> {
    let turn = verifier.list(LIST_PERIOD, now)?;
    Ok(Summary { done_count: turn.looked_at, failed_count: turn.damaged, more: false })
}
