//! What is kept of every device, what ends, and how it comes back until it is erased.
mod anomaly;
mod change;
mod erase;
mod facts;
mod notice;
mod preview;
mod prune;
mod steady;
mod trash;

pub use anomaly::look_at_news;
pub use change::{Draft, Waiting, approve, cancel, current, has_agreed, request, shown, take_effect, waiting};
pub use erase::{Due, begin_erase, due_to_erase, is_held, needs_what_is_gone};
pub use facts::{points, state, state_of_all};
pub use notice::{has_news, tell};
pub use preview::{NAMED, Outlook, Total, outlook, preview};
pub use prune::{Found, Plan, Verdict, commit, plan, undo, undo_by_rule};
pub use steady::{beat, steady_since};
pub use trash::settle;
