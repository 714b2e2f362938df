//! Reports expired proofs, failed restore tests, backups that fail to arrive, and what is in the trash.
use crate::error::{Error, Result};
use crate::job::Summary;
use crate::service;
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// A proof expires without any event, so somebody has to look.
pub const PERIOD: Duration = Duration::from_secs(20);

/// Puts what people have not been told yet into the outbox.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    let told = store.write_blocking(move |conn| {
        Ok::<_, Error>(service::alert::tell(conn, now)? + service::copy::tell_lost(conn, now)?)
    })?;
    // By itself: what cannot be told of the trash keeps nothing else from being told.
    let told = match store.read_blocking(move |conn| service::retention::has_news(conn, now))? {
        true => told + store.write_blocking(move |conn| service::retention::tell(conn, now))?,
        false => told,
    };
    // Searched without the write lock: most runs find nothing, but look at every device.
    let found = store.read_blocking(move |conn| service::absence::look(conn, now))?;
    if found.is_empty() {
        return Ok(Summary::done(told));
    }
    let absent = store.write_blocking(move |conn| service::absence::tell(conn, &found, now))?;
    Ok(Summary::done(told + absent))
}
