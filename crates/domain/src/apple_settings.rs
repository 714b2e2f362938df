//! What an organisation sets on its Apple devices, and how far that is.
use crate::fields::FieldErrors;
use crate::name;
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

text_enum! {
    /// What a setting is about; each reaches a device by itself, so that one that fails keeps no other away.
    SettingKind {
        Passcode = "passcode",
        Restrictions = "restrictions",
        FileVault = "file_vault",
        TimeMachine = "time_machine",
    }
}

impl SettingKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passcode => "Passcode",
            Self::Restrictions => "Restrictions",
            Self::FileVault => "FileVault",
            Self::TimeMachine => "Time Machine",
        }
    }

    /// What names its profile on a device.
    pub fn identifier(self) -> String {
        format!("net.holdfast.settings.{self}")
    }
}

text_enum! {
    /// What a device can be restricted in, by Apple's key.
    Restriction {
        CloudBackup = "allowCloudBackup",
        EncryptedBackup = "forceEncryptedBackup",
        ManagedAppsCloudSync = "allowManagedAppsCloudSync",
        BookBackup = "allowEnterpriseBookBackup",
        OpenInUnmanaged = "allowOpenFromManagedToUnmanaged",
        CloudDocuments = "allowCloudDocumentSync",
        CloudDesktop = "allowCloudDesktopAndDocuments",
        CloudPhotos = "allowCloudPhotoLibrary",
        CloudKeychain = "allowCloudKeychainSync",
        HostPairing = "allowHostPairing",
        EraseContents = "allowEraseContentAndSettings",
    }
}

impl Restriction {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudBackup => "Backup to iCloud",
            Self::EncryptedBackup => "Encryption of backups to a computer",
            Self::ManagedAppsCloudSync => "Managed apps keep data in iCloud",
            Self::BookBackup => "Backup of the organisation’s books",
            Self::OpenInUnmanaged => "Opening the organisation’s documents in private apps",
            Self::CloudDocuments => "Documents in iCloud",
            Self::CloudDesktop => "Desktop and documents folder in iCloud",
            Self::CloudPhotos => "Photos in iCloud",
            Self::CloudKeychain => "Passwords in iCloud",
            Self::HostPairing => "Connecting to other computers",
            Self::EraseContents => "Erasing it on the device itself",
        }
    }

    /// What it says of a device that is set to `is_on`.
    pub const fn word(self, is_on: bool) -> &'static str {
        match (self, is_on) {
            (Self::EncryptedBackup, true) => "required",
            (Self::EncryptedBackup, false) => "not required",
            (_, true) => "allowed",
            (_, false) => "not allowed",
        }
    }

    /// What guards data, or leaves it where it is: another value is a loss of safety.
    const fn safe(self) -> bool {
        match self {
            // Without it there is no backup of what is on a phone.
            Self::CloudBackup | Self::ManagedAppsCloudSync | Self::BookBackup | Self::HostPairing => true,
            Self::EncryptedBackup => true,
            Self::OpenInUnmanaged
            | Self::CloudDocuments
            | Self::CloudDesktop
            | Self::CloudPhotos
            | Self::CloudKeychain
            | Self::EraseContents => false,
        }
    }
}

/// What is asked of a passcode. Never that a device erases itself after some that were wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passcode {
    /// None: any length.
    pub minimum_length: Option<u8>,
    /// Such as 1111 or 1234.
    pub allows_simple: bool,
}

/// The longest passcode that a device can be asked for.
pub const MAX_LENGTH: u8 = 16;

/// All that is set on the devices of the organisation, or of one team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub passcode: Option<Passcode>,
    /// What is not here stays as the device is.
    pub restrictions: BTreeMap<Restriction, bool>,
    pub file_vault: bool,
    /// `smb://…`.
    pub time_machine: Option<String>,
}

/// One of them, with its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    Passcode(Passcode),
    Restrictions(BTreeMap<Restriction, bool>),
    FileVault,
    TimeMachine(String),
}

impl Setting {
    pub const fn kind(&self) -> SettingKind {
        match self {
            Self::Passcode(_) => SettingKind::Passcode,
            Self::Restrictions(_) => SettingKind::Restrictions,
            Self::FileVault => SettingKind::FileVault,
            Self::TimeMachine(_) => SettingKind::TimeMachine,
        }
    }

