//! Releases wipes and removals whose hold is over, and ends wipes and restores that have expired.
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::store::Store;
use clock::Clock;
use std::time::Duration;

/// A hold lasts minutes; a second late is soon enough.
pub const PERIOD: Duration = Duration::from_secs(1);

/// How many are moved in one run.
const BATCH: i64 = 100;

/// Moves each request that is due.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, clock: &Clock) -> Result<Summary> {
    let (now, steady_since) = (clock.now(), clock.steady_since());
    // Checked first without the lock for acts: most runs find nothing.
    let is_idle = store.read_blocking(move |conn| {
        Ok::<_, crate::error::Error>(
            crate::store::wipe::due(conn, now, 1)?.is_empty()
                && crate::store::wipe::orphaned(conn, 1)?.is_empty()
                && crate::store::restore::overdue(conn, now, 1)?.is_empty()
                && crate::store::removal::due(conn, now, 1)?.is_empty(),
        )
    })?;
    if is_idle {
        return Ok(Summary::default());
    }
    let done_count = store.act_blocking(move |conn| {
        let released = service::wipe::release_due(conn, BATCH, steady_since, now)?;
        let ended = service::wipe::settle_orphaned(conn, BATCH, now)?;
        let expired = service::restore::expire_overdue(conn, BATCH, now)?;
        let removed = service::removal::release_due(conn, BATCH, now)?;
        Ok::<_, crate::error::Error>(released + ended + expired + removed)
    })?;
    Ok(Summary::done(done_count))
}
