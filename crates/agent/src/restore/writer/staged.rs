//! What is whole under its temporary name, and gets its own with the others of its batch.
use super::{Item, Manner, Written};
use crate::restore::folders::Here;
use crate::restore::place::{Fit, Place};
use crate::restore::rights::Rights;
use crate::restore::steps::Steps;
use crate::restore::trail::Content;
use domain::shortfall::ShortfallKind;
use rustix::fs::{AtFlags, Stat, unlinkat};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// A name of a file that has several.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// The file, as its own device numbered it.
    pub key: (u64, u64),
    /// Its chunks.
    pub chunks: [u8; 32],
    /// The file here that this is another name of; none for the first.
    pub first: Option<(u64, u64)>,
}

/// An entry that waits for its name.
#[derive(Debug)]
pub(super) struct Staged {
    /// In the manifest's spelling, for reports.
    pub path: String,
    pub here: Here,
    /// The names that lead there.
    pub folders: Vec<Vec<u8>>,
    pub name: CString,
    pub temporary: CString,
    pub content: Content,
    /// What tells it from anything else that somebody may put under its temporary name.
    pub id: (u64, u64),
    /// What it could not be given.
    pub short: Vec<ShortfallKind>,
    /// What is being flushed to disk and read back; open until it has its name, so that nothing else gets its number.
    pub file: Option<(Arc<File>, Receiver<io::Result<u64>>)>,
    /// What a file that is already there is compared with.
    pub rights: Option<Rights>,
    pub link: Option<Link>,
}

impl Staged {
    pub fn new(
        item: Item<'_>,
        here: Here,
        (name, temporary): (CString, CString),
        (content, stat): (Content, &Stat),
        short: Vec<ShortfallKind>,
    ) -> Self {
        let folders = item.names.split_last().map_or(&[][..], |it| it.1).to_vec();
        let (path, id) = (item.path.to_owned(), (stat.st_dev, stat.st_ino));
        Self { path, here, folders, name, temporary, content, id, short, file: None, rights: None, link: None }
    }

    /// How many bytes wait to be flushed.
    pub const fn bytes(&self) -> u64 {
        match (&self.file, &self.content) {
            (Some(_), Content::File { size, .. }) => *size,
            _ => 0,
        }
    }

    /// Waits until it is on disk and was read back.
    ///
    /// # Errors
    /// When the disk refuses, or holds something other than what was written.
    pub fn settled(&self) -> io::Result<()> {
        let Some((_, outcome)) = &self.file else { return Ok(()) };
        let ended = |_| Err(io::Error::other("nobody flushed it to disk"));
        outcome.recv().unwrap_or_else(ended).map(drop)
    }

    pub fn place<'a>(&'a self, manner: &'a Manner, steps: &'a Steps) -> Place<'a> {
        Place {
            dir: self.here.dir.as_fd(),
            temporary: &self.temporary,
            name: &self.name,
            day: &manner.day,
            conflict: manner.conflict,
            steps,
            folder: &self.folders,
            content: &self.content,
            id: self.id,
        }
    }

    /// What became of it, if it is there now.
    pub fn written(&self, fit: Fit) -> Written {
        match &self.content {
            Content::File { size, sha256 } => Written::File { size: *size, sha256: sha256.clone(), fit },
            Content::Link { .. } | Content::Pipe => Written::Made { fit },
        }
    }

    /// Removes it: it is this restore's own, and has no name yet.
    pub fn discard(&self) {
        let _ = unlinkat(&self.here.dir, &self.temporary, AtFlags::empty());
    }
}
