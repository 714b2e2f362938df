//! Where states lie in the second store: one area for each day, which looks like a repository that no device has.
use crate::blob::BlobKey;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::time::{Time, days};

/// A day since 1970, by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

/// How far back the newest state is looked for: a console that was lost and not missed for so long.
const LOOK_BACK: i64 = 400;

impl Day {
    /// The day of a time; one before 1970 is the first.
    pub fn of(time: Time) -> Self {
        let day = i64::try_from(days(1).as_millis()).unwrap_or(i64::MAX);
        Self((time.millis() / day).max(0))
    }

    /// This day, those before it, and tomorrow first: the clock of whoever looks may be behind.
    pub fn back_from(now: Time) -> impl Iterator<Item = Self> {
        let Self(today) = Self::of(now);
        (0..=LOOK_BACK + 1).map(move |back| Self(today + 1 - back)).filter(|it| it.0 >= 0)
    }

    /// The area of the day. Ids of repositories are random in all parts but their time, so none is ever one of these.
    pub fn area(self) -> Option<RepositoryId> {
        RepositoryId::parse(&format!("00000000-0000-7000-8000-{:012x}", self.0))
    }

    /// Where something of the day lies.
    pub fn key(self, kind: ObjectKind, name: ObjectName) -> Option<BlobKey> {
        Some(BlobKey::new(self.area()?, kind, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_an_area_of_its_own_and_the_newest_is_looked_at_first() {
        let now = Time::from_millis(1_795_356_371_000);
        let looked: Vec<_> = Day::back_from(now).collect();
        assert_eq!(looked.first(), Some(&Day::of(now + days(1))));
        assert_eq!(looked.get(1), Some(&Day::of(now)));
        assert!(looked.contains(&Day::of(now - days(399))));
        let areas: std::collections::BTreeSet<_> = looked.iter().filter_map(|it| it.area()).collect();
        assert_eq!(areas.len(), looked.len());
        assert_eq!(Day::of(Time::from_millis(-1)), Day(0));
    }
}
