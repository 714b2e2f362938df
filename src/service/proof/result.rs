//! What a result changes, and what damage found outside a test does.
use super::failure;
use super::level::{self, learned, refresh};
use super::queue::{device_name, queue, test_newest};
use crate::error::{Error, Result};
use crate::service::activity::{Act, record_often};
use crate::store::object::Object as StoredObject;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::id::{RepositoryId, RestorePointId};
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind};
use domain::proof::{TestCause, TestResult};
use domain::restore_test::TestReport;
use domain::time::Time;

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
    // What failed for want of a pack may pass now that the pack was read whole again.
    if store::copy::end_damage(conn, Location::Primary, repository, &report.verified, started)? > 0 {
        store::evidence::end_wait_for_healing(conn, repository)?;
    }
    // The test may have read an object before somebody else found it damaged.
    let is_overtaken =
        report.result != TestResult::Failed && store::evidence::is_in_doubt(conn, repository, point.as_of, started)?;
    let mut has_shown = false;
    if is_overtaken {
        queue(conn, point.id, TestCause::Damage, None, now)?;
    } else if repository_is_tested(conn, repository)?
        && level::show(&mut point, (test.id, report), level::holds(conn, now)?, now)
    {
        store::evidence::set_point(conn, &point)?;
        failure::note(conn, &point, report, now)?;
        note_needed(conn, &point, report)?;
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

/// Whether a test of a repository says anything: where the customer keeps the key, nobody can have run one.
fn repository_is_tested(conn: &mut Conn, id: RepositoryId) -> Result<bool> {
    Ok(store::repository::find(conn, id)?.is_some_and(|it| it.key_holder == KeyHolder::Server))
}

/// Keeps which packs the newest point needs, once its test has read them.
fn note_needed(conn: &mut Conn, point: &RestorePoint, report: &TestReport) -> Result<()> {
    let is_known = match report.result {
        TestResult::Passed | TestResult::Partial => true,
        // It may have ended before it had read all of them.
        TestResult::Failed | TestResult::Unproven => false,
    };
    let newest = store::restore_point::newest_stored(conn, point.repository_id)?;
    if is_known && newest.is_some_and(|it| it.id == point.id) {
        store::verification::set_needed(conn, point.repository_id, &report.verified)?;
    }
    Ok(())
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
    // Not this point: its own test has just said what it is worth.
    doubt(conn, point.repository_id, Time::from_millis(0), &[point.id], now).map(drop)
}

/// Withdraws what was known about the points received at or after `since`, except `but`, and has them tested
/// again: the newest at once, the others in turn. Returns how many had anything to withdraw.
fn doubt(conn: &mut Conn, repository: RepositoryId, since: Time, but: &[RestorePointId], now: Time) -> Result<usize> {
    let doubted = store::evidence::demote_since(conn, repository, since, but)?;
    if !repository_is_tested(conn, repository)? {
        // It is verified again once everything was read back.
        store::evidence::end_retests(conn, repository)?;
        return Ok(doubted.len());
    }
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
        // Nothing could be withdrawn, so only a test can tell whether anything needs it.
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
    // A device causes a test with each backup, as often as it likes.
    record_often(conn, &Actor::system(), &act, now)
}
