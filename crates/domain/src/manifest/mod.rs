//! The manifest: what a device says it holds, as it was before the backup.
//!
//! The agent reads everything below its protected roots, uploads the manifest,
//! and ties the backup to it by the tag `holdfast-manifest:NAME` on the
//! snapshot, where NAME is the SHA-256 of the manifest's stored bytes. A
//! restore test compares with it.
//!
//! The bytes are lines of JSON, compressed with zstd. Version 2 has a
//! [`Header`], one [`Entry`] per line in the [`order`] of their paths, and
//! a last line that begins with `{"end":`, which distinguishes a truncated list from a complete one. Version 1,
//! which older agents write and which is still read, has only files, as [`ManifestFile`], sorted by their text.
mod entry;
mod path;
mod read;
mod write;

pub use entry::{Entry, EntryKind, Meta, attribute_bytes};
pub use path::{decode_path, encode_path, is_plain, order};
pub use read::{each, entries};
pub use write::Writer;

use serde::{Deserialize, Serialize};

/// The version that agents write.
pub const VERSION: u32 = 2;

/// The prefix of the snapshot tag that names the manifest.
pub const TAG_PREFIX: &str = "holdfast-manifest:";

/// The largest manifest that is read, uncompressed: more than three million entries.
pub const MAX_BYTES: usize = 1 << 30;
/// The most uncompressed bytes for each stored byte, beyond [`ROOM`]. Measured: 200,000 names in a folder whose
/// own path has 4,000 bytes, the longest that one system call takes, come to 1,103; below a path of 200 bytes
/// to 212.
const MAX_EXPANSION: usize = 4000;
/// How many bytes a manifest may have however small it is stored.
const ROOM: usize = 32 << 20;
/// The largest manifest as stored, compressed: a million files take some 50 MB, mostly for their hashes.
pub const MAX_STORED_BYTES: usize = 160 << 20;
/// The longest path of an entry, in bytes: sixteen times what one system call takes.
pub const MAX_PATH: usize = 64 << 10;

/// The longest line that is read: a path, each byte of it spelt `%XX`, a link's target, and more.
const MAX_LINE: u64 = 256 << 10;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 1 or 2.
    pub version: u32,
    /// The device's id.
    pub device_id: String,
    /// The protected roots that were walked.
    pub roots: Vec<String>,
    /// Protected roots that were not walked, for example because their disk is not mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<String>,
    /// When the walk began, by the device's clock, UTC milliseconds.
    pub made_at: i64,
    /// How many files follow. Version 2 says this in its last line, and here only after that was read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub file_count: u64,
}

/// The last line of version 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All entries.
    pub entries: u64,
    /// Files that were read.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
}

/// How the last line of version 2 begins; no entry does.
const END: &[u8] = b"{\"end\":";

#[derive(Serialize, Deserialize)]
struct End {
    end: Totals,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One regular file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The absolute path; bytes that are not UTF-8, control characters and `%`
    /// are written as `%XX` (see [`encode_path`]).
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hex digits.
    pub sha256: String,
}

/// The files of a whole manifest, in the form of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub header: Header,
    pub files: Vec<ManifestFile>,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the manifest is larger than {MAX_BYTES} bytes, or than {MAX_EXPANSION} bytes for each stored byte")]
    TooLarge,
    #[error("the manifest cannot be decompressed")]
    NotZstd,
    #[error("line {0} of the manifest is not readable: {1}")]
    Line(u64, String),
    #[error("the manifest has version {0}; this server reads versions 1 and 2")]
    Version(u32),
    #[error("the manifest announces {said} entries but has {had}")]
    Count { said: u64, had: u64 },
    #[error("line {0} of the manifest is not in order")]
    Order(u64),
    #[error("the manifest was cut off: its last line is missing")]
    CutOff,
}

