//! "If we lost…": what one event takes, and what would be left of each device's backups.
//!
//! The device itself is not what is lost here: it goes on having its files. What is asked is what could be brought back for
//! it afterwards, from what is left. Unknown is never safe: what nobody has restored from what is left is "cannot say".
use crate::copy_proof::CopyGrade;
use crate::key_holder::{KeyHolder, LOST};
use crate::proof::{Evidence, Grade};
use crate::text::text_enum;
use crate::time::Time;
use std::time::Duration;

mod tally;
#[cfg(test)]
mod tests;

pub use tally::Tally;

text_enum! {
    /// One thing that may be lost.
    Event {
        /// The place of the backup store, and with it this server and its key.
        Location = "location",
        BackupStore = "backup_store",
        /// The place of the second store.
        CopyLocation = "copy_location",
        SecondStore = "second_store",
        /// The bucket, its credentials or its provider.
        CloudAccount = "cloud_account",
        ProofKey = "proof_key",
        TeamKeys = "team_keys",
        RecoveryKey = "recovery_key",
        /// Of the teams whose keys the customer keeps.
        CustomerKey = "customer_key",
    }
}

text_enum! {
    /// What would become of a device's backups; worst first.
    Fate {
        LosesAll = "lose_all",
        LosesRecent = "at_risk",
        CannotSay = "cannot_say",
        ComesBack = "restorable",
    }
}

impl Fate {
    /// The words above the number.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LosesAll => "Would lose everything",
            Self::LosesRecent => "Would lose recent work",
            Self::CannotSay => "Cannot say",
            Self::ComesBack => "Proven to come back",
        }
    }
}

text_enum! {
    /// Why a device has its fate.
    Reason {
        NoBackup = "no_backup",
        NoSecondStore = "no_second_store",
        NotCopied = "not_copied",
        CopyBehind = "copy_behind",
        NoKeyLeft = "no_key_left",
        SharesOld = "shares_old",
        StoreAway = "store_away",
        CopyAway = "copy_away",
        TestFailed = "test_failed",
        NotProven = "not_proven",
        CopyNotProven = "copy_not_proven",
        RecordUnknown = "record_unknown",
        StateUnknown = "state_unknown",
        CustomerKeeps = "customer_keeps",
        CustomerLost = "customer_lost",
        Proven = "proven",
        CopyProven = "copy_proven",
    }
}

impl Reason {
    /// What is known, in words.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NoBackup => "No backup was ever received",
            Self::NoSecondStore => "No second copy",
            Self::NotCopied => "The second store has no complete backup of it",
            Self::CopyBehind => "The second store is behind",
            Self::NoKeyLeft => "Nothing that is left opens its backups",
            Self::SharesOld => "Nobody knows whether the recovery shares can still be read",
            Self::StoreAway => "The backup store cannot be read now",
            Self::CopyAway => "The second store cannot be used now",
            Self::TestFailed => "The last restore test failed",
            Self::NotProven => "Its newest backup is not proven",
            Self::RecordUnknown => "Nobody knows whether the second store alone has what the shares open it with",
            Self::StateUnknown => {
                "The customer keeps its key, and nobody knows whether the second store has a state of the console that tells \
                 whose its backups are"
            }
            Self::CustomerKeeps => "The customer keeps its key: nobody here can prove a restore",
            Self::CustomerLost => "Only the customer’s key opens its backups",
            Self::CopyNotProven => "Copied, but its newest backup was never restored from there alone with shares",
            Self::Proven => "Restored and compared, from the backup store",
            Self::CopyProven => "Restored and compared, from the second store alone",
        }
    }

    /// What to do next; none if nothing has to be done.
    pub const fn step(self) -> Option<(&'static str, Where)> {
        match self {
            Self::NoBackup => Some(("Start first backup", Where::Device)),
            Self::NoSecondStore => Some(("Set up a second store", Where::Stores)),
            Self::NotCopied | Self::CopyBehind => Some(("See what waits to be copied", Where::Stores)),
            Self::NoKeyLeft => Some(("Make a recovery key", Where::Keys)),
            Self::SharesOld => Some(("Type three shares back", Where::Keys)),
            Self::RecordUnknown => Some(("See its escrow records", Where::Stores)),
            Self::StateUnknown => Some(("See the copy of the console", Where::Stores)),
            Self::StoreAway | Self::CopyAway => Some(("See what is away", Where::Stores)),
            Self::TestFailed => Some(("See what failed", Where::Device)),
            Self::NotProven => Some(("Back up and prove", Where::Device)),
            Self::CopyNotProven => Some(("Ask for shares: holdfast dr prove", Where::Stores)),
            // Only the customer can do something, and not here.
            Self::CustomerKeeps | Self::CustomerLost | Self::Proven | Self::CopyProven => None,
        }
    }
}

