//! Names of entries: which are valid, how one is given without replacing anything, and the system's refusals.
use rustix::fs::{AtFlags, RenameFlags, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;

/// The longest name of a file.
pub const LONGEST: usize = 255;

/// Renames without replacing, even on file systems that cannot do that in one step.
pub fn rename_new(from: (BorrowedFd<'_>, &CStr), to: (BorrowedFd<'_>, &CStr)) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            rustix::fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
            unlinkat(from.0, from.1, AtFlags::empty())
        }
        result => result,
    }
}

/// A valid name: not empty, not `.` or `..`, without `/` or NUL.
pub fn checked(name: &[u8]) -> io::Result<CString> {
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no file can have this name here"));
    }
    Ok(CString::new(name)?)
}

/// The system's refusal in words that say what may be wrong.
pub fn said(error: Errno) -> io::Error {
    match error {
        Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the system does not permit it; if the folder is marked as immutable (lsattr), remove that mark (chattr \
             -i)",
        ),
        Errno::ROFS => io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the disk is mounted read-only"),
        other => other.into(),
    }
}

/// Whether there is no room for more.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
