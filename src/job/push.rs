//! Wakes the Apple devices for which something waits, or that were to be heard from.
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::service::apple::push::{Outcome, Push};
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// Nobody waits long for a lock.
pub const PERIOD: Duration = Duration::from_secs(5);

/// Wakes one wave of devices.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, push: &dyn Push, now: Time) -> Result<Summary> {
    let due = store.read_blocking(move |conn| service::apple::push::due(conn, now))?;
    if due.is_empty() {
        return Ok(Summary::default());
    }
    let outcomes = push.wake(&due);
    let failed: Vec<_> =
        outcomes.iter().filter_map(|it| if let Outcome::Failed(why) = it { Some(why) } else { None }).collect();
    if let Some(why) = failed.first() {
        tracing::warn!(why, count = failed.len(), "Apple devices could not be woken");
    }
    let summary = Summary {
        done_count: outcomes.len() - failed.len(),
        failed_count: failed.len(),
        // Those that failed wait: only a whole wave that went well is followed by another at once.
        more: failed.is_empty() && service::apple::push::is_full(due.len()),
    };
    store.write_blocking(move |conn| {
        for (device, outcome) in due.iter().zip(&outcomes) {
            service::apple::push::done(conn, device, outcome, now)?;
        }
        Ok::<_, crate::error::Error>(())
    })?;
    Ok(summary)
}
