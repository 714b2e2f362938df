//! A folder as a tar archive, written as it is read: of a million files, no more than one chunk is in memory.
//!
//! Tar rather than zip, because a zip ends with a list of everything in it, which has to be kept until then; and a
//! tar that breaks off lacks its end, which every reader notices.
use super::parts::{Parts, chunk, gone, other_size, wide};
use super::{Stop, short};
use crate::content::message::Taken;
use repository::{Entry, Fault, Id, NodeKind, Objects, Repository};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{Builder, EntryType, Header};

/// How many names the list of what was left out holds.
const NAMED: usize = 10_000;

/// The name of that list, beside the folder itself.
const LEFT_OUT: &str = "holdfast-left-out.txt";

/// Writes a folder and everything below it, under the folder's own name.
pub(super) fn folder<O: Objects>(
    repository: &mut Repository<O>,
    (path, tree): (Vec<u8>, Id),
    leaves_out: bool,
    parts: Parts<'_>,
) -> Result<Taken, Stop> {
    // The folder's parent is not part of the names.
    let before = path.iter().rposition(|it| *it == b'/').map_or(0, |it| it + 1);
    let mut archive = Archive {
        builder: Builder::new(parts),
        before: if path.is_empty() { 1 } else { before },
        leaves_out,
        taken: Taken::default(),
        left_out: Vec::new(),
    };
    let mut walk = repository.walk_below(path, tree);
    while let Some(item) = walk.next(repository) {
        let done = match item {
            Ok(entry) => archive.entry(repository, &entry),
            Err(it) => Err(Stop::Fault(it.path, it.fault)),
        };
        archive.settle(done)?;
    }
    archive.finish()
}

struct Archive<'a> {
    builder: Builder<Parts<'a>>,
    /// How many bytes of each path are not part of its name.
    before: usize,
    leaves_out: bool,
    taken: Taken,
    left_out: Vec<String>,
}

impl Archive<'_> {
    /// Whether to go on after an entry.
    fn settle(&mut self, done: Result<(), Stop>) -> Result<(), Stop> {
        let Err(Stop::Fault(path, fault)) = done else { return done };
        if !self.leaves_out || fault.is_fatal() {
            return Err(Stop::Fault(path, fault));
        }
        self.taken.left_out += 1;
        if self.left_out.len() < NAMED {
            self.left_out.push(format!("{path}: {}\n", short(&fault.to_string())));
        }
        Ok(())
    }

    fn entry<O: Objects>(&mut self, repository: &mut Repository<O>, entry: &Entry) -> Result<(), Stop> {
        match &entry.node.kind {
            NodeKind::File { size, content } => self.file(repository, entry, *size, content),
            NodeKind::Folder { .. } => {
                let mut header = self.header(entry, EntryType::Directory, 0);
                self.builder.append_data(&mut header, name_of(entry, self.before), io::empty()).map_err(gone)
            }
            NodeKind::Symlink { target } => {
                let mut header = self.header(entry, EntryType::Symlink, 0);
                let target = Path::new(OsStr::from_bytes(target));
                // An empty target, or one with a NUL, is in no archive.
                let at = |error: io::Error| {
                    if error.kind() == io::ErrorKind::BrokenPipe {
                        return gone(error);
                    }
                    Stop::Fault(entry.spelled(), Fault::Node("the link has no usable target".to_owned()))
                };
                self.builder.append_link(&mut header, name_of(entry, self.before), target).map_err(at)
            }
            NodeKind::Other(_) => {
                self.taken.special += 1;
                Ok(())
            }
        }
    }

    fn file<O: Objects>(
        &mut self,
        repository: &mut Repository<O>,
        entry: &Entry,
        size: u64,
        content: &[Id],
    ) -> Result<(), Stop> {
        let at = |fault| Stop::Fault(entry.spelled(), fault);
        // Its header comes first: what turns out to be damaged later could not be left out any more.
        if self.leaves_out {
            check(repository, size, content).map_err(at)?;
        }
        let mut header = self.header(entry, EntryType::Regular, size);
        let mut source =
            Source { repository, content: content.iter(), plain: Vec::new(), at: 0, left: size, fault: None };
        let written = self.builder.append_data(&mut header, name_of(entry, self.before), &mut source);
        match (source.fault, written) {
            (Some(fault), _) => return Err(Stop::Broken(entry.spelled(), fault)),
            (None, Err(error)) => return Err(gone(error)),
            (None, Ok(())) => {}
        }
        self.taken.files += 1;
        self.taken.bytes += size;
        Ok(())
    }

    /// Nobody's, and without the bits that let a program act as somebody else.
    fn header(&self, entry: &Entry, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(entry.node.mode & 0o777);
        header.set_mtime(entry.node.modified.and_then(|it| u64::try_from(it.0).ok()).unwrap_or(0));
        header
    }

    fn finish(mut self) -> Result<Taken, Stop> {
        if self.taken.left_out > 0 {
            let more = self.taken.left_out - wide(self.left_out.len());
            let mut text = String::from("These are damaged in the backup store, and not in this archive:\n\n");
            text.extend(self.left_out.drain(..));
            if more > 0 {
                text.push_str(&format!("and {more} more\n"));
            }
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(wide(text.len()));
            header.set_mode(0o644);
            self.builder.append_data(&mut header, LEFT_OUT, text.as_bytes()).map_err(gone)?;
        }
        let parts = self.builder.into_inner().map_err(gone)?;
        parts.finish().map_err(gone)?;
        Ok(self.taken)
    }
}

fn name_of(entry: &Entry, before: usize) -> &Path {
    Path::new(OsStr::from_bytes(entry.path.get(before..).unwrap_or_default()))
}

/// Reads a file once without keeping it.
fn check<O: Objects>(repository: &mut Repository<O>, size: u64, content: &[Id]) -> Result<(), Fault> {
    let (mut plain, mut had) = (Vec::new(), 0u64);
    for id in content {
        chunk(repository, id, &mut plain)?;
        had = had.saturating_add(wide(plain.len()));
    }
    if had == size { Ok(()) } else { Err(other_size()) }
}

/// A file's bytes, chunk by chunk; exactly as many as its header says, or a fault.
struct Source<'a, O> {
    repository: &'a mut Repository<O>,
    content: std::slice::Iter<'a, Id>,
    plain: Vec<u8>,
    at: usize,
    left: u64,
    fault: Option<Fault>,
}

impl<O: Objects> Source<'_, O> {
    fn fill(&mut self) -> Result<bool, Fault> {
        while self.at == self.plain.len() {
            let Some(id) = self.content.next() else {
                return if self.left == 0 { Ok(false) } else { Err(other_size()) };
            };
            chunk(self.repository, id, &mut self.plain)?;
            self.at = 0;
            self.left = self.left.checked_sub(wide(self.plain.len())).ok_or_else(other_size)?;
        }
        Ok(true)
    }
}

impl<O: Objects> Read for Source<'_, O> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.fill() {
            Ok(false) => Ok(0),
            Ok(true) => {
                let rest = self.plain.get(self.at..).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
                    to.copy_from_slice(from);
                }
                self.at += count;
                Ok(count)
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::Error::other("the file cannot be read"))
            }
        }
    }
}
