//! What a device says about itself: one word of each kind, with where it comes from and since when.
//!
//! A fact is `reported`, never more. Which kinds a channel brings is its own matter; what is not known is absent.
mod kind;
#[cfg(test)]
mod tests;
mod value;

pub use kind::{FactKind, Unit};
pub use value::{Changes, EncryptionFact, FactValue, check_text};

use crate::device::{DeviceState, Encryption};
use crate::time::{Time, days};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a device reports, as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    pub kind: FactKind,
    pub value: FactValue,
    /// Where it comes from, such as `dm-crypt` or [`DEMO_SOURCE`].
    pub source: String,
    /// By the server's clock, as far as the device knows it.
    pub measured_at: Time,
}

/// The source of what the demo's scenario supplies; only demo devices have it.
pub const DEMO_SOURCE: &str = "demo scenario";

/// How much a device's clock, corrected by the server's, may differ from it.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The year 2000: an earlier date did not come from a working clock.
const FIRST_MEASURED: Time = Time::from_millis(946_684_800_000);

/// The part of a reported fact that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Value,
    Source,
    MeasuredAt,
}

impl Part {
    /// Its name in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Source => "source",
            Self::MeasuredAt => "measured_at",
        }
    }
}

impl Reported {
    /// What is wrong with it, by part.
    pub fn faults(&self, now: Time) -> Vec<(Part, String)> {
        let mut faults = Vec::new();
        let mut note = |part, checked: Result<(), String>| faults.extend(checked.err().map(|why| (part, why)));
        note(Part::Value, self.kind.check(&self.value));
        note(Part::Source, check_text(&self.source));
        if !(FIRST_MEASURED..=now + CLOCK_SKEW).contains(&self.measured_at) {
            let why = "since 2000, and at most a minute ahead of the server's time";
            note(Part::MeasuredAt, Err(why.to_owned()));
        }
        faults
    }

    /// Whether a reader would take its source for the demo's.
    pub fn is_demo(&self) -> bool {
        self.source.split_whitespace().map(str::to_lowercase).eq(DEMO_SOURCE.split(' '))
    }
}

/// One thing that is known of a device by its own word; kept like this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub value: FactValue,
    pub source: String,
    pub measured_at: Time,
    /// Since when it has said the same, by the server's clock.
    pub since: Time,
}

/// All that is known of a device by its own word; kept like this, as JSON by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<FactKind, Fact>);

impl<'de> Deserialize<'de> for Facts {
    /// Kinds that a newer program kept are skipped: they must not hide the others.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds;

        impl<'de> Visitor<'de> for Kinds {
            type Value = Facts;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("facts by their kind")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Facts, M::Error> {
                let mut facts = BTreeMap::new();
                while let Some(kind) = map.next_key::<Cow<'de, str>>()? {
                    match FactKind::parse(&kind) {
                        Some(kind) => drop(facts.insert(kind, map.next_value()?)),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Facts(facts))
            }
        }

        deserializer.deserialize_map(Kinds)
    }
}

impl Facts {
    pub fn get(&self, kind: FactKind) -> Option<&Fact> {
        self.0.get(&kind)
    }

    /// These facts with a newer report: what is not reported again stays, with the time it was measured.
    #[must_use]
    pub fn with(&self, said: impl IntoIterator<Item = Reported>, now: Time) -> Self {
        let mut facts = self.clone();
        let said: Vec<_> = said.into_iter().collect();
        // Whoever counts again has looked at the folders again.
        if said.iter().any(|it| matches!(it.kind, FactKind::Changes | FactKind::RootsAway)) {
            facts.0.remove(&FactKind::RootsAway);
        }
        for Reported { kind, value, source, measured_at } in said {
            let old = self.0.get(&kind).filter(|it| it.value.says_the_same(&value));
            let since = old.map_or(now, |it| it.since);
            facts.0.insert(kind, Fact { value, source, measured_at, since });
        }
        facts
    }

    /// These facts while nobody knows which machine they are of: without those that a policy or a wipe rests on.
    #[must_use]
    pub fn of_an_unknown_machine(mut self) -> Self {
        self.0.retain(|kind, _| !kind.decides());
        self
    }

    /// What says something else than in `older`, among the kinds whose history is kept; none for what is no longer
    /// known.
    pub fn changes_from<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = (FactKind, Option<&'a Fact>)> {
        let kinds = FactKind::ALL.iter().copied().filter(|it| it.has_history());
        kinds.map(|kind| (kind, self.get(kind), older.get(kind))).filter_map(|(kind, new, old)| {
            let is_same = match (new, old) {
                (Some(new), Some(old)) => new.value == old.value,
                (new, old) => new.is_none() && old.is_none(),
            };
            (!is_same).then_some((kind, new))
        })
    }

    /// What the device says of its encryption, and when it measured that.
    pub fn encryption(&self) -> Option<(&EncryptionFact, &Fact)> {
        let fact = self.get(FactKind::Encryption)?;
        let FactValue::Encryption(value) = &fact.value else { return None };
        Some((value, fact))
    }

    /// What differs from the last backup, and when that was counted.
    pub fn changes(&self) -> Option<(Changes, Time)> {
        let fact = self.get(FactKind::Changes)?;
        let FactValue::Changes(value) = fact.value else { return None };
        Some((value, fact.measured_at))
    }

    /// The protected folders that are away.
    pub fn roots_away(&self) -> &[String] {
        let fact = self.get(FactKind::RootsAway);
        if let Some(Fact { value: FactValue::Paths(paths), .. }) = fact { paths } else { &[] }
    }

    /// The version of its operating system.
    pub fn os_version(&self) -> Option<&str> {
        let FactValue::Text(text) = &self.get(FactKind::OsVersion)?.value else { return None };
        Some(text)
    }
}

/// How long a device's word counts after it was measured.
pub const FACT_HOLDS: Duration = days(7);

/// How far a device's clock may be ahead.
const DEVICE_CLOCK: Duration = days(1);

/// Whether a device's word of `measured_at` still counts.
pub fn still_holds(measured_at: Time, now: Time) -> bool {
    measured_at + FACT_HOLDS >= now && measured_at <= now + DEVICE_CLOCK
}

/// What is known of a device's encryption at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionNow {
    pub state: Encryption,
    /// It is the device's last word, and too old to be relied on.
    pub is_old: bool,
}

impl EncryptionNow {
    /// By the device's word of `measured_at`; one that is no longer enrolled says nothing new.
    pub fn of(said: Encryption, measured_at: Option<Time>, device: DeviceState, now: Time) -> Self {
        let is_over = device != DeviceState::Enrolled || measured_at.is_some_and(|at| !still_holds(at, now));
        Self { state: said, is_old: is_over }
    }

    /// What a decision may rest on.
    pub fn relied_on(self) -> Encryption {
        if self.is_old && self.state == Encryption::On { Encryption::Unknown } else { self.state }
    }
}
