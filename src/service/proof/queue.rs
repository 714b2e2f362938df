//! Which restore tests wait, and who asked for them.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::reach;
use crate::store::evidence::Shown;
use crate::store::restore_test::RestoreTest;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::id::{DeviceId, RepositoryId, RestorePointId, RestoreTestId, UserId};
use domain::key_holder::{KeyHolder, KeyedAct};
use domain::proof::TestCause;
use domain::role::Permission;
use domain::time::Time;
use std::time::Duration;

/// How long a new backup waits for the device's report, without which there is nothing to compare.
const REPORT_WAIT: Duration = Duration::from_secs(20);
/// How many new backups of one device wait for their test; beyond that, the oldest go untested.
const WAITING: i64 = 20;

/// Queues a test of a restore point; one that is already waiting is moved up. Returns the one that is waiting
/// now; none where the customer keeps the key, because nothing can be tested there.
///
/// # Errors
/// When there is no such point, or the database refuses.
pub fn queue(
    conn: &mut Conn,
    point: RestorePointId,
    cause: TestCause,
    asked_by: Option<UserId>,
    now: Time,
) -> Result<Option<RestoreTestId>> {
    let point = store::restore_point::find(conn, point)?.ok_or(Error::NotFound("restore point"))?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(Error::NotFound("repository"))?;
    if repository.key_holder == KeyHolder::Customer {
        return Ok(None);
    }
    let waits = cause == TestCause::NewBackup && point.manifest_name.is_none();
    if let Some(waiting) = store::restore_test::find_queued(conn, point.id)? {
        if !waits {
            store::restore_test::hurry(conn, waiting)?;
        }
        return Ok(Some(waiting));
    }
    let mut test = RestoreTest::queued(point.id, point.device_id, cause, asked_by, now);
    test.claimed_until = waits.then_some(now + REPORT_WAIT);
    store::restore_test::insert(conn, &test)?;
    if cause == TestCause::NewBackup {
        // Newer points say more; what is asked for or in doubt is never left out.
        store::restore_test::thin_out(conn, point.device_id, WAITING)?;
    }
    Ok(Some(test.id))
}

/// Queues a test of a device's newest restore point, because a person asked for it; returns the test.
///
/// # Errors
/// When the device has no restore point, or the person may not run backups of it.
pub fn ask(conn: &mut Conn, by: &By, device: DeviceId, now: Time) -> Result<RestoreTestId> {
    reach::acted_on(conn, by, Permission::RunBackups, device)?;
    ask_as(conn, (&by.actor, Some(by.user)), device, now)
}

/// [`ask`] on the server's own machine.
///
/// # Errors
/// When the device has no restore point.
pub fn ask_on_host(conn: &mut Conn, host: &Actor, device: DeviceId, now: Time) -> Result<RestoreTestId> {
    ask_as(conn, (host, None), device, now)
}

fn ask_as(
    conn: &mut Conn,
    (actor, asked_by): (&Actor, Option<UserId>),
    device: DeviceId,
    now: Time,
) -> Result<RestoreTestId> {
    let name = device_name(conn, device)?;
    let newest = store::evidence::points(conn, device, Shown::Stored, 1)?.into_iter().next();
    let point = newest
        .ok_or_else(|| Error::Refused("this device has no backup yet, so there is nothing to test".to_owned()))?;
    let holder = store::repository::key_holder_of(conn, device)?;
    if let Some(why) = holder.refusal(KeyedAct::Test) {
        return Err(Error::Refused(why.to_owned()));
    }
    let test = queue(conn, point.id, TestCause::Asked, asked_by, now)?.ok_or(Error::NotFound("restore point"))?;
    let act = Act::done(Action::RestoreTestAsked, Object::new("restore_point", point.id, name)).on(device);
    record(conn, actor, &act, now)?;
    Ok(test)
}

/// Has the newest restore point of a repository tested because of damage.
///
/// # Errors
/// When the database refuses.
pub fn test_newest(conn: &mut Conn, repository: RepositoryId, now: Time) -> Result<()> {
    if let Some(point) = store::restore_point::newest_stored(conn, repository)? {
        queue(conn, point.id, TestCause::Damage, None, now)?;
    }
    Ok(())
}

pub(super) fn device_name(conn: &mut Conn, device: DeviceId) -> Result<String> {
    Ok(store::device::find(conn, device)?.ok_or(Error::NotFound("device"))?.name)
}
