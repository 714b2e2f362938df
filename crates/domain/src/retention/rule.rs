//! The rule that people set.
use super::{LEAST_VERIFIED, WINDOW};
use crate::words::counted;
use serde::{Deserialize, Serialize};

/// What is kept of every device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing ends by itself: the state before anybody has set a rule.
    Everything,
    By(Rule),
}

/// How many restore points are kept. A point that any of these keeps is kept.
///
/// There is no default of any field: a rule with one missing is not a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The newest this many.
    pub last: u32,
    /// The first point of each of this many days, weeks, months and years that have one.
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    /// Everything younger than this many days.
    pub within_days: u32,
}

/// What is kept could not be read. Nothing ends while that is so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is kept cannot be read ({0}), so nothing ends")]
pub struct Unreadable(pub String);

/// A field's name, label, help, and least and greatest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub field: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub least: u32,
    pub most: u32,
}

const EVERYTHING: &str = "everything";

/// [`LEAST_VERIFIED`] and the days of [`WINDOW`], as the form says them.
const LEAST_LAST: u32 = 3;
const LEAST_DAYS: u32 = 14;
const _: () = assert!(LEAST_VERIFIED == 3 && WINDOW.as_secs() == 14 * 86_400);

impl Rule {
    /// The limits of each field, in the order of the form.
    pub const LIMITS: [Limits; 6] = [
        Limits { field: "last", label: "Newest points", help: "Whatever their age.", least: LEAST_LAST, most: 1_000 },
        Limits {
            field: "within_days",
            label: "Every point of the last days",
            help: "At least 14: everything younger is kept in any case.",
            least: LEAST_DAYS,
            most: 36_500,
        },
        Limits { field: "daily", label: "Days", help: "The first point of each.", least: 0, most: 3_650 },
        Limits { field: "weekly", label: "Weeks", help: "From Monday, in UTC.", least: 0, most: 520 },
        Limits { field: "monthly", label: "Months", help: "", least: 0, most: 240 },
        Limits { field: "yearly", label: "Years", help: "", least: 0, most: 100 },
    ];

    /// The values in the order of [`Rule::LIMITS`].
    pub const fn values(&self) -> [u32; 6] {
        [self.last, self.within_days, self.daily, self.weekly, self.monthly, self.yearly]
    }

    /// A rule of the values in the order of [`Rule::LIMITS`].
    pub const fn of([last, within_days, daily, weekly, monthly, yearly]: [u32; 6]) -> Self {
        Self { last, daily, weekly, monthly, yearly, within_days }
    }

    /// The first value outside its limits.
    pub fn outside(&self) -> Option<Limits> {
        let fields = Self::LIMITS.into_iter().zip(self.values());
        fields.into_iter().find(|(limits, value)| !(limits.least..=limits.most).contains(value)).map(|it| it.0)
    }
}