    /// What it asks for, one sentence for each part.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            Self::Passcode(it) => vec![it.sentence()],
            Self::Restrictions(all) => {
                all.iter().map(|(it, is_on)| format!("{}: {}", it.name(), it.word(*is_on))).collect()
            }
            Self::FileVault => vec!["The disk is encrypted, with a recovery key that this server keeps".to_owned()],
            Self::TimeMachine(url) => vec![format!("Time Machine backs up to {url}")],
        }
    }
}

impl Passcode {
    fn sentence(self) -> String {
        let length = self.minimum_length.map(|it| format!(" of at least {it} characters")).unwrap_or_default();
        let simple = if self.allows_simple { "" } else { ", and not a simple one such as 1234" };
        format!("A passcode{length}{simple}")
    }

    fn is_as_strict_as(self, other: Self) -> bool {
        self.minimum_length >= other.minimum_length && self.allows_simple <= other.allows_simple
    }
}

impl Settings {
    /// Each that is set.
    pub fn each(&self) -> Vec<Setting> {
        let restrictions = Some(&self.restrictions).filter(|it| !it.is_empty());
        [
            self.passcode.map(Setting::Passcode),
            restrictions.map(|it| Setting::Restrictions(it.clone())),
            self.file_vault.then_some(Setting::FileVault),
            self.time_machine.clone().map(Setting::TimeMachine),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What it asks for, one sentence for each part; empty if nothing is set.
    pub fn sentences(&self) -> Vec<String> {
        self.each().iter().flat_map(Setting::sentences).collect()
    }

    /// Checks what was typed.
    ///
    /// # Errors
    /// Each wrong field: `minimum_length` or `time_machine`.
    pub fn check(&self) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        if self.passcode.and_then(|it| it.minimum_length).is_some_and(|it| !(1..=MAX_LENGTH).contains(&it)) {
            errors.add("minimum_length", format!("A passcode has 1 to {MAX_LENGTH} characters at least."));
        }
        if self.time_machine.as_deref().is_some_and(|it| !is_share(it)) {
            errors.add(
                "time_machine",
                "Give a shared folder, such as smb://backup.example.org/macs, without a name or password.",
            );
        }
        errors.into_result()
    }

    /// What a change from `old` to these loosens, takes backups away, or sends data elsewhere; in words.
    pub fn loosened(&self, old: &Self) -> Vec<String> {
        let mut said = Vec::new();
        if let Some(was) = old.passcode {
            match self.passcode {
                Some(is) if is.is_as_strict_as(was) => {}
                Some(is) => said.push(format!("{}, which was: {}", is.sentence(), was.sentence())),
                None => said.push(format!("{}, is no longer required", was.sentence())),
            }
        }
        for it in Restriction::ALL {
            let (is, was) = (self.restrictions.get(it).copied(), old.restrictions.get(it).copied());
            let is_less_safe = is != was && is != Some(it.safe());
            if is_less_safe && (was == Some(it.safe()) || is == Some(!it.safe())) {
                let word = is.map_or("as the device is", |is_on| it.word(is_on));
                said.push(format!("{}: {word}", it.name()));
            }
        }
        if old.file_vault && !self.file_vault {
            said.push("FileVault is no longer required".to_owned());
        }
        if self.time_machine != old.time_machine {
            said.push(match &self.time_machine {
                Some(url) => format!("Time Machine backs up to {url}"),
                None => "Time Machine is no longer told where to back up".to_owned(),
            });
        }
        said
    }
}

/// Whether it names a shared folder of a server, and nobody's password.
fn is_share(url: &str) -> bool {
    let Some((host, folder)) = url.strip_prefix("smb://").and_then(|it| it.split_once('/')) else { return false };
    let is_host = !host.is_empty() && host.chars().all(|it| it.is_ascii_alphanumeric() || ".-:[]_".contains(it));
    is_host
        && !folder.is_empty()
        && url.len() <= 200
        && name::is_plain(url)
        && !url.contains(['@', '?', '#', ' ', '"', '<', '>'])
}

/// Something that a device does not take, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
}

/// How far a setting is on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The device said then that it has it.
    InForce { since: Option<Time> },
    /// It has not said so yet, or what it has is older.
    Waits,
    /// It said no, with these words.
    Failed(String),
    /// Nothing of it is for this device.
    LeftOut,
}

