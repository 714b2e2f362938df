//! Looks for something unusual in what was restored for a test: also where another process tests, and where nothing is
//! pruned.
use crate::error::Result;
use crate::job::Summary;
use crate::service::retention;
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// How soon after a restore test people are told.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Looks at the tests that ended since the last run.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    retention::look_at_news(store, now).map(Summary::done)
}
