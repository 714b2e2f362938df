//! Everything reported about one device.
use super::row::{DeviceRow, iso, rows};
use crate::error::Result;
use crate::service;
use crate::service::loss;
use crate::store::copy_test::CopyTest;
use crate::store::device_list::{self, ListedDevice};
use crate::store::restore_test::RestoreTest;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::command::{CommandKind, CommandState};
use domain::copy::{CopyFacts, CopyStanding};
use domain::copy_proof::CopyGrade;
use domain::fact::Facts;
use domain::id::{CommandId, DeviceId, RestorePointId, RestoreTestId};
use domain::policy::{Compliance, Finding, Value};
use domain::proof::{Level, Retest, TestResult, TestState};
use domain::space::Space;
use domain::time::{Time, with_iso_times};
use serde::Serialize;

/// Everything reported about one device.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceReport {
    #[serde(flatten)]
    pub row: DeviceRow,
    pub generation: i64,
    pub agent_version: String,
    pub protected_roots: Vec<String>,
    /// When the wipe, or the removal of company data, was confirmed; `state` says which.
    pub erased_at: Option<String>,
    /// What the device reports about itself ([`Facts`]), each with its source and times.
    pub facts: serde_json::Value,
    pub evidence: EvidenceReport,
    /// How much space its backups take, and the most they may take; none if it cannot be backed up.
    pub space: Option<Space>,
    /// How its backups stand in the second store.
    pub second_copy: CopyReport,
    /// What was restored from the second store alone, with recovery shares.
    pub from_second_copy: CopyProofReport,
    pub policies: Vec<PolicyResult>,
    /// The newest ones.
    pub restore_points: Vec<PointRow>,
    pub restore_tests: Vec<TestRow>,
    pub commands: Vec<CommandRow>,
}

/// The evidence behind the level of a device.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EvidenceReport {
    pub stored_at: Option<String>,
    pub verified_at: Option<String>,
    pub verified_until: Option<String>,
    pub partial_at: Option<String>,
    pub partial_tested_at: Option<String>,
    pub partial_until: Option<String>,
    pub partial_file_count: i64,
    pub partial_matched_count: i64,
    pub proven_tested_at: Option<String>,
    pub file_count: i64,
    pub matched_count: i64,
    pub failed_at: Option<String>,
    pub failed_test: Option<RestoreTestId>,
}

/// How a device's backups stand in the second store.
#[derive(Debug, Clone, Serialize)]
pub struct CopyReport {
    pub standing: CopyStanding,
    /// All of it in words.
    pub sentence: String,
    /// What could be recovered if the backup store were lost: when the newest restore point of which the second store
    /// has everything was received. None while nobody can say.
    pub recovery_point: Option<String>,
    pub waiting_objects: i64,
    /// When the oldest of them was received.
    pub waiting_since: Option<String>,
}

impl CopyReport {
    fn new(facts: &CopyFacts, now: Time) -> Self {
        let standing = facts.standing();
        Self {
            standing,
            sentence: facts.sentence(now, &Time::iso),
            recovery_point: iso(facts.point.filter(|_| standing != CopyStanding::Unknown)),
            waiting_objects: facts.waiting,
            waiting_since: iso(facts.waiting_since),
        }
    }
}

/// What was restored from the second store alone, with recovery shares.
#[derive(Debug, Clone, Serialize)]
pub struct CopyProofReport {
    pub grade: CopyGrade,
    /// All of it in words.
    pub sentence: String,
    /// The newest tests, the newest first.
    pub tests: Vec<CopyTestRow>,
}

/// One such test, without file names.
#[derive(Debug, Clone, Serialize)]
pub struct CopyTestRow {
    pub restore_point: RestorePointId,
    pub result: TestResult,
    pub level: Level,
    pub started_at: String,
    pub finished_at: String,
    pub runner: String,
    /// How the master key was had.
    pub key_path: &'static str,
    pub file_count: i64,
    pub matched_count: i64,
    /// Until when it counts, as fixed when it ended.
    pub valid_until: Option<String>,
    /// Since when something of it is known to be damaged there.
    pub withdrawn_at: Option<String>,
}

fn copy_proof_report(conn: &mut Conn, id: DeviceId, now: Time) -> Result<CopyProofReport> {
    let known = service::copy_proof::of_device(conn, id, now)?;
    let proof = known.proof();
    let tests = store::copy_test::of_device(conn, id, 10)?;
    let row = |it: &CopyTest| CopyTestRow {
        restore_point: it.restore_point_id,
        result: it.result,
        level: it.level,
        started_at: it.started_at.iso(),
        finished_at: it.finished_at.iso(),
        runner: it.runner.clone(),
        key_path: "recovery_shares",
        file_count: it.file_count,
        matched_count: it.matched_count,
        valid_until: iso(it.valid_until),
        withdrawn_at: iso(it.withdrawn_at),
    };
    Ok(CopyProofReport {
        grade: proof.grade(now),
        sentence: proof.sentence(now, &Time::iso),
        tests: tests.iter().map(row).collect(),
    })
}

/// One requirement, and whether the device meets it.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyResult {
    pub policy: String,
    /// Requirement and limit in plain words.
    #[serde(skip)]
    pub sentence: String,
    pub requirement: String,
    pub limit: String,
    pub result: Compliance,
    pub value: String,
    pub since: Option<String>,
    pub source: String,
}

/// One restore point.
#[derive(Debug, Clone, Serialize)]
pub struct PointRow {
    pub id: RestorePointId,
    pub received_at: String,
    pub file_count: Option<i64>,
    pub size_bytes: Option<i64>,
    pub verified_at: Option<String>,
    pub partial_at: Option<String>,
    pub proven_at: Option<String>,
    pub failed_at: Option<String>,
    /// It lost its proof to damage, and is to be tested again.
    pub retest: Option<Retest>,
}

