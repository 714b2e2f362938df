//! What is required of devices, and whether a device meets it.
//!
//! Nothing is compliant by default: what is not known, was measured too long ago, or comes from the future is
//! unknown, and unknown is never compliant.
use crate::device::Encryption;
use crate::fact::{self, FACT_HOLDS, FactKind, FactValue, Facts};
use crate::fields::FieldErrors;
use crate::id::PolicyId;
use crate::name;
use crate::proof::Evidence;
use crate::text::text_enum;
use crate::time::{Time, minutes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One requirement of a policy, with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "require", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    StorageEncrypted,
    /// A proven restore point received within this many minutes.
    ProvenRestorePoint {
        within_minutes: u32,
    },
    /// A backup within this many minutes; the agent's schedule follows it.
    BackupEvery {
        minutes: u32,
    },
    CheckInWithin {
        minutes: u32,
    },
    /// Such as `14.2`, compared part by part as numbers.
    MinimumOsVersion {
        version: String,
    },
    PasscodeSet,
}

text_enum! {
    /// What a requirement is about, whatever its limit.
    RequirementKind {
        StorageEncrypted = "storage_encrypted",
        ProvenRestorePoint = "proven_restore_point",
        BackupEvery = "backup_every",
        CheckInWithin = "check_in_within",
        MinimumOsVersion = "minimum_os_version",
        PasscodeSet = "passcode_set",
    }
}

impl RequirementKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StorageEncrypted => "Storage encrypted",
            Self::ProvenRestorePoint => "Proven restore point",
            Self::BackupEvery => "Backup",
            Self::CheckInWithin => "Check-in",
            Self::MinimumOsVersion => "Minimum OS version",
            Self::PasscodeSet => "Passcode set",
        }
    }
}

/// The longest span that a requirement may allow: a year.
const MAX_MINUTES: u32 = 366 * 24 * 60;

impl Requirement {
    /// What it is about.
    pub const fn kind(&self) -> RequirementKind {
        match self {
            Self::StorageEncrypted => RequirementKind::StorageEncrypted,
            Self::ProvenRestorePoint { .. } => RequirementKind::ProvenRestorePoint,
            Self::BackupEvery { .. } => RequirementKind::BackupEvery,
            Self::CheckInWithin { .. } => RequirementKind::CheckInWithin,
            Self::MinimumOsVersion { .. } => RequirementKind::MinimumOsVersion,
            Self::PasscodeSet => RequirementKind::PasscodeSet,
        }
    }

    /// The name that people use.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// The limit in words, such as `within 24 h`.
    pub fn limit(&self) -> String {
        match self {
            Self::StorageEncrypted => "encrypted".to_owned(),
            Self::ProvenRestorePoint { within_minutes: count } | Self::CheckInWithin { minutes: count } => {
                format!("within {}", span(*count))
            }
            Self::BackupEvery { minutes: count } => format!("every {}", span(*count)),
            Self::MinimumOsVersion { version } => format!("{version} or newer"),
            Self::PasscodeSet => "set".to_owned(),
        }
    }

    /// The whole requirement, such as "Proven restore point within 24 h".
    pub fn sentence(&self) -> String {
        match self {
            Self::StorageEncrypted | Self::PasscodeSet => self.name().to_owned(),
            Self::ProvenRestorePoint { .. }
            | Self::BackupEvery { .. }
            | Self::CheckInWithin { .. }
            | Self::MinimumOsVersion { .. } => format!("{} {}", self.name(), self.limit()),
        }
    }

    /// Whether data depends on it: that backups arrive, that they are proven, and that silence is noticed.
    pub const fn guards_data(&self) -> bool {
        match self {
            Self::ProvenRestorePoint { .. } | Self::BackupEvery { .. } | Self::CheckInWithin { .. } => true,
            Self::StorageEncrypted | Self::MinimumOsVersion { .. } | Self::PasscodeSet => false,
        }
    }

