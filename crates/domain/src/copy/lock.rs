//! Whether anybody could delete what the second store has: what its bucket was found to allow, in words.
//!
//! Only what was asked and tried counts. What nobody could ask is unknown, and so is what was asked long ago.
use crate::copy::SecondStore;
use crate::failure_domain::StoreKind;
use crate::text::text_enum;
use crate::time::{Time, days, hours};
use crate::words::{counted, span};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often the bucket is asked.
pub const LOOK_EVERY: Duration = days(1);

/// How long an answer holds: one day may pass without one.
pub const HOLDS_FOR: Duration = days(2);

/// What is said of it while nobody can look.
pub const CANNOT_LOOK: &str = "Nobody can say whether anybody deleted something there: it cannot be looked at.";

/// A lock that ends sooner than this is made longer, while the object is needed.
pub const EXTEND_BELOW: Duration = days(14);

/// How a bucket locks each new version of an object by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockRule {
    /// Not at all.
    Off,
    /// Whoever has the right to may lift it.
    Governance { days: u32 },
    /// Nobody may lift it before its time.
    Compliance { days: u32 },
}

impl LockRule {
    /// Reads what a bucket says, such as `COMPLIANCE 30 days`; off if it says nothing. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let Some(mode) = words.next() else { return Some(Self::Off) };
        let count: u32 = words.next()?.parse().ok()?;
        let days = match words.next()? {
            "days" => count,
            "years" => count.checked_mul(365)?,
            _ => return None,
        };
        match mode {
            "COMPLIANCE" if days > 0 => Some(Self::Compliance { days }),
            "GOVERNANCE" if days > 0 => Some(Self::Governance { days }),
            _ => None,
        }
    }

    /// S3's word for it; none if nothing is locked.
    pub const fn mode(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Governance { .. } => Some("GOVERNANCE"),
            Self::Compliance { .. } => Some("COMPLIANCE"),
        }
    }

    /// How long what is put now is locked.
    pub const fn period(self) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Governance { days: count } | Self::Compliance { days: count } => Some(days(count as u64)),
        }
    }

    /// A lock that ends sooner than in this time is made longer: half the period, where that is shorter than 14 days.
    pub fn extends_below(self) -> Option<Duration> {
        self.period().map(|it| EXTEND_BELOW.min(it / 2))
    }

    /// Locks that end before this are made longer.
    pub fn due_before(self, now: Time) -> Option<Time> {
        self.extends_below().map(|it| now + it)
    }
}

/// What the bucket of the second store was found to allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    pub looked_at: Time,
    /// Whether it keeps what is overwritten and deleted; none if it did not say.
    pub versions: Option<bool>,
    /// None if it did not say.
    pub rule: Option<LockRule>,
    /// What it said last, by which locks are made longer even if it does not say it now.
    pub last_rule: Option<LockRule>,
    /// Whether the server could delete something that it had just put there; none if that was not tried.
    pub deleted: Option<bool>,
    /// What could not be found out, and what to do about it; empty if nothing.
    pub untold: String,
}

text_enum! {
    /// Whether anybody could delete what the second store has.
    ProtectionStanding {
        /// Nobody can, for a while.
        Immutable = "immutable",
        /// Somebody can.
        Deletable = "deletable",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

impl Protection {
    /// Whether it is too old to say anything. A clock that was set back makes nothing newer.
    fn is_old(&self, now: Time) -> bool {
        now < self.looked_at || self.looked_at + HOLDS_FOR <= now
    }

    /// Why somebody can delete what is there, and what to do; none if that is not known.
    fn weakness(&self) -> Option<&'static str> {
        match (self.deleted, self.versions, self.rule) {
            (Some(true), ..) => Some(
                "Anyone with the server’s credentials can delete it: the server tried, and could. Take the right to \
                 delete from its access key, and turn on object lock for the bucket, with a default retention in \
                 compliance mode.",
            ),
            (_, Some(false), _) => Some(
                "Anyone with the server’s credentials can overwrite it: the bucket keeps no versions. Turn on \
                 versioning and object lock for it, with a default retention in compliance mode.",
            ),
            (_, _, Some(LockRule::Off)) => Some(
                "Whoever administers the bucket can delete it: nothing there is locked. Turn on object lock for the \
                 bucket, with a default retention in compliance mode of at least 30 days.",
            ),
            (_, _, Some(LockRule::Governance { .. })) => Some(
                "Whoever administers the bucket can delete it: its locks are in governance mode, which the right to \
                 bypass lifts. Change its default retention to compliance mode.",
            ),
            (Some(false) | None, Some(true) | None, Some(LockRule::Compliance { .. }) | None) => None,
        }
    }

    /// Whether anybody could delete what is there.
    pub fn standing(&self, now: Time) -> ProtectionStanding {
        if self.weakness().is_some() {
            // No time makes that better.
            return ProtectionStanding::Deletable;
        }
        match (self.deleted, self.versions, self.rule) {
            (Some(false), Some(true), Some(LockRule::Compliance { .. })) if !self.is_old(now) => {
                ProtectionStanding::Immutable
            }
            _ => ProtectionStanding::Unknown,
        }
    }

    /// `least` is for how long each object there is locked at least; none if nobody knows.
    fn sentence(&self, least: Option<Duration>, now: Time, when: &dyn Fn(Time) -> String) -> String {
        if let Some(weakness) = self.weakness() {
            return format!("{weakness} That was so on {}.", when(self.looked_at));
        }
        match (self.standing(now), self.rule, least) {
            (ProtectionStanding::Immutable, _, None) => {
                "What comes new is locked in compliance mode. Nobody can say yet whether everything is that was there \
                 before: not all of it was gone through within two days."
                    .to_owned()
            }
            (ProtectionStanding::Immutable, Some(LockRule::Compliance { days }), Some(least)) => format!(
                "Nobody can delete what is there for at least {}; what comes new, for {}. Each version is locked in \
                 compliance mode, and the server tried to delete one on {} and could not.",
                span(least),
                counted(i64::from(days), "day", "days"),
                when(self.looked_at)
            ),
            _ if !self.untold.is_empty() => format!("Nobody can say whether it can be deleted: {}.", self.untold),
            _ => format!(
                "Nobody can say whether it can be deleted: the bucket was last asked on {}.",
                when(self.looked_at)
            ),
        }
    }
}

/// What is known of the locks of the single objects. What the bucket does with new ones says nothing of those that were
/// there before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locks {
    /// When the server last began to go through all objects and came to the end: each had its lock, of the mode that the
    /// bucket has now.
    pub complete_at: Option<Time>,
    /// Why locks could not be made longer or holds not be mirrored, and since when.
    pub failed: Option<(String, Time)>,
}

