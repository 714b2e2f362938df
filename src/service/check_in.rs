//! A check-in: what a device reports about itself, the results of its commands, and what it should do next.
//!
//! One write, no act: it runs thousands of times a second. Only the end of a command is recorded in the
//! history.
use crate::error::{Error, FieldErrors, Result};
use crate::service::command::deliver::deliver;
use crate::service::command::finish::finish;
use crate::service::{identity, installation, policy};
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::command::{Ending, Instruction};
use domain::continuity::{Brought, Sender};
use domain::device::{Changes, DeviceFacts, Encryption, Fact, MAX_ROOTS, Origin};
use domain::name;
use domain::policy::{DevicePolicy, Since};
use domain::time::Time;
use serde::Serialize;
use std::time::Duration;

/// The most results one check-in may bring.
const MAX_RESULTS: usize = 100;
/// The longest text of a fact.
const MAX_TEXT: usize = 200;
/// The longest path of a folder.
const MAX_PATH: usize = 4096;

/// What a device reports at a check-in.
#[derive(Debug, Clone)]
pub struct Report {
    pub agent_version: String,
    pub facts: DeviceFacts,
    /// How commands ended; repeated until a check-in is answered.
    pub endings: Vec<Ending>,
    /// The version of the policy that the device holds.
    pub policy_version: String,
    /// Shows that it is the machine that was answered last.
    pub continuity: Option<Brought>,
}

/// What a device should do until its next check-in.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Only if it differs from what the device holds.
    pub policy: Option<DevicePolicy>,
    pub instructions: Vec<Instruction>,
    pub next: Duration,
    /// What the next check-in must bring.
    pub baton: Option<String>,
}

/// Checks what a message's form cannot: ranges, lengths and times.
///
/// # Errors
/// Each wrong field.
pub fn check(check_in: &Report, now: Time) -> Result<()> {
    let mut errors = FieldErrors::new();
    let mut text = |field: &'static str, value: &str| {
        if value.len() > MAX_TEXT || !name::is_plain(value) {
            errors.add(
                field,
                format!("at most {MAX_TEXT} bytes, without control characters, line breaks or direction marks"),
            );
        }
    };
    text("agent_version", &check_in.agent_version);
    text("policy_version", &check_in.policy_version);
    let facts = &check_in.facts;
    if let Some(fact) = &facts.encryption {
        text("facts.encryption.value.method", &fact.value.method);
    }
    for (field, fact) in
        [("facts.os_version", &facts.os_version), ("facts.model", &facts.model), ("facts.serial", &facts.serial)]
    {
        text(field, fact.as_ref().map_or("", |it| &it.value));
    }
    for it in facts.origins() {
        text(it.source_field, it.source);
    }
    for it in facts.origins().filter(|it| !it.is_dated_well(now)) {
        errors.add(it.measured_at_field, "since 2000, and at most a minute ahead of the server's time");
    }
    if facts.battery_percent.as_ref().is_some_and(|it| !(0..=100).contains(&it.value)) {
        errors.add("facts.battery_percent.value", "0 to 100");
    }
    if facts.free_bytes.as_ref().is_some_and(|it| it.value < 0) {
        errors.add("facts.free_bytes.value", "not below 0");
    }
    if facts.changes.as_ref().is_some_and(|it| it.value.files < 0 || it.value.bytes < 0) {
        errors.add("facts.changes.value", "not below 0");
    }
    if let Some(brought) = &check_in.continuity {
        let bad = |it: &str| it.len() > Brought::MAX_BYTES || it.chars().any(char::is_control);
        if bad(&brought.attempt) || brought.attempt.is_empty() || brought.baton.as_deref().is_some_and(bad) {
            let most = Brought::MAX_BYTES;
            errors.add("continuity", format!("a baton and an attempt of at most {most} bytes, as handed out"));
        }
    }
    if let Some(fact) = &facts.roots_away {
        let is_path = |it: &String| (1..=MAX_PATH).contains(&it.len()) && !it.chars().any(char::is_control);
        if fact.value.len() > MAX_ROOTS || !fact.value.iter().all(is_path) {
            errors.add("facts.roots_away.value", format!("at most {MAX_ROOTS} paths without control characters"));
        }
    }
    if check_in.endings.len() > MAX_RESULTS {
        errors.add("results", format!("at most {MAX_RESULTS}"));
    }
    Ok(errors.into_result()?)
}

/// Takes a check-in of the device's current enrolment and returns what it should do.
///
/// `address` is where it came from.
///
/// # Errors
/// When a field is out of range, or the database refuses.
pub fn run(conn: &mut Conn, device: &Device, check_in: &Report, address: &str, now: Time) -> Result<Answer> {
    if let Some(it) = check_in.facts.origins().find(Origin::is_demo)
        && !installation::is_demo(conn)?
    {
        return Err(Error::invalid(it.source_field, "only the demo's devices have a scenario"));
    }
    if !check_in.endings.is_empty() {
        // The end of a command is recorded, so it takes its turn among the acts and locks in their order.
        store::activity::lock(conn)?;
    }
    for ending in &check_in.endings {
        finish(conn, device, ending, address, now)?;
    }
    let policy = policy::device_policy(conn, device, now)?;
    let next = jittered(Duration::from_secs(policy.check_in_every_seconds))?;
    let kept = Kept { now, next_at: now + next, every: Duration::from_secs(policy.check_in_every_seconds) };
    let baton = keep(conn, device, check_in, address, &kept)?;
    Ok(Answer {
        baton,
        policy: Some(policy).filter(|it| it.version != check_in.policy_version),
        instructions: deliver(conn, device, now)?,
        next,
    })
}

