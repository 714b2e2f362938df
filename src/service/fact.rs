//! What a device says about itself, as it is kept: who reported it, until when it counts, and what it was before.
use crate::error::{Error, Result};
use crate::service::identity;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::fact::PastFact;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::continuity::{Brought, Sender};
use domain::device::Encryption;
use domain::fact::{FactKind, Facts, Reported};
use domain::id::DeviceId;
use domain::time::{Time, days};
use std::time::Duration;

/// A device that was heard from.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    pub facts: &'a [Reported],
    /// The version of the policy that it holds.
    pub policy_version: &'a str,
    /// Shows that it is the machine that was answered last; none where a channel cannot tell.
    pub continuity: Option<&'a Brought>,
    pub address: &'a str,
}

/// When a device was heard from, when it is to be heard from next, and the schedule it was told.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pub now: Time,
    pub next_at: Time,
    pub every: Duration,
}

/// How many check-ins in a row a device may miss before nobody knows what is on it.
const MISSED: u32 = 2;

impl Schedule {
    /// When two check-ins of this schedule have been missed.
    fn until(&self, since: Time) -> Time {
        since + self.every.saturating_mul(MISSED)
    }

    /// Until when the device's count holds: a new one for two check-ins of the schedule it came with, an older
    /// one as long as it did before, and never longer than the device is heard from.
    fn count_until(&self, said: &[Reported], old: &DeviceStatus) -> Option<Time> {
        let until = match said.iter().find(|it| it.kind == FactKind::Changes) {
            // A device's clock that is ahead must not make its count hold longer.
            Some(new) => Some(self.until(new.measured_at.min(self.now))),
            None => old.changed_until,
        };
        until.map(|it| it.min(self.until(self.now)))
    }
}

/// Keeps what a device said, and returns what its next check-in must bring.
///
/// One narrow row; what has a history gets another only when it changes.
///
/// # Errors
/// `Busy` if another check-in of the device came in between; when the database refuses.
pub fn keep(conn: &mut Conn, device: &Device, heard: &Heard<'_>, schedule: &Schedule) -> Result<Option<String>> {
    let now = schedule.now;
    let old = store::device_status::find(conn, device.id)?.unwrap_or_else(|| DeviceStatus::new(device.id));
    let sender = Sender { brought: heard.continuity, address: heard.address, now };
    let step = old.continuity()?.step(old.doubt, sender, &hex::encode(secret::bytes::<8>()?));
    let known = old.facts()?;
    let facts = known.with(heard.facts.iter().cloned(), now);
    let facts = if step.doubt.stands() { facts.of_an_unknown_machine() } else { facts };
    // Two machines each count their own files: while there may be two, no number says what the device holds.
    let changes = facts.changes().filter(|_| !step.doubt.stands());
    let status = DeviceStatus {
        device_id: device.id,
        last_seen_at: Some(now),
        next_check_in_at: Some(schedule.next_at),
        facts: serde_json::to_string(&facts).context("writing a device's facts")?,
        encryption: facts.encryption().map_or(Encryption::Unknown, |(it, _)| it.state),
        changed_files: changes.map(|(it, _)| it.files),
        changed_bytes: changes.map(|(it, _)| it.bytes),
        changed_measured_at: changes.map(|(_, at)| at),
        changed_until: schedule.count_until(heard.facts, &old),
        heard_until: Some(schedule.until(now)),
        roots_away: serde_json::to_string(facts.roots_away()).context("writing the folders that are away")?,
        policy_version: heard.policy_version.to_owned(),
        address: heard.address.to_owned(),
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
        identity::doubted(conn, device, &status, heard.address, now)?;
    }
    note(conn, device.id, (&known, &facts), now)?;
    if let Some(os_version) = facts.os_version().filter(|it| *it != device.os_version) {
        store::device::set_os_version(conn, device.id, os_version)?;
    }
    Ok(step.baton)
}

/// Forgets what a device said: the machine behind it is another one.
///
/// # Errors
/// When the database refuses.
pub fn forget(conn: &mut Conn, device: DeviceId, now: Time) -> Result<()> {
    if let Some(old) = store::device_status::find(conn, device)? {
        note(conn, device, (&old.facts()?, &Facts::default()), now)?;
    }
    Ok(store::device_status::set(conn, &DeviceStatus::new(device))?)
}

/// The most changes of one kind that are kept from one day: a device that never stands still fills no disk.
const MOST_A_DAY: i64 = 50;

/// Keeps what changed. Beyond [`MOST_A_DAY`] the newest row is written over, so that the last one always says what
/// the device says now.
fn note(conn: &mut Conn, device_id: DeviceId, (old, new): (&Facts, &Facts), now: Time) -> Result<()> {
    for (kind, fact) in new.changes_from(old) {
        let newest = store::fact::newest(conn, device_id, kind)?;
        // The fiftieth row back: if it is younger than a day, that many came within a day.
        let first_of_many = store::fact::since(conn, device_id, kind, newest - MOST_A_DAY + 1)?;
        let is_too_often = first_of_many.is_some_and(|at| at > now - days(1));
        let value = fact.map(|it| serde_json::to_string(&it.value)).transpose().context("writing a fact")?;
        let source = fact.map(|it| it.source.clone()).unwrap_or_default();
        let number = if is_too_often { newest } else { newest + 1 };
        store::fact::set(conn, &PastFact { device_id, kind, number, since: now, value, source })?;
    }
    Ok(())
}
