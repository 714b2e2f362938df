//! A new, empty repository with its keys, config, password and token: made here, or brought by the device.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::service::backup;
use crate::store::escrow::escrow_context;
use crate::store::repository::master_key_context;
use anyhow::Context;
use bytes::Bytes;
use domain::id::{RecoveryKeyId, RepositoryId, TeamKeyId};
use domain::key_holder::KeyHolder;
use domain::object::ObjectKind;
use repository::{Made, make};
use secret::seal;

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

/// The first objects of a repository whose key the device made and keeps: to this server only bytes.
#[derive(Debug, Clone)]
pub struct OwnRepository {
    pub config: Bytes,
    pub key: Bytes,
}

impl OwnRepository {
    /// The most bytes of either; both take a few hundred.
    const MOST: usize = 4096;

    /// Whether both are there and small, and not the same.
    pub fn is_sound(&self) -> bool {
        let fits = |it: &Bytes| (1..=Self::MOST).contains(&it.len());
        fits(&self.config) && fits(&self.key) && self.config != self.key
    }
}

/// A repository that is ready to be stored, with the secrets that only the device may learn.
pub struct Prepared {
    pub id: RepositoryId,
    /// The password for the backup door.
    pub token: String,
    /// The password of the repository's key; empty where only the device knows it.
    pub password: String,
    /// Who keeps the master key.
    pub key_holder: KeyHolder,
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
        let Made { config, key: key_file, master_key } = make(&password, None).context("making a repository")?;
        let plain = master_key.to_base64();
        let (team_key, key) = to.team.as_ref().map_or((None, &to.proof), |(id, key)| (Some(*id), key));
        let sealed_master_key = seal::seal(key, &master_key_context(id), plain.as_bytes())?;
        let sealed = |key| seal::seal(key, &escrow_context(id), plain.as_bytes());
        let escrows = to.recovery.iter().map(|(of, key)| Ok((*of, sealed(key)?))).collect::<Result<_>>()?;
        Ok(Self {
            id,
            token,
            password,
            key_holder: KeyHolder::Server,
            sealed_master_key,
            team_key,
            proof_key: to.proof.clone(),
            escrows,
            config: config.into(),
            key: key_file.into(),
        })
    }

    /// A repository that the device made: what it sent are the objects that its own key opens, and nothing is sealed.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn adopt(proof_key: seal::PublicKey, id: RepositoryId, own: OwnRepository) -> Result<Self> {
        Ok(Self {
            id,
            token: secret::generate(super::TOKEN_PREFIX)?,
            password: String::new(),
            key_holder: KeyHolder::Customer,
            sealed_master_key: String::new(),
            team_key: None,
            proof_key,
            escrows: Vec::new(),
            config: own.config,
            key: own.key,
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
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
