//! What owners change while the server runs.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::{account, alert, freeze, reach, user};
use crate::store::setting::{Key, Setting};
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::consent::{Loosens, SETTLED};
use domain::role::Permission;
use domain::time::Time;
use std::time::Duration;

/// A number that owners set, within limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Where it is kept.
    pub key: Key<i64>,
    /// Its name in forms.
    pub field: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    /// What one unit in the form is in the table: a minute is 60 seconds. What follows is in units of the form.
    pub unit: i64,
    pub default: i64,
    pub least: i64,
    pub most: i64,
    /// Whether it guards data: such a change is reported, and waits if it loosens the guard.
    pub guard: Option<Loosens>,
}

/// A number, and what it becomes if that is not in force yet; both as in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    pub now: i64,
    pub next: Option<(i64, Time)>,
}

/// How long an approved wipe waits.
pub const HOLD: Number = Number {
    key: Key::new("wipe.hold_seconds"),
    field: "wipe_hold_minutes",
    label: "Hold before an approved wipe (minutes)",
    help: "Anyone who sees the device can stop the wipe during this time.",
    unit: 60,
    default: 10,
    least: 1,
    most: 1440,
    guard: Some(Loosens::Lower),
};

/// How many wipes pass within an hour, by one person and by everyone.
pub const WIPES_PER_HOUR: Number = Number {
    key: Key::new("wipe.max_per_hour"),
    field: "wipe_max_per_hour",
    label: "Most wipes per hour",
    help: "One person or one team can use half of it. Requests beyond the limit are held, and approved wipes beyond \
     it wait.",
    unit: 1,
    default: 5,
    least: 1,
    most: 1000,
    guard: Some(Loosens::Higher),
};

/// How long a restore test that compared files holds.
pub const PROOF_VALIDITY: Number = Number {
    key: Key::new("proof.validity_seconds"),
    field: "proof_validity_hours",
    label: "Proof valid for (hours)",
    help: "After that the device is out of date; a new test runs before then. A longer time counts only for tests \
     that finish once it is in force.",
    unit: 3600,
    default: 168,
    least: 1,
    most: 8760,
    guard: Some(Loosens::Higher),
};

/// How long a restore test that only read back holds.
pub const VERIFIED_VALIDITY: Number = Number {
    key: Key::new("proof.verified_validity_seconds"),
    field: "verified_validity_hours",
    label: "Verification valid for (hours)",
    help: "For backups that came without a list of their files.",
    unit: 3600,
    default: 720,
    least: 1,
    most: 8760,
    guard: Some(Loosens::Higher),
};

/// How often devices check in.
pub const CHECK_IN: Number = Number {
    key: Key::new("check_in.seconds"),
    field: "check_in_seconds",
    label: "Check in every (seconds)",
    help: "900 is a quarter of an hour. A policy may ask for less.",
    unit: 1,
    default: 900,
    least: 15,
    most: 86_400,
    guard: Some(Loosens::Higher),
};

/// The most space the backups of a new enrolment may take.
pub const QUOTA: Number = Number {
    key: Key::new("backup.quota_bytes"),
    field: "quota_gb",
    label: "Backup space per device (GB)",
    help: "For devices that enroll from now on. Change an existing device’s space on its page, under Edit.",
    unit: 1_000_000_000,
    default: 1000,
    least: 1,
    most: 100_000,
    guard: None,
};

/// How fast objects are copied to the second store.
pub const COPY_SPEED: Number = Number {
    key: Key::new("copy.mib_per_second"),
    field: "copy_mib_per_second",
    label: "Copy to the second store at most (MiB per second)",
    help: "What is left of the disks and the network is for the devices’ own backups.",
    unit: 1,
    default: 100,
    least: 1,
    most: 10_000,
    guard: None,
};

/// Every number, in the order of the page.
pub const NUMBERS: &[Number] = &[HOLD, WIPES_PER_HOUR, PROOF_VALIDITY, VERIFIED_VALIDITY, CHECK_IN, QUOTA, COPY_SPEED];

impl Number {
    /// What is in force, in seconds or pieces: a looser value that still waits does not count, and an unreadable one
    /// counts as not set, never as zero.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn find(&self, conn: &mut Conn, now: Time) -> Result<i64> {
        Ok(self.value(conn, now)?.now)
    }

    /// [`Number::find`] of one that is in seconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn span(&self, conn: &mut Conn, now: Time) -> Result<Duration> {
        let seconds = self.find(conn, now)?;
        Ok(Duration::from_secs(u64::try_from(seconds).context("a setting in seconds is below zero")?))
    }

    /// What is in force, and what it becomes.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn value(&self, conn: &mut Conn, now: Time) -> Result<Value> {
        let stored = store::setting::find(conn, self.key.name)?;
        let read = |text: &str| text.parse().ok();
        let current = stored.as_ref().and_then(|it| read(&it.value)).unwrap_or(self.default * self.unit);
        let next = stored.and_then(|it| Some((read(&it.next_value?)?, it.next_at?)));
        // Under a freeze no guard gets looser, even if its time has come.
        let is_due = next.is_some_and(|(_, at)| at <= now) && freeze::standing(conn)?.is_none();
        Ok(match next {
            Some((next, _)) if is_due => Value { now: next, next: None },
            next => Value { now: current, next },
        })
    }
}

/// How many numbers a form changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    pub at_once: usize,
    /// These are waiting, and can be taken back until they are in force.
    pub later: usize,
}

