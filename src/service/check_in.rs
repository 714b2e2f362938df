//! A check-in: what a device reports about itself, the results of its commands, and what it should do next.
//!
//! One write, no act: it runs thousands of times a second. Only the end of a command is recorded in the
//! history.
use crate::error::{Error, FieldErrors, Result};
use crate::service::command::deliver::deliver;
use crate::service::command::finish::finish;
use crate::service::fact::{self, Heard, Schedule};
use crate::service::{epoch, installation, policy};
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::activity::Via;
use domain::command::{Ending, Instruction};
use domain::continuity::Brought;
use domain::epoch::Epoch;
use domain::fact::{Reported, check_text};
use domain::policy::DevicePolicy;
use domain::time::Time;
use std::time::Duration;

/// The most results one check-in may bring.
const MAX_ENDINGS: usize = 100;

/// What a device reports at a check-in.
#[derive(Debug, Clone)]
pub struct Report {
    pub facts: Vec<Reported>,
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
    /// Which life of the server this is.
    pub epoch: Epoch,
}

/// Checks what a message's form cannot: ranges, lengths and times.
///
/// # Errors
/// Each wrong field, by its name in [`Report`].
pub fn check(report: &Report, now: Time) -> Result<()> {
    let mut errors = FieldErrors::new();
    if let Err(why) = check_text(&report.policy_version) {
        errors.add("policy_version", why);
    }
    for fact in &report.facts {
        for (part, why) in fact.faults(now) {
            errors.add(format!("facts.{}.{}", fact.kind, part.as_str()), why);
        }
    }
    if let Some(brought) = &report.continuity {
        let bad = |it: &str| it.len() > Brought::MAX_BYTES || it.chars().any(char::is_control);
        if bad(&brought.attempt) || brought.attempt.is_empty() || brought.baton.as_deref().is_some_and(bad) {
            let most = Brought::MAX_BYTES;
            errors.add("continuity", format!("a baton and an attempt of at most {most} bytes, as handed out"));
        }
    }
    if report.endings.len() > MAX_ENDINGS {
        errors.add("endings", format!("at most {MAX_ENDINGS}"));
    }
    Ok(errors.into_result()?)
}

/// Who checks in, as its channel knows it.
#[derive(Debug, Clone)]
pub struct Caller<'a> {
    pub device: &'a Device,
    /// The folders that are backed up and that a wipe erases, as recorded at enrolment; none on a channel that backs
    /// nothing up.
    pub roots: Vec<String>,
    /// Where it came from.
    pub address: &'a str,
}

/// Takes a check-in of the device's current enrolment and returns what it should do.
///
/// # Errors
/// When a field is out of range, or the database refuses.
pub fn run(conn: &mut Conn, caller: Caller<'_>, report: &Report, now: Time) -> Result<Answer> {
    let Caller { device, roots, address } = caller;
    if let Some(it) = report.facts.iter().find(|it| it.is_demo())
        && !installation::is_demo(conn)?
    {
        return Err(Error::invalid(format!("facts.{}.source", it.kind), "only the demo's devices have a scenario"));
    }
    if !report.endings.is_empty() {
        // The end of a command is recorded, so it takes its turn among the acts and locks in their order.
        store::activity::lock(conn)?;
    }
    // Before the orders go out: what has ended is not handed out again.
    for ending in &report.endings {
        finish(conn, device, ending, &device.actor(Via::Agent, address), now)?;
    }
    let policy = policy::device_policy(conn, device, roots, now)?;
    let next = jittered(Duration::from_secs(policy.check_in_every_seconds))?;
    let schedule = Schedule { now, next_at: now + next, every: Duration::from_secs(policy.check_in_every_seconds) };
    let heard = Heard {
        facts: &report.facts,
        policy_version: &report.policy_version,
        continuity: report.continuity.as_ref(),
        address,
    };
    let baton = fact::keep(conn, device, &heard, &schedule)?;
    Ok(Answer {
        baton,
        epoch: epoch::current(conn)?,
        policy: Some(policy).filter(|it| it.version != report.policy_version),
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
