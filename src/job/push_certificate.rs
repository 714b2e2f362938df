//! Tells in time that the certificate ends with which Apple devices are woken.
use crate::error::Result;
use crate::job::Summary;
use crate::service::apple::push_certificate::{self, Given};
use crate::store::Store;
use domain::time::{Time, minutes};
use std::time::Duration;

/// It ends without any event, so somebody has to look.
pub const PERIOD: Duration = minutes(10);

/// Sends the reminder that is due.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, given: &Given, now: Time) -> Result<Summary> {
    // Looked at without the write lock: nearly every run finds nothing.
    if store.read_blocking(|conn| push_certificate::reminder(conn, given, now))?.is_none() {
        return Ok(Summary::default());
    }
    let given = given.clone();
    Ok(Summary::done(store.write_blocking(move |conn| push_certificate::remind(conn, &given, now))?))
}
