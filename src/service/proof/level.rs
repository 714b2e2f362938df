//! What a restore test shows about its point, and what a device's points show about the device.
use super::failure;
use crate::error::Result;
use crate::service::setting::{PROOF_VALIDITY, VERIFIED_VALIDITY};
use crate::store::device_proof::{DeviceProof, More};
use crate::store::evidence::Shown;
use crate::store::restore_point::RestorePoint;
use crate::store::restore_test::RestoreTest;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::id::{DeviceId, RestoreTestId};
use domain::key_holder::KeyHolder;
use domain::proof::{Level, Retest, TestResult};
use domain::restore_test::TestReport;
use domain::time::Time;
use std::time::Duration;

/// How long the result of a test holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holds {
    pub proof: Duration,
    pub verified: Duration,
}

/// The validities in force at `now`: a longer one that is still waiting does not count.
pub(super) fn holds(conn: &mut Conn, now: Time) -> Result<Holds> {
    Ok(Holds { proof: PROOF_VALIDITY.span(conn, now)?, verified: VERIFIED_VALIDITY.span(conn, now)? })
}

/// Records what a test showed, and until when that holds; false if it showed nothing.
pub(super) fn show(
    point: &mut RestorePoint,
    (test, report): (RestoreTestId, &TestReport),
    holds: Holds,
    now: Time,
) -> bool {
    let reached = |level: bool, validity: Duration| level.then_some((now, now + validity)).unzip();
    let (mut stored, mut verified, mut partial, mut proven) = (false, false, false, false);
    match report.level {
        Level::Never | Level::Reported => {}
        Level::Stored => stored = true,
        Level::Verified => (stored, verified) = (true, true),
        Level::Partial => (stored, verified, partial) = (true, true, true),
        Level::Proven | Level::CopyProven => (stored, verified, proven) = (true, true, true),
    }
    match report.result {
        TestResult::Unproven => return false,
        TestResult::Failed => {
            (point.verified_at, point.verified_until) = reached(verified, holds.verified);
            (point.partial_at, point.partial_until) = (None, None);
            (point.proven_at, point.proven_until) = (None, None);
            point.failed_at = Some(now);
            // A test before that would only fail again.
            point.retest = report.failures.objects.iter().any(|it| it.damaged).then_some(Retest::OnceHealed);
        }
        TestResult::Passed | TestResult::Partial => {
            point.stored_at = point.stored_at.or(stored.then_some(now));
            (point.verified_at, point.verified_until) = reached(verified, holds.verified);
            let was_compared = partial || proven;
            let knows_more = point.proven_at.or(point.partial_at).is_some() && !was_compared;
            let failed_a_comparison = point.failed_at.is_some() && point.manifest_name.is_some() && !was_compared;
            if knows_more || failed_a_comparison {
                // A test that compared nothing says nothing about the findings of one that did.
                return true;
            }
            (point.failed_at, point.retest) = (None, None);
            (point.partial_at, point.partial_until) = reached(partial, holds.proof);
            (point.proven_at, point.proven_until) = reached(proven, holds.proof);
        }
    }
    point.test_id = Some(test);
    true
}

/// Writes the row that sums up a device's evidence after something new was learned: a backup came, or a test
/// showed something.
///
/// # Errors
/// When the database refuses.
pub fn learned(conn: &mut Conn, device: DeviceId, now: Time) -> Result<()> {
    sum_up(conn, device, Some(now))
}

/// Writes the row that sums up a device's evidence when nothing new was learned: no grade rises.
///
/// # Errors
/// When the database refuses.
pub fn refresh(conn: &mut Conn, device: DeviceId) -> Result<()> {
    let noted_at = store::device_proof::find(conn, device)?.and_then(|it| it.noted_at);
    sum_up(conn, device, noted_at)
}

/// The newest restore point of each kind.
struct Newest {
    any: Option<RestorePoint>,
    stored: Option<RestorePoint>,
    verified: Option<RestorePoint>,
    /// Only if it is newer than the proven one: otherwise it adds nothing to that.
    partial: Option<RestorePoint>,
    proven: Option<RestorePoint>,
    failed: Option<RestorePoint>,
}

impl Newest {
    fn read(conn: &mut Conn, device: DeviceId, holder: KeyHolder) -> Result<Self> {
        let mut newest =
            |shown| -> Result<Option<RestorePoint>> { Ok(store::evidence::points(conn, device, shown, 1)?.pop()) };
        let known = Self {
            any: newest(Shown::Anything)?,
            stored: newest(Shown::Stored)?,
            verified: newest(Shown::Verified)?,
            // The newest of both kinds: if that is a proven one, it covers every older part.
            partial: newest(Shown::Compared)?.filter(|it| it.partial_at.is_some()),
            proven: newest(Shown::Proven)?,
            failed: store::evidence::standing_failures(conn, device, 1)?.pop(),
        };
        Ok(match holder {
            KeyHolder::Server => known,
            // Nobody here can have compared anything, whatever is written down.
            KeyHolder::Customer => Self { partial: None, proven: None, failed: None, ..known },
        })
    }

