//! Everything below the protected folders, entry by entry, in the order of a manifest.
//!
//! Folders are entered by handle, one name at a time: no symlink is followed, and neither path length nor
//! folder depth is limited by a system call or by how many handles a process may hold.
use crate::protect::MARK_NAME;
use crate::tree;
use domain::manifest::MAX_PATH;
use domain::words::number;
use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The deepest nesting of folders; the server reads as many.
const DEEPEST: usize = 2000;
/// How many levels keep their handles; those above are reopened from below.
const HELD: usize = 64;
/// The most names in one folder: its listing in a backup stays below what the server accepts as one object.
const MOST_NAMES: usize = 1_000_000;
/// The longest name, with its separator.
const NAME: usize = 256;

/// Why what is mounted inside a protected folder is not backed up.
const MOUNTED: &str = "another disk is mounted here and was not included at enrolment (--include-mounts)";
const UNREAL: &str = "what is mounted here is not storage";

/// Whether this is the reason for leaving out something that is not part of the protected folder, so that no
/// wipe erases it.
pub fn is_elsewhere(fault: &str) -> bool {
    fault == MOUNTED || fault == UNREAL
}

/// One entry.
pub struct Found {
    pub path: Vec<u8>,
    /// The name in its folder; empty for a protected folder itself.
    pub name: CString,
    /// None if nobody can say what it is.
    pub stat: Option<Stat>,
    /// Why it, or what is in it, could not be entered.
    pub fault: Option<String>,
    /// Whether [`Walker::handle`] is this folder itself, and not its parent.
    pub is_open: bool,
}

impl Found {
    pub fn kind(&self) -> FileType {
        self.stat.map_or(FileType::Unknown, |it| FileType::from_raw_mode(it.st_mode))
    }
}

struct Level {
    dir: Option<OwnedFd>,
    id: (u64, u64),
    names: std::vec::IntoIter<CString>,
    /// The length of the folder's path.
    length: usize,
}

/// A walk through one protected folder.
pub struct Walker {
    levels: Vec<Level>,
    root: Option<Found>,
    path: Vec<u8>,
    device: u64,
    mounts: bool,
}

impl Walker {
    /// Starts at a protected folder; `mounts` says whether what is mounted in it belongs to it.
    ///
    /// # Errors
    /// When the folder itself cannot be opened.
    pub fn new(root: &Path, mounts: bool) -> io::Result<Self> {
        let dir = tree::open_dir(root)?;
        let stat = fstat(&dir)?;
        let path = root.as_os_str().as_bytes().to_vec();
        let mut walker = Self { levels: Vec::new(), root: None, path, device: stat.st_dev, mounts };
        let (names, fault) = match tree::names(dir.as_fd()) {
            Ok(names) => walker.bounded(names.into_iter().filter(|it| it.as_bytes() != MARK_NAME.as_bytes()).collect()),
            Err(error) => (Vec::new(), Some(format!("what is in it cannot be read: {error}"))),
        };
        walker.root =
            Some(Found { path: walker.path.clone(), name: CString::default(), stat: Some(stat), fault, is_open: true });
        walker.push(dir, &stat, names);
        Ok(walker)
    }

