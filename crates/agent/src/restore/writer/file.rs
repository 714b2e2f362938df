//! Files under their temporary names.
use crate::restore::name::said;
use aws_lc_rs::digest::{Context, SHA256};
use repository::Id;
use rustix::fs::{AtFlags, Mode, OFlags, unlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

/// How the temporary names of a restore begin.
fn prefix(restore: &str) -> String {
    format!(".holdfast-restore-{restore}-")
}

/// The name under which a restore makes an entry: it finds there what an earlier try left of the same entry.
///
/// # Errors
/// When the restore's name cannot be part of a file name.
pub(in crate::restore) fn temporary(restore: &str, name: &CStr) -> io::Result<CString> {
    Ok(CString::new(format!("{}{}", prefix(restore), hex::encode(secret::sha256(name.to_bytes()))))?)
}

/// Whether a restore has made what has this name, and has not given it its own.
pub(in crate::restore) fn is_temporary(restore: &str, name: &CStr) -> bool {
    let prefix = prefix(restore);
    // An agent from before there were batches had one name for all, without an end.
    let before = prefix.strip_suffix('-').unwrap_or(&prefix);
    name.to_bytes().starts_with(prefix.as_bytes()) || name.to_bytes() == before.as_bytes()
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
