//! A store that lost something or cannot be relied on: what happened, what stands still, whose device may hold the last
//! copy, and what ends it.
//!
//! An incident is nothing that somebody opens or closes: it is what the facts say at the moment. So it begins and ends
//! with them, and nobody can end it by a click. What its page and the API say is only here; what stands still comes from
//! the rules that hold it ([`crate::wipe::WipeStop`], [`crate::retention::brakes`]).
mod past;

pub use past::{Entry, Kind, Past, past};

use crate::copy::advice;
use crate::disaster::Reason;
use crate::failure_domain::StoreKind;
use crate::ground::{Away, Stopped};
use crate::time::Time;
use crate::words::{counted, sentence};

#[cfg(test)]
mod tests;

/// What is missing or changed in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    pub objects: i64,
    /// How many devices they belong to.
    pub devices: i64,
    /// When the oldest of it was found; none if that is not known.
    pub since: Option<Time>,
    /// Of how many devices something is intact in no store.
    pub lost: i64,
    /// Whether the other store cannot be read now, so that nobody can say what is intact there.
    pub is_other_away: bool,
}

/// What happened to a store, the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The backup store cannot be read.
    Away(Away),
    /// Something in it is missing or changed.
    Damaged(Damage),
    /// It takes no backups.
    Stopped(Stopped),
    /// The second store, of this kind, cannot be used.
    CopyAway(Away, StoreKind),
    /// Something in the second store is missing or changed.
    CopyDamaged(Damage),
}

impl Cause {
    /// Its name in the API.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Away(_) => "store_away",
            Self::Damaged(_) => "store_damaged",
            Self::Stopped(_) => "backups_stopped",
            Self::CopyAway(..) => "second_store_away",
            Self::CopyDamaged(_) => "second_store_damaged",
        }
    }

    /// What is the matter, in a few words.
    pub const fn headline(&self) -> &'static str {
        match self {
            Self::Away(_) => "The backup store cannot be read",
            Self::Damaged(_) => "The backup store is damaged",
            Self::Stopped(_) => "No backups can be stored",
            Self::CopyAway(..) => "The second store cannot be used",
            Self::CopyDamaged(_) => "The second store is damaged",
        }
    }

    /// Since when that is known.
    pub const fn since(&self) -> Option<Time> {
        match self {
            Self::Away(away) | Self::CopyAway(away, _) => Some(away.since),
            Self::Stopped(stopped) => Some(stopped.since),
            Self::Damaged(damage) | Self::CopyDamaged(damage) => damage.since,
        }
    }

    /// What was found, and what it means.
    pub fn what(&self) -> String {
        match self {
            Self::Away(away) => format!(
                "{} Until it can be read, nobody can say what would be lost, and no device counts as proven.",
                sentence(&away.why)
            ),
            Self::Stopped(stopped) => {
                format!("{} What was stored before can be read and restored.", sentence(&stopped.why))
            }
            Self::CopyAway(away, _) => {
                format!("{} Nobody can say what it has now, and nothing is copied.", sentence(&away.why))
            }
            Self::Damaged(damage) => format!("{} {}", damage.counted(), damage.left("the second store")),
            Self::CopyDamaged(damage) => format!("{} {}", damage.counted(), damage.left("the backup store")),
        }
    }

    /// What somebody does about it, or why nobody has to.
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Away(away) => away.cause.advice(),
            Self::Stopped(stopped) => stopped.cause.advice(),
            Self::CopyAway(away, kind) => advice(*kind, away.cause),
            Self::Damaged(damage) | Self::CopyDamaged(damage) if damage.lost > 0 => {
                "Have the devices below back up: each sends again whatever it still has. Then look at the store’s disk, \
                 and at the system’s log: what read wrong once may do so again."
            }
            Self::Damaged(damage) | Self::CopyDamaged(damage) if damage.is_other_away => {
                "Bring the other store back: what is intact there replaces it. Then look at this store’s disk, and at the \
                 system’s log: what read wrong once may do so again."
            }
            Self::Damaged(_) | Self::CopyDamaged(_) => {
                "Nothing for the data: it is replaced from the other store within minutes. Look at the store’s disk, and \
                 at the system’s log: what read wrong once may do so again."
            }
        }
    }

    /// What ends it. Nobody does.
    pub const fn end(&self) -> &'static str {
        match self {
            Self::Away(_) => {
                "It ends by itself once the server can read the store again; it looks every 5 seconds. What waited then \
                 goes on, and what was proven before is proven again."
            }
            Self::Stopped(_) => "It ends by itself once a trial write succeeds; the server tries every 5 seconds.",
            Self::CopyAway(..) => "It ends by itself once the server finds the right store there again.",
            Self::Damaged(_) => {
                "It ends by itself once everything is intact again, as read by the server: replaced from the second \
                 store, sent again by its device, or put back on the disk. What a later restore test did without counts \
                 no longer."
            }
            Self::CopyDamaged(_) => "It ends by itself once everything was copied again.",
        }
    }
}

