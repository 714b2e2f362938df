//! What an agent measures about its device.
use domain::fact::{Changes, EncryptionFact, FactKind, FactValue, Reported};
use domain::time::Time;
use serde::{Deserialize, Serialize};

/// One thing a device says about itself.
///
/// `source` says where it comes from, such as `dm-crypt`; `measured_at` is by the server's clock, as far as the
/// device knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fact<T> {
    pub value: T,
    pub source: String,
    pub measured_at: Time,
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

impl DeviceFacts {
    /// Each fact with its kind.
    pub fn reported(self) -> Vec<Reported> {
        fn one<T>(kind: FactKind, fact: Option<Fact<T>>, value: impl Fn(T) -> FactValue) -> Option<Reported> {
            let Fact { value: said, source, measured_at } = fact?;
            Some(Reported { kind, value: value(said), source, measured_at })
        }
        [
            one(FactKind::Encryption, self.encryption, FactValue::Encryption),
            one(FactKind::PasscodeSet, self.passcode_set, FactValue::Flag),
            one(FactKind::OsVersion, self.os_version, FactValue::Text),
            one(FactKind::Model, self.model, FactValue::Text),
            one(FactKind::Serial, self.serial, FactValue::Text),
            one(FactKind::FreeBytes, self.free_bytes, FactValue::Number),
            one(FactKind::BatteryPercent, self.battery_percent, FactValue::Number),
            one(FactKind::Changes, self.changes, FactValue::Changes),
            one(FactKind::RootsAway, self.roots_away, FactValue::Paths),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
