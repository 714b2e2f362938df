//! What we ask a device to do.
use crate::domain::text::text_enum;

text_enum! {
    /// A command, common to all platforms.
    CommandKind {
        Lock = "lock", BackUpNow = "back_up_now", Wipe = "wipe", Restore = "restore",
    }
}

impl CommandKind {
    /// The name on a button and in a list.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lock => "Lock",
            Self::BackUpNow => "Back up now",
            Self::Wipe => "Wipe",
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

    /// Whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Failed | Self::Expired | Self::Cancelled)
    }
}
