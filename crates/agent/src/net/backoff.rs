//! Waiting before another try, so that a fleet does not return all at once.
use std::fmt::Display;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// The longest wait while the server does not recognise this device.
const SLOWEST: Duration = Duration::from_secs(60 * 60);
/// How often one message is tried before it counts as failed; about three minutes including the waits.
const TRIES: u32 = 6;

/// The wait after the `attempt`-th failure (from 0): anything up to 5 s · 2^n, and at most `longest`.
///
/// `random` is spread evenly over all of `u64`. The whole span is random, not only its end: thousands of agents
/// that lost the same server come back evenly.
pub fn delay(attempt: u32, longest: Duration, random: u64) -> Duration {
    let span = FIRST.saturating_mul(2_u32.saturating_pow(attempt)).min(longest);
    part(span, random)
}

/// A random part of `span`.
pub fn part(span: Duration, random: u64) -> Duration {
    let millis = u128::from(random) * span.as_millis() / u128::from(u64::MAX);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// `base` ± a tenth.
pub fn jitter(base: Duration, random: u64) -> Duration {
    base.mul_f64(0.9) + part(base.mul_f64(0.2), random)
}

/// A random number; without randomness from the system the middle, which is a fair wait too.
pub fn random() -> u64 {
    secret::bytes::<8>().map_or(u64::MAX / 2, u64::from_le_bytes)
}

/// Why a try failed, and whether another one may help.
#[derive(Debug)]
pub struct Failed<E> {
    pub error: E,
    pub again: Again,
}

/// Whether the same message may be accepted on another try without anybody doing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Never,
    /// How long the server asked to wait, if it asked.
    After(Option<Duration>),
}

/// Tries until it works, another try would not help, or the tries are used up.
///
/// The one policy of everything that is sent while something waits for it. `stopped` is the error where `stop` was
/// requested in the meantime.
///
/// # Errors
/// That of the last try.
pub fn patiently<T, E: Display>(
    stop: &Stop,
    stopped: impl Fn() -> E,
    mut attempt: impl FnMut() -> Result<T, Failed<E>>,
) -> Result<T, E> {
    let mut backoff = Backoff::default();
    loop {
        if stop.is_stopped() {
            return Err(stopped());
        }
        let Failed { error, again } = match attempt() {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        let Again::After(asked) = again else { return Err(error) };
        if backoff.attempts() + 1 >= TRIES {
            return Err(error);
        }
        let wait = backoff.next(asked);
        tracing::info!("{error}; trying again in {} s", wait.as_secs());
        if stop.sleep(wait) {
            return Err(stopped());
        }
    }
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    /// How long to wait after another failure; `asked` is the server's `Retry-After`.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.longest(LONGEST);
        // The server's word is the minimum; the jitter on top keeps a crowd apart.
        asked.map_or(wait, |asked| asked.min(LONGEST) + part(asked.min(LONGEST) / 4, random()))
    }

    /// How long to wait after the server said again that it does not know this device: up to an hour.
    pub fn next_slow(&mut self) -> Duration {
        self.longest(SLOWEST)
    }

    fn longest(&mut self, longest: Duration) -> Duration {
        let wait = delay(self.attempt, longest, random());
        self.attempt = self.attempt.saturating_add(1);
        wait
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    pub fn attempts(&self) -> u32 {
        self.attempt
    }
}

/// A request to stop that wakes all sleepers.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Ends every sleep, now and later.
    pub fn stop(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub fn is_stopped(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps for `span`, or until stopped; says whether it was stopped.
    pub fn sleep(&self, span: Duration) -> bool {
        self.sleep_unless(Instant::now() + span, || false);
        self.is_stopped()
    }

    /// Sleeps until `until`, until stopped, or until `is_ready`, which is asked again at each [`Stop::nudge`].
    pub fn sleep_unless(&self, until: Instant, is_ready: impl Fn() -> bool) {
        let mut stopped = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped && !is_ready() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            stopped = self.0.1.wait_timeout(stopped, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Makes sleepers look again, after what they wait for was set.
    pub fn nudge(&self) {
        // A thread about to sleep holds the lock while it looks, so it either sees what was set or is woken.
        drop(self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_doubles_up_to_half_an_hour_and_is_random_from_zero() {
        let cases = [(0, 5), (1, 10), (3, 40), (8, 1280), (9, 1800), (40, 1800), (u32::MAX, 1800)];
        for (attempt, seconds) in cases {
            assert_eq!(delay(attempt, LONGEST, u64::MAX), Duration::from_secs(seconds), "{attempt}");
            assert_eq!(delay(attempt, LONGEST, 0), Duration::ZERO);
        }
    }

    #[test]
    fn a_server_that_does_not_know_the_device_is_asked_every_hour_at_least() {
        assert_eq!(delay(9, SLOWEST, u64::MAX), Duration::from_secs(2560));
        assert_eq!(delay(u32::MAX, SLOWEST, u64::MAX), Duration::from_secs(3600));
        assert!(Backoff::default().next_slow() <= FIRST);
    }

    #[test]
    fn retry_after_is_the_least() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            let wait = backoff.next(Some(Duration::from_secs(60)));
            assert!(wait >= Duration::from_secs(60) && wait <= Duration::from_secs(75), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let base = Duration::from_secs(100);
        assert_eq!(jitter(base, 0).as_secs(), 90);
        assert_eq!(jitter(base, u64::MAX).as_secs(), 110);
    }

    #[test]
    fn stop_wakes_a_sleeper() {
        let stop = Stop::default();
        let sleeper = std::thread::spawn({
            let stop = stop.clone();
            move || stop.sleep(Duration::from_secs(3600))
        });
        stop.stop();
        assert!(sleeper.join().unwrap());
        assert!(stop.is_stopped());
    }

    #[test]
    fn a_server_that_still_does_not_know_the_device_is_asked_more_seldom_than_one_that_is_away() {
        let longest = |next: fn(&mut Backoff) -> Duration| {
            let mut backoff = Backoff { attempt: 40 };
            (0..100).map(|_| next(&mut backoff)).max().unwrap()
        };
        assert!(longest(|it| it.next(None)) <= LONGEST);
        // Each wait is a random part of an hour: a hundred of less than half of it do not happen.
        assert!((LONGEST..=SLOWEST).contains(&longest(Backoff::next_slow)));
    }
}
