//! Escrow records on the second store, next to the repositories: with the shares of the recovery key and that store
//! alone, each backup can be opened, and everybody can be told whose it is.
//!
//! Each record is an object of its own, named by the SHA-256 of its bytes, in an area that looks like a repository which
//! no device has. It is written once the repository is there, and never overwritten: another recovery key, or one that was
//! found to be gone or damaged, gets another.
mod area;
mod find;
mod keep;
mod ledger;
mod rebuild;
mod record;

pub use find::{Found, find};
pub use keep::{Kept, coverage, keep};
pub use ledger::{take_config, take_in};
pub use rebuild::rebuild;
pub use record::{AgentPart, DevicePart, Record, Secret};
