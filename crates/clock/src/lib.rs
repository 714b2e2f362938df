//! The only place that reads the system time, so that tests can set it.
use domain::time::Time;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A wall clock that drifts from the steady one by more than this has jumped; time servers move it in small
/// steps.
const JUMP: Duration = Duration::from_secs(60);

/// What the system's two clocks showed at one moment since which the wall clock has not jumped.
static STEADY: Mutex<Option<(Instant, Time)>> = Mutex::new(None);

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Stands still until it is set or advanced; for tests.
    Fixed(Arc<Hands>),
}

/// What a fixed clock shows, in milliseconds.
#[derive(Debug)]
pub struct Hands {
    now: AtomicI64,
    steady_since: AtomicI64,
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn fixed(at: Time) -> Self {
        let hand = || AtomicI64::new(at.millis());
        Self::Fixed(Arc::new(Hands { now: hand(), steady_since: hand() }))
    }

    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time::from_millis(jiff::Timestamp::now().as_millisecond()),
            Self::Fixed(hands) => Time::from_millis(hands.now.load(Ordering::SeqCst)),
        }
    }

    /// Since when the clock has run without a jump, as far as this process has seen: what it says about an
    /// earlier time may be wrong.
    pub fn steady_since(&self) -> Time {
        match self {
            Self::System => {
                let (instant, now) = (Instant::now(), self.now());
                let mut steady = STEADY.lock().unwrap_or_else(PoisonError::into_inner);
                if steady.is_none_or(|(begun, at)| has_jumped(at + instant.duration_since(begun), now)) {
                    *steady = Some((instant, now));
                }
                steady.map_or(now, |(_, at)| at)
            }
            Self::Fixed(hands) => Time::from_millis(hands.steady_since.load(Ordering::SeqCst)),
        }
    }

    /// Moves a fixed clock forward; a system clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Fixed(hands) = self {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            hands.now.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Sets a fixed clock, even backwards; a system clock cannot be set.
    pub fn set(&self, to: Time) {
        if let Self::Fixed(hands) = self
            && hands.now.swap(to.millis(), Ordering::SeqCst) != to.millis()
        {
            hands.steady_since.store(to.millis(), Ordering::SeqCst);
        }
    }
}

/// Whether a clock that should show `expected` but shows `now` was set in between.
fn has_jumped(expected: Time, now: Time) -> bool {
    expected.since(now).max(now.since(expected)) > JUMP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_steady_only_from_then_on() {
        let begin = Time::from_millis(1_000_000);
        let clock = Clock::fixed(begin);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(clock.steady_since(), begin);
        clock.set(clock.now());
        assert_eq!(clock.steady_since(), begin);
        clock.set(begin - Duration::from_secs(5));
        assert_eq!(clock.steady_since(), begin - Duration::from_secs(5));
    }

    #[test]
    fn the_system_clock_is_steady_while_nobody_sets_it() {
        let first = Clock::System.steady_since();
        assert!(first <= Clock::System.now());
        assert_eq!(Clock::System.steady_since(), first);
    }

    #[test]
    fn only_what_no_time_server_does_is_a_jump() {
        let at = Time::from_millis(1_000_000_000);
        for (now, expected) in [
            (at, false),
            (at + JUMP, false),
            (at - JUMP, false),
            (at + Duration::from_secs(61), true),
            (at - Duration::from_secs(61), true),
        ] {
            assert_eq!(has_jumped(at, now), expected);
        }
    }
}
