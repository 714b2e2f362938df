//! The device's manifest in little memory: a million files in 60 MB.
use domain::manifest::{self, Fault};
use domain::restore_test::Beyond;
use secret::sha256;

/// One file of the manifest; its path is kept as the start of its SHA-256.
#[derive(Debug, Clone)]
pub struct Expected {
    key: [u8; 16],
    pub size: u64,
    pub sha256: [u8; 32],
    pub seen: bool,
    /// Whether it came back as in the manifest.
    pub is_equal: bool,
}

/// All files of a manifest, found by their path's key.
#[derive(Debug)]
pub struct Content(Vec<Expected>);

/// What a path is found by: nobody can make two paths with the same 128 bits.
pub fn key_of(path: &str) -> [u8; 16] {
    start_of(&sha256(path.as_bytes()))
}

/// Reads a key that was written in hex.
pub fn key_from(text: &str) -> Option<[u8; 16]> {
    let mut key = [0; 16];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(key)
}

fn start_of(hash: &[u8; 32]) -> [u8; 16] {
    let mut start = [0; 16];
    for (to, from) in start.iter_mut().zip(hash) {
        *to = *from;
    }
    start
}

impl Expected {
    /// Reads a manifest's stored bytes; returns the files and the device it names.
    pub fn read(stored: &[u8]) -> Result<(Content, String), Fault> {
        let mut files = Vec::new();
        let mut bad = None;
        let header = manifest::each(stored, |file| {
            let mut hash = [0; 32];
            if hex::decode_to_slice(&file.sha256, &mut hash).is_err() {
                bad.get_or_insert(file.path);
                return;
            }
            files.push(Self { key: key_of(&file.path), size: file.size, sha256: hash, seen: false, is_equal: false });
        })?;
        if bad.is_some() {
            return Err(Fault::Line(0, "a file has no SHA-256".to_owned()));
        }
        files.sort_unstable_by_key(|it| it.key);
        Ok((Content(files), header.device_id))
    }
}

impl Content {
    /// The file of a key.
    pub fn find(&mut self, key: &[u8; 16]) -> Option<&mut Expected> {
        let at = self.0.binary_search_by_key(key, |it| it.key).ok()?;
        self.0.get_mut(at)
    }

    pub fn is_seen(&self, key: &[u8; 16]) -> bool {
        let at = self.0.binary_search_by_key(key, |it| it.key).ok();
        at.and_then(|at| self.0.get(at)).is_some_and(|it| it.seen)
    }

    pub fn is_equal(&self, key: &[u8; 16]) -> bool {
        let at = self.0.binary_search_by_key(key, |it| it.key).ok();
        at.and_then(|at| self.0.get(at)).is_some_and(|it| it.is_equal)
    }

    pub fn all_seen(&self) -> bool {
        self.0.iter().all(|it| it.seen)
    }
}

/// Files in one manifest that another does not have, or not with the same content; none if one cannot be read.
///
/// `is_counted` says which of them count: what is not compared is counted elsewhere.
pub fn beyond(newer: &[u8], base: &[u8], is_counted: impl Fn(&[u8; 16]) -> bool) -> Option<Beyond> {
    let mut have = Vec::new();
    manifest::each(base, |file| have.push(same_of(&file))).ok()?;
    have.sort_unstable();
    let mut beyond = Beyond::default();
    manifest::each(newer, |file| {
        if is_counted(&key_of(&file.path)) && have.binary_search(&same_of(&file)).is_err() {
            beyond.files += 1;
            beyond.bytes = beyond.bytes.saturating_add(file.size);
        }
    })
    .ok()?;
    Some(beyond)
}

fn same_of(file: &manifest::ManifestFile) -> [u8; 16] {
    key_of(&format!("{}\0{}", file.path, file.sha256))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::manifest::{Header, Manifest, ManifestFile};

    fn manifest(files: &[(&str, u8)]) -> Vec<u8> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, n)| ManifestFile {
                path: (*path).to_owned(),
                size: u64::from(*n),
                sha256: hex::encode([*n; 32]),
            })
            .collect();
        let header = Header {
            version: 1,
            device_id: "d".to_owned(),
            roots: vec![],
            away: vec![],
            made_at: 0,
            file_count: files.len() as u64,
        };
        Manifest { header, files }.encode().unwrap()
    }

    #[test]
    fn new_and_changed_files_are_beyond() {
        let base = manifest(&[("/a", 1), ("/b", 2), ("/gone", 3)]);
        let newer = manifest(&[("/a", 1), ("/b", 20), ("/c", 30)]);
        assert_eq!(beyond(&newer, &base, |_| true), Some(Beyond { files: 2, bytes: 50 }));
        let but_c = |key: &[u8; 16]| *key != key_of("/c");
        assert_eq!(beyond(&newer, &base, but_c), Some(Beyond { files: 1, bytes: 20 }));
        assert_eq!(beyond(&newer, b"?", |_| true), None);
    }

    #[test]
    fn files_are_found_by_path() {
        let (mut content, device) = Expected::read(&manifest(&[("/a", 1), ("/b", 2)])).unwrap();
        assert_eq!(device, "d");
        content.find(&key_of("/b")).unwrap().seen = true;
        assert!(content.find(&key_of("/c")).is_none());
        assert!(content.is_seen(&key_of("/b")) && !content.is_seen(&key_of("/a")) && !content.all_seen());
    }
}
