//! Escrow records: master keys that come back with a recovery key, on whatever machine it is put together again.
//!
//! [`open`] and [`fn@seal`] need nothing but the two keys. [`add_missing`] is the proof side's work: it alone can open the
//! master keys of repositories that were there before a recovery key was.
use crate::error::Result;
use crate::proof::keys::ProofKeys;
use crate::service::recovery_key;
use crate::store::Store;
use crate::store::escrow::{Escrow, escrow_context};
use crate::store::recovery_key::RecoveryKey;
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::id::RepositoryId;
use repository::MasterKey;
use secret::seal::{self, PrivateKey, PublicKey};

/// What a voucher for a recovery key is for.
const VOUCHER: &str = "recovery-key";

/// The text of an escrow record: the master key of a repository, sealed to the public half of a recovery key.
///
/// # Errors
/// When the key is not valid.
pub fn seal(to: &PublicKey, repository: RepositoryId, master_key: &MasterKey) -> anyhow::Result<String> {
    seal::seal(to, &escrow_context(repository), master_key.to_base64().as_bytes())
}

/// The master key in the text of an escrow record.
///
/// # Errors
/// When it was sealed to another key or for another repository, or was changed.
pub fn open(with: &PrivateKey, repository: RepositoryId, sealed: &str) -> anyhow::Result<MasterKey> {
    let plain = seal::open(with, &escrow_context(repository), sealed)?;
    let text = std::str::from_utf8(&plain).context("reading a master key")?;
    MasterKey::from_base64(text).ok_or_else(|| anyhow!("a master key has 64 bytes"))
}

impl ProofKeys {
    /// This key's word that master keys may be sealed to a recovery key.
    ///
    /// # Errors
    /// When this key is not one.
    pub fn vouch_for(&self, recovery: &PublicKey) -> anyhow::Result<String> {
        seal::vouch(self.private(), VOUCHER, recovery.as_str())
    }

    pub(super) fn vouches_for(&self, key: &RecoveryKey) -> anyhow::Result<bool> {
        seal::is_vouched_for(self.private(), VOUCHER, &key.public_key, &key.voucher)
    }
}

/// Adds the escrow records that are missing, and forgets those of retired keys; returns how many were added.
///
/// In short transactions, each of which may be the last: the next call goes on. Who can write the database but has no
/// proof key gets nothing sealed to a key of theirs.
///
/// # Errors
/// When the database refuses.
pub fn add_missing(store: &Store, keys: &ProofKeys, clock: &Clock) -> Result<usize> {
    let now = clock.now();
    let mut count = 0;
    for key in store.read_blocking(|conn| recovery_key::waiting(conn, now))? {
        count += match (key.retired_at, keys.vouches_for(&key)?) {
            (Some(_), _) => forget(store, &key)?,
            (None, true) => add(store, keys, clock, key)?,
            (None, false) => {
                tracing::error!(key = %key.name, "nobody with the proof key made this recovery key: nothing is sealed to it");
                store.act_blocking(move |conn| recovery_key::sealed(conn, &key, 0, 1, now))?;
                0
            }
        };
    }
    Ok(count)
}

fn forget(store: &Store, key: &RecoveryKey) -> Result<usize> {
    let id = key.id;
    while !store.wake().is_stopping() && !store.write_blocking(move |conn| recovery_key::forget(conn, id))? {}
    Ok(0)
}

fn add(store: &Store, keys: &ProofKeys, clock: &Clock, key: RecoveryKey) -> Result<usize> {
    let to = PublicKey::parse(&key.public_key)?;
    let (mut added, mut failed, mut after) = (0, 0, None);
    loop {
        if store.wake().is_stopping() {
            return Ok(added);
        }
        let (id, last) = (key.id, after);
        let missing = store.read_blocking(move |conn| recovery_key::missing(conn, id, last))?;
        let Some(last) = missing.last() else { break };
        after = Some(last.id);
        let mut records = Vec::with_capacity(missing.len());
        for repository in &missing {
            match keys.open_master_key(repository).and_then(|it| Ok(seal(&to, repository.id, &it)?)) {
                Ok(sealed_master_key) => records.push(Escrow {
                    repository_id: repository.id,
                    recovery_key_id: key.id,
                    sealed_master_key,
                    sealed_at: clock.now(),
                }),
                Err(error) => {
                    failed += 1;
                    tracing::warn!(repository = %repository.id, error = format!("{error:#}"), "a master key could not be \
                        sealed to the recovery key");
                }
            }
        }
        added += records.len();
        store.write_blocking(move |conn| recovery_key::add(conn, &records))?;
    }
    let now = clock.now();
    store.act_blocking(move |conn| recovery_key::sealed(conn, &key, added, failed, now))?;
    Ok(added)
}
