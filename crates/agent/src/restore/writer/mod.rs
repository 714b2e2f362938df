//! Writes entries inside one folder and nowhere else.
//!
//! Every folder on the way is opened by handle and never through a symlink; an entry is created under a
//! temporary name with everything that belongs to it, a file is flushed to disk and read back, and only then
//! renamed. What it replaces, if that is asked for, is kept.
mod file;

pub(super) use file::is_file;

use super::content::{self, Content};
use super::folders::{Folders, Left};
use super::name::checked;
use super::place::{Fit, Placed};
use super::rights::{self, Rights};
use super::trail::{self, Steps, Trail};
use crate::tree;
use domain::manifest::encode_path;
use domain::restore::{Conflict, Landing};
use domain::shortfall::{self, Shortfall, ShortfallKind};
use file::{create, digest, fresh, place};
use repository::{Id, Node};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, unlinkat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A file is on disk, as read back.
    File { size: u64, sha256: String, fit: Fit },
    /// A link or a pipe is there.
    Made { fit: Fit },
    /// Something else has its name, and stays.
    Kept,
}

/// An entry in the backup, and the names that lead to it below the target folder.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    pub names: &'a [Vec<u8>],
    /// The path in the manifest's spelling, for reports.
    pub path: &'a str,
    pub node: &'a Node,
}

impl<'a> Item<'a> {
    fn split(&self) -> io::Result<(CString, &'a [Vec<u8>])> {
        let (name, folders) = self.names.split_last().ok_or(Errno::INVAL)?;
        Ok((checked(name)?, folders))
    }
}

/// How a target folder is written to.
#[derive(Debug, Clone)]
pub struct Manner {
    /// Part of the temporary name.
    pub restore: String,
    /// Part of the names used beside existing files.
    pub day: String,
    pub conflict: Conflict,
    pub landing: Landing,
}

/// The first of a file's names.
#[derive(Debug, Clone)]
struct First {
    folders: Vec<Vec<u8>>,
    name: CString,
    id: (u64, u64),
    content: [u8; 32],
    size: u64,
    sha256: String,
}

/// The name under which a restore makes each entry.
pub(super) fn temporary(restore: &str) -> io::Result<CString> {
    Ok(CString::new(format!(".holdfast-restore-{restore}"))?)
}

/// One target folder.
pub struct Writer {
    folders: Folders,
    temporary: CString,
    manner: Manner,
    /// Files with more than one name, by what they were on their own device.
    linked: HashMap<(u64, u64), First>,
    shortfalls: Vec<Shortfall>,
}

impl Writer {
    /// # Errors
    /// When the folder cannot be examined, or the restore's name cannot be part of a file name.
    pub fn new((path, root): (&str, OwnedFd), manner: Manner, trail: Rc<Trail>) -> io::Result<Self> {
        let temporary = temporary(&manner.restore)?;
        let folders = Folders::new(root.try_clone()?, Steps::new(trail, path, root))?;
        Ok(Self { folders, temporary, manner, linked: HashMap::new(), shortfalls: Vec::new() })
    }

    /// Records what a folder in the backup had, before anything in it is written.
    pub fn know(&mut self, item: Item<'_>) {
        let rights = self.rights(item.node, true);
        self.folders.know(item.names, item.path.to_owned(), rights);
    }

    /// Creates a folder and those above it.
    ///
    /// # Errors
    /// When something else is in the way, such as a symlink.
    pub fn folder(&mut self, item: Item<'_>) -> io::Result<()> {
        self.folders.enter(item.names)
    }

