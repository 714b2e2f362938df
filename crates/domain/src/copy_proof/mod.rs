//! The proof from the second copy alone: what restore tests that read only the second store, opened with recovery shares,
//! have shown, and when that no longer counts.
//!
//! Nobody but people with shares can make this proof, so it is old most of the time, and says so. What a page, an export,
//! a policy or the command line says of it is only here.
use crate::copy::SecondStore;
use crate::ground::Away;
use crate::key_holder::{KeyHolder, NOT_FROM_COPY, devices_left_out};
use crate::proof::{Level, TestResult, is_ahead};
use crate::text::text_enum;
use crate::time::{Time, days};
use crate::words::{counted, number};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How long such a test counts: a quarter, after which shares are asked for again (ADR 21).
pub const HOLDS: Duration = days(92);

text_enum! {
    /// How a device stands to the loss of everything but the second store and the shares.
    CopyGrade {
        /// There is no store that counts as a second one.
        NotSetUp = "not_set_up",
        /// The customer keeps the key: no share opens the backups, and nobody here can test them.
        NoKey = "no_key",
        /// No such test has shown anything.
        Never = "never",
        /// The last test failed.
        Failed = "failed",
        /// Nobody can say whether what was tested is still there.
        Unknown = "unknown",
        /// It held once, and no longer does.
        OutOfDate = "out_of_date",
        /// Everything came back, with no list of files to compare it with.
        Verified = "verified",
        /// Too many files were not compared.
        Partial = "partial",
        /// What was tested is proven and holds; there are newer restore points that were not tested from there.
        Behind = "behind",
        /// The newest restore point is proven from the second copy alone.
        Proven = "proven",
    }
}

impl CopyGrade {
    /// The word on the badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSetUp => "No second copy",
            Self::NoKey => "Copy never proven here",
            Self::Never => "Copy never proven",
            Self::Failed => "Copy test failed",
            Self::Unknown => "Copy unknown",
            Self::OutOfDate => "Copy proof out of date",
            Self::Verified => "Copy verified",
            Self::Partial => "Copy partly proven",
            Self::Behind => "Older copy proven",
            Self::Proven => "Copy proven",
        }
    }

    /// Whether the restore point that was tested is proven from the second copy now.
    pub const fn holds(self) -> bool {
        match self {
            Self::Proven | Self::Behind => true,
            Self::NotSetUp
            | Self::NoKey
            | Self::Never
            | Self::Failed
            | Self::Unknown
            | Self::OutOfDate
            | Self::Verified
            | Self::Partial => false,
        }
    }
}

/// How far a run that was stopped came, in a sentence; none if it came to its end.
pub fn stopped_at(done: usize, all: usize) -> Option<String> {
    let left = all.checked_sub(done).filter(|it| *it > 0)?;
    Some(format!(
        "Stopped after {} of {}: {} not tested. The next run begins with what was never tested, or not for the longest time.",
        number(done),
        counted(all, "device", "devices"),
        counted(left, "was", "were"),
    ))
}

/// The last test of a device that showed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyTest {
    /// When the restore point was received.
    pub point_at: Time,
    pub tested_at: Time,
    /// Until when it counts, as fixed when it ended; none if it showed nothing that could.
    pub until: Option<Time>,
    pub result: TestResult,
    pub level: Level,
    pub matched: i64,
    pub files: i64,
    /// Since when something that it read is known to be missing or changed in the second store.
    pub withdrawn_at: Option<Time>,
    /// The id of the store that it read.
    pub store: String,
    /// The recovery key that opened the backup.
    pub key: String,
    /// Since when that key opens nothing.
    pub key_retired_at: Option<Time>,
    /// Whether the restore point has ended since, by the rule about what is kept.
    pub is_ended: bool,
    /// Whether no newer restore point has come since.
    pub is_newest: bool,
}

