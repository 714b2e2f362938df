//! What is erased for good, and what has to hold before that.
use super::facts::{of, state};
use super::prune::{require_no_freeze, write};
use crate::error::{Error, Result};
use crate::service::hold;
use crate::store::device::Device;
use crate::store::object::Object as StoredObject;
use crate::store::prune::Prune;
use crate::store::repository::Repository;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor};
use domain::id::PruneId;
use domain::object::{ObjectKind, ObjectName};
use domain::retention::{PruneState, erase_brakes};
use domain::time::Time;
use domain::words::bytes;

/// How many prunes are looked at in one run: those that are held must not keep the others from their turn.
const LOOKED_AT: i64 = 1_000;

/// How many are walked in one run.
const BATCH: usize = 20;

/// What is in the trash for long enough, and what has to be walked once more before it is erased.
#[derive(Debug)]
pub struct Due {
    pub prune: Prune,
    pub repository: Repository,
    pub snapshots: Vec<ObjectName>,
    pub ledger: Vec<StoredObject>,
}

/// What may be erased now, if everything that is kept can be walked without it.
///
/// # Errors
/// When the database refuses.
pub fn due_to_erase(conn: &mut Conn, now: Time) -> Result<Vec<Due>> {
    let mut due = Vec::new();
    for prune in store::prune::in_states(conn, &[PruneState::Trashed], LOOKED_AT)? {
        if due.len() >= BATCH {
            break;
        }
        if !may_erase(conn, &prune, now)? {
            continue;
        }
        let (_, repository) = of(conn, prune.repository_id)?;
        let ledger = store::object::all(conn, repository.id, None)?;
        let snapshots = ledger.iter().filter(|it| it.kind == ObjectKind::Snapshots).map(|it| it.name.clone()).collect();
        due.push(Due { prune, repository, snapshots, ledger });
    }
    Ok(due)
}

/// Whether its time has come, nothing holds it, all of its bytes are in the trash, and the ground is sound.
fn may_erase(conn: &mut Conn, prune: &Prune, now: Time) -> Result<bool> {
    if prune.state != PruneState::Trashed || now < prune.erase_at {
        return Ok(false);
    }
    let (device, repository) = of(conn, prune.repository_id)?;
    let is_moved = store::prune::objects(conn, prune.id, true, 1)?.is_empty();
    Ok(!is_held(conn, &device)? && is_moved && erase_brakes(&state(conn, &device, &repository, now)?, now).is_empty())
}

/// Whether a hold keeps what is in the trash of a device from being erased: also one made since, for what it covers is not
/// removed, wherever it is.
///
/// # Errors
/// When the database refuses.
pub fn is_held(conn: &mut Conn, device: &Device) -> Result<bool> {
    Ok(!hold::of_device(conn, device)?.is_empty())
}

/// Begins to erase what is in the trash, after everything that is kept was walked without it. An act.
///
/// From now on nothing of it comes back. `walked` is the repository as it was before the walk: what came since was not
/// looked at.
///
/// # Errors
/// When the database refuses, or something came in between.
pub fn begin_erase(conn: &mut Conn, id: PruneId, walked: &Repository, now: Time) -> Result<()> {
    require_no_freeze(conn)?;
    let prune = store::prune::find(conn, id)?.ok_or(Error::NotFound("prune"))?;
    let (_, repository) = of(conn, prune.repository_id)?;
    if repository != *walked {
        return Err(Error::Conflict("a backup came while the others were walked: they are walked again".to_owned()));
    }
    if !may_erase(conn, &prune, now)? {
        return Err(Error::Conflict("this may not be erased any more".to_owned()));
    }
    if !store::prune::advance(conn, id, (PruneState::Trashed, PruneState::Erasing), None)? {
        return Err(Error::Conflict("this is no longer in the trash".to_owned()));
    }
    let why = format!(
        "{} erased, {} after they ended",
        bytes(prune.byte_count),
        domain::words::span(now.since(prune.trashed_at))
    );
    write(conn, &Actor::system(), Action::PointsErased, &prune, &why, now)
}

/// Prunes after which a backup came whose test failed: it may need what is in the trash.
///
/// # Errors
/// When the database refuses.
pub fn needs_what_is_gone(conn: &mut Conn) -> Result<Vec<PruneId>> {
    Ok(store::prune::failed_since(conn)?)
}
