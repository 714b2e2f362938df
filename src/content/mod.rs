//! Looking inside restore points: what is in a folder, one file, a folder as an archive, where a name was, and what
//! two points differ in.
//!
//! A device wrote all of it, so a separate process ([`child`]) reads, confined like a restore test's and with as
//! little memory. Its parent ([`Desk`]) hands it objects as they were when the restore point was received, and passes
//! on what it says piece by piece: neither side ever holds a folder or a file as a whole.
pub mod child;
mod desk;
mod download;
mod findings;
pub mod message;
mod parent;
mod room;
mod tools;
mod trouble;

pub use desk::{Desk, Look};
pub use download::{Flow, Whole};
pub use findings::{Fate, Findings, Next};
pub use parent::{Failure, Heard, Work, run};
pub use room::Limits;
pub use tools::Tools;
pub use trouble::{Outcome, Trouble};
