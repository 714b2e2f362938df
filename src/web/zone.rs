//! The time zones that a person may choose.
use crate::error::FieldErrors;

/// Every zone that this server knows, by name.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = jiff::tz::db()
        .available()
        .map(|it| it.as_str().to_owned())
        .filter(|it| it == "UTC" || it.split_once('/').is_some_and(|(area, _)| AREAS.contains(&area)))
        .collect();
    names.sort();
    if names.is_empty() {
        names.push("UTC".to_owned());
    }
    names
}

/// The areas whose zones are named after places; the rest are old spellings.
const AREAS: &[&str] =
    &["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"];

/// Checks the name of a zone.
pub fn check(name: &str, errors: &mut FieldErrors) {
    if name != "UTC" && jiff::tz::TimeZone::get(name).is_err() {
        errors.add("time_zone", "Choose a time zone from the list.");
    }
}
