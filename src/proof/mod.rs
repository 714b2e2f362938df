//! Restore tests: the proof that a backup comes back.
//!
//! A test runs in a separate process ([`child`]) that has no network, no
//! files and little memory. Its parent ([`runner`]) hands it objects over a pipe
//! as they were when the restore point was received. [`Prover`] takes tests
//! from the queue. Only this side holds the key that opens repositories
//! ([`keys`]). [`Pruner`] does the same with what restore points no longer need ([`walk`]).
mod apple;
mod avoid;
mod check;
pub mod child;
pub mod confine;
pub mod copy_alone;
pub mod escrow;
pub mod frame;
pub mod keys;
mod prover;
mod pruner;
pub mod root;
pub mod runner;
pub mod team_key;
pub mod walk;

pub use prover::Prover;
pub use pruner::{LOOK, Pruner};

/// How often to look at the queue without being woken.
pub const PERIOD: std::time::Duration = std::time::Duration::from_secs(3);
