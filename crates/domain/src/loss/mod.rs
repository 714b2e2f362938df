//! What would be lost if a device were wiped now: one answer for every page, list, mail and command.
//!
//! [`LossFacts`] go in, one [`Loss`] comes out, and every word shown is made from that value (`words`).
//! "Nothing" is only said if it is known: the device counted its changes on the schedule it was given and with
//! all its folders present, its newest backup was compared with the proven one, and the proof holds.
mod words;

pub use words::Say;

use crate::device::DeviceState;
use crate::id::RestorePointId;
use crate::key_holder::KeyHolder;
use crate::proof::{Grade, is_ahead};
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub files: i64,
    pub bytes: i64,
}

impl Amount {
    /// An amount with both halves known.
    pub fn of(files: Option<i64>, bytes: Option<i64>) -> Option<Self> {
        Some(Self { files: files?, bytes: bytes? })
    }
}

/// A restore point, and when the server received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub id: RestorePointId,
    pub at: Time,
}

/// The files a device counted as different from its newest backup, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub amount: Amount,
    /// By the device's clock.
    pub measured_at: Time,
    /// Two check-ins later, by the schedule the device was on when it counted.
    pub until: Time,
}

/// Files whose stored copy is damaged and that no other restore point holds intact: certain to be lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damaged {
    /// The size is not known.
    pub amount: Amount,
    /// Some of them by name, for people who may see file names.
    pub names: Vec<String>,
}

impl Damaged {
    /// Whether there are more of them than names.
    pub fn has_more(&self) -> bool {
        i64::try_from(self.names.len()).is_ok_and(|named| named < self.amount.files)
    }
}

/// What is known about a device at one moment, as far as its loss depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossFacts {
    /// The moment, by the server's clock.
    pub at: Time,
    pub state: DeviceState,
    /// Of the device's evidence at that moment.
    pub grade: Grade,
    /// Whether the server holds any backup of the device.
    pub is_stored: bool,
    /// Whether any of its backups holds a file, as far as anybody knows.
    pub holds_files: bool,
    /// None if the device has never counted.
    pub count: Option<Count>,
    /// Protected folders that the device did not find, or found without their mark.
    pub roots_away: Vec<String>,
    /// Two machines may have the device's identity: each counts its own files.
    pub is_doubted: bool,
    /// By the server's clock.
    pub last_seen_at: Option<Time>,
    /// When the device will have missed two check-ins of its schedule.
    pub heard_until: Option<Time>,
    /// The backup the device counts from: its agent's newest, or any client's if the agent made none.
    pub newest: Option<Point>,
    /// What that backup holds; none if the device has not said.
    pub in_newest: Option<Amount>,
    /// What that backup holds beyond the proven one; none if the two were not compared.
    pub beyond_proof: Option<Amount>,
    pub proven: Option<Point>,
    pub damaged: Damaged,
    /// Since when the backup store cannot be read.
    pub store_away_since: Option<Time>,
    /// Who can open the backups; left out of what was kept before the question was asked.
    #[serde(default, skip_serializing_if = "is_server")]
    pub key_holder: KeyHolder,
}

fn is_server(holder: &KeyHolder) -> bool {
    *holder == KeyHolder::Server
}

/// Why it is not known what exists only on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// The backup store has been unreadable since then.
    StoreAway(Time),
    /// The server's clock is behind what it knows.
    Clock,
    /// These folders were missing when the device looked.
    RootsAway(Vec<String>),
    /// Two machines may have its identity, and neither one's count says what is on the other.
    TwoMachines,
    /// It missed two check-ins; this is when the last one was.
    Silent(Time),
    /// It checks in, but has not counted since.
    NotCounted(Option<Time>),
}

/// The answer in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The device is no longer enrolled; its state says what became of it.
    Ended(DeviceState),
    /// Its folders are empty, and so are its backups.
    NoData,
    /// There is no backup.
    Everything,
    /// Nobody can say what exists only on the device, or what its backups are worth.
    Unknown,
    /// Something would certainly be lost, or is in a backup that is not proven.
    Some,
    /// Every file has a copy that was restored and compared.
    Nothing,
}

text_enum! {
    /// The four parts of "If we lost…": every enrolled device is in exactly one.
    Part { LoseAll = "lose_all", AtRisk = "at_risk", CannotSay = "cannot_say", Restorable = "restorable" }
}

/// What a wipe would lose, in three layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub verdict: Verdict,
    /// Why the first layer is not known, or the backups cannot be counted on; none if neither applies.
    pub unknown: Option<Unknown>,
    /// First layer: what exists only on the device.
    pub only_here: Option<Amount>,
    /// Also first layer: what exists intact only on the device.
    pub damaged: Damaged,
    /// Second layer: what is in a backup but not proven. If no proof holds, everything in the newest backup.
    pub not_proven: Option<Amount>,
    /// Third layer: everything up to here was restored and compared, once.
    pub proven: Option<Point>,
    pub newest: Option<Point>,
    pub grade: Grade,
    /// What the device last counted, for a sentence about the past.
    pub counted: Option<Count>,
    pub key_holder: KeyHolder,
}

impl LossFacts {
    /// Whether the device was heard from on its schedule.
    pub fn is_heard(&self) -> bool {
        let is_right = |at: Time| !is_ahead(at, self.at);
        self.last_seen_at.is_some_and(is_right) && self.heard_until.is_some_and(|until| self.at < until)
    }

