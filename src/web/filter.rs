//! How times and numbers look to a person.
//!
//! In a template use the methods of `layout` (`layout.date(at)`, `layout.when(at)`,
//! `layout.ago(at)`) or, after `use crate::web::filter::filters;` beside the
//! page's struct, the filters `at|date(layout.zone)`, `at|ago(layout.now)`,
//! `n|bytes` and `n|count`.
use askama::filters::HtmlSafe;
use domain::time::Time;
use domain::words;
pub use domain::words::bytes;
use jiff::tz::TimeZone;
use std::fmt;

/// A value behind any number of references, as templates pass them.
pub trait Plain<T> {
    /// The value.
    fn plain(&self) -> T;
}

macro_rules! plain {
    ($($from:ty => $to:ty),+) => { $(
        impl Plain<$to> for $from { fn plain(&self) -> $to { <$to>::try_from(*self).unwrap_or(<$to>::MAX) } }
        impl Plain<$to> for &$from { fn plain(&self) -> $to { (**self).plain() } }
        impl Plain<$to> for &&$from { fn plain(&self) -> $to { (***self).plain() } }
    )+ };
}
plain!(u32 => i64, usize => i64, u64 => i64);

macro_rules! same {
    ($($type:ty),+) => { $(
        impl Plain<$type> for $type { fn plain(&self) -> $type { *self } }
        impl Plain<$type> for &$type { fn plain(&self) -> $type { **self } }
        impl Plain<$type> for &&$type { fn plain(&self) -> $type { ***self } }
    )+ };
}
same!(i64, Time);

/// A reader's time zone, with the time the page was made.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    now: Time,
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
        self.moment(match day(text) {
            Some(day) => day.tomorrow().ok()?.at(0, 0, 0, 0),
            None => minute(text)?.checked_add(jiff::Span::new().minutes(1)).ok()?,
        })
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

/// A moment as `<time>`: the absolute time first, then the age if asked for. Its title has the year and the
/// zone, which are printed in its place.
#[derive(Debug, Clone)]
pub struct Moment {
    iso: String,
    full: String,
    text: String,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\" title=\"{}\">{}</time>", self.iso, self.full, self.text)
    }
}

/// Both parts consist of digits, our words and the month's name.
impl HtmlSafe for Moment {}

/// "18 Nov 03:10" in the reader's zone, as `<time datetime>`.
pub fn date(at: Time, zone: &Zone) -> Moment {
    moment(at, zone, zone.short(at))
}

/// "18 Nov 03:10, 4 d": the absolute time, then the age.
pub fn when(at: Time, zone: &Zone) -> Moment {
    moment(at, zone, format!("{}, {}", zone.short(at), ago(at, zone.now)))
}

fn moment(at: Time, zone: &Zone, text: String) -> Moment {
    Moment { iso: at.iso(), full: zone.full(at), text }
}

/// The age in one unit: "45 s", "4 min", "3 h", "4 d"; "in 10 min" for what is to come.
pub fn ago(at: Time, now: Time) -> String {
    if at > now { format!("in {}", span(at.since(now))) } else { span(now.since(at)) }
}

/// "4 d ago"; "in 10 min" for what is to come.
pub fn since(at: Time, now: Time) -> String {
    if at > now { ago(at, now) } else { format!("{} ago", ago(at, now)) }
}

/// A span in its largest unit.
pub fn span(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min", seconds / 60),
        3600..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How long something took: "12 s", or "under 1 s".
pub fn took(span: std::time::Duration) -> String {
    if span.as_secs() == 0 { "under 1 s".to_owned() } else { self::span(span) }
}

/// "1,283".
pub fn count(number: i64) -> String {
    words::number(number)
}

/// The same as filters of templates.
pub mod filters {
    use super::{Moment, Zone};
    use domain::time::Time;

    /// `at|date(layout.zone)`.
    #[askama::filter_fn]
    pub fn date(at: &Time, _: &dyn askama::Values, zone: &Zone) -> askama::Result<Moment> {
        Ok(super::date(*at, zone))
    }

    /// `at|when(layout.zone)`.
    #[askama::filter_fn]
    pub fn when(at: &Time, _: &dyn askama::Values, zone: &Zone) -> askama::Result<Moment> {
        Ok(super::when(*at, zone))
    }

    /// `at|ago(layout.now)`.
    #[askama::filter_fn]
    pub fn ago(at: &Time, _: &dyn askama::Values, now: &Time) -> askama::Result<String> {
        Ok(super::ago(*at, *now))
    }

    /// `n|bytes`.
    #[askama::filter_fn]
    pub fn bytes(count: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::bytes(*count))
    }

    /// `n|count`.
    #[askama::filter_fn]
    pub fn count(number: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::count(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    #[test]
    fn a_date_is_absolute_first_and_in_the_readers_zone() {
        let at = Time::from_millis(1_794_967_800_000);
        let paris = Zone::new("Europe/Paris", NOW);
        assert_eq!(paris.name(), "Europe/Paris (UTC+1)");
        assert_eq!(
            date(at, &paris).to_string(),
            "<time datetime=\"2026-11-18T02:10:00Z\" title=\"18 Nov 2026 03:10 UTC+1\">18 Nov 03:10</time>"
        );
        assert!(when(at, &paris).to_string().ends_with(">18 Nov 03:10, 4 d</time>"));
        assert_eq!([since(at, NOW), since(NOW, at)], ["4 d ago", "in 4 d"]);
        assert_eq!(Zone::new("UTC", NOW).short(at), "18 Nov 02:10");
        assert_eq!(Zone::new("No/Where", NOW).name(), "UTC");
        assert_eq!(Zone::new("Asia/Kolkata", NOW).name(), "Asia/Kolkata (UTC+5:30)");
        assert_eq!(paris.short(Time::from_millis(0)), "1 Jan 1970 01:00");
    }

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
        for wrong in ["18.11.2026", "2026-11-18T25:00", "2026-11-18 nonsense", "T", ""] {
            assert_eq!((paris.start_of(wrong), paris.end_of(wrong)), (None, None), "{wrong}");
        }
    }
}
