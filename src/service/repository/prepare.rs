//! Makes a new, empty repository in memory: keys, config, password and token.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::service::backup;
use crate::store::escrow::escrow_context;
use crate::store::repository::master_key_context;
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use domain::id::{RecoveryKeyId, RepositoryId, TeamKeyId};
use domain::object::ObjectKind;
use rustic_core::repofile::MasterKey;
use rustic_core::{
    BytesList, ConfigOptions, Credentials, ErrorKind, FileType, Id, KeyOptions, ReadBackend, Repository,
    RepositoryBackends, RepositoryOptions, RusticError, RusticResult, WriteBackend,
};
use secret::seal;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// What a new master key is sealed to before it is forgotten.
#[derive(Debug, Clone)]
pub struct Recipients {
    /// Of the proof side.
    pub proof: seal::PublicKey,
    /// Of the device's team, instead of the proof side's.
    pub team: Option<(TeamKeyId, seal::PublicKey)>,
    /// The recovery keys that stand.
    pub recovery: Vec<(RecoveryKeyId, seal::PublicKey)>,
}

impl Recipients {
    /// Only the proof side.
    pub fn only(proof: seal::PublicKey) -> Self {
        Self { proof, team: None, recovery: Vec::new() }
    }
}

/// A repository that is ready to be stored, with the secrets that only the device may learn.
pub struct Prepared {
    pub id: RepositoryId,
    /// The password for the backup door.
    pub token: String,
    /// The password of the repository's key.
    pub password: String,
    pub(super) sealed_master_key: String,
    /// The team key that opens it; none for the proof key.
    pub(super) team_key: Option<TeamKeyId>,
    /// The proof side's key at the time.
    pub proof_key: seal::PublicKey,
    /// The same, sealed to each recovery key.
    pub(super) escrows: Vec<(RecoveryKeyId, String)>,
    config: Bytes,
    key: Bytes,
}

/// Deriving a key from a password takes 128 MiB: one at a time.
static DERIVING: Mutex<()> = Mutex::new(());

impl Prepared {
    /// Makes a repository. Slow (about half a second), and without the database.
    ///
    /// The master key leaves this function only sealed to the recipients, and in
    /// the key object under the password.
    ///
    /// # Errors
    /// When the operating system gives no randomness, or a recipient's key is not valid.
    pub fn make(to: &Recipients, id: RepositoryId) -> Result<Self> {
        let token = secret::generate(super::TOKEN_PREFIX)?;
        let password = secret::generate("")?;
        let memory = Arc::new(Memory::default());
        let master_key = initialise(&memory, &password).context("making a repository")?;
        let plain = master_key_text(&master_key)?;
        let (team_key, key) = to.team.as_ref().map_or((None, &to.proof), |(id, key)| (Some(*id), key));
        let sealed_master_key = seal::seal(key, &master_key_context(id), plain.as_bytes())?;
        let sealed = |key| seal::seal(key, &escrow_context(id), plain.as_bytes());
        let escrows = to.recovery.iter().map(|(of, key)| Ok((*of, sealed(key)?))).collect::<Result<_>>()?;
        let config = memory.only(FileType::Config).ok_or_else(|| anyhow!("the new repository has no config"))?;
        let key_file = memory.only(FileType::Key).ok_or_else(|| anyhow!("the new repository has no key"))?;
        Ok(Self {
            id,
            token,
            password,
            sealed_master_key,
            team_key,
            proof_key: to.proof.clone(),
            escrows,
            config,
            key: key_file,
        })
    }

    /// Writes config and key; calling it twice does no harm.
    ///
    /// # Errors
    /// When the store is full or cannot be written.
    pub fn store(&self, blobs: &dyn BlobStore) -> Result<()> {
        // Without a row nothing finds them, so a start has nothing to look at.
        backup::keep(blobs, self.id, ObjectKind::Config, &self.config)?.settle();
        backup::keep(blobs, self.id, ObjectKind::Keys, &self.key)?.settle();
        Ok(())
    }

    /// What the database keeps a copy of.
    pub(super) fn copies(&self) -> [(crate::blob::BlobKey, &[u8]); 2] {
        [(ObjectKind::Config, &self.config), (ObjectKind::Keys, &self.key)]
            .map(|(kind, bytes)| (backup::key_of(self.id, kind, bytes), bytes.as_ref()))
    }

    /// What belongs in the ledger.
    pub(super) fn objects(&self) -> [(crate::blob::BlobKey, i64); 2] {
        [(ObjectKind::Config, &self.config), (ObjectKind::Keys, &self.key)]
            .map(|(kind, bytes)| (backup::key_of(self.id, kind, bytes), backup::size_of(bytes.len())))
    }
}

fn initialise(memory: &Arc<Memory>, password: &str) -> anyhow::Result<MasterKey> {
    let _one = DERIVING.lock().unwrap_or_else(PoisonError::into_inner);
    let backend: Arc<dyn WriteBackend> = Arc::<Memory>::clone(memory);
    let mut options = RepositoryOptions::default();
    // The library would otherwise keep a cache on disk.
    options.no_cache = true;
    let repository = Repository::new(&options, &RepositoryBackends::new(backend, None)).map_err(readable)?;
    let key_options = KeyOptions::default().hostname("holdfast".to_owned()).username("agent".to_owned());
    let opened =
        repository.init(&Credentials::password(password), &key_options, &ConfigOptions::default()).map_err(readable)?;
    Ok(opened.key())
}

fn readable(error: Box<RusticError>) -> anyhow::Error {
    anyhow!("{error}")
}

/// The 64 bytes in base64: AES key, then the two halves of the MAC's key.
fn master_key_text(key: &MasterKey) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new([key.encrypt.as_slice(), key.mac.k.as_slice(), key.mac.r.as_slice()].concat());
    if bytes.len() != 64 {
        return Err(anyhow!("a master key has 64 bytes, this has {}", bytes.len()).into());
    }
    Ok(Zeroizing::new(BASE64_STANDARD.encode(&*bytes)))
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
    use domain::object::ObjectName;
    use domain::time::Time;

    #[test]
    fn the_proof_key_and_each_recovery_key_open_the_master_key() {
        let (public, private) = seal::generate().unwrap();
        let id = RepositoryId::generate(Time::from_millis(1));

        let (recovery, recovers) = seal::generate().unwrap();
        let of = RecoveryKeyId::generate(Time::from_millis(1));

        let prepared =
            Prepared::make(&Recipients { recovery: vec![(of, recovery)], ..Recipients::only(public) }, id).unwrap();

        let text = seal::open(&private, &master_key_context(id), &prepared.sealed_master_key).unwrap();
        let [(found, escrow)] = prepared.escrows.as_slice() else { unreachable!("{:?}", prepared.escrows) };
        assert_eq!(*found, of);
        assert_eq!(seal::open(&recovers, &escrow_context(id), escrow).unwrap(), text);
        assert!(seal::open(&recovers, &master_key_context(id), escrow).is_err(), "neither passes for the other");
        assert_eq!(BASE64_STANDARD.decode(&*text).unwrap().len(), 64);
        assert!(prepared.token.starts_with("hf_repo_"));
        let [(config, _), (key, _)] = prepared.objects();
        assert_eq!(config.name, ObjectName::config());
        assert_eq!(key.name, ObjectName::from_hash(&secret::sha256(&prepared.key)));
    }
}
