//! When a device may be wiped, and by whom.
//!
//! A request binds one person to the facts shown; a second person approves the same facts; after a hold during
//! which anyone can stop it, the facts are checked again, and once more when the device asks for its commands.
//! [`Progress`] decides each step; nothing else moves a request.
mod agreed;
mod erasure;
mod progress;
mod report;
mod rule;
mod state;
mod stop;

pub use agreed::{Difference, EITHER, Facts, Value};
pub use erasure::{Erasure, Obliteration};
pub use progress::{Check, Hold, Progress, Verdict};
pub use report::{WipeReport, WipedRoot};
pub use rule::{Advice, Asked, Limits, Recent, WipeRefusal, advice, check_form, may_request};
pub use state::{BEFORE_DELIVERY, WipeAction, WipeReason, WipeState};
pub use stop::WipeStop;