/// On which page something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    Device,
    Stores,
    Keys,
}

/// What affects all devices alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Means {
    /// Where the backup store stands; empty if nobody said.
    pub location: String,
    /// The second store's location and kind; none if there is none, or it counts as none.
    pub second: Option<Second>,
    /// Whether a store stands beside the first that fails with it: whatever takes one takes both.
    pub has_spare: bool,
    /// Whether a copy of the proof key was checked within a year.
    pub has_key_copy: bool,
    /// Whether there is a recovery key whose shares were typed back, and when that is not long ago.
    pub shares: Shares,
    /// Whether the customer keeps the key of any team.
    pub has_customers: bool,
}

/// The second store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Second {
    pub location: String,
    pub is_bucket: bool,
    pub place: String,
    /// Whether it can be used now.
    pub is_there: bool,
}

/// Whether recovery shares can be relied on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shares {
    /// None were ever typed back.
    #[default]
    Never,
    Old,
    Good,
}

/// What is known of one device's backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backups {
    pub evidence: Evidence,
    /// The newest point of which the second store has everything.
    pub copied: Option<Time>,
    /// The proof from the second store alone: up to when.
    pub copy: Option<(CopyGrade, Option<Time>)>,
    /// Whether each of its repositories has a record that a confirmed recovery key opens.
    pub is_by_shares: bool,
    /// Whether the second store alone has these records, beside the repositories or in a state of the console that is
    /// proven, as far as anybody can know now. Where the customer keeps the key there are none, and only a state counts.
    pub is_by_copy: bool,
}

/// What an event takes.
#[derive(Debug, Clone, Copy, Default)]
struct Takes {
    primary: bool,
    second: bool,
    /// The server's key, with every copy of it that is not elsewhere.
    proof_key: bool,
    team_keys: bool,
    recovery_key: bool,
    customer_key: bool,
}

impl Event {
    /// The events that can happen here, as the Overview lists them.
    pub fn all(means: &Means) -> Vec<Self> {
        let has = |it: &Self| match it {
            Self::CopyLocation | Self::SecondStore => means.second.is_some(),
            Self::CloudAccount => means.second.as_ref().is_some_and(|it| it.is_bucket),
            Self::RecoveryKey => means.shares != Shares::Never,
            Self::CustomerKey => means.has_customers,
            Self::Location | Self::BackupStore | Self::ProofKey | Self::TeamKeys => true,
        };
        Self::ALL.iter().copied().filter(has).collect()
    }

