//! Whether the database answers: the log says once when it goes away, and once when it is back.
use diesel::r2d2::{Error, HandleError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the connection pool last learned. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Presence {
    is_away: Arc<AtomicBool>,
}

impl Presence {
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// A connection was available.
    pub fn is_there(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::warn!("the database answers again");
        }
    }
}

impl HandleError<Error> for Presence {
    /// A connection could not be opened; the pool keeps trying.
    fn handle_error(&self, error: Error) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %error,
                "the database does not answer: check that it is running, and that --database names the right one"
            );
        }
    }
}
