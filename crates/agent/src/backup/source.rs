//! The protected folders in the form `rustic_core` takes: our own walk, and files opened by handle.
use super::look::{Groups, Looked, look, time};
use super::walk::{Scope, TICK_NANOS, seen};
use super::walker::{Found, Walkers};
use crate::net::backoff::Stop;
use crate::tree;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::manifest::EntryKind;
use rustic_core::jiff::Timestamp;
use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use rustix::fs::Stat;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that could not be read.
pub type Unreadable = Arc<Mutex<BTreeSet<Vec<u8>>>>;

/// The protected folders.
pub struct Source {
    pub scope: Scope,
    /// Bytes of all files, for the progress.
    pub size: u64,
    /// The newest change that the manifest's walk met.
    pub newest: i64,
    pub unreadable: Unreadable,
    pub stop: Stop,
}

impl ReadSource for Source {
    type Open = Open;
    type Iter = Entries;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(Some(self.size))
    }

    fn entries(&self) -> Entries {
        Entries {
            walkers: Walkers::new(&self.scope.roots, self.scope.mounts),
            groups: Groups::default(),
            newest: self.newest,
            unreadable: Arc::clone(&self.unreadable),
            stop: self.stop.clone(),
        }
    }
}

/// The walk.
pub struct Entries {
    walkers: Walkers,
    groups: Groups,
    newest: i64,
    unreadable: Unreadable,
    stop: Stop,
}

impl Iterator for Entries {
    type Item = RusticResult<ReadSourceEntry<Open>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.stop.is_stopped() {
            let Ok(found) = self.walkers.next()? else { continue };
            // What nobody can look at cannot be in the backup; the manifest names it.
            let Some(stat) = found.stat else { continue };
            let looked = look(&found, self.walkers.handle(), &mut self.groups);
            let Some(node) = node(&found, &stat, &looked, self.newest) else { continue };
            let path = PathBuf::from(std::ffi::OsString::from_vec(found.path));
            let open = (looked.entry.kind == EntryKind::File).then(|| Open {
                path: path.clone(),
                size: node.meta.size,
                unreadable: Arc::clone(&self.unreadable),
            });
            return Some(Ok(ReadSourceEntry { path, node, open }));
        }
        None
    }
}

fn node(found: &Found, stat: &Stat, looked: &Looked, newest: i64) -> Option<Node> {
    let device = stat.st_rdev;
    let kind = match looked.entry.kind {
        EntryKind::File => NodeType::File,
        EntryKind::Folder => NodeType::Dir,
        EntryKind::Symlink => NodeType::from_link(Path::new(OsStr::from_bytes(&looked.target))),
        EntryKind::Pipe => NodeType::Fifo,
        EntryKind::Socket => NodeType::Socket,
        EntryKind::CharDevice => NodeType::Chardev { device },
        EntryKind::BlockDevice => NodeType::Dev { device },
        EntryKind::Unknown => return None,
    };
    let (seconds, nanos) = time(stat);
    let mtime = Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).ok();
    let is_folder = looked.entry.kind == EntryKind::Folder;
    let is_linked = !is_folder && stat.st_nlink > 1;
    let was = seen(stat);
    // The next backup takes a file as unchanged if its times are the same. After a change in the same tick they
    // would be, so the time used only for this check is altered, and the file is read again.
    let is_fresh = was.ctime >= newest.saturating_sub(TICK_NANOS);
    let ctime = if is_fresh {
        Timestamp::UNIX_EPOCH
    } else {
        Timestamp::new(stat.st_ctime, i32::try_from(stat.st_ctime_nsec).unwrap_or(0)).unwrap_or_default()
    };
    // The library has no constructor for these, but can deserialise them.
    let attribute = |(name, value): &(Vec<u8>, Vec<u8>)| serde_json::json!({ "name": String::from_utf8_lossy(name), "value": BASE64_STANDARD.encode(value) });
    let attributes: serde_json::Value = looked.attributes.iter().map(attribute).collect();
    let meta = Metadata {
        mode: Some(go_mode(stat.st_mode, looked.entry.kind)),
        mtime,
        atime: mtime,
        ctime: Some(ctime),
        uid: Some(stat.st_uid),
        gid: Some(stat.st_gid),
        user: None,
        group: None,
        inode: stat.st_ino,
        device_id: if is_linked { stat.st_dev } else { 0 },
        size: was.size,
        links: if is_folder { 0 } else { wide(stat.st_nlink) },
        extended_attributes: serde_json::from_value(attributes).ok()?,
    };
    let name = Path::new(OsStr::from_bytes(&found.path)).file_name()?;
    Some(Node::new_node(name, kind, meta))
}

/// The number of names has a different width on other processors.
fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

/// The mode as in Go: permissions, and the rest in its own bits.
fn go_mode(mode: u32, kind: EntryKind) -> u32 {
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special: u32 = special.into_iter().filter(|(unix, _)| mode & unix != 0).map(|it| it.1).sum();
    let kind = match kind {
        EntryKind::Folder => 1 << 31,
        EntryKind::Symlink => 1 << 27,
        EntryKind::BlockDevice => 1 << 26,
        EntryKind::Pipe => 1 << 25,
        EntryKind::Socket => 1 << 24,
        EntryKind::CharDevice => (1 << 26) | (1 << 21),
        EntryKind::File | EntryKind::Unknown => 0,
    };
    (mode & 0o777) | special | kind
}

/// A file to read: no symlink in its path is followed, whatever was put there since it was listed.
pub struct Open {
    path: PathBuf,
    size: u64,
    unreadable: Unreadable,
}

impl ReadSourceOpen for Open {
    type Reader = Reader;

    fn open(self) -> RusticResult<Reader> {
        match open(&self.path) {
            // A growing file is read up to its listed size, so that its size matches its content.
            Ok(file) => Ok(Reader { file: file.take(self.size), path: self.path, unreadable: self.unreadable }),
            Err(error) => {
                note(&self.unreadable, &self.path);
                Err(RusticError::with_source(ErrorKind::InputOutput, "a file could not be opened", error))
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let (dir, name) = tree::open_parent(path)?;
    Ok(File::from(tree::open_file(dir.as_fd(), &name)?))
}

fn note(unreadable: &Unreadable, path: &Path) {
    unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(path.as_os_str().as_bytes().to_vec());
}

/// Reads a file, and remembers whether that failed: the library leaves out such a file and continues.
pub struct Reader {
    file: io::Take<File>,
    path: PathBuf,
    unreadable: Unreadable,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                note(&self.unreadable, &self.path);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_backed_up_as_far_as_it_was_when_it_was_listed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("log");
        std::fs::write(&path, "listed, and then it grew").unwrap();
        let mut read = String::new();

        Open { path, size: 6, unreadable: Unreadable::default() }.open().unwrap().read_to_string(&mut read).unwrap();

        assert_eq!(read, "listed");
    }
}