impl Damage {
    fn counted(&self) -> String {
        let are = if self.objects == 1 { "is" } else { "are" };
        format!(
            "{} of {} {are} missing or changed.",
            counted(self.objects, "stored object", "stored objects"),
            counted(self.devices, "device", "devices")
        )
    }

    fn left(&self, other: &str) -> String {
        match self.lost {
            0 if self.is_other_away => format!("Nobody can say whether it is intact in {other}, which cannot be read."),
            0 => format!("All of it is intact in {other}."),
            lost => format!(
                "Of {} something is intact in no store: {} may hold the only copy.",
                counted(lost, "device", "devices"),
                if lost == 1 { "it" } else { "they" }
            ),
        }
    }
}

/// What people are told about devices that may hold the last copy.
pub const DO_NOT_RESET: &str = "Do not wipe, reset or re-enroll these devices: they may hold the only copy.";

/// What waits while an incident lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Wipes,
    /// Restore points that the rule about what is kept would end.
    Retention,
    /// What is in the trash and would be erased.
    Trash,
}

impl Act {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wipes => "wipes",
            Self::Retention => "retention",
            Self::Trash => "trash",
        }
    }

    const fn waits(self) -> &'static str {
        match self {
            Self::Wipes => "no device is wiped",
            Self::Retention => "no restore point ends",
            Self::Trash => "nothing in the trash is erased",
        }
    }

    const fn waits_for(self, one: bool) -> &'static str {
        match (self, one) {
            (Self::Wipes, true) => "a wipe of it is held until a second person accepts the loss",
            (Self::Wipes, false) => "a wipe of them is held until a second person accepts the loss",
            (Self::Retention, true) => "no restore point of it ends",
            (Self::Retention, false) => "no restore point of them ends",
            (Self::Trash, true) => "nothing of it in the trash is erased",
            (Self::Trash, false) => "nothing of them in the trash is erased",
        }
    }
}

/// Of which devices something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    All,
    /// Of so many.
    Devices(i64),
}

/// Something that stands still, and the rules' own reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Still {
    pub act: Act,
    pub extent: Extent,
    /// As sentences.
    pub why: Vec<String>,
}

impl Still {
    /// That what a rule stops for all, for its reasons, or else for `some` devices, for theirs; none if it stops nothing.
    pub fn of(act: Act, all: Vec<String>, (some, theirs): (i64, &str)) -> Option<Self> {
        if !all.is_empty() {
            return Some(Self { act, extent: Extent::All, why: all });
        }
        (some > 0).then(|| Self { act, extent: Extent::Devices(some), why: vec![sentence(theirs)] })
    }

    /// "No restore point ends.", "Of 3 devices no restore point of them ends."
    pub fn headline(&self) -> String {
        match self.extent {
            Extent::All => sentence(self.act.waits()),
            Extent::Devices(count) => {
                format!("{}: {}.", counted(count, "device", "devices"), self.act.waits_for(count == 1))
            }
        }
    }
}

/// Why a device may hold the last copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Risk {
    /// Something of its backups is intact in no store.
    Damaged,
    /// So it is, and the device backed up since; but the customer keeps the key, so nobody here can say that the new backup
    /// does without it.
    Closed,
    /// The backup store is away, and this is what the second one would give back.
    Away(Reason),
}

impl Risk {
    /// Why, as a sentence without its full stop.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Damaged => "Something of its backups is intact in no store",
            Self::Closed => {
                "Something of its backups is intact in no store; it backed up since, and the customer keeps the key: nobody \
                 here can say whether that backup does without"
            }
            Self::Away(reason) => reason.sentence(),
        }
    }

    /// The next step for a device that was asked to back up, or was not heard of on its schedule.
    pub const fn step(self, is_asked: bool, is_silent: bool) -> &'static str {
        match (self, is_asked, is_silent) {
            (_, _, true) => "Silent: call the person",
            (Self::Away(_), _, false) => "Keep it as it is until the store can be read",
            (Self::Closed, _, false) => "Enroll it again with its key file: a new repository is whole",
            (Self::Damaged, true, false) => "Asked to back up, waits for its check-in",
            (Self::Damaged, false, false) => "Have it back up",
        }
    }
}