impl Keep {
    /// Reads what is kept from its text in the database.
    ///
    /// # Errors
    /// When a field is missing, unknown, not a whole number or outside its limits. None of that ever means "keep
    /// less".
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text == EVERYTHING {
            return Ok(Self::Everything);
        }
        let rule: Rule = serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
        match rule.outside() {
            Some(limits) => Err(Unreadable(format!("{} is outside its limits", limits.field))),
            None => Ok(Self::By(rule)),
        }
    }

    /// Its text in the database.
    pub fn text(&self) -> String {
        match self {
            Self::Everything => EVERYTHING.to_owned(),
            // Six numbers always have a text; if not, the least harmful one.
            Self::By(rule) => serde_json::to_string(rule).unwrap_or_else(|_| EVERYTHING.to_owned()),
        }
    }

    /// Whether this keeps less than `before` in any way: then a second person must agree, and it waits.
    pub fn is_shorter_than(&self, before: &Self) -> bool {
        match (before, self) {
            (_, Self::Everything) => false,
            (Self::Everything, Self::By(_)) => true,
            (Self::By(was), Self::By(is)) => was.values().into_iter().zip(is.values()).any(|(was, is)| is < was),
        }
    }

    /// "everything", or "the newest 10 points, every point of the last 30 days and the first point of 7 days and 12
    /// months".
    pub fn words(&self) -> String {
        let Self::By(rule) = self else { return "every restore point".to_owned() };
        let spans = [
            (rule.daily, "day", "days"),
            (rule.weekly, "week", "weeks"),
            (rule.monthly, "month", "months"),
            (rule.yearly, "year", "years"),
        ];
        let spans: Vec<_> =
            spans.into_iter().filter(|it| it.0 > 0).map(|(count, one, many)| counted(count, one, many)).collect();
        let first = match spans.split_last() {
            None => String::new(),
            Some((last, [])) => format!(", and the first point of {last}"),
            Some((last, others)) => format!(", and the first point of each of {} and {last}", others.join(", ")),
        };
        format!("the newest {} points, every point of the last {} days{first}", rule.last, rule.within_days)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { last: 10, daily: 7, weekly: 4, monthly: 12, yearly: 2, within_days: 30 };

    #[test]
    fn d9_a_rule_with_anything_missing_or_wrong_is_an_error_and_never_a_shorter_rule() {
        let whole: serde_json::Value = serde_json::from_str(&Keep::By(RULE).text()).unwrap();
        let fields: Vec<String> = whole.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields.len(), 6);
        for field in fields {
            let changed = |value: Option<serde_json::Value>| {
                let mut rule = whole.clone();
                match value {
                    Some(value) => rule[&field] = value,
                    None => drop(rule.as_object_mut().unwrap().remove(&field)),
                }
                Keep::read(&rule.to_string())
            };
            assert!(changed(None).is_err(), "without {field}");
            for value in
                [serde_json::json!(null), "".into(), "7".into(), (-1).into(), 1.5.into(), i64::MAX.into(), [7].into()]
            {
                assert!(changed(Some(value.clone())).is_err(), "{field} = {value}");
            }
        }
        for text in ["", " ", "{}", "null", "0", "[]", "nothing", "Everything", "{\"last\":3}", "everything "] {
            assert!(Keep::read(text).is_err(), "{text:?}");
        }
        let more = Keep::By(RULE).text().replace('}', ",\"hourly\":1}");
        assert!(Keep::read(&more).is_err(), "a field that only a newer program knows");
    }

    #[test]
    fn no_rule_goes_below_the_floors() {
        for (rule, field) in [
            (Rule { last: 2, ..RULE }, "last"),
            (Rule { within_days: 13, ..RULE }, "within_days"),
            (Rule { daily: 3_651, ..RULE }, "daily"),
        ] {
            assert_eq!(rule.outside().map(|it| it.field), Some(field));
            assert!(Keep::read(&Keep::By(rule).text()).is_err());
        }
        assert_eq!(RULE.outside(), None);
        assert_eq!(Rule::of(RULE.values()), RULE);
    }

    #[test]
    fn what_keeps_less_in_any_way_is_shorter() {
        let shorter = |was: Keep, is: Keep| is.is_shorter_than(&was);
        assert!(shorter(Keep::Everything, Keep::By(RULE)));
        assert!(!shorter(Keep::By(RULE), Keep::Everything));
        assert!(!shorter(Keep::By(RULE), Keep::By(RULE)));
        assert!(!shorter(Keep::By(RULE), Keep::By(Rule { last: 11, ..RULE })));
        for at in 0..6 {
            let mut values = RULE.values().map(|it| it + 1);
            values[at] -= 2;
            assert!(shorter(Keep::By(RULE), Keep::By(Rule::of(values))), "{at}: more of everything else");
        }
    }

    #[test]
    fn what_is_kept_is_said_in_words() {
        assert_eq!(Keep::Everything.words(), "every restore point");
        assert_eq!(
            Keep::By(RULE).words(),
            "the newest 10 points, every point of the last 30 days, and the first point of each of 7 days, 4 weeks, 12 \
             months and 2 years"
        );
        let only = Rule { daily: 0, weekly: 0, monthly: 12, yearly: 0, ..RULE };
        assert_eq!(
            Keep::By(only).words(),
            "the newest 10 points, every point of the last 30 days, and the first point of 12 months"
        );
        let none = Rule { monthly: 0, ..only };
        assert_eq!(Keep::By(none).words(), "the newest 10 points, every point of the last 30 days");
    }
}
