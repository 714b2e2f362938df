//! What devices are asked to do: each request as a property list, and which device can be asked it.
//!
//! Source: Apple, `mdm/commands` of the schema. `tests/schema.rs` compares every request and every limit with it.
use crate::plist::{Dictionary, PlistFault, Value, write};
use crate::target::{Rights, System, Target, Version};

/// What a device is asked about itself: names of `DeviceInformation`.
///
/// What needs a right that an enrolment may lack, or is not for a device, is left out of an answer, not refused.
pub const QUERIES: &[&str] = &[
    "UDID",
    "DeviceName",
    "OSVersion",
    "BuildVersion",
    "ModelName",
    "Model",
    "ProductName",
    "SerialNumber",
    "DeviceCapacity",
    "AvailableDeviceCapacity",
    "BatteryLevel",
    "IsSupervised",
    "IsActivationLockEnabled",
    "IsDeviceLocatorServiceEnabled",
    "IsMDMLostModeEnabled",
];
/// What only iPhones and iPads know, and only say of devices that are not personal.
pub const QUERIES_OF_COMPANY_PHONES: &[&str] = &["IsCloudBackupEnabled", "LastCloudBackupDate"];
/// What a device answers that its person enrolled with their account.
pub const QUERIES_BY_ACCOUNT: &[&str] = &[
    "DeviceName",
    "OSVersion",
    "BuildVersion",
    "ModelName",
    "Model",
    "ProductName",
    "DeviceCapacity",
    "AvailableDeviceCapacity",
    "BatteryLevel",
];
/// What only Macs know.
pub const QUERIES_OF_MACS: &[&str] = &["PINRequiredForEraseDevice", "PINRequiredForDeviceLock", "EACSPreflight"];

/// What a Mac does if erasing its contents and settings is not possible: then it can destroy the whole system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obliteration {
    /// It answers with an error, and destroys it all the same.
    Default,
    /// It answers with an error, and erases nothing.
    DoNotObliterate,
    /// It answers that all is well, and destroys it.
    ObliterateWithWarning,
    /// It does not even try the other.
    Always,
}

impl Obliteration {
    /// Apple's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::DoNotObliterate => "DoNotObliterate",
            Self::ObliterateWithWarning => "ObliterateWithWarning",
            Self::Always => "Always",
        }
    }
}

/// How a device is erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Six digits that a Mac without a T2 or Apple chip asks for from then on.
    pub pin: Option<String>,
    pub preserve_data_plan: bool,
    pub disallow_proximity_setup: bool,
    pub obliteration: Option<Obliteration>,
    pub return_to_service: Option<ReturnToService>,
}

/// What an erased iPhone or iPad needs to enroll again by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnToService {
    pub wifi_profile: Option<Vec<u8>>,
    pub mdm_profile: Option<Vec<u8>>,
}

/// What is shown on a lost device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostNote {
    pub message: Option<String>,
    pub phone_number: Option<String>,
    pub footnote: Option<String>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Answers to these queries.
    DeviceInformation(Vec<String>),
    SecurityInfo,
    ProfileList,
    CertificateList,
    InstalledApplicationList,
    DeviceLock {
        message: Option<String>,
        phone_number: Option<String>,
        pin: Option<String>,
    },
    EraseDevice(Erasure),
    /// The token is what the device brought with its push address.
    ClearPasscode {
        unlock_token: Vec<u8>,
    },
    EnableLostMode(LostNote),
    DisableLostMode,
    PlayLostModeSound,
    DeviceLocation,
    /// A profile, signed or not.
    InstallProfile {
        payload: Vec<u8>,
    },
    RemoveProfile {
        identifier: String,
    },
    RestartDevice,
    ShutDownDevice,
    /// Makes a new recovery key, known to whoever has the key of `certificate` (DER).
    RotateFileVaultKey {
        password: String,
        certificate: Vec<u8>,
    },
    SetRecoveryLock {
        current: Option<String>,
        new: String,
    },
    ActivationLockBypassCode,
    /// The tokens that a device compares with what it has, as JSON; without them it asks.
    DeclarativeManagement {
        tokens: Option<Vec<u8>>,
    },
}

/// What a device must be for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub ios: Option<Version>,
    pub macos: Option<Version>,
    /// Of iPhones and iPads.
    pub supervised_only: bool,
    pub personal_ios: bool,
    pub personal_macos: bool,
    pub rights: Option<Rights>,
}

/// Why a device cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotAsk {
    #[error("{} has no such command", .0.name())]
    System(System),
    #[error("it needs {} {since}, and this device has {has}", .system.name())]
    Version { system: System, since: Version, has: Version },
    #[error("only a supervised device takes it")]
    NotSupervised,
    #[error("a personal device does not take it")]
    Personal,
    #[error("the enrolment did not give this right")]
    Right,
}