/// Sets the numbers that differ from their current values; each is an act. `values` are in units of the form.
///
/// What loosens a guard takes effect later, and can be taken back until then.
///
/// # Errors
/// `Invalid` if one is outside its limits; then none is set.
pub fn set_numbers(conn: &mut Conn, by: &By, values: &[(Number, i64)], now: Time) -> Result<Changed> {
    let (author, by) = (by.into(), reach::organisation(by.into(), Permission::ManageSettings)?);
    let mut errors = FieldErrors::new();
    for (number, value) in values {
        if !(number.least..=number.most).contains(value) {
            errors.add(number.field, format!("Enter a whole number from {} to {}.", number.least, number.most));
        }
    }
    errors.into_result()?;
    user::admit(conn, author, now)?;
    let mut changed = Changed::default();
    for (it, value) in values {
        let old = it.find(conn, now)?;
        // A value the form cannot show exactly, such as 90 seconds in minutes, stays unless it is changed.
        if old / it.unit == *value {
            continue;
        }
        let at = it.guard.map_or(now, |guard| guard.in_force_at(old, value * it.unit, now));
        let what = change(conn, by, it, (old, value * it.unit), at, now)?;
        tell(conn, by, it, (&what, true), now)?;
        *(if at > now { &mut changed.later } else { &mut changed.at_once }) += 1;
    }
    Ok(changed)
}

/// Sets numbers while nothing can be wiped yet: at once, and without telling anyone. `values` as in
/// [`set_numbers`].
///
/// # Errors
/// When the database refuses.
pub fn begin_with(conn: &mut Conn, by: &Actor, values: &[(Number, i64)], now: Time) -> Result<()> {
    for (it, value) in values {
        let old = it.find(conn, now)?;
        change(conn, by, it, (old, value * it.unit), now, now)?;
    }
    Ok(())
}

/// Restarts the wait of every looser guard that was frozen: nobody could review it in the meantime.
///
/// # Errors
/// When the database refuses.
pub(super) fn wait_again(conn: &mut Conn, now: Time) -> Result<()> {
    for it in NUMBERS.iter().filter(|it| it.guard.is_some()) {
        let Some(stored) = store::setting::find(conn, it.key.name)? else { continue };
        if let Some(at) = stored.next_at {
            let later = Setting { next_at: Some(at.max(now + SETTLED)), ..stored };
            store::setting::write(conn, &later)?;
        }
    }
    Ok(())
}

/// Takes back a waiting change of a number; an act.
///
/// # Errors
/// `NotFound` if there is no such number, `Conflict` if nothing is waiting.
pub fn take_back(conn: &mut Conn, by: &By, name: &str, now: Time) -> Result<()> {
    let by = reach::organisation(by.into(), Permission::ManageSettings)?;
    let it = NUMBERS.iter().find(|it| it.key.name == name).ok_or(Error::NotFound("setting"))?;
    let Value { now: current, next: Some((next, _)) } = it.value(conn, now)? else {
        return Err(Error::Conflict("this change is already in force, or was already taken back".to_owned()));
    };
    // Written although it stays as it is: that drops what was waiting.
    it.key.set(conn, &current, now)?;
    let what = format!("stays {}; {} was taken back", in_words(it, current), in_words(it, next));
    record(conn, by, it, &what, now)?;
    tell(conn, by, it, (&what, false), now)
}

/// Writes a change and its entry; returns it in words.
fn change(conn: &mut Conn, by: &Actor, it: &Number, (old, new): (i64, i64), at: Time, now: Time) -> Result<String> {
    let (from, to) = (in_words(it, old), in_words(it, new));
    let what = if at > now {
        let (next_value, next_at) = (Some(new.to_string()), Some(at));
        let row =
            Setting { name: it.key.name.to_owned(), value: old.to_string(), updated_at: now, next_value, next_at };
        store::setting::write(conn, &row)?;
        format!("from {from} to {to}, in force from {}", at.iso())
    } else {
        it.key.set(conn, &new, now)?;
        shorten(conn, it, new)?;
        format!("from {from} to {to}")
    };
    record(conn, by, it, &what, now)?;
    Ok(what)
}

/// Existing evidence is cut to a shorter validity; a longer one does not change it.
fn shorten(conn: &mut Conn, it: &Number, seconds: i64) -> Result<()> {
    if [PROOF_VALIDITY, VERIFIED_VALIDITY].contains(it) {
        let validity = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        store::evidence::shorten(conn, *it == PROOF_VALIDITY, validity)?;
    }
    Ok(())
}

/// A value in the units of its form; what these cannot show exactly is given in seconds.
fn in_words(it: &Number, value: i64) -> String {
    if value % it.unit == 0 { (value / it.unit).to_string() } else { format!("{value} s") }
}

fn record(conn: &mut Conn, by: &Actor, it: &Number, what: &str, now: Time) -> Result<()> {
    let act = Act::done(Action::SettingChanged, Object::new("setting", it.key.name, it.label));
    activity::record(conn, by, &act.because(what), now)
}

fn tell(conn: &mut Conn, by: &Actor, it: &Number, (what, is_change): (&str, bool), now: Time) -> Result<()> {
    if it.guard.is_none() {
        return Ok(());
    }
    let who = account::who(conn, by)?;
    alert::guard_changed(conn, &who, (it.label, what), is_change, now)
}
