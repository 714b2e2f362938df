//! What one event would leave of many devices, in numbers.
use super::{Fate, Outcome};
use crate::words::counted;
use std::time::Duration;

/// The outcomes of many devices, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub lose_all: i64,
    pub at_risk: i64,
    pub cannot_say: i64,
    pub restorable: i64,
    /// How much recent work each of those at risk would lose.
    pub(super) recent: Vec<Duration>,
}

impl Tally {
    /// Takes one device into account.
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome.fate {
            Fate::LosesAll => self.lose_all += 1,
            Fate::LosesRecent => self.at_risk += 1,
            Fate::CannotSay => self.cannot_say += 1,
            Fate::ComesBack => self.restorable += 1,
        }
        self.recent.extend(outcome.recent);
    }

    /// How many have this fate.
    pub const fn of(&self, fate: Fate) -> i64 {
        match fate {
            Fate::LosesAll => self.lose_all,
            Fate::LosesRecent => self.at_risk,
            Fate::CannotSay => self.cannot_say,
            Fate::ComesBack => self.restorable,
        }
    }

    /// All devices.
    pub const fn all(&self) -> i64 {
        self.lose_all + self.at_risk + self.cannot_say + self.restorable
    }

    /// The median and the worst of the recent work that would be lost; none if none would.
    pub fn recent(&self) -> Option<(Duration, Duration)> {
        let mut all = self.recent.clone();
        all.sort_unstable();
        Some((*all.get((all.len().checked_sub(1)?) / 2)?, *all.last()?))
    }

    /// "At least 41 of 1,283 devices would lose data; 58 we cannot say."
    pub fn sentence(&self) -> String {
        let (lost, all) = (self.lose_all + self.at_risk, counted(self.all(), "device", "devices"));
        let known = match (lost, self.cannot_say) {
            (0, 0) => return format!("Proven to come back from what is left: {all}, all there are."),
            (0, _) => format!("No device of {all} is known to lose data"),
            (lost, 0) if lost > 1 && lost == self.all() => format!("All {all} would lose data"),
            (lost, 0) => format!("{} of {all} would lose data", crate::words::number(lost)),
            (lost, _) => format!("At least {} of {all} would lose data", crate::words::number(lost)),
        };
        match self.cannot_say {
            0 => format!("{known}."),
            unknown => format!("{known}; {} we cannot say.", crate::words::number(unknown)),
        }
    }
}
