//! What a pass over everything at a location counted.
use super::HOLDS;
use crate::id::RepositoryId;
use crate::time::{Time, hours};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY_MILLIS: i64 = 86_400_000;

/// How long a pass takes at most where there is much to look at; the next begins at once.
const PASS: Duration = hours(12);

/// The fewest objects that one step of a pass compares.
const STEP: i64 = 2_000;

/// How many of `objects` each step of a pass compares, if a step is made every `period`.
pub fn step_of(objects: i64, period: Duration) -> i64 {
    let steps = (PASS.as_secs() / period.as_secs().max(1)).max(1);
    (objects / i64::try_from(steps).unwrap_or(i64::MAX)).saturating_add(1).max(STEP)
}

/// Objects and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub objects: i64,
    pub bytes: i64,
}

impl Amount {
    fn add(&mut self, bytes: i64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// A count of what is at a location.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Everything that should be there.
    pub all: Amount,
    /// What nobody has read back since it came there.
    pub never: Amount,
    /// What is missing or changed.
    pub damaged: Amount,
    /// Repositories whose folder could not be listed, although the store was there.
    pub unlisted: i64,
    /// What is intact, by the day on which it was last read back, counted from 1970.
    intact: BTreeMap<i64, Amount>,
}

impl Tally {
    /// Counts an object.
    pub fn add(&mut self, bytes: i64, verified_at: Option<Time>, is_damaged: bool, now: Time) {
        self.all.add(bytes);
        match verified_at {
            _ if is_damaged => self.damaged.add(bytes),
            None => self.never.add(bytes),
            // A time that lies ahead comes from a clock that was wrong, and shows nothing.
            Some(at) if at > now || at + HOLDS < now => {}
            Some(at) => self.intact.entry(at.millis().div_euclid(DAY_MILLIS)).or_default().add(bytes),
        }
    }
}

/// A pass that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub began_at: Time,
    /// The repository that was looked at last.
    pub after: Option<RepositoryId>,
    pub tally: Tally,
}

impl Pass {
    /// One that begins.
    pub fn begin(now: Time) -> Self {
        Self { began_at: now, after: None, tally: Tally::default() }
    }

    /// What it found, once it has been everywhere.
    pub fn end(self, now: Time) -> Survey {
        Survey { began_at: self.began_at, ended_at: now, tally: self.tally }
    }
}

/// What the last complete pass found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    pub began_at: Time,
    pub ended_at: Time,
    pub tally: Tally,
}

/// How much of what is stored was read back and found intact in the last 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub intact: Amount,
    pub all: Amount,
}

impl Survey {
    /// Whether something at the location was not looked for within a day.
    pub fn is_old(&self, now: Time) -> bool {
        // What was listed first in this pass was last seen when it began.
        self.began_at > now || self.began_at + hours(24) < now
    }

    /// The share as far as it still holds at `now`: what was counted falls out of it as time goes by, even if
    /// nobody counts again.
    pub fn share(&self, now: Time) -> Share {
        let mut intact = Amount::default();
        for (day, amount) in &self.tally.intact {
            let begun = Time::from_millis(day.saturating_mul(DAY_MILLIS));
            // The whole of a day at once, by its first moment: the share is never more than it is.
            if begun <= now && begun + HOLDS >= now {
                intact.objects += amount.objects;
                intact.bytes = intact.bytes.saturating_add(amount.bytes);
            }
        }
        Share { intact, all: self.tally.all }
    }
}

