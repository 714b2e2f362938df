//! The key that opens the repositories' master keys. Only the proof side has it.
use crate::error::{Error, Result};
use crate::service;
use crate::service::restore::Reseal;
use crate::store::repository::{Repository, master_key_context};
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::{Holder, HolderKey};
use domain::id::{DeviceId, RepositoryId, RestoreId};
use domain::key_holder::{KeyHolder, KeyedAct};
use domain::object::ObjectName;
use domain::time::Time;
use repository::MasterKey;
use secret::seal::{self, PrivateKey, PublicKey};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::{RestoreSecret, restore_context};
use zeroize::Zeroizing;

/// Both halves of the proof key pair, kept in a file only its owner can read; the public half is beside it.
#[derive(Clone)]
pub struct ProofKeys {
    public: PublicKey,
    private: PrivateKey,
    /// Where the team keys are.
    store: Option<Store>,
}

/// A password for a person's own restic client, with the key object that makes it work.
pub struct AddedPassword {
    /// Shown once.
    pub password: String,
    pub name: ObjectName,
    /// The stored bytes of the `keys` object.
    pub object: Vec<u8>,
}

impl ProofKeys {
    /// The keys for a process that opens `store`, and its public half made known there.
    ///
    /// With `needed` false a process without the key file does without it: then the proof side is on another
    /// host.
    ///
    /// # Errors
    /// As [`ProofKeys::open_or_make`].
    pub fn of(store: &Store, path: &Path, needed: bool, now: Time) -> anyhow::Result<Option<Arc<Self>>> {
        let known = store.read_blocking(service::proof::public_key)?;
        if !needed && !path.try_exists()? {
            return Ok(None);
        }
        if known.is_none() && !path.try_exists()? && !store.read_blocking(store::ground::repositories)?.is_empty() {
            return Err(anyhow!(
                "the proof key {} is missing, but this database has backups: restore it from your copy",
                path.display()
            ));
        }
        if let Some(known) = &known {
            finish_replacing(path, known)?;
        }
        let keys = Self::open_or_make(path, known.as_deref())?.beside(store);
        if known.is_none() {
            let public = keys.public.as_str().to_owned();
            store.write_blocking(move |conn| service::proof::publish_key(conn, &public, now))?;
        }
        Ok(Some(Arc::new(keys)))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// When it is not there, or is not a key pair.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        secret::keep_private(path);
        let text =
            std::fs::read_to_string(path).with_context(|| format!("reading the proof key {}", path.display()))?;
        Self::parse(&Zeroizing::new(text)).with_context(|| format!("{} is not a proof key", path.display()))
    }

    /// Reads a key file, or creates one if there is none yet.
    ///
    /// `known` is the public half in the database: repositories are sealed to it, and a new key would open none
    /// of them.
    ///
    /// # Errors
    /// When the key is lost, is not the database's, or cannot be written.
    pub fn open_or_make(path: &Path, known: Option<&str>) -> anyhow::Result<Self> {
        let keys = match (path.try_exists()?, known) {
            (true, _) => Self::open(path)?,
            (false, None) => Self::make(path)?,
            (false, Some(_)) => {
                return Err(anyhow!(
                    "the proof key {} is missing, but backups are sealed to it: restore it from your copy",
                    path.display()
                ));
            }
        };
        match known {
            Some(known) if known != keys.public.as_str() => Err(anyhow!(
                "the proof key {} is not the one that the backups of this database are sealed to",
                path.display()
            )),
            Some(_) | None => Ok(keys),
        }
    }