    /// As [`DeviceProof::rank`] says.
    const fn rank(&self) -> i64 {
        if self.failed.is_some() {
            0
        } else if self.proven.is_some() {
            6
        } else if self.partial.is_some() {
            5
        } else if self.verified.is_some() {
            4
        } else if self.stored.is_some() {
            3
        } else if self.any.is_some() {
            2
        } else {
            1
        }
    }
}

fn sum_up(conn: &mut Conn, device: DeviceId, noted_at: Option<Time>) -> Result<()> {
    let key_holder = store::repository::key_holder_of(conn, device)?;
    let newest = Newest::read(conn, device, key_holder)?;
    let Newest { any, stored, verified, partial, proven, failed } = &newest;
    let partial_test = match partial {
        Some(point) => test_of(conn, point)?,
        None => None,
    };
    let test = match proven.as_ref().or(any.as_ref()) {
        Some(point) => test_of(conn, point)?.filter(|it| it.result != Some(TestResult::Failed)),
        None => None,
    };
    let baseline = store::evidence::baseline(conn, device)?;
    // If a partly proven point is newer than the proof, what lies beyond that proof says both too much and too
    // little.
    let base = proven.as_ref().filter(|_| partial.is_none());
    let not_proven = not_proven(conn, baseline.as_ref(), base)?;
    let unsound = failure::unsound(conn, device)?;
    let received = |point: &Option<RestorePoint>| point.as_ref().map(|it| it.received_at);
    let verified_at = verified.as_ref().and_then(|it| it.verified_at);
    let partial_at = partial.as_ref().and_then(|it| it.partial_at);
    let proven_at = proven.as_ref().and_then(|it| it.proven_at);
    let row = DeviceProof {
        rank: newest.rank(),
        newest_point_id: any.as_ref().map(|it| it.id),
        newest_at: received(any),
        stored_at: received(stored),
        verified_at: received(verified),
        verified_tested_at: verified_at,
        // Evidence without an end date holds no longer than its test.
        verified_until: verified.as_ref().and_then(|it| it.verified_until).or(verified_at),
        partial_at: received(partial),
        partial_tested_at: partial_at,
        partial_until: partial.as_ref().and_then(|it| it.partial_until).or(partial_at),
        partial_file_count: partial_test.as_ref().map_or(0, |it| it.file_count),
        partial_matched_count: partial_test.as_ref().map_or(0, |it| it.matched_count),
        proven_point_id: proven.as_ref().map(|it| it.id),
        proven_at: received(proven),
        proven_tested_at: proven_at,
        proven_until: proven.as_ref().and_then(|it| it.proven_until).or(proven_at),
        file_count: test.as_ref().map_or(0, |it| it.file_count),
        matched_count: test.as_ref().map_or(0, |it| it.matched_count),
        not_proven_files: not_proven.map(|it| it.0),
        not_proven_bytes: not_proven.map(|it| it.1),
        baseline_id: baseline.as_ref().map(|it| it.id),
        baseline_at: received(&baseline),
        baseline_files: baseline.as_ref().and_then(|it| it.file_count),
        baseline_bytes: baseline.as_ref().and_then(|it| it.size_bytes),
        filled_points: store::evidence::count_filled(conn, device)?,
        failed_at: failed.as_ref().and_then(|it| it.failed_at),
        failed_test_id: failed.as_ref().and_then(|it| it.test_id),
        noted_at,
        damaged_files: unsound.files,
        more: More {
            damaged_names: serde_json::to_string(&unsound.names).context("writing names of files")?,
            // Asked of the repositories whenever it is read.
            is_of_customer: key_holder == KeyHolder::Customer,
        },
        store_away_since: if stored.is_some() { store::ground::away(conn)?.map(|it| it.since) } else { None },
        ..DeviceProof::none(device)
    };
    store::device_proof::set(conn, &row)?;
    Ok(())
}

/// The test that last showed something about a point.
fn test_of(conn: &mut Conn, point: &RestorePoint) -> Result<Option<RestoreTest>> {
    Ok(match point.test_id {
        Some(test) => store::restore_test::find(conn, test)?,
        None => None,
    })
}

/// Unproven files and bytes in the point from which changes are counted; none while nothing has been compared.
fn not_proven(
    conn: &mut Conn,
    newest: Option<&RestorePoint>,
    proven: Option<&RestorePoint>,
) -> Result<Option<(i64, i64)>> {
    let Some(newest) = newest else { return Ok(None) };
    let Some(test) = test_of(conn, newest)? else { return Ok(None) };
    // What was compared came back equal; what the same test left out is not proven.
    if newest.proven_at.or(newest.partial_at).is_some() {
        return Ok(Some((test.excluded_count, test.excluded_bytes)));
    }
    let Some(proven) = proven else { return Ok(None) };
    if test.base_point_id != Some(proven.id) {
        return Ok(None);
    }
    // What the proven point holds but was not compared is no more proven than what came after it.
    let (left_files, left_bytes) = test_of(conn, proven)?.map_or((0, 0), |it| (it.excluded_count, it.excluded_bytes));
    let beyond = test.beyond_files.zip(test.beyond_bytes);
    Ok(beyond.map(|(files, bytes)| (files.saturating_add(left_files), bytes.saturating_add(left_bytes))))
}
