//! The key that somebody brings: three shares, or the copy of the server's key file.
use crate::cli::recovery_key::read_key;
use crate::error::Error;
use crate::proof::escrow;
use crate::proof::keys::ProofKeys;
use crate::service;
use crate::service::console_copy::{holder_key, set_holder};
use crate::store::repository::Repository;
use crate::store::{self, Store};
use anyhow::{Context, anyhow};
use domain::console_copy::{Holder, HolderKey};
use domain::key_holder::KeyHolder;
use domain::time::Time;
use secret::recovery::RecoveryKey;
use std::path::{Path, PathBuf};

/// What opens the states and the backups.
pub enum Brought {
    Shares(RecoveryKey),
    KeyFile(ProofKeys),
}

/// Which of them.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyOptions {
    /// A copy of the server’s key file, if there is one; without it three recovery shares are asked for, or read from
    /// standard input
    #[arg(long, value_name = "FILE")]
    key_copy: Option<PathBuf>,
}

impl Brought {
    /// Reads it.
    ///
    /// # Errors
    /// When the file is no key, or the shares give none.
    pub fn read(options: &KeyOptions) -> anyhow::Result<Self> {
        match &options.key_copy {
            Some(path) => Ok(Self::KeyFile(ProofKeys::open(path)?)),
            None => Ok(Self::Shares(read_key()?)),
        }
    }

    /// What gives the key of the states back.
    ///
    /// # Errors
    /// Never, for a key that was read.
    pub fn holder(&self) -> anyhow::Result<HolderKey> {
        match self {
            Self::Shares(key) => Ok(holder_key(Holder::Recovery, key.public().as_str(), key.private())?),
            Self::KeyFile(keys) => Ok(keys.state_holder()?),
        }
    }

    /// The recovery key; none if a key file was brought.
    pub const fn shares(&self) -> Option<&RecoveryKey> {
        match self {
            Self::Shares(key) => Some(key),
            Self::KeyFile(_) => None,
        }
    }

    /// The master key of a repository.
    ///
    /// # Errors
    /// When nothing of the repository is sealed to what was brought.
    pub fn master_key(&self, store: &Store, repository: &Repository) -> anyhow::Result<repository::MasterKey> {
        match self {
            Self::KeyFile(keys) => Ok(keys.clone().beside(store).open_master_key(repository)?),
            Self::Shares(key) => {
                let id = repository.id;
                let records = store.read_blocking(move |conn| store::escrow::of_repository(conn, id))?;
                let opened = records.iter().find_map(|it| escrow::open(key.private(), id, &it.sealed_master_key).ok());
                opened.ok_or_else(|| {
                    let (name, known) = (key.name(), records.len());
                    anyhow!("the recovery key {name} opens none of its {known} escrow records")
                })
            }
        }
    }
}

/// A repository that stays closed.
#[derive(Debug, Clone)]
pub struct Closed {
    pub repository: Repository,
    pub why: String,
}

/// Makes the server's key file at `path`, and seals every master key to it; returns those that could not be opened.
///
/// # Errors
/// When the key cannot be written, or the database refuses.
pub fn renew(store: &Store, brought: &Brought, path: &Path, now: Time) -> anyhow::Result<Vec<Closed>> {
    let keys = match brought {
        Brought::KeyFile(keys) => keys.write_to(path)?,
        Brought::Shares(_) => ProofKeys::open_or_make(path, None)?,
    };
    let mut closed = Vec::new();
    let ids = store.read_blocking(store::ground::repositories)?;
    for id in ids {
        let found = store.read_blocking(move |conn| store::repository::find(conn, id))?;
        let Some(repository) = found else { continue };
        // It was never here, and is opened as before by whoever keeps it.
        if repository.key_holder == KeyHolder::Customer {
            continue;
        }
        match brought.master_key(store, &repository) {
            Ok(master_key) => {
                let sealed = keys.seal_master_key(id, &master_key)?;
                store.write_blocking(move |conn| store::repository::reseal(conn, id, &sealed))?;
            }
            Err(error) => closed.push(Closed { repository, why: format!("{error:#}") }),
        }
    }
    publish(store, &keys, now).context("making the new key known")?;
    Ok(closed)
}

/// Writes down the new key, whose word the recovery keys need again.
fn publish(store: &Store, keys: &ProofKeys, now: Time) -> anyhow::Result<()> {
    let holder = keys.state_holder()?;
    let public = keys.public().as_str().to_owned();
    let mut vouchers = Vec::new();
    for key in store.read_blocking(store::recovery_key::standing)? {
        vouchers.push((key.id, keys.vouch_for(&secret::seal::PublicKey::parse(&key.public_key)?)?));
    }
    store.write_blocking(move |conn| {
        store::setting::PROOF_PUBLIC_KEY.set(conn, &public, now)?;
        // A copy of the earlier one was checked.
        store::setting::PROOF_KEY_COPY.remove(conn)?;
        set_holder(conn, &holder, now)?;
        // Nothing is sealed to them now, except what stays closed: the proof side makes others.
        store::team_key::retire_all(conn, now)?;
        service::team_key::wrap_again(conn, now)?;
        for (id, voucher) in vouchers {
            store::recovery_key::set_voucher(conn, id, &voucher)?;
        }
        Ok::<_, Error>(())
    })?;
    Ok(())
}
