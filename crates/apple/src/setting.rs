//! Payloads that set something on a device for good, and which devices take them.
//!
//! Source: Apple, `mdm/profiles` of the schema. `tests/setting.rs` compares every payload and every limit with it.
use crate::command::{CannotAsk, Limits};
use crate::plist::{Dictionary, Value};
use crate::profile::{Name, payload};
use crate::target::{Target, Version};

/// One restriction: a key that is true or false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    /// Such as `allowCloudBackup`.
    pub key: &'static str,
    pub limits: Limits,
}

const fn of(key: &'static str, limits: Limits) -> Restriction {
    Restriction { key, limits }
}

const fn on(ios: Option<Version>, macos: Option<Version>) -> Limits {
    Limits { ios, macos, supervised_only: false, personal_ios: true, personal_macos: true, rights: None }
}

const fn company(ios: Option<Version>, macos: Option<Version>) -> Limits {
    Limits { personal_ios: false, personal_macos: false, ..on(ios, macos) }
}

const fn supervised(ios: Option<Version>, macos: Option<Version>) -> Limits {
    Limits { supervised_only: true, ..company(ios, macos) }
}

const fn since(major: u16, minor: u16) -> Option<Version> {
    Some(Version(major, minor, 0))
}

/// Those that this server sets: where data goes, and what would destroy it.
pub const RESTRICTIONS: &[Restriction] = &[
    of("allowCloudBackup", Limits { personal_macos: true, ..company(since(5, 0), None) }),
    of("forceEncryptedBackup", on(since(4, 0), None)),
    of("allowManagedAppsCloudSync", on(since(8, 0), None)),
    of("allowEnterpriseBookBackup", on(since(8, 0), None)),
    of("allowOpenFromManagedToUnmanaged", on(since(7, 0), None)),
    of("allowCloudDocumentSync", supervised(since(5, 0), since(10, 11))),
    of("allowCloudDesktopAndDocuments", company(None, Some(Version(10, 12, 4)))),
    of("allowCloudPhotoLibrary", company(since(9, 0), since(10, 12))),
    of("allowCloudKeychainSync", company(since(7, 0), since(10, 12))),
    of("allowHostPairing", supervised(since(7, 0), None)),
    of("allowEraseContentAndSettings", supervised(since(8, 0), since(12, 0))),
];

impl Restriction {
    /// One by its key; none if this server does not set it.
    pub fn find(key: &str) -> Option<&'static Self> {
        RESTRICTIONS.iter().find(|it| it.key == key)
    }

    /// Whether a device takes it.
    ///
    /// # Errors
    /// Why not.
    pub fn may_set(&self, target: &Target) -> Result<(), CannotAsk> {
        self.limits.check(target)
    }
}

/// A payload of [`Restriction`]s, each with what it is set to.
pub fn restrictions(name: &Name, set: &[(&Restriction, bool)]) -> Dictionary {
    let mut payload = payload(name, "com.apple.applicationaccess");
    payload.extend(set.iter().map(|(it, is_on)| (it.key.to_owned(), Value::Boolean(*is_on))));
    payload
}

/// What is asked of a passcode. After how many wrong ones a device erases itself is left to its user: that would be a wipe
/// that nobody approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passcode {
    /// None: any length.
    pub minimum_length: Option<u8>,
    /// Such as 1111 or 1234.
    pub allows_simple: bool,
}

impl Passcode {
    pub const LIMITS: Limits = Limits { personal_macos: false, ..on(since(4, 0), since(10, 7)) };

    pub fn payload(&self, name: &Name) -> Dictionary {
        let mut payload = payload(name, "com.apple.mobiledevice.passwordpolicy");
        payload.insert("forcePIN".to_owned(), Value::Boolean(true));
        payload.insert("allowSimple".to_owned(), Value::Boolean(self.allows_simple));
        if let Some(length) = self.minimum_length {
            payload.insert("minLength".to_owned(), Value::Integer(length.into()));
        }
        payload
    }
}

/// For [`crate::profile::FileVault`]: where its key can be kept by a server.
pub const FILE_VAULT: Limits = company(None, since(10, 13));

/// For [`time_machine`].
pub const TIME_MACHINE: Limits = company(None, since(10, 7));

/// Where a Mac's Time Machine backs up to, by itself.
pub fn time_machine(name: &Name, url: &str) -> Dictionary {
    let mut payload = payload(name, "com.apple.MCX.TimeMachine");
    payload.insert("BackupDestURL".to_owned(), Value::String(url.to_owned()));
    payload.insert("AutoBackup".to_owned(), Value::Boolean(true));
    payload
}
