//! What a fact is about, and which values belong to it.
use super::value::{FactValue, check_text, is_path};
use crate::device::MAX_ROOTS;
use crate::text::text_enum;

text_enum! {
    /// What a fact is about.
    FactKind {
        /// An [`EncryptionFact`](super::EncryptionFact) of the storage under the protected paths.
        Encryption = "encryption",
        /// Whether a passcode is needed to use the device.
        PasscodeSet = "passcode_set",
        OsVersion = "os_version",
        Model = "model",
        Serial = "serial",
        FreeBytes = "free_bytes",
        /// 0 to 100; absent if there is no battery.
        BatteryPercent = "battery_percent",
        /// What differs from the last backup in the protected paths: [`Changes`](super::Changes).
        Changes = "changes",
        /// Protected folders that are missing, or are not the ones that were enrolled: then nobody knows what is
        /// in them.
        RootsAway = "roots_away",
        /// Whether the device says that it backs up to its maker's cloud.
        CloudBackup = "cloud_backup",
        /// When it says that it last did, in milliseconds. Nobody but its maker can look at that backup.
        LastCloudBackup = "last_cloud_backup",
        /// Whether its owner told its maker that it belongs to an organisation.
        Supervised = "supervised",
        /// Whether it is in lost mode.
        LostMode = "lost_mode",
        /// Whether its maker's activation lock keeps others from setting it up.
        ActivationLock = "activation_lock",
        /// Whether its disk has a recovery key that belongs to it alone.
        RecoveryKeySet = "recovery_key_set",
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    None,
    Bytes,
    Percent,
    /// A time, in milliseconds since 1970.
    Moment,
}

impl FactKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encryption => "Storage encryption",
            Self::PasscodeSet => "Passcode",
            Self::OsVersion => "Operating system",
            Self::Model => "Model",
            Self::Serial => "Serial number",
            Self::FreeBytes => "Free space",
            Self::BatteryPercent => "Battery",
            Self::Changes => "Changed since backup",
            Self::RootsAway => "Folders away",
            Self::CloudBackup => "Backs up to Apple",
            Self::LastCloudBackup => "Last backup, as Apple reports it",
            Self::Supervised => "Supervised",
            Self::LostMode => "Lost mode",
            Self::ActivationLock => "Activation lock",
            Self::RecoveryKeySet => "Recovery key of the disk",
        }
    }

    /// What its number counts, if it has one.
    pub const fn unit(self) -> Unit {
        match self {
            Self::FreeBytes => Unit::Bytes,
            Self::BatteryPercent => Unit::Percent,
            Self::LastCloudBackup => Unit::Moment,
            Self::Encryption
            | Self::PasscodeSet
            | Self::OsVersion
            | Self::Model
            | Self::Serial
            | Self::Changes
            | Self::RootsAway
            | Self::CloudBackup
            | Self::Supervised
            | Self::LostMode
            | Self::ActivationLock
            | Self::RecoveryKeySet => Unit::None,
        }
    }

    /// Whether earlier values are kept: an auditor asks what it was on a day. What never stands still is only
    /// known as it is now.
    pub const fn has_history(self) -> bool {
        match self {
            Self::Encryption
            | Self::PasscodeSet
            | Self::OsVersion
            | Self::Model
            | Self::Serial
            | Self::CloudBackup
            | Self::LastCloudBackup
            | Self::Supervised
            | Self::LostMode
            | Self::ActivationLock
            | Self::RecoveryKeySet => true,
            Self::FreeBytes | Self::BatteryPercent | Self::Changes | Self::RootsAway => false,
        }
    }

    /// Whether a policy or a wipe rests on it, so that it counts only while it is known whose word it is.
    pub(super) const fn decides(self) -> bool {
        match self {
            Self::Encryption | Self::PasscodeSet | Self::OsVersion => true,
            Self::Model
            | Self::Serial
            | Self::FreeBytes
            | Self::BatteryPercent
            | Self::Changes
            | Self::RootsAway
            | Self::CloudBackup
            | Self::LastCloudBackup
            | Self::Supervised
            | Self::LostMode
            | Self::ActivationLock
            | Self::RecoveryKeySet => false,
        }
    }

    /// What is wrong with a value for this kind.
    pub(super) fn check(self, value: &FactValue) -> Result<(), String> {
        match (self, value) {
            (Self::Encryption, FactValue::Encryption(it)) => check_text(&it.method),
            (
                Self::PasscodeSet
                | Self::CloudBackup
                | Self::Supervised
                | Self::LostMode
                | Self::ActivationLock
                | Self::RecoveryKeySet,
                FactValue::Flag(_),
            ) => Ok(()),
            (Self::OsVersion | Self::Model | Self::Serial, FactValue::Text(it)) => check_text(it),
            (Self::FreeBytes | Self::LastCloudBackup, FactValue::Number(it)) if *it < 0 => {
                Err("not below 0".to_owned())
            }
            (Self::BatteryPercent, FactValue::Number(it)) if !(0..=100).contains(it) => Err("0 to 100".to_owned()),
            (Self::FreeBytes | Self::BatteryPercent | Self::LastCloudBackup, FactValue::Number(_)) => Ok(()),
            (Self::Changes, FactValue::Changes(it)) if it.files < 0 || it.bytes < 0 => Err("not below 0".to_owned()),
            (Self::Changes, FactValue::Changes(_)) => Ok(()),
            (Self::RootsAway, FactValue::Paths(it)) if it.len() > MAX_ROOTS || !it.iter().all(|path| is_path(path)) => {
                Err(format!("at most {MAX_ROOTS} paths without control characters"))
            }
            (Self::RootsAway, FactValue::Paths(_)) => Ok(()),
            (kind, _) => Err(format!("not a value of `{kind}`")),
        }
    }
}
