//! The folders a restore is currently in, from the target folder down.
//!
//! Each is opened from the one above it, never through a symlink. One that this restore creates is closed to
//! everybody else until everything in it is written, and gets its own rights and times when it is closed, so it
//! does not matter what these are. An existing one keeps its rights. A folder that was left is closed once what is
//! still on its way there has its names.
use super::cut::cut_here;
use super::name::{checked, said};
use super::rights::{self, Rights};
use super::steps::Steps;
use crate::tree;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid, fchmod, fstat};
use rustix::io::Errno;
use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// The mode of a folder from its creation until it is left. The sticky bit has no effect on it, but tells a
/// resumed restore which folders it made itself.
pub const UNDER_WAY: u32 = 0o1700;
/// Handles are kept for the innermost folders, and above them for one in this many, so that no depth uses them
/// up.
const HANDLES: usize = 32;

/// What a folder in the backup had.
#[derive(Debug, Clone)]
pub struct Known {
    name: Vec<u8>,
    path: String,
    rights: Rights,
}

/// What a folder was left with, to be reported.
#[derive(Debug)]
pub enum Left {
    /// This restore made it, and could not give it everything.
    Short(String, Vec<domain::shortfall::ShortfallKind>),
    /// It was already there, with different rights.
    Existing(String),
    /// It could not be reopened.
    Lost(String, String),
}

/// A folder that something goes to.
#[derive(Debug, Clone)]
pub struct Here {
    pub dir: Rc<OwnedFd>,
    is_written: Rc<Cell<bool>>,
}

impl Here {
    /// Notes that something was created here.
    pub fn wrote(&self) {
        self.is_written.set(true);
    }
}

/// A folder that was left, and still has to get its rights and times.
struct Closing {
    names: Vec<Vec<u8>>,
    dir: Rc<OwnedFd>,
    level: Level,
}

struct Level {
    name: CString,
    dir: Option<Rc<OwnedFd>>,
    id: (u64, u64),
    is_ours: bool,
    /// Its own rights, if they were temporarily widened.
    give_back: Option<u32>,
    is_written: Rc<Cell<bool>>,
    known: Option<Known>,
}

/// The path from the target folder to where the restore is writing.
pub struct Folders {
    root: Rc<OwnedFd>,
    steps: Steps,
    /// The owner of the target folder, and so of the folders made above what was backed up.
    owner: (u32, u32),
    root_known: Option<Known>,
    is_root_written: Rc<Cell<bool>>,
    open: Vec<Level>,
    closing: Vec<Closing>,
    /// The folders of the backup the walk is in, by depth.
    known: Vec<Option<Known>>,
    pub left: Vec<Left>,
}

impl Folders {
    /// # Errors
    /// When the target folder cannot be examined.
    pub fn new(root: OwnedFd, steps: Steps) -> io::Result<Self> {
        let stat = fstat(&root)?;
        Ok(Self {
            root: Rc::new(root),
            steps,
            owner: (stat.st_uid, stat.st_gid),
            root_known: None,
            is_root_written: Rc::default(),
            open: Vec::new(),
            closing: Vec::new(),
            known: Vec::new(),
            left: Vec::new(),
        })
    }

    /// Records what a folder in the backup had, before anything in it arrives.
    pub fn know(&mut self, names: &[Vec<u8>], path: String, rights: Rights) {
        let known = |name: &[u8]| Known { name: name.to_vec(), path, rights };
        match names.split_last() {
            None => self.root_known = Some(known(b"")),
            Some((name, above)) => {
                self.known.resize_with(above.len(), || None);
                self.known.push(Some(known(name)));
            }
        }
    }

    /// Goes to a folder, creating what is missing on the way.
    ///
    /// # Errors
    /// When something else is in the way, such as a symlink, or the disk refuses.
    pub fn enter(&mut self, names: &[Vec<u8>]) -> io::Result<()> {
        let same = self.open.iter().zip(names).take_while(|(level, name)| level.name.to_bytes() == *name).count();
        while self.open.len() > same {
            self.leave();
        }
        names.iter().skip(same).try_for_each(|name| self.push(name))
    }

    /// Whether these names lead to or through a folder that was left and is not closed.
    pub fn returns(&self, names: &[Vec<u8>]) -> bool {
        self.closing.iter().any(|it| names.starts_with(&it.names))
    }

    /// How many folders were left and are not closed.
    pub fn closing(&self) -> usize {
        self.closing.len()
    }