/// One restore test, without file names.
#[derive(Debug, Clone, Serialize)]
pub struct TestRow {
    pub id: RestoreTestId,
    pub device: DeviceId,
    pub restore_point: RestorePointId,
    pub state: TestState,
    pub result: Option<TestResult>,
    pub queued_at: String,
    pub finished_at: Option<String>,
    pub file_count: i64,
    pub matched_count: i64,
    pub seconds: Option<u64>,
}

impl TestRow {
    /// The row of a restore test.
    pub fn new(test: &RestoreTest) -> Self {
        Self {
            id: test.id,
            device: test.device_id,
            restore_point: test.restore_point_id,
            state: test.state,
            result: test.result,
            queued_at: test.queued_at.iso(),
            finished_at: iso(test.finished_at),
            file_count: test.file_count,
            matched_count: test.matched_count,
            seconds: test.duration().map(|it| it.as_secs()),
        }
    }
}

/// One command.
#[derive(Debug, Clone, Serialize)]
pub struct CommandRow {
    pub id: CommandId,
    pub device: DeviceId,
    pub kind: CommandKind,
    pub state: CommandState,
    pub created_at: String,
    pub delivered_at: Option<String>,
    pub finished_at: Option<String>,
    pub expires_at: String,
    pub result: Option<String>,
}

impl CommandRow {
    /// The row of a command.
    pub fn new(command: &store::command::Command) -> Self {
        Self {
            id: command.id,
            device: command.device_id,
            kind: command.kind,
            state: command.state,
            created_at: command.created_at.iso(),
            delivered_at: iso(command.delivered_at),
            finished_at: iso(command.finished_at),
            expires_at: command.expires_at.iso(),
            result: command.result.clone(),
        }
    }
}

/// How many restore points, tests and commands are reported for a device.
const NEWEST: i64 = 50;

/// Everything reported about a device; none if there is no such device.
///
/// # Errors
/// When the database refuses, or what it keeps cannot be read.
pub fn device(conn: &mut Conn, id: DeviceId, now: Time) -> Result<Option<DeviceReport>> {
    let Some(device) = store::device::find(conn, id)? else { return Ok(None) };
    let Some(listed) = device_list::of_ids(conn, &[id])?.pop() else { return Ok(None) };
    let facts = match store::device_status::find(conn, id)? {
        Some(status) => status.facts()?,
        None => Facts::default(),
    };
    let agent = store::agent_enrollment::find(conn, id, device.generation)?;
    let points = store::restore_point::of_device(conn, id, NEWEST)?;
    let tests = store::restore_test::of_device(conn, id, NEWEST)?;
    let commands = store::command::of_device(conn, id, NEWEST)?;
    let findings = service::policy::findings(conn, &device, now)?;
    let moment = loss::moment(conn, now)?;
    let row = rows(conn, std::slice::from_ref(&listed), &moment)?.pop().context("a device has a row")?;
    Ok(Some(DeviceReport {
        row,
        generation: device.generation,
        agent_version: agent.as_ref().map(|it| it.version.clone()).unwrap_or_default(),
        protected_roots: agent.map(|it| it.roots()).transpose()?.unwrap_or_default(),
        erased_at: iso(device.erased_at),
        facts: with_iso_times(serde_json::to_value(facts).context("writing a device's facts")?),
        evidence: evidence_report(&listed),
        space: store::repository::active_of_device(conn, id)?.map(|it| it.space()),
        second_copy: CopyReport::new(&service::copy::of_device(conn, id, now)?, now),
        from_second_copy: copy_proof_report(conn, id, now)?,
        policies: findings.iter().map(policy_result).collect(),
        restore_points: points.iter().map(point_row).collect(),
        restore_tests: tests.iter().map(TestRow::new).collect(),
        commands: commands.iter().map(CommandRow::new).collect(),
    }))
}

fn evidence_report(listed: &ListedDevice) -> EvidenceReport {
    listed.proof.as_ref().map_or_else(EvidenceReport::default, |it| EvidenceReport {
        stored_at: iso(it.stored_at),
        verified_at: iso(it.verified_at),
        verified_until: iso(it.verified_until),
        partial_at: iso(it.partial_at),
        partial_tested_at: iso(it.partial_tested_at),
        partial_until: iso(it.partial_until),
        partial_file_count: it.partial_file_count,
        partial_matched_count: it.partial_matched_count,
        proven_tested_at: iso(it.proven_tested_at),
        file_count: it.file_count,
        matched_count: it.matched_count,
        failed_at: iso(it.failed_at),
        failed_test: it.failed_test_id,
    })
}

fn policy_result(finding: &Finding) -> PolicyResult {
    PolicyResult {
        policy: finding.policy_name.clone(),
        sentence: finding.requirement.sentence(),
        requirement: finding.requirement.name().to_owned(),
        limit: finding.limit.clone(),
        result: finding.outcome,
        value: match &finding.value {
            Value::Nothing => String::new(),
            Value::Encryption(state) => state.to_string(),
            Value::At(at) => at.iso(),
            Value::Version(version) => version.clone(),
            Value::Passcode(is_set) => is_set.to_string(),
            Value::NoKey => "no_key".to_owned(),
        },
        since: iso(finding.since),
        source: finding.source.clone(),
    }
}

fn point_row(point: &store::restore_point::RestorePoint) -> PointRow {
    PointRow {
        id: point.id,
        received_at: point.received_at.iso(),
        file_count: point.file_count,
        size_bytes: point.size_bytes,
        verified_at: iso(point.verified_at),
        partial_at: iso(point.partial_at),
        proven_at: iso(point.proven_at),
        failed_at: iso(point.failed_at),
        retest: point.retest,
    }
}
