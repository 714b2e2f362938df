//! A device, what it says of itself, and how far that can be believed.
use crate::domain::text::text_enum;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

text_enum! {
    /// The operating system family.
    Platform {
        Linux = "linux", Macos = "macos", Windows = "windows",
        Ios = "ios", Ipados = "ipados", Android = "android",
    }
}

impl DeviceState {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enrolled => "Enrolled",
            Self::Wiped => "Wiped",
            Self::WipeFailed => "Wipe failed",
            Self::CompanyDataRemoved => "Company data removed",
            Self::RemovalFailed => "Removal failed",
            Self::Removed => "Removed",
        }
    }
}

impl Platform {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Macos => "macOS",
            Self::Windows => "Windows",
            Self::Ios => "iOS",
            Self::Ipados => "iPadOS",
            Self::Android => "Android",
        }
    }
}

text_enum! {
    /// Whose device it is; a personal device has no full wipe.
    Ownership { Company = "company", Personal = "personal" }
}

impl Ownership {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Company => "Company",
            Self::Personal => "Personal",
        }
    }
}

text_enum! {
    /// Where a device stands with us; after a failed wipe something is left on it that its key no longer opens.
    DeviceState {
        Enrolled = "enrolled", Wiped = "wiped", WipeFailed = "wipe_failed",
        CompanyDataRemoved = "company_data_removed", RemovalFailed = "removal_failed", Removed = "removed",
    }
}

text_enum! {
    /// Whether the protected paths are encrypted; unknown is an answer of its own.
    Encryption { On = "on", Off = "off", Unknown = "unknown" }
}

/// One thing a device says of itself: `reported`, never more.
///
/// `source` says how it was learned, such as `dm-crypt` or `demo scenario`;
/// `measured_at` is by the device's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact<T> {
    pub value: T,
    pub source: String,
    pub measured_at: Time,
}

/// What a device says of itself at a check-in; what it does not know is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceFacts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Fact<EncryptionFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passcode_set: Option<Fact<bool>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_version: Option<Fact<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Fact<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Fact<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<Fact<i64>>,
    /// 0 to 100; absent where there is no battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<Fact<i64>>,
    /// What differs from the last backup, in the protected paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Fact<Changes>>,
}

impl DeviceFacts {
    /// These facts over older ones: what is not said anew stays, with the time at which it was measured.
    #[must_use]
    pub fn over(self, older: Self) -> Self {
        Self {
            encryption: self.encryption.or(older.encryption),
            passcode_set: self.passcode_set.or(older.passcode_set),
            os_version: self.os_version.or(older.os_version),
            model: self.model.or(older.model),
            serial: self.serial.or(older.serial),
            free_bytes: self.free_bytes.or(older.free_bytes),
            battery_percent: self.battery_percent.or(older.battery_percent),
            changes: self.changes.or(older.changes),
        }
    }
}

/// Encryption of the storage under the protected paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionFact {
    pub state: Encryption,
    /// Such as `LUKS2`; empty where unknown.
    pub method: String,
}

/// Files that are new or different since the last backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub files: i64,
    pub bytes: i64,
}
