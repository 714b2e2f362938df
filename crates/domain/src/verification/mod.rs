//! Verification: when the stored bytes of an object are read back, in which order, how fast, and what that shows.
//!
//! A read-back shows that a location still has the bytes that were sent: their hash is their name. It says nothing of
//! what is in them; that is what restore tests are for.
mod budget;
mod standing;
mod survey;

pub use budget::{Allowance, Budget};
pub use standing::{Facts, Standing};
pub use survey::{Amount, Pass, Share, Survey, Tally, step_of};

use crate::object::{Location, ObjectKind};
use crate::text::text_enum;
use crate::time::{Time, days, hours};
use std::cmp::Reverse;
use std::time::Duration;

/// How it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub budget: Budget,
    /// In which time everything is read back once.
    pub cycle: Duration,
}

/// How soon after they arrived the bytes of an object are read back.
pub const WITHIN: Duration = hours(24);

/// How long a first read-back waits for uploads; after that it goes on beside them.
pub const PATIENCE: Duration = hours(12);

/// How long a read-back counts.
pub const HOLDS: Duration = days(30);

/// How often what is known to be damaged is looked at again: somebody may have put it back.
pub const LOOK_AGAIN: Duration = hours(24);

/// What is read back, and what comes first: a pack is worth nothing without what leads to it. A lock is not read; it
/// comes and goes, and no restore needs it.
pub const KINDS: [ObjectKind; 6] = [
    ObjectKind::Snapshots,
    ObjectKind::Index,
    ObjectKind::Config,
    ObjectKind::Keys,
    ObjectKind::Manifests,
    ObjectKind::Data,
];

text_enum! {
    /// What of the bytes that were read before is read again first.
    Rank {
        /// The newest restore point needs it, as far as its test has shown; and so may any other.
        Needed = "needed",
        /// No other location has it intact.
        Only = "only",
        /// Another location has it, too.
        Spare = "spare",
    }
}

impl Rank {
    /// That of bytes which come to a location, before any test has shown what needs them.
    ///
    /// All but packs are needed by whatever is restored, and small.
    pub const fn at_first(kind: ObjectKind, location: Location) -> Self {
        match (kind, location) {
            (ObjectKind::Data, Location::Primary) => Self::Only,
            // They come from the backup store.
            (ObjectKind::Data, Location::Copy) => Self::Spare,
            (
                ObjectKind::Config
                | ObjectKind::Keys
                | ObjectKind::Index
                | ObjectKind::Snapshots
                | ObjectKind::Locks
                | ObjectKind::Manifests,
                _,
            ) => Self::Needed,
        }
    }
}

/// What is known of the bytes of an object at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    pub kind: ObjectKind,
    pub rank: Rank,
    /// When the bytes came there.
    pub added_at: Time,
    /// When they were last read back.
    pub verified_at: Option<Time>,
}

/// The share of a cycle after which bytes are read again. The rest is for reading them, so that with a budget that
/// suffices none is older than a cycle.
const DUE_AFTER: (u32, u32) = (4, 5);

/// How old a read-back is when the next becomes due.
pub fn due_after(cycle: Duration) -> Duration {
    cycle * DUE_AFTER.0 / DUE_AFTER.1
}

impl Known {
    /// Whether they are to be read back.
    pub fn is_due(&self, cycle: Duration, now: Time) -> bool {
        // A time that lies ahead comes from a clock that was wrong, and shows nothing.
        self.verified_at.is_none_or(|at| at > now || at + due_after(cycle) <= now)
    }

    /// Whether they were not read back for so long after they came that nothing may delay it any more.
    pub fn is_urgent(&self, now: Time) -> bool {
        self.verified_at.is_none() && self.added_at + PATIENCE <= now
    }

    /// Whether they may be read now; uploads come first.
    pub fn may_be_read(&self, is_receiving: bool, now: Time) -> bool {
        !is_receiving || self.is_urgent(now)
    }

