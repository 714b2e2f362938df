//! Restore tests: what is tested, who tests, and what a result changes.
mod due;
mod failure;
mod level;

pub use due::due;
pub use level::{learned, refresh};

use crate::error::{Error, Result};
use crate::service::activity::{Act, record, record_often};
use crate::service::reach;
use crate::store::evidence::Shown;
use crate::store::object::Object as StoredObject;
use crate::store::repository::Repository;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::setting::PROOF_PUBLIC_KEY;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::by::By;
use domain::id::{DeviceId, RepositoryId, RestorePointId, RestoreTestId, UserId};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::proof::{TOLERANCE, TestCause, TestResult};
use domain::restore_test::TestReport;
use domain::role::Permission;
use domain::time::Time;
use std::time::Duration;

/// How long a new backup waits for the device's report, without which there is nothing to compare.
const REPORT_WAIT: Duration = Duration::from_secs(20);
/// How many new backups of one device wait for their test; beyond that, the oldest go untested.
const WAITING: i64 = 20;

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
    pub ledger: Vec<StoredObject>,
    /// The newest proven point other than this one, to say what this one holds beyond it.
    pub base: Option<Base>,
    /// What failed in other points and is looked for in this one.
    pub failed_before: FailedBefore,
}

pub use failure::{FailedBefore, Unsound, unsound};

/// A proven point that another is compared with.
#[derive(Debug, Clone)]
pub struct Base {
    pub point: RestorePointId,
    pub repository: RepositoryId,
    pub manifest: ObjectName,
}

/// Queues a test of a restore point; one that is already waiting is moved up. Returns the one that is waiting
/// now.
///
/// # Errors
/// When there is no such point, or the database refuses.
pub fn queue(
    conn: &mut Conn,
    point: RestorePointId,
    cause: TestCause,
    asked_by: Option<UserId>,
    now: Time,
) -> Result<RestoreTestId> {
    let point = store::restore_point::find(conn, point)?.ok_or(Error::NotFound("restore point"))?;
    let waits = cause == TestCause::NewBackup && point.manifest_name.is_none();
    if let Some(waiting) = store::restore_test::find_queued(conn, point.id)? {
        if !waits {
            store::restore_test::hurry(conn, waiting)?;
        }
        return Ok(waiting);
    }
    let mut test = RestoreTest::queued(point.id, point.device_id, cause, asked_by, now);
    test.claimed_until = waits.then_some(now + REPORT_WAIT);
    store::restore_test::insert(conn, &test)?;
    if cause == TestCause::NewBackup {
        // Newer points say more; what is asked for or in doubt is never left out.
        store::restore_test::thin_out(conn, point.device_id, WAITING)?;
    }
    Ok(test.id)
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
    let test = queue(conn, point.id, TestCause::Asked, asked_by, now)?;
    let act = Act::done(Action::RestoreTestAsked, Object::new("restore_point", point.id, name)).on(device);
    record(conn, actor, &act, now)?;
    Ok(test)
}

/// The public half of the proof key, to which new repositories are sealed.
///
/// # Errors
/// When the database refuses.
pub fn public_key(conn: &mut Conn) -> Result<Option<String>> {
    Ok(PROOF_PUBLIC_KEY.find(conn)?)
}

/// Makes the public half of the proof key known.
///
/// # Errors
/// When the database refuses.
pub fn publish_key(conn: &mut Conn, public: &str, now: Time) -> Result<()> {
    Ok(PROOF_PUBLIC_KEY.set(conn, &public.to_owned(), now)?)
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
    let point = store::restore_point::find(conn, test.restore_point_id)?.ok_or(Error::NotFound("restore point"))?;
    let repository = store::repository::find(conn, point.repository_id)?.ok_or(Error::NotFound("repository"))?;
    let ledger = store::object::all(conn, point.repository_id, Some(point.as_of))?;
    let excluded = store::restore_point::excluded(conn, point.id)?;
    let base = base(conn, &point)?;
    let failed_before = failure::before(conn, &point)?;
    Ok(Needed { point, excluded, repository, ledger, base, failed_before })
}

