//! Where restored files go: in place where this device protects the same
//! folder, else into a folder of their own inside its first protected one.
use super::writer::{Content, Writer, Written};
use crate::agent::protect;
use crate::agent::state::{ProtectedRoot, RestoreJournal};
use crate::domain::restore::Landing;
use crate::domain::words;
use crate::repository::Node;
use anyhow::{Result, bail};
use std::io;

/// The protected folders, open for writing.
pub struct Targets {
    roots: Vec<(Vec<u8>, Writer)>,
    /// Such as `restored-2026-11-22`.
    folder: Vec<u8>,
    landing: Landing,
}

impl Targets {
    /// # Errors
    /// When a protected folder is not there any more, or has too little space.
    pub fn open(roots: &[ProtectedRoot], journal: &RestoreJournal) -> Result<Self> {
        let day: String = journal.begun_at.iso().chars().take(10).collect();
        let mut opened = Vec::new();
        for root in roots {
            let dir = protect::open_marked(root)?;
            let free = rustix::fs::fstatvfs(&dir).map(|it| it.f_bavail.saturating_mul(it.f_frsize));
            if free.is_ok_and(|free| free < journal.order.size_bytes) {
                let size = words::bytes(journal.order.size_bytes);
                bail!("{} has too little free space for {size}; free some and ask for the restore again", root.path);
            }
            let writer = Writer::new(dir, &journal.order.restore_id.to_string(), &day, journal.order.conflict)?;
            opened.push((root.path.clone().into_bytes(), writer));
        }
        if opened.is_empty() {
            bail!("this device protects no folder to restore into");
        }
        Ok(Self { roots: opened, folder: format!("restored-{day}").into_bytes(), landing: journal.order.landing })
    }

    /// The writer for an absolute path of the restore point, and the names below its folder.
    fn place(&mut self, path: &[u8]) -> io::Result<(&mut Writer, Vec<Vec<u8>>)> {
        let rest = |root: &[u8]| match path.strip_prefix(root) {
            Some([]) => Some(&[][..]),
            Some([b'/', rest @ ..]) => Some(rest),
            _ => None,
        };
        let split =
            |it: &[u8]| it.split(|byte| *byte == b'/').filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect();
        let same = match self.landing {
            Landing::InPlace => self.roots.iter().position(|(root, _)| rest(root).is_some()),
            Landing::Beside => None,
        };
        let at = same.unwrap_or(0);
        let (root, writer) = self.roots.get_mut(at).ok_or_else(|| io::Error::other("no protected folder"))?;
        let names: Vec<Vec<u8>> = match same {
            Some(_) => split(rest(root).unwrap_or_default()),
            None => std::iter::once(self.folder.clone()).chain(split(path)).collect(),
        };
        Ok((writer, names))
    }

    pub fn folder(&mut self, path: &[u8]) -> io::Result<()> {
        let (writer, names) = self.place(path)?;
        writer.folder(&names)
    }

    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> io::Result<Written> {
        let (writer, names) = self.place(path)?;
        writer.symlink(&names, target)
    }

    pub fn file(&mut self, path: &[u8], node: &Node, content: Content<'_>) -> io::Result<Written> {
        let mode = match self.landing {
            Landing::InPlace => node.mode,
            Landing::Beside => node.mode & 0o666,
        };
        let (writer, names) = self.place(path)?;
        writer.file(&names, mode, node.modified, content)
    }

    /// Brings the last folders to the disk.
    pub fn finish(&mut self) -> io::Result<()> {
        self.roots.iter_mut().try_for_each(|(_, writer)| writer.finish())
    }
}