impl Locks {
    fn hold(&self, now: Time) -> bool {
        self.failed.is_none() && self.complete_at.is_some_and(|at| at <= now && now < at + HOLDS_FOR)
    }

    /// For how long each object is locked at least, in whole days, or hours if it is less than two days: what was gone
    /// through had its lock made longer if it ended soon, and time has passed since. None if nobody knows, or for none.
    fn least(&self, rule: Option<LockRule>, now: Time) -> Option<Duration> {
        let gone = now.since(self.complete_at.filter(|_| self.hold(now))?);
        let left = rule?.extends_below()?.checked_sub(gone)?;
        let unit = if left < days(2) { hours(1) } else { days(1) };
        let whole = left.as_secs() / unit.as_secs() * unit.as_secs();
        (whole > 0).then_some(Duration::from_secs(whole))
    }
}

/// Whether anybody could delete what a second store has; unknown if nobody has looked.
pub fn standing(store: &SecondStore, found: Option<&Protection>, locks: &Locks, now: Time) -> ProtectionStanding {
    let least = locks.least(found.and_then(|it| it.rule), now);
    match (store.kind, found.map(|it| it.standing(now))) {
        (StoreKind::Folder | StoreKind::Puller, _) => ProtectionStanding::Deletable,
        (StoreKind::Bucket, Some(ProtectionStanding::Immutable)) if least.is_none() => ProtectionStanding::Unknown,
        (StoreKind::Bucket, Some(found)) => found,
        (StoreKind::Bucket, None) => ProtectionStanding::Unknown,
    }
}

