//! What is tested automatically.
use super::level::holds;
use crate::error::Result;
use crate::store::device_proof::DeviceProof;
use crate::store::evidence::Shown;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RestorePointId};
use domain::proof::{TOLERANCE, TestCause, TestResult, is_ahead};
use domain::time::{Time, minutes};
use std::time::Duration;

/// A test that could not be run is tried again after this.
const RETRY: Duration = minutes(10);
/// How many of a device's points that lost their proof to damage are looked at in one round; one of them is
/// tested.
const RETESTS: i64 = 5;
/// How many devices are looked at in one round.
const ROUND: i64 = 200;

/// What is tested automatically: proofs with less than a quarter of their time left, tests that could not be
/// run, and points that lost their proof to damage, one per device at a time. Only reads.
///
/// # Errors
/// When the database refuses.
pub fn due(conn: &mut Conn, now: Time) -> Result<Vec<(RestorePointId, TestCause)>> {
    let mut due = Vec::new();
    let quarter = holds(conn, now)?.proof / 4;
    // If a proof holds for minutes, a test that did not renew it is repeated in time.
    let rest = RETRY.min(quarter);
    let mut waning = store::device_proof::expiring(conn, now + quarter, ROUND)?;
    waning.extend(store::device_proof::tested_after(conn, now + TOLERANCE, ROUND)?);
    for row in waning {
        let Some(point) = renewed(conn, &row, now + quarter, now)? else { continue };
        if !store::restore_test::is_open(conn, row.device_id)? && !is_resting(conn, point, now - rest, now)? {
            due.push((point, TestCause::ProofExpiring));
        }
    }
    for device in store::evidence::devices_to_retest(conn, ROUND)? {
        if let Some(point) = to_retest(conn, device, now - rest, now)? {
            due.push((point, TestCause::Damage));
        }
    }
    for point in store::restore_test::ended_unproven(conn, now - RETRY, ROUND)? {
        due.push((point, TestCause::ProofExpiring));
    }
    Ok(due)
}

/// Whether a test of a point ended after `since`, so recently that it should not run again yet.
fn is_resting(conn: &mut Conn, point: RestorePointId, since: Time, now: Time) -> Result<bool> {
    // A test that ended in the future was dated by a clock that was ahead.
    Ok(store::restore_test::has_ended(conn, point, since, now + TOLERANCE)?)
}

/// The point of a device whose evidence is to be renewed: one that was tested while the clock was ahead, or the
/// one whose proof ends before `cut`.
fn renewed(conn: &mut Conn, row: &DeviceProof, cut: Time, now: Time) -> Result<Option<RestorePointId>> {
    let mut newest =
        |shown| -> Result<Option<RestorePoint>> { Ok(store::evidence::points(conn, row.device_id, shown, 1)?.pop()) };
    let (compared, proven) = (newest(Shown::Compared)?, newest(Shown::Proven)?);
    let verified = newest(Shown::Verified)?;
    let is_of_a_wrong_clock = |it: &&RestorePoint| {
        let tested = [it.verified_at, it.partial_at, it.proven_at];
        tested.into_iter().flatten().any(|at| is_ahead(at, now))
    };
    if let Some(point) = [&proven, &compared, &verified].into_iter().flatten().find(is_of_a_wrong_clock) {
        return Ok(Some(point.id));
    }
    let ends = row.proven_until.is_some_and(|it| it <= cut);
    let point = if ends { proven } else { compared };
    Ok(point.map(|it| it.id))
}

/// The newest point of a device that lost its proof to damage and whose test did not just fail to run; none
/// while another test of the device is open.
fn to_retest(conn: &mut Conn, device: DeviceId, since: Time, now: Time) -> Result<Option<RestorePointId>> {
    if store::restore_test::is_open(conn, device)? {
        return Ok(None);
    }
    for point in store::evidence::to_retest(conn, device, RETESTS)? {
        let last = store::restore_test::newest_with_result(conn, point, &[TestResult::Unproven])?;
        let ended = last.and_then(|it| it.finished_at);
        if !ended.is_some_and(|at| at > since && !is_ahead(at, now)) {
            return Ok(Some(point));
        }
    }
    Ok(None)
}
