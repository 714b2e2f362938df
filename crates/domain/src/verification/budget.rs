//! How fast it may read, and whether that is enough.
use super::due_after;
use crate::time::Time;
use std::time::Duration;

/// The most time whose bytes may be read at once.
const BURST: Duration = Duration::from_secs(5);

const MIB: u64 = 1 << 20;

/// What reading an object costs at least: a disk that turns needs as long to get to it as to read so much.
const LEAST: u64 = 64 << 10;

/// How many MiB may be read in a second; 0 turns verification off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub mib_per_second: u32,
}

impl Budget {
    /// Whether nothing may be read.
    pub const fn is_off(self) -> bool {
        self.mib_per_second == 0
    }

    /// How many bytes may be read in `time`.
    fn bytes_in(self, time: Duration) -> i64 {
        let bytes = u128::from(self.mib_per_second) * u128::from(MIB) * time.as_millis() / 1000;
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    /// The budget with which `bytes` are read in `time`.
    fn for_bytes(bytes: u64, time: Duration) -> Self {
        let mib = bytes.div_ceil(MIB).div_ceil(time.as_secs().max(1));
        Self { mib_per_second: u32::try_from(mib).unwrap_or(u32::MAX) }
    }

    /// The smallest budget with which this many stored bytes are read once in each cycle; none if this one does.
    pub fn too_small_for(self, bytes: u64, cycle: Duration) -> Option<Self> {
        let needed = Self::for_bytes(bytes, due_after(cycle));
        (needed.mib_per_second > self.mib_per_second).then_some(needed)
    }
}

/// How many bytes may be read at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    budget: Budget,
    /// Negative after a large object: it is read as a whole, and waited for afterwards.
    left: i64,
    at: Time,
}

impl Allowance {
    /// That of a start: a burst.
    pub fn new(budget: Budget, now: Time) -> Self {
        Self { budget, left: budget.bytes_in(BURST), at: now }
    }

    /// Adds what the time since the last call allows. What was not used then is kept only for a burst.
    pub fn refill(&mut self, now: Time) {
        // A clock that was set back adds nothing, and one set forward no more than a burst.
        let more = self.budget.bytes_in(now.since(self.at).min(BURST));
        self.left = self.left.saturating_add(more).min(self.budget.bytes_in(BURST));
        self.at = now;
    }

    /// Whether another object may be read.
    pub const fn has_room(&self) -> bool {
        self.left > 0
    }

    /// Takes away an object that was read.
    pub fn spend(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(i64::try_from(bytes.max(LEAST)).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days;

    const NOW: Time = Time::from_millis(1_795_356_371_000);
    const TEN: Budget = Budget { mib_per_second: 10 };

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn over_a_minute_no_more_is_read_than_the_budget_and_a_burst_allow() {
        for object in [1, 100 << 10, 16 * MIB, 132 * MIB] {
            let (mut allowance, mut now, mut read) = (Allowance::new(TEN, NOW), NOW, 0);
            for _ in 0..600 {
                while allowance.has_room() {
                    allowance.spend(object);
                    read += object.max(LEAST);
                }
                now = now + Duration::from_millis(100);
                allowance.refill(now);
            }
            let allowed = (60 + BURST.as_secs()) * 10 * MIB;
            assert!(read <= allowed + object.max(LEAST), "{object}: {read}");
            assert!(read >= 60 * 10 * MIB, "{object}: {read} is less than is allowed");
        }
    }

    #[test]
    fn a_pause_saves_up_a_burst_and_no_more() {
        let mut allowance = Allowance::new(TEN, NOW);
        allowance.refill(NOW + days(3));
        assert_eq!(allowance.left, 50 << 20);
        allowance.spend(50 << 20);
        assert!(!allowance.has_room());
    }

    #[test]
    fn a_large_object_is_waited_for_afterwards() {
        let mut allowance = Allowance::new(TEN, NOW);
        allowance.spend(132 << 20);
        let has_room_after = |time| {
            let mut later = allowance;
            (1..=time).for_each(|it| later.refill(NOW + seconds(it)));
            later.has_room()
        };
        assert!(!has_room_after(8) && has_room_after(9));
    }

    #[test]
    fn a_clock_that_jumps_buys_nothing() {
        let mut allowance = Allowance::new(TEN, NOW);
        allowance.spend(50 << 20);
        allowance.refill(NOW - days(1));
        assert!(!allowance.has_room());
        allowance.refill(NOW - days(1) + seconds(1));
        assert!(allowance.has_room(), "and it goes on from there");
    }

    #[test]
    fn no_budget_reads_nothing_ever() {
        let off = Budget { mib_per_second: 0 };
        let mut allowance = Allowance::new(off, NOW);
        allowance.refill(NOW + days(1));
        assert!(off.is_off() && !allowance.has_room());
        assert!(!TEN.is_off() && Allowance::new(TEN, NOW).has_room());
    }

    #[test]
    fn a_budget_with_which_a_cycle_does_not_end_in_time_is_too_small() {
        // 195 TiB in the 24 of 30 days after which they are due.
        let fleet = 195 << 40;
        for (mib_per_second, needed) in [(98, Some(99)), (99, None), (1000, None), (0, Some(99))] {
            let needed = needed.map(|it| Budget { mib_per_second: it });
            assert_eq!(Budget { mib_per_second }.too_small_for(fleet, days(30)), needed, "{mib_per_second}");
        }
        assert_eq!(Budget { mib_per_second: 0 }.too_small_for(0, days(30)), None, "nothing is stored");
        assert_eq!(TEN.too_small_for(u64::MAX, seconds(0)), Some(Budget { mib_per_second: u32::MAX }));
    }
}
