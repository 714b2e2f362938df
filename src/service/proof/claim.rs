//! Who tests: a runner takes a test for a while, reads what it needs, and gives it back or finishes it.
use super::failure::{self, FailedBefore};
use crate::error::{Error, Result};
use crate::store::evidence::Shown;
use crate::store::object::Object;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::object::ObjectName;
use domain::time::Time;
use std::time::Duration;

/// A test that a runner has taken.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub test: RestoreTest,
    /// How long a claim holds unless it is renewed.
    pub lease: Duration,
}

/// Everything a test needs.
#[derive(Debug, Clone)]
pub struct Needed {
    pub point: RestorePoint,
    /// Files that the device left out of the comparison.
    pub excluded: Vec<String>,
    pub repository: Repository,
    /// The objects of the repository as it was when the point was received.
    pub ledger: Vec<Object>,
    /// The newest proven point other than this one, to say what this one holds beyond it.
    pub base: Option<Base>,
    /// What failed in other points and is looked for in this one.
    pub failed_before: FailedBefore,
}

/// A proven point that another is compared with.
#[derive(Debug, Clone)]
pub struct Base {
    pub point: RestorePointId,
    pub repository: RepositoryId,
    pub manifest: ObjectName,
}

/// Takes the next test for `runner` until `now + lease`; none if nothing is waiting.
///
/// The update is conditional, so that two runners never have the same test.
///
/// # Errors
/// When the database refuses.
pub fn claim(
    conn: &mut Conn,
    runner: &str,
    device: Option<DeviceId>,
    lease: Duration,
    now: Time,
) -> Result<Option<Claimed>> {
    let Some(waiting) = store::restore_test::next(conn, device, now)? else { return Ok(None) };
    if !store::restore_test::claim(conn, waiting.id, runner, now + lease, now)? {
        return Ok(None);
    }
    let test = store::restore_test::find(conn, waiting.id)?.ok_or(Error::NotFound("restore test"))?;
    Ok(Some(Claimed { test, lease }))
}

/// Reads everything a test needs.
///
/// # Errors
/// When the database refuses.
pub fn needed(conn: &mut Conn, test: &RestoreTest) -> Result<Needed> {
    let alone = needed_alone(conn, test.restore_point_id)?;
    let base = base(conn, &alone.point)?;
    let failed_before = failure::before(conn, &alone.point)?;
    Ok(Needed { base, failed_before, ..alone })
}

/// What a test of a restore point needs that looks at nothing but this point.
///
/// # Errors
/// When there is no such point, or the database refuses.
pub fn needed_alone(conn: &mut Conn, point: RestorePointId) -> Result<Needed> {
    let point = store::restore_point::find(conn, point)?.ok_or(Error::NotFound("restore point"))?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(Error::NotFound("repository"))?;
    let ledger = store::object::all(conn, point.repository_id, Some(point.as_of))?;
    let excluded = store::restore_point::excluded(conn, point.id)?;
    Ok(Needed { point, excluded, repository, ledger, base: None, failed_before: FailedBefore::default() })
}

fn base(conn: &mut Conn, point: &RestorePoint) -> Result<Option<Base>> {
    // Two, because one of them may be this very point.
    let proven = store::evidence::points(conn, point.device_id, Shown::Proven, 2)?;
    let Some(proven) = proven.into_iter().find(|it| it.id != point.id && it.sequence <= point.sequence) else {
        return Ok(None);
    };
    let (point, repository) = (proven.id, proven.repository_id);
    Ok(proven.manifest_name.map(|manifest| Base { point, repository, manifest }))
}

/// Keeps a claim alive.
///
/// # Errors
/// When the database refuses.
pub fn extend(conn: &mut Conn, claimed: &Claimed, now: Time) -> Result<bool> {
    Ok(store::restore_test::extend(conn, claimed.test.id, &claimed.test.runner, now + claimed.lease)?)
}

/// Gives back a test that was stopped because the runner itself is stopping.
///
/// # Errors
/// When the database refuses.
pub fn release(conn: &mut Conn, claimed: &Claimed) -> Result<bool> {
    Ok(store::restore_test::release(conn, claimed.test.id, &claimed.test.runner)?)
}