    /// The place in the order of reading: what waited too long, then what was never read, then the oldest read-backs of
    /// each rank. Where the budget does not suffice, a rank is passed over for two cycles and no longer.
    fn place(&self, cycle: Duration, now: Time) -> (u8, usize, Rank, Reverse<bool>, Time) {
        let kind = KINDS.iter().position(|it| *it == self.kind).unwrap_or(KINDS.len());
        match self.verified_at {
            // By age alone: who sends many small objects does not hold up what others sent before.
            None if self.is_urgent(now) => (0, 0, Rank::Needed, Reverse(false), self.added_at),
            None => (1, kind, Rank::Needed, Reverse(false), self.added_at),
            Some(at) if at + cycle * 2 <= now => (2, 0, Rank::Needed, Reverse(false), at),
            Some(at) => (3, 0, self.rank, Reverse(at > now), at),
        }
    }
}

/// Sorts by the order of reading.
pub fn sort<T>(some: &mut [T], known: impl Fn(&T) -> Known, cycle: Duration, now: Time) {
    some.sort_by_cached_key(|it| known(it).place(cycle, now));
}

/// How long the oldest bytes that were never read back have waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lag {
    /// Everything was read back at least once.
    None,
    /// They have a while left.
    Waiting(Duration),
    /// They should have been read back by now.
    Late(Duration),
}

impl Lag {
    /// The lag, if the oldest bytes that were never read back came at `oldest`.
    pub fn of(oldest: Option<Time>, now: Time) -> Self {
        match oldest.map(|it| now.since(it)) {
            None => Self::None,
            Some(waited) if waited <= WITHIN => Self::Waiting(waited),
            Some(waited) => Self::Late(waited),
        }
    }

    /// How old what is late is; zero while nothing is.
    pub const fn late(self) -> Duration {
        match self {
            Self::Late(waited) => waited,
            Self::None | Self::Waiting(_) => Duration::ZERO,
        }
    }
}

text_enum! {
    /// What verification is doing.
    Pace {
        /// It was turned off.
        Off = "off",
        /// The location cannot be read, which proves nothing.
        Away = "away",
        /// Devices are sending, and what is due can wait.
        Paused = "paused",
        Reading = "reading",
        /// Nothing is due.
        Resting = "resting",
    }
}

impl Pace {
    /// What it means, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Off => {
                "Nothing is read back, because the server was started with --verify-budget 0. What rots on the disk is \
                 noticed only when a restore test or a restore meets it."
            }
            Self::Away => "Nothing is read back while the store cannot be read.",
            Self::Paused => {
                "It waits while devices send backups. What came more than 12 hours ago and was never read back is read \
                 all the same."
            }
            Self::Reading => "It is reading.",
            Self::Resting => "Nothing is due at the moment.",
        }
    }
}