impl Share {
    /// From 0 to 100, of objects or of bytes, whichever is less; 100 only if nothing is missing. None if nothing is
    /// stored.
    pub fn percent(&self) -> Option<i64> {
        let of = |part: i64, all: i64| if all <= 0 { 100 } else { i128::from(part.max(0)) * 100 / i128::from(all) };
        let least = of(self.intact.objects, self.all.objects).min(of(self.intact.bytes, self.all.bytes));
        (self.all.objects > 0).then(|| i64::try_from(least.min(100)).unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn survey(of: &[(i64, Option<Time>, bool)]) -> Survey {
        let mut tally = Tally::default();
        of.iter().for_each(|(bytes, verified_at, is_damaged)| tally.add(*bytes, *verified_at, *is_damaged, NOW));
        Survey { began_at: NOW - hours(1), ended_at: NOW, tally }
    }

    fn percent(of: &[(i64, Option<Time>, bool)], now: Time) -> Option<i64> {
        survey(of).share(now).percent()
    }

    #[test]
    fn only_what_was_read_back_lately_and_is_intact_counts() {
        let recent = Some(NOW - days(1));
        for (one, expected) in [
            ((1, recent, false), 100),
            ((1, None, false), 75),
            ((1, recent, true), 75),
            ((1, None, true), 75),
            ((1, Some(NOW - days(31)), false), 75),
            ((1, Some(NOW + hours(1)), false), 75),
        ] {
            let of = [one, (1, recent, false), (1, recent, false), (1, recent, false)];
            assert_eq!(percent(&of, NOW), Some(expected), "{one:?}");
        }
    }

    #[test]
    fn what_was_counted_falls_out_of_the_share_as_time_goes_by() {
        let of = [(1, Some(NOW - days(20)), false), (1, Some(NOW), false)];
        assert_eq!(percent(&of, NOW), Some(100));
        assert_eq!(percent(&of, NOW + days(11)), Some(50));
        assert_eq!(percent(&of, NOW + days(31)), Some(0));
        assert_eq!(percent(&of, NOW - days(2)), Some(50), "nor does a time count that now lies ahead");
    }

    #[test]
    fn a_share_is_never_rounded_up_and_neither_many_small_nor_few_large_objects_hide_the_rest() {
        let recent = Some(NOW);
        let mut many = vec![(10, recent, false); 999];
        many.push((10, None, false));
        assert_eq!(percent(&many, NOW), Some(99));
        let small = [(1, recent, false), (1, recent, false), (1, recent, false), (997, None, false)];
        let large = [(1, None, false), (1, None, false), (1, None, false), (997, recent, false)];
        assert_eq!((percent(&small, NOW), percent(&large, NOW)), (Some(0), Some(25)));
        assert_eq!(percent(&[(0, recent, false)], NOW), Some(100), "an empty object");
        assert_eq!(percent(&[], NOW), None);
    }

    #[test]
    fn each_object_is_counted_once() {
        let found =
            survey(&[(1, None, false), (2, Some(NOW), false), (4, Some(NOW), true), (8, Some(NOW - days(90)), false)]);
        let amount = |objects, bytes| Amount { objects, bytes };
        let tally = &found.tally;
        assert_eq!((tally.all, tally.never, tally.damaged), (amount(4, 15), amount(1, 1), amount(1, 4)));
        assert_eq!(found.share(NOW).intact, amount(1, 2));
    }

    #[test]
    fn every_object_is_listed_within_half_a_day() {
        let period = Duration::from_secs(60);
        let steps = 12 * 60;
        for objects in [0, 1, 1_440_000, 13_000_000, i64::MAX / 2] {
            let step = step_of(objects, period);
            assert!(step >= STEP && i128::from(step) * steps >= i128::from(objects), "{objects}: {step}");
        }
        assert_eq!((step_of(1_000_000, period), step_of(13_000_000, period)), (STEP, 18_056));
        assert_eq!(step_of(1_000_000, Duration::ZERO), STEP);
    }

    #[test]
    fn a_listing_is_old_after_a_day_counted_from_its_beginning() {
        let found = survey(&[]);
        assert!(!found.is_old(NOW) && !found.is_old(NOW + hours(23)));
        assert!(found.is_old(NOW + hours(23) + Duration::from_millis(1)));
        assert!(found.is_old(NOW - hours(2)), "by a clock that was wrong");
    }

    #[test]
    fn it_is_kept_as_json() {
        let found = survey(&[(1, None, false), (2, Some(NOW), false)]);
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Survey>(&text).unwrap(), found);
    }
}
