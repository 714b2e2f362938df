//! What owners change while the server runs.
use crate::domain::activity::{Action, Actor, Object};
use crate::domain::time::Time;
use crate::error::{FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::store::{self, Conn};

/// A number that owners set, within limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its name in the settings table.
    pub name: &'static str,
    /// Its name in forms.
    pub field: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    /// What one unit of the form is in the table: a minute is 60 seconds.
    pub unit: i64,
    pub default: i64,
    pub least: i64,
    pub most: i64,
}

/// Every number, in the order of the page. `default`, `least` and `most` are in units of the form.
pub const NUMBERS: &[Number] = &[
    Number {
        name: "wipe.hold_seconds",
        field: "wipe_hold_minutes",
        label: "Hold before an approved wipe, in minutes",
        help: "Anyone who sees the device may stop the wipe in this time.",
        unit: 60,
        default: 10,
        least: 1,
        most: 1440,
    },
    Number {
        name: "wipe.max_per_hour",
        field: "wipe_max_per_hour",
        label: "Wipes in one hour at most",
        help: "Further requests are held, and what is approved beyond it waits.",
        unit: 1,
        default: 5,
        least: 1,
        most: 1000,
    },
    Number {
        name: "proof.validity_seconds",
        field: "proof_validity_hours",
        label: "A restore test proves for, in hours",
        help: "Afterwards the device shows Out of date; a new test runs before.",
        unit: 3600,
        default: 168,
        least: 1,
        most: 8760,
    },
    Number {
        name: "proof.verified_validity_seconds",
        field: "verified_validity_hours",
        label: "Reading back verifies for, in hours",
        help: "For backups without a manifest of their files.",
        unit: 3600,
        default: 720,
        least: 1,
        most: 8760,
    },
    Number {
        name: "check_in.seconds",
        field: "check_in_seconds",
        label: "Check-in every, in seconds",
        help: "900 is a quarter of an hour. A policy may ask for less.",
        unit: 1,
        default: 900,
        least: 15,
        most: 86_400,
    },
];

/// The value of a number in seconds or pieces, as the table has it.
///
/// # Errors
/// When the database does not answer.
pub fn number(conn: &mut Conn, number: &Number) -> Result<i64> {
    let stored = store::setting::find(conn, number.name)?.and_then(|it| it.parse().ok());
    Ok(stored.unwrap_or(number.default * number.unit))
}

/// Sets the numbers that differ from what they were; each is an act. `values` are in units of the form.
///
/// # Errors
/// `Invalid` where one is outside of its limits; then none is set.
pub fn set_numbers(conn: &mut Conn, by: &Actor, values: &[(Number, i64)], now: Time) -> Result<usize> {
    let mut errors = FieldErrors::new();
    for (number, value) in values {
        if !(number.least..=number.most).contains(value) {
            errors.add(number.field, format!("Give a whole number from {} to {}.", number.least, number.most));
        }
    }
    errors.into_result()?;
    let mut changed = 0;
    for (it, value) in values {
        let (old, new) = (number(conn, it)?, value * it.unit);
        // What the form cannot say exactly, such as 90 seconds in minutes, stays unless it is changed.
        if old / it.unit == *value {
            continue;
        }
        store::setting::set(conn, it.name, &new.to_string(), now)?;
        let act = Act::done(Action::SettingChanged, Object::new("setting", it.name, it.label));
        activity::record(conn, by, &act.because(&change(it, old, *value)), now)?;
        changed += 1;
    }
    Ok(changed)
}

/// What became of a number, in the units of its form; what these cannot say exactly is told in seconds.
fn change(number: &Number, old: i64, value: i64) -> String {
    if old % number.unit == 0 {
        format!("from {} to {value}", old / number.unit)
    } else {
        format!("from {old} s to {value}")
    }
}

/// The address that browsers use, for links in mails and on the command line; none before the server's first start.
///
/// # Errors
/// When the database does not answer.
pub fn public_url(conn: &mut Conn) -> Result<Option<String>> {
    Ok(store::setting::find(conn, PUBLIC_URL)?)
}

/// Keeps the address that the server was started with, for what runs without its settings.
///
/// # Errors
/// When the database refuses.
pub fn set_public_url(conn: &mut Conn, url: &str, now: Time) -> Result<()> {
    if public_url(conn)?.as_deref() != Some(url) {
        store::setting::set(conn, PUBLIC_URL, url, now)?;
    }
    Ok(())
}

const PUBLIC_URL: &str = "public_url";

/// Whether this is the demo, which every page says.
///
/// # Errors
/// When the database does not answer.
pub fn is_demo(conn: &mut Conn) -> Result<bool> {
    Ok(store::setting::find(conn, DEMO)?.as_deref() == Some("true"))
}

/// The name of the setting that marks a demo; its value is `true`.
pub const DEMO: &str = "demo";