impl Manifest {
    /// The bytes of version 1.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        use std::io::Write;
        let mut out = zstd::Encoder::new(Vec::new(), 3)?;
        serde_json::to_writer(&mut out, &self.header)?;
        out.write_all(b"\n")?;
        for file in &self.files {
            serde_json::to_writer(&mut out, file)?;
            out.write_all(b"\n")?;
        }
        out.finish()
    }

    /// Reads stored bytes line by line, without keeping them, to check whether [`Manifest::decode`] would
    /// accept them.
    pub fn check(stored: &[u8]) -> Result<Header, Fault> {
        entries(stored, drop)
    }

    /// Reads the files of a manifest of either version; the bytes come from a device and may be anything.
    pub fn decode(stored: &[u8]) -> Result<Self, Fault> {
        let mut files = Vec::new();
        let header = each(stored, |file| files.push(file))?;
        Ok(Self { header, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(paths: &[&str]) -> Manifest {
        let files: Vec<_> = paths
            .iter()
            .map(|path| ManifestFile { path: (*path).to_owned(), size: 1, sha256: "0".repeat(64) })
            .collect();
        let header = Header {
            version: 1,
            device_id: "d".to_owned(),
            roots: vec!["/a".to_owned()],
            away: vec![],
            made_at: 1,
            file_count: files.len() as u64,
        };
        Manifest { header, files }
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let made = manifest(&["/a/b", "/a/c"]);
        let stored = made.encode().unwrap();
        assert_eq!(Manifest::check(&stored).unwrap(), made.header);
        assert_eq!(Manifest::decode(&stored).unwrap(), made);
    }

    #[test]
    fn hostile_bytes_are_refused_with_the_reason() {
        assert_eq!(Manifest::decode(b"not zstd"), Err(Fault::NotZstd));
        assert_eq!(Manifest::check(b"not zstd"), Err(Fault::NotZstd));
        assert_eq!(Manifest::check(&manifest(&["/b", "/a"]).encode().unwrap()), Err(Fault::Order(3)));
        assert_eq!(Manifest::decode(&manifest(&["/b", "/a"]).encode().unwrap()), Err(Fault::Order(3)));
        let mut short = manifest(&["/a"]);
        short.header.file_count = 2;
        assert_eq!(Manifest::decode(&short.encode().unwrap()), Err(Fault::Count { said: 2, had: 1 }));
        assert_eq!(Manifest::check(&short.encode().unwrap()), Err(Fault::Count { said: 2, had: 1 }));
    }

    #[test]
    fn a_number_of_files_that_is_not_there_is_left_out_and_one_that_is_there_stands() {
        let line = |file_count| serde_json::to_string(&Header { file_count, ..manifest(&[]).header }).unwrap();
        assert!(!line(0).contains("file_count"), "{}", line(0));
        assert!(line(3).contains(r#""file_count":3"#), "{}", line(3));
        let file = |size| Entry { size, ..Entry::bare("/a".to_owned(), EntryKind::File) };
        assert!(!serde_json::to_string(&file(0)).unwrap().contains("size"));
        assert!(serde_json::to_string(&file(7)).unwrap().contains(r#""size":7"#));
    }

    #[test]
    fn what_just_fits_is_read() {
        let meta = |mode, nanos| Meta { mode, uid: 0, gid: 0, mtime: (0, nanos), attributes: None, sparse: false };
        let read = |path: String, meta: Meta| {
            let header = Header { version: 2, ..manifest(&[]).header };
            let mut writer = Writer::new(Vec::new(), &header).unwrap();
            writer.entry(&Entry { meta: Some(meta), ..Entry::bare(path, EntryKind::Folder) }).unwrap();
            Manifest::check(&writer.finish().unwrap().0)
        };
        let long = |length: usize| format!("/{}", "x".repeat(length - 1));
        assert!(read(long(MAX_PATH), meta(0o7777, 999_999_999)).is_ok());
        assert!(read(long(MAX_PATH + 1), meta(0, 0)).is_err());
        assert!(read(long(9), meta(0o10_000, 0)).is_err() && read(long(9), meta(0, 1_000_000_000)).is_err());
    }
}