    /// What the device counted, if that still counts.
    fn count_now(&self) -> Result<Amount, Unknown> {
        // First: by a wrong clock nobody can say whether it was heard from in time.
        if self.last_seen_at.is_some_and(|at| is_ahead(at, self.at)) {
            return Err(Unknown::Clock);
        }
        if !self.is_heard() {
            return Err(self.last_seen_at.map_or(Unknown::NotCounted(None), Unknown::Silent));
        }
        if self.is_doubted {
            return Err(Unknown::TwoMachines);
        }
        if !self.roots_away.is_empty() {
            return Err(Unknown::RootsAway(self.roots_away.clone()));
        }
        match self.count {
            Some(count) if self.at < count.until => Ok(count.amount),
            old => Err(Unknown::NotCounted(old.map(|it| it.measured_at))),
        }
    }

    fn not_proven(&self) -> Option<Amount> {
        if self.newest.is_none() {
            // Without a backup, nothing is in one.
            return Some(Amount::default());
        }
        if self.store_away_since.is_some() {
            return None;
        }
        match self.grade {
            Grade::Proven => self.beyond_proof,
            // What the partial test left out, if it tested this backup.
            Grade::Partial => self.beyond_proof.or(self.in_newest),
            Grade::Unknown => None,
            // If no proof holds, everything in the backup is unproven.
            Grade::Failed | Grade::Never | Grade::Reported | Grade::Stored | Grade::OutOfDate | Grade::Verified => {
                self.in_newest
            }
        }
    }

    /// The SQL of the device list says the same in `store::device_list::filter`.
    fn verdict(&self, count: Result<Amount, &Unknown>, not_proven: Option<Amount>) -> Verdict {
        let is_empty = |amount: Option<Amount>| amount.is_some_and(|it| it.files == 0);
        let is_clock_wrong = self.grade == Grade::Unknown;
        if self.state != DeviceState::Enrolled {
            Verdict::Ended(self.state)
        } else if is_empty(count.ok()) && !self.holds_files {
            // Before "everything": an empty device without a backup has nothing to lose.
            Verdict::NoData
        } else if !self.is_stored && !is_clock_wrong {
            Verdict::Everything
        } else if self.damaged.amount.files > 0 {
            // Before "unknown": this is certain, whatever else nobody can say.
            Verdict::Some
        } else if self.store_away_since.is_some() || is_clock_wrong || count.is_err() {
            Verdict::Unknown
        } else if self.grade == Grade::Proven && is_empty(count.ok()) && is_empty(not_proven) {
            Verdict::Nothing
        } else {
            Verdict::Some
        }
    }
}

/// Computes the loss from the facts.
pub fn loss(facts: &LossFacts) -> Loss {
    let count = facts.count_now();
    let not_proven = facts.not_proven();
    let verdict = facts.verdict(count.as_ref().copied(), not_proven);
    let clock = (facts.grade == Grade::Unknown).then_some(Unknown::Clock);
    // Without a backup, the store has no part in the answer.
    let store = facts.store_away_since.filter(|_| facts.is_stored).map(Unknown::StoreAway);
    Loss {
        verdict,
        unknown: store.or(clock).or(count.as_ref().err().cloned()),
        only_here: count.ok(),
        damaged: facts.damaged.clone(),
        not_proven,
        proven: facts.proven,
        newest: facts.newest,
        grade: facts.grade,
        counted: facts.count,
        key_holder: facts.key_holder,
    }
}

impl Loss {
    /// Whether everything was restored and compared, and nothing changed since.
    pub fn is_nothing(&self) -> bool {
        self.verdict == Verdict::Nothing
    }

    /// The part of "If we lost…" the device is in; none if it is not enrolled.
    pub const fn part(&self) -> Option<Part> {
        match self.verdict {
            Verdict::Ended(_) => None,
            Verdict::Everything => Some(Part::LoseAll),
            // There is nothing to lose, but nothing is proven either.
            Verdict::NoData | Verdict::Unknown => Some(Part::CannotSay),
            Verdict::Some => Some(Part::AtRisk),
            Verdict::Nothing => Some(Part::Restorable),
        }
    }

    /// Whether a proof of the backups can be counted on.
    pub fn proof_holds(&self) -> bool {
        self.grade == Grade::Proven && !matches!(self.unknown, Some(Unknown::StoreAway(_)))
    }

    /// The first layer: what exists only on the device, and what is damaged elsewhere; none if the former is
    /// not known.
    pub fn lost(&self) -> Option<Amount> {
        let (here, damaged) = (self.only_here?, self.damaged.amount);
        Some(Amount {
            files: here.files.saturating_add(damaged.files),
            bytes: here.bytes.saturating_add(damaged.bytes),
        })
    }

    /// The layers for JSON and CSV: lost, and not proven. A zero is given only if it means that nothing is
    /// lost.
    pub fn numbers(&self) -> (Option<Amount>, Option<Amount>) {
        let known = match self.verdict {
            Verdict::Ended(_) | Verdict::NoData | Verdict::Everything => return (None, None),
            Verdict::Unknown | Verdict::Some | Verdict::Nothing => self.lost(),
        };
        (known.filter(|it| self.proof_holds() || it.files > 0), self.not_proven)
    }
}

#[cfg(test)]
pub(crate) mod tests;