    /// Whether it asks for at least as much as `other`.
    fn is_as_strict_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::ProvenRestorePoint { within_minutes: new }, Self::ProvenRestorePoint { within_minutes: old })
            | (Self::BackupEvery { minutes: new }, Self::BackupEvery { minutes: old })
            | (Self::CheckInWithin { minutes: new }, Self::CheckInWithin { minutes: old }) => new <= old,
            (Self::MinimumOsVersion { version: new }, Self::MinimumOsVersion { version: old }) => {
                at_least(new, old) == Compliance::Compliant
            }
            (new, old) => new == old,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::ProvenRestorePoint { within_minutes: count }
            | Self::BackupEvery { minutes: count }
            | Self::CheckInWithin { minutes: count } => match count {
                1..=MAX_MINUTES => Ok(()),
                _ => Err("the span must be 1 minute to 366 days"),
            },
            Self::MinimumOsVersion { version } => match Version::parse(version) {
                Some(_) if version.len() <= 40 => Ok(()),
                _ => Err("a version consists of numbers and dots, such as 14.2"),
            },
            Self::StorageEncrypted | Self::PasscodeSet => Ok(()),
        }
    }
}

/// Checks a policy's name and requirements as they were typed.
///
/// # Errors
/// Each wrong field with what is wrong: `name` or `requirements`.
pub fn validate(text: &str, requirements: &[Requirement]) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::new();
    match text.trim().chars().count() {
        0 => errors.add("name", "give the policy a name"),
        1..=80 if !name::is_plain(text) => errors.add("name", name::NOT_PLAIN),
        1..=80 => {}
        _ => errors.add("name", "a name has at most 80 characters"),
    }
    if requirements.is_empty() {
        errors.add("requirements", "choose at least one requirement");
    }
    for (at, requirement) in requirements.iter().enumerate() {
        if let Err(why) = requirement.check() {
            errors.add("requirements", format!("{}: {why}", requirement.name()));
        }
        if requirements.iter().take(at).any(|it| it.name() == requirement.name()) {
            errors.add("requirements", format!("{} appears twice", requirement.name()));
        }
    }
    errors.into_result()
}

/// What a change weakens in a policy that guards data, in words.
///
/// Empty if it weakens nothing, or if the policy guards no data. `new` is none if the policy is removed;
/// `is_for_fewer` is set if it no longer applies to all the devices it applied to.
pub fn loosened(old: &[Requirement], new: Option<&[Requirement]>, is_for_fewer: bool) -> Vec<String> {
    if !old.iter().any(Requirement::guards_data) {
        return Vec::new();
    }
    let Some(new) = new else { return vec!["the policy is removed".to_owned()] };
    let mut said = Vec::new();
    for was in old {
        let same = new.iter().find(|it| it.name() == was.name());
        match same {
            Some(is) if is.is_as_strict_as(was) => {}
            Some(is) => said.push(format!("{}, which was {}", is.sentence(), was.limit())),
            None => said.push(format!("{} is no longer required", was.sentence())),
        }
    }
    if is_for_fewer {
        said.push("it no longer applies to the same devices".to_owned());
    }
    said
}

/// The part of a policy that a device must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub id: PolicyId,
    pub name: String,
    pub requirements: Vec<Requirement>,
}

/// What is known about a device when it is checked against its policies.
#[derive(Debug, Clone, Copy)]
pub struct DeviceState<'a> {
    pub facts: &'a Facts,
    pub evidence: Evidence,
    pub last_seen_at: Option<Time>,
    pub enrolled_at: Time,
}

text_enum! {
    /// Whether a device meets a requirement.
    Compliance { Compliant = "compliant", NotCompliant = "not_compliant", Unknown = "unknown" }
}

impl Compliance {
    /// The word on the badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::NotCompliant => "Not compliant",
            Self::Unknown => "Unknown",
        }
    }
}

/// What was found for one requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub policy: PolicyId,
    pub policy_name: String,
    pub requirement: Requirement,
    pub outcome: Compliance,
    pub value: Value,
    /// In words.
    pub limit: String,
    /// Since when this has been the outcome, if known.
    pub since: Option<Time>,
    /// Where the value comes from; empty if the server knows it itself.
    pub source: String,
}

/// The value that a requirement was checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There is no value.
    Nothing,
    Encryption(Encryption),
    /// Something last happened at this time.
    At(Time),
    Version(String),
    Passcode(bool),
}

