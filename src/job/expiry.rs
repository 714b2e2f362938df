//! Ends what nobody answered in time, and forgets what is kept only for a while.
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::service::apple::enrollment::FORGET_UNUSED;
use crate::store::{self, Store};
use domain::time::{Time, minutes};
use std::time::Duration;

/// Commands live for hours and days; half a minute late is soon enough.
pub const PERIOD: Duration = Duration::from_secs(30);

/// How many commands are ended in one run.
const BATCH: i64 = 200;

/// Request ids are kept a little longer than they could be used, in case the clock is set back by minutes.
const KEEP: Duration = minutes(10);

/// Expires open commands whose time is over, and forgets old request ids.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    store.write_blocking(move |conn| store::request_id::prune(conn, now - KEEP))?;
    store.write_blocking(move |conn| store::apple::enrollment::end_unused(conn, now - FORGET_UNUSED, now))?;
    store.write_blocking(move |conn| store::apple::order::prune(conn, now))?;
    // Checked first without the lock for acts: most runs find nothing.
    let overdue = store.read_blocking(|conn| store::command::overdue(conn, now, 1))?;
    if overdue.is_empty() {
        return Ok(Summary::default());
    }
    let done_count = store.act_blocking(move |conn| service::command::expire_overdue(conn, BATCH, now))?;
    let more = i64::try_from(done_count).unwrap_or(BATCH) >= BATCH;
    Ok(Summary { done_count, more, ..Summary::default() })
}
