//! The address of a device's restore points, as of some time.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use crate::zone::Zone;
use domain::time::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What follows `?`; empty means not set.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct RestorePointQuery {
    /// A minute (`2026-11-18T11:00`) or a day (`2026-11-18`, which means its end): what was received later is hidden.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub as_of: String,
    /// Part of a name to search for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// How many of the newest points are left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub skip: String,
    /// Where a search goes on within the first of the others.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
}

impl RestorePointQuery {
    /// Until when what was received is shown, and how many points are left out; times are in this zone.
    ///
    /// # Errors
    /// For a value that is none: a view must not show more than its address says.
    pub fn parse(&self, zone: &Zone) -> Result<(Option<Time>, i64)> {
        let mut errors = FieldErrors::new();
        let as_of = filter(&self.as_of, "as_of", |it| moment(zone, it), &mut errors);
        let skip = filter(&self.skip, "skip", |it| it.parse().ok().filter(|it: &i64| *it >= 0), &mut errors);
        errors.into_result()?;
        Ok((as_of, skip.unwrap_or(0)))
    }

    /// `as_of` in the format of a date-and-time field: a link may give only a day.
    pub fn field(&self) -> String {
        let is_day = !self.as_of.is_empty() && !self.as_of.contains('T');
        if is_day { format!("{}T23:59", self.as_of) } else { self.as_of.clone() }
    }

    /// What follows `?` for the same as of time, from after `skip` points on.
    pub fn address(&self, skip: i64) -> String {
        self.address_within(skip, "")
    }

    /// The same, from some place within the first of the others on.
    pub fn address_within(&self, skip: i64, from: &str) -> String {
        let skip = if skip == 0 { String::new() } else { skip.to_string() };
        serde_urlencoded::to_string(Self { skip, from: from.to_owned(), ..self.clone() }).unwrap_or_default()
    }
}

/// A minute's own beginning, or the last moment of a day.
fn moment(zone: &Zone, text: &str) -> Option<Time> {
    if text.contains('T') { zone.start_of(text) } else { zone.end_of(text).map(|it| it - Duration::from_millis(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_its_beginning_and_a_day_its_end() {
        let zone = Zone::new("Europe/Paris", Time::from_millis(1_795_356_371_000));
        let of = |as_of: &str| RestorePointQuery { as_of: as_of.to_owned(), ..RestorePointQuery::default() };
        let until = |text: &str| of(text).parse(&zone).unwrap().0.unwrap().iso();
        assert_eq!(until("2026-11-18T11:00"), "2026-11-18T10:00:00Z");
        assert!(until("2026-11-18").starts_with("2026-11-18T22:59:59"), "{}", until("2026-11-18"));
        assert_eq!(of("").parse(&zone).unwrap(), (None, 0));
        assert!(of("yesterday").parse(&zone).is_err());
        assert!(RestorePointQuery { skip: "-1".to_owned(), ..of("") }.parse(&zone).is_err());
        assert_eq!(of("2026-11-18").field(), "2026-11-18T23:59");
    }
}
