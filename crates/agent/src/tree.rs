//! Directories by handle: no path is looked up twice, and no symlink is followed.
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, statat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory by its absolute path; a symlink anywhere in it is an error.
pub fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let mut dir: Option<OwnedFd> = None;
    for component in path.components() {
        dir = Some(match (component, dir) {
            (Component::RootDir, _) => rustix::fs::open("/", DIRECTORY, Mode::empty())?,
            (Component::Normal(name), Some(dir)) => open_child(dir.as_fd(), &c_name(name)?)?,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain absolute path")),
        });
    }
    dir.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "an empty path"))
}

/// Opens the directory that contains a path, and returns the last name.
pub fn open_parent(path: &Path) -> io::Result<(OwnedFd, CString)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((open_dir(parent)?, c_name(name)?)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the root directory has no parent")),
    }
}

/// Opens a directory in a directory; a symlink is an error.
pub fn open_child(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?)
}

/// Opens a directory in a directory, unless something is mounted on it, even a bind mount of the same file
/// system.
pub fn open_same_mount(dir: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(dir, name, DIRECTORY, Mode::empty(), resolve) {
        // Kernels before 5.6 do not have this call, and some containers forbid it; the caller also compares
        // device numbers.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()),
        result => result,
    }
}

/// Opens a regular file to read it; a symlink is an error, and a pipe does not block.
pub fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// What is at a name; a symlink itself, not what it points to.
pub fn stat(dir: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Stat> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// The names in a directory, sorted, without `.` and `..`.
pub fn names(dir: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            found.push(name.to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A name for the system; one with a NUL is refused.
pub fn c_name(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Nanoseconds since 1970, to tell one time from another: beyond the year 2262 they wrap around, but two nearby
/// times still differ.
pub fn nanos(seconds: i64, nanoseconds: impl TryInto<i64>) -> i64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds.try_into().unwrap_or(0))
}

/// Whether a folder is on a file system that is not storage: processes, devices, kernel settings.
pub fn is_unreal(dir: BorrowedFd<'_>) -> bool {
    const SYSFS: rustix::fs::FsWord = 0x6265_6572;
    const CGROUP: rustix::fs::FsWord = 0x6367_7270;
    const DEVPTS: rustix::fs::FsWord = 0x1cd1;
    rustix::fs::fstatfs(dir).is_ok_and(|it| [rustix::fs::PROC_SUPER_MAGIC, SYSFS, CGROUP, DEVPTS].contains(&it.f_type))
}
