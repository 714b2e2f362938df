//! What an entry has besides its content: owner, permission bits, access lists, other extended attributes and
//! times.
//!
//! The order matters. Attributes come while the entry is still ours; the owner before the permission bits,
//! because a new owner clears set-id bits; the bits without the access list before the list, so that at no
//! moment anybody may do more than before; capabilities after the owner, which clears these too; times last.
//! What the system refuses is reported, and narrows what is left.
use crate::tree;
use domain::access_list::{self as acl, AccessList};
use domain::shortfall::ShortfallKind as Short;
use repository::Node;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

const CAPABILITY: &[u8] = b"security.capability";
const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;

/// The rights and times of one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    pub mode: u32,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub modified: Option<(i64, u32)>,
    pub accessed: Option<(i64, u32)>,
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// It had more before it was stripped.
    pub is_stripped: bool,
}

impl From<&Node> for Rights {
    fn from(node: &Node) -> Self {
        Self {
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            modified: node.modified,
            accessed: node.accessed,
            attributes: node.attributes.clone(),
            is_stripped: false,
        }
    }
}

impl Rights {
    /// Removes what could start something on a device it does not come from: execute rights, set-id bits, and
    /// all attributes except user attributes and access lists.
    pub fn strip(mut self, is_folder: bool) -> Self {
        let before = (self.mode, self.attributes.clone());
        self.mode &= if is_folder { 0o1777 } else { 0o666 };
        self.attributes.retain(|(name, _)| name.starts_with(b"user.") || is_list(name));
        if !is_folder {
            for (name, value) in &mut self.attributes {
                if is_list(name) {
                    *value = AccessList::parse(value).map_or_else(Vec::new, |mut list| {
                        list.take(1);
                        list.encode()
                    });
                }
            }
        }
        self.is_stripped = before != (self.mode, self.attributes.clone());
        self
    }

    fn attribute(&self, name: &CStr) -> Option<&[u8]> {
        self.attributes.iter().find(|it| it.0 == name.to_bytes()).map(|it| it.1.as_slice())
    }

    fn times(&self) -> Option<Timestamps> {
        let modified = self.modified?;
        let stamp = |(seconds, nanoseconds): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        Some(Timestamps { last_access: stamp(self.accessed.unwrap_or(modified)), last_modification: stamp(modified) })
    }

    /// Whether an open entry has rights other than these; times and additional attributes do not count.
    pub fn differ_from(&self, file: BorrowedFd<'_>) -> bool {
        let Ok(stat) = rustix::fs::fstat(file) else { return true };
        let is_other = |said: Option<u32>, had| said.is_some_and(|it| it != had);
        stat.st_mode & 0o7777 != self.mode
            || is_other(self.uid, stat.st_uid)
            || is_other(self.gid, stat.st_gid)
            || self.attributes.iter().any(|(name, value)| !has(file, name, value))
    }
}

fn is_list(name: &[u8]) -> bool {
    name == acl::ACCESS.to_bytes() || name == acl::DEFAULT.to_bytes()
}

