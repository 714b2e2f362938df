//! A device, what it reports about itself, and how far that can be believed.
use crate::text::text_enum;

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

/// The most protected folders of a device.
pub const MAX_ROOTS: usize = 64;
