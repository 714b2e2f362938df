//! Our own bounded reader of the restic repository format (versions 1 and 2).
//!
//! A device writes its repository itself, so all of it is hostile input: every
//! size is checked before it is believed, no name is used as a path before it is checked, nothing panics, and
//! every fault names the object. It only reads, and only through [`Objects`], so that the same reader serves
//! both the restore-test process, which has neither network nor files, and a restore.
//!
//! Terms: a *pack* is a file of many encrypted *blobs*; a blob is a chunk of a
//! file's data or one *tree*, the JSON of a folder; the *index* says which pack
//! has a blob. Every name is the SHA-256 of the bytes it names.
mod crypto;
mod fault;
mod id;
mod index;
#[cfg(feature = "make")]
mod make;
mod name;
mod pack;
mod reader;
mod rewrite;
mod snapshot;
mod stream;
mod tree;
mod walk;

pub use crypto::MasterKey;
pub use fault::{Fault, Problem, Result};
pub use id::Id;
pub use index::{BlobKind, Copies, Index};
#[cfg(feature = "make")]
pub use make::{Made, NotMade, make};
pub use name::{encode as encode_name, is_safe, unescape};
pub use pack::{HeaderEntry, parse_header};
pub use reader::{Access, Repository, Seen};
pub use rewrite::{Rewritten, without_packs};
pub use snapshot::Snapshot;
pub use stream::TreeReader;
pub use tree::{Node, NodeKind, Tree};
pub use walk::{Entry, Walk, WalkFault};

use domain::object::{ObjectKind, ObjectName};

/// The moments at which a repository is looked at, numbered from the earliest, 0: each has all that an earlier one has.
pub type View = u16;

/// Where a repository's objects come from.
pub trait Objects {
    /// The bytes of an object from `offset`: `len` of them, or fewer where the object ends.
    ///
    /// # Errors
    /// [`Fault::Missing`] when there is no such object, [`Fault::Unavailable`] when nobody can say.
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>>;

    /// [`Objects::read`], reusing the given memory if it can; its content is dropped.
    ///
    /// # Errors
    /// As [`Objects::read`].
    fn read_into(
        &mut self,
        _memory: Vec<u8>,
        kind: ObjectKind,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>> {
        self.read(kind, name, offset, len)
    }

    /// The names and sizes of all objects of a kind.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when nobody can say.
    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>>;

    /// [`Objects::list`], with the first view that has each; without several views, that is the only one.
    ///
    /// # Errors
    /// As [`Objects::list`].
    fn list_views(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64, View)>> {
        Ok(self.list(kind)?.into_iter().map(|(name, size)| (name, size, 0)).collect())
    }
}

impl<T: Objects + ?Sized> Objects for &mut T {
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>> {
        (**self).read(kind, name, offset, len)
    }
    fn read_into(
        &mut self,
        memory: Vec<u8>,
        kind: ObjectKind,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>> {
        (**self).read_into(memory, kind, name, offset, len)
    }
    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>> {
        (**self).list(kind)
    }
    fn list_views(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64, View)>> {
        (**self).list_views(kind)
    }
}

/// The limits for reading. A repository beyond them ends in [`Fault::Limit`].
pub mod limit {
    /// A pack as stored; the backup door accepts no larger one.
    pub const PACK: u64 = 160 << 20;
    /// A chunk of a file, decompressed.
    pub const DATA_BLOB: usize = 32 << 20;
    /// A folder's JSON, decompressed: it is read node by node, never as a whole.
    pub const TREE_BLOB: usize = 1 << 30;
    /// A folder's JSON up to which it is decompressed at once.
    pub const WHOLE_TREE: u32 = 4 << 20;
    /// One node of a folder's JSON: a file of more than a tebibyte.
    pub const NODE: usize = 128 << 20;
    /// A config, snapshot or key file as stored, and decompressed.
    pub const SMALL: usize = 8 << 20;
    /// An index as stored, and decompressed.
    pub const INDEX: usize = 96 << 20;
    /// Blobs of all indexes together.
    pub const INDEXED_BLOBS: usize = 4_000_000;
    /// Nodes of one walk.
    pub const NODES: u64 = 5_000_000;
    /// Folders within folders.
    pub const DEPTH: usize = 4096;
    /// Folders' JSON, as it is kept while its subfolders are walked.
    pub const OPEN_TREES: usize = 256 << 20;
    /// A whole path.
    pub const PATH: usize = domain::manifest::MAX_PATH;
    /// One name of a path.
    pub const NAME: usize = 4096;
}
