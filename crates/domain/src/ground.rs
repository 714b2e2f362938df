//! What the server depends on: the backup store, and the disks below it, below the database and below the second store.
//!
//! The words about a store that is away or accepts no backups are only here: pages, mails, `/health` and
//! refusals all say the same.
use crate::text::text_enum;
use crate::time::{Time, hours, minutes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

text_enum! {
    /// Why the backup store cannot be read.
    AwayCause {
        /// Its folder or the marker in it is missing: a disk that is not mounted, or a folder that was emptied.
        Away = "away",
        /// The folder carries the marker of another server or database.
        Foreign = "foreign",
        /// The folder is there, but the system does not allow reading it.
        Unreadable = "unreadable",
        /// It does not answer at all.
        Silent = "silent",
        /// Nobody has looked at it for too long.
        Unseen = "unseen",
    }
}

/// What somebody does about a store that nobody looks at.
pub const UNSEEN: &str =
    "See that the server runs, and that the disk of its database is not read-only: then it looks again by itself.";

impl AwayCause {
    /// What the person who runs the server does about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Away => "Mount its disk, or put the folder back where it was; the server notices within seconds.",
            Self::Foreign => "Mount the right disk there, or restart the server with the right folder as --blobs.",
            Self::Unreadable => {
                "Give the server’s account access to this folder again, or check the disk; the server notices within \
                 seconds."
            }
            Self::Silent => "Check the disk, or the network connection to it; the server notices when it answers.",
            Self::Unseen => UNSEEN,
        }
    }
}

text_enum! {
    /// Why no new backup can be stored.
    StopCause {
        /// The disk could not keep what was written: nothing is accepted until a restart.
        Sync = "sync",
        Full = "full",
        ReadOnly = "read_only",
        /// The system refuses writes for another reason.
        Refused = "refused",
    }
}

impl StopCause {
    /// What the person who runs the server does about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Sync => "Check the disk, then restart the server; until then it accepts no backups.",
            Self::Full => {
                "Enlarge the disk, or keep less under Settings, Retention, which works while it is full; backups \
                 continue by themselves once there is room. Delete nothing below the server."
            }
            Self::ReadOnly => {
                "What is stored can be read and restored. Find out why the disk is read-only, then mount it writable."
            }
            Self::Refused => "Give the server’s account write access there, or check the disk.",
        }
    }
}

/// The store cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Away {
    pub cause: AwayCause,
    /// What was found, such as "/srv/blobs is not there".
    pub why: String,
    pub since: Time,
}

/// The store accepts no new backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    pub cause: StopCause,
    pub why: String,
    pub since: Time,
}

/// The state of the backup store, the database and the way to the mail server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    pub away: Option<Away>,
    pub stopped: Option<Stopped>,
    pub database: Option<Trouble>,
    pub mail: Option<Undelivered>,
}

/// No mail is accepted any more, so nobody hears of anything else by mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// When the mail was made that has waited longest.
    pub since: Time,
    /// What the mail server said.
    pub why: String,
}

impl Undelivered {
    /// How long a mail waits before this is said: a mail server may be restarted.
    pub const AFTER: Duration = minutes(15);
}

/// Something is wrong with the database, or nobody can say that it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub since: Time,
    pub why: String,
    /// A check found it; otherwise none was possible for too long.
    pub is_damage: bool,
}

impl Trouble {
    /// What is the matter, as the bar and the mail begin.
    pub const fn headline(&self) -> &'static str {
        if self.is_damage { "The database is damaged" } else { "The database could not be checked" }
    }

    /// What the person who runs the server does about it.
    pub const fn advice(&self) -> &'static str {
        if self.is_damage {
            "Stop the server, keep the damaged file, and restore the database from its last good copy. Until then, \
             wipe and reset nothing because of what these pages say."
        } else {
            "Make room for a copy on its disk; it is then checked within the hour."
        }
    }
}

/// What checks of copies of the database found: one a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseCheck {
    /// When a copy was last checked to its end.
    pub checked_at: Option<Time>,
    /// When that was last tried.
    pub tried_at: Option<Time>,
    /// Whether the last try came to no end.
    #[serde(default)]
    pub is_hindered: bool,
    pub trouble: Option<Trouble>,
}

impl DatabaseCheck {
    /// Whether the next one is due, also when the clock was set back.
    pub fn is_due(&self, now: Time) -> bool {
        let wait = hours(if self.is_hindered { 1 } else { 24 });
        self.tried_at.is_none_or(|at| now >= at + wait || now < at)
    }

