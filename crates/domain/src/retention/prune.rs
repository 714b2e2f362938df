//! A prune: what moved to the trash at once, and what becomes of it.
use crate::text::text_enum;

text_enum! {
    /// Where a prune is.
    PruneState {
        /// In the trash: nothing of it counts, and all of it can be put back.
        Trashed = "trashed",
        /// Its files are moved back to their places.
        Undoing = "undoing",
        Undone = "undone",
        /// Its files are being erased: it can no longer be put back.
        Erasing = "erasing",
        Erased = "erased",
    }
}

impl PruneState {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trashed => "In the trash",
            Self::Undoing => "Being put back",
            Self::Undone => "Put back",
            Self::Erasing => "Being erased",
            Self::Erased => "Erased",
        }
    }

    /// Whether it may become `next`.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Trashed, Self::Undoing | Self::Erasing)
                | (Self::Undoing, Self::Undone)
                | (Self::Erasing, Self::Erased)
        )
    }
}

text_enum! {
    /// Where a change of what is kept is.
    ChangeState {
        /// It waits for a second person.
        Requested = "requested",
        /// A second person agreed; it waits for its time.
        Agreed = "agreed",
        /// It took effect. The newest of these is what is kept.
        InForce = "in_force",
        /// Refused, taken back, nobody agreed in time, or whoever asked or agreed may no longer.
        Cancelled = "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_erased_comes_back_in_no_way() {
        for state in [PruneState::Erasing, PruneState::Erased] {
            for next in [PruneState::Trashed, PruneState::Undoing, PruneState::Undone] {
                assert!(!state.may_become(next), "{state} {next}");
            }
        }
        for next in PruneState::ALL {
            assert!(!PruneState::Erased.may_become(*next) && !PruneState::Undone.may_become(*next));
        }
        assert!(PruneState::Trashed.may_become(PruneState::Undoing));
        assert!(!PruneState::Undoing.may_become(PruneState::Erasing), "what comes back is not erased meanwhile");
    }
}
