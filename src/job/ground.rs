//! Checks the backup store and the disks.
use crate::domain::time::Time;
use crate::error::Result;
use crate::job::Summary;
use crate::service::ground::Watch;
use std::time::Duration;

/// How soon a missing folder is noticed.
pub const PERIOD: Duration = Duration::from_secs(5);

/// One look.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(watch: &Watch, now: Time) -> Result<Summary> {
    watch.look(now).map(Summary::done)
}
