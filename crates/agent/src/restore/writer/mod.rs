//! Writes entries inside one folder and nowhere else.
//!
//! Every folder on the way is opened by handle and never through a symlink; an entry is created under a
//! temporary name with everything that belongs to it, a file is flushed to disk and read back, and only then
//! renamed. What it replaces, if that is asked for, is kept.
//!
//! The disk is waited for once for many entries: they are written, wait together, and get their names together.
mod file;
mod staged;

pub(super) use file::{is_temporary, temporary};

use super::batch;
use super::content::{self, Content};
use super::cut::cut_here;
use super::folders::{Folders, Left};
use super::hands::Hands;
use super::name::{checked, is_full};
use super::place::{Fit, Placed};
use super::rights::{self, Rights};
use super::same::is_same;
use super::steps::Steps;
use super::trail::{self, Trail};
use crate::tree;
use domain::manifest::encode_path;
use domain::restore::{Conflict, Landing};
use domain::shortfall::{self, Shortfall, ShortfallKind};
use file::{create, digest, fresh};
use repository::{Id, Node};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use staged::{Link, Staged};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// How many entries wait for their names at most. Each file of them is open.
const MOST_ENTRIES: usize = 128;
/// How many bytes they have at most, so that not much is done again after an interruption.
const MOST_BYTES: u64 = 32 << 20;
/// How many folders that were left wait to be closed at most. Each of them is open.
const MOST_FOLDERS: usize = 64;

/// An entry's path for reports, and what became of it.
pub type Done = (String, io::Result<Written>);

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
    chunks: [u8; 32],
    made: trail::Content,
}

/// One target folder.
pub struct Writer {
    folders: Folders,
    manner: Manner,
    /// What is whole and waits for its name.
    staged: Vec<Staged>,
    staged_bytes: u64,
    hands: Hands,
    done: Vec<Done>,
    /// Why the disk did not keep a folder.
    broken: Option<String>,
    /// Files with more than one name, by what they were on their own device.
    linked: HashMap<(u64, u64), First>,
    shortfalls: Vec<Shortfall>,
}

impl Writer {
    /// # Errors
    /// When the folder cannot be examined.
    pub fn new((path, root): (&str, OwnedFd), manner: Manner, trail: Rc<Trail>) -> io::Result<Self> {
        let folders = Folders::new(root.try_clone()?, Steps::new(trail, path, root))?;
        let (staged, done, broken) = (Vec::new(), Vec::new(), None);
        let (linked, shortfalls) = (HashMap::new(), Vec::new());
        Ok(Self { folders, manner, staged, staged_bytes: 0, hands: Hands::default(), done, broken, linked, shortfalls })
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
        self.enter(item.names)
    }

    fn enter(&mut self, names: &[Vec<u8>]) -> io::Result<()> {
        if self.folders.returns(names) || self.folders.closing() >= MOST_FOLDERS {
            self.flush();
        }
        self.folders.enter(names)
    }

    /// Writes a file under a temporary name, or gives one that was already written another. It gets its own name with
    /// the others of its batch.
    ///
    /// # Errors
    /// When its folder cannot be entered, the content is not available, or the disk refuses.
    pub fn file(&mut self, item: Item<'_>, chunks: &[Id], content: Content<'_>) -> io::Result<()> {
        let (name, folders) = item.split()?;
        self.enter(folders)?;
        let link = item.node.hard_link.map(|key| Link { key, chunks: digest(chunks), first: None });
        if link.as_ref().is_some_and(|it| self.is_linked(item, &name, it)) {
            return Ok(());
        }
        let rights = self.rights(item.node, false);
        let (here, temporary) = (self.folders.changing()?, temporary(&self.manner.restore, &name)?);
        let made = create(here.dir.as_fd(), &temporary).and_then(|file| {
            let (file, size, sha256) = content::fill(file, content)?;
            let short = rights::apply(file.as_fd(), &rights);
            Ok((file, trail::Content::File { size, sha256 }, short))
        });
        let names = (name, temporary);
        match made {
            Ok((file, content, short)) => {
                let stat = fstat(&file)?;
                let (file, rights) = (Some(self.begin_to_settle(file, &content)), Some(rights));
                self.stage(Staged { file, rights, link, ..Staged::new(item, here, names, (content, &stat), short) });
                Ok(())
            }
            Err(error) => {
                // The temporary file is ours alone; one left behind is replaced by the next try.
                remove(here.dir.as_fd(), &names.1);
                if is_full(&error) {
                    // What is whole needs no more room than it has.
                    self.flush();
                }
                Err(error)
            }
        }
    }