/// How much the server's own clock may have been set back without alarm.
const SERVER_CLOCK: Duration = minutes(1);

/// Checks a device against the policies that apply to it at `now`.
pub fn evaluate(policies: &[Applied], device: &DeviceState<'_>, now: Time) -> Vec<Finding> {
    let each = policies.iter().flat_map(|policy| policy.requirements.iter().map(move |it| (policy, it)));
    each.map(|(policy, requirement)| {
        let found = find(requirement, device, now);
        Finding {
            policy: policy.id,
            policy_name: policy.name.clone(),
            requirement: requirement.clone(),
            outcome: found.outcome,
            value: found.value,
            limit: requirement.limit(),
            since: found.since,
            source: found.source,
        }
    })
    .collect()
}

/// The overall outcome of these findings: the worst of them; none if nothing is required.
pub fn overall<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Compliance> {
    let from_worst = |it: &Compliance| match it {
        Compliance::NotCompliant => 0,
        Compliance::Unknown => 1,
        Compliance::Compliant => 2,
    };
    findings.into_iter().map(|it| it.outcome).min_by_key(from_worst)
}

struct Found {
    outcome: Compliance,
    value: Value,
    since: Option<Time>,
    source: String,
}

fn find(requirement: &Requirement, device: &DeviceState<'_>, now: Time) -> Found {
    match requirement {
        Requirement::StorageEncrypted => from_fact(device.facts, FactKind::Encryption, now, |it| {
            let FactValue::Encryption(it) = it else { return NOT_KNOWN };
            (encrypted(it.state), Value::Encryption(it.state))
        }),
        Requirement::PasscodeSet => from_fact(device.facts, FactKind::PasscodeSet, now, |it| {
            let FactValue::Flag(set) = it else { return NOT_KNOWN };
            (compliant_if(*set), Value::Passcode(*set))
        }),
        Requirement::MinimumOsVersion { version } => from_fact(device.facts, FactKind::OsVersion, now, |it| {
            let FactValue::Text(is) = it else { return NOT_KNOWN };
            (at_least(is, version), Value::Version(is.clone()))
        }),
        Requirement::CheckInWithin { minutes: count } => {
            happened_within(device.last_seen_at, span_of(*count), device.enrolled_at, now)
        }
        Requirement::BackupEvery { minutes: count } => {
            let found = happened_within(device.evidence.stored_at, span_of(*count), device.enrolled_at, now);
            unless_away(found, &device.evidence)
        }
        Requirement::ProvenRestorePoint { within_minutes: count } => {
            unless_away(proven_within(&device.evidence, span_of(*count), device.enrolled_at, now), &device.evidence)
        }
    }
}

/// A fact that is of another kind than it says tells nothing.
const NOT_KNOWN: (Compliance, Value) = (Compliance::Unknown, Value::Nothing);

fn from_fact(facts: &Facts, kind: FactKind, now: Time, judge: impl Fn(&FactValue) -> (Compliance, Value)) -> Found {
    let Some(fact) = facts.get(kind) else {
        return Found { outcome: Compliance::Unknown, value: Value::Nothing, since: None, source: String::new() };
    };
    let (outcome, value) = judge(&fact.value);
    let holds = fact::still_holds(fact.measured_at, now);
    if holds {
        Found { outcome, value, since: Some(fact.since), source: fact.source.clone() }
    } else {
        let since = Some(fact.measured_at + FACT_HOLDS).filter(|it| *it <= now);
        Found { outcome: Compliance::Unknown, value, since, source: fact.source.clone() }
    }
}

fn happened_within(at: Option<Time>, limit: Duration, enrolled_at: Time, now: Time) -> Found {
    let (outcome, since) = match at {
        None => (Compliance::NotCompliant, Some(enrolled_at)),
        // The clock was set back, so nobody knows how old this is.
        Some(at) if at > now + SERVER_CLOCK => (Compliance::Unknown, None),
        Some(at) if now.since(at) <= limit => (Compliance::Compliant, Some(at)),
        Some(at) => (Compliance::NotCompliant, Some(at + limit)),
    };
    Found { outcome, value: at.map_or(Value::Nothing, Value::At), since, source: String::new() }
}