    /// What is known after a check: what it found, or why there was none. A check that was not possible ends no
    /// damage, and is itself trouble after two days.
    #[must_use]
    pub fn after(&self, found: Result<Vec<String>, String>, now: Time) -> Self {
        let since = |is_damage| match &self.trouble {
            Some(before) if before.is_damage == is_damage => before.since,
            Some(_) | None => now,
        };
        let damage = self.trouble.clone().filter(|it| it.is_damage);
        match found {
            Ok(faults) => Self {
                checked_at: Some(now),
                tried_at: Some(now),
                is_hindered: false,
                trouble: faults.first().map(|first| Trouble {
                    since: since(true),
                    why: match faults.len() - 1 {
                        0 => first.clone(),
                        more => format!("{first} (and {more} more)"),
                    },
                    is_damage: true,
                }),
            },
            Err(why) => {
                // Where none has succeeded yet it counts from the first try.
                let checked_at = self.checked_at.or(self.tried_at).unwrap_or(now);
                let is_late = now >= checked_at + hours(48);
                let late = is_late.then(|| Trouble { since: since(false), why, is_damage: false });
                Self { checked_at: Some(checked_at), tried_at: Some(now), is_hindered: true, trouble: damage.or(late) }
            }
        }
    }
}

impl Away {
    /// Why a wipe does not go ahead.
    pub fn refusal(&self) -> String {
        format!(
            "the backup store has been unreadable since {}, so nobody can say what would be lost: {}. No wipe goes \
             ahead until it can be read again",
            self.since.iso(),
            self.why
        )
    }
}

text_enum! {
    /// One of the disks below the server.
    Disk { Database = "database", Backups = "backups", Copy = "copy" }
}

impl Disk {
    /// Its name on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Database => "Database",
            Self::Backups => "Backups",
            Self::Copy => "Second store",
        }
    }
}

/// How much room a disk had at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub at: Time,
    pub free_bytes: i64,
    pub total_bytes: i64,
}

text_enum! {
    /// How close a disk is to being full.
    Alarm {
        None = "none",
        /// A tenth of the space or four weeks are left: room that a shorter retention frees comes after three.
        Low = "low",
        /// A thirtieth of the space or a day is left.
        VeryLow = "very_low",
    }
}

/// A disk's room, and its trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub disk: Disk,
    pub now: Sample,
    /// When it will be full at the current rate; none if it is not filling, or if that is not known yet.
    pub full_at: Option<Time>,
}

/// A trend is computed from samples at least this far apart.
const LEAST_SPAN_MILLIS: i64 = 6 * 3_600_000;
const DAY_MILLIS: i64 = 86_400_000;

impl Room {
    /// The room of a disk from its samples, the newest last; none without any.
    pub fn of(disk: Disk, samples: &[Sample]) -> Option<Self> {
        let (first, now) = (samples.first()?, *samples.last()?);
        let span = now.at.millis() - first.at.millis();
        let taken = first.free_bytes - now.free_bytes;
        let same_disk = first.total_bytes == now.total_bytes;
        let full_at = (same_disk && span >= LEAST_SPAN_MILLIS && taken > 0).then(|| {
            let left = i128::from(now.free_bytes) * i128::from(span) / i128::from(taken);
            // A year and a century mean the same here: not soon.
            let left = i64::try_from(left.min(i128::from(3650 * DAY_MILLIS))).unwrap_or(i64::MAX);
            Time::from_millis(now.at.millis().saturating_add(left))
        });
        Some(Self { disk, now, full_at })
    }

    /// How close it is to being full.
    pub fn alarm(&self) -> Alarm {
        let Sample { at, free_bytes, total_bytes } = self.now;
        let left = self.full_at.map_or(i64::MAX, |it| it.millis() - at.millis());
        if free_bytes <= total_bytes / 30 || left <= DAY_MILLIS {
            Alarm::VeryLow
        } else if free_bytes <= total_bytes / 10 || left <= 28 * DAY_MILLIS {
            Alarm::Low
        } else {
            Alarm::None
        }
    }