fn base(conn: &mut Conn, point: &RestorePoint) -> Result<Option<Base>> {
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

/// Records how a test ended: the test, its point, damaged objects, the device's evidence, and the activity
/// entry.
///
/// False if the claim had run out and another runner has the test: then nothing is changed.
///
/// # Errors
/// When the database refuses.
pub fn finish(
    conn: &mut Conn,
    test: &RestoreTest,
    base: Option<RestorePointId>,
    report: &TestReport,
    now: Time,
) -> Result<bool> {
    if !store::restore_test::finish(conn, test.id, &test.runner, report, base, now)? {
        return Ok(false);
    }
    let mut point = store::restore_point::find(conn, test.restore_point_id)?.ok_or(Error::NotFound("restore point"))?;
    let (repository, started) = (point.repository_id, test.started_at.unwrap_or(test.queued_at));
    if store::copy::mark_verified(conn, Location::Primary, repository, &report.verified, started, now)? > 0 {
        store::evidence::end_wait_for_healing(conn, repository)?;
    }
    // The test may have read an object before somebody else found it damaged.
    let is_overtaken =
        report.result != TestResult::Failed && store::evidence::is_in_doubt(conn, repository, point.as_of, started)?;
    let mut has_shown = false;
    if is_overtaken {
        queue(conn, point.id, TestCause::Damage, None, now)?;
    } else if level::show(&mut point, (test.id, report), level::holds(conn, now)?, now) {
        store::evidence::set_point(conn, &point)?;
        failure::note(conn, &point, report, now)?;
        has_shown = true;
    }
    note_damage(conn, &point, report, now)?;
    if has_shown {
        learned(conn, point.device_id, now)?;
    } else {
        refresh(conn, point.device_id)?;
    }
    tell(conn, test, report, now)?;
    Ok(true)
}

/// Marks damaged objects; any point of the repository may need them, so only a new test can make those good
/// again.
fn note_damage(conn: &mut Conn, point: &RestorePoint, report: &TestReport, now: Time) -> Result<()> {
    let mut is_news = false;
    for object in report.failures.damaged() {
        is_news |=
            store::copy::mark_damaged(conn, Location::Primary, point.repository_id, object.kind, &object.name, now)?;
    }
    if !is_news {
        // Whoever found it first has already withdrawn what was known about the others.
        return Ok(());
    }
    doubt(conn, point.repository_id, Time::from_millis(0), &[point.id], now).map(drop)
}

/// Withdraws what was known about the points received at or after `since`, except `but`, and has them tested
/// again: the newest at once, the others in turn. Returns how many had anything to withdraw.
fn doubt(conn: &mut Conn, repository: RepositoryId, since: Time, but: &[RestorePointId], now: Time) -> Result<usize> {
    let doubted = store::evidence::demote_since(conn, repository, since, but)?;
    if let Some(newest) = doubted.first() {
        queue(conn, *newest, TestCause::Damage, None, now)?;
    }
    Ok(doubted.len())
}

/// An object was found damaged outside a test: every point that may need it is in doubt from now on.
///
/// # Errors
/// When the database refuses.
pub fn object_damaged(conn: &mut Conn, object: &StoredObject, now: Time) -> Result<()> {
    let is_needed = ObjectKind::NEEDED.contains(&object.kind);
    if !is_needed || doubt(conn, object.repository_id, object.received_at, &[], now)? == 0 {
        test_newest(conn, object.repository_id, now)?;
    }
    let repository = store::repository::find(conn, object.repository_id)?.ok_or(Error::NotFound("repository"))?;
    refresh(conn, repository.device_id)
}

/// Damage to a repository was healed: its newest point is tested at once, and those that failed because of it
/// in turn.
///
/// # Errors
/// When the database refuses.
pub fn object_healed(conn: &mut Conn, repository: RepositoryId, now: Time) -> Result<()> {
    store::evidence::end_wait_for_healing(conn, repository)?;
    test_newest(conn, repository, now)
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

fn tell(conn: &mut Conn, test: &RestoreTest, report: &TestReport, now: Time) -> Result<()> {
    let name = device_name(conn, test.device_id)?;
    let (action, outcome) = match report.result {
        TestResult::Passed => (Action::RestoreTestPassed, Outcome::Done),
        TestResult::Partial => (Action::RestoreTestPartial, Outcome::Done),
        TestResult::Failed => (Action::RestoreTestFailed, Outcome::Failed),
        TestResult::Unproven => (Action::RestoreTestUnproven, Outcome::Failed),
    };
    let object = Object::new("restore_test", test.id, name);
    let reason = report.outline();
    let act = Act::done(action, object).on(test.device_id).because(&reason).ended(outcome);
    record_often(conn, &Actor::system(), &act, now)
}

fn device_name(conn: &mut Conn, device: DeviceId) -> Result<String> {
    Ok(store::device::find(conn, device)?.ok_or(Error::NotFound("device"))?.name)
}

/// Whether this process may date restore tests: with a shared database, its clock must agree with the
/// database's.
///
/// # Errors
/// When it is not.
pub fn check_clock(conn: &mut Conn, now: Time) -> Result<()> {
    let Some(theirs) = store::clock_of(conn)? else { return Ok(()) };
    let apart = Duration::from_millis(theirs.millis().abs_diff(now.millis()));
    if apart > TOLERANCE {
        return Err(Error::Refused(format!(
            "the clock here differs from the database's by {} s; set it right, because restore tests are dated by it",
            apart.as_secs()
        )));
    }
    Ok(())
}
