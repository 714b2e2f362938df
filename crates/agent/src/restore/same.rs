//! Whether an entry is what a restore makes, or made.
use super::content;
use super::folders::open_up;
use super::trail::Content;
use crate::tree;
use domain::manifest::encode_path;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Whether an entry has this content, target or kind; its rights and times do not count.
pub fn is_same(dir: BorrowedFd<'_>, name: &CStr, content: &Content) -> bool {
    match content {
        Content::File { size, sha256 } => is_file(dir, name, *size, sha256),
        Content::Link { target } => {
            rustix::fs::readlinkat(dir, name, Vec::new()).is_ok_and(|it| encode_path(it.to_bytes()) == *target)
        }
        Content::Pipe => tree::stat(dir, name).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo),
    }
}

/// Whether a regular file has this size and hash.
pub fn is_file(dir: BorrowedFd<'_>, name: &CStr, size: u64, sha256: &str) -> bool {
    let is_it = |file: OwnedFd| {
        let file = File::from(file);
        file.metadata().is_ok_and(|it| it.len() == size) && content::hash(&file).is_ok_and(|(_, had)| had == sha256)
    };
    match tree::open_file(dir, name) {
        Ok(file) => is_it(file),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => readable(dir, name).is_ok_and(is_it),
        Err(_) => false,
    }
}

/// Opens a file of our own that we may not read.
fn readable(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let stat = fstat(&place)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if !is_file || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::ACCESS.into());
    }
    open_up(&place, stat.st_mode & 0o7777 | 0o400)?;
    let opened = tree::open_file(dir, name);
    open_up(&place, stat.st_mode & 0o7777)?;
    opened
}
