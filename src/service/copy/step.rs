//! What is under way at each store, and whether it takes too long: a network disk that has gone may never answer.
use domain::object::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a step may take that moves nothing: longer than the limits of a bucket's own calls together.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The slowest that bytes may come or go, in each second; there and back, and there again.
const SLOWEST: u64 = 64 << 10;

/// The steps that are under way.
pub struct Steps {
    patience: Duration,
    next: AtomicU64,
    open: Mutex<Vec<(u64, Location, Instant)>>,
}

/// A step; it has ended when this is dropped.
pub struct Step<'a> {
    steps: &'a Steps,
    number: u64,
}

impl Steps {
    /// None is under way; each may take `patience`, and longer by the bytes it moves.
    pub fn new(patience: Duration) -> Self {
        Self { patience, next: AtomicU64::new(0), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Vec<(u64, Location, Instant)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a step at a store that may move `bytes`.
    pub fn begin(&self, location: Location, bytes: u64) -> Step<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let limit = self.patience + Duration::from_secs(bytes / SLOWEST);
        self.open().push((number, location, Instant::now() + limit));
        Step { steps: self, number }
    }

    /// The store that should have answered by `now`.
    pub fn overdue(&self, now: Instant) -> Option<Location> {
        self.open().iter().find(|(_, _, until)| *until <= now).map(|it| it.1)
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.steps.open().retain(|it| it.0 != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_overdue_after_its_time_and_the_bytes_it_moves_and_not_once_it_has_ended() {
        let steps = Steps::new(Duration::from_secs(60));
        let begun = Instant::now();
        let large = steps.begin(Location::Copy, 60 * SLOWEST);
        let after = |seconds| steps.overdue(begun + Duration::from_secs(seconds));
        assert_eq!((after(119), after(121)), (None, Some(Location::Copy)));
        let small = steps.begin(Location::Primary, 0);
        assert_eq!((after(59), after(61)), (None, Some(Location::Primary)));
        drop(small);
        assert_eq!(after(61), None);
        drop(large);
        assert_eq!(after(1_000), None);
    }
}
