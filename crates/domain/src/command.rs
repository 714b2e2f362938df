//! What we ask a device to do.
use crate::text::text_enum;

text_enum! {
    /// A command, common to all platforms.
    CommandKind {
        Lock = "lock", BackUpNow = "back_up_now", Wipe = "wipe", RemoveCompanyData = "remove_company_data",
        Restore = "restore",
    }
}

impl CommandKind {
    /// Those that come from a wipe request.
    pub const ERASING: [Self; 2] = [Self::Wipe, Self::RemoveCompanyData];

    /// Whether it comes from a wipe request.
    pub fn erases(self) -> bool {
        Self::ERASING.contains(&self)
    }

    /// The name on a button and in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "Lock",
            Self::BackUpNow => "Back up now",
            Self::Wipe => "Wipe",
            Self::RemoveCompanyData => "Remove company data",
            Self::Restore => "Restore",
        }
    }
}

text_enum! {
    /// The life of a command; the device's own answer ends it.
    CommandState {
        Queued = "queued", Delivered = "delivered", Acknowledged = "acknowledged",
        Failed = "failed", Expired = "expired", Cancelled = "cancelled",
    }
}

impl CommandState {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Delivered => "Delivered",
            Self::Acknowledged => "Done",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether it is final.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Failed | Self::Expired | Self::Cancelled)
    }
}