const fn limits(ios: Option<Version>, macos: Option<Version>, rights: Option<Rights>) -> Limits {
    Limits { ios, macos, supervised_only: false, personal_ios: true, personal_macos: true, rights }
}

impl Limits {
    const fn company_only(self) -> Self {
        Self { personal_ios: false, personal_macos: false, ..self }
    }

    const fn company_macs_only(self) -> Self {
        Self { personal_macos: false, ..self }
    }

    const fn supervised(self) -> Self {
        Self { supervised_only: true, ..self.company_only() }
    }
}

const fn since(major: u16, minor: u16) -> Option<Version> {
    Some(Version(major, minor, 0))
}

impl Request {
    /// Apple's name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DeviceInformation(_) => "DeviceInformation",
            Self::SecurityInfo => "SecurityInfo",
            Self::ProfileList => "ProfileList",
            Self::CertificateList => "CertificateList",
            Self::InstalledApplicationList => "InstalledApplicationList",
            Self::DeviceLock { .. } => "DeviceLock",
            Self::EraseDevice(_) => "EraseDevice",
            Self::ClearPasscode { .. } => "ClearPasscode",
            Self::EnableLostMode(_) => "EnableLostMode",
            Self::DisableLostMode => "DisableLostMode",
            Self::PlayLostModeSound => "PlayLostModeSound",
            Self::DeviceLocation => "DeviceLocation",
            Self::InstallProfile { .. } => "InstallProfile",
            Self::RemoveProfile { .. } => "RemoveProfile",
            Self::RestartDevice => "RestartDevice",
            Self::ShutDownDevice => "ShutDownDevice",
            Self::RotateFileVaultKey { .. } => "RotateFileVaultKey",
            Self::SetRecoveryLock { .. } => "SetRecoveryLock",
            Self::ActivationLockBypassCode => "ActivationLockBypassCode",
            Self::DeclarativeManagement { .. } => "DeclarativeManagement",
        }
    }

    /// What a device must be.
    pub const fn limits(&self) -> Limits {
        let lock = Some(Rights::LOCK_AND_CLEAR_PASSCODE);
        match self {
            Self::DeviceInformation(_) => limits(since(4, 0), since(10, 7), Some(Rights::QUERY_DEVICE)),
            Self::SecurityInfo => limits(since(4, 0), since(10, 7), Some(Rights::QUERY_SECURITY)),
            Self::ProfileList => limits(since(4, 0), since(10, 7), Some(Rights::INSPECT_PROFILES)),
            Self::CertificateList => limits(since(4, 0), since(10, 7), Some(Rights::INSPECT_PROFILES)),
            Self::InstalledApplicationList => {
                limits(since(5, 0), since(10, 7), Some(Rights::QUERY_APPLICATIONS)).company_macs_only()
            }
            Self::DeviceLock { .. } => limits(since(4, 0), since(10, 7), lock).company_macs_only(),
            Self::EraseDevice(_) => limits(since(4, 0), since(10, 7), Some(Rights::ERASE)).company_only(),
            Self::ClearPasscode { .. } => limits(since(4, 0), None, lock).company_only(),
            Self::EnableLostMode(_) | Self::DisableLostMode | Self::DeviceLocation => {
                limits(since(9, 3), None, None).supervised()
            }
            Self::PlayLostModeSound => limits(since(10, 3), None, None).supervised(),
            Self::InstallProfile { .. } | Self::RemoveProfile { .. } => {
                limits(since(4, 0), since(10, 7), Some(Rights::INSTALL_PROFILES))
            }
            Self::RestartDevice | Self::ShutDownDevice => limits(since(10, 3), since(10, 13), lock).supervised(),
            Self::RotateFileVaultKey { .. } => limits(None, since(10, 9), lock).company_only(),
            Self::SetRecoveryLock { .. } => limits(None, since(11, 5), lock).company_only(),
            Self::ActivationLockBypassCode => limits(since(7, 1), since(10, 15), None).supervised(),
            Self::DeclarativeManagement { .. } => limits(since(15, 0), since(13, 0), None),
        }
    }

    /// Whether a device can be asked.
    ///
    /// # Errors
    /// Why not, in words for whoever wanted to.
    pub fn may_ask(&self, target: &Target) -> Result<(), CannotAsk> {
        let limits = self.limits();
        let (since, allows_personal) = match target.system {
            System::Ios => (limits.ios, limits.personal_ios),
            System::Macos => (limits.macos, limits.personal_macos),
        };
        let since = since.ok_or(CannotAsk::System(target.system))?;
        if target.version < since {
            return Err(CannotAsk::Version { system: target.system, since, has: target.version });
        }
        if target.is_personal && !allows_personal {
            return Err(CannotAsk::Personal);
        }
        // A Mac that its user enrolled by hand is managed as if it were supervised.
        if limits.supervised_only && !target.is_supervised && target.system == System::Ios {
            return Err(CannotAsk::NotSupervised);
        }
        if limits.rights.is_some_and(|it| !target.rights.has(it)) {
            return Err(CannotAsk::Right);
        }
        Ok(())
    }

    /// The message to the device. `id` is what it answers with.
    ///
    /// # Errors
    /// When a text has characters that no property list carries.
    pub fn message(&self, id: &str, target: &Target) -> Result<Vec<u8>, PlistFault> {
        let mut command = Dictionary::new();
        put(&mut command, "RequestType", Some(text(self.name())));
        self.arguments(target, &mut command);
        let message = [("Command", Value::Dictionary(command)), ("CommandUUID", text(id))];
        write(message.into_iter().collect())
    }

    fn arguments(&self, target: &Target, command: &mut Dictionary) {
        let mut put = |key, value| put(command, key, value);
        match self {
            Self::DeviceInformation(queries) => {
                put("Queries", Some(Value::Array(queries.iter().map(|it| text(it)).collect())));
            }
            Self::DeviceLock { message, phone_number, pin } => {
                put("Message", message.as_deref().filter(|_| target.is_at_least(since(7, 0), since(10, 14))).map(text));
                let shows_number = target.is_at_least(since(7, 0), since(11, 5));
                put("PhoneNumber", phone_number.as_deref().filter(|_| shows_number).map(text));
                put("PIN", pin.as_deref().filter(|_| target.is_at_least(None, since(10, 8))).map(text));
            }
            Self::EraseDevice(erasure) => erasure.arguments(target, command),
            Self::ClearPasscode { unlock_token } => put("UnlockToken", Some(Value::Data(unlock_token.clone()))),
            Self::EnableLostMode(note) => {
                put("Message", note.message.as_deref().map(text));
                put("PhoneNumber", note.phone_number.as_deref().map(text));
                put("Footnote", note.footnote.as_deref().map(text));
            }
            Self::InstallProfile { payload } => put("Payload", Some(Value::Data(payload.clone()))),
            Self::RemoveProfile { identifier } => put("Identifier", Some(text(identifier))),
            Self::RotateFileVaultKey { password, certificate } => {
                let unlock = [("Password", text(password))].into_iter().collect();
                put("KeyType", Some(text("personal")));
                put("FileVaultUnlock", Some(Value::Dictionary(unlock)));
                put("ReplyEncryptionCertificate", Some(Value::Data(certificate.clone())));
            }
            Self::SetRecoveryLock { current, new } => {
                put("CurrentPassword", current.as_deref().map(text));
                put("NewPassword", Some(text(new)));
            }
            Self::DeclarativeManagement { tokens } => put("Data", tokens.clone().map(Value::Data)),
            Self::SecurityInfo
            | Self::ProfileList
            | Self::CertificateList
            | Self::InstalledApplicationList
            | Self::DisableLostMode
            | Self::PlayLostModeSound
            | Self::DeviceLocation
            | Self::RestartDevice
            | Self::ShutDownDevice
            | Self::ActivationLockBypassCode => {}
        }
    }
}