fn has(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> bool {
    let mut buffer = vec![0; value.len() + 1];
    let Ok(name) = CString::new(name) else { return false };
    let had = rustix::fs::fgetxattr(file, &name, buffer.as_mut_slice());
    had.is_ok_and(|had| buffer.get(..had) == Some(value))
}

/// Gives an open file, folder or pipe that this restore made its rights and times; returns what could not be
/// given.
pub fn apply(file: BorrowedFd<'_>, rights: &Rights) -> Vec<Short> {
    let mut short = Vec::new();
    // Defaults inherited from the folder around it were not in the backup.
    for name in [acl::ACCESS, acl::DEFAULT] {
        let _ = rustix::fs::fremovexattr(file, name);
    }
    for (name, value) in rights.attributes.iter().filter(|it| !is_list(&it.0) && it.0 != CAPABILITY) {
        if !set(file, name, value) {
            short.push(if name.starts_with(b"system.") { Short::AccessList } else { Short::Attribute });
        }
    }
    let owned = own(file, rights);
    if !owned.is_whole() {
        short.push(Short::Owner);
    }
    permit(file, rights, owned, &mut short);
    if let Some(value) = rights.attributes.iter().find(|it| it.0 == CAPABILITY).map(|it| &it.1)
        && !set(file, CAPABILITY, value)
    {
        short.push(Short::Capability);
    }
    if rights.is_stripped {
        short.push(Short::Executable);
    }
    if !keep_time(file, rights) {
        short.push(Short::Time);
    }
    once(short)
}

/// Each kind once.
fn once(mut short: Vec<Short>) -> Vec<Short> {
    let mut seen = Vec::new();
    short.retain(|kind| {
        let is_new = !seen.contains(kind);
        seen.push(*kind);
        is_new
    });
    short
}

/// Sets the times of an open entry; says whether it has them now.
pub fn keep_time(file: BorrowedFd<'_>, rights: &Rights) -> bool {
    let Some(times) = rights.times() else { return true };
    // A time the file system cannot store is silently cut to the nearest one it can.
    rustix::fs::futimens(file, &times).is_ok() && rustix::fs::fstat(file).is_ok_and(|it| has_time(&it, rights))
}

fn has_time(stat: &Stat, rights: &Rights) -> bool {
    let had = (stat.st_mtime, tree::nanos(0, stat.st_mtime_nsec));
    rights.modified.is_none_or(|(seconds, nanoseconds)| had == (seconds, nanoseconds.into()))
}

/// Whether an entry has its original owner.
#[derive(Debug, Clone, Copy)]
struct Owned {
    owner: bool,
    group: bool,
}

impl Owned {
    const fn is_whole(self) -> bool {
        self.owner && self.group
    }
}

fn own(file: BorrowedFd<'_>, rights: &Rights) -> Owned {
    // The highest number means "no change" to the system.
    let uid = rights.uid.filter(|it| *it != u32::MAX);
    let gid = rights.gid.filter(|it| *it != u32::MAX);
    if rustix::fs::fchown(file, uid.map(Uid::from_raw), gid.map(Gid::from_raw)).is_err() {
        // Without root, an account may still choose among its own groups.
        let _ = rustix::fs::fchown(file, None, gid.map(Gid::from_raw));
    }
    match rustix::fs::fstat(file) {
        Ok(stat) => Owned { owner: uid == Some(stat.st_uid), group: gid == Some(stat.st_gid) },
        Err(_) => Owned { owner: false, group: false },
    }
}

/// The permission bits that give nobody more than `mode` gave the people it was made for.
fn narrowed(mode: u32, owned: Owned) -> u32 {
    let (special, owner, mut group, mut other) = (mode & 0o7000, mode >> 6 & 7, mode >> 3 & 7, mode & 7);
    let mut taken = 0;
    if !owned.owner {
        // The former owner is just anybody now.
        (group, other, taken) = (group & owner, other & owner, SET_UID);
    }
    if !owned.group {
        // Former group members are just anybody now, and its present group has other members.
        (group, other, taken) = (group & other, group & other, taken | SET_GID);
    }
    special & !taken | owner << 6 | group << 3 | other
}

fn permit(file: BorrowedFd<'_>, rights: &Rights, owned: Owned, short: &mut Vec<Short>) {
    let mut wanted = narrowed(rights.mode & 0o7777, owned);
    let mut has_list = false;
    if let Some(value) = rights.attribute(acl::ACCESS) {
        let list = AccessList::parse(value).map(|mut list| {
            list.narrow(!owned.owner, !owned.group);
            list
        });
        // The group bits of a mode are the list's mask, so without the list they would grant too much.
        let bare = list.as_ref().map_or(0o700, AccessList::mode_without) & wanted | wanted & 0o7000;
        let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(bare & 0o777));
        has_list = list.is_some_and(|list| set(file, acl::ACCESS.to_bytes(), &list.encode()));
        if has_list {
            let bits = rustix::fs::fstat(file).map_or(bare, |it| it.st_mode) & 0o777;
            wanted = bits | wanted & 0o7000;
        } else {
            short.push(Short::AccessList);
            wanted = bare;
        }
    }
    // The list has set all bits except the special ones.
    if !has_list || wanted & 0o7000 != 0 {
        let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(wanted));
    }
    if let Some(value) = rights.attribute(acl::DEFAULT)
        && !set(file, acl::DEFAULT.to_bytes(), value)
    {
        short.push(Short::AccessList);
    }
    let had = rustix::fs::fstat(file).map_or(wanted, |it| it.st_mode) & 0o7777;
    if had & !rights.mode != 0 {
        short.push(Short::Wider);
    } else if had != rights.mode & 0o7777 {
        short.push(Short::Rights);
    }
}

fn set(file: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> bool {
    CString::new(name).is_ok_and(|name| rustix::fs::fsetxattr(file, &name, value, XattrFlags::empty()).is_ok())
}

/// Gives a symbolic link that this restore made its owner, attributes and times; it has no permission bits.
///
/// # Errors
/// When something else has its name: whoever owns the folder may have put it there.
pub fn apply_to_link(dir: BorrowedFd<'_>, name: &CStr, rights: &Rights) -> std::io::Result<Vec<Short>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&link)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink || stat.st_nlink != 1 {
        return Err(std::io::Error::other("the link was replaced while the restore ran"));
    }
    let mut short = Vec::new();
    // No call sets an attribute of a link through its handle or folder, but a folder's handle has a path.
    let path = [format!("/proc/self/fd/{}/", dir.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
    for (key, value) in &rights.attributes {
        let is_of_files = is_list(key) || key == CAPABILITY;
        let keyed = CString::new(key.as_slice()).ok().filter(|_| !is_of_files);
        if keyed.is_none_or(|it| rustix::fs::lsetxattr(&path, &it, value, XattrFlags::empty()).is_err()) {
            short.push(Short::Attribute);
        }
    }
    let uid = rights.uid.filter(|it| *it != u32::MAX).map(Uid::from_raw);
    let gid = rights.gid.filter(|it| *it != u32::MAX).map(Gid::from_raw);
    if rustix::fs::chownat(&link, c"", uid, gid, AtFlags::EMPTY_PATH).is_err() {
        let _ = rustix::fs::chownat(&link, c"", None, gid, AtFlags::EMPTY_PATH);
    }
    let is_owned = |it: Stat| rights.uid == Some(it.st_uid) && rights.gid == Some(it.st_gid);
    if !rustix::fs::fstat(&link).is_ok_and(is_owned) {
        short.push(Short::Owner);
    }
    if rights.is_stripped {
        short.push(Short::Executable);
    }
    if let Some(times) = rights.times() {
        let kept = rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        if !kept || !rustix::fs::fstat(&link).is_ok_and(|it| has_time(&it, rights)) {
            short.push(Short::Time);
        }
    }
    Ok(once(short))
}
