//! What is required of devices, and whether a device meets it.
use serde::{Deserialize, Serialize};

/// One requirement of a policy, with its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "require", rename_all = "snake_case", deny_unknown_fields)]
pub enum Requirement {
    StorageEncrypted,
    /// A restore point that is proven and was received within so many minutes.
    ProvenRestorePoint {
        within_minutes: u32,
    },
    /// A backup within so many minutes; the agent's schedule follows it.
    BackupEvery {
        minutes: u32,
    },
    CheckInWithin {
        minutes: u32,
    },
    /// Such as `14.2`, compared part by part as numbers.
    MinimumOsVersion {
        version: String,
    },
    PasscodeSet,
}
