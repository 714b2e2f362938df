//! Keeps the console's own state on the second store, and restores it from there on schedule.
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::service::console_copy::{Keeper, Trial};
use crate::service::ground::Guarded;
use crate::store::Store;
use domain::console_copy::{self, Stage, TEST_EVERY};
use domain::time::{Time, minutes};
use std::time::Duration;

/// How often the state is kept.
pub const PERIOD: Duration = console_copy::EVERY;

/// How long the second store may be silent: the whole of a large database goes there once a day.
const PATIENCE: Duration = minutes(10);

/// [`run_once`] on a thread of its own, which is left alone if the second store never answers.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_guarded(keeper: &Keeper, guarded: &Guarded, now: Time) -> Result<Summary> {
    let (store, own) = (keeper.store().clone(), keeper.clone());
    let stop = || store.wake().is_stopping();
    match guarded.run(keeper.copy(), PATIENCE, &stop, move |_, _| run_once(&own, now)) {
        Ok(done) => done,
        Err(_) if stop() => Ok(Summary::default()),
        Err(fault) => {
            service::console_copy::note_failure(&store, Stage::Keep, Some(&fault.why), now)?;
            Ok(Summary { failed_count: 1, ..Summary::default() })
        }
    }
}

/// How often it is looked whether a dump was handed over.
pub const LOOK_PERIOD: Duration = minutes(1);

/// Looks whether a dump was handed over in time, where others make them.
///
/// # Errors
/// When the database cannot be reached.
pub fn look_for_dump(store: &Store, now: Time) -> Result<Summary> {
    let is_late = service::console_copy::look_for_dump(store, now)?;
    Ok(Summary { failed_count: usize::from(is_late), ..Summary::default() })
}

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
    let state = keeper.store().read_blocking(move |conn| service::console_copy::console_copy(conn, now))?;
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
