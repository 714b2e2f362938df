//! The proof from the second copy alone: what is tested, and what a test with recovery shares that ended changes.
use crate::blob::BlobKey;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::alert::{tell_of_devices, url};
use crate::service::copy;
use crate::store::copy_test::{CopyTest, Standing, Which, standings};
use crate::store::device::Device;
use crate::store::device_list::Among;
use crate::store::recovery_key::RecoveryKey;
use crate::store::restore_point::RestorePoint;
use crate::store::setting::{COPY, COPY_ID};
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::copy_proof::{CopyGrade, CopyProof, CopyProofs, CopyTest as Shown, HOLDS, StoreNow};
use domain::id::{CopyTestId, DeviceId, RestorePointId};
use domain::key_holder::KeyHolder;
use domain::policy::CopyKnown;
use domain::proof::{Level, TestResult};
use domain::restore_test::TestReport;
use domain::role::Reach;
use domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// A test as whoever ran it reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The public half of the recovery key that the shares gave.
    pub public: String,
    pub point: RestorePointId,
    /// The id in the marker of the store that was read.
    pub store: String,
    pub runner: String,
    pub started_at: Time,
    pub report: TestReport,
}

/// The second store now, as far as these proofs depend on it.
///
/// # Errors
/// When the database refuses.
pub fn store_now(conn: &mut Conn, now: Time) -> Result<StoreNow> {
    Ok(StoreNow { away: store::ground::copy_away(conn, now)?, ..store_noted(conn)? })
}

/// The same for a test, which looks at the store itself: a server that did not run has not.
fn store_noted(conn: &mut Conn) -> Result<StoreNow> {
    Ok(StoreNow { store: COPY.find(conn)?, id: COPY_ID.find(conn)?, away: store::ground::copy_noted_away(conn)? })
}

/// What is known of one device.
#[derive(Debug, Clone)]
pub struct OfDevice {
    /// The second store.
    pub now: StoreNow,
    /// The test that counts.
    pub test: Option<Shown>,
    /// The restore point that it was of.
    pub point: Option<RestorePointId>,
    key_holder: KeyHolder,
}

impl OfDevice {
    /// What it is worth.
    pub fn proof(&self) -> CopyProof<'_> {
        CopyProof { now: &self.now, test: self.test.clone(), key_holder: self.key_holder }
    }
}

/// What is known of one device.
///
/// # Errors
/// When the database refuses.
pub fn of_device(conn: &mut Conn, device: DeviceId, now: Time) -> Result<OfDevice> {
    let found = standings(conn, Which::Ids(&[device]))?.pop();
    let point = found.as_ref().and_then(|it| it.test.as_ref()).map(|it| it.restore_point_id);
    let key_holder = found.as_ref().map_or_else(KeyHolder::default, Standing::key_holder);
    Ok(OfDevice { now: store_now(conn, now)?, test: found.and_then(|it| it.shown()), point, key_holder })
}

/// How some devices stand.
///
/// # Errors
/// When the database refuses.
pub fn known(conn: &mut Conn, ids: &[DeviceId], now: Time) -> Result<HashMap<DeviceId, CopyKnown>> {
    let store = store_now(conn, now)?;
    let mut known = HashMap::with_capacity(ids.len());
    for some in ids.chunks(500) {
        known.extend(standings(conn, Which::Ids(some))?.iter().map(|it| (it.device, graded(&store, it, now))));
    }
    Ok(known)
}

/// How all enrolled devices stand.
///
/// # Errors
/// When the database refuses.
pub fn known_of_all(conn: &mut Conn, now: Time) -> Result<HashMap<DeviceId, CopyKnown>> {
    let store = store_now(conn, now)?;
    let found = standings(conn, Which::Within(&Reach::All))?;
    Ok(found.iter().map(|it| (it.device, graded(&store, it, now))).collect())
}

fn graded(store: &StoreNow, standing: &Standing, now: Time) -> CopyKnown {
    let proof = CopyProof { now: store, test: standing.shown(), key_holder: standing.key_holder() };
    CopyKnown { grade: proof.grade(now), point_at: proof.proven_point(now) }
}

