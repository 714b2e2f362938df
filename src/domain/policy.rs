//! What is required of devices, and whether a device meets it.
//!
//! Nothing is compliant by default: what is not known, was measured too long
//! ago, or comes from the future is unknown, and unknown is never compliant.
use crate::domain::device::{DeviceFacts, Encryption, Fact};
use crate::domain::id::PolicyId;
use crate::domain::proof::Evidence;
use crate::domain::text::text_enum;
use crate::domain::time::{Time, days, minutes};
use crate::error::{FieldErrors, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One requirement of a policy, with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "require", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    StorageEncrypted,
    /// A restore point that is proven and was received within so many minutes.
    ProvenRestorePoint {
        within_minutes: u32,
    },
    /// A backup within so many minutes; the agent's schedule follows it.
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

/// The longest span that a requirement may allow: a year.
const MAX_MINUTES: u32 = 366 * 24 * 60;

impl Requirement {
    /// The name that people use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StorageEncrypted => "Storage encrypted",
            Self::ProvenRestorePoint { .. } => "Proven restore point",
            Self::BackupEvery { .. } => "Backup",
            Self::CheckInWithin { .. } => "Check-in",
            Self::MinimumOsVersion { .. } => "Minimum OS version",
            Self::PasscodeSet => "Passcode set",
        }
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

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::ProvenRestorePoint { within_minutes: count }
            | Self::BackupEvery { minutes: count }
            | Self::CheckInWithin { minutes: count } => match count {
                1..=MAX_MINUTES => Ok(()),
                _ => Err("the span is 1 minute to 366 days"),
            },
            Self::MinimumOsVersion { version } => match Version::parse(version) {
                Some(_) if version.len() <= 40 => Ok(()),
                _ => Err("a version is numbers and dots, such as 14.2"),
            },
            Self::StorageEncrypted | Self::PasscodeSet => Ok(()),
        }
    }
}

/// Checks a policy's name and requirements as they were typed.
///
/// # Errors
/// Each wrong field with what is wrong: `name` or `requirements`.
pub fn validate(name: &str, requirements: &[Requirement]) -> Result<()> {
    let mut errors = FieldErrors::new();
    match name.trim().chars().count() {
        0 => errors.add("name", "give the policy a name"),
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
            errors.add("requirements", format!("{} is there twice", requirement.name()));
        }
    }
    errors.into_result()
}

/// A policy as far as a device must meet it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub id: PolicyId,
    pub name: String,
    pub requirements: Vec<Requirement>,
}

/// What is known of a device when it is held against its policies.
#[derive(Debug, Clone, Copy)]
pub struct DeviceState<'a> {
    pub facts: &'a DeviceFacts,
    /// Since when the value of a fact is what it is, by the server's clock.
    pub since: Since,
    pub evidence: Evidence,
    pub last_seen_at: Option<Time>,
    pub enrolled_at: Time,
}

/// Since when facts have their value, by the server's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    pub encryption: Option<Time>,
    pub passcode_set: Option<Time>,
    pub os_version: Option<Time>,
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
    /// Since when the outcome is what it is, where that is known.
    pub since: Option<Time>,
    /// How the value was learned; empty where the server knows it by itself.
    pub source: String,
}

/// The value that a requirement was held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There is none.
    Nothing,
    Encryption(Encryption),
    /// Something last happened at this time.
    At(Time),
    Version(String),
    Passcode(bool),
}

/// A fact counts for so long after it was measured.
const FACT_HOLDS: Duration = days(7);
/// A device's clock may be ahead by so much.
const DEVICE_CLOCK: Duration = days(1);
/// The server's own clock may have been set back by so much without alarm.
const SERVER_CLOCK: Duration = minutes(1);

/// Holds a device against the policies that apply to it at `now`.
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

/// The outcome for a device as a whole: the worst of its findings; none where nothing is required.
pub fn overall(findings: &[Finding]) -> Option<Compliance> {
    let has = |outcome| findings.iter().any(|it| it.outcome == outcome);
    [Compliance::NotCompliant, Compliance::Unknown, Compliance::Compliant].into_iter().find(|it| has(*it))
}

struct Found {
    outcome: Compliance,
    value: Value,
    since: Option<Time>,
    source: String,
}

