//! A device, what it reports about itself, and how far that can be believed.
use crate::text::text_enum;
use crate::time::{Time, days};
use serde::{Deserialize, Serialize};
use std::time::Duration;

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
    /// What a lock does there, and what it does not.
    pub const fn lock_sentence(self) -> &'static str {
        match self {
            Self::Linux => {
                "Locks the screen of everybody who is signed in. Data stays readable to whoever removes the disk unless it is encrypted."
            }
            Self::Macos | Self::Windows => {
                "Locks the screen. Data stays readable to whoever removes the disk unless it is encrypted."
            }
            Self::Ios | Self::Ipados | Self::Android => {
                "Locks the screen. Without a passcode anybody can unlock it and read the data."
            }
        }
    }

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
    /// Who owns the device; a personal device has no full wipe.
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
    /// The state of a device with us; after a failed wipe something is left on it that its key no longer opens.
    DeviceState {
        Enrolled = "enrolled", Wiped = "wiped", WipeFailed = "wipe_failed",
        CompanyDataRemoved = "company_data_removed", RemovalFailed = "removal_failed", Removed = "removed",
    }
}

text_enum! {
    /// Whether the protected paths are encrypted; unknown is a separate answer.
    Encryption { On = "on", Off = "off", Unknown = "unknown" }
}

/// One thing a device says about itself: `reported`, never more.
///
/// `source` says where it comes from, such as `dm-crypt` or [`DEMO_SOURCE`]; `measured_at` is by the server's
/// clock, as far as the device knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact<T> {
    pub value: T,
    pub source: String,
    pub measured_at: Time,
}

/// How long a device's word counts after it was measured.
pub const FACT_HOLDS: Duration = days(7);

/// How far a device's clock may be ahead.
const DEVICE_CLOCK: Duration = days(1);

/// Whether a device's word of `measured_at` still counts.
pub fn still_holds(measured_at: Time, now: Time) -> bool {
    measured_at + FACT_HOLDS >= now && measured_at <= now + DEVICE_CLOCK
}

/// What is known of a device's encryption at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionNow {
    pub state: Encryption,
    /// It is the device's last word, and too old to be relied on.
    pub is_old: bool,
}

impl EncryptionNow {
    /// By the device's word of `measured_at`; one that is no longer enrolled says nothing new.
    pub fn of(said: Encryption, measured_at: Option<Time>, device: DeviceState, now: Time) -> Self {
        let is_over = device != DeviceState::Enrolled || measured_at.is_some_and(|at| !still_holds(at, now));
        Self { state: said, is_old: is_over }
    }

    /// What a decision may rest on.
    pub fn relied_on(self) -> Encryption {
        if self.is_old && self.state == Encryption::On { Encryption::Unknown } else { self.state }
    }
}

/// What a device reports about itself at a check-in; what it does not know is absent.
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
    /// 0 to 100; absent if there is no battery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<Fact<i64>>,
    /// What differs from the last backup in the protected paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Fact<Changes>>,
    /// Protected folders that are missing, or are not the ones that were enrolled: then nobody knows what is in
    /// them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots_away: Option<Fact<Vec<String>>>,
}

/// The most protected folders of a device.
pub const MAX_ROOTS: usize = 64;