    /// "full in about 12 days at this rate"; empty if it is not filling.
    pub fn trend(&self) -> String {
        let Some(full_at) = self.full_at else { return String::new() };
        let days = (full_at.millis() - self.now.at.millis()) / DAY_MILLIS;
        match days {
            0 => "full within a day at this rate".to_owned(),
            1 => "full in about a day at this rate".to_owned(),
            365.. => "not full within a year at this rate".to_owned(),
            days => format!("full in about {days} days at this rate"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days;

    const NOW: Time = Time::from_millis(1_795_356_371_000);
    const GB: i64 = 1_000_000_000;

    fn room(before: i64, now: i64) -> Room {
        let sample = |at, free| Sample { at, free_bytes: free * GB, total_bytes: 1000 * GB };
        Room::of(Disk::Backups, &[sample(NOW - days(2), before), sample(NOW, now)]).unwrap()
    }

    #[test]
    fn a_disk_that_fills_says_when_it_is_full() {
        let filling = room(500, 400);
        assert_eq!(filling.full_at, Some(NOW + days(8)));
        assert_eq!(filling.trend(), "full in about 8 days at this rate");
        assert_eq!((room(400, 400).full_at, room(400, 500).full_at), (None, None));
        assert_eq!(Room::of(Disk::Backups, &[]), None);
    }

    #[test]
    fn two_readings_within_an_hour_are_not_a_trend() {
        let sample = |at, free_bytes| Sample { at, free_bytes, total_bytes: GB };
        let room = Room::of(Disk::Backups, &[sample(NOW - hours(1), GB), sample(NOW, GB / 2)]).unwrap();
        assert_eq!(room.full_at, None);
    }

    #[test]
    fn little_room_and_little_time_are_both_alarms() {
        for (before, now, alarm) in [
            (500, 500, Alarm::None),
            (400, 100, Alarm::VeryLow),
            (100, 100, Alarm::Low),
            (33, 33, Alarm::VeryLow),
            (530, 500, Alarm::None),
            (600, 500, Alarm::Low),
        ] {
            assert_eq!(room(before, now).alarm(), alarm, "{before} to {now}");
        }
    }

    #[test]
    fn six_hours_are_the_least_for_a_trend() {
        let sample = |at, free_bytes| Sample { at, free_bytes, total_bytes: GB };
        let since = |at| Room::of(Disk::Backups, &[sample(at, GB), sample(NOW, GB / 2)]).unwrap().full_at;
        assert_eq!(since(NOW - hours(6)), Some(NOW + hours(6)));
        assert_eq!(since(NOW - hours(6) + Duration::from_millis(1)), None);
    }

    #[test]
    fn a_wipe_that_waits_for_the_store_says_since_when_and_why() {
        let away = Away { cause: AwayCause::Away, why: "/srv/blobs is not there".to_owned(), since: NOW };
        let said = away.refusal();
        assert!(said.contains(&NOW.iso()) && said.contains("/srv/blobs is not there"), "{said}");
    }

    #[test]
    fn damage_stands_until_a_check_finds_none_and_no_check_for_two_days_is_trouble() {
        let whole = DatabaseCheck::default().after(Ok(vec![]), NOW);
        assert!(DatabaseCheck::default().is_due(NOW) && whole.trouble.is_none());
        assert!(!whole.is_due(NOW + hours(23)) && whole.is_due(NOW + hours(24)));
        assert!(whole.is_due(NOW - hours(1)), "the clock was set back");

        let damaged = whole.after(Ok(vec!["page 7".to_owned(), "page 8".to_owned()]), NOW + days(1));
        let trouble = damaged.trouble.clone().unwrap();
        assert_eq!((trouble.since, trouble.is_damage), (NOW + days(1), true));
        assert_eq!(trouble.why, "page 7 (and 1 more)");
        let hindered = damaged.after(Err("no room".to_owned()), NOW + days(5));
        assert_eq!(hindered.trouble, damaged.trouble, "it is still damaged");
        assert!(hindered.is_due(NOW + days(5) + hours(1)), "it is tried again soon");
        assert_eq!(hindered.after(Ok(vec![]), NOW + days(6)).trouble, None);

        let early = whole.after(Err("no room".to_owned()), NOW + hours(47));
        assert_eq!(early.trouble, None);
        let late = early.after(Err("no room".to_owned()), NOW + hours(48)).trouble.unwrap();
        assert_eq!((late.why.as_str(), late.is_damage), ("no room", false));
        let never = DatabaseCheck::default().after(Err("no room".to_owned()), NOW);
        assert_eq!(never.trouble, None);
        assert!(never.after(Err("no room".to_owned()), NOW + hours(48)).trouble.is_some());
    }
}