    /// Writes this pair to another place, and reads it there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_to(&self, path: &Path) -> anyhow::Result<Self> {
        Self::write(&self.public, &self.private, path)?;
        Self::open(path)
    }

    /// Seals a repository's master key to this pair.
    ///
    /// # Errors
    /// Never, for keys that were read.
    pub fn seal_master_key(&self, id: RepositoryId, key: &MasterKey) -> anyhow::Result<String> {
        seal::seal(&self.public, &master_key_context(id), key.to_base64().as_bytes())
    }

    fn make(path: &Path) -> anyhow::Result<Self> {
        let (public, private) = seal::generate()?;
        Self::write(&public, &private, path)?;
        Ok(Self { public, private, store: None })
    }

    fn write(public: &PublicKey, private: &PrivateKey, path: &Path) -> anyhow::Result<()> {
        let text = Zeroizing::new(format!("{}\n{}\n", private.expose(), public.as_str()));
        write_new(path, text.as_bytes(), 0o600).context("writing the proof key")?;
        write_new(&path.with_extension("pub"), format!("{}\n", public.as_str()).as_bytes(), 0o644)
            .context("writing the proof key's public half")?;
        // Both names have to survive a power cut before anything is sealed to the key.
        Ok(File::open(path.parent().unwrap_or(path))?.sync_all()?)
    }

    /// With the database in which the team keys are: without it, only what is sealed to this key itself is opened.
    #[must_use]
    pub fn beside(mut self, store: &Store) -> Self {
        self.store = Some(store.clone());
        self
    }

    /// Reads the text of a key file.
    ///
    /// # Errors
    /// When it is not one, or its halves do not belong together.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (private, public) =
            text.trim_end().split_once('\n').ok_or_else(|| anyhow!("it does not have two lines"))?;
        let (public, private) = (PublicKey::parse(public)?, PrivateKey::from_text(private.to_owned()));
        let keys = Self { public, private, store: None };
        let sealed = seal::seal(&keys.public, "holdfast/self-test", b"holdfast")?;
        seal::open(&keys.private, "holdfast/self-test", &sealed).context("its halves do not belong together")?;
        Ok(keys)
    }

    /// Refuses if this key was replaced since it was read.
    pub(super) fn require_current(&self, store: &Store) -> Result<()> {
        match store.read_blocking(service::proof::public_key)? {
            Some(known) if known != self.public.as_str() => {
                Err(Error::Refused("the proof key was replaced: start this again with the new one".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn private(&self) -> &PrivateKey {
        &self.private
    }

    /// The public half, to which master keys are sealed.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key that gives this server the copies of its own state back.
    ///
    /// # Errors
    /// Never, for keys that were read.
    pub fn state_holder(&self) -> Result<HolderKey> {
        service::console_copy::holder_key(Holder::Root, self.public.as_str(), &self.private)
    }

    /// The master key of a repository. Reads the database if it is sealed to a team key.
    ///
    /// # Errors
    /// When the customer keeps it, when it was sealed to another key, or changed, or the database is needed and away.
    pub fn open_master_key(&self, repository: &Repository) -> Result<MasterKey> {
        if let Some(why) = repository.key_holder.refusal(KeyedAct::Unseal) {
            return Err(Error::Refused(why.to_owned()));
        }
        let context = master_key_context(repository.id);
        let plain = match repository.team_key_id {
            None => seal::open(&self.private, &context, &repository.sealed_master_key)?,
            Some(id) => {
                let store = self.store.as_ref().context("the team keys are in the database, which is not at hand")?;
                let key = store.read_blocking(|conn| store::team_key::find(conn, id))?;
                let key = self.open_team_key(&key.context("the team key is not in the database")?)?;
                seal::open(&key, &context, &repository.sealed_master_key)?
            }
        };
        let text = std::str::from_utf8(&plain).context("reading a master key")?;
        MasterKey::from_base64(text).ok_or_else(|| anyhow!("a master key has 64 bytes").into())
    }

    /// What goes into a restore order: the master key and the ticket, sealed to the target device.
    ///
    /// # Errors
    /// As [`ProofKeys::open_master_key`], or when the target's key is not valid.
    pub fn reseal_for_restore(
        &self,
        repository: &Repository,
        restore: RestoreId,
        target: (DeviceId, &PublicKey),
        ticket: &str,
    ) -> Result<String> {
        let master_key = match repository.key_holder {
            KeyHolder::Server => self.open_master_key(repository)?.to_base64().to_string(),
            // The target has it in its key file.
            KeyHolder::Customer => String::new(),
        };
        let secret = RestoreSecret { ticket: ticket.to_owned(), master_key };
        let text = Zeroizing::new(serde_json::to_string(&secret).context("writing a restore's secret")?);
        let (device, key) = target;
        Ok(seal::seal(key, &restore_context(restore, device), text.as_bytes())?)
    }

    /// Makes one more password for a repository. Slow: it derives a key.
    ///
    /// # Errors
    /// As [`ProofKeys::open_master_key`].
    pub fn add_password(&self, repository: &Repository) -> Result<AddedPassword> {
        if let Some(why) = repository.key_holder.refusal(KeyedAct::AddPassword) {
            return Err(Error::Refused(why.to_owned()));
        }
        let master_key = self.open_master_key(repository)?;
        let password = secret::generate("")?;
        let object = key_file(&master_key, &password)?;
        Ok(AddedPassword { password, name: ObjectName::from_hash(&secret::sha256(&object)), object })
    }
}

impl Reseal for ProofKeys {
    fn reseal(
        &self,
        repository: &Repository,
        restore: RestoreId,
        (target, sealing_key): (DeviceId, &str),
        ticket: &str,
    ) -> Result<String> {
        let key = PublicKey::parse(sealing_key)?;
        self.reseal_for_restore(repository, restore, (target, &key), ticket)
    }
}

/// The minimum restic accepts; a random password of 256 bits needs no more.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 1;

/// A key file of restic: the master key under a key derived from the password.
fn key_file(master_key: &MasterKey, password: &str) -> Result<Vec<u8>> {
    let salt = secret::bytes::<64>()?;
    let mut derived = Zeroizing::new([0; 64]);
    let params = scrypt::Params::new(LOG_N, R, P).context("choosing the derivation's cost")?;
    scrypt::scrypt(password.as_bytes(), &salt, &params, derived.as_mut_slice()).context("deriving a key")?;
    let derived = MasterKey::from_bytes(derived.as_slice()).ok_or_else(|| anyhow!("a key has 64 bytes"))?;
    let (encrypt, mac) = master_key.expose().split_at(32);
    let (k, r) = mac.split_at(16);
    let [encrypt, k, r] = [encrypt, k, r].map(|it| BASE64_STANDARD.encode(it));
    let plain = Zeroizing::new(json!({ "mac": { "k": k, "r": r }, "encrypt": encrypt }).to_string());
    let data = derived.seal(secret::bytes()?, plain.as_bytes()).context("encrypting a master key")?;
    let file = json!({
        "hostname": "holdfast", "username": "own client", "kdf": "scrypt",
        "N": 1u32 << LOG_N, "r": R, "p": P,
        "salt": BASE64_STANDARD.encode(salt), "data": BASE64_STANDARD.encode(data),
    });
    Ok(file.to_string().into_bytes())
}

/// Puts the next key's file in the place of the old one's, if the database names the next key.
///
/// # Errors
/// When the files cannot be read or renamed.
pub(super) fn finish_replacing(path: &Path, known: &str) -> anyhow::Result<()> {
    let next = path_of_next(path);
    // One of another key is of a replacement that was cut off before its commit: the next one writes it anew.
    if !next.try_exists()? || ProofKeys::open(&next)?.public().as_str() != known {
        return Ok(());
    }
    std::fs::rename(&next, path).with_context(|| format!("replacing {}", path.display()))?;
    write_new(&path.with_extension("pub"), format!("{known}\n").as_bytes(), 0o644)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()?;
    Ok(())
}

/// Where the next proof key lies until it takes the place of the one at `path`.
pub(super) fn path_of_next(path: &Path) -> PathBuf {
    path.with_extension("next")
}

pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    // Written beside it and renamed, so that a key file is whole or not there.
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof.key");

        let made = ProofKeys::open_or_make(&path, None).unwrap();
        let read = ProofKeys::open_or_make(&path, Some(made.public.as_str())).unwrap();

        assert_eq!(made.public, read.public);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_could_read_is_its_owners_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof.key");
        ProofKeys::open_or_make(&path, None).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

        ProofKeys::open_or_make(&path, None).unwrap();

        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lost_or_foreign_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof.key");
        assert!(ProofKeys::open_or_make(&path, Some("known")).is_err(), "lost");
        assert!(!path.exists());

        ProofKeys::open_or_make(&path, None).unwrap();
        assert!(ProofKeys::open_or_make(&path, Some("known")).is_err(), "foreign");

        std::fs::write(&path, "rubbish").unwrap();
        assert!(ProofKeys::open(&path).is_err());
    }

    #[test]
    fn a_new_password_opens_the_same_master_key() {
        let master_key = MasterKey::from_bytes(&secret::bytes::<64>().unwrap()).unwrap();

        let file = key_file(&master_key, "password").unwrap();

        let read: rustic_core::repofile::KeyFile = serde_json::from_slice(&file).unwrap();
        let opened = format!("{:?}", read.key_from_password(&"password").unwrap());
        let bytes: Vec<String> = master_key.expose().iter().map(ToString::to_string).collect();
        assert!(opened.contains(&bytes.join(", ")), "{opened}");
        assert!(read.key_from_password(&"another").is_err());
    }
}
