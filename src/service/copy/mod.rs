//! The second copy: everything that the backup store has is copied to a store that does not fail with it, and each
//! repairs the other.
mod away;
mod batch;
mod begin;
mod copier;
mod damage;
mod late;
mod lock;
mod lost;
mod memory;
mod order;
mod pace;
mod repair;
mod replicate;
mod send;
mod state;
mod step;
mod turn;

pub use begin::{Begun, begin, found, none};
pub use damage::{object_damaged, object_healed, object_intact_again};
pub use late::tell as tell_late;
pub use lock::{Locked, Locker};
pub use lost::tell as tell_lost;
pub use replicate::{Replicator, Run};
pub use state::{CopyState, of_any, of_device, state, worry};