fn find(requirement: &Requirement, device: &DeviceState<'_>, now: Time) -> Found {
    match requirement {
        Requirement::StorageEncrypted => {
            from_fact(device.facts.encryption.as_ref(), device.since.encryption, now, |it| {
                (encrypted(it.state), Value::Encryption(it.state))
            })
        }
        Requirement::PasscodeSet => {
            from_fact(device.facts.passcode_set.as_ref(), device.since.passcode_set, now, |set| {
                (compliant_if(*set), Value::Passcode(*set))
            })
        }
        Requirement::MinimumOsVersion { version } => {
            from_fact(device.facts.os_version.as_ref(), device.since.os_version, now, |is| {
                (at_least(is, version), Value::Version(is.clone()))
            })
        }
        Requirement::CheckInWithin { minutes: count } => {
            happened_within(device.last_seen_at, span_of(*count), device.enrolled_at, now)
        }
        Requirement::BackupEvery { minutes: count } => {
            happened_within(device.evidence.stored_at, span_of(*count), device.enrolled_at, now)
        }
        Requirement::ProvenRestorePoint { within_minutes: count } => {
            proven_within(&device.evidence, span_of(*count), device.enrolled_at, now)
        }
    }
}

fn from_fact<T>(
    fact: Option<&Fact<T>>,
    since: Option<Time>,
    now: Time,
    judge: impl Fn(&T) -> (Compliance, Value),
) -> Found {
    let Some(fact) = fact else {
        return Found { outcome: Compliance::Unknown, value: Value::Nothing, since: None, source: String::new() };
    };
    let (outcome, value) = judge(&fact.value);
    let holds = fact.measured_at + FACT_HOLDS >= now && fact.measured_at <= now + DEVICE_CLOCK;
    if holds {
        Found { outcome, value, since, source: fact.source.clone() }
    } else {
        let since = Some(fact.measured_at + FACT_HOLDS).filter(|it| *it <= now);
        Found { outcome: Compliance::Unknown, value, since, source: fact.source.clone() }
    }
}

fn happened_within(at: Option<Time>, limit: Duration, enrolled_at: Time, now: Time) -> Found {
    let (outcome, since) = match at {
        None => (Compliance::NotCompliant, Some(enrolled_at)),
        // The clock was set back: how old this is cannot be told.
        Some(at) if at > now + SERVER_CLOCK => (Compliance::Unknown, None),
        Some(at) if now.since(at) <= limit => (Compliance::Compliant, Some(at)),
        Some(at) => (Compliance::NotCompliant, Some(at + limit)),
    };
    Found { outcome, value: at.map_or(Value::Nothing, Value::At), since, source: String::new() }
}

fn proven_within(evidence: &Evidence, limit: Duration, enrolled_at: Time, now: Time) -> Found {
    let mut found = happened_within(evidence.proven.map(|it| it.point_at), limit, enrolled_at, now);
    let Some(proven) = evidence.proven else { return found };
    if found.outcome == Compliance::Unknown {
        return found;
    }
    // A failed test takes the proof away at once, and so does its time running out.
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

/// The spans that a device's schedule follows: the tightest of all policies that apply to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    pub backup_every: Option<Duration>,
    pub check_in_within: Option<Duration>,
}

impl Schedule {
    /// The tightest spans of `policies`.
    pub fn tightest(policies: &[Applied]) -> Self {
        let all = || policies.iter().flat_map(|it| &it.requirements);
        let backups = all().filter_map(|it| match it {
            Requirement::BackupEvery { minutes } => Some(span_of(*minutes)),
            _ => None,
        });
        let check_ins = all().filter_map(|it| match it {
            Requirement::CheckInWithin { minutes } => Some(span_of(*minutes)),
            _ => None,
        });
        Self { backup_every: backups.min(), check_in_within: check_ins.min() }
    }

    /// How often to check in: `default`, or twice in the time that a policy allows.
    pub fn check_in_every(&self, default: Duration) -> Duration {
        self.check_in_within.map_or(default, |it| default.min(it / 2)).max(MIN_CHECK_IN)
    }
}

/// No device is asked to check in more often.
const MIN_CHECK_IN: Duration = Duration::from_secs(5);