/// The same in words; `when` writes a time.
pub fn sentences(
    store: &SecondStore,
    found: Option<&Protection>,
    locks: &Locks,
    now: Time,
    when: &dyn Fn(Time) -> String,
) -> Vec<String> {
    let mut said = vec![match (store.kind, found) {
        (StoreKind::Folder, _) => {
            "Whoever gets hold of this server, or of the machine that has the folder, can delete \
                                   what is there: only a bucket can be locked."
                .to_owned()
        }
        (StoreKind::Puller, _) => {
            "Nobody who gets hold of this server can delete what the other Holdfast keeps; whoever administers its \
             machine can."
                .to_owned()
        }
        (StoreKind::Bucket, Some(found)) => found.sentence(locks.least(found.rule, now), now, when),
        (StoreKind::Bucket, None) => {
            "Nobody can say whether it can be deleted: the bucket was not asked yet.".to_owned()
        }
    }];
    said.extend(locks.failed.as_ref().map(|(why, at)| {
        let at = when(*at);
        format!("Since {at} locks are not made longer and legal holds are not put on there: {why}.")
    }));
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn good() -> Protection {
        let rule = Some(LockRule::Compliance { days: 30 });
        Protection {
            looked_at: NOW - hours(2),
            versions: Some(true),
            rule,
            last_rule: rule,
            deleted: Some(false),
            untold: String::new(),
        }
    }

    #[test]
    fn what_a_bucket_says_is_read_and_nothing_else_is_a_rule() {
        for (text, rule) in [
            ("", Some(LockRule::Off)),
            ("COMPLIANCE 30 days", Some(LockRule::Compliance { days: 30 })),
            ("GOVERNANCE 2 years", Some(LockRule::Governance { days: 730 })),
            ("COMPLIANCE 0 days", None),
            ("COMPLIANCE -1 days", None),
            ("COMPLIANCE 4294967295 years", None),
            ("COMPLIANCE 3 weeks", None),
            ("COMPLIANCE", None),
            ("OTHER 3 days", None),
        ] {
            assert_eq!(LockRule::parse(text), rule, "{text}");
        }
    }

    #[test]
    fn a_bucket_that_locks_what_comes_new_is_not_immutable_before_all_that_is_there_was_gone_through() {
        let store = SecondStore {
            kind: StoreKind::Bucket,
            place: "s3://copies".to_owned(),
            location: "Genève".to_owned(),
            administration: "somebody".to_owned(),
            shares: Vec::new(),
            versions: None,
            opened_at: Some(NOW),
        };
        let locks = Locks { complete_at: Some(NOW - hours(3)), failed: None };
        let said = |locks: &Locks, now| {
            let text = sentences(&store, Some(&good()), locks, now, &Time::iso).join(" ");
            let standing = standing(&store, Some(&good()), locks, now);
            assert_eq!(
                text.contains("Nobody can delete what is there for at least"),
                standing == ProtectionStanding::Immutable,
                "{text}"
            );
            standing
        };
        assert_eq!(said(&locks, NOW), ProtectionStanding::Immutable);
        for other in [
            Locks::default(),
            Locks { complete_at: Some(NOW - HOLDS_FOR), ..locks.clone() },
            Locks { complete_at: Some(NOW + hours(1)), ..locks.clone() },
            Locks { failed: Some(("forbidden".to_owned(), NOW)), ..locks.clone() },
        ] {
            assert_eq!(said(&other, NOW), ProtectionStanding::Unknown, "{other:?}");
        }
    }

    #[test]
    fn only_what_was_asked_and_tried_lately_is_immutable() {
        assert_eq!(good().standing(NOW), ProtectionStanding::Immutable);
        let off = Some(LockRule::Off);
        let governance = Some(LockRule::Governance { days: 30 });
        for (other, standing) in [
            (Protection { versions: Some(false), ..good() }, ProtectionStanding::Deletable),
            (Protection { deleted: Some(true), ..good() }, ProtectionStanding::Deletable),
            (Protection { rule: off, ..good() }, ProtectionStanding::Deletable),
            (Protection { rule: governance, ..good() }, ProtectionStanding::Deletable),
            (Protection { rule: off, looked_at: NOW - days(99), ..good() }, ProtectionStanding::Deletable),
            (Protection { versions: None, ..good() }, ProtectionStanding::Unknown),
            (Protection { deleted: None, ..good() }, ProtectionStanding::Unknown),
            (Protection { rule: None, ..good() }, ProtectionStanding::Unknown),
            (Protection { looked_at: NOW - HOLDS_FOR, ..good() }, ProtectionStanding::Unknown),
            (Protection { looked_at: NOW + hours(1), ..good() }, ProtectionStanding::Unknown),
        ] {
            assert_eq!(other.standing(NOW), standing, "{other:?}");
            assert!(!other.sentence(Some(days(13)), NOW, &Time::iso).contains("Nobody can delete"), "{other:?}");
        }
    }

    #[test]
    fn each_state_is_one_sentence() {
        let said = |it: &Protection| it.sentence(Some(days(13)), NOW, &Time::iso);
        assert_eq!(
            said(&good()),
            "Nobody can delete what is there for at least 13 days; what comes new, for 30 days. Each version is locked in \
             compliance mode, and the server tried to delete one on 2026-11-22T12:06:11Z and could not."
        );
        let untold = "the access key may not ask: grant s3:GetBucketVersioning".to_owned();
        assert_eq!(
            said(&Protection { versions: None, untold, ..good() }),
            "Nobody can say whether it can be deleted: the access key may not ask: grant s3:GetBucketVersioning."
        );
        assert!(said(&Protection { looked_at: NOW - days(9), ..good() }).contains("last asked on 2026-11-13"));
        assert!(
            said(&Protection { deleted: Some(true), ..good() }).starts_with("Anyone with the server’s credentials")
        );
    }

    #[test]
    fn what_is_locked_for_at_least_so_long_is_counted_from_when_it_was_gone_through() {
        let least = |period: u32, gone| {
            let locks = Locks { complete_at: Some(NOW - gone), failed: None };
            locks.least(Some(LockRule::Compliance { days: period }), NOW)
        };
        assert_eq!(least(30, hours(0)), Some(days(14)));
        assert_eq!(least(30, hours(3)), Some(days(13)));
        assert_eq!(least(30, hours(47)), Some(days(12)));
        assert_eq!(least(2, hours(3)), Some(hours(21)));
        assert_eq!((least(1, hours(12)), least(1, hours(30)), least(30, days(2))), (None, None, None));
        assert_eq!(Locks::default().least(Some(LockRule::Compliance { days: 30 }), NOW), None);
    }

    #[test]
    fn locks_are_made_longer_before_the_last_14_days_or_the_last_half() {
        let before = |days| LockRule::Compliance { days }.due_before(NOW);
        assert_eq!((before(30), before(365)), (Some(NOW + days(14)), Some(NOW + days(14))));
        assert_eq!((before(1), LockRule::Off.due_before(NOW)), (Some(NOW + hours(12)), None));
    }
}
