//! Whether a blob folder accepts writes, or why not, as last learned.
use domain::ground::WriteFault;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the last writes showed.
#[derive(Debug, Default)]
pub struct Writes(Mutex<Option<(WriteFault, String)>>);

impl Writes {
    fn last(&self) -> MutexGuard<'_, Option<(WriteFault, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is accepted; none while writes work.
    pub fn fault(&self) -> Option<(WriteFault, String)> {
        self.last().clone()
    }

    /// Notes a failed sync: after that nobody knows what is on disk, and a second try would "succeed" while
    /// data is gone. It stays until a restart.
    pub fn sync_failed(&self, path: &Path, error: &io::Error) {
        *self.last() = Some((
            WriteFault::Sync,
            format!("the disk could not keep what was written to {}: {error}", path.display()),
        ));
    }

    /// Whether a sync failed since the start.
    pub fn have_stopped(&self) -> bool {
        matches!(&*self.last(), Some((WriteFault::Sync, _)))
    }

    /// Notes how a write ended, and passes it on.
    pub fn noting<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && let Some(fault) = fault_of(error)
            && !self.have_stopped()
        {
            *self.last() = Some((fault, error.to_string()));
        }
        result
    }

    /// Notes that writing works again.
    pub fn work(&self) {
        let mut last = self.last();
        if last.as_ref().is_some_and(|(fault, _)| *fault != WriteFault::Sync) {
            *last = None;
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list is the standard library's; the rest says nothing of the disk"
)]
fn fault_of(error: &io::Error) -> Option<WriteFault> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(WriteFault::Full),
        ErrorKind::ReadOnlyFilesystem => Some(WriteFault::ReadOnly),
        ErrorKind::PermissionDenied => Some(WriteFault::Refused),
        _ if super::is_bad_sector(error) => Some(WriteFault::Refused),
        _ => None,
    }
}
