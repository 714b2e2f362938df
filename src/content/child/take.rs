//! The bytes of one file, or a folder as an archive.
use super::path::{At, go};
use super::{Stop, list, tar};
use crate::content::message::{self, End, Head, Taken};
use domain::object::ObjectName;
use repository::{BlobKind, Fault, Id, NodeKind, Objects, Repository};
use std::io::{self, Write};

/// How many bytes go in one frame.
const PART: usize = 256 << 10;

pub(super) fn take<O: Objects>(
    repository: &mut Repository<O>,
    snapshot: &ObjectName,
    (path, leaves_out): (&str, bool),
    out: &mut dyn Write,
) -> Result<End, Stop> {
    let entry = match go(repository, snapshot, path)? {
        At::Folder(path, tree) => {
            let head = Head { name: list::last_name(&path), size: None };
            message::head(out, &head).map_err(gone)?;
            return tar::folder(repository, (path, tree), leaves_out, Parts::new(out)).map(End::Taken);
        }
        At::Entry(entry) => entry,
    };
    let NodeKind::File { size, content } = &entry.node.kind else { return Err(Stop::NotAFile) };
    let at = |fault| Stop::Fault(entry.spelled(), fault);
    // What is known to be missing is told before the first byte.
    if let Some(missing) = missing(repository, content) {
        return Err(at(Fault::NotIndexed(missing)));
    }
    let head = Head { name: list::last_name(&entry.path), size: Some(*size) };
    message::head(out, &head).map_err(gone)?;
    let mut parts = Parts::new(out);
    let mut left = *size;
    let mut plain = Vec::new();
    for id in content {
        chunk(repository, id, &mut plain).map_err(at)?;
        left = left.checked_sub(wide(plain.len())).ok_or_else(|| at(other_size()))?;
        parts.write_all(&plain).map_err(gone)?;
    }
    if left > 0 {
        return Err(at(other_size()));
    }
    parts.finish().map_err(gone)?;
    Ok(End::Taken(Taken { files: 1, bytes: *size, ..Taken::default() }))
}

/// The first chunk that is in no index.
fn missing<O: Objects>(repository: &Repository<O>, content: &[Id]) -> Option<Id> {
    content.iter().find(|it| repository.index().find(BlobKind::Data, it).is_none()).copied()
}

/// The content of a chunk, checked against its id.
pub(super) fn chunk<O: Objects>(repository: &mut Repository<O>, id: &Id, plain: &mut Vec<u8>) -> Result<(), Fault> {
    let copies = repository.index().find(BlobKind::Data, id).ok_or(Fault::NotIndexed(*id))?;
    repository.blob(copies, plain)
}

pub(super) fn other_size() -> Fault {
    Fault::Node("the file has another size than its chunks".to_owned())
}

/// The parent has gone: there is nobody left to tell.
pub(super) fn gone(error: io::Error) -> Stop {
    Stop::from(Fault::Write(error.to_string()))
}

pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Bytes on their way to the parent, in frames.
pub(super) struct Parts<'a> {
    out: &'a mut dyn Write,
    waiting: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self { out, waiting: Vec::with_capacity(PART) }
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.waiting.is_empty() {
            message::part(self.out, &self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PART - self.waiting.len().min(PART);
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.waiting.extend_from_slice(taken);
        if self.waiting.len() >= PART {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
