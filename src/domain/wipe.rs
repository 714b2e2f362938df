//! When a device may be wiped, and by whom.
use crate::domain::text::text_enum;

text_enum! {
    /// Where a wipe request stands. Pages call `cooling` "Waiting 10 min".
    WipeState {
        Draft = "draft", Requested = "requested", Held = "held", Approved = "approved",
        Cooling = "cooling", Released = "released", Delivered = "delivered",
        Acknowledged = "acknowledged", Confirmed = "confirmed", Failed = "failed",
        Expired = "expired", Cancelled = "cancelled", ReviewAgain = "review_again",
    }
}

text_enum! {
    /// What is erased.
    WipeAction { Wipe = "wipe", RemoveCompanyData = "remove_company_data" }
}

text_enum! {
    /// Why a device is wiped.
    WipeReason {
        LostOrStolen = "lost_or_stolen", PersonHasLeft = "person_has_left", Reuse = "reuse",
        SuspectedCompromise = "suspected_compromise", Disposal = "disposal",
    }
}
