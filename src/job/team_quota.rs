//! Adds up what the backups of each team take.
use crate::error::Result;
use crate::job::Summary;
use crate::service::team_quota;
use crate::store::Store;
use domain::time::Time;
use std::time::Duration;

/// What arrives in between may go beyond a team's space.
pub const PERIOD: Duration = Duration::from_secs(30);

/// Adds up, if anything has changed.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, now: Time) -> Result<Summary> {
    // Looked at first without the lock for acts: most runs find nothing.
    if store.read_blocking(team_quota::is_settled)? {
        return Ok(Summary::default());
    }
    store.act_blocking(move |conn| team_quota::sum_up(conn, now)).map(Summary::done)
}
