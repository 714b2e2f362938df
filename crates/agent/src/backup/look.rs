//! What the file system says about an entry besides its content.
use super::walker::{Found, said};
use crate::tree;
use domain::manifest::{Entry, EntryKind, Meta, attribute_bytes, encode_path};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The kernel's own limit for one attribute's value and for the list of names.
const ATTRIBUTE: usize = 64 << 10;
/// The first and the last second that a backup can express: a day inside the years 0 to 9999, so that no time
/// zone leads outside them.
const TIMES: std::ops::RangeInclusive<i64> = -62_167_132_800..=253_402_214_399;

/// An entry, and what only the backup needs to know about it.
pub struct Looked {
    /// Without a file's size and hash.
    pub entry: Entry,
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub target: Vec<u8>,
}

/// The files that were met under several names.
#[derive(Debug, Default)]
pub struct Groups(HashMap<(u64, u64), u64>);

impl Groups {
    fn of(&mut self, stat: &Stat) -> Option<u64> {
        let is_linked = stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        let next = self.0.len() as u64 + 1;
        is_linked.then(|| *self.0.entry((stat.st_dev, stat.st_ino)).or_insert(next))
    }
}

/// Looks at an entry; `handle` is what the walk opened for it.
pub fn look(found: &Found, handle: Option<BorrowedFd<'_>>, groups: &mut Groups) -> Looked {
    let kind = kind_of(found.kind());
    let mut entry = Entry { left_out: found.fault.clone(), ..Entry::bare(encode_path(&found.path), kind) };
    let mut looked = Looked { entry: entry.clone(), attributes: Vec::new(), target: Vec::new() };
    let (Some(stat), Some(handle)) = (&found.stat, handle) else {
        entry.left_out.get_or_insert_with(|| "it could not be looked at".to_owned());
        return Looked { entry, ..looked };
    };
    let mut leave_out = |why: String| {
        entry.left_out.get_or_insert(why);
    };
    match attributes(found, handle) {
        Ok(found) => {
            let (kept, odd): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| std::str::from_utf8(&it.0).is_ok());
            if !odd.is_empty() {
                leave_out("an extended attribute has a name that is not UTF-8".to_owned());
            }
            looked.attributes = kept;
        }
        Err(error) => leave_out(format!("its extended attributes cannot be read: {}", said(error))),
    }
    if kind == EntryKind::Symlink {
        match rustix::fs::readlinkat(handle, &found.name, Vec::new()) {
            Ok(target) => looked.target = target.into_bytes(),
            Err(error) => leave_out(format!("where it points cannot be read: {}", said(error))),
        }
    }
    let (seconds, nanos) = time(stat);
    if seconds != stat.st_mtime {
        leave_out("its time is outside the years 0 to 9999".to_owned());
    }
    let digest = attribute_bytes(looked.attributes.iter().map(|(name, value)| (&name[..], &value[..])));
    entry.meta = Some(Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (seconds, nanos),
        attributes: digest.map(|it| hex::encode(secret::sha256(&it))),
        sparse: kind == EntryKind::File && stat.st_blocks.saturating_mul(512) < stat.st_size,
    });
    entry.target = (kind == EntryKind::Symlink).then(|| encode_path(&looked.target));
    entry.link_group = groups.of(stat);
    Looked { entry, ..looked }
}

/// The time of the last change, as far as a backup can express it.
pub fn time(stat: &Stat) -> (i64, u32) {
    let seconds = stat.st_mtime.clamp(*TIMES.start(), *TIMES.end());
    let nanos = if seconds == stat.st_mtime { u32::try_from(stat.st_mtime_nsec).unwrap_or(0) } else { 0 };
    (seconds, nanos.min(999_999_999))
}

const fn kind_of(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Folder,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Fifo => EntryKind::Pipe,
        FileType::Socket => EntryKind::Socket,
        FileType::CharacterDevice => EntryKind::CharDevice,
        FileType::BlockDevice => EntryKind::BlockDevice,
        FileType::Unknown => EntryKind::Unknown,
    }
}

/// Extended attributes: names and values.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// All extended attributes this account can see.
fn attributes(found: &Found, handle: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    if found.is_open {
        return read_all(
            |buffer| rustix::fs::flistxattr(handle, buffer),
            |name, buffer| rustix::fs::fgetxattr(handle, name, buffer),
        );
    }
    // No system call takes a folder and a name; this path is short, however long the entry's own is.
    let mut path = format!("/proc/self/fd/{}/", handle.as_raw_fd()).into_bytes();
    path.extend_from_slice(found.name.as_bytes());
    let by_path = read_all(
        |buffer| rustix::fs::llistxattr(&path[..], buffer),
        |name, buffer| rustix::fs::lgetxattr(&path[..], name, buffer),
    );
    match by_path {
        // Without /proc a file can be asked through its own handle; links, pipes and sockets seldom have any.
        Err(Errno::NOENT | Errno::NOTDIR) if found.kind() == FileType::RegularFile => {
            let file = tree::open_file(handle, &found.name).map_err(errno)?;
            read_all(
                |buffer| rustix::fs::flistxattr(&file, buffer),
                |name, buffer| rustix::fs::fgetxattr(&file, name, buffer),
            )
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other,
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn read_all(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Attributes, Errno> {
    let mut small = [0; 1024];
    let names = match list(&mut small) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(length) => small.get(..length).unwrap_or_default().to_vec(),
        Err(Errno::RANGE) => {
            let mut all = vec![0; ATTRIBUTE];
            let length = list(&mut all)?;
            all.truncate(length);
            all
        }
        Err(error) => return Err(error),
    };
    let mut read = Vec::new();
    for name in names.split(|it| *it == 0).filter(|it| !it.is_empty()) {
        let value = match get(name, &mut small) {
            Ok(length) => small.get(..length).unwrap_or_default().to_vec(),
            Err(Errno::RANGE) => {
                let mut all = vec![0; ATTRIBUTE];
                let length = get(name, &mut all)?;
                all.truncate(length);
                all
            }
            // Gone since it was listed.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error),
        };
        read.push((name.to_vec(), value));
    }
    Ok(read)
}