/// The second store now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreNow {
    /// None if there is none.
    pub store: Option<SecondStore>,
    /// The id in its marker.
    pub id: Option<String>,
    pub away: Option<Away>,
}

impl StoreNow {
    /// Why a test of it shows nothing now, in words; none if it is there and counts.
    pub fn refusal(&self) -> Option<String> {
        match &self.store {
            None => Some("there is no second store".to_owned()),
            Some(it) if !it.counts() => Some(format!("it counts as no second copy: {}", it.shares.join("; "))),
            Some(_) if let Some(away) = &self.away => Some(format!("the second store cannot be used: {}", away.why)),
            Some(it) if it.opened_at.is_none() => {
                Some("the second store was not reached since the server started".to_owned())
            }
            Some(_) => None,
        }
    }
}

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProof<'a> {
    pub now: &'a StoreNow,
    pub test: Option<CopyTest>,
    /// Who can open the backups: where that is the customer no share does, whatever was written down.
    pub key_holder: KeyHolder,
}

impl CopyProof<'_> {
    /// How it stands at `now`.
    pub fn grade(&self, now: Time) -> CopyGrade {
        let counts = self.now.store.as_ref().is_some_and(SecondStore::counts);
        if self.key_holder == KeyHolder::Customer {
            return if counts { CopyGrade::NoKey } else { CopyGrade::NotSetUp };
        }
        let Some(test) = &self.test else {
            return if counts { CopyGrade::Never } else { CopyGrade::NotSetUp };
        };
        if test.result == TestResult::Failed {
            return CopyGrade::Failed;
        }
        if self.now.refusal().is_some() || is_ahead(test.tested_at, now) {
            return CopyGrade::Unknown;
        }
        let holds = test.until.is_some_and(|it| now < it);
        let is_gone = test.withdrawn_at.is_some() || test.key_retired_at.is_some() || test.is_ended;
        if !holds || is_gone || self.now.id.as_deref() != Some(&test.store) {
            return CopyGrade::OutOfDate;
        }
        match test.level {
            Level::Proven | Level::CopyProven if test.is_newest => CopyGrade::Proven,
            Level::Proven | Level::CopyProven => CopyGrade::Behind,
            Level::Partial => CopyGrade::Partial,
            Level::Verified => CopyGrade::Verified,
            Level::Never | Level::Reported | Level::Stored => CopyGrade::Never,
        }
    }

    /// The newest data that is proven to come back from the second copy alone: when it was received.
    pub fn proven_point(&self, now: Time) -> Option<Time> {
        self.test.as_ref().filter(|_| self.grade(now).holds()).map(|it| it.point_at)
    }

    /// All of it in words; `when` writes a time.
    pub fn sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let grade = self.grade(now);
        if grade == CopyGrade::NoKey {
            return NOT_FROM_COPY.to_owned();
        }
        let Some(test) = &self.test else {
            return if grade == CopyGrade::NotSetUp {
                "There is no second copy to prove.".to_owned()
            } else {
                format!("Nothing was restored from the second store alone, with recovery shares. {DRILL}")
            };
        };
        let tested = format!("On {}, with the recovery key {},", when(test.tested_at), test.key);
        let point = when(test.point_at);
        let whole = format!(
            "{tested} the backup of {point} came back from the second store alone: {} of {}.",
            number(test.matched),
            counted(test.files, "file", "files")
        );
        match grade {
            CopyGrade::NotSetUp | CopyGrade::NoKey | CopyGrade::Never => {
                format!("{tested} nothing could be compared from the second store alone.")
            }
            CopyGrade::Failed => format!(
                "{tested} the backup of {point} did not come back from the second store alone as the device had it."
            ),
            CopyGrade::Unknown => format!("{whole} Nobody can say whether that still holds: {}.", self.unknown()),
            CopyGrade::OutOfDate => format!("{whole} That no longer counts: {}. {DRILL}", self.ended(test, now, when)),
            CopyGrade::Verified => {
                format!(
                    "{tested} the backup of {point} was read from the second store alone; it has no list of files to compare."
                )
            }
            CopyGrade::Partial => format!("{whole} Too many were not compared for a proof."),
            CopyGrade::Behind => format!("{whole} Newer backups were not tested from there. {DRILL}"),
            CopyGrade::Proven => whole,
        }
    }

    fn unknown(&self) -> String {
        self.now.refusal().unwrap_or_else(|| "a clock was, or is, wrong".to_owned())
    }

    fn ended(&self, test: &CopyTest, now: Time, when: &dyn Fn(Time) -> String) -> String {
        if let Some(at) = test.withdrawn_at {
            return format!("something of it was found missing or changed in the second store on {}", when(at));
        }
        if let Some(at) = test.key_retired_at {
            return format!("the recovery key {} was retired on {}", test.key, when(at));
        }
        if test.is_ended {
            return "the restore point that was tested is kept no longer".to_owned();
        }
        if self.now.id.as_deref() != Some(&test.store) {
            return "another store has taken its place since".to_owned();
        }
        match test.until {
            Some(until) if until <= now => format!("it counted until {}", when(until)),
            Some(_) | None => "it showed no proof".to_owned(),
        }
    }
}

