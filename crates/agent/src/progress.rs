//! What the agent is doing, for whoever watches.

/// One step, or its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something worth a line.
    Note(String),
    /// Something that a person should look at.
    Warning(String),
    /// Files are read for the manifest.
    Hashed { files: u64, bytes: u64 },
    /// Bytes of a backup are done; `total` once it is known.
    BackedUp { bytes: u64, total: Option<u64> },
    /// Files of a restore are on the disk.
    Restored { files: u64, total: u64 },
    /// Files of a wipe are gone.
    Erased { files: u64 },
    /// The step that was under way has ended.
    Done,
}

/// Watches an agent.
pub trait Progress: Send + Sync {
    fn event(&self, event: Event);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event) {}
}
