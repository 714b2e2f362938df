//! Where the bytes of backups are kept.
//!
//! A [`BlobStore`] knows nothing about the ledger: an object counts as there once its row is in the database,
//! and only then is its upload acknowledged. What a crash leaves in between is found by
//! [`BlobStore::unsettled`].
pub mod disk;
pub mod fs;
pub mod home;
mod mark;
pub mod piece;
mod writes;

use aws_lc_rs::digest;
use domain::ground::{ReadFault, WriteFault};
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Which object: everything in it is checked text, so that no name can lead out of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobKey {
    pub repository: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
}

impl BlobKey {
    /// A key of its three parts.
    pub fn new(repository: RepositoryId, kind: ObjectKind, name: ObjectName) -> Self {
        Self { repository, kind, name }
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.repository, self.kind, self.name)
    }
}

/// A place that stores bytes by key.
pub trait BlobStore: Send + Sync {
    /// Starts an upload; nothing is at `key` before [`Upload::commit`].
    ///
    /// # Errors
    /// When the store accepts no more writes, or is full.
    fn begin(&self, key: &BlobKey) -> io::Result<Box<dyn Upload>>;

    /// At most `len` bytes from `offset` on, fewer only at the end; none if nothing is at `key` although the
    /// store itself is there.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> io::Result<Option<Vec<u8>>>;

    /// How many bytes are at `key`; none when nothing is.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>>;

    /// Removes what is at `key`; false if nothing was.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, key: &BlobKey) -> io::Result<bool>;

    /// Everything stored for `repository`, with sizes, in no particular order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, repository: RepositoryId) -> io::Result<Vec<(BlobKey, u64)>>;

    /// Makes what was found at `key` survive a power cut.
    ///
    /// # Errors
    /// When the disk cannot keep it.
    fn make_durable(&self, key: &BlobKey) -> io::Result<()>;

    /// Uploads that were begun but not settled before this store was opened.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unsettled(&self) -> io::Result<Vec<(BlobKey, Stored)>>;

    /// Checks whether this is still the store that was opened and whether it can be read. What one access could
    /// not read is tried again.
    ///
    /// # Errors
    /// What is wrong with the store as a whole.
    fn check(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    /// Why no writes are accepted; none while they are. If the last one failed, another is tried.
    fn check_writes(&self) -> Option<(WriteFault, String)> {
        None
    }

    /// How many bytes are free on the store's disk, and how many there are; none if that is not known.
    fn space(&self) -> Option<(u64, u64)> {
        None
    }
}

/// What is wrong with a store as a whole, rather than with one object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct StoreFault {
    pub fault: ReadFault,
    pub why: String,
}

/// The store's fault behind one failed access; none if only that access failed.
pub fn fault_of(error: &io::Error) -> Option<&StoreFault> {
    error.get_ref()?.downcast_ref()
}

/// Bytes on their way; dropping it leaves nothing behind.
pub trait Upload: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes durable and puts them at their key, which must be empty.
    ///
    /// # Errors
    /// `AlreadyExists` if something is there; that stays as it is.
    fn commit(self: Box<Self>) -> io::Result<Stored>;

    /// Makes the bytes durable and puts them at their key in one step, replacing what is there: for bytes that
    /// match their name, over bytes that do not.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    fn replace(self: Box<Self>) -> io::Result<Stored>;
}

/// Durable bytes whose row may not be in the ledger yet.
///
/// It leaves a mark for the next start until [`Stored::settle`] is called.
#[derive(Debug, Default)]
#[must_use = "settle it once the ledger has the row"]
pub struct Stored {
    mark: Option<PathBuf>,
}

impl Stored {
    /// Removes the mark, after the row was committed or the bytes were removed.
    pub fn settle(self) {
        if let Some(mark) = self.mark
            && let Err(error) = std::fs::remove_file(&mark)
            && error.kind() != io::ErrorKind::NotFound
        {
            // Harmless: the next start checks this one object again.
            tracing::warn!(%error, mark = %mark.display(), "the mark of a finished upload stays");
        }
    }
}

/// Reads a whole object; none if nothing is at `key`.
///
/// # Errors
/// When the store cannot be read, or the object is larger than `limit`.
pub fn read_all(blobs: &dyn BlobStore, key: &BlobKey, limit: u64) -> io::Result<Option<Vec<u8>>> {
    match blobs.size(key)? {
        Some(size) if size > limit => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{key} has {size} bytes; at most {limit} are read"),
        )),
        Some(size) => blobs.read(key, 0, size),
        None => Ok(None),
    }
}

/// Whether the disk itself cannot return what was written: the bytes are as good as gone, and good ones may
/// replace them.
pub fn is_bad_sector(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// The SHA-256 of what is at `key`, read piece by piece; none when nothing is.
///
/// # Errors
/// When the store cannot be read.
pub fn sha256_of(blobs: &dyn BlobStore, key: &BlobKey) -> io::Result<Option<[u8; 32]>> {
    const PIECE: u64 = 1 << 20;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut offset = 0;
    loop {
        let Some(piece) = blobs.read(key, offset, PIECE)? else { return Ok(None) };
        context.update(&piece);
        let len = piece.len() as u64;
        offset += len;
        if len < PIECE {
            let mut hash = [0; 32];
            hash.copy_from_slice(context.finish().as_ref());
            return Ok(Some(hash));
        }
    }
}
