//! Checks the database in a copy of it, once a day.
use crate::error::Result;
use crate::job::Summary;
use crate::service::ground::{Watch, check_database};
use crate::store::Store;
use domain::time::{Time, minutes};
use std::path::Path;
use std::time::Duration;

/// How often is asked whether it is due.
pub const PERIOD: Duration = minutes(10);

/// One check, if one is due.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(store: &Store, watch: &Watch, database: &Path, now: Time) -> Result<Summary> {
    let trouble = check_database(store, database, now)?;
    let found = usize::from(trouble.is_some());
    watch.note_database(trouble);
    Ok(Summary::done(found))
}
