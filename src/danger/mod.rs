//! `holdfast danger-test`: what happened to Danger in 2009, with another end.
//!
//! A server, real agents and a second store are set up. Then the server is killed and everything that it had is
//! destroyed: the database, the backup store, the key. What is left is the way to the second store and the shares of the
//! recovery key. From these the console and every device's data are brought back, and compared byte for byte.
mod before;
mod device;
mod machine;
mod poison;
mod second;
mod story;
mod thief;
mod world;

pub use device::Holdings;
pub use second::{AccessKey, SecondPlace};
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
    /// One pack is rotten on each store: both are found, and repaired from the other. Then one rots on the second store
    /// that nobody reads any more, and its other copy is destroyed with the first: exactly its files are missing, and are
    /// named.
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
    /// Within how many seconds every device has to be back.
    pub most_seconds: Option<f64>,
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
    /// How many seconds were allowed.
    pub most_seconds: Option<f64>,
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
    /// Whether all came back that could, in time. Of the device whose pack is rotten some must be missing, and not all.
    pub fn is_good(&self) -> bool {
        let is_good = |it: &DeviceOutcome| match it.is_spoilt {
            true => !it.different.is_empty() && it.different.len() < it.files,
            false => it.different.is_empty() && it.files > 0,
        };
        let spoilt = self.devices.iter().filter(|it| it.is_spoilt).count();
        let is_told = spoilt == usize::from(self.variant == Variant::RottenPack);
        self.is_in_time() && !self.devices.is_empty() && is_told && self.devices.iter().all(is_good)
    }

    /// Whether every device was back within what was allowed.
    pub fn is_in_time(&self) -> bool {
        self.most_seconds.is_none_or(|most| self.seconds <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(variant: Variant, different: &[&str], most_seconds: Option<f64>) -> Outcome {
        let device = |name: &str, different: &[&str], is_spoilt| DeviceOutcome {
            name: name.to_owned(),
            files: 2,
            bytes: 2,
            different: different.iter().map(|it| (*it).to_owned()).collect(),
            is_spoilt,
            recovery_point_seconds: 1.0,
            recovery_time_seconds: 1.0,
        };
        let devices = vec![device("first", different, variant == Variant::RottenPack), device("second", &[], false)];
        Outcome { variant, devices, seconds: 60.0, console_seconds: 1.0, most_seconds }
    }

    #[test]
    fn a_way_back_that_takes_too_long_is_not_good() {
        for (most, is_good) in [(None, true), (Some(60.0), true), (Some(59.9), false)] {
            assert_eq!(outcome(Variant::Plain, &[], most).is_good(), is_good, "{most:?}");
        }
    }

    #[test]
    fn a_file_that_differs_is_not_good_and_of_a_rotten_pack_some_must() {
        assert!(!outcome(Variant::Plain, &["a"], None).is_good());
        for (different, is_good) in [(&[][..], false), (&["a"][..], true), (&["a", "b"][..], false)] {
            assert_eq!(outcome(Variant::RottenPack, different, None).is_good(), is_good, "{different:?}");
        }
        let nothing = Outcome { devices: Vec::new(), ..outcome(Variant::Plain, &[], None) };
        assert!(!nothing.is_good(), "nobody came back");
    }
}
