//! The manifest: what a device says its files were, before they were backed up.
//!
//! The agent hashes each file, uploads the manifest, and ties the backup to it
//! by the tag `holdfast-manifest:NAME` on the snapshot, where NAME is the
//! SHA-256 of the manifest's stored bytes. A restore test compares with it.
//!
//! The bytes are JSON lines: a [`Header`], then one [`ManifestFile`] per file,
//! sorted by path. They travel and are stored compressed with zstd.
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};

/// The prefix of the snapshot tag that names the manifest.
pub const TAG_PREFIX: &str = "holdfast-manifest:";

/// The largest manifest that is read, uncompressed: about two million files.
pub const MAX_BYTES: usize = 256 << 20;
/// The largest manifest as it is stored, compressed: ten million bytes are a million files.
pub const MAX_STORED_BYTES: usize = 48 << 20;

/// The longest line that is read: a path of 4096 bytes, each spelt `%XX`, and more.
const MAX_LINE: u64 = 128 << 10;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// 1.
    pub version: u32,
    /// The device's id.
    pub device_id: String,
    /// The protected roots that were walked.
    pub roots: Vec<String>,
    /// When the walk began, by the device's clock, UTC milliseconds.
    pub made_at: i64,
    /// How many file lines follow.
    pub file_count: u64,
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

/// A manifest, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub header: Header,
    pub files: Vec<ManifestFile>,
}

/// Why bytes are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the manifest is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the manifest cannot be decompressed")]
    NotZstd,
    #[error("line {0} of the manifest is not readable: {1}")]
    Line(u64, String),
    #[error("the manifest has version {0}; this server reads version 1")]
    Version(u32),
    #[error("the manifest says {said} files and has {had}")]
    Count { said: u64, had: u64 },
    #[error("line {0} of the manifest is not in order")]
    Order(u64),
}

impl Manifest {
    /// The bytes that are stored, and whose SHA-256 is the manifest's name.
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

    /// Reads stored bytes line by line, without keeping them: whether [`Manifest::decode`] would take them.
    pub fn check(stored: &[u8]) -> Result<Header, Fault> {
        each(stored, drop)
    }

    /// Reads stored bytes; they come from a device and may be anything.
    pub fn decode(stored: &[u8]) -> Result<Self, Fault> {
        let mut files = Vec::new();
        let header = each(stored, |file| files.push(file))?;
        Ok(Self { header, files })
    }
}

/// Reads stored bytes file by file, in little memory; a fault may come after some files.
pub fn each(stored: &[u8], mut take: impl FnMut(ManifestFile)) -> Result<Header, Fault> {
    let decoder = zstd::Decoder::with_buffer(stored).map_err(|_why| Fault::NotZstd)?;
    let mut lines =
        Lines { text: BufReader::new(decoder.take(MAX_BYTES as u64 + 1)), number: 0, length: 0, line: vec![] };
    let header: Header = lines.next()?.ok_or_else(|| Fault::Line(1, "it is empty".to_owned()))?;
    if header.version != 1 {
        return Err(Fault::Version(header.version));
    }
    let mut had = 0;
    let mut last = String::new();
    while let Some(file) = lines.next::<ManifestFile>()? {
        if had > 0 && last >= file.path {
            return Err(Fault::Order(lines.number));
        }
        had += 1;
        last.clone_from(&file.path);
        take(file);
    }
    if had == header.file_count { Ok(header) } else { Err(Fault::Count { said: header.file_count, had }) }
}

struct Lines<R> {
    text: R,
    number: u64,
    length: usize,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        loop {
            self.line.clear();
            let had =
                (&mut self.text).take(MAX_LINE + 1).read_until(b'\n', &mut self.line).map_err(|_why| Fault::NotZstd)?;
            self.length += had;
            if self.length > MAX_BYTES {
                return Err(Fault::TooLarge);
            }
            if had == 0 {
                return Ok(None);
            }
            self.number += 1;
            if had as u64 > MAX_LINE {
                return Err(Fault::Line(self.number, "it is too long".to_owned()));
            }
            let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
            if !line.is_empty() {
                return read(line, self.number).map(Some);
            }
        }
    }
}

fn read<'a, T: Deserialize<'a>>(line: &'a [u8], number: u64) -> Result<T, Fault> {
    serde_json::from_slice(line).map_err(|error| Fault::Line(number, error.to_string()))
}

/// Writes a path's bytes as text: UTF-8 stays, all else and `%` become `%XX`.
pub fn encode_path(path: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || c.is_control() {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "%{byte:02X}");
                }
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes of a path written by [`encode_path`]; none where a `%` is not followed by two hex digits.
pub fn decode_path(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut path = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).ok()?;
            path.extend(decoded);
        } else {
            path.push(byte);
        }
    }
    Some(path)
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
        let bomb = zstd::encode_all(std::io::repeat(b'x').take((MAX_BYTES + 2) as u64), 1).unwrap();
        assert_eq!(Manifest::decode(&bomb), Err(Fault::Line(1, "it is too long".to_owned())));
        let bomb = zstd::encode_all(std::io::repeat(b'\n').take((MAX_BYTES + 2) as u64), 1).unwrap();
        assert_eq!(Manifest::decode(&bomb), Err(Fault::TooLarge));
        assert!(Manifest::check(&bomb).is_err());
    }

    #[test]
    fn any_path_survives_as_text() {
        for path in [&b"/plain"[..], "/umläut/%41".as_bytes(), b"/bad\xff\xfebytes", b"/new\nline"] {
            let text = encode_path(path);
            assert!(!text.contains('\n'));
            assert_eq!(decode_path(&text).unwrap(), path);
        }
    }
}
