//! What depends on the operating system: facts, and the lock. All of it is here.
mod encryption;
pub mod linux;

use domain::device::Platform as Kind;
use domain::time::Time;
use std::path::PathBuf;
use wire::DeviceFacts;

/// What the device is, as it says when it enrolls. Empty if it cannot be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    pub host_name: String,
    pub model: String,
    pub serial: String,
    pub os_version: String,
}

/// One operating system.
pub trait Platform: Send + Sync {
    fn kind(&self) -> Kind;

    fn hardware(&self) -> Hardware;

    /// What the device can report about itself; what it cannot know is absent. `changes` is left to the agent.
    fn facts(&self, roots: &[PathBuf], now: Time) -> DeviceFacts;

    /// Locks every session.
    ///
    /// # Errors
    /// With the reason, for a person, if it could not be done.
    fn lock(&self) -> Result<String, String>;
}

/// The platform that this program runs on.
pub fn this() -> Box<dyn Platform> {
    Box::new(linux::Linux)
}