    /// Begins to flush a file to disk and to read it back, while the next one is written.
    fn begin_to_settle(&mut self, file: File, content: &trail::Content) -> (Arc<File>, Receiver<io::Result<u64>>) {
        let (file, sent) = (Arc::new(file), content.sha256().to_owned());
        let settling = Arc::clone(&file);
        (file, self.hands.begin(move || content::settle(&settling, &sent)))
    }

    fn stage(&mut self, staged: Staged) {
        self.staged_bytes += staged.bytes();
        self.staged.push(staged);
        cut_here();
        if self.staged.len() >= MOST_ENTRIES || self.staged_bytes >= MOST_BYTES {
            self.flush();
        }
    }

    /// Gives everything that was written its name; it and the folders it is in are on disk then.
    pub fn flush(&mut self) {
        self.staged_bytes = 0;
        let staged = self.settle();
        let steps = self.folders.steps();
        let places: Vec<_> = staged.iter().map(|it| it.place(&self.manner, steps)).collect();
        let placed = batch::put_all(&places, steps);
        let mut dirs: Vec<_> = staged.iter().map(|it| Rc::clone(&it.here.dir)).collect();
        for (staged, placed) in staged.into_iter().zip(placed) {
            match placed.map(|it| self.placed(&staged, it)) {
                // No data is missing.
                Err(error) if staged.content == trail::Content::Pipe && !is_full(&error) => {
                    self.note(&staged.path, [ShortfallKind::Pipe]);
                }
                written => self.done.push((staged.path, written)),
            }
        }
        dirs.extend(self.folders.close());
        if let Err(error) = batch::sync_all(dirs.iter().map(|it| it.as_fd()).collect()) {
            // Nobody knows what is on the disk now.
            self.broken = Some(format!("the disk did not keep a folder: {error}"));
        }
    }

    /// Waits until the files are on disk and were read back. Those that are there as they were written go on.
    fn settle(&mut self) -> Vec<Staged> {
        let mut staged = std::mem::take(&mut self.staged);
        staged.retain_mut(|it| {
            let Err(error) = it.settled() else { return true };
            it.discard();
            self.done.push((std::mem::take(&mut it.path), Err(error)));
            false
        });
        staged
    }

    /// What became of entries since this was asked last.
    ///
    /// # Errors
    /// When it is not known what the disk kept.
    pub fn take_done(&mut self) -> io::Result<Vec<Done>> {
        match &self.broken {
            Some(reason) => Err(io::Error::other(reason.clone())),
            None => Ok(std::mem::take(&mut self.done)),
        }
    }

    /// Removes what has no name yet: the restore ends here, or continues another time.
    pub fn abandon(&mut self) {
        std::mem::take(&mut self.staged).iter().for_each(Staged::discard);
        self.folders.give_back();
    }

