//! Replacing the proof key, to which the team keys are sealed: their root.
//!
//! The new key's file is durable beside the old one before the database knows it; one commit makes it the key; then its
//! file takes the old one's place. Whenever this is cut off, the next start finds the file that the database names.
use crate::proof::keys::{self, ProofKeys, path_of_next, write_new};
use crate::proof::team_key;
use crate::service;
use crate::service::apple::authority::Sealer;
use crate::service::team_key::Replacement;
use crate::store::{self, Store};
use anyhow::{Context, anyhow, bail};
use clock::Clock;
use domain::activity::Actor;
use secret::seal;
use std::fs::File;
use std::path::Path;
use zeroize::Zeroizing;

/// Replaces the proof key at `path`. Nothing else may have it open: what is running would go on with the old one.
///
/// # Errors
/// When the old key is not there, something could not be sealed to a team's key, or the new file cannot be written;
/// then the old key stays.
pub fn replace(store: &Store, path: &Path, by: &Actor, clock: &Clock) -> anyhow::Result<()> {
    let old = ProofKeys::of(store, path, true, clock.now())?.ok_or_else(|| anyhow!("there is no proof key"))?;
    store.write_blocking({
        let now = clock.now();
        move |conn| service::team_key::wrap_again(conn, now)
    })?;
    team_key::keep(store, &old, clock)?;
    let next = path_of_next(path);
    let new = write_next(&next)?;
    File::open(path.parent().unwrap_or(path))?.sync_all()?;
    let replacement = replacement(store, &old, &new)?;
    let (by, now) = (by.clone(), clock.now());
    store.act_blocking(move |conn| service::team_key::replace_proof_key(conn, &by, &replacement, now))?;
    keys::finish_replacing(path, new.public().as_str())
}

fn write_next(next: &Path) -> anyhow::Result<ProofKeys> {
    let (public, private) = seal::generate()?;
    let text = Zeroizing::new(format!("{}\n{}\n", private.expose(), public.as_str()));
    write_new(next, text.as_bytes(), 0o600).context("writing the next proof key")?;
    ProofKeys::open(next)
}

fn replacement(store: &Store, old: &ProofKeys, new: &ProofKeys) -> anyhow::Result<Replacement> {
    let mut team_keys = Vec::new();
    for key in store.read_blocking(store::team_key::all)? {
        if !old.vouches_for_team_key(&key)? {
            bail!("the team key {} was not made with the proof key: look at who wrote it into the database", key.id);
        }
        let sealed = new.seal_team_key(key.id, &old.open_team_key(&key)?)?;
        team_keys.push((key.id, sealed, new.vouch_for_team_key(key.id, key.team_id, &key.public_key)?));
    }
    let mut recovery_keys = Vec::new();
    for key in store.read_blocking(store::recovery_key::standing)? {
        if old.vouches_for(&key)? {
            let public = seal::PublicKey::parse(&key.public_key)?;
            recovery_keys.push((key.id, new.vouch_for(&public)?));
        }
    }
    let apple = store.read_blocking(store::apple::authority::find)?;
    let apple_key = apple.map(|it| new.seal(&old.open(&it.sealed_key)?)).transpose()?;
    let (old, new) = (old.public().as_str().to_owned(), new.public().as_str().to_owned());
    Ok(Replacement { old, new, team_keys, recovery_keys, apple_key })
}
