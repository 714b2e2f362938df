//! `holdfast danger-test`: what happened to Danger in 2009, with another end.
//!
//! A server, real agents and a second store are set up. Then the server is killed and everything that it had is
//! destroyed: the database, the backup store, the key. What is left is the way to the second store and the shares of the
//! recovery key. From these the console and every device's data are brought back, and compared byte for byte.
mod device;
mod machine;
mod poison;
mod story;
mod thief;
mod world;

pub use device::Holdings;
pub use machine::SecondPlace;
pub use story::run;

use serde::Serialize;
use std::path::PathBuf;

/// What else goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Nothing else.
    Plain,
    /// The newest backups came after the console's state was last kept.
    OlderState,
    /// A device with the right credentials uploaded an index that leads astray, and a snapshot of the future.
    PoisonedIndex,
    /// No state of the console can be read: what is left are the escrow records beside the backups.
    NoState,
    /// One pack is rotten on the second store, and its other copy is destroyed with the first: exactly its files are
    /// missing, and are named.
    RottenPack,
    /// Somebody with the console's own key to the bucket overwrote part of the second copy and deleted all of it, as far
    /// as the bucket let them: it keeps versions, and locks them.
    DeletedCopy,
}

/// What is tried.
#[derive(Debug, Clone)]
pub struct Plan {
    pub variant: Variant,
    pub devices: usize,
    /// What each device has.
    pub holdings: Holdings,
    /// Where everything lies meanwhile.
    pub folder: PathBuf,
    pub second: SecondPlace,
}

/// How it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub variant: Variant,
    pub devices: Vec<DeviceOutcome>,
    /// From the start of `dr restore` to the last device's last file.
    pub seconds: f64,
    /// How long `dr restore` took of it.
    pub console_seconds: f64,
}

/// How a device came through.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceOutcome {
    pub name: String,
    pub files: usize,
    pub bytes: u64,
    /// Files that are not there or are not what they were.
    pub different: Vec<String>,
    /// Whether some of them had to be lost: their only other copy was destroyed.
    pub is_spoilt: bool,
    /// How much older the backup is that came back than the moment of the loss.
    pub recovery_point_seconds: f64,
    /// From the start of `dr restore` to its last file.
    pub recovery_time_seconds: f64,
}

impl Outcome {
    /// Whether all came back that could. Of the device whose pack is rotten some must be missing, and not all.
    pub fn is_good(&self) -> bool {
        let is_good = |it: &DeviceOutcome| match it.is_spoilt {
            true => !it.different.is_empty() && it.different.len() < it.files,
            false => it.different.is_empty(),
        };
        let spoilt = self.devices.iter().filter(|it| it.is_spoilt).count();
        let is_told = spoilt == usize::from(self.variant == Variant::RottenPack);
        !self.devices.is_empty() && is_told && self.devices.iter().all(is_good)
    }
}
