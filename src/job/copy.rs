//! Copies to the second store, and repairs from it.
use crate::error::Result;
use crate::job::Summary;
use crate::service::copy::Replicator;
use domain::time::Time;
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
