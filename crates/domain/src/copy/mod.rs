//! The second copy: on which store it is, how far it is behind, and what that means, in words.
//!
//! What pages, exports and mails say about the second copy is only here. A copy that was stored is not a copy that was
//! restored: none of these sentences calls anything proven, and none is shown in green.
use crate::failure_domain::StoreKind;
use crate::ground::{Away, AwayCause, UNSEEN};
use crate::text::text_enum;
use crate::time::{Time, hours};
use crate::words::{capital, counted, span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub mod lock;

#[cfg(test)]
mod tests;

/// How long it counts that the second store was found. A server that runs looks again within a minute, and after failures
/// within minutes.
pub const SEEN_HOLDS: Duration = hours(1);

/// People are told once something has waited for so long.
pub const LATE: Duration = hours(24);

/// The second store, as the server was started with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondStore {
    pub kind: StoreKind,
    /// A path, or a bucket's address.
    pub place: String,
    /// Where it stands, as whoever runs it says; empty for a spare store of which nobody said.
    pub location: String,
    /// Who could take it away, in words.
    pub administration: String,
    /// What one event could take together with the backup store, in words; empty if a copy there counts as a second
    /// one.
    pub shares: Vec<String>,
    /// Whether it keeps what is overwritten, as a bucket with versions does; none if that is not known.
    pub versions: Option<bool>,
    /// When it was first found to be the right store, since this server started with it; none until then.
    pub opened_at: Option<Time>,
}

impl SecondStore {
    /// Whether a copy there counts as a second one.
    pub fn counts(&self) -> bool {
        self.shares.is_empty()
    }

    /// How far it is as a whole, and what is wrong with it: `waiting` objects are not there, the oldest for `lag`, and
    /// `failed` is what last went wrong, and when. `away_since`: since when nobody can look, so that all of it is of then.
    pub fn sentences(
        &self,
        (waiting, lag): (i64, Option<Duration>),
        away_since: Option<String>,
        failed: Option<(&str, String)>,
    ) -> Vec<String> {
        let mut said = vec![match (lag, away_since) {
            (Some(lag), _) if waiting > 0 => format!(
                "It is {} behind: {} to be copied.",
                span(lag),
                counted(waiting, "object waits", "objects wait")
            ),
            (_, Some(since)) => {
                format!(
                    "Everything had been copied when it was last seen, before {since}. Nobody can say what it has now."
                )
            }
            (_, None) => "Everything in the backup store was copied.".to_owned(),
        }];
        if !self.counts() {
            said.push(format!("It counts as no second copy: {}.", self.shares.join("; ")));
        }
        if let Some((why, at)) = failed {
            said.push(format!("An object could not be copied on {at}: {why}. It is tried again."));
        }
        said
    }

    /// That nobody knows whether it is there, because it was not looked at for too long; `seen_at` is when it was last found
    /// to be the right store. None while that is not long ago, and before it was found for the first time.
    pub fn unseen(&self, seen_at: Option<Time>, now: Time) -> Option<Away> {
        let opened_at = self.opened_at?;
        // A time that lies ahead comes from a clock that was wrong, and shows nothing.
        let is_fresh = |at: Time| at <= now + SEEN_HOLDS && now < at + SEEN_HOLDS;
        let holds = is_fresh(opened_at) || seen_at.is_some_and(is_fresh);
        let since = seen_at.map_or(opened_at, |it| it.max(opened_at));
        let why = format!("nobody has looked at it since {}", since.iso());
        (!holds).then_some(Away { cause: AwayCause::Unseen, why, since })
    }

    /// Its name in a sentence.
    fn name(&self) -> String {
        let name = if self.counts() { "the second store" } else { "the spare store" };
        if self.location.is_empty() { name.to_owned() } else { format!("{name} ({})", self.location) }
    }
}

/// What somebody should look at, in a few words: it is `away`, something `failed` to be copied, or that is `late`, as found.
/// None if nothing; `when` writes a time.
pub fn worry(
    away: Option<&Away>,
    failed: Option<(&str, Time)>,
    late: Option<Time>,
    when: &dyn Fn(Time) -> String,
) -> Option<String> {
    match (away, failed, late) {
        (Some(away), ..) => Some(format!("The second store cannot be used since {}: {}", when(away.since), away.why)),
        (None, Some((why, at)), _) => Some(format!("Copying to the second store failed on {}: {why}", when(at))),
        (None, None, Some(since)) => Some(format!("Copying to the second store is late, as found on {}", when(since))),
        (None, None, None) => None,
    }
}

