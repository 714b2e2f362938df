//! What one entry of a manifest says.
use super::ManifestFile;
use serde::{Deserialize, Serialize};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Folder,
    Symlink,
    Pipe,
    Socket,
    CharDevice,
    BlockDevice,
    /// Something this agent does not know.
    Unknown,
}

impl EntryKind {
    /// The kind in a sentence, with its article.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Folder => "a folder",
            Self::Symlink => "a symbolic link",
            Self::Pipe => "a pipe",
            Self::Socket => "a socket",
            Self::CharDevice => "a character device",
            Self::BlockDevice => "a block device",
            Self::Unknown => "something unknown",
        }
    }
}

/// One entry below a protected root, or the root itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The absolute path, as [`super::encode_path`] spells it.
    pub path: String,
    #[serde(rename = "type")]
    pub kind: EntryKind,
    /// Bytes of a file; 0 for everything else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// 64 lower-case hex digits; only files have it, and not those that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where a symbolic link points, spelt like a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Entries with the same number are one file under several names (hard links). A number used only once
    /// means that the other names are outside the protected roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_group: Option<u64>,
    /// None in a manifest of version 1, and if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
    /// Why this entry, or what is in it, is not in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// What a file system keeps about an entry besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Permission bits with set-uid, set-gid and sticky: at most `0o7777`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// When it was last modified: seconds since 1970, which may be negative, and the nanoseconds after them.
    pub mtime: (i64, u32),
    /// The SHA-256 in hex of [`attribute_bytes`]: its extended attributes, including access lists; none if it
    /// has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// Whether a file takes less room on the disk than its size. A backup does not keep this; a restore makes
    /// holes where a file has long runs of zeros.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Entry {
    /// An entry about which only its path is known.
    pub const fn bare(path: String, kind: EntryKind) -> Self {
        Self { path, kind, size: 0, sha256: None, target: None, link_group: None, meta: None, left_out: None }
    }

    /// The entry as version 1 lists it; none if that version does not.
    pub fn into_file(self) -> Option<ManifestFile> {
        match (self.kind, self.sha256) {
            (EntryKind::File, Some(sha256)) => Some(ManifestFile { path: self.path, size: self.size, sha256 }),
            _ => None,
        }
    }
}

impl From<ManifestFile> for Entry {
    fn from(file: ManifestFile) -> Self {
        Self { size: file.size, sha256: Some(file.sha256), ..Self::bare(file.path, EntryKind::File) }
    }
}

/// The bytes whose SHA-256 is the digest of extended attributes; none if there are no attributes.
///
/// For each attribute, in the order of their names as bytes: the name's length, the name, the value's length, the
/// value. Lengths are 32 bits, little-endian.
pub fn attribute_bytes<'a>(attributes: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Vec<u8>> {
    let mut attributes: Vec<_> = attributes.collect();
    if attributes.is_empty() {
        return None;
    }
    attributes.sort_unstable();
    let mut bytes = Vec::new();
    for part in attributes.into_iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(part);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_attributes_does_not_depend_on_their_order() {
        let (a, b) = ((&b"user.a"[..], &b"1"[..]), (&b"user.b"[..], &b""[..]));
        assert_eq!(attribute_bytes([a, b].into_iter()), attribute_bytes([b, a].into_iter()));
        assert_ne!(attribute_bytes([a, b].into_iter()), attribute_bytes([a].into_iter()));
        assert_ne!(
            attribute_bytes([(&b"user.a"[..], &b"b"[..])].into_iter()),
            attribute_bytes([(&b"user.ab"[..], &b""[..])].into_iter())
        );
        assert_eq!(attribute_bytes(std::iter::empty()), None);
    }
}