    /// The folder that was entered.
    ///
    /// # Errors
    /// When it cannot be reopened.
    fn here(&mut self) -> io::Result<Here> {
        let depth = self.open.len();
        let (dir, is_written) = match self.open.last() {
            None => (Rc::clone(&self.root), &self.is_root_written),
            Some(Level { dir: Some(dir), is_written, .. }) => (Rc::clone(dir), is_written),
            Some(level) => (Rc::new(self.reopen(depth)?), &level.is_written),
        };
        let is_written = Rc::clone(is_written);
        if let Some(level) = self.open.last_mut() {
            level.dir = Some(Rc::clone(&dir));
        }
        Ok(Here { dir, is_written })
    }

    /// The folder that was entered, to change something in it: how it was is written down.
    ///
    /// # Errors
    /// When it cannot be reopened, or the disk refuses.
    pub fn changing(&mut self) -> io::Result<Here> {
        let here = self.here()?;
        if !self.open.last().is_some_and(|it| it.is_ours) {
            self.steps.keep(&self.names(), &fstat(&here.dir)?)?;
        }
        Ok(here)
    }

    /// The trail.
    pub const fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The names that lead to the folder that was entered.
    fn names(&self) -> Vec<Vec<u8>> {
        self.open.iter().map(|it| it.name.to_bytes().to_vec()).collect()
    }

    /// Opens a folder below the target folder without moving there.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open(&self, names: &[Vec<u8>]) -> io::Result<OwnedFd> {
        let same = self.open.iter().zip(names).take_while(|(level, name)| level.name.to_bytes() == *name).count();
        let mut dir = self.reopen(same)?;
        for name in names.iter().skip(same) {
            dir = tree::open_child(dir.as_fd(), &checked(name)?)?;
        }
        Ok(dir)
    }

    /// Leaves all folders.
    pub fn leave_all(&mut self) {
        while !self.open.is_empty() {
            self.leave();
        }
    }

    /// Gives the target folder its time, and flushes it to disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(known) = self.root_known.take() {
            let root = Rc::clone(&self.root);
            self.close_existing(root.as_fd(), known, self.is_root_written.get());
        }
        self.steps.left(&[], self.root.as_fd());
        Ok(rustix::fs::fsync(&self.root)?)
    }

    fn push(&mut self, name: &[u8]) -> io::Result<()> {
        let depth = self.open.len();
        let name = checked(name)?;
        let names = [self.names(), vec![name.to_bytes().to_vec()]].concat();
        let is_new = self.make(&names, &name)?;
        let here = self.here()?;
        let before = |stat: &Stat| self.steps.keep(&names, stat);
        let (dir, stat, give_back) = open_folder(here.dir.as_fd(), &name, &before)?;
        if is_new {
            here.wrote();
        }
        let known = self.known.get(depth).and_then(Option::as_ref).filter(|it| it.name == name.to_bytes()).cloned();
        // Even right after it was made: whoever owns the parent folder may have replaced it.
        let is_ours = stat.st_mode & 0o5777 == UNDER_WAY && stat.st_uid == rustix::process::geteuid().as_raw();
        if is_ours {
            // Also one that an interrupted try made just before it was stopped.
            self.steps.made(&names, stat.st_ino)?;
        }
        self.open.push(Level {
            name,
            dir: Some(Rc::new(dir)),
            id: (stat.st_dev, stat.st_ino),
            is_ours,
            give_back,
            is_written: Rc::default(),
            known,
        });
        // The handle that is now one too many.
        if let Some(old) = self.open.len().checked_sub(HANDLES + 1)
            && old % HANDLES != 0
            && let Some(level) = self.open.get_mut(old)
        {
            level.dir = None;
        }
        Ok(())
    }

    /// Makes a folder in the one that was entered; false if there is something with its name.
    fn make(&mut self, names: &[Vec<u8>], name: &CStr) -> io::Result<bool> {
        match tree::stat(self.here()?.dir.as_fd(), name) {
            Ok(_) => return Ok(false),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(said(error)),
        }
        let here = self.changing()?;
        self.steps.making(names)?;
        let made = rustix::fs::mkdirat(&here.dir, name, Mode::from_raw_mode(UNDER_WAY));
        cut_here();
        match made {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(said(error)),
        }
    }

    /// Reopens the folder at a depth, from the nearest open one above it.
    fn reopen(&self, depth: usize) -> io::Result<OwnedFd> {
        let levels = self.open.get(..depth).unwrap_or_default();
        let from = levels.iter().rposition(|it| it.dir.is_some());
        let nearest = from.and_then(|at| levels.get(at)).and_then(|it| it.dir.as_ref()).unwrap_or(&self.root);
        let mut dir = nearest.as_fd().try_clone_to_owned()?;
        for level in levels.iter().skip(from.map_or(0, |it| it + 1)) {
            dir = tree::open_child(dir.as_fd(), &level.name)?;
            let stat = fstat(&dir)?;
            if (stat.st_dev, stat.st_ino) != level.id {
                return Err(io::Error::other("a folder on the way was replaced while the restore ran"));
            }
        }
        Ok(dir)
    }

    fn leave(&mut self) {
        let (here, names) = (self.here(), self.names());
        let Some(level) = self.open.pop() else { return };
        match here {
            Ok(Here { dir, .. }) => self.closing.push(Closing { names, dir, level }),
            Err(error) => self.lost(level, &error),
        }
    }

    fn lost(&mut self, level: Level, error: &io::Error) {
        let path = level.known.map_or_else(|| level.name.to_string_lossy().into_owned(), |it| it.path);
        self.left.push(Left::Lost(path, error.to_string()));
    }

    /// Gives the folders that were left their rights and times, and returns them to be flushed to disk. What was on
    /// its way there must have its names.
    pub fn close(&mut self) -> Vec<Rc<OwnedFd>> {
        let mut closed = Vec::new();
        for Closing { names, dir, mut level } in std::mem::take(&mut self.closing) {
            let known = level.known.take();
            if let Err(error) = self.close_one(dir.as_fd(), &level, known) {
                self.lost(level, &error);
            }
            cut_here();
            self.steps.left(&names, dir.as_fd());
            closed.push(dir);
        }
        closed
    }

    /// Gives the folders that were there, and were closed to us, their rights again.
    pub fn give_back(&mut self) {
        let closing = self.closing.iter().map(|it| (Some(&it.dir), it.level.give_back));
        let open = self.open.iter().map(|it| (it.dir.as_ref(), it.give_back));
        for (dir, mode) in closing.chain(open) {
            if let (Some(dir), Some(mode)) = (dir, mode) {
                let _ = fchmod(dir, Mode::from_raw_mode(mode));
            }
        }
    }

    fn close_one(&mut self, dir: BorrowedFd<'_>, level: &Level, known: Option<Known>) -> io::Result<()> {
        match known {
            Some(known) if level.is_ours => {
                let short = rights::apply(dir, &known.rights);
                if !short.is_empty() {
                    self.left.push(Left::Short(known.path, short));
                }
                return Ok(());
            }
            None if level.is_ours => {
                let (uid, gid) = self.owner;
                let _ = rustix::fs::fchown(dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                return Ok(fchmod(dir, Mode::RWXU)?);
            }
            _ => {}
        }
        if let Some(mode) = level.give_back {
            fchmod(dir, Mode::from_raw_mode(mode))?;
        }
        if let Some(known) = known {
            self.close_existing(dir, known, level.is_written.get());
        }
        Ok(())
    }

    /// A folder that was already there keeps its rights. Its time changed if something was created in it, and
    /// is put back.
    fn close_existing(&mut self, dir: BorrowedFd<'_>, known: Known, is_written: bool) {
        let differs = known.rights.differ_from(dir);
        let short = if is_written && !rights::keep_time(dir, &known.rights) {
            vec![domain::shortfall::ShortfallKind::Time]
        } else {
            Vec::new()
        };
        if differs {
            self.left.push(Left::Existing(known.path.clone()));
        }
        if !short.is_empty() {
            self.left.push(Left::Short(known.path, short));
        }
    }
}

