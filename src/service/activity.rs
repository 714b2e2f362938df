//! Writes the history: no act without its entry, in the same transaction.
use crate::error::Result;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Entry, Object, Outcome};
use domain::by::By;
use domain::id::{ActivityId, DeviceId};
use domain::time::{Time, days, minutes};
use std::cmp::Ordering;
use std::time::Duration;

/// A clock that is behind by more than this dates proofs, holds and links wrongly enough to be reported.
const CLOCK_TOLERANCE: Duration = minutes(5);

/// The newest recorded time, if `now` is well before it: then the clock is behind, or was ahead.
///
/// # Errors
/// When the database refuses.
pub fn time_ahead(conn: &mut Conn, now: Time) -> Result<Option<Time>> {
    let newest = store::activity::newest_at(conn)?.max(store::device_status::newest_check_in(conn)?);
    Ok(newest.filter(|it| *it > now + CLOCK_TOLERANCE))
}

/// An act to be recorded.
#[derive(Debug, Clone)]
pub struct Act<'a> {
    pub action: Action,
    pub device: Option<DeviceId>,
    pub object: Object,
    pub reason: &'a str,
    pub outcome: Outcome,
}

impl<'a> Act<'a> {
    /// An act that was done, without a device and a reason.
    pub fn done(action: Action, object: Object) -> Self {
        Self { action, device: None, object, reason: "", outcome: Outcome::Done }
    }

    /// Names the device the act is about.
    #[must_use]
    pub fn on(mut self, device: DeviceId) -> Self {
        self.device = Some(device);
        self
    }

    /// Adds the reason that was given.
    #[must_use]
    pub fn because(mut self, reason: &'a str) -> Self {
        self.reason = reason;
        self
    }

    /// Marks an act that a rule refused or that did not succeed.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}

/// Appends the entry of an act with its canonical bytes.
///
/// # Errors
/// When the database refuses; then the act, in the same transaction, is undone too.
pub fn record(conn: &mut Conn, actor: &Actor, act: &Act<'_>, now: Time) -> Result<()> {
    let seq = store::activity::next_seq(conn)?;
    let id = ActivityId::generate(now);
    let entry = Entry {
        seq,
        id: id.to_string(),
        at: now,
        actor: actor.clone(),
        action: act.action,
        device_id: act.device.map(|it| it.to_string()),
        object: act.object.clone(),
        reason: act.reason.to_owned(),
        outcome: act.outcome,
    };
    let canonical = serde_json::to_string(&entry).context("writing an activity entry")?;
    let row = store::activity::Activity {
        seq,
        id,
        at: now,
        actor_kind: actor.kind,
        actor_id: actor.id.clone(),
        actor_name: actor.name.clone(),
        via: actor.via,
        action: act.action,
        device_id: act.device,
        object_kind: entry.object.kind,
        object_id: entry.object.id,
        object_name: entry.object.name,
        reason: entry.reason,
        result: act.outcome,
        address: actor.address.clone(),
        canonical,
    };
    store::activity::insert(conn, &row)?;
    Ok(())
}

/// The most entries of one kind about one device in a day, if the device itself can cause them as fast as it
/// likes.
const OFTEN: i64 = 100;

/// [`record`] for what a device can cause without limit: after the hundredth entry in a day, one more says that
/// further ones are left out.
///
/// # Errors
/// As [`record`].
pub fn record_often(conn: &mut Conn, actor: &Actor, act: &Act<'_>, now: Time) -> Result<()> {
    let Some(device) = act.device else { return record(conn, actor, act, now) };
    let had = store::activity::count_since(conn, device, act.action, now - days(1))?;
    let last = format!("The last entry of its kind for a day: there were {OFTEN} about this device. {}", act.reason);
    match had.cmp(&OFTEN) {
        Ordering::Less => record(conn, actor, act, now),
        Ordering::Equal => record(conn, actor, &Act { reason: last.trim_end(), ..act.clone() }, now),
        Ordering::Greater => Ok(()),
    }
}

/// Records that somebody took a list as a file, with the filter in its address; returns the number of the
/// entry.
///
/// # Errors
/// When the database refuses.
pub fn exported(conn: &mut Conn, by: &By, list: &str, filter: &str, now: Time) -> Result<i64> {
    record(conn, &by.actor, &Act::done(Action::Exported, Object::new("list", list, list)).because(filter), now)?;
    Ok(store::activity::newest_seq(conn)?)
}
