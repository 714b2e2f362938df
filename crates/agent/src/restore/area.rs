//! The folder in a protected folder where a restore keeps what it replaced, and an undo what it removed.
use super::name::said;
use super::times::keeping_times;
use crate::tree;
use rustix::fs::{Mode, fstat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The folder in a protected folder where replaced files are kept, each restore's in a folder of its own.
pub const AREA: &str = ".holdfast-undo";
const AREA_C: &CStr = c".holdfast-undo";

/// The name of an entry in the area.
pub fn number(slot: u64) -> io::Result<CString> {
    Ok(CString::new(slot.to_string())?)
}

/// A restore's part of the area in a protected folder; none if it replaced nothing there.
///
/// # Errors
/// When what is there is not the agent's own.
pub fn open_area(root: BorrowedFd<'_>, restore: &str) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    let opened = open_own(root, AREA_C).and_then(|above| {
        let own = open_own(above.as_fd(), &CString::new(restore)?)?;
        Ok((above, own))
    });
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// A restore's part of the area in a protected folder, made if it is not there.
///
/// # Errors
/// When the disk refuses, or what is there is not the agent's own.
pub fn make_area(root: BorrowedFd<'_>, restore: &str) -> io::Result<OwnedFd> {
    let above = make_own(root, AREA_C)?;
    let made = make_own(above.as_fd(), &CString::new(restore)?)?;
    rustix::fs::fsync(&above)?;
    rustix::fs::fsync(root)?;
    Ok(made)
}

/// Removes a restore's part of the area if nothing is left in it, and the area with the last one.
pub fn remove_area(root: BorrowedFd<'_>, above: BorrowedFd<'_>, restore: &str) {
    if let Ok(name) = CString::new(restore) {
        keeping_times(root, || {
            let _ = rustix::fs::unlinkat(above, &name, rustix::fs::AtFlags::REMOVEDIR);
            let _ = rustix::fs::unlinkat(root, AREA_C, rustix::fs::AtFlags::REMOVEDIR);
        });
    }
}

fn make_own(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => open_own(dir, name),
        Err(error) => Err(said(error)),
    }
}

/// A folder that only this account can open. Whoever owns the folder around it may have put another there.
fn open_own(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let opened = tree::open_same_mount(dir, name)?;
    let stat = fstat(&opened)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        let name = name.to_string_lossy();
        return Err(io::Error::other(format!("the folder {name} is not the agent's own; move it away")));
    }
    Ok(opened)
}
