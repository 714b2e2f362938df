//! The child of a prune: which packs the restore points that are kept need.
//!
//! A process of its own ([`child`]), confined like that of a restore test, walks them all. Its parent checks what it says
//! against the ledger, and decides.
pub mod child;
pub mod frame;
mod needed;