/// The enrolled devices within reach of this grade.
///
/// # Errors
/// When the database refuses.
pub fn among(conn: &mut Conn, asked: CopyGrade, reach: &Reach, now: Time) -> Result<Among> {
    let store = store_now(conn, now)?;
    let found = standings(conn, Which::Within(reach))?;
    let ids: Vec<_> = found.iter().filter(|it| graded(&store, it, now).grade == asked).map(|it| it.device).collect();
    Ok(Among::new(&ids, false))
}

/// How all enrolled devices within reach that have a backup stand together.
///
/// # Errors
/// When the database refuses.
pub fn all(conn: &mut Conn, reach: &Reach, now: Time) -> Result<CopyProofs> {
    let store = store_now(conn, now)?;
    let mut all = CopyProofs::default();
    for it in standings(conn, Which::Within(reach))?.iter().filter(|it| it.stored_at.is_some()) {
        all.add(&CopyProof { now: &store, test: it.shown(), key_holder: it.key_holder() }, now);
    }
    Ok(all)
}

/// What of a device could be tested from the second store alone.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub device: Device,
    /// The newest restore point of which it has everything; none if it has no complete one.
    pub point: Option<RestorePoint>,
}

/// Each device that has a backup, whatever became of it: those first that were never tested, and then those that were not for the longest time.
///
/// # Errors
/// When the second store shows nothing now, or the database refuses.
pub fn candidates(conn: &mut Conn) -> Result<Vec<Candidate>> {
    let store = store_noted(conn)?;
    if let Some(why) = store.refusal() {
        return Err(Error::Refused(why));
    }
    let mut newest: HashMap<DeviceId, Option<RestorePoint>> = HashMap::new();
    for id in store::ground::repositories(conn)? {
        let Some(repository) = store::repository::find(conn, id)? else { continue };
        // No share opens what the customer keeps the key of.
        let is_sealed = repository.key_holder == KeyHolder::Server;
        if !is_sealed || store::restore_point::newest_stored(conn, id)?.is_none() {
            continue;
        }
        let of_device = newest.entry(repository.device_id).or_default();
        if let Some(point) = store::uncopied::complete_point(conn, id)? {
            let is_newer = of_device.as_ref().is_none_or(|it| it.sequence < point.sequence);
            *of_device = if is_newer { Some(point) } else { of_device.take() };
        }
    }
    let mut found = Vec::with_capacity(newest.len());
    for (id, point) in newest {
        let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
        found.push(Candidate { device, point });
    }
    // So runs that are stopped come around, whatever they found.
    let tried: HashMap<_, _> = store::copy_test::last_tries(conn)?.into_iter().collect();
    found.sort_by_cached_key(|it| (tried.get(&it.device.id).copied(), it.device.name.clone(), it.device.id));
    Ok(found)
}

/// The devices with a backup that no share opens, because the customer keeps the key.
///
/// # Errors
/// When the database refuses.
pub fn of_customers(conn: &mut Conn) -> Result<BTreeSet<DeviceId>> {
    let mut found = BTreeSet::new();
    for (repository, device) in store::repository::of_customers(conn)? {
        found.extend(store::restore_point::newest_stored(conn, repository)?.map(|_| device));
    }
    Ok(found)
}

/// Records how a test ended: the test, what is damaged in the second store, the entry, and a mail if it failed. An act.
///
/// What was tested counts from this server's clock on, and only if the second store and the key are still the ones.
///
/// # Errors
/// `Refused` if the store that was read is not this server's second store, or that does not count or is away; if the key
/// is unknown or retired; or if nothing of the repository is sealed to it.
pub fn finish(conn: &mut Conn, by: &Actor, ended: &Ended, now: Time) -> Result<CopyTest> {
    let store = store_noted(conn)?;
    if let Some(why) = store.refusal() {
        return Err(Error::Refused(why));
    }
    if store.id.as_deref() != Some(&ended.store) {
        return Err(Error::Refused("another store than this server’s second one was read".to_owned()));
    }
    let point = store::restore_point::find(conn, ended.point)?.ok_or(Error::NotFound("restore point"))?;
    let key = key(conn, &ended.public, &point)?;
    let report = &ended.report;
    for object in report.failures.damaged() {
        let object = BlobKey::new(point.repository_id, object.kind, object.name.clone());
        copy::object_damaged(conn, &object, "a restore test from the second store alone could not read it", now)?;
    }
    let test = row(&point, &key, ended, now)?;
    let is_overtaken = store::copy_test::is_damaged(conn, point.repository_id)?;
    let test = CopyTest { withdrawn_at: is_overtaken.then_some(now), ..test };
    store::copy_test::insert(conn, &test)?;
    tell(conn, by, (&point, &key), report, now)?;
    Ok(test)
}

