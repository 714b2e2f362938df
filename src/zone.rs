//! Time zones: those that a person may choose, and times as they are told in one.
use domain::fields::FieldErrors;
use domain::time::{Time, minutes};
use jiff::tz::TimeZone;

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
    if name != "UTC" && TimeZone::get(name).is_err() {
        errors.add("time_zone", "Choose a time zone from the list.");
    }
}

/// A reader's time zone, with the time the page was made.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    pub now: Time,
}

impl Zone {
    /// The zone with this IANA name; UTC if the name is unknown.
    pub fn new(name: &str, now: Time) -> Self {
        Self { zone: TimeZone::get(name).unwrap_or(TimeZone::UTC), now }
    }

    /// The name with the offset, such as "Europe/Paris (UTC+1)".
    pub fn name(&self) -> String {
        let (name, offset) = (self.iana(), self.offset(self.now));
        if name == offset { offset } else { format!("{name} ({offset})") }
    }

    /// "UTC+1", "UTC+5:30", "UTC": this zone's offset at that time.
    fn offset(&self, at: Time) -> String {
        let seconds = self.zone.to_offset(timestamp(at)).seconds();
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() % 3600 / 60);
        let sign = if seconds < 0 { '−' } else { '+' };
        match (hours, minutes) {
            (0, 0) => "UTC".to_owned(),
            (_, 0) => format!("UTC{sign}{hours}"),
            _ => format!("UTC{sign}{hours}:{minutes:02}"),
        }
    }

    /// Its IANA name, such as "Europe/Paris".
    pub fn iana(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// "14:06:11".
    pub fn clock(&self, at: Time) -> String {
        self.format(at, "%H:%M:%S")
    }

    /// "18 Nov 03:10"; with the year if it is not this year.
    pub fn short(&self, at: Time) -> String {
        let this_year = self.format(at, "%Y") == self.format(self.now, "%Y");
        self.format(at, if this_year { "%-d %b %H:%M" } else { "%-d %b %Y %H:%M" })
    }

    /// "18 Nov 2026 03:10 UTC+1"; for texts that are read elsewhere and later.
    pub fn full(&self, at: Time) -> String {
        format!("{} {}", self.format(at, "%-d %b %Y %H:%M"), self.offset(at))
    }

    /// "2026".
    pub fn year(&self, at: Time) -> String {
        self.format(at, "%Y")
    }

    /// "18 Nov"; for the axis of a chart.
    pub fn day(&self, at: Time) -> String {
        self.format(at, "%-d %b")
    }

    /// "2026-11-18", as a date field expects it.
    pub fn field(&self, at: Time) -> String {
        self.format(at, "%Y-%m-%d")
    }

    /// The first moment of a day (`2026-11-18`) or a minute (`2026-11-18T14:06`) in this zone; none for any
    /// other text.
    pub fn start_of(&self, text: &str) -> Option<Time> {
        self.moment(match day(text) {
            Some(day) => day.at(0, 0, 0, 0),
            None => minute(text)?,
        })
    }

    /// The first moment after a day or a minute, written as for [`Zone::start_of`].
    pub fn end_of(&self, text: &str) -> Option<Time> {
        match day(text) {
            Some(day) => self.moment(day.tomorrow().ok()?.at(0, 0, 0, 0)),
            None => {
                // One that the change to winter time brings twice ends with the second.
                let last = self.zone.to_ambiguous_zoned(minute(text)?).later().ok()?;
                Some(Time::from_millis(last.timestamp().as_millisecond()) + minutes(1))
            }
        }
    }

    fn moment(&self, at: jiff::civil::DateTime) -> Option<Time> {
        let at = at.to_zoned(self.zone.clone()).ok()?;
        Some(Time::from_millis(at.timestamp().as_millisecond()))
    }

    fn format(&self, at: Time, format: &str) -> String {
        timestamp(at).to_zoned(self.zone.clone()).strftime(format).to_string()
    }
}

fn day(text: &str) -> Option<jiff::civil::Date> {
    (text.len() == "2026-11-18".len()).then(|| text.parse().ok()).flatten()
}

/// As a date-and-time field sends it, with or without seconds.
fn minute(text: &str) -> Option<jiff::civil::DateTime> {
    text.contains('T').then(|| text.parse().ok()).flatten()
}

fn timestamp(at: Time) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    #[test]
    fn a_time_that_is_read_elsewhere_has_the_year_and_the_zone_as_it_was_then() {
        let (summer, winter) = (Time::from_millis(1_784_000_000_000), Time::from_millis(1_794_967_800_000));
        for (zone, expected) in [
            ("Europe/Paris", ["14 Jul 2026 05:33 UTC+2", "18 Nov 2026 03:10 UTC+1"]),
            ("UTC", ["14 Jul 2026 03:33 UTC", "18 Nov 2026 02:10 UTC"]),
            ("Asia/Kolkata", ["14 Jul 2026 09:03 UTC+5:30", "18 Nov 2026 07:40 UTC+5:30"]),
            ("America/St_Johns", ["14 Jul 2026 01:03 UTC−2:30", "17 Nov 2026 22:40 UTC−3:30"]),
        ] {
            let zone = Zone::new(zone, NOW);
            assert_eq!([zone.full(summer), zone.full(winter)], expected);
        }
    }

    #[test]
    fn a_day_of_a_form_is_a_day_of_the_readers_zone() {
        let paris = Zone::new("Europe/Paris", NOW);
        assert_eq!(paris.start_of("2026-11-18").map(Time::iso).as_deref(), Some("2026-11-17T23:00:00Z"));
        assert_eq!(paris.end_of("2026-11-18").map(Time::iso).as_deref(), Some("2026-11-18T23:00:00Z"));
        assert_eq!(paris.start_of("2026-11-18T14:06").map(Time::iso).as_deref(), Some("2026-11-18T13:06:00Z"));
        assert_eq!(paris.end_of("2026-11-18T14:06").map(Time::iso).as_deref(), Some("2026-11-18T13:07:00Z"));
        // In spring 02:59 is left out, in autumn it comes twice.
        assert_eq!(paris.start_of("2026-03-29T02:59").map(Time::iso).as_deref(), Some("2026-03-29T01:59:00Z"));
        assert_eq!(paris.end_of("2026-03-29T02:59").map(Time::iso).as_deref(), Some("2026-03-29T02:00:00Z"));
        assert_eq!(paris.start_of("2026-10-25T02:59").map(Time::iso).as_deref(), Some("2026-10-25T00:59:00Z"));
        assert_eq!(paris.end_of("2026-10-25T02:59").map(Time::iso).as_deref(), Some("2026-10-25T02:00:00Z"));
        assert_eq!(paris.end_of("2026-10-25T02:30").map(Time::iso).as_deref(), Some("2026-10-25T01:31:00Z"));
        assert_eq!(paris.end_of("2026-10-25T01:59").map(Time::iso).as_deref(), Some("2026-10-25T00:00:00Z"));
        for wrong in ["18.11.2026", "2026-11-18T25:00", "2026-11-18 nonsense", "T", ""] {
            assert_eq!((paris.start_of(wrong), paris.end_of(wrong)), (None, None), "{wrong}");
        }
    }
}
