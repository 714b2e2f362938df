//! What the rules look at.
use super::steady::steady_since;
use crate::error::{Error, Result};
use crate::service::{copy, freeze, hold};
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use domain::copy::{CopyFacts, CopyStanding};
use domain::ground::StopCause;
use domain::key_holder::KeyHolder;
use domain::object::ObjectKind;
use domain::retention::{Facts, HoldCause, Point, SecondCopy};
use domain::time::{Time, hours};
use std::time::Duration;

/// Restic renews its lock every 5 minutes; one of an hour was left behind.
const STALE_LOCK: Duration = hours(1);

/// Something that arrived without a snapshot after it is a backup under way, for as long.
const BACKUP: Duration = hours(24);

/// The stored points of a repository that have not ended, as the rules see them.
///
/// # Errors
/// When the database refuses.
pub fn points(conn: &mut Conn, device: &Device, repository: &Repository) -> Result<Vec<Point>> {
    let stored = store::restore_point::stored_of_repository(conn, repository.id)?;
    let holds = hold::covering(conn, device)?;
    let proof = store::device_proof::find(conn, device.id)?;
    let named: Vec<_> =
        proof.iter().flat_map(|it| [it.proven_point_id, it.newest_point_id, it.baseline_id]).flatten().collect();
    let newest = stored.last().map(|it| it.id);
    Ok(stored
        .iter()
        .map(|it| {
            let has_failed = it.failed_at.is_some() && it.made_good_at.is_none();
            Point {
                id: it.id,
                received_at: it.received_at,
                sequence: it.sequence,
                claimed_at: it.claimed_at,
                is_verified: it.verified_at.is_some(),
                is_proven: it.proven_at.is_some(),
                has_failed,
                is_held: holds.iter().any(|(_, held)| held.covers_point(it.id, device.id, &device.person)),
                // A failure stands on its point until it is made good, and a point in doubt until it is tested again.
                is_needed: has_failed || it.retest.is_some() || named.contains(&it.id) || newest == Some(it.id),
            }
        })
        .collect())
}

/// Whether the second copy has everything of a device. What nobody can say of it is not there.
fn second_copy(facts: &CopyFacts) -> SecondCopy {
    match facts.standing() {
        CopyStanding::NotSetUp => SecondCopy::NotConfigured,
        CopyStanding::Complete | CopyStanding::Nothing => SecondCopy::Complete,
        CopyStanding::Unknown | CopyStanding::Missing | CopyStanding::Behind => SecondCopy::Behind,
    }
}

/// What the brakes look at.
///
/// # Errors
/// When the database refuses.
pub fn state(conn: &mut Conn, device: &Device, repository: &Repository, now: Time) -> Result<Facts> {
    let newest = store::restore_point::newest_stored(conn, repository.id)?;
    let holds = hold::of_device(conn, device)?;
    Ok(Facts {
        is_newest_verified: newest.as_ref().is_some_and(|it| it.verified_at.is_some()),
        second_copy: second_copy(&copy::of_device(conn, device.id, now)?),
        has_anomaly: holds.iter().any(|it| it.cause == HoldCause::Anomaly),
        is_damaged: store::copy::has_damage(conn, repository.id)?,
        key_holder: repository.key_holder,
        is_in_use: is_in_use(conn, repository, newest.as_ref(), now)?,
        put_back_at: store::prune::put_back_at(conn, repository.id)?,
        stored_bytes: repository.stored_bytes,
        ..state_of_all(conn, now)?
    })
}

/// What of that is the same for every device, with the best that can be of a single one: whatever brakes here stops all
/// of them.
///
/// # Errors
/// When the database refuses.
pub fn state_of_all(conn: &mut Conn, now: Time) -> Result<Facts> {
    let ground = store::ground::find(conn)?;
    Ok(Facts {
        is_newest_verified: true,
        second_copy: second_copy(&copy::of_any(conn, now)?),
        has_anomaly: false,
        // Full is no reason to keep what may go: erasing it is what makes room.
        is_store_away: ground.away.is_some() || ground.stopped.is_some_and(|it| it.cause != StopCause::Full),
        is_damaged: false,
        is_frozen: freeze::holds_erasing(conn, now)?,
        key_holder: KeyHolder::Server,
        is_in_use: false,
        steady_since: steady_since(conn, now)?,
        put_back_at: None,
        stored_bytes: 0,
        ending_bytes: 0,
    })
}

/// Whether a backup, a restore test or a restore of a repository is under way.
fn is_in_use(conn: &mut Conn, repository: &Repository, newest: Option<&RestorePoint>, now: Time) -> Result<bool> {
    let is_uploading =
        newest.is_none_or(|it| repository.newest_at > it.as_of) && now.since(repository.newest_at) < BACKUP;
    let fresh = store::object::newest_of(conn, repository.id, ObjectKind::Locks)?;
    let is_locked = fresh.is_some_and(|at| now.since(at) < STALE_LOCK);
    Ok(is_uploading
        || is_locked
        || store::restore::is_open_of(conn, repository.id)?
        || store::restore_test::is_running(conn, repository.device_id)?)
}

/// A repository with its device.
///
/// # Errors
/// When there is none.
pub(super) fn of(conn: &mut Conn, id: domain::id::RepositoryId) -> Result<(Device, Repository)> {
    let repository = store::repository::find(conn, id)?.ok_or(Error::NotFound("repository"))?;
    let device = store::device::find(conn, repository.device_id)?.ok_or(Error::NotFound("device"))?;
    Ok((device, repository))
}
