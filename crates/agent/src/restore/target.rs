//! Where restored entries go: in place if this device gets its own data back and protects the same folder,
//! otherwise into a separate folder inside its first protected one.
use super::area::AREA;
use super::content::Content;
use super::trail::Trail;
use super::writer::{Done, Item, Manner, Writer};
use crate::state::{ProtectedRoot, RestoreJournal};
use crate::{protect, tree};
use anyhow::{Context, Result, bail};
use domain::manifest::encode_path;
use domain::restore::Landing;
use domain::shortfall::{self, Shortfall};
use domain::words;
use repository::{Entry, Id};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

/// Folders that could not be kept, each with the reason.
type Lost = Vec<(String, String)>;

/// The protected folders, open for writing.
pub struct Targets {
    roots: Vec<(Vec<u8>, Writer)>,
    /// The one that was written to last.
    current: usize,
    /// Such as `restored-2026-11-22`.
    folder: Vec<u8>,
    landing: Landing,
}

impl Targets {
    /// # Errors
    /// When a protected folder is no longer there, or has too little space.
    pub fn open(
        roots: &[ProtectedRoot],
        journal: &RestoreJournal,
        landing: Landing,
        trail: &Rc<Trail>,
    ) -> Result<Self> {
        let order = &journal.order;
        let conflict = order.conflict.allowed(landing);
        let day: String = journal.begun_at.iso().chars().take(10).collect();
        let mut opened = Vec::new();
        let mut folder = None;
        for root in roots {
            let dir = protect::open_marked(root)?;
            let free = rustix::fs::fstatvfs(&dir).map(|it| it.f_bavail.saturating_mul(it.f_frsize));
            if free.is_ok_and(|free| free < order.size_bytes) {
                let size = words::bytes(order.size_bytes);
                bail!("{} has too little free space for {size}; free some and order the restore again", root.path);
            }
            if folder.is_none() {
                folder = Some(own_folder(dir.as_fd(), &day).with_context(|| root.path.clone())?);
            }
            let manner = Manner { restore: order.restore_id.to_string(), day: day.clone(), conflict, landing };
            let writer = Writer::new((&root.path, dir), manner, Rc::clone(trail))?;
            opened.push((root.path.clone().into_bytes(), writer));
        }
        let folder = folder.context("this device protects no folder to restore into")?;
        Ok(Self { roots: opened, current: 0, folder, landing })
    }

    /// The writer for an absolute path in the restore point, and the names below its folder.
    fn place(&mut self, path: &[u8]) -> io::Result<(&mut Writer, Vec<Vec<u8>>)> {
        let rest = |root: &[u8]| match path.strip_prefix(root) {
            Some([]) => Some(&[][..]),
            Some([b'/', rest @ ..]) => Some(rest),
            _ => None,
        };
        let split =
            |it: &[u8]| it.split(|byte| *byte == b'/').filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect();
        let same = match self.landing {
            // What is the agent's own there stays its own: the backup may hold what an earlier restore replaced.
            Landing::InPlace => self.roots.iter().position(|(root, _)| rest(root).is_some_and(|it| !is_own(it))),
            Landing::Beside => None,
        };
        let at = same.unwrap_or(0);
        if at != std::mem::replace(&mut self.current, at) {
            // Only one of them has files open.
            self.flush();
        }
        let (root, writer) = self.roots.get_mut(at).ok_or_else(|| io::Error::other("no protected folder"))?;
        let names: Vec<Vec<u8>> = match same {
            Some(_) => split(rest(root).unwrap_or_default()),
            None => std::iter::once(self.folder.clone()).chain(split(path)).collect(),
        };
        Ok((writer, names))
    }

    fn at<T>(&mut self, entry: &Entry, act: impl FnOnce(&mut Writer, Item<'_>) -> T) -> io::Result<T> {
        let (writer, names) = self.place(&entry.path)?;
        let path = encode_path(&entry.path);
        Ok(act(writer, Item { names: &names, path: &path, node: &entry.node }))
    }

    /// Records what a folder in the backup had, before anything in it is written.
    pub fn know(&mut self, entry: &Entry) -> io::Result<()> {
        self.at(entry, Writer::know)
    }

    pub fn folder(&mut self, entry: &Entry) -> io::Result<()> {
        self.at(entry, Writer::folder)?
    }

    pub fn symlink(&mut self, entry: &Entry, target: &[u8]) -> io::Result<()> {
        self.at(entry, |writer, item| writer.symlink(item, target))?
    }

    pub fn pipe(&mut self, entry: &Entry) -> io::Result<()> {
        self.at(entry, Writer::pipe)?
    }

    pub fn file(&mut self, entry: &Entry, chunks: &[Id], content: Content<'_>) -> io::Result<()> {
        self.at(entry, |writer, item| writer.file(item, chunks, content))?
    }

    /// Gives what was written its names.
    fn flush(&mut self) {
        self.roots.iter_mut().for_each(|(_, writer)| writer.flush());
    }

    /// What became of entries since this was asked last: what is there is on disk.
    ///
    /// # Errors
    /// When it is not known what the disk kept.
    pub fn take_done(&mut self) -> io::Result<Vec<Done>> {
        let mut all = Vec::new();
        for (_, writer) in &mut self.roots {
            all.extend(writer.take_done()?);
        }
        Ok(all)
    }

    /// Removes what has no name yet.
    pub fn abandon(&mut self) {
        self.roots.iter_mut().for_each(|(_, writer)| writer.abandon());
    }

    /// Gives the last folders their rights and flushes them to disk. Returns what came back different, and the
    /// folders that were lost on the way.
    pub fn finish(&mut self) -> io::Result<(Vec<Shortfall>, Lost)> {
        let (mut all, mut lost) = (Vec::new(), Vec::new());
        for (_, writer) in &mut self.roots {
            writer.finish()?;
            let (short, gone) = writer.take_told();
            short.into_iter().for_each(|it| shortfall::add(&mut all, it));
            lost.extend(gone);
        }
        Ok((all, lost))
    }
}

/// Whether a path below a protected folder is the agent's own.
fn is_own(rest: &[u8]) -> bool {
    let first = rest.split(|it| *it == b'/').find(|it| !it.is_empty()).unwrap_or_default();
    first == AREA.as_bytes() || first == protect::MARK_NAME.as_bytes()
}

/// The name of the folder for what does not come back in place. A folder from the same day is reused if only
/// its owner can look into it: the restored data may belong to somebody whom its own rights do not protect
/// here.
fn own_folder(root: BorrowedFd<'_>, day: &str) -> io::Result<Vec<u8>> {
    let owner = fstat(root)?.st_uid;
    let euid = rustix::process::geteuid().as_raw();
    for number in 1..100 {
        let name = if number == 1 { format!("restored-{day}") } else { format!("restored-{day}-{number}") };
        match tree::stat(root, &CString::new(name.as_str())?) {
            Err(Errno::NOENT) => return Ok(name.into_bytes()),
            Err(error) => return Err(error.into()),
            Ok(it) => {
                let is_folder = FileType::from_raw_mode(it.st_mode) == FileType::Directory;
                if is_folder && it.st_mode & 0o077 == 0 && (it.st_uid == owner || it.st_uid == euid) {
                    return Ok(name.into_bytes());
                }
            }
        }
    }
    Err(io::Error::other("there are too many restore folders from this day; move some away"))
}
