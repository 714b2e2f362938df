//! Wakes the devices whose commands were queued by another process.
//!
//! On SQLite all commands are queued in this process, which wakes at once. On
//! PostgreSQL other processes write too: one look per second serves every long poll, and none is made while
//! nobody is waiting.
use crate::error::Result;
use crate::job::Summary;
use crate::store::{self, Store};
use domain::time::Time;
use std::time::Duration;

/// A command reaches a waiting device within two seconds.
pub const PERIOD: Duration = Duration::from_secs(1);

/// Wakes each waiting device for which a command is queued.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    let wake = store.wake();
    if !store.is_shared() || !wake.has_waiting_devices() {
        return Ok(Summary::default());
    }
    let devices = store.read_blocking(|conn| store::command::devices_with_queued(conn, now))?;
    for device in devices {
        wake.device(device);
    }
    Ok(Summary::default())
}
