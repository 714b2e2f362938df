//! Restores the console's own state from the second store, as any device's: what comes back is opened, checked and
//! counted, and then thrown away.
use super::fetch::fetch;
use super::generation::Source;
use super::key;
use super::state;
use crate::blob::BlobStore;
use crate::error::{Error, Result};
use crate::store::console_copy::{Counts, counts};
use crate::store::integrity;
use crate::store::setting::{CONSOLE_KEPT, CONSOLE_PROOF, STATE_HOLDERS};
use crate::store::{Database, Store};
use anyhow::{Context, anyhow};
use domain::console_copy::{HolderKey, Kept, Stage, StateProof};
use domain::time::Time;
use std::path::Path;

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// Nothing is kept yet.
    Nothing,
    /// The bytes of a dump are what was kept. That is no proof: nobody restored it.
    Intact,
    Proven(StateProof),
    Failed(String),
}

/// Fetches the newest state to a folder below `dir`, checks it, and keeps the result.
///
/// # Errors
/// When the database refuses.
pub fn run(store: &Store, copy: &dyn BlobStore, dir: &Path, now: Time) -> Result<Trial> {
    let (holders, kept) =
        store.read_blocking(|conn| Ok::<_, Error>((STATE_HOLDERS.find(conn)?, CONSOLE_KEPT.find(conn)?)))?;
    let trial = match attempt(copy, &holders.unwrap_or_default(), kept.as_ref(), dir, now) {
        Ok(trial) => trial,
        Err(error) => Trial::Failed(format!("{error:#}")),
    };
    match &trial {
        Trial::Nothing => {}
        Trial::Intact => state::note_failure(store, Stage::Test, None, now)?,
        Trial::Proven(proof) => {
            let proof = proof.clone();
            store.write_blocking(move |conn| CONSOLE_PROOF.set(conn, &proof, now))?;
            state::note_failure(store, Stage::Test, None, now)?;
        }
        Trial::Failed(why) => state::note_failure(store, Stage::Test, Some(why), now)?,
    }
    Ok(trial)
}

fn attempt(copy: &dyn BlobStore, holders: &[HolderKey], kept: Option<&Kept>, dir: &Path, now: Time) -> Result<Trial> {
    let scratch = tempfile::tempdir_in(dir).with_context(|| format!("making a folder below {}", dir.display()))?;
    let path = scratch.path().join("holdfast.db");
    let Some(fetched) = fetch(copy, holders, &path, now)? else { return Ok(Trial::Nothing) };
    if let Some((at, why)) = fetched.passed.first() {
        return Err(anyhow!("the state of {} is not whole: {why}", at.iso()).into());
    }
    if let Some(kept) = kept.filter(|it| fetched.head.sequence < it.sequence) {
        let (at, found) = (kept.taken_at.iso(), fetched.head.taken_at.iso());
        return Err(anyhow!("the state of {at} was kept and is not there; the newest is that of {found}").into());
    }
    // It came back by one key. That says nothing of the others', and the day may come on which only they are left.
    if let Some(other) = holders.iter().find(|it| key::unwrap(it, &fetched.head.keys).is_none()) {
        return Err(anyhow!("the key {} does not open it", other.public).into());
    }
    match fetched.source {
        Source::Dump => Ok(Trial::Intact),
        Source::Sqlite => {
            let rows = check(&path, fetched.counts.as_ref())?.sum();
            let (sequence, taken_at) = (fetched.head.sequence, fetched.head.taken_at);
            Ok(Trial::Proven(StateProof { sequence, taken_at, tested_at: now, rows }))
        }
    }
}

/// Whether the database at `path` is the one that was kept: SQLite finds nothing wrong with it, and it has as many rows.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path, kept: Option<&Counts>) -> Result<Counts> {
    let faults = integrity::check(path).context("checking what was restored")?;
    let restored = Store::open_read_only(&Database::Sqlite(path.to_owned())).context("opening what was restored")?;
    let found = restored.read_blocking(counts)?;
    match (faults.first(), kept) {
        (Some(fault), _) => Err(anyhow!("the restored database is damaged: {fault}").into()),
        (None, Some(kept)) if *kept == found => Ok(found),
        (None, Some(kept)) => {
            Err(anyhow!("the restored database has other rows: {found:?} instead of {kept:?}").into())
        }
        (None, None) => Err(anyhow!("nobody counted the rows of what was kept").into()),
    }
}