/// What becomes of a damaged copy at a location, in a sentence.
pub const fn repair(location: Location, is_elsewhere: bool) -> &'static str {
    match (location, is_elsewhere) {
        (Location::Primary, true) => "The second store has it intact; it is replaced from there within minutes.",
        (Location::Copy, true) => "The backup store has it intact; it is copied again within minutes.",
        (Location::Primary | Location::Copy, false) => {
            "No store has it intact. It is put right if its device sends it again."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn known(kind: ObjectKind, added_at: Time, verified_at: Option<Time>) -> Known {
        Known { kind, rank: Rank::at_first(kind, Location::Primary), added_at, verified_at }
    }

    fn ranked(rank: Rank, ago: Duration) -> Known {
        Known { rank, ..known(ObjectKind::Data, NOW - days(90), Some(NOW - ago)) }
    }

    #[test]
    fn everything_but_locks_is_read_back() {
        let missing: Vec<_> = ObjectKind::ALL.iter().filter(|it| !KINDS.contains(it)).collect();
        assert_eq!(missing, [&ObjectKind::Locks]);
    }

    #[test]
    fn what_was_never_read_is_due_at_once_and_the_rest_before_a_cycle_is_over() {
        let is_due = |verified_at| known(ObjectKind::Data, NOW - days(90), verified_at).is_due(days(30), NOW);
        let moment = Duration::from_millis(1);
        for (verified_at, expected) in [
            (None, true),
            (Some(NOW), false),
            (Some(NOW - days(24) + moment), false),
            (Some(NOW - days(24)), true),
            (Some(NOW - days(31)), true),
            (Some(NOW + moment), true),
        ] {
            assert_eq!(is_due(verified_at), expected, "{verified_at:?}");
        }
    }

    #[test]
    fn uploads_hold_up_what_can_wait_and_nothing_that_waited_half_a_day() {
        let since = |ago| known(ObjectKind::Data, NOW - ago, None);
        for (ago, urgent) in [(minutes(0), false), (PATIENCE - minutes(1), false), (PATIENCE, true), (WITHIN, true)] {
            assert_eq!(since(ago).is_urgent(NOW), urgent, "{ago:?}");
            assert_eq!(since(ago).may_be_read(true, NOW), urgent, "{ago:?}");
            assert!(since(ago).may_be_read(false, NOW), "{ago:?}");
        }
        let read_before = known(ObjectKind::Data, NOW - days(90), Some(NOW - days(60)));
        assert!(!read_before.is_urgent(NOW) && !read_before.may_be_read(true, NOW));
    }

    #[test]
    fn the_order_is_late_then_new_then_what_is_needed_then_what_has_no_other_copy_then_the_rest_by_age() {
        use ObjectKind::{Data, Index, Snapshots};
        let in_order = [
            known(Data, NOW - hours(30), None),
            known(Snapshots, NOW - hours(13), None),
            known(Snapshots, NOW - hours(1), None),
            known(Index, NOW - hours(2), None),
            known(Data, NOW - hours(11), None),
            known(Data, NOW - hours(3), None),
            ranked(Rank::Spare, days(61)),
            ranked(Rank::Needed, days(60)),
            known(Index, NOW - days(90), Some(NOW - days(27))),
            ranked(Rank::Needed, days(26)),
            Known { verified_at: Some(NOW + days(1)), ..ranked(Rank::Only, days(0)) },
            ranked(Rank::Only, days(40)),
            ranked(Rank::Only, days(25)),
            ranked(Rank::Spare, days(59)),
            ranked(Rank::Spare, days(41)),
        ];
        let mut some: Vec<_> = in_order.into_iter().rev().collect();

        sort(&mut some, |it| *it, days(30), NOW);

        assert_eq!(some, in_order);
    }

    #[test]
    fn what_opens_and_leads_is_needed_and_a_pack_at_first_has_no_other_copy_but_where_it_was_copied_to() {
        for kind in ObjectKind::ALL {
            let [here, there] = [Location::Primary, Location::Copy].map(|it| Rank::at_first(*kind, it));
            let expected =
                if *kind == ObjectKind::Data { (Rank::Only, Rank::Spare) } else { (Rank::Needed, Rank::Needed) };
            assert_eq!((here, there), expected, "{kind}");
        }
    }

    #[test]
    fn the_lag_is_late_only_after_a_day() {
        let moment = Duration::from_millis(1);
        assert_eq!(Lag::of(None, NOW), Lag::None);
        assert_eq!(Lag::of(Some(NOW + days(1)), NOW), Lag::Waiting(Duration::ZERO));
        assert_eq!(Lag::of(Some(NOW - WITHIN), NOW), Lag::Waiting(WITHIN));
        assert_eq!(Lag::of(Some(NOW - WITHIN - moment), NOW), Lag::Late(WITHIN + moment));
        assert_eq!(Lag::Late(WITHIN).late(), WITHIN);
        assert_eq!((Lag::None.late(), Lag::Waiting(WITHIN).late()), (Duration::ZERO, Duration::ZERO));
    }
}