impl Standing {
    /// As a page says it after the setting's name. `when` tells a time.
    pub fn sentence(&self, when: &dyn Fn(Time) -> String) -> String {
        match self {
            Self::InForce { since: Some(at) } => format!("in force, by the device’s word of {}", when(*at)),
            Self::InForce { since: None } => "in force, by the device’s word".to_owned(),
            Self::Waits => "waits until the device has it".to_owned(),
            Self::Failed(why) => format!("failed: the device says “{why}”"),
            Self::LeftOut => "not for this device".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passcode(minimum_length: u8, allows_simple: bool) -> Settings {
        let passcode = Passcode { minimum_length: Some(minimum_length), allows_simple };
        Settings { passcode: Some(passcode), ..Settings::default() }
    }

    fn restricted(it: Restriction, is_on: bool) -> Settings {
        Settings { restrictions: [(it, is_on)].into(), ..Settings::default() }
    }

    #[test]
    fn what_asks_for_less_or_takes_a_backup_away_is_said_and_what_asks_for_more_is_not() {
        let none = Settings::default();
        let vault = Settings { file_vault: true, ..Settings::default() };
        let share = |it: &str| Settings { time_machine: Some(format!("smb://{it}/a")), ..Settings::default() };
        for (old, new) in [
            (&passcode(8, false), &passcode(6, false)),
            (&passcode(8, false), &passcode(10, true)),
            (&passcode(8, false), &none),
            (&none, &restricted(Restriction::CloudBackup, false)),
            (&restricted(Restriction::CloudBackup, true), &none),
            (&restricted(Restriction::CloudPhotos, false), &none),
            (&restricted(Restriction::CloudPhotos, false), &restricted(Restriction::CloudPhotos, true)),
            (&restricted(Restriction::EncryptedBackup, true), &none),
            (&vault, &none),
            (&none, &share("a")),
            (&share("a"), &share("b")),
            (&share("a"), &none),
        ] {
            assert_eq!(new.loosened(old).len(), 1, "{old:?} to {new:?}: {:?}", new.loosened(old));
        }
        for (old, new) in [
            (&none, &passcode(4, true)),
            (&passcode(8, true), &passcode(8, false)),
            (&none, &restricted(Restriction::CloudPhotos, false)),
            (&none, &restricted(Restriction::CloudBackup, true)),
            (&restricted(Restriction::CloudBackup, false), &restricted(Restriction::CloudBackup, true)),
            (&none, &restricted(Restriction::EncryptedBackup, true)),
            (&none, &vault),
            (&share("a"), &share("a")),
        ] {
            assert_eq!(new.loosened(old), [""; 0], "{old:?} to {new:?}");
        }
    }

    #[test]
    fn what_is_typed_is_a_length_that_devices_know_and_a_folder_without_a_password() {
        assert!(passcode(1, true).check().is_ok() && passcode(16, true).check().is_ok());
        assert!(passcode(0, true).check().is_err() && passcode(17, true).check().is_err());
        let share = |it: &str| Settings { time_machine: Some(it.to_owned()), ..Settings::default() }.check().is_ok();
        assert!(share("smb://backup.example.org/macs") && share("smb://[2001:db8::1]/macs"));
        for bad in [
            "",
            "smb://",
            "smb://host",
            "smb://host/",
            "smb:///macs",
            "https://host/macs",
            "smb://me:secret@host/macs",
            "smb://host/a b",
            "smb://host/a\nb",
            "smb://host/<b>",
        ] {
            assert!(!share(bad), "{bad}");
        }
        assert!(!share(&format!("smb://host/{}", "a".repeat(200))));
    }

    #[test]
    fn settings_are_read_as_they_were_written_and_say_what_they_ask_for() {
        let settings = Settings {
            restrictions: [(Restriction::CloudBackup, false), (Restriction::EncryptedBackup, true)].into(),
            file_vault: true,
            time_machine: Some("smb://a/b".to_owned()),
            ..passcode(8, false)
        };
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        assert_eq!(
            settings.sentences(),
            [
                "A passcode of at least 8 characters, and not a simple one such as 1234",
                "Backup to iCloud: not allowed",
                "Encryption of backups to a computer: required",
                "The disk is encrypted, with a recovery key that this server keeps",
                "Time Machine backs up to smb://a/b",
            ]
        );
        assert!(Settings::default().each().is_empty());
        assert!(serde_json::from_str::<Settings>("{\"max_failed_attempts\":3}").is_err());
    }
}
