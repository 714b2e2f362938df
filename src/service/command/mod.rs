//! Commands: queued by people and rules, delivered to the device, ended by its own answer.
pub mod deliver;
pub mod finish;
mod queue;
mod stop;

pub use queue::{Ask, channel, queue, queue_guarded, queue_many, queue_one, require_order, takes_none};
pub use stop::{cancel, cancel_all, expire, expire_overdue, refuse, withdraw};
