//! Secrets of devices that the server keeps for people: what unlocks a disk, a locked Mac or an activation lock.
use crate::text::text_enum;

text_enum! {
    /// What a secret opens.
    SecretKind {
        /// The disk of a Mac.
        RecoveryKey = "recovery_key",
        /// A Mac that was locked from here.
        LockPin = "lock_pin",
        /// A Mac that was erased from here.
        WipePin = "wipe_pin",
        /// The activation lock of a device.
        BypassCode = "bypass_code",
        /// The recovery system of a Mac.
        RecoveryLock = "recovery_lock",
    }
}

impl SecretKind {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecoveryKey => "FileVault recovery key",
            Self::LockPin => "PIN of the lock",
            Self::WipePin => "PIN after the wipe",
            Self::BypassCode => "Activation lock bypass code",
            Self::RecoveryLock => "Recovery lock password",
        }
    }

    /// Whether the device itself made it; the others were made here, and count once the device answered.
    pub const fn comes_from_device(self) -> bool {
        match self {
            Self::RecoveryKey | Self::BypassCode => true,
            Self::LockPin | Self::WipePin | Self::RecoveryLock => false,
        }
    }
}
