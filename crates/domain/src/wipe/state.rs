//! The states of a wipe request, and which may follow which.
use crate::command::CommandKind;
use crate::device::DeviceState;
use crate::text::text_enum;

text_enum! {
    /// The state of a wipe request. Pages call `cooling` "Waiting".
    WipeState {
        Requested = "requested", Held = "held", Cooling = "cooling", Released = "released", Delivered = "delivered",
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

/// The states in which nothing has been sent to the device, so that a request can still be stopped.
pub const BEFORE_DELIVERY: [WipeState; 5] =
    [WipeState::Requested, WipeState::Held, WipeState::ReviewAgain, WipeState::Cooling, WipeState::Released];

impl WipeState {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Held => "Held",
            Self::Cooling => "Waiting",
            Self::Released => "Queued",
            Self::Delivered => "Delivered",
            Self::Acknowledged => "Acknowledged",
            Self::Confirmed => "Confirmed",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
            Self::ReviewAgain => "Review again",
        }
    }

    /// Whether nothing has been sent to the device yet.
    pub fn is_before_delivery(self) -> bool {
        BEFORE_DELIVERY.contains(&self)
    }

    /// Whether nothing more follows, except a late report from a device that got its order.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed | Self::Expired | Self::Cancelled)
    }

    /// Whether a request in this state may go to `to`; checked whenever one is written.
    pub const fn may_become(self, to: Self) -> bool {
        use WipeState as S;
        match self {
            S::Requested => matches!(to, S::Cooling | S::Held | S::ReviewAgain | S::Expired | S::Cancelled),
            S::Held => matches!(to, S::Requested | S::ReviewAgain | S::Expired | S::Cancelled),
            S::ReviewAgain => matches!(to, S::Requested | S::Held | S::Expired | S::Cancelled),
            S::Cooling => matches!(to, S::Released | S::Held | S::ReviewAgain | S::Expired | S::Cancelled),
            S::Released => matches!(to, S::Delivered | S::Held | S::ReviewAgain | S::Expired | S::Cancelled),
            // Back to the people only if the device asks again, because then it cannot have got the order.
            S::Delivered => matches!(to, S::Acknowledged | S::Failed | S::Held | S::ReviewAgain),
            S::Acknowledged => matches!(to, S::Confirmed | S::Failed),
            // A device that was given up may still report.
            S::Failed => matches!(to, S::Acknowledged),
            S::Confirmed | S::Expired | S::Cancelled => false,
        }
    }
}

impl WipeAction {
    /// The order that carries it out.
    pub const fn command(self) -> CommandKind {
        match self {
            Self::Wipe => CommandKind::Wipe,
            Self::RemoveCompanyData => CommandKind::RemoveCompanyData,
        }
    }

    /// The name on a form and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wipe => "Wipe",
            Self::RemoveCompanyData => "Remove company data",
        }
    }

    /// Its name in the middle of a sentence and in the subject of a mail.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Wipe => "wipe",
            Self::RemoveCompanyData => "removal of company data",
        }
    }

    /// The state of the device once it has reported.
    pub const fn outcome(self, complete: bool) -> DeviceState {
        match (self, complete) {
            (Self::Wipe, true) => DeviceState::Wiped,
            (Self::Wipe, false) => DeviceState::WipeFailed,
            (Self::RemoveCompanyData, true) => DeviceState::CompanyDataRemoved,
            (Self::RemoveCompanyData, false) => DeviceState::RemovalFailed,
        }
    }

    /// What is done to a device, before its name: "asks to wipe laptop-1".
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Wipe => "wipe",
            Self::RemoveCompanyData => "remove company data from",
        }
    }
}

impl WipeReason {
    /// The name on a form and in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LostOrStolen => "Lost or stolen",
            Self::PersonHasLeft => "Person has left",
            Self::Reuse => "Reuse for someone else",
            Self::SuspectedCompromise => "Suspected compromise",
            Self::Disposal => "Disposal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_a_final_state_but_a_late_report() {
        for from in WipeState::ALL.iter().filter(|it| it.is_final()) {
            for to in WipeState::ALL {
                let is_late_report = (*from, *to) == (WipeState::Failed, WipeState::Acknowledged);
                assert_eq!(from.may_become(*to), is_late_report, "{from} {to}");
            }
        }
    }

    #[test]
    fn every_state_before_delivery_can_be_stopped_and_runs_out() {
        for from in BEFORE_DELIVERY {
            assert!(from.may_become(WipeState::Cancelled), "{from}");
            assert!(from.may_become(WipeState::Expired), "{from}");
        }
    }

    #[test]
    fn only_the_hold_leads_to_release_and_only_release_to_the_device() {
        for from in WipeState::ALL {
            assert_eq!(from.may_become(WipeState::Released), *from == WipeState::Cooling, "{from}");
            assert_eq!(from.may_become(WipeState::Delivered), *from == WipeState::Released, "{from}");
            assert_eq!(from.may_become(WipeState::Cooling), *from == WipeState::Requested, "{from}");
        }
    }

    #[test]
    fn what_was_delivered_is_never_called_stopped() {
        for from in [WipeState::Delivered, WipeState::Acknowledged] {
            assert!(!from.may_become(WipeState::Cancelled));
            assert!(!from.may_become(WipeState::Expired));
        }
    }

    #[test]
    fn four_states_are_final() {
        let last: Vec<_> = WipeState::ALL.iter().filter(|it| it.is_final()).collect();
        assert_eq!(last, [&WipeState::Confirmed, &WipeState::Failed, &WipeState::Expired, &WipeState::Cancelled]);
    }
}
