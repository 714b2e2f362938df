//! Keeps the console's own state on the second store, and restores it from there on schedule.
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::service::console_copy::{Keeper, Trial};
use domain::console_copy::{self, TEST_EVERY};
use domain::time::Time;
use std::time::Duration;

/// How often the state is kept.
pub const PERIOD: Duration = console_copy::EVERY;

/// Keeps the state, and restores it if the last time was long ago.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(keeper: &Keeper, now: Time) -> Result<Summary> {
    let mut summary = Summary::default();
    match keeper.keep(now)? {
        Some(_) => summary.done_count += 1,
        None => return Ok(Summary { failed_count: 1, ..summary }),
    }
    let state = keeper.store().read_blocking(service::console_copy::console_copy)?;
    // A clock that was set back does not put it off.
    let is_recent = state.proof.is_some_and(|it| now < it.tested_at + TEST_EVERY && it.tested_at <= now);
    if is_recent && state.failed.is_none() {
        return Ok(summary);
    }
    match service::console_copy::try_restore(keeper.store(), &**keeper.copy(), keeper.dir(), now)? {
        Trial::Proven(_) => summary.done_count += 1,
        Trial::Failed(_) => summary.failed_count += 1,
        Trial::Nothing | Trial::Intact => {}
    }
    Ok(summary)
}
