//! Tells of proofs that ran out, restore tests that failed, and backups that do not come.
use crate::domain::time::Time;
use crate::error::Result;
use crate::job::Summary;
use crate::service;
use crate::store::Store;
use std::time::Duration;

/// A proof runs out without any event, so somebody has to look.
pub const PERIOD: Duration = Duration::from_secs(20);

/// Puts into the outbox what people were not told.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    let told = store.write_blocking(move |conn| service::alert::tell(conn, now))?;
    // Looked for without the lock that writes take: most runs find nothing, and look at every device.
    let found = store.read_blocking(move |conn| service::absence::look(conn, now))?;
    if found.is_empty() {
        return Ok(Summary::done(told));
    }
    let absent = store.write_blocking(move |conn| service::absence::tell(conn, &found, now))?;
    Ok(Summary::done(told + absent))
}
