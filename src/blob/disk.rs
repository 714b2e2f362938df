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
    has_room_beside(dir, 0)
}

/// [`has_room`] if so many bytes more were taken.
pub(super) fn has_room_beside(dir: &Path, bytes: u64) -> bool {
    // A disk on which that is much has little else.
    let needed = |total: u64| ObjectKind::Data.max_bytes().min(total / 16);
    space_of(dir).is_none_or(|(free, total)| free >= needed(total).saturating_add(bytes))
}

/// Whether the disk itself cannot return or keep a block.
pub(super) fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
