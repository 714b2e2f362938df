//! The only place that reads the system time, so that tests can set it.
use crate::domain::time::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    System,
    /// Stands still until it is set or advanced; for tests.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn fixed(at: Time) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.millis())))
    }

    /// The current time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time::from_millis(jiff::Timestamp::now().as_millisecond()),
            Self::Fixed(at) => Time::from_millis(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a fixed clock forward; a system clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Fixed(at) = self {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            at.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// Sets a fixed clock, also backwards; a system clock cannot be set.
    pub fn set(&self, to: Time) {
        if let Self::Fixed(at) = self {
            at.store(to.millis(), Ordering::SeqCst);
        }
    }
}