    /// Writes a file, or gives one that was already written another name.
    ///
    /// # Errors
    /// When its folder cannot be entered, the content is not available, or the disk refuses.
    pub fn file(&mut self, item: Item<'_>, chunks: &[Id], content: Content<'_>) -> io::Result<Written> {
        let (name, folders) = item.split()?;
        self.folders.enter(folders)?;
        let chunks = item.node.hard_link.map(|_| digest(chunks));
        if let Some(written) = self.another_name(item, &name, chunks) {
            return Ok(written);
        }
        let rights = self.rights(item.node, false);
        let (dir, steps) = self.folders.changing()?;
        let made = create(dir, &self.temporary).and_then(|file| {
            let (file, sha256) = content::fill(file, content)?;
            let short = rights::apply(file.as_fd(), &rights);
            let size = content::settle(&file, &sha256)?;
            let is_same = |name: &CStr| is_file(dir, name, size, &sha256);
            let content = trail::Content::File { size, sha256: sha256.clone() };
            let place = place((dir, folders), &self.temporary, (&self.manner, steps), content);
            let placed = place.put(&name, &is_same)?;
            Ok((file, size, sha256, short, placed))
        });
        let (file, size, sha256, short, placed) = match made {
            Ok(made) => made,
            Err(error) => {
                // The temporary file is ours alone; one left behind is replaced by the next try.
                let _ = unlinkat(dir, &self.temporary, AtFlags::empty());
                return Err(error);
            }
        };
        let (name, fit) = match self.placed(item, placed, short)? {
            Some(it) => it,
            None => return Ok(Written::Kept),
        };
        drop(file);
        if let (Some(key), Some(content)) = (item.node.hard_link, chunks)
            && let Ok(stat) = tree::stat(self.folders.here()?, &name)
        {
            let (folders, id) = (folders.to_vec(), (stat.st_dev, stat.st_ino));
            let first = First { folders, name, id, content, size, sha256: sha256.clone() };
            self.linked.entry(key).or_insert(first);
        }
        Ok(Written::File { size, sha256, fit })
    }

