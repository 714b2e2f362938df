//! Makes a new, empty repository in memory, with `rustic_core`: whoever reads only does without it.
use crate::MasterKey;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use rustic_core::repofile::MasterKey as TheirKey;
use rustic_core::{
    BytesList, ConfigOptions, Credentials, ErrorKind, FileType, Id, KeyOptions, ReadBackend, Repository,
    RepositoryBackends, RepositoryOptions, RusticError, RusticResult, WriteBackend,
};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The first objects of a repository, and what opens everything that comes into it.
#[derive(Debug)]
pub struct Made {
    /// The stored bytes of `config`.
    pub config: Vec<u8>,
    /// The stored bytes of the key object: the master key under the password.
    pub key: Vec<u8>,
    pub master_key: MasterKey,
}

/// Why none was made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotMade(String);

/// Deriving a key from a password takes 128 MiB: one at a time.
static DERIVING: Mutex<()> = Mutex::new(());

/// Makes a repository that opens with `password`: with a new master key, or with the one that is given. Slow (about half
/// a second).
///
/// # Errors
/// When the operating system gives no randomness.
pub fn make(password: &str, master_key: Option<&MasterKey>) -> Result<Made, NotMade> {
    let memory = Arc::new(Memory::default());
    let master_key = initialise(&memory, password, master_key)?;
    let only = |kind| memory.only(kind).map(Vec::from);
    let missing = || NotMade("the new repository has no config or no key".to_owned());
    let (config, key) = only(FileType::Config).zip(only(FileType::Key)).ok_or_else(missing)?;
    Ok(Made { config, key, master_key })
}

fn initialise(memory: &Arc<Memory>, password: &str, given: Option<&MasterKey>) -> Result<MasterKey, NotMade> {
    let _one = DERIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let backend: Arc<dyn WriteBackend> = Arc::<Memory>::clone(memory);
    let mut options = RepositoryOptions::default();
    // The library would otherwise keep a cache on disk.
    options.no_cache = true;
    let repository = Repository::new(&options, &RepositoryBackends::new(backend, None)).map_err(readable)?;
    let key_options = KeyOptions::default().hostname("holdfast".to_owned()).username("agent".to_owned());
    let credentials = match given {
        Some(key) => Credentials::Masterkey(theirs(key)?),
        None => Credentials::password(password),
    };
    let opened = repository.init(&credentials, &key_options, &ConfigOptions::default()).map_err(readable)?;
    if given.is_some() {
        opened.add_key(password, &key_options).map_err(readable)?;
    }
    ours(&opened.key())
}

/// The library has no other way in.
fn theirs(key: &MasterKey) -> Result<TheirKey, NotMade> {
    let (encrypt, mac) = key.expose().split_at(32);
    let (k, r) = mac.split_at(16);
    let [encrypt, k, r] = [encrypt, k, r].map(|it| Zeroizing::new(BASE64_STANDARD.encode(it)));
    let text = json!({ "mac": { "k": *k, "r": *r }, "encrypt": *encrypt });
    serde_json::from_value(text).map_err(|error| NotMade(error.to_string()))
}

fn ours(key: &TheirKey) -> Result<MasterKey, NotMade> {
    let bytes = Zeroizing::new([key.encrypt.as_slice(), key.mac.k.as_slice(), key.mac.r.as_slice()].concat());
    MasterKey::from_bytes(&bytes).ok_or_else(|| NotMade(format!("a master key has 64 bytes, this has {}", bytes.len())))
}

fn readable(error: Box<RusticError>) -> NotMade {
    NotMade(error.to_string())
}

/// A repository in memory, just large enough to be created in.
#[derive(Debug, Default)]
struct Memory(Mutex<Vec<(FileType, Id, Bytes)>>);

impl Memory {
    fn only(&self, wanted: FileType) -> Option<Bytes> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = files.iter().filter(|(kind, ..)| *kind == wanted).map(|(.., bytes)| bytes.clone());
        found.next().filter(|_| found.next().is_none())
    }
}

fn missing() -> Box<RusticError> {
    RusticError::new(ErrorKind::Backend, "there is no such file")
}

impl ReadBackend for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn list_with_size(&self, wanted: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Ok(files.iter().filter(|(kind, ..)| *kind == wanted).map(|(_, id, bytes)| (*id, size(bytes))).collect())
    }

    fn read_full(&self, wanted: FileType, id: &Id) -> RusticResult<Bytes> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            files.iter().find(|(kind, named, _)| *kind == wanted && (wanted == FileType::Config || named == id));
        found.map(|(.., bytes)| bytes.clone()).ok_or_else(missing)
    }

    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        let bytes = self.read_full(kind, id)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(bytes.slice(from..to))
    }

    fn warmup_path(&self, _: FileType, id: &Id) -> String {
        id.to_hex().as_str().to_owned()
    }
}

impl WriteBackend for Memory {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        let bytes = Bytes::from(content.slice().concat());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((kind, *id, bytes));
        Ok(())
    }

    fn remove(&self, wanted: FileType, id: &Id, _: bool) -> RusticResult<()> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(kind, named, _)| !(*kind == wanted && named == id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_made_with_a_given_key_opens_with_that_key_and_with_its_password() {
        let first = make("one", None).unwrap();
        let second = make("two", Some(&first.master_key)).unwrap();

        assert_eq!(first.master_key.expose(), second.master_key.expose());
        assert_ne!(first.config, second.config, "each is its own repository");
        for (made, password) in [(&first, "one"), (&second, "two")] {
            first.master_key.open_file(&made.config, 1 << 12).unwrap();
            let file: rustic_core::repofile::KeyFile = serde_json::from_slice(&made.key).unwrap();
            assert!(file.key_from_password(&password).is_ok());
            assert!(file.key_from_password(&"three").is_err());
        }
        let other = make("one", None).unwrap();
        assert!(other.master_key.open_file(&first.config, 1 << 12).is_err());
    }
}
