//! Looks at the store of backups and at the disks.
use crate::domain::time::Time;
use crate::error::Result;
use crate::job::Summary;
use crate::service::ground::Watch;
use std::time::Duration;

/// A folder that went is found this soon.
pub const PERIOD: Duration = Duration::from_secs(5);

/// One look.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(watch: &Watch, now: Time) -> Result<Summary> {
    watch.look(now).map(Summary::done)
}