impl Erasure {
    /// Only what the device knows: what it does not know it could take for an error.
    fn arguments(&self, target: &Target, command: &mut Dictionary) {
        let mut put = |key, value| put(command, key, value);
        let flag = |is_on: bool| is_on.then_some(Value::Boolean(true));
        put("PIN", self.pin.as_deref().filter(|_| target.is_at_least(None, since(10, 8))).map(text));
        let behavior = self.obliteration.filter(|_| target.is_at_least(None, since(12, 0)));
        put("ObliterationBehavior", behavior.map(|it| text(it.word())));
        put("PreserveDataPlan", flag(self.preserve_data_plan && target.is_at_least(since(11, 0), None)));
        put("DisallowProximitySetup", flag(self.disallow_proximity_setup && target.is_at_least(since(11, 3), None)));
        let back = self.return_to_service.as_ref().filter(|_| target.is_at_least(since(17, 0), None));
        put("ReturnToService", back.map(ReturnToService::value));
    }
}

impl ReturnToService {
    fn value(&self) -> Value {
        let mut value = Dictionary::new();
        put(&mut value, "Enabled", Some(Value::Boolean(true)));
        put(&mut value, "WiFiProfileData", self.wifi_profile.clone().map(Value::Data));
        put(&mut value, "MDMProfileData", self.mdm_profile.clone().map(Value::Data));
        Value::Dictionary(value)
    }
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn put(command: &mut Dictionary, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        command.insert(key.to_owned(), value);
    }
}
