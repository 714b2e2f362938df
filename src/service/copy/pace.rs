//! How fast objects are copied, and how long one waits after a failure.
use domain::time::{Time, minutes};
use std::time::Duration;

/// What may be sent now, at a rate: it grows with time, and what was sent is taken from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    bytes: i64,
    at: Option<Time>,
}

/// Not more than this is saved up: a pause is not followed by a flood.
const SAVED: Duration = Duration::from_secs(2);

impl Pace {
    /// Lets it grow up to `now`, at `rate` bytes per second.
    pub fn grow(&mut self, rate: i64, now: Time) {
        let most = of(rate, SAVED);
        // A clock that was set back gives nothing, and takes nothing.
        let grown = self.at.map_or(most, |at| of(rate, now.since(at).min(SAVED)));
        self.bytes = self.bytes.saturating_add(grown).min(most);
        self.at = Some(now);
    }

    /// Whether anything may be sent. An object that is larger than what is left leaves a debt.
    pub const fn may_send(&self) -> bool {
        self.bytes > 0
    }

    /// Takes what goes on its way; false if nothing may be sent.
    pub const fn take(&mut self, bytes: i64) -> bool {
        let may_send = self.may_send();
        if may_send {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        may_send
    }

    /// Gives back what did not go after all.
    pub const fn give_back(&mut self, bytes: i64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

fn of(rate: i64, time: Duration) -> i64 {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    rate.saturating_mul(millis) / 1000
}

/// When to try again after failures: later each time, and at most after [`LONGEST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    until: Option<Time>,
}

/// The longest wait.
pub const LONGEST: Duration = minutes(5);

impl Backoff {
    /// Notes a failure at `now`.
    pub fn failed(&mut self, now: Time) {
        let wait = Duration::from_secs(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
    }

    /// Notes a success.
    pub const fn worked(&mut self) {
        *self = Self { failures: 0, until: None };
    }

    /// Whether it is too early to try again.
    pub fn waits(&self, now: Time) -> bool {
        // Also if the clock was set back: it would otherwise wait until the clock has caught up.
        self.until.is_some_and(|it| now < it && it <= now + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);
    const MIB: i64 = 1 << 20;

    #[test]
    fn in_a_minute_no_more_is_sent_than_the_rate_allows() {
        let (mut pace, mut sent) = (Pace::default(), 0);
        for tenth in 0..600 {
            pace.grow(10 * MIB, NOW + Duration::from_millis(100 * tenth));
            while pace.take(16 * MIB) {
                sent += 16;
            }
        }
        // Two seconds were saved up at the beginning, and one object may be owed at the end.
        assert!((600..=620 + 16).contains(&sent), "{sent}");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let mut pace = Pace::default();
        pace.grow(MIB, NOW);
        assert!(pace.take(2 * MIB) && !pace.take(1));
        pace.grow(MIB, NOW + minutes(60));
        assert!(pace.take(2 * MIB) && !pace.may_send());
        pace.give_back(1);
        assert!(pace.take(1) && !pace.may_send());
        pace.grow(MIB, NOW);
        assert!(!pace.may_send(), "a clock that was set back gives nothing");
        pace.grow(MIB, NOW + Duration::from_secs(1));
        assert!(pace.may_send());
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        assert!(!backoff.waits(NOW));
        let mut waits = Vec::new();
        for _ in 0..12 {
            backoff.failed(NOW);
            let over = (0..=300).find(|it| !backoff.waits(NOW + Duration::from_secs(*it)));
            waits.push(over.unwrap());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(!backoff.waits(NOW - minutes(60)), "a clock that was set back ends the wait");
        backoff.worked();
        assert!(!backoff.waits(NOW));
        backoff.failed(NOW);
        assert!(!backoff.waits(NOW + Duration::from_secs(1)), "and the next failure is the first");
    }
}