    /// Makes a symbolic link to its original target; nothing here follows it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn symlink(&mut self, item: Item<'_>, target: &[u8]) -> io::Result<Written> {
        let target = CString::new(target)?;
        let rights = self.rights(item.node, true);
        self.special(
            (item, trail::Content::Link { target: encode_path(target.to_bytes()) }),
            &|dir, name| rustix::fs::symlinkat(&target, dir, name),
            &|dir, name| rights::apply_to_link(dir, name, &rights),
            &|dir, name| rustix::fs::readlinkat(dir, name, Vec::new()).is_ok_and(|it| it == target),
        )
    }

    /// Makes a pipe.
    ///
    /// # Errors
    /// When the system cannot make one here.
    pub fn pipe(&mut self, item: Item<'_>) -> io::Result<Written> {
        let rights = self.rights(item.node, false);
        let private = Mode::RUSR | Mode::WUSR;
        self.special(
            (item, trail::Content::Pipe),
            &|dir, name| rustix::fs::mknodat(dir, name, FileType::Fifo, private, 0),
            &|dir, name| {
                // For reading and writing, so that it waits for nobody.
                let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let pipe = rustix::fs::openat(dir, name, flags, Mode::empty())?;
                let stat = fstat(&pipe)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || stat.st_nlink != 1 {
                    return Err(io::Error::other("the pipe was replaced while the restore ran"));
                }
                Ok(rights::apply(pipe.as_fd(), &rights))
            },
            &|dir, name| tree::stat(dir, name).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Fifo),
        )
    }

    /// Leaves all folders, and flushes them to disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        self.folders.finish()
    }

    /// What came back different, and the folders that were lost on the way, with the reason.
    pub fn take_told(&mut self) -> (Vec<Shortfall>, Vec<(String, String)>) {
        let mut lost = Vec::new();
        for left in std::mem::take(&mut self.folders.left) {
            match left {
                Left::Short(path, kinds) => self.note(&path, kinds),
                Left::Existing(path) => self.note(&path, [ShortfallKind::Existing]),
                Left::Lost(path, reason) => lost.push((path, reason)),
            }
        }
        (std::mem::take(&mut self.shortfalls), lost)
    }

    fn rights(&self, node: &Node, keeps_execute: bool) -> Rights {
        match self.manner.landing {
            Landing::InPlace => Rights::from(node),
            Landing::Beside => Rights::from(node).strip(keeps_execute),
        }
    }

    fn note(&mut self, path: &str, kinds: impl IntoIterator<Item = ShortfallKind>) {
        for kind in kinds {
            shortfall::note(&mut self.shortfalls, kind, path);
        }
    }

    /// The outcome of giving an entry its name: that name, and how it came to it; none if the existing one was
    /// kept.
    fn placed(
        &mut self,
        item: Item<'_>,
        placed: Placed,
        short: Vec<ShortfallKind>,
    ) -> io::Result<Option<(CString, Fit)>> {
        match placed {
            Placed::New { name, fit } => {
                self.note(item.path, short);
                self.folders.wrote();
                Ok(Some((name, fit)))
            }
            Placed::Same { name, fit } => {
                self.folders.wrote();
                let rights = self.rights(item.node, false);
                let had = tree::open_file(self.folders.here()?, &name);
                if had.is_ok_and(|file| rights.differ_from(file.as_fd())) {
                    self.note(item.path, [ShortfallKind::Existing]);
                }
                Ok(Some((name, fit)))
            }
            Placed::Kept => {
                let _ = unlinkat(self.folders.here()?, &self.temporary, AtFlags::empty());
                Ok(None)
            }
        }
    }

    /// Gives a file that was already written this name too; none if it has to be written as a separate file.
    fn another_name(&mut self, item: Item<'_>, name: &CStr, chunks: Option<[u8; 32]>) -> Option<Written> {
        let first = self.linked.get(&item.node.hard_link?)?.clone();
        // Two entries that claim to be the same file but differ in content are two files.
        if chunks != Some(first.content) {
            return None;
        }
        match self.link(item, name, &first) {
            Ok(written) => Some(written),
            Err(_) => {
                self.note(item.path, [ShortfallKind::HardLink]);
                None
            }
        }
    }

    fn link(&mut self, item: Item<'_>, name: &CStr, first: &First) -> io::Result<Written> {
        let (_, folders) = item.split()?;
        let from = self.folders.open(&first.folders)?;
        let (dir, steps) = self.folders.changing()?;
        // A number alone says little: the system reuses those of removed files.
        let is_first = |name: &CStr| {
            tree::stat(dir, name).is_ok_and(|it| (it.st_dev, it.st_ino) == first.id)
                && is_file(dir, name, first.size, &first.sha256)
        };
        let done = |fit| Written::File { size: first.size, sha256: first.sha256.clone(), fit };
        if is_first(name) {
            return Ok(done(Fit::Own));
        }
        fresh(dir, &self.temporary, || rustix::fs::linkat(&from, &first.name, dir, &self.temporary, AtFlags::empty()))?;
        let placed = if is_first(&self.temporary) {
            let is_same = |name: &CStr| is_file(dir, name, first.size, &first.sha256);
            let content = trail::Content::File { size: first.size, sha256: first.sha256.clone() };
            place((dir, folders), &self.temporary, (&self.manner, steps), content).put(name, &is_same)
        } else {
            Err(io::Error::other("the file was replaced while the restore ran"))
        };
        let placed = placed.inspect_err(|_| {
            let _ = unlinkat(dir, &self.temporary, AtFlags::empty());
        })?;
        let is_own = matches!(&placed, Placed::Same { name, .. } if !is_first(name));
        let short = if is_own { vec![ShortfallKind::HardLink] } else { Vec::new() };
        self.note(item.path, short);
        Ok(self.placed(item, placed, Vec::new())?.map_or(Written::Kept, |(_, fit)| done(fit)))
    }

    /// Makes what has no content.
    fn special(
        &mut self,
        (item, content): (Item<'_>, trail::Content),
        make: &dyn Fn(BorrowedFd<'_>, &CStr) -> rustix::io::Result<()>,
        finish: &dyn Fn(BorrowedFd<'_>, &CStr) -> io::Result<Vec<ShortfallKind>>,
        is_same: &dyn Fn(BorrowedFd<'_>, &CStr) -> bool,
    ) -> io::Result<Written> {
        let (name, folders) = item.split()?;
        self.folders.enter(folders)?;
        let (dir, steps) = self.folders.changing()?;
        fresh(dir, &self.temporary, || make(dir, &self.temporary))?;
        let made = finish(dir, &self.temporary).and_then(|short| {
            let place = place((dir, folders), &self.temporary, (&self.manner, steps), content);
            let placed = place.put(&name, &|name| is_same(dir, name))?;
            Ok((short, placed))
        });
        let (short, placed) = made.inspect_err(|_| {
            let _ = unlinkat(dir, &self.temporary, AtFlags::empty());
        })?;
        Ok(self.placed(item, placed, short)?.map_or(Written::Kept, |(_, fit)| Written::Made { fit }))
    }
}
