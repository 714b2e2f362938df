//! Notes in the backup store how far the database is.
use crate::blob::home::Identity;
use crate::blob::seen::{self, Seen};
use crate::error::{Error, Result};
use crate::job::Summary;
use crate::service::ground;
use crate::store::{self, Store};
use std::path::Path;
use std::time::Duration;

/// What a database that is put back may lack without being noticed.
pub const PERIOD: Duration = Duration::from_secs(60);

/// Notes the newest entry, if another is noted.
///
/// # Errors
/// When the database cannot be reached. A store that cannot be written is told by whoever looks after it.
pub fn run_once(store: &Store, blobs: &Path) -> Result<Summary> {
    let (owner, newest) =
        store.read_blocking(|conn| Ok::<_, Error>((ground::known_identity(conn)?, store::activity::newest(conn)?)))?;
    let (Some(owner), Some((seq, entry))) = (owner, newest) else { return Ok(Summary::default()) };
    Ok(Summary::done(usize::from(note(blobs, &owner, seq, entry.to_string()))))
}

fn note(blobs: &Path, owner: &Identity, seq: i64, entry: String) -> bool {
    let now = Seen { database: owner.database.clone(), seq, entry };
    if seen::read(blobs).ok().flatten().as_ref() == Some(&now) {
        return false;
    }
    seen::write(blobs, owner, &now)
        .inspect_err(|error| tracing::debug!(%error, "the backup store does not note how far the database is"))
        .is_ok()
}
