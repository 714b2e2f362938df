//! What is to be tested by itself.
use super::proof_validity;
use crate::domain::id::{DeviceId, RestorePointId};
use crate::domain::proof::{TOLERANCE, TestCause, TestResult, is_ahead};
use crate::domain::time::{Time, minutes};
use crate::error::Result;
use crate::store::device_proof::DeviceProof;
use crate::store::evidence::Shown;
use crate::store::{self, Conn};
use std::time::Duration;

/// A test that could not be run is tried again after this.
const RETRY: Duration = minutes(10);
/// So many of a device's points that damage took the proof from are looked at in one round; one of them is tested.
const RETESTS: i64 = 5;
/// So many devices are looked at in one round.
const ROUND: i64 = 200;

/// What is to be tested by itself: proofs with less than a quarter of their time left, tests that could not be run, and
/// points that damage took the proof from, one of a device at a time. Only reads.
///
/// # Errors
/// When the database refuses.
pub fn due(conn: &mut Conn, now: Time) -> Result<Vec<(RestorePointId, TestCause)>> {
    let mut due = Vec::new();
    let quarter = proof_validity(conn)? / 4;
    // With a proof that holds for minutes, a test that did not renew it is repeated in time.
    let rest = RETRY.min(quarter);
    let mut waning = store::device_proof::expiring(conn, now + quarter, ROUND)?;
    waning.extend(store::device_proof::tested_after(conn, now + TOLERANCE, ROUND)?);
    for row in waning {
        let Some(point) = newest_held(conn, &row)? else { continue };
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

/// Whether a test of a point ended after `since`, so recently that it is not to be run again yet.
fn is_resting(conn: &mut Conn, point: RestorePointId, since: Time, now: Time) -> Result<bool> {
    // What ended in the future ended by a clock that was ahead.
    Ok(store::restore_test::has_ended(conn, point, since, now + TOLERANCE)?)
}

/// The newest proven point of a device; the newest verified one where none is proven.
fn newest_held(conn: &mut Conn, row: &DeviceProof) -> Result<Option<RestorePointId>> {
    if row.proven_point_id.is_some() {
        return Ok(row.proven_point_id);
    }
    Ok(store::evidence::points(conn, row.device_id, Shown::Verified, 1)?.first().map(|it| it.id))
}

/// The newest point of a device that damage took the proof from and whose test did not just fail to run; none while
/// another test of the device is open.
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
