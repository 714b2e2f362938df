//! What is kept of each device's restore points, what ends, and what stops all of it.
//!
//! The time at which the server received a point decides alone. What a device says about time is a label: it can
//! only keep its own point out of the count.
mod anomaly;
mod brake;
mod calendar;
mod decide;
mod hold;
mod prune;
mod rule;

pub use anomaly::{Anomaly, COMPARED, Measured, anomalies, held_words};
pub use brake::{Brake, Facts, MOST_PERCENT, QUIET, SecondCopy, brakes, erase_brakes, sentences};
pub use decide::{Decision, Point, Why, decide};
pub use hold::{Held, HoldCause, HoldScope};
pub use prune::{ChangeState, PruneState};
pub use rule::{Keep, Limits, Rule, Unreadable};

use crate::time::days;
use std::time::Duration;

/// Nothing younger than this ends, and what ended can be put back for as long.
pub const WINDOW: Duration = days(14);

/// People are told this long before anything is erased.
pub const WARNED_BEFORE: Duration = days(3);

/// The newest verified points that are always kept.
pub const LEAST_VERIFIED: usize = 3;

/// A request to lift a hold that nobody agreed to ends after this.
pub const LIFT_WAITS: Duration = days(7);

/// A shorter rule takes effect this long after a second person agreed to it.
pub const SHORTER_AFTER: Duration = days(7);
