//! What a device says that a wipe did.
use crate::id::CommandId;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What a device says that a wipe did, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeReport {
    pub command_id: CommandId,
    pub generation: i64,
    /// Whether the repository's key is gone and every recorded root is empty.
    pub complete: bool,
    pub key_destroyed: bool,
    pub roots: Vec<WipedRoot>,
    pub finished_at: Time,
}

/// What a wipe did to one protected root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipedRoot {
    pub path: String,
    pub removed_files: u64,
    pub removed_bytes: u64,
    /// Why the root, or something in it, was left; empty if all of it is gone.
    pub refused: Vec<String>,
}