/// What only the store can show is not known while the store cannot be read.
fn unless_away(found: Found, evidence: &Evidence) -> Found {
    match evidence.store_away_since {
        Some(since) => Found { outcome: Compliance::Unknown, since: Some(since), ..found },
        None => found,
    }
}

fn proven_within(evidence: &Evidence, limit: Duration, enrolled_at: Time, now: Time) -> Found {
    let mut found = happened_within(evidence.proven.map(|it| it.point_at), limit, enrolled_at, now);
    let Some(proven) = evidence.proven else { return found };
    if found.outcome == Compliance::Unknown {
        return found;
    }
    // A failed test ends the proof at once, and so does its expiry.
    let lost_at = [evidence.failed_at, Some(proven.until).filter(|until| *until <= now)].into_iter().flatten().min();
    if let Some(lost_at) = lost_at {
        let since = match found.outcome {
            Compliance::NotCompliant => found.since.map_or(lost_at, |it| it.min(lost_at)),
            Compliance::Compliant | Compliance::Unknown => lost_at,
        };
        found.outcome = Compliance::NotCompliant;
        found.since = Some(since);
    }
    found
}

const fn encrypted(state: Encryption) -> Compliance {
    match state {
        Encryption::On => Compliance::Compliant,
        Encryption::Off => Compliance::NotCompliant,
        Encryption::Unknown => Compliance::Unknown,
    }
}

const fn compliant_if(yes: bool) -> Compliance {
    if yes { Compliance::Compliant } else { Compliance::NotCompliant }
}

fn at_least(is: &str, least: &str) -> Compliance {
    match (Version::find(is), Version::parse(least)) {
        (Some(is), Some(least)) => compliant_if(is.is_at_least(&least)),
        _ => Compliance::Unknown,
    }
}

/// A version as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version(Vec<u64>);

impl Version {
    /// Reads numbers and dots only.
    fn parse(text: &str) -> Option<Self> {
        text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>().map(Self)
    }

    /// Finds the version in a name such as `Debian GNU/Linux 12.5 (bookworm)`: the first word that begins with a digit.
    fn find(text: &str) -> Option<Self> {
        let word = text.split_whitespace().find(|word| word.starts_with(|it: char| it.is_ascii_digit()))?;
        let numbers: String = word.chars().take_while(|it| it.is_ascii_digit() || *it == '.').collect();
        Self::parse(numbers.trim_end_matches('.'))
    }

    /// Compares part by part; a part that is missing is 0, so `14` is `14.0`.
    fn is_at_least(&self, least: &Self) -> bool {
        let part = |version: &Self, at: usize| version.0.get(at).copied().unwrap_or(0);
        let count = self.0.len().max(least.0.len());
        let differs = (0..count).map(|at| (part(self, at), part(least, at))).find(|(is, least)| is != least);
        differs.is_none_or(|(is, least)| is > least)
    }
}

fn span_of(count: u32) -> Duration {
    minutes(u64::from(count))
}

fn span(count: u32) -> String {
    match count {
        _ if count > 0 && count.is_multiple_of(24 * 60) => format!("{} d", count / (24 * 60)),
        _ if count > 0 && count.is_multiple_of(60) => format!("{} h", count / 60),
        _ => format!("{count} min"),
    }
}

/// The spans a device's schedule follows: the tightest of all policies that apply to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    pub backup_every: Option<Duration>,
    pub check_in_within: Option<Duration>,
}

impl Schedule {
    /// The tightest spans of `policies`.
    pub fn tightest(policies: &[Applied]) -> Self {
        let all = || policies.iter().flat_map(|it| &it.requirements);
        let backups = all().filter_map(|it| {
            if let Requirement::BackupEvery { minutes } = it { Some(span_of(*minutes)) } else { None }
        });
        let check_ins = all().filter_map(|it| {
            if let Requirement::CheckInWithin { minutes } = it { Some(span_of(*minutes)) } else { None }
        });
        Self { backup_every: backups.min(), check_in_within: check_ins.min() }
    }

    /// How often to check in: `default`, or twice in the time a policy allows.
    pub fn check_in_every(&self, default: Duration) -> Duration {
        self.check_in_within.map_or(default, |it| default.min(it / 2)).max(MIN_CHECK_IN)
    }
}

