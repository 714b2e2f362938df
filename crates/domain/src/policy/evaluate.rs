//! Whether a device meets its policies.
//!
//! Nothing is compliant by default: what is not known, was measured too long ago, or comes from the future is
//! unknown, and unknown is never compliant.
use super::Requirement;
use super::version::Version;
use crate::copy_proof::CopyGrade;
use crate::device::Encryption;
use crate::fact::{self, FACT_HOLDS, FactKind, FactValue, Facts};
use crate::id::PolicyId;
use crate::key_holder::KeyHolder;
use crate::proof::Evidence;
use crate::text::text_enum;
use crate::time::{Time, minutes};
use std::time::Duration;

/// The part of a policy that a device must meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub id: PolicyId,
    pub name: String,
    pub requirements: Vec<Requirement>,
}

/// What is known about a device when it is checked against its policies.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub facts: &'a Facts,
    pub evidence: Evidence,
    pub copy: CopyKnown,
    pub last_seen_at: Option<Time>,
    pub enrolled_at: Time,
}

/// What is known of the proof from the second copy alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyKnown {
    pub grade: CopyGrade,
    /// When the restore point that is proven so was received; none while none is.
    pub point_at: Option<Time>,
}

impl CopyKnown {
    /// Of a device of which nobody tested that.
    pub const NOTHING: Self = Self { grade: CopyGrade::Never, point_at: None };
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
    /// A proof is asked for, and the customer keeps the key.
    NoKey,
}

/// How much the server's own clock may have been set back without alarm.
const SERVER_CLOCK: Duration = minutes(1);

/// Checks a device against the policies that apply to it at `now`.
pub fn evaluate(policies: &[Applied], device: &Known<'_>, now: Time) -> Vec<Finding> {
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

fn find(requirement: &Requirement, device: &Known<'_>, now: Time) -> Found {
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
        Requirement::CopyProven { within_minutes: count } => {
            capped(copy_proven_within(device.copy, span_of(*count), device.enrolled_at, now), &device.evidence)
        }
        Requirement::ProvenRestorePoint { within_minutes: count } => {
            let found = proven_within(&device.evidence, span_of(*count), device.enrolled_at, now);
            unless_away(capped(found, &device.evidence), &device.evidence)
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

/// Where the customer keeps the key nothing is proven, whatever was written down, and it is said why.
fn capped(found: Found, evidence: &Evidence) -> Found {
    match evidence.key_holder {
        KeyHolder::Server => found,
        KeyHolder::Customer => Found { outcome: Compliance::NotCompliant, value: Value::NoKey, ..found },
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

fn copy_proven_within(copy: CopyKnown, limit: Duration, enrolled_at: Time, now: Time) -> Found {
    let found = happened_within(copy.point_at, limit, enrolled_at, now);
    match (copy.grade == CopyGrade::Unknown, copy.point_at) {
        (true, _) => Found { outcome: Compliance::Unknown, since: None, ..found },
        // It may have been proven before: since when it is not, only the test itself says.
        (false, None) => Found { since: None, ..found },
        (false, Some(_)) => found,
    }
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

pub(crate) fn at_least(is: &str, least: &str) -> Compliance {
    match (Version::find(is), Version::parse(least)) {
        (Some(is), Some(least)) => compliant_if(is.is_at_least(&least)),
        _ => Compliance::Unknown,
    }
}

fn span_of(count: u32) -> Duration {
    minutes(u64::from(count))
}
