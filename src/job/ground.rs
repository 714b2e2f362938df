//! Checks the backup store and the disks.
use crate::error::Result;
use crate::job::Summary;
use crate::service::ground::Watch;
use domain::time::Time;
use std::time::Duration;

/// How soon a missing folder is noticed.
pub const PERIOD: Duration = Duration::from_secs(5);

/// One look.
///
/// # Errors
/// When the database cannot be reached.
pub fn run_once(watch: &Watch, now: Time) -> Result<Summary> {
    watch.look(now).map(Summary::done)
}

/// One look beside a database that takes no writes: the server ends when the store goes.
///
/// That could not be kept, and pages would go on to call its backups proven. It does not start until the store is
/// back.
pub fn stand_or_fall(watch: &Watch) {
    if let Err(fault) = watch.look_only() {
        tracing::error!(
            cause = %fault.cause,
            why = fault.why,
            "the backup store cannot be read, and the database cannot keep that: stopping, so that nothing is called \
             proven that is not known to be there"
        );
        std::process::exit(70);
    }
}