    /// Makes a symbolic link to its original target; nothing here follows it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn symlink(&mut self, item: Item<'_>, target: &[u8]) -> io::Result<()> {
        let target = CString::new(target)?;
        let rights = self.rights(item.node, true);
        self.special(
            (item, trail::Content::Link { target: encode_path(target.to_bytes()) }),
            &|dir, name| rustix::fs::symlinkat(&target, dir, name),
            &|dir, name| rights::apply_to_link(dir, name, &rights),
        )
    }

    /// Makes a pipe.
    ///
    /// # Errors
    /// When the system cannot make one here.
    pub fn pipe(&mut self, item: Item<'_>) -> io::Result<()> {
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
        )
    }

    /// Gives what is left its names, leaves all folders, and flushes them to disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        self.folders.leave_all();
        self.flush();
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

    /// Gives a file that was already written this name too; false if it has to be written as a separate file.
    fn is_linked(&mut self, item: Item<'_>, name: &CStr, link: &Link) -> bool {
        let is_first = |it: &Staged| it.link.as_ref().is_some_and(|it| it.key == link.key && it.first.is_none());
        if self.staged.iter().any(is_first) {
            // Only what has its name gets another.
            self.flush();
        }
        // Two entries that claim to be the same file but differ in content are two files.
        let first = self.linked.get(&link.key).filter(|it| it.chunks == link.chunks).cloned();
        let Some(first) = first else { return false };
        let is_linked = self.link(item, name, link, first).is_ok();
        if !is_linked {
            self.note(item.path, [ShortfallKind::HardLink]);
        }
        is_linked
    }

    fn link(&mut self, item: Item<'_>, name: &CStr, link: &Link, first: First) -> io::Result<()> {
        let from = self.folders.open(&first.folders)?;
        let (here, temporary) = (self.folders.changing()?, temporary(&self.manner.restore, name)?);
        // A number alone says little: the system reuses those of removed files.
        let is_first = |name: &CStr| {
            tree::stat(here.dir.as_fd(), name).is_ok_and(|it| (it.st_dev, it.st_ino) == first.id)
                && is_same(here.dir.as_fd(), name, &first.made)
        };
        let (is_done, dir) = (is_first(name), here.dir.as_fd());
        if !is_done {
            fresh(dir, &temporary, || rustix::fs::linkat(&from, &first.name, dir, &temporary, AtFlags::empty()))?;
            if !is_first(&temporary) {
                remove(dir, &temporary);
                return Err(io::Error::other("the file was replaced while the restore ran"));
            }
        }
        let (rights, link) = (Some(self.rights(item.node, false)), Link { first: Some(first.id), ..link.clone() });
        let at = if is_done { name } else { &temporary };
        let stat = tree::stat(dir, at)?;
        let names = (name.to_owned(), temporary);
        let staged = Staged::new(item, here, names, (first.made, &stat), Vec::new());
        if is_done {
            self.done.push((item.path.to_owned(), Ok(staged.written(Fit::Own))));
        } else {
            self.stage(Staged { rights, link: Some(link), ..staged });
        }
        Ok(())
    }

    /// Makes what has no content.
    fn special(
        &mut self,
        (item, content): (Item<'_>, trail::Content),
        make: &dyn Fn(BorrowedFd<'_>, &CStr) -> rustix::io::Result<()>,
        finish: &dyn Fn(BorrowedFd<'_>, &CStr) -> io::Result<Vec<ShortfallKind>>,
    ) -> io::Result<()> {
        let (name, folders) = item.split()?;
        self.enter(folders)?;
        let (here, temporary) = (self.folders.changing()?, temporary(&self.manner.restore, &name)?);
        let dir = here.dir.as_fd();
        fresh(dir, &temporary, || make(dir, &temporary))?;
        let short = finish(dir, &temporary).inspect_err(|_| remove(dir, &temporary))?;
        let stat = tree::stat(dir, &temporary)?;
        self.stage(Staged::new(item, here, (name, temporary), (content, &stat), short));
        Ok(())
    }

    /// What became of an entry, and what is to be told about it.
    fn placed(&mut self, staged: &Staged, placed: Placed) -> Written {
        let (name, fit) = match placed {
            Placed::Kept => return Written::Kept,
            Placed::New { name, fit } => {
                self.note(&staged.path, staged.short.iter().copied());
                (name, fit)
            }
            Placed::Same { name, fit } => {
                let had = tree::open_file(staged.here.dir.as_fd(), &name);
                if staged.rights.as_ref().is_some_and(|it| had.is_ok_and(|file| it.differ_from(file.as_fd()))) {
                    self.note(&staged.path, [ShortfallKind::Existing]);
                }
                (name, fit)
            }
        };
        staged.here.wrote();
        if let Some(link) = &staged.link {
            self.linked_as(staged, link, &name);
        }
        staged.written(fit)
    }

    /// Remembers the first name of a file with several, or reports that another does not lead to it.
    fn linked_as(&mut self, staged: &Staged, link: &Link, name: &CStr) {
        let id = tree::stat(staged.here.dir.as_fd(), name).ok().map(|it| (it.st_dev, it.st_ino));
        match (link.first, id) {
            (Some(first), id) if id != Some(first) => self.note(&staged.path, [ShortfallKind::HardLink]),
            (None, Some(id)) => {
                let (folders, made) = (staged.folders.clone(), staged.content.clone());
                let first = First { folders, name: name.to_owned(), id, chunks: link.chunks, made };
                self.linked.entry(link.key).or_insert(first);
            }
            _ => {}
        }
    }
}

/// Whatever is left of it the next try replaces.
fn remove(dir: BorrowedFd<'_>, temporary: &CStr) {
    let _ = rustix::fs::unlinkat(dir, temporary, AtFlags::empty());
}
