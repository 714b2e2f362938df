//! How times and numbers look to a person.
//!
//! In a template use the methods of `layout` (`layout.date(at)`, `layout.when(at)`,
//! `layout.ago(at)`) or, after `use crate::web::filter::filters;` beside the
//! page's struct, the filters `at|date(layout.zone)`, `at|ago(layout.now)`,
//! `n|bytes` and `n|count`.
use crate::zone::Zone;
use askama::filters::HtmlSafe;
use domain::time::Time;
use domain::words;
pub use domain::words::bytes;
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
    use super::Moment;
    use crate::zone::Zone;
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
}
