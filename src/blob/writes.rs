//! Whether a blob folder accepts writes, or why not, as last learned.
use crate::blob::WriteFault;
use crate::blob::disk::is_bad_sector;
use domain::ground::StopCause;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the last writes showed.
#[derive(Debug, Default)]
pub struct Writes(Mutex<Option<(StopCause, String)>>);

impl Writes {
    fn last(&self) -> MutexGuard<'_, Option<(StopCause, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing is accepted; none while writes work.
    pub fn fault(&self) -> Option<(StopCause, String)> {
        self.last().clone()
    }

    /// Notes a failed sync: after that nobody knows what is on disk, and a second try would "succeed" while
    /// data is gone. It stays until a restart.
    pub fn sync_failed(&self, path: &Path, error: &io::Error) {
        *self.last() =
            Some((StopCause::Sync, format!("the disk could not keep what was written to {}: {error}", path.display())));
    }

    /// Whether a sync failed since the start.
    pub fn have_stopped(&self) -> bool {
        matches!(&*self.last(), Some((StopCause::Sync, _)))
    }

    /// Notes how a write ended, and passes it on.
    pub fn noting<T>(&self, result: Result<T, WriteFault>) -> Result<T, WriteFault> {
        if let Err(WriteFault::Stopped(cause, why)) = &result
            && !self.have_stopped()
        {
            *self.last() = Some((*cause, why.clone()));
        }
        result
    }

    /// Notes that writing works again.
    pub fn work(&self) {
        let mut last = self.last();
        if last.as_ref().is_some_and(|(cause, _)| *cause != StopCause::Sync) {
            *last = None;
        }
    }
}

impl From<io::Error> for WriteFault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the list is the standard library's; the rest says nothing of the disk"
    )]
    fn from(error: io::Error) -> Self {
        let why = error.to_string();
        match error.kind() {
            ErrorKind::AlreadyExists => Self::Taken,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Stopped(StopCause::Full, why),
            ErrorKind::ReadOnlyFilesystem => Self::Stopped(StopCause::ReadOnly, why),
            ErrorKind::PermissionDenied => Self::Stopped(StopCause::Refused, why),
            _ if is_bad_sector(&error) => Self::Stopped(StopCause::Refused, why),
            _ => Self::Failed(why),
        }
    }
}