    /// What is lost, wherever no name of a place is known.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Location => "The location of the backup store",
            Self::BackupStore => "The backup store",
            Self::CopyLocation => "The location of the second store",
            Self::SecondStore => "The second store",
            Self::CloudAccount => "The cloud account",
            Self::ProofKey => "The proof key",
            Self::TeamKeys => "The team keys",
            Self::RecoveryKey => "The recovery key",
            Self::CustomerKey => "A customer’s key",
        }
    }

    /// What is lost, after "If we lost".
    pub fn name(self, means: &Means) -> String {
        let second = |of: fn(&Second) -> &str| means.second.as_ref().map(of).unwrap_or_default().to_owned();
        match self {
            Self::Location if means.location.is_empty() => "the location of this server and its store".to_owned(),
            Self::Location => format!("{}, with this server and its store", means.location),
            Self::BackupStore if means.has_spare => "the backup store, and the spare store with it".to_owned(),
            Self::BackupStore => "the backup store".to_owned(),
            Self::CopyLocation => format!("{}, with the second store", second(|it| &it.location)),
            Self::SecondStore => "the second store".to_owned(),
            Self::CloudAccount => format!("the cloud account of {}", second(|it| &it.place)),
            Self::ProofKey => "the server’s proof key".to_owned(),
            Self::TeamKeys => "the team keys in the database".to_owned(),
            Self::RecoveryKey => "the recovery key and its shares".to_owned(),
            Self::CustomerKey => "the keys that customers keep".to_owned(),
        }
    }

    /// What the numbers mean for this event, if they do not speak for themselves.
    pub fn note(self, means: &Means) -> Option<&'static str> {
        match self {
            Self::Location if means.second.is_none() => Some("Nothing is left then: there is no second copy."),
            Self::Location => Some("What is left then is the second store and the recovery shares."),
            Self::CustomerKey => Some(LOST),
            Self::TeamKeys => Some("A copy of the proof key does not help: the shares do."),
            Self::BackupStore
            | Self::CopyLocation
            | Self::SecondStore
            | Self::CloudAccount
            | Self::ProofKey
            | Self::RecoveryKey => None,
        }
    }

    const fn takes(self) -> Takes {
        let nothing = Takes {
            primary: false,
            second: false,
            proof_key: false,
            team_keys: false,
            recovery_key: false,
            customer_key: false,
        };
        match self {
            // The database burns too; what the second store has of it opens with shares alone.
            Self::Location => Takes { primary: true, proof_key: true, team_keys: true, ..nothing },
            Self::BackupStore => Takes { primary: true, ..nothing },
            Self::CopyLocation | Self::SecondStore | Self::CloudAccount => Takes { second: true, ..nothing },
            Self::ProofKey => Takes { proof_key: true, ..nothing },
            Self::TeamKeys => Takes { team_keys: true, ..nothing },
            Self::RecoveryKey => Takes { recovery_key: true, ..nothing },
            Self::CustomerKey => Takes { customer_key: true, ..nothing },
        }
    }

    /// What would become of a device's backups.
    pub fn outcome(self, means: &Means, device: &Backups, now: Time) -> Outcome {
        let takes = self.takes();
        let Some(newest) = device.evidence.stored_at else { return Outcome::of(Fate::LosesAll, Reason::NoBackup) };
        if let Some(closed) = closed(takes, means, device) {
            return closed;
        }
        let first = (!takes.primary).then(|| from_primary(device, newest, now));
        let second = (!takes.second).then(|| from_second(means, device, newest));
        let best = [first, second].into_iter().flatten().max_by_key(|it| it.fate.rank());
        let best = best.unwrap_or(Outcome::of(Fate::LosesAll, Reason::NoSecondStore));
        // The records in the database are gone with it.
        if best.fate != Fate::LosesAll && takes.primary && takes.team_keys && !device.is_by_copy {
            let reason = match device.evidence.key_holder {
                KeyHolder::Server => Reason::RecordUnknown,
                // No record tells of it, so only a state does.
                KeyHolder::Customer => Reason::StateUnknown,
            };
            return Outcome::of(Fate::CannotSay, reason);
        }
        best
    }
}

/// What somebody with one administrator's account could erase, whoever they are. A rule, and no number: `guard` has it.
pub const ONE_ADMINISTRATOR: &str = "It erases no backup: wipes, keeping less and lifting a hold take a second person, and a \
     new account’s word counts after 72 hours, of which everyone who manages people is told.";

