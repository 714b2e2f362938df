//! Whether a restore can be undone, and what came of it.
use super::{RestoreFailure, RestoreState};
use crate::device::DeviceState;
use crate::text::text_enum;
use crate::time::{Time, days};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a restore can be undone after its end.
pub const UNDO_FOR: Duration = days(14);

text_enum! {
    /// How far an undo has come.
    UndoState { Queued = "queued", Undone = "undone", Failed = "failed", Ended = "ended" }
}

impl UndoState {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "Undo ordered",
            Self::Undone => "Undone",
            Self::Failed => "Not wholly undone",
            Self::Ended => "Not undone",
        }
    }
}

/// What an undo did, by the device's own word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReport {
    /// Entries that the restore made or replaced.
    pub wanted: u64,
    /// Those that are as they were before.
    pub done: u64,
    /// The others, by their whole paths, each with the reason.
    pub failures: Vec<RestoreFailure>,
}

impl UndoReport {
    /// Whether all of it is as before.
    pub fn is_whole(&self) -> bool {
        self.failures.is_empty() && self.done == self.wanted
    }

    /// What became of how much, as a sentence without its end.
    pub fn sentence(&self) -> String {
        if self.wanted == 0 {
            return "the restore had made and replaced nothing, so all is as before the restore".to_owned();
        }
        let entries = crate::words::counted(self.wanted, "entry", "entries");
        format!("{} of {entries} as before the restore", crate::words::number(self.done))
    }
}

/// Why a restore cannot be undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndoRefusal {
    #[error("the restore is “{}”: it can be undone once it has ended", .0.name())]
    UnderWay(RestoreState),
    #[error("the device never received this restore, so there is nothing to undo")]
    NeverBegan,
    #[error("this restore could be undone until {}; what it replaced is no longer kept", .0.iso())]
    TooLate(Time),
    #[error("it was undone already")]
    Undone,
    #[error("its undo was ordered already, and waits for the device")]
    Ordered,
    #[error("the device is “{}”, so nothing can be undone on it", .0.name())]
    NotEnrolled(DeviceState),
    #[error("the device has been enrolled again since, so what it recorded then is not known to be there")]
    OtherEnrolment,
}

/// What decides whether a restore can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndoFacts {
    pub state: RestoreState,
    /// Whether its order was handed to the device.
    pub is_delivered: bool,
    pub finished_at: Option<Time>,
    pub device: DeviceState,
    /// Whether the device is still the enrolment that restored.
    pub is_same_enrolment: bool,
    /// Of an earlier undo of it.
    pub undo: Option<UndoState>,
}

/// Until when a restore can be undone.
///
/// # Errors
/// The first reason why not.
pub fn may_undo(facts: &UndoFacts, now: Time) -> Result<Time, UndoRefusal> {
    let (true, Some(finished)) = (facts.state.is_final(), facts.finished_at) else {
        return Err(UndoRefusal::UnderWay(facts.state));
    };
    match facts.undo {
        Some(UndoState::Undone) => return Err(UndoRefusal::Undone),
        Some(UndoState::Queued) => return Err(UndoRefusal::Ordered),
        // Somebody may have put right what was in the way.
        Some(UndoState::Failed | UndoState::Ended) | None => {}
    }
    if !facts.is_delivered {
        return Err(UndoRefusal::NeverBegan);
    }
    if facts.device != DeviceState::Enrolled {
        return Err(UndoRefusal::NotEnrolled(facts.device));
    }
    if !facts.is_same_enrolment {
        return Err(UndoRefusal::OtherEnrolment);
    }
    let until = finished + UNDO_FOR;
    if now < until { Ok(until) } else { Err(UndoRefusal::TooLate(until)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    #[test]
    fn a_restore_that_wrote_something_can_be_undone_once_and_for_14_days() {
        let good = UndoFacts {
            state: RestoreState::Compared,
            is_delivered: true,
            finished_at: Some(NOW),
            device: DeviceState::Enrolled,
            is_same_enrolment: true,
            undo: None,
        };
        let until = NOW + days(14);
        for state in [RestoreState::Compared, RestoreState::Failed, RestoreState::Cancelled, RestoreState::Expired] {
            assert_eq!(may_undo(&UndoFacts { state, ..good }, NOW), Ok(until));
        }
        for undo in [UndoState::Failed, UndoState::Ended] {
            assert_eq!(may_undo(&UndoFacts { undo: Some(undo), ..good }, NOW), Ok(until), "asked again");
        }
        let wiped = DeviceState::Wiped;
        for (facts, refusal) in [
            (UndoFacts { state: RestoreState::Running, ..good }, UndoRefusal::UnderWay(RestoreState::Running)),
            (UndoFacts { is_delivered: false, ..good }, UndoRefusal::NeverBegan),
            (UndoFacts { undo: Some(UndoState::Undone), ..good }, UndoRefusal::Undone),
            (UndoFacts { undo: Some(UndoState::Queued), ..good }, UndoRefusal::Ordered),
            (UndoFacts { device: wiped, ..good }, UndoRefusal::NotEnrolled(wiped)),
            (UndoFacts { is_same_enrolment: false, ..good }, UndoRefusal::OtherEnrolment),
        ] {
            assert_eq!(may_undo(&facts, NOW), Err(refusal));
        }
        assert_eq!(may_undo(&good, until), Err(UndoRefusal::TooLate(until)));
    }

    #[test]
    fn an_undo_is_whole_only_if_all_of_it_is_as_before() {
        let whole = UndoReport { wanted: 2, done: 2, failures: Vec::new() };
        assert!(whole.is_whole());
        assert!(!UndoReport { done: 1, ..whole.clone() }.is_whole());
        assert_eq!(whole.sentence(), "2 of 2 entries as before the restore");
        assert!(UndoReport::default().sentence().contains("replaced nothing"));
        let failures = vec![RestoreFailure { path: "/a".to_owned(), reason: "changed".to_owned() }];
        assert!(!UndoReport { failures, ..whole }.is_whole());
    }
}
