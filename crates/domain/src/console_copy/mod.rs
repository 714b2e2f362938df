//! The console's own state: how far the copy of it on the second store reaches, and how far that copy is proven.
//!
//! What pages, exports and mails say about it is only here. What was kept is not what was restored: only a state that
//! was brought back from the second store and compared is called proven, and that holds for a day.
use crate::copy::SecondStore;
use crate::ground::Away;
use crate::text::text_enum;
use crate::time::{Time, hours, minutes};
use crate::words::{counted, span};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How often the state is kept: what happened since is what the loss of this server would take.
pub const EVERY: Duration = minutes(1);

/// How late a copy may be before that is said.
pub const LATE: Duration = minutes(5);

/// How late a dump may be that others make, once a day: two hours more than that.
pub const DUMP_LATE: Duration = hours(26);

/// How often it is restored and compared.
pub const TEST_EVERY: Duration = hours(6);

/// How long such a test holds.
pub const HOLDS: Duration = hours(24);

/// Whose key opens a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The server's own key file.
    Root,
    /// The people who keep the shares of the recovery key.
    Recovery,
}

/// A holder's key, derived from what the holder has, so that it need not be kept there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderKey {
    pub holder: Holder,
    /// The public half of the pair it was derived from.
    pub public: String,
    /// 32 bytes in base64. `Debug` leaves it out.
    pub key: String,
}

impl fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolderKey").field("holder", &self.holder).field("public", &self.public).finish_non_exhaustive()
    }
}

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Keeping the state on the second store.
    Keep,
    /// Restoring it from there.
    Test,
}

/// A state that the second store has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which one it is: each has the next number.
    pub sequence: i64,
    /// What was committed until then is in it.
    pub taken_at: Time,
    /// Whether the people who hold the recovery shares could open it; otherwise only the server's own key can.
    pub by_shares: bool,
}

/// A state that was restored from the second store and compared with what was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateProof {
    pub sequence: i64,
    pub taken_at: Time,
    pub tested_at: Time,
    /// How many rows of the tables that are counted came back.
    pub rows: i64,
}

impl StateProof {
    /// Until when it holds.
    pub fn until(&self) -> Time {
        self.tested_at + HOLDS
    }
}

/// What is known of the copy of the console's own state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleCopy {
    /// None if there is no second store.
    pub store: Option<SecondStore>,
    /// Since when it is this one.
    pub store_since: Option<Time>,
    /// Since when the second store cannot be used.
    pub away: Option<Away>,
    /// Whether the database is a server's of its own, whose copies are made outside of this program.
    pub is_external: bool,
    pub kept: Option<Kept>,
    pub proof: Option<StateProof>,
    /// Why it could last not be kept, or did not come back as it was, and when; none since it did.
    pub failed: Option<(String, Time)>,
}

text_enum! {
    /// How the console's own state stands.
    ConsoleStanding {
        /// There is no second store.
        NotSetUp = "not_set_up",
        /// Nothing is kept yet.
        Never = "never",
        /// It is kept, and was never restored.
        Kept = "kept",
        /// It was restored and compared, within a day.
        Proven = "proven",
        /// It was restored and compared once, and that no longer holds.
        OutOfDate = "out_of_date",
        /// It could not be kept, or did not come back as it was.
        Failed = "failed",
    }
}

/// Whether `since` is longer ago than `most`, or so far ahead that a clock was wrong.
fn is_overdue(since: Time, most: Duration, now: Time) -> bool {
    now.since(since) > most || since > now + most
}

impl ConsoleCopy {
    /// How it stands at `now`.
    pub fn standing(&self, now: Time) -> ConsoleStanding {
        let holds = |it: &StateProof| now < it.until() && it.tested_at <= now;
        match (&self.store, &self.kept, &self.proof) {
            (None, ..) => ConsoleStanding::NotSetUp,
            _ if self.failed.is_some() => ConsoleStanding::Failed,
            (Some(_), None, _) => ConsoleStanding::Never,
            (Some(_), Some(_), None) => ConsoleStanding::Kept,
            // A store that cannot be used now, or that falls with the first, proves nothing.
            (Some(store), Some(_), Some(proof)) if holds(proof) && self.away.is_none() && store.counts() => {
                ConsoleStanding::Proven
            }
            (Some(_), Some(_), Some(_)) => ConsoleStanding::OutOfDate,
        }
    }