/// Half to one and a half of `every`: devices that were switched on together do not stay in step.
fn jittered(every: Duration) -> Result<Duration> {
    let random = u64::from(u16::from_le_bytes(secret::bytes()?));
    let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX / 2);
    let jitter = millis.saturating_mul(random) / u64::from(u16::MAX);
    Ok(Duration::from_millis((millis / 2).saturating_add(jitter)).max(Duration::from_secs(1)))
}

/// The facts as stored, with the times by our clock, which the device cannot know.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(flatten)]
    facts: &'a DeviceFacts,
    since: Since,
}

/// When a check-in came, when the next is due, and the schedule the device was told.
struct Kept {
    now: Time,
    next_at: Time,
    every: Duration,
}

/// How many check-ins in a row a device may miss before nobody knows what is on it.
const MISSED: u32 = 2;

impl Kept {
    /// When two check-ins of this schedule have been missed.
    fn until(&self, since: Time) -> Time {
        since + self.every.saturating_mul(MISSED)
    }

    /// Until when the device's count holds: a new one for two check-ins of the schedule it came with, an older
    /// one as long as it did before, and never longer than the device is heard from.
    fn count_until(&self, changes: Option<&Fact<Changes>>, old: &DeviceStatus) -> Option<Time> {
        let until = match changes {
            Some(new) => Some(self.until(new.measured_at.min(self.now))),
            None => old.changed_until,
        };
        until.map(|it| it.min(self.until(self.now)))
    }
}

fn keep(conn: &mut Conn, device: &Device, check_in: &Report, address: &str, kept: &Kept) -> Result<Option<String>> {
    let now = kept.now;
    let old = store::device_status::find(conn, device.id)?.unwrap_or_else(|| DeviceStatus::new(device.id));
    let (known, since) = (old.facts()?, old.since()?);
    let sender = Sender { brought: check_in.continuity.as_ref(), address, now };
    let step = old.continuity()?.step(old.doubt, sender, &hex::encode(secret::bytes::<8>()?));
    let facts = check_in.facts.clone().over(known.clone());
    let facts = if step.doubt.stands() { facts.of_an_unknown_machine() } else { facts };
    let encryption = facts.encryption.as_ref().map_or(Encryption::Unknown, |it| it.value.state);
    let since = Since {
        encryption: if encryption == old.encryption { old.encryption_since.or(Some(now)) } else { Some(now) },
        passcode_set: moved(value(&known.passcode_set), value(&facts.passcode_set), since.passcode_set, now),
        os_version: moved(value(&known.os_version), value(&facts.os_version), since.os_version, now),
    };
    // Two machines each count their own files: while there may be two, no number says what the device holds.
    let changes = facts.changes.as_ref().filter(|_| !step.doubt.stands());
    let status = DeviceStatus {
        device_id: device.id,
        last_seen_at: Some(now),
        next_check_in_at: Some(kept.next_at),
        facts: serde_json::to_string(&Stored { facts: &facts, since }).context("writing a device's facts")?,
        encryption,
        encryption_since: since.encryption,
        changed_files: changes.map(|it| it.value.files),
        changed_bytes: changes.map(|it| it.value.bytes),
        changed_measured_at: changes.map(|it| it.measured_at),
        changed_until: kept.count_until(check_in.facts.changes.as_ref(), &old),
        heard_until: Some(kept.until(now)),
        roots_away: roots_away(&facts)?,
        policy_version: check_in.policy_version.clone(),
        address: address.to_owned(),
        continuity: serde_json::to_string(&step.continuity).context("writing who has reported as a device")?,
        continuity_version: old.continuity_version.saturating_add(1),
        doubt: step.doubt,
        doubt_since: if step.doubt == old.doubt { old.doubt_since } else { Some(now) },
    };
    if step.doubt != old.doubt {
        // It is recorded, so it takes its turn among the acts and locks in their order.
        store::activity::lock(conn)?;
    }
    if !store::device_status::advance(conn, &status)? {
        // Two machines with one identity at once, or a duplicated request: whoever comes again is judged by
        // what is stored.
        return Err(Error::Busy(Duration::from_secs(1)));
    }
    if step.doubt != old.doubt {
        identity::doubted(conn, device, &status, address, now)?;
    }
    let os_version = facts.os_version.as_ref().map_or(&device.os_version, |it| &it.value);
    if *os_version != device.os_version || check_in.agent_version != device.agent_version {
        store::device::set_versions(conn, device.id, os_version, &check_in.agent_version)?;
    }
    Ok(step.baton)
}

fn roots_away(facts: &DeviceFacts) -> Result<String> {
    let roots = facts.roots_away.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
    Ok(serde_json::to_string(roots).context("writing the folders that are away")?)
}

fn value<T>(fact: &Option<Fact<T>>) -> Option<&T> {
    fact.as_ref().map(|it| &it.value)
}

/// Since when a value is what it is: it changes only when the value does.
fn moved<T: PartialEq>(old: Option<&T>, new: Option<&T>, since: Option<Time>, now: Time) -> Option<Time> {
    if new.is_none() {
        None
    } else if old == new {
        since.or(Some(now))
    } else {
        Some(now)
    }
}