    /// The last entry's folder: the entry itself if it was opened, otherwise its parent.
    pub fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.levels.last().and_then(|it| it.dir.as_ref()).map(AsFd::as_fd)
    }

    /// The next entry; none at the end.
    pub fn next(&mut self) -> Option<Found> {
        if let Some(root) = self.root.take() {
            return Some(root);
        }
        loop {
            let level = self.levels.last_mut()?;
            self.path.truncate(level.length);
            let Some(name) = level.names.next() else {
                self.leave();
                continue;
            };
            if let Some(found) = self.look(name) {
                return Some(found);
            }
        }
    }

    /// What is at a name; none if it has gone since it was listed.
    fn look(&mut self, name: CString) -> Option<Found> {
        self.path.push(b'/');
        self.path.extend_from_slice(name.as_bytes());
        let path = self.path.clone();
        let Some(dir) = self.handle() else {
            let fault = Some("the folder was moved while it was being read".to_owned());
            return Some(Found { path, name, stat: None, fault, is_open: false });
        };
        let stat = match tree::stat(dir, &name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return None,
            Err(error) => return Some(Found { path, name, stat: None, fault: Some(said(error)), is_open: false }),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Some(Found { path, name, stat: Some(stat), fault: None, is_open: false });
        }
        match self.enter(&name, &stat) {
            Ok((stat, fault)) => Some(Found { path, name, stat: Some(stat), fault, is_open: true }),
            Err(fault) => Some(Found { path, name, stat: Some(stat), fault: Some(fault), is_open: false }),
        }
    }

    fn enter(&mut self, name: &CString, listed: &Stat) -> Result<(Stat, Option<String>), String> {
        let dir = self.handle().ok_or("the folder is gone")?;
        if self.levels.len() > DEEPEST {
            return Err(format!("it is more than {} folders deep", number(DEEPEST as u64)));
        }
        if self.path.len() + NAME > MAX_PATH {
            return Err(format!("the paths of what is in it are longer than {} bytes", number(MAX_PATH as u64)));
        }
        let child = if self.mounts {
            tree::open_child(dir, name).map_err(|it| it.to_string())?
        } else if listed.st_dev == self.device {
            tree::open_same_mount(dir, name)
                .map_err(|it| if it == Errno::XDEV { MOUNTED.to_owned() } else { said(it) })?
        } else {
            return Err(MOUNTED.to_owned());
        };
        let stat = fstat(&child).map_err(said)?;
        if !self.mounts && stat.st_dev != self.device {
            return Err(MOUNTED.to_owned());
        }
        if stat.st_dev != self.device && tree::is_unreal(child.as_fd()) {
            return Err(UNREAL.to_owned());
        }
        let names = tree::names(child.as_fd()).map_err(|it| it.to_string())?;
        let (names, fault) = self.bounded(names);
        self.push(child, &stat, names);
        Ok((stat, fault))
    }

    fn bounded(&self, names: Vec<CString>) -> (Vec<CString>, Option<String>) {
        if names.len() > MOST_NAMES {
            let (had, most) = (number(names.len() as u64), number(MOST_NAMES as u64));
            return (
                Vec::new(),
                Some(format!(
                    "it has {had} entries, but a backup can hold only {most} from one \
             folder"
                )),
            );
        }
        (names, None)
    }

    fn push(&mut self, dir: OwnedFd, stat: &Stat, names: Vec<CString>) {
        if let Some(far) = self.levels.len().checked_sub(HELD).and_then(|at| self.levels.get_mut(at)) {
            far.dir = None;
        }
        let id = (stat.st_dev, stat.st_ino);
        self.levels.push(Level { dir: Some(dir), id, names: names.into_iter(), length: self.path.len() });
    }

    /// Goes up one level, and reopens it if its handle was released.
    fn leave(&mut self) {
        let Some(left) = self.levels.pop() else { return };
        let Some(above) = self.levels.last_mut() else { return };
        if above.dir.is_none()
            && let Some(left) = left.dir
            && let Ok(dir) = tree::open_child(left.as_fd(), c"..")
            && fstat(&dir).is_ok_and(|it| (it.st_dev, it.st_ino) == above.id)
        {
            above.dir = Some(dir);
        }
    }
}

/// An error as a person reads it, without the number that Rust adds.
pub fn said(error: Errno) -> String {
    io::Error::from(error).kind().to_string()
}

/// Walks through several protected folders, one after the other.
pub struct Walkers {
    roots: std::vec::IntoIter<PathBuf>,
    now: Option<Walker>,
    mounts: bool,
}

impl Walkers {
    pub fn new(roots: &[PathBuf], mounts: bool) -> Self {
        Self { roots: Vec::from(roots).into_iter(), now: None, mounts }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// When a protected folder cannot be opened; the others come after it.
    pub fn next(&mut self) -> Option<io::Result<Found>> {
        loop {
            if let Some(found) = self.now.as_mut().and_then(Walker::next) {
                return Some(Ok(found));
            }
            match Walker::new(&self.roots.next()?, self.mounts) {
                Ok(walker) => self.now = Some(walker),
                Err(error) => {
                    self.now = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// As [`Walker::handle`].
    pub fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.now.as_ref().and_then(Walker::handle)
    }
}