    /// Whether a person has to do something.
    pub fn is_wrong(&self, now: Time) -> bool {
        match self.standing(now) {
            ConsoleStanding::Failed | ConsoleStanding::OutOfDate => true,
            ConsoleStanding::Kept | ConsoleStanding::Proven => self.is_late(now),
            ConsoleStanding::Never => self.no_dump(now).is_some(),
            ConsoleStanding::NotSetUp => false,
        }
    }

    /// Whether what is kept is older than it may be.
    fn is_late(&self, now: Time) -> bool {
        // A dump is made by others, and rarely.
        let most = if self.is_external { DUMP_LATE } else { LATE };
        self.kept.as_ref().is_some_and(|it| is_overdue(it.taken_at, most, now))
    }

    /// Since when no dump came that should have; none if one came in time, or nobody has to hand any over.
    pub fn no_dump(&self, now: Time) -> Option<Time> {
        self.store.as_ref().filter(|_| self.is_external)?;
        let since = self.kept.as_ref().map(|it| it.taken_at).or(self.store_since)?;
        is_overdue(since, DUMP_LATE, now).then_some(since)
    }

    /// How far the copy is behind at `now`.
    pub fn lag(&self, now: Time) -> Option<Duration> {
        self.kept.as_ref().map(|it| now.since(it.taken_at))
    }

    /// All of it in words; `when` writes a time.
    pub fn sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let said = self.begin(now, when);
        match (&self.kept, &self.store) {
            (Some(_), Some(store)) if !store.counts() => {
                format!("{said} It counts as no second copy: {}.", store.shares.join("; "))
            }
            (Some(kept), Some(_)) if !kept.by_shares => format!("{said} {ONLY_ROOT_KEY}"),
            _ => said,
        }
    }

    fn begin(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let reach = self.reach(now, when);
        let tested = |it: &StateProof| {
            format!("restored on {} and compared, {}", when(it.tested_at), counted(it.rows, "row", "rows"))
        };
        match (self.standing(now), &self.proof) {
            (ConsoleStanding::NotSetUp, _) => NOT_SET_UP.to_owned(),
            (ConsoleStanding::Never, _) if self.is_external => NO_DUMP.to_owned(),
            (ConsoleStanding::Never, _) => "Its state is not on the second store yet.".to_owned(),
            (ConsoleStanding::Failed, _) => {
                let (why, at) = self.failed.as_ref().map_or(("", now), |it| (it.0.as_str(), it.1));
                format!("Its copy on the second store failed on {}: {why}. {reach}", when(at))
            }
            (ConsoleStanding::Proven, Some(proof)) => {
                format!("Proven back to {}: {}. {reach}", when(proof.taken_at), tested(proof))
            }
            (ConsoleStanding::OutOfDate, Some(proof)) if self.away.is_some() => {
                format!("Nobody can say: the second store cannot be used. Its state was last {}.", tested(proof))
            }
            (ConsoleStanding::OutOfDate, Some(proof)) => {
                format!("Not proven any more: it was last {}. {reach}", tested(proof))
            }
            (ConsoleStanding::Kept, _) if self.is_external => format!("{UNTESTED_DUMP} {reach}"),
            (ConsoleStanding::Kept | ConsoleStanding::Proven | ConsoleStanding::OutOfDate, _) => {
                format!("Never restored from the second store. {reach}")
            }
        }
    }

    fn reach(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let Some(kept) = &self.kept else { return "Nothing of it is kept there.".to_owned() };
        let behind = now.since(kept.taken_at);
        let reach = format!("The second store has it up to {}", when(kept.taken_at));
        if self.is_late(now) {
            let behind = if self.is_external { hours(behind.as_secs() / 3600) } else { behind };
            format!("{reach}, {} behind.", span(behind))
        } else {
            format!("{reach}.")
        }
    }
}

/// What is said without a second store.
pub const NOT_SET_UP: &str = "There is no second store: what takes this server takes its database with it, and with that the way to every backup.";

/// What is said on PostgreSQL before the first dump.
const NO_DUMP: &str = "No dump of the PostgreSQL database was handed over yet: run pg_dump on a schedule, and hand each \
                       one over with holdfast dr keep.";

/// What is said of a dump: this program does not load it.
const UNTESTED_DUMP: &str = "Nobody has tested whether the last dump of the PostgreSQL database can be loaded.";

/// What is said while no recovery shares open it.
const ONLY_ROOT_KEY: &str = "Only this server’s own key file opens it: make a recovery key, whose shares people keep.";