/// What the person who runs the server does about a second store that is away.
pub const fn advice(kind: StoreKind, cause: AwayCause) -> &'static str {
    match (kind, cause) {
        (StoreKind::Folder, cause) => cause.advice(),
        (StoreKind::Bucket | StoreKind::Puller, AwayCause::Unseen) => UNSEEN,
        (StoreKind::Bucket, AwayCause::Away) => {
            "Check the bucket’s name and that its marker is there; the server notices within minutes."
        }
        (StoreKind::Bucket, AwayCause::Foreign) => {
            "Restart the server with the right bucket as --copy, or with --new-copy=STORE, as --copy names it, to begin \
             this one anew."
        }
        (StoreKind::Bucket, AwayCause::Unreadable) => {
            "Give the server’s access key the rights to get, put and list there again; the server notices within \
             minutes."
        }
        (StoreKind::Bucket, AwayCause::Silent) => {
            "Check the network connection to it, and its provider; the server notices when it answers."
        }
        (StoreKind::Puller, AwayCause::Away) => {
            "On the other machine, check that the disk of its folder is mounted; the server notices when it is."
        }
        (StoreKind::Puller, AwayCause::Foreign) => {
            "On the other machine, start `holdfast pull` with the folder of this console, or with --adopt to begin this one \
             anew."
        }
        (StoreKind::Puller, AwayCause::Unreadable) => {
            "On the other machine, look at what `holdfast pull` says, and at its disk; the server notices when it works."
        }
        (StoreKind::Puller, AwayCause::Silent) => {
            "On the other machine, check that `holdfast pull` runs, with a token that was not revoked, and reaches this \
             server; the server notices when it asks."
        }
    }
}

text_enum! {
    /// How a device's backups stand in the second store.
    CopyStanding {
        /// There is no second store.
        NotSetUp = "not_set_up",
        /// Nobody knows: the second store is away, or was not reached since the server started.
        Unknown = "unknown",
        /// There is nothing to copy yet.
        Nothing = "nothing",
        /// No restore point is complete there.
        Missing = "missing",
        /// An older restore point is complete there.
        Behind = "behind",
        /// Everything is there.
        Complete = "complete",
    }
}

/// What is known of a device's backups in the second store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyFacts {
    /// None if there is no second store.
    pub store: Option<SecondStore>,
    /// Since when it cannot be used.
    pub away: Option<Away>,
    /// Objects that are not there yet, or are damaged there.
    pub waiting: i64,
    /// When the oldest of them was received.
    pub waiting_since: Option<Time>,
    /// Those of them that are damaged in the backup store too, so that nothing can be copied.
    pub damaged: i64,
    /// The newest restore point in the backup store.
    pub newest: Option<Time>,
    /// The newest restore point of which the second store has everything: its recovery point.
    pub point: Option<Time>,
}

impl CopyFacts {
    /// How the device stands.
    pub fn standing(&self) -> CopyStanding {
        match (&self.store, self.newest, self.point) {
            (None, ..) => CopyStanding::NotSetUp,
            (Some(store), ..) if self.away.is_some() || store.opened_at.is_none() => CopyStanding::Unknown,
            (Some(_), None, _) => CopyStanding::Nothing,
            (Some(_), Some(_), None) => CopyStanding::Missing,
            (Some(_), Some(_), Some(_)) if self.waiting == 0 => CopyStanding::Complete,
            (Some(_), Some(_), Some(_)) => CopyStanding::Behind,
        }
    }

    /// How far it is behind at `now`: the age of the oldest object that is not there.
    pub fn lag(&self, now: Time) -> Option<Duration> {
        self.store.as_ref()?;
        self.waiting_since.map(|it| now.since(it))
    }

    /// All of it in words; `when` writes a time.
    pub fn sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let Some(store) = &self.store else { return NOT_SET_UP.to_owned() };
        let mut said = self.begin(store, now, when);
        if self.damaged > 0 {
            let what = counted(self.damaged, "object is", "objects are");
            said.push_str(&format!(" {what} damaged in the backup store too, and cannot be copied."));
        }
        if !store.counts() {
            said.push_str(&format!(" It counts as no second copy: {}.", store.shares.join("; ")));
        }
        said
    }

    fn begin(&self, store: &SecondStore, now: Time, when: &dyn Fn(Time) -> String) -> String {
        let name = store.name();
        match self.standing() {
            CopyStanding::NotSetUp => NOT_SET_UP.to_owned(),
            CopyStanding::Nothing => "There is no backup to copy yet.".to_owned(),
            CopyStanding::Unknown => {
                let since = match &self.away {
                    Some(away) => {
                        format!("{} cannot be used since {}: {}.", capital(&name), when(away.since), away.why)
                    }
                    None => format!("{} was not reached since the server started.", capital(&name)),
                };
                let had = match self.point {
                    Some(point) => format!("what was copied before reached up to the backup of {}", when(point)),
                    None => "no backup was complete there before".to_owned(),
                };
                format!("{since} Nobody can say what it has now; {had}.")
            }
            CopyStanding::Missing => {
                format!("{} has no complete backup of this device yet; {}.", capital(&name), self.waits(when))
            }
            CopyStanding::Behind => {
                let point = self.point.map(when).unwrap_or_default();
                let behind = span(self.lag(now).unwrap_or_default());
                format!("{} is {behind} behind: it has everything up to the backup of {point}; {}.", capital(&name), {
                    self.waits(when)
                })
            }
            CopyStanding::Complete => {
                let point = self.point.map(when).unwrap_or_default();
                format!("{} has everything, up to the backup of {point}.", capital(&name))
            }
        }
    }

    fn waits(&self, when: &dyn Fn(Time) -> String) -> String {
        let count = counted(self.waiting, "object waits", "objects wait");
        match self.waiting_since {
            Some(since) => format!("{count} since {}", when(since)),
            None => count,
        }
    }
}

/// What a page says if there is no second store.
pub const NOT_SET_UP: &str = "There is no second store: what takes the backup store takes every backup with it.";
