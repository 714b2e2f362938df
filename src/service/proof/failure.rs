//! Failures that stand: a test failed, and the files that failed have not come back since.
use super::queue::queue;
use crate::error::Result;
use crate::store::evidence::Shown;
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RepositoryId};
use domain::object::ObjectName;
use domain::proof::{Level, TestCause, TestResult};
use domain::restore_test::{FailedRest, MAX_NAMES, TestReport};
use domain::time::Time;
use std::collections::{BTreeSet, HashSet};

/// How many failed points of a device are looked at in one test.
const POINTS: i64 = 50;
/// How many file keys are looked for in one test.
const KEYS: usize = 20_000;
/// How many manifests are compared as a whole in one test.
const MANIFESTS: usize = 3;

/// What failed in other points and was not made good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedBefore {
    pub keys: Vec<String>,
    pub manifests: Vec<(ObjectName, RepositoryId)>,
}

/// What failed in a device's earlier points and is to be looked for in `point`.
pub(super) fn before(conn: &mut Conn, point: &RestorePoint) -> Result<FailedBefore> {
    let (mut keys, mut manifests) = (BTreeSet::new(), Vec::new());
    for failed in earlier(conn, point)? {
        keys.extend(store::evidence::failed_keys(conn, failed.id)?);
        if let (Some(FailedRest::Manifest), Some(name)) = (failed.failed_rest, failed.manifest_name) {
            manifests.push((name, failed.repository_id));
        }
    }
    manifests.truncate(MANIFESTS);
    Ok(FailedBefore { keys: keys.into_iter().take(KEYS).collect(), manifests })
}

/// The failures that a test of `point` may make good: those of earlier points.
fn earlier(conn: &mut Conn, point: &RestorePoint) -> Result<Vec<RestorePoint>> {
    let mut failed = store::evidence::standing_failures(conn, point.device_id, POINTS)?;
    failed.retain(|it| it.id != point.id && it.sequence < point.sequence);
    Ok(failed)
}

/// Records what failed in a test, and which earlier failures it made good.
pub(super) fn note(conn: &mut Conn, point: &RestorePoint, report: &TestReport, now: Time) -> Result<()> {
    match report.result {
        TestResult::Unproven => return Ok(()),
        // It stands if nothing was compared.
        TestResult::Passed | TestResult::Partial if point.failed_at.is_some() => {}
        TestResult::Passed | TestResult::Partial => store::evidence::set_failed(conn, point.id, &[], None, None)?,
        TestResult::Failed => {
            let failed = &report.failed;
            let rest = match (failed.rest, &point.manifest_name) {
                (Some(FailedRest::Manifest), Some(_)) => Some(FailedRest::Manifest),
                (Some(_), _) => Some(FailedRest::Unnamed),
                // A failure that names nothing could otherwise never be made good.
                (None, _) => failed.keys.is_empty().then_some(FailedRest::Unnamed),
            };
            store::evidence::set_failed(conn, point.id, &failed.keys, rest, None)?;
            look_in_newer(conn, point, now)?;
        }
    }
    for failed in earlier(conn, point)? {
        make_good(conn, &failed, report, now)?;
    }
    Ok(())
}

/// A newer point may hold what failed in this one, but was tested before that was known.
fn look_in_newer(conn: &mut Conn, point: &RestorePoint, now: Time) -> Result<()> {
    let shown = if point.manifest_name.is_some() { Shown::Compared } else { Shown::Verified };
    let newest = store::evidence::points(conn, point.device_id, shown, 1)?.pop();
    if let Some(newer) = newest.filter(|it| it.sequence > point.sequence) {
        queue(conn, newer.id, TestCause::Damage, None, now)?;
    }
    Ok(())
}

/// Removes from a failure what came back in the test of a later point.
fn make_good(conn: &mut Conn, failed: &RestorePoint, report: &TestReport, now: Time) -> Result<()> {
    let was_compared = failed.manifest_name.is_some();
    // Where nothing was compared, being read back is all that can be shown.
    let back: HashSet<&String> = if was_compared {
        report.made_good.proven.iter().collect()
    } else {
        report.made_good.proven.iter().chain(&report.made_good.read).collect()
    };
    let had = store::evidence::failed_keys(conn, failed.id)?;
    let left: Vec<String> = had.iter().filter(|it| !back.contains(it)).cloned().collect();
    let rest = failed.failed_rest.filter(|rest| match rest {
        FailedRest::Manifest => {
            !failed.manifest_name.as_ref().is_some_and(|it| report.made_good.manifests.contains(it))
        }
        FailedRest::Unnamed => !is_good(report, was_compared),
    });
    if left.len() == had.len() && rest == failed.failed_rest {
        return Ok(());
    }
    let made_good_at = (left.is_empty() && rest.is_none()).then_some(now);
    Ok(store::evidence::set_failed(conn, failed.id, &left, rest, made_good_at)?)
}

/// Whether all of a later backup came back, as far as the failed one could have been compared.
fn is_good(report: &TestReport, was_compared: bool) -> bool {
    match report.result {
        TestResult::Failed | TestResult::Unproven => false,
        TestResult::Passed | TestResult::Partial => match report.level {
            Level::Proven | Level::CopyProven => true,
            Level::Verified | Level::Partial => !was_compared,
            Level::Never | Level::Reported | Level::Stored => false,
        },
    }
}

/// Files whose stored copy failed its test and that no later test found intact: a wipe would certainly lose
/// them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsound {
    pub files: i64,
    /// The first names, in the manifest's spelling.
    pub names: Vec<String>,
    /// Some points failed as a whole, so any of their files may be among these.
    pub has_unnamed: bool,
}

/// The files of a device that no backup holds intact.
///
/// # Errors
/// When the database refuses, or what it keeps cannot be read.
pub fn unsound(conn: &mut Conn, device: DeviceId) -> Result<Unsound> {
    let (mut all, mut names) = (BTreeSet::new(), BTreeSet::new());
    let mut unsound = Unsound::default();
    for point in store::evidence::standing_failures(conn, device, POINTS)? {
        let keys: HashSet<String> = store::evidence::failed_keys(conn, point.id)?.into_iter().collect();
        let test = match point.test_id {
            Some(test) => store::restore_test::find(conn, test)?,
            None => None,
        };
        if point.failed_rest.is_some() {
            unsound.has_unnamed = true;
            // The larger of what the test counted and what the device said: the test may have ended early.
            unsound.files += test.as_ref().map(|it| it.file_count).max(point.file_count).unwrap_or(0);
        }
        for failed in test.map(|it| it.failures()).transpose()?.unwrap_or_default().files {
            if keys.contains(&path_key(&failed.path)) {
                names.insert(failed.path);
            }
        }
        all.extend(keys);
    }
    unsound.files = unsound.files.saturating_add(i64::try_from(all.len()).unwrap_or(i64::MAX));
    unsound.names = names.into_iter().take(MAX_NAMES).collect();
    Ok(unsound)
}

/// As the restore-test process produces it.
fn path_key(path: &str) -> String {
    hex::encode(secret::sha256(path.as_bytes())).chars().take(32).collect()
}
