//! What would be lost if a device were wiped now.
//!
//! Nothing is only said where it is known: the device measured its changes
//! lately, its newest backup was compared with the proven one, and the proof holds.
use crate::domain::proof::Grade;
use crate::domain::time::{Time, days};
use crate::domain::words::{capital, files, number};
use serde::Serialize;
use std::time::Duration;

/// Files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub files: i64,
    pub bytes: i64,
}

/// What is known of a device when its loss is told.
#[derive(Debug, Clone, Copy)]
pub struct LossFacts {
    pub grade: Grade,
    /// Files that differ from the newest backup, as the device measured at that time.
    pub changed: Option<(Amount, Time)>,
    /// What the newest backup holds beyond the proven one; none where the two were not compared.
    pub beyond_proof: Option<Amount>,
}

/// What is in a backup that was never restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRisk {
    Files(Amount),
    /// There is no proof that counts, so all that was backed up is at risk.
    All,
    Unknown,
}

/// What a wipe now would lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Every file has a copy that was restored and compared.
    Nothing,
    /// There is no backup.
    Everything,
    /// It cannot be told what is only on the device.
    Unknown,
    /// What is only on the device is lost, and what is not proven is at risk.
    Some { lost: Amount, at_risk: AtRisk, proof_holds: bool },
}

/// A device's own measure of its changes counts for so long.
const MEASURE_HOLDS: Duration = days(1);
/// A device's clock may be ahead by so much.
const DEVICE_CLOCK: Duration = days(1);

/// Whether what a device measured of itself at `measured_at` still counts.
pub fn measure_holds(measured_at: Time, now: Time) -> bool {
    measured_at + MEASURE_HOLDS >= now && measured_at <= now + DEVICE_CLOCK
}

/// Tells the loss at `now`.
pub fn loss(facts: &LossFacts, now: Time) -> Loss {
    if facts.grade == Grade::Never {
        return Loss::Everything;
    }
    let Some((lost, measured_at)) = facts.changed else { return Loss::Unknown };
    if !measure_holds(measured_at, now) {
        return Loss::Unknown;
    }
    let at_risk = match (facts.grade, facts.beyond_proof) {
        (Grade::Proven | Grade::OutOfDate, Some(amount)) => AtRisk::Files(amount),
        (Grade::Proven | Grade::OutOfDate, None) => AtRisk::Unknown,
        (Grade::Unknown, _) => return Loss::Unknown,
        (Grade::Failed | Grade::Never | Grade::Reported | Grade::Stored | Grade::Verified, _) => AtRisk::All,
    };
    let proof_holds = facts.grade == Grade::Proven;
    if lost.files == 0 && at_risk == AtRisk::Files(Amount::default()) && proof_holds {
        return Loss::Nothing;
    }
    Loss::Some { lost, at_risk, proof_holds }
}

impl Loss {
    /// In few words, for a list: "Lose 4, risk 92".
    pub fn short(&self) -> String {
        match self {
            Self::Nothing => "Nothing".to_owned(),
            Self::Everything => "Lose everything".to_owned(),
            Self::Unknown => "Unknown".to_owned(),
            Self::Some { lost, at_risk, proof_holds } => {
                let mut parts = Vec::new();
                if lost.files > 0 {
                    parts.push(format!("lose {}", number(lost.files)));
                }
                match at_risk {
                    AtRisk::Files(amount) if amount.files > 0 => parts.push(format!("risk {}", number(amount.files))),
                    AtRisk::Files(_) => {}
                    AtRisk::All => parts.push("risk all".to_owned()),
                    AtRisk::Unknown => parts.push("risk not known".to_owned()),
                }
                if parts.is_empty() && !proof_holds {
                    parts.push("risk all: proof out of date".to_owned());
                }
                capital(&parts.join(", "))
            }
        }
    }

    /// The answer on the device's page: "4 files lost, 92 not proven".
    pub fn headline(&self) -> String {
        match self {
            Self::Nothing => "Nothing would be lost".to_owned(),
            Self::Everything => "Everything would be lost".to_owned(),
            Self::Unknown => "Cannot say".to_owned(),
            Self::Some { lost, at_risk, proof_holds } => match (lost.files, at_risk) {
                (0, AtRisk::All) => "Nothing in the backup is proven".to_owned(),
                (0, AtRisk::Unknown) => "The newest backup is not proven".to_owned(),
                (0, AtRisk::Files(amount)) if amount.files == 0 && !proof_holds => {
                    "The proof is out of date".to_owned()
                }
                (0, AtRisk::Files(amount)) => format!("{} not proven", files(amount.files)),
                (lost, AtRisk::All) => format!("{} lost, the rest not proven", files(lost)),
                (lost, AtRisk::Unknown) => format!("{} lost, newest backup not proven", files(lost)),
                (lost, AtRisk::Files(amount)) if amount.files == 0 => format!("{} lost", files(lost)),
                (lost, AtRisk::Files(amount)) => {
                    format!("{} lost, {} not proven", files(lost), number(amount.files))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::hours;

    const NOW: Time = Time::from_millis(1_795_356_371_000);
    const NONE: Amount = Amount { files: 0, bytes: 0 };
    const MANY: Amount = Amount { files: 12_000, bytes: 1 };
    const FOUR: Amount = Amount { files: 4, bytes: 9_000_000 };

    fn at(grade: Grade, changed: Option<Amount>, beyond_proof: Option<Amount>) -> Loss {
        loss(&LossFacts { grade, changed: changed.map(|it| (it, NOW - hours(1))), beyond_proof }, NOW)
    }

    #[test]
    fn nothing_is_said_only_where_it_is_known_and_the_proof_holds() {
        assert_eq!(at(Grade::Proven, Some(NONE), Some(NONE)), Loss::Nothing);
        for grade in Grade::ALL.iter().copied().filter(|it| *it != Grade::Proven) {
            assert_ne!(at(grade, Some(NONE), Some(NONE)), Loss::Nothing, "{grade}");
        }
        assert_ne!(at(Grade::Proven, None, Some(NONE)), Loss::Nothing);
        assert_ne!(at(Grade::Proven, Some(NONE), None), Loss::Nothing);
        let old = LossFacts { grade: Grade::Proven, changed: Some((NONE, NOW - hours(25))), beyond_proof: Some(NONE) };
        assert_eq!(loss(&old, NOW), Loss::Unknown);
    }

    #[test]
    fn each_loss_has_its_words() {
        let risk = Some(Amount { files: 92, bytes: 1 });
        for (loss, short, headline) in [
            (at(Grade::Proven, Some(FOUR), risk), "Lose 4, risk 92", "4 files lost, 92 not proven"),
            (at(Grade::Proven, Some(MANY), risk), "Lose 12,000, risk 92", "12,000 files lost, 92 not proven"),
            (at(Grade::Proven, Some(NONE), risk), "Risk 92", "92 files not proven"),
            (at(Grade::Never, None, None), "Lose everything", "Everything would be lost"),
            (at(Grade::Failed, Some(FOUR), None), "Lose 4, risk all", "4 files lost, the rest not proven"),
            (at(Grade::Stored, Some(NONE), None), "Risk all", "Nothing in the backup is proven"),
            (at(Grade::OutOfDate, Some(NONE), Some(NONE)), "Risk all: proof out of date", "The proof is out of date"),
            (at(Grade::Unknown, Some(NONE), Some(NONE)), "Unknown", "Cannot say"),
        ] {
            assert_eq!((&*loss.short(), &*loss.headline()), (short, headline));
        }
    }
}
