//! Where the bytes of backups are kept.
//!
//! A [`BlobStore`] knows nothing about the ledger: an object counts as there once its row is in the database,
//! and only then is its upload acknowledged. What a crash leaves in between is found by
//! [`BlobStore::unsettled`].
pub mod bucket;
pub mod disk;
mod fault;
pub mod fs;
pub mod home;
pub mod late;
mod mark;
pub mod piece;
pub mod pulled;
pub mod seen;
pub mod system;
mod writes;

pub use fault::{ReadFault, StoreFault, WriteFault};

use aws_lc_rs::digest;
use domain::ground::StopCause;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use std::fmt;
use std::ops::ControlFlow;

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

/// How much of a large object is read at once.
const PIECE: u64 = 1 << 20;

/// Hands pieces to `take` until one is shorter than `len`, or it breaks off.
fn in_pieces(
    len: u64,
    take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    read: impl Fn(u64) -> Result<Vec<u8>, ReadFault>,
) -> Result<(), ReadFault> {
    let mut offset = 0;
    loop {
        let piece = read(offset)?;
        let found = piece.len() as u64;
        if found == 0 || take(&piece).is_break() || found < len {
            return Ok(());
        }
        offset += found;
    }
}

/// A place that stores bytes by key.
pub trait BlobStore: Send + Sync {
    /// Starts an upload; nothing is at `key` before [`Upload::commit`].
    ///
    /// # Errors
    /// When the store accepts no more writes, or is full.
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault>;

    /// [`BlobStore::begin`] for what the server writes so that room becomes free: it may take what is kept back for that.
    ///
    /// # Errors
    /// As [`BlobStore::begin`].
    fn begin_own(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.begin(key)
    }

    /// At most `len` bytes from `offset` on, fewer only at the end.
    ///
    /// # Errors
    /// `Lost` if nothing is at `key`; when it, or the store, cannot be read.
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault>;

    /// Hands all bytes at `key` to `take`, in order, as they lie in the store itself and not as something on the way
    /// remembers them; ends early if `take` breaks off.
    ///
    /// Where nothing remembers them, that is the same as [`BlobStore::read`].
    ///
    /// # Errors
    /// As [`BlobStore::read`].
    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        in_pieces(PIECE, take, |offset| self.read(key, offset, PIECE))
    }

    /// How many bytes are at `key`; none when nothing is.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault>;

    /// Removes what is at `key`; false if nothing was.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault>;

    /// Moves what is at `key` to the store's trash, from where only [`BlobStore::put_back`] and [`BlobStore::erase`]
    /// take it; durable. False if nothing is there or in the trash. Doing it twice does no harm.
    ///
    /// # Errors
    /// When the store cannot be written, or keeps everything.
    fn set_aside(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        Err(WriteFault::Failed(format!("this store has no trash for {key}")))
    }

    /// Moves what is in the trash back to `key`; durable. What is there already stays. False if nothing is at `key`
    /// afterwards.
    ///
    /// # Errors
    /// As [`BlobStore::set_aside`].
    fn put_back(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        Err(WriteFault::Failed(format!("this store has no trash for {key}")))
    }

    /// Erases what is in the trash for `key`, and nothing else; durable. False if nothing was.
    ///
    /// # Errors
    /// As [`BlobStore::set_aside`].
    fn erase(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        Err(WriteFault::Failed(format!("this store has no trash for {key}")))
    }

    /// Everything stored for `repository`, with sizes, in no particular order.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault>;

    /// The repositories that anything is stored for, in no particular order. Whoever can write to the store can make one.
    ///
    /// # Errors
    /// When the store cannot be read, or cannot say.
    fn repositories(&self) -> Result<Vec<RepositoryId>, ReadFault> {
        Err(ReadFault::Unreadable("this store does not list its repositories".to_owned()))
    }

    /// When the bytes at `key` came there, by the store's own clock and word; none if nothing is there, or nobody knows.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn stored_at(&self, key: &BlobKey) -> Result<Option<Time>, ReadFault> {
        self.size(key).map(|_| None)
    }

    /// Makes what was found at `key` survive a power cut.
    ///
    /// # Errors
    /// When the store cannot keep it.
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault>;

    /// Uploads that were begun but not settled before this store was opened.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault>;

    /// Checks whether this is still the store that was opened and whether it can be read. What one access could
    /// not read is tried again.
    ///
    /// # Errors
    /// What is wrong with the store as a whole.
    fn check(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    /// Why no writes are accepted; none while they are. If the last one failed, another is tried.
    fn check_writes(&self) -> Option<(StopCause, String)> {
        None
    }

    /// How many bytes are free on the store's disk, and how many there are; none if that is not known.
    fn space(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Bytes on their way; dropping it leaves nothing behind.
pub trait Upload: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault>;

    /// Makes the bytes durable and puts them at their key, which must be empty.
    ///
    /// # Errors
    /// `Taken` if something is there; when the store is full or cannot be written.
    fn commit(self: Box<Self>) -> Result<Stored, WriteFault>;

    /// Makes the bytes durable and puts them at their key in one step, replacing what is there: for bytes that
    /// match their name, over bytes that do not.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    fn replace(self: Box<Self>) -> Result<Stored, WriteFault>;
}

/// What a store keeps of an upload until its row is in the ledger, so that the next start looks at it.
pub trait Mark: fmt::Debug + Send {
    /// Removes it, or leaves it to the next start.
    fn remove(self: Box<Self>);
}

/// Durable bytes whose row may not be in the ledger yet.
#[derive(Debug, Default)]
#[must_use = "settle it once the ledger has the row"]
pub struct Stored(Option<Box<dyn Mark>>);

impl Stored {
    /// Bytes that leave a mark until [`Stored::settle`].
    pub fn marked(mark: impl Mark + 'static) -> Self {
        Self(Some(Box::new(mark)))
    }

    /// Removes the mark, after the row was committed or the bytes were removed.
    pub fn settle(self) {
        if let Some(mark) = self.0 {
            mark.remove();
        }
    }
}

/// Reads a whole object.
///
/// # Errors
/// When it is missing, cannot be read, or is larger than `limit`.
pub fn read_all(blobs: &dyn BlobStore, key: &BlobKey, limit: u64) -> Result<Vec<u8>, ReadFault> {
    match blobs.size(key)?.ok_or(ReadFault::Lost)? {
        size if size > limit => Err(ReadFault::Unreadable(format!("{key} has {size} bytes; at most {limit} are read"))),
        size => blobs.read(key, 0, size),
    }
}

/// The SHA-256 of what is at `key`, read piece by piece.
///
/// # Errors
/// When it is missing or cannot be read.
pub fn sha256_of(blobs: &dyn BlobStore, key: &BlobKey) -> Result<[u8; 32], ReadFault> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut offset = 0;
    loop {
        let piece = blobs.read(key, offset, PIECE)?;
        context.update(&piece);
        let len = piece.len() as u64;
        offset += len;
        if len < PIECE {
            let mut hash = [0; 32];
            hash.copy_from_slice(context.finish().as_ref());
            return Ok(hash);
        }
    }
}
