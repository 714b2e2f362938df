//! Files on the way to their place.
use super::Manner;
use crate::restore::content;
use crate::restore::folders::open_up;
use crate::restore::name::said;
use crate::restore::place::Place;
use crate::restore::trail::{Content, Steps};
use crate::tree;
use aws_lc_rs::digest::{Context, SHA256};
use repository::Id;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, unlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Where a temporary entry in the folder that was entered is to go.
pub(super) fn place<'a>(
    (dir, folder): (BorrowedFd<'a>, &'a [Vec<u8>]),
    temporary: &'a CStr,
    (manner, steps): (&'a Manner, &'a Steps),
    content: Content,
) -> Place<'a> {
    Place { dir, temporary, day: &manner.day, conflict: manner.conflict, steps, folder, content }
}

pub(super) fn digest(chunks: &[Id]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    chunks.iter().for_each(|it| context.update(&it.0));
    let mut out = [0; 32];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// Makes something under the temporary name. Anything an interrupted try left there is this restore's own and
/// is removed.
pub(super) fn fresh<T>(
    dir: BorrowedFd<'_>,
    name: &CStr,
    mut make: impl FnMut() -> rustix::io::Result<T>,
) -> io::Result<T> {
    match make() {
        Err(Errno::EXIST) => {
            unlinkat(dir, name, AtFlags::empty())?;
            make().map_err(said)
        }
        result => result.map_err(said),
    }
}

pub(super) fn create(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    fresh(dir, name, || rustix::fs::openat(dir, name, flags, mode)).map(File::from)
}

/// Whether a regular file has this size and hash.
pub(in crate::restore) fn is_file(dir: BorrowedFd<'_>, name: &CStr, size: u64, sha256: &str) -> bool {
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