impl Fate {
    const fn rank(self) -> u8 {
        match self {
            Self::LosesAll => 0,
            Self::LosesRecent => 1,
            Self::CannotSay => 2,
            Self::ComesBack => 3,
        }
    }
}

/// Why nothing opens the backups afterwards, or nobody knows whether anything does; none if something does.
fn closed(takes: Takes, means: &Means, device: &Backups) -> Option<Outcome> {
    if device.evidence.key_holder == KeyHolder::Customer {
        return takes.customer_key.then_some(Outcome::of(Fate::LosesAll, Reason::CustomerLost));
    }
    let by_copy = takes.proof_key && !takes.primary && !takes.team_keys && means.has_key_copy;
    let needs_shares = (takes.proof_key || takes.team_keys) && !by_copy;
    if !needs_shares {
        return None;
    }
    if takes.recovery_key || !device.is_by_shares {
        return Some(Outcome::of(Fate::LosesAll, Reason::NoKeyLeft));
    }
    match means.shares {
        Shares::Never => Some(Outcome::of(Fate::LosesAll, Reason::NoKeyLeft)),
        Shares::Old => Some(Outcome::of(Fate::CannotSay, Reason::SharesOld)),
        Shares::Good => None,
    }
}

fn from_primary(device: &Backups, newest: Time, now: Time) -> Outcome {
    let evidence = &device.evidence;
    match evidence.grade(now) {
        Grade::Proven if evidence.proven.is_some_and(|it| it.point_at >= newest) => {
            Outcome::of(Fate::ComesBack, Reason::Proven)
        }
        Grade::Failed => Outcome::of(Fate::CannotSay, Reason::TestFailed),
        Grade::Unknown if evidence.store_away_since.is_some() => Outcome::of(Fate::CannotSay, Reason::StoreAway),
        Grade::Proven
        | Grade::Unknown
        | Grade::Never
        | Grade::Reported
        | Grade::Stored
        | Grade::OutOfDate
        | Grade::Verified
        | Grade::Partial => Outcome::of(Fate::CannotSay, not_proven(evidence, Reason::NotProven)),
    }
}

/// Why there is no proof: where the customer keeps the key, there can be none.
const fn not_proven(evidence: &Evidence, otherwise: Reason) -> Reason {
    match evidence.key_holder {
        KeyHolder::Customer => Reason::CustomerKeeps,
        KeyHolder::Server => otherwise,
    }
}

fn from_second(means: &Means, device: &Backups, newest: Time) -> Outcome {
    let Some(second) = &means.second else { return Outcome::of(Fate::LosesAll, Reason::NoSecondStore) };
    if !second.is_there {
        return Outcome::of(Fate::CannotSay, Reason::CopyAway);
    }
    let Some(copied) = device.copied else { return Outcome::of(Fate::LosesAll, Reason::NotCopied) };
    if copied < newest {
        let recent = Some(newest.since(copied));
        return Outcome { recent, ..Outcome::of(Fate::LosesRecent, Reason::CopyBehind) };
    }
    match device.copy.filter(|_| device.evidence.key_holder == KeyHolder::Server) {
        Some((CopyGrade::Failed, _)) => Outcome::of(Fate::CannotSay, Reason::TestFailed),
        Some((grade, Some(at))) if grade.holds() && at >= newest => Outcome::of(Fate::ComesBack, Reason::CopyProven),
        Some(_) | None => Outcome::of(Fate::CannotSay, not_proven(&device.evidence, Reason::CopyNotProven)),
    }
}

/// What would become of one device's backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub fate: Fate,
    pub reason: Reason,
    /// How much time's work would be lost; only where recent work would.
    pub recent: Option<Duration>,
}

impl Outcome {
    const fn of(fate: Fate, reason: Reason) -> Self {
        Self { fate, reason, recent: None }
    }
}