/// The key that opened the backup, if it still opens it.
fn key(conn: &mut Conn, public: &str, point: &RestorePoint) -> Result<RecoveryKey> {
    let key = store::recovery_key::find_by_public(conn, public)?
        .ok_or_else(|| Error::Refused("this server does not know the key that the shares give".to_owned()))?;
    if key.retired_at.is_some() {
        return Err(Error::Refused(format!("the recovery key {} is retired: it opens nothing", key.name)));
    }
    let records = store::escrow::of_repository(conn, point.repository_id)?;
    if records.iter().any(|it| it.recovery_key_id == key.id) {
        return Ok(key);
    }
    Err(Error::Refused(format!("nothing of this backup is sealed to the recovery key {}", key.name)))
}

fn row(point: &RestorePoint, key: &RecoveryKey, ended: &Ended, now: Time) -> Result<CopyTest> {
    let report = &ended.report;
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let has_shown = report.result != TestResult::Unproven;
    let level = if report.level == Level::CopyProven { Level::Proven } else { report.level };
    Ok(CopyTest {
        id: CopyTestId::generate(now),
        device_id: point.device_id,
        repository_id: point.repository_id,
        restore_point_id: point.id,
        point_at: point.received_at,
        store_id: ended.store.clone(),
        recovery_key_id: key.id,
        runner: ended.runner.clone(),
        started_at: ended.started_at.min(now),
        finished_at: now,
        result: report.result,
        level,
        file_count: count(report.file_count),
        matched_count: count(report.matched_count),
        excluded_count: count(report.excluded_count),
        byte_count: count(report.byte_count),
        failures: serde_json::to_string(&report.failures).context("writing what failed")?,
        summary: report.summary.clone(),
        valid_until: (has_shown && report.result != TestResult::Failed).then_some(now + HOLDS),
        withdrawn_at: None,
        superseded_at: (!has_shown).then_some(now),
    })
}

#[derive(Template)]
#[template(path = "mail/copy_test_failed.txt")]
struct CopyTestFailed<'a> {
    device: &'a Device,
    point_at: String,
    outline: String,
    url: String,
}

fn tell(
    conn: &mut Conn,
    by: &Actor,
    (point, key): (&RestorePoint, &RecoveryKey),
    report: &TestReport,
    now: Time,
) -> Result<()> {
    let device = store::device::find(conn, point.device_id)?.ok_or(Error::NotFound("device"))?;
    let (action, outcome) = match report.result {
        TestResult::Passed => (Action::CopyTestPassed, Outcome::Done),
        TestResult::Partial => (Action::CopyTestPartial, Outcome::Done),
        TestResult::Failed => (Action::CopyTestFailed, Outcome::Failed),
        TestResult::Unproven => (Action::CopyTestUnproven, Outcome::Failed),
    };
    let reason = format!("with the recovery key {}: {}", key.name, report.outline());
    let object = Object::new("restore_point", point.id, &*device.name);
    record(conn, by, &Act::done(action, object).on(device.id).because(&reason).ended(outcome), now)?;
    if report.result != TestResult::Failed {
        return Ok(());
    }
    let url = url(conn, &format!("/devices/{}", device.id))?;
    let mail = CopyTestFailed { device: &device, point_at: point.received_at.iso(), outline: report.outline(), url };
    let body = mail.render().context("writing a mail")?;
    let subject = format!("Restore test of the second copy failed: {}", device.name);
    tell_of_devices(conn, "copy_test_failed", device.team_id, subject, body, now)
}
