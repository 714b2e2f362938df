//! The disk a folder is on.
use domain::object::ObjectKind;
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::io;
use std::path::Path;

/// Whether the disk of a folder is mounted read-only.
pub fn is_read_only(dir: &Path) -> bool {
    statvfs(dir).is_ok_and(|it| it.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// How many bytes of a folder's disk this process may still use, and how many there are.
pub fn space_of(path: &Path) -> Option<(u64, u64)> {
    let found = statvfs(path).ok()?;
    Some((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

/// Whether the largest object fits: anything less is full for a backup, whatever a small file shows.
pub fn has_room(dir: &Path) -> bool {
    space_of(dir).is_none_or(|(free, _)| free >= ObjectKind::Data.max_bytes())
}

/// Whether the disk itself cannot return or keep a block.
pub(super) fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
