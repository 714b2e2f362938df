//! A file's chunks, and bytes on their way to the parent.
use super::Stop;
use crate::content::message;
use repository::{BlobKind, Fault, Id, Objects, Repository};
use std::io::{self, Write};

/// How many bytes go in one frame.
const PART: usize = 256 << 10;

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
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
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