/// Opens a folder; if it is ours but closed to us, it temporarily gets the owner's rights, after `before`.
pub fn open_folder(
    above: BorrowedFd<'_>,
    name: &CStr,
    before: &dyn Fn(&Stat) -> io::Result<()>,
) -> io::Result<(OwnedFd, Stat, Option<u32>)> {
    let in_the_way = |error: io::Error| {
        io::Error::other(format!(
            "something other than a folder is in the way: \
     {error}"
        ))
    };
    let opened = tree::open_child(above, name);
    let dir = match opened {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(above, name, flags, Mode::empty())?
        }
        Err(error) => return Err(in_the_way(error)),
    };
    let stat = fstat(&dir)?;
    let euid = rustix::process::geteuid();
    if euid.is_root() || stat.st_uid != euid.as_raw() || stat.st_mode & 0o700 == 0o700 {
        return Ok((tree::open_child(above, name)?, stat, None));
    }
    let had = stat.st_mode & 0o7777;
    before(&stat)?;
    open_up(&dir, had | 0o700)?;
    let again = tree::open_child(above, name)?;
    let same = fstat(&again)?;
    if (same.st_dev, same.st_ino) != (stat.st_dev, stat.st_ino) {
        return Err(io::Error::other("the folder was replaced while the restore ran"));
    }
    Ok((again, stat, Some(had)))
}

/// Sets the permission bits of something that is open only as a path.
pub fn open_up(file: &OwnedFd, mode: u32) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::chmodat(rustix::fs::CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())?)
}
