//! Getting a restore point back onto a device.
use crate::domain::text::text_enum;

text_enum! {
    /// Where a restore stands.
    RestoreState {
        Queued = "queued", Running = "running", Compared = "compared",
        Failed = "failed", Expired = "expired", Cancelled = "cancelled",
    }
}

text_enum! {
    /// What happens to a file that is already there; nothing is ever removed.
    Conflict { KeepBoth = "keep_both", Skip = "skip" }
}