/// No device is asked to check in more often.
const MIN_CHECK_IN: Duration = Duration::from_secs(5);

/// What the device must follow. `version` changes with the content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePolicy {
    pub version: String,
    /// The shortest backup interval of all policies; none if no policy asks for backups.
    pub backup_every_seconds: Option<u64>,
    pub check_in_every_seconds: u64,
    /// The folders recorded at enrolment.
    pub protected_roots: Vec<String>,
    /// Which policies apply, for the person at the device.
    #[serde(default)]
    pub policies: Vec<PolicyName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    pub id: PolicyId,
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{EncryptionFact, Reported};
    use crate::proof::Held;
    use crate::time::{days, hours};
    use Compliance::{Compliant, NotCompliant, Unknown};

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    #[test]
    fn what_a_change_takes_from_a_policy_that_guards_data_is_said() {
        let backup = |minutes| Requirement::BackupEvery { minutes };
        let (old, os) = ([backup(240), Requirement::PasscodeSet], |it: &str| Requirement::MinimumOsVersion {
            version: it.to_owned(),
        });
        let gone = "Passcode set is no longer required";
        for (new, is_for_fewer, expected) in [
            (Some(&old[..]), false, vec![]),
            (Some(&[backup(60), Requirement::PasscodeSet, os("12")][..]), false, vec![]),
            (Some(&[backup(1440), Requirement::PasscodeSet]), false, vec!["Backup every 1 d, which was every 4 h"]),
            (Some(&[backup(240)]), false, vec![gone]),
            (Some(&[Requirement::PasscodeSet]), false, vec!["Backup every 4 h is no longer required"]),
            (Some(&old), true, vec!["it no longer applies to the same devices"]),
            (None, false, vec!["the policy is removed"]),
        ] {
            assert_eq!(loosened(&old, new, is_for_fewer), expected);
        }
        assert!(loosened(&[Requirement::PasscodeSet, os("12")], None, true).is_empty(), "it guards no data");
        let with_os = [backup(240), os("12.4")];
        assert!(loosened(&with_os, Some(&[backup(240), os("12.10")]), false).is_empty());
        assert_eq!(loosened(&with_os, Some(&[backup(240), os("12.3")]), false).len(), 1);
    }
    const ENROLLED: Time = Time::from_millis(1_795_000_000_000);

    fn fact(kind: FactKind, value: FactValue, measured_at: Time) -> Facts {
        Facts::default().with([Reported { kind, value, source: "test".to_owned(), measured_at }], ENROLLED)
    }

    fn judge(
        requirement: Requirement,
        facts: &Facts,
        evidence: Evidence,
        last_seen_at: Option<Time>,
        now: Time,
    ) -> (Compliance, Option<Time>) {
        let policy = Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements: vec![requirement] };
        let device = DeviceState { facts, evidence, last_seen_at, enrolled_at: ENROLLED };
        let finding = evaluate(&[policy], &device, now).remove(0);
        (finding.outcome, finding.since)
    }

    fn by_facts(requirement: Requirement, facts: &Facts, now: Time) -> (Compliance, Option<Time>) {
        judge(requirement, facts, Evidence::default(), None, now)
    }

    fn encryption(state: Encryption, measured_at: Time) -> Facts {
        let value = EncryptionFact { state, method: String::new() };
        fact(FactKind::Encryption, FactValue::Encryption(value), measured_at)
    }

    #[test]
    fn encryption_and_passcode_are_what_the_device_says_and_only_while_it_is_fresh() {
        for (facts, expected) in [
            (encryption(Encryption::On, NOW), (Compliant, Some(ENROLLED))),
            (encryption(Encryption::Off, NOW), (NotCompliant, Some(ENROLLED))),
            (encryption(Encryption::Unknown, NOW), (Unknown, Some(ENROLLED))),
            (Facts::default(), (Unknown, None)),
            (encryption(Encryption::On, NOW - days(8)), (Unknown, Some(NOW - days(1)))),
            (encryption(Encryption::On, NOW + days(2)), (Unknown, None)),
        ] {
            assert_eq!(by_facts(Requirement::StorageEncrypted, &facts, NOW), expected, "{facts:?}");
        }
        let passcode = |set| fact(FactKind::PasscodeSet, FactValue::Flag(set), NOW);
        assert_eq!(by_facts(Requirement::PasscodeSet, &passcode(true), NOW).0, Compliant);
        assert_eq!(by_facts(Requirement::PasscodeSet, &passcode(false), NOW).0, NotCompliant);
        assert_eq!(by_facts(Requirement::PasscodeSet, &Facts::default(), NOW).0, Unknown);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (is, least, expected) in [
            ("14.2", "14.2", Compliant),
            ("14.2.0", "14.2", Compliant),
            ("14", "14.0", Compliant),
            ("14.10", "14.9", Compliant),
            ("14.1.9", "14.2", NotCompliant),
            ("9", "10", NotCompliant),
            ("Debian GNU/Linux 12.5 (bookworm)", "12", Compliant),
            ("Ubuntu 24.04.1 LTS", "24.10", NotCompliant),
            ("10.0.22631-beta", "10.0.22000", Compliant),
            ("rolling", "1", Unknown),
            ("", "1", Unknown),
            ("99999999999999999999999", "1", Unknown),
        ] {
            let facts = fact(FactKind::OsVersion, FactValue::Text(is.to_owned()), NOW);
            let requirement = Requirement::MinimumOsVersion { version: least.to_owned() };
            assert_eq!(by_facts(requirement, &facts, NOW).0, expected, "{is} against {least}");
        }
    }

    #[test]
    fn a_check_in_counts_from_the_servers_clock() {
        let required = || Requirement::CheckInWithin { minutes: 60 };
        for (seen, expected) in [
            (Some(NOW - minutes(60)), (Compliant, Some(NOW - minutes(60)))),
            (Some(NOW - minutes(61)), (NotCompliant, Some(NOW - minutes(1)))),
            (Some(NOW + hours(1)), (Unknown, None)),
            (None, (NotCompliant, Some(ENROLLED))),
        ] {
            let found = judge(required(), &Facts::default(), Evidence::default(), seen, NOW);
            assert_eq!(found, expected, "{seen:?}");
        }
    }

    #[test]
    fn a_backup_counts_when_the_server_holds_it() {
        let required = || Requirement::BackupEvery { minutes: 60 };
        let at = |stored_at, newest_at| Evidence { stored_at, newest_at, ..Evidence::default() };
        for (evidence, expected) in [
            (at(Some(NOW - minutes(5)), Some(NOW)), Compliant),
            (at(Some(NOW - minutes(90)), Some(NOW)), NotCompliant),
            (at(None, Some(NOW)), NotCompliant),
            (at(None, None), NotCompliant),
        ] {
            let found = judge(required(), &Facts::default(), evidence, Some(NOW), NOW);
            assert_eq!(found.0, expected, "{evidence:?}");
        }
    }

    #[test]
    fn a_proof_counts_while_it_holds_and_its_point_is_new_enough() {
        let required = || Requirement::ProvenRestorePoint { within_minutes: 24 * 60 };
        let held = |age: u64, left: Duration| {
            Some(Held { point_at: NOW - hours(age), tested_at: NOW - hours(age), until: NOW + left })
        };
        let over = Some(Held { point_at: NOW - hours(5), tested_at: NOW - hours(5), until: NOW - hours(1) });
        for (proven, failed_at, expected) in [
            (held(1, hours(1)), None, (Compliant, Some(NOW - hours(1)))),
            (held(25, hours(1)), None, (NotCompliant, Some(NOW - hours(1)))),
            (over, None, (NotCompliant, Some(NOW - hours(1)))),
            (held(1, hours(1)), Some(NOW), (NotCompliant, Some(NOW))),
            (None, None, (NotCompliant, Some(ENROLLED))),
        ] {
            let evidence = Evidence { proven, failed_at, ..Evidence::default() };
            let found = judge(required(), &Facts::default(), evidence, Some(NOW), NOW);
            assert_eq!(found, expected, "{evidence:?}");
        }
    }

    #[test]
    fn a_clock_set_back_a_year_makes_nothing_compliant() {
        let said = |kind, value| Reported { kind, value, source: "test".to_owned(), measured_at: NOW };
        let (passcode, version) = (FactValue::Flag(true), FactValue::Text("12".to_owned()));
        let others = [said(FactKind::PasscodeSet, passcode), said(FactKind::OsVersion, version)];
        let facts = encryption(Encryption::On, NOW).with(others, NOW);
        let held = Some(Held { point_at: NOW, tested_at: NOW, until: NOW + days(7) });
        let evidence = Evidence {
            newest_at: Some(NOW),
            stored_at: Some(NOW),
            verified: held,
            proven: held,
            ..Evidence::default()
        };
        for requirement in [
            Requirement::StorageEncrypted,
            Requirement::ProvenRestorePoint { within_minutes: 60 },
            Requirement::BackupEvery { minutes: 60 },
            Requirement::CheckInWithin { minutes: 60 },
            Requirement::MinimumOsVersion { version: "12".to_owned() },
            Requirement::PasscodeSet,
        ] {
            let found = judge(requirement.clone(), &facts, evidence, Some(NOW), NOW - days(365));
            assert_eq!(found.0, Unknown, "{requirement:?}");
        }
    }

    #[test]
    fn the_worst_finding_is_the_devices_and_unknown_is_worse_than_compliant() {
        let policy = |requirements| Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements };
        let facts = encryption(Encryption::On, NOW);
        let device = DeviceState {
            facts: &facts,
            evidence: Evidence::default(),
            last_seen_at: Some(NOW),
            enrolled_at: ENROLLED,
        };
        let of = |requirements: Vec<_>| overall(&evaluate(&[policy(requirements)], &device, NOW));
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![Requirement::StorageEncrypted]), Some(Compliant));
        assert_eq!(of(vec![Requirement::StorageEncrypted, Requirement::PasscodeSet]), Some(Unknown));
        let backup = Requirement::BackupEvery { minutes: 1 };
        assert_eq!(of(vec![Requirement::PasscodeSet, backup]), Some(NotCompliant));
    }

    #[test]
    fn wrong_policies_are_refused_with_the_field() {
        let check_in = |minutes| Requirement::CheckInWithin { minutes };
        let version = |text: &str| Requirement::MinimumOsVersion { version: text.to_owned() };
        for (name, requirements, field) in [
            ("", vec![Requirement::PasscodeSet], "name"),
            (&*"x".repeat(81), vec![Requirement::PasscodeSet], "name"),
            ("p", vec![], "requirements"),
            ("p", vec![check_in(0)], "requirements"),
            ("p", vec![check_in(u32::MAX)], "requirements"),
            ("p", vec![version("12.x")], "requirements"),
            ("p", vec![version("")], "requirements"),
            ("p", vec![check_in(1), check_in(2)], "requirements"),
        ] {
            let error = validate(name, &requirements).unwrap_err();
            assert!(error.of(field).is_some(), "{error}");
        }
        assert!(validate("p", &[check_in(1), Requirement::PasscodeSet, version("14.2")]).is_ok());
    }

    #[test]
    fn the_schedule_is_the_tightest_of_all() {
        let policy = |requirements| Applied { id: PolicyId::generate(NOW), name: "p".to_owned(), requirements };
        let schedule = Schedule::tightest(&[
            policy(vec![Requirement::BackupEvery { minutes: 60 }, Requirement::CheckInWithin { minutes: 20 }]),
            policy(vec![Requirement::BackupEvery { minutes: 15 }]),
        ]);
        assert_eq!(schedule.backup_every, Some(minutes(15)));
        assert_eq!(schedule.check_in_every(minutes(15)), minutes(10));
        assert_eq!(Schedule::default().check_in_every(minutes(15)), minutes(15));
        assert_eq!(Schedule::tightest(&[]).backup_every, None);
    }

    #[test]
    fn limits_are_said_in_words() {
        assert_eq!(Requirement::BackupEvery { minutes: 1440 }.limit(), "every 1 d");
        assert_eq!(Requirement::CheckInWithin { minutes: 120 }.limit(), "within 2 h");
        assert_eq!(Requirement::ProvenRestorePoint { within_minutes: 90 }.limit(), "within 90 min");
    }
}
