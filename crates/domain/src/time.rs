//! Points in time.
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: UTC milliseconds since 1970, as in every column that ends in `_at`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(
    feature = "sql",
    derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow),
    diesel(sql_type = diesel::sql_types::BigInt)
)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The same by reference, for the database's serialiser.
    #[cfg(feature = "sql")]
    pub(crate) const fn as_millis_ref(&self) -> &i64 {
        &self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads ISO 8601 with an offset, as other programs write it; none for anything else.
    pub fn parse_iso(text: &str) -> Option<Self> {
        text.trim().parse::<jiff::Timestamp>().ok().map(|it| Self(it.as_millisecond()))
    }

    /// ISO 8601 in UTC with seconds, such as `2026-11-22T14:06:11Z`.
    pub fn iso(self) -> String {
        jiff::Timestamp::from_second(self.seconds()).map(|at| at.to_string()).unwrap_or_default()
    }
}

/// Turns every time in a message into ISO 8601 for people: whatever is called `…_at`, `at` or `since` and is a
/// number.
pub fn with_iso_times(mut message: Value) -> Value {
    fn rewrite(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let is_time = name.ends_with("_at") || name == "at" || name == "since";
                    match value.as_i64().filter(|_| is_time) {
                        Some(millis) => *value = Value::String(Time::from_millis(millis).iso()),
                        None => rewrite(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(rewrite),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    rewrite(&mut message);
    message
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// A span of whole minutes.
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// A span of whole hours.
pub const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

/// A span of whole days of 24 hours.
pub const fn days(count: u64) -> Duration {
    hours(count * 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_another_is_zero_after_it() {
        assert_eq!(Time::from_millis(5).since(Time::from_millis(9)), Duration::ZERO);
    }

    #[test]
    fn iso_is_utc_with_seconds() {
        assert_eq!(Time::from_millis(1_795_356_371_999).iso(), "2026-11-22T14:06:11Z");
    }

    #[test]
    fn what_is_a_time_is_written_as_one_and_nothing_else_is() {
        let message = serde_json::json!({
            "at": 1_795_356_371_000_i64, "since": null, "files": 3, "format": 1_795_356_371_000_i64,
            "facts": [{"measured_at": 0, "value": {"free_bytes": 81_604_378_624_i64}}, {"sent_at": "soon"}],
        });

        let expected = serde_json::json!({
            "at": "2026-11-22T14:06:11Z", "since": null, "files": 3, "format": 1_795_356_371_000_i64,
            "facts": [{"measured_at": "1970-01-01T00:00:00Z", "value": {"free_bytes": 81_604_378_624_i64}}, {"sent_at": "soon"}],
        });
        assert_eq!(with_iso_times(message), expected);
    }
}
