//! Keeps what the second store has from being deleted.
use crate::error::Result;
use crate::job::Summary;
use crate::service::copy::Locker;
use domain::time::{Time, minutes};
use std::time::Duration;

/// How soon a hold is put on in the second store too.
pub const PERIOD: Duration = minutes(1);

/// One run.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(locker: &Locker, now: Time) -> Result<Summary> {
    let run = locker.run(now)?;
    // What is left has a minute: each of them costs a request.
    let done_count = run.locked + run.held + run.freed;
    Ok(Summary { done_count, failed_count: usize::from(run.failed), more: false })
}
