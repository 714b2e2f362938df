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
    space_of(dir).is_none_or(|(free, total)| free >= needed(total).saturating_add(bytes))
}

/// How much must be free on a disk of so many bytes: as much as the largest object has. On a disk of which that would be a
/// quarter or more, nothing could ever free so much, and it would count as full for ever.
const fn needed(total: u64) -> u64 {
    let largest = ObjectKind::Data.max_bytes();
    if total < 4 * largest { total / 16 } else { largest }
}

/// Whether the disk itself cannot return or keep a block.
pub(super) fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_object_must_fit_unless_the_disk_itself_is_hardly_larger() {
        let largest = ObjectKind::Data.max_bytes();
        assert_eq!((needed(4 * largest), needed(1 << 40)), (largest, largest));
        assert_eq!((needed(96 << 20), needed(0)), (6 << 20, 0));
    }
}