impl DeviceFacts {
    /// These facts over older ones: what is not reported again stays, with the time it was measured.
    #[must_use]
    pub fn over(self, older: Self) -> Self {
        // Whoever counts again has looked at the folders again.
        let has_looked = self.changes.is_some() || self.roots_away.is_some();
        Self {
            roots_away: if has_looked { self.roots_away } else { older.roots_away },
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

    /// These facts while nobody knows which machine they are of: without those that a policy or a wipe rests on.
    #[must_use]
    pub fn of_an_unknown_machine(self) -> Self {
        Self { encryption: None, passcode_set: None, os_version: None, ..self }
    }
}

/// Where a fact comes from: its source and its time, and what these are called in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    pub source_field: &'static str,
    pub source: &'a str,
    pub measured_at_field: &'static str,
    pub measured_at: Time,
}

macro_rules! origins {
    ($facts:expr, $($name:ident),+) => {
        [$($facts.$name.as_ref().map(|it| Origin {
            source_field: concat!("facts.", stringify!($name), ".source"),
            source: &it.source,
            measured_at_field: concat!("facts.", stringify!($name), ".measured_at"),
            measured_at: it.measured_at,
        })),+]
    };
}

impl DeviceFacts {
    /// Where each of these facts comes from.
    pub fn origins(&self) -> impl Iterator<Item = Origin<'_>> {
        let all = origins!(
            self,
            encryption,
            passcode_set,
            os_version,
            model,
            serial,
            free_bytes,
            battery_percent,
            changes,
            roots_away
        );
        all.into_iter().flatten()
    }
}

/// The source of what the demo's scenario supplies; only demo devices have it.
pub const DEMO_SOURCE: &str = "demo scenario";

impl Origin<'_> {
    /// Whether a reader would take this for the demo's.
    pub fn is_demo(&self) -> bool {
        self.source.split_whitespace().map(str::to_lowercase).eq(DEMO_SOURCE.split(' '))
    }

    /// Whether it was measured at a possible time: not after `now`, and not before such devices existed.
    pub fn is_dated_well(&self, now: Time) -> bool {
        (FIRST_MEASURED..=now + CLOCK_SKEW).contains(&self.measured_at)
    }
}

/// How much a device's clock, corrected by the server's, may differ from it.
pub const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The year 2000: an earlier date did not come from a working clock.
const FIRST_MEASURED: Time = Time::from_millis(946_684_800_000);

/// Encryption of the storage under the protected paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionFact {
    pub state: Encryption,
    /// Such as `LUKS2`; empty if unknown.
    pub method: String,
}

/// Files that are new or different since the last backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub files: i64,
    pub bytes: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn origin(source: &str, measured_at: Time) -> Origin<'_> {
        Origin { source_field: "s", source, measured_at_field: "m", measured_at }
    }

    #[test]
    fn a_word_on_encryption_is_relied_on_while_it_is_recent_and_its_device_enrolled() {
        let now = Time::from_millis(1_795_356_371_000);
        let relied_on = |said, at, device| EncryptionNow::of(said, Some(at), device, now).relied_on();
        for said in Encryption::ALL {
            assert_eq!(relied_on(*said, now - days(6), DeviceState::Enrolled), *said);
        }
        for (at, device) in [
            (now - days(8), DeviceState::Enrolled),
            (now + days(2), DeviceState::Enrolled),
            (now - days(1), DeviceState::Wiped),
        ] {
            assert_eq!(relied_on(Encryption::On, at, device), Encryption::Unknown);
            assert_eq!(relied_on(Encryption::Off, at, device), Encryption::Off, "that it was not is no less true");
        }
    }

    #[test]
    fn a_fact_is_dated_by_a_clock_that_can_be_right() {
        let moment = Duration::from_millis(1);
        for (at, is_well) in [
            (NOW, true),
            (NOW + CLOCK_SKEW, true),
            (NOW + CLOCK_SKEW + moment, false),
            (FIRST_MEASURED, true),
            (FIRST_MEASURED - moment, false),
            (Time::from_millis(i64::MIN), false),
            (Time::from_millis(i64::MAX), false),
        ] {
            assert_eq!(origin("statvfs", at).is_dated_well(NOW), is_well, "{at:?}");
        }
    }

    #[test]
    fn what_reads_as_the_demos_source_is_the_demos() {
        for (source, is_demo) in [
            (DEMO_SOURCE, true),
            (" Demo  Scenario ", true),
            ("DEMO\u{a0}SCENARIO", true),
            ("demo", false),
            ("dm-crypt", false),
            ("", false),
        ] {
            assert_eq!(origin(source, NOW).is_demo(), is_demo, "{source:?}");
        }
    }
}