/// What makes such a proof.
pub const DRILL: &str = "Three people with shares prove it: holdfast dr prove.";

/// How all devices stand together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyProofs {
    /// The devices that have a backup.
    pub devices: i64,
    /// Those of them whose newest restore point is proven from the second copy.
    pub proven: i64,
    /// Those of which an older one is.
    pub behind: i64,
    pub failed: i64,
    /// When a test with shares last ended, of any device.
    pub last_at: Option<Time>,
    /// Those with a backup whose key the customer keeps: they are among none of the others.
    pub customers: i64,
}

impl CopyProofs {
    /// Takes one device into account.
    pub fn add(&mut self, proof: &CopyProof<'_>, now: Time) {
        if proof.key_holder == KeyHolder::Customer {
            self.customers += 1;
            return;
        }
        self.devices += 1;
        match proof.grade(now) {
            CopyGrade::Proven => self.proven += 1,
            CopyGrade::Behind => self.behind += 1,
            CopyGrade::Failed => self.failed += 1,
            CopyGrade::NotSetUp
            | CopyGrade::NoKey
            | CopyGrade::Never
            | CopyGrade::Unknown
            | CopyGrade::OutOfDate
            | CopyGrade::Verified
            | CopyGrade::Partial => {}
        }
        self.last_at = self.last_at.max(proof.test.as_ref().map(|it| it.tested_at));
    }

    /// Whether shares are to be asked for: something is not proven from the second copy, or no longer.
    pub fn is_due(&self) -> bool {
        self.devices > self.proven + self.behind
    }

    /// All of it in words; `when` writes a time.
    pub fn sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let apart = devices_left_out(self.customers);
        // Shares are not asked for where they open nothing.
        let own = (self.devices > 0 || apart.is_none()).then(|| self.own_sentence(now, when));
        [own, apart].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn own_sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let Some(last) = self.last_at else {
            return format!("No backup was ever restored from the second store alone with recovery shares. {DRILL}");
        };
        let said = format!(
            "Restored from the second store alone, with recovery shares, for the last time on {}: {} of {} proven so",
            when(last),
            number(self.proven + self.behind),
            counted(self.devices, "device is", "devices are"),
        );
        let behind = match self.behind {
            0 => String::new(),
            count => format!(", {} with an older backup than the newest", number(count)),
        };
        let failed = match self.failed {
            0 => String::new(),
            count => format!(" The test of {} failed.", counted(count, "device", "devices")),
        };
        let due = if is_ahead(last, now) || self.is_due() { format!(" {DRILL}") } else { String::new() };
        format!("{said}{behind}.{failed}{due}")
    }
}
