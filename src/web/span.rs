//! Spans of time as entered in forms: a number and a unit.
use domain::fields::FieldErrors;

/// The units of a span, in minutes.
pub(super) const UNITS: [(&str, &str, u32); 3] = [("min", "minutes", 1), ("h", "hours", 60), ("d", "days", 1440)];

/// The minutes that a typed number and unit stand for.
pub(super) fn minutes_of(number: &str, unit: &str, errors: &mut FieldErrors) -> u32 {
    let unit = UNITS.iter().find(|it| it.0 == unit).map_or(60, |it| it.2);
    let minutes = number.trim().parse::<u32>().ok().and_then(|it| it.checked_mul(unit));
    minutes.filter(|it| (1..=366 * 1440).contains(it)).unwrap_or_else(|| {
        errors.add("requirements", "Enter a whole number, for a span from 1 minute to 366 days.");
        1
    })
}

/// A span in the largest unit that divides it evenly.
pub(super) fn split(minutes: u32) -> (String, String) {
    let unit = UNITS.iter().rev().find(|it| minutes >= it.2 && minutes.is_multiple_of(it.2)).unwrap_or(&UNITS[0]);
    ((minutes / unit.2).to_string(), unit.0.to_owned())
}
