//! Whether a restore may begin.
use super::RestoreState;
use super::selection::{MAX_PATHS, Selection};
use crate::device::DeviceState;

/// Why a restore may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreRefusal {
    #[error("the target device is “{}”, so nothing can be restored to it. Choose an enrolled device", .0.name())]
    TargetNotEnrolled(DeviceState),
    #[error("the server does not hold this restore point yet; choose another")]
    NotStored,
    #[error(
        "this backup came without a manifest, so nothing could be compared; restore it with your own restic client"
    )]
    NoManifest,
    #[error("this restore point is not proven. Tick the box to restore it anyway, or choose a proven one")]
    NotProven,
    #[error("nothing is chosen")]
    NothingChosen,
    #[error("choose at most 10,000 files, or their folders")]
    TooMany,
    #[error(
        "these are more files than a device can report back after one restore. Choose some of the folders, and restore \
         the others after them"
    )]
    MoreThanOneReport,
    #[error("only what a device itself backed up replaces its files. Choose another way with files that are there")]
    ReplacesElsewhere,
    #[error("the restore point holds none of the chosen files")]
    NoSuchFiles,
    #[error("the restore is “{}”: there is nothing to cancel", .0.name())]
    TooLate(RestoreState),
    #[error("this restore is not waiting for a decision: it is “{}”", .0.name())]
    NotWaiting(RestoreState),
    #[error(
        "your roles do not let you read what other people backed up: somebody with the role Recovery or Owner can \
         request this restore"
    )]
    MayNotRead,
}

/// What is checked before a restore begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    pub target: DeviceState,
    pub is_stored: bool,
    pub has_manifest: bool,
    pub is_proven: bool,
    /// Somebody ticked that the point is not proven.
    pub accepts_unproven: bool,
    pub selection: &'a Selection,
}

/// Whether a restore may begin.
///
/// # Errors
/// The first reason why not.
pub fn may_start(start: &Start<'_>) -> Result<(), RestoreRefusal> {
    if start.target != DeviceState::Enrolled {
        return Err(RestoreRefusal::TargetNotEnrolled(start.target));
    }
    if !start.is_stored {
        return Err(RestoreRefusal::NotStored);
    }
    if !start.has_manifest {
        return Err(RestoreRefusal::NoManifest);
    }
    if !start.is_proven && !start.accepts_unproven {
        return Err(RestoreRefusal::NotProven);
    }
    match start.selection {
        Selection::Paths(paths) if paths.is_empty() => Err(RestoreRefusal::NothingChosen),
        Selection::Paths(paths) if paths.len() > MAX_PATHS => Err(RestoreRefusal::TooMany),
        Selection::Paths(_) | Selection::All | Selection::Class(_) => Ok(()),
    }
}
