//! Days, weeks, months and years in UTC, numbered so that later ones are larger.
use crate::time::Time;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A span of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Day,
    Week,
    Month,
    Year,
}

impl Span {
    /// The number of the span that `at` is in; none for a time that no calendar has.
    pub fn number(self, at: Time) -> Option<i64> {
        let day = at.millis().div_euclid(86_400_000);
        // 1970 began on a Thursday.
        let week = (day + 3).div_euclid(7);
        let date = Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(TimeZone::UTC).date();
        let (year, month) = (i64::from(date.year()), i64::from(date.month()));
        Some(match self {
            Self::Day => day,
            Self::Week => week,
            Self::Month => year * 12 + month,
            Self::Year => year,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_span_ends_where_the_calendar_says() {
        for (span, last, next) in [
            (Span::Day, "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"),
            (Span::Week, "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"),
            (Span::Month, "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"),
            (Span::Year, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            (Span::Week, "1969-12-28T23:59:59Z", "1969-12-29T00:00:00Z"),
        ] {
            assert_eq!(span.number(at(last)).unwrap() + 1, span.number(at(next)).unwrap(), "{span:?} {last}");
        }
        assert_eq!(Span::Week.number(at("2026-11-16T00:00:00Z")), Span::Week.number(at("2026-11-22T23:59:59Z")));
        assert_eq!(Span::Day.number(Time::from_millis(i64::MAX)), None);
    }
}
