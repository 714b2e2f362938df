//! What stops all of it, for one device.
use super::WINDOW;
use crate::key_holder::KeyHolder;
use crate::time::{Time, hours};
use crate::words::number;
use std::time::Duration;

/// Nothing ends for this long after a start, a restore of the console or a jump of its clock.
pub const QUIET: Duration = hours(72);

/// If more of a device's bytes than this would go at once, nothing does.
pub const MOST_PERCENT: u8 = 30;

/// Whether the second copy has a device's newest point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecondCopy {
    /// There is no second store, so nothing waits for it.
    #[default]
    NotConfigured,
    Complete,
    Behind,
}

/// What is known when something of a device is about to end. Each fact that could not be read is the worse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The device's newest stored point was read back and is intact.
    pub is_newest_verified: bool,
    pub second_copy: SecondCopy,
    /// Something unusual about the device's backups was reported and nobody has looked at it.
    pub has_anomaly: bool,
    /// The store cannot be read, or accepts no writes.
    pub is_store_away: bool,
    /// An object that this repository needs is damaged.
    pub is_damaged: bool,
    pub is_frozen: bool,
    pub key_holder: KeyHolder,
    /// A backup, a restore test or a restore of the repository is under way.
    pub is_in_use: bool,
    /// Since when the server runs, is restored and its clock has not jumped, whichever is latest.
    pub steady_since: Time,
    /// When what had ended was last put back.
    pub put_back_at: Option<Time>,
    /// What the repository holds.
    pub stored_bytes: i64,
    /// What of that would go; zero while that is not known.
    pub ending_bytes: i64,
}

/// Why nothing of a device ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brake {
    NotVerified,
    NotCopied,
    Anomaly,
    StoreAway,
    Damaged,
    Frozen,
    InUse,
    /// Until then.
    Quiet(Time),
    /// What had ended was put back: until then.
    PutBack(Time),
    /// How many percent of its bytes would go.
    TooMuch(u8),
    /// A kept point cannot be walked, so nobody can say what it needs.
    CannotWalk,
    /// The customer keeps the key.
    NoKey,
}

impl Brake {
    /// Why, as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::NotVerified => "Its newest backup has not been read back yet.".to_owned(),
            Self::NotCopied => "The second copy does not have its newest backup yet.".to_owned(),
            Self::Anomaly => {
                "Something unusual about its backups was reported; look at it and lift that hold first.".to_owned()
            }
            Self::StoreAway => "The backup store cannot be read, or accepts no writes.".to_owned(),
            Self::Damaged => "Something it stored is damaged.".to_owned(),
            Self::Frozen => "Everything that erases is frozen.".to_owned(),
            Self::InUse => "A backup, a restore test or a restore of it is under way.".to_owned(),
            Self::Quiet(until) => format!(
                "Nothing ends for 72 hours after a start, a restore or a clock that jumped: until {}.",
                until.iso()
            ),
            Self::PutBack(until) => {
                format!("What had ended was put back; nothing ends again until {}.", until.iso())
            }
            Self::TooMuch(percent) => {
                format!("{} % of what it stored would go at once; at most {MOST_PERCENT} % may.", number(*percent))
            }
            Self::CannotWalk => {
                "A restore point that is kept cannot be read as a whole, so nobody can say what it needs.".to_owned()
            }
            Self::NoKey => "The customer keeps the key, so nobody here can say which data its restore points share: \
                            nothing of it ends."
                .to_owned(),
        }
    }
}

/// Several of them, one sentence after the other.
pub fn sentences(found: &[Brake]) -> String {
    found.iter().map(Brake::sentence).collect::<Vec<_>>().join(" ")
}

/// Everything that stops restore points of a device from ending; empty if nothing does.
pub fn brakes(facts: &Facts, now: Time) -> Vec<Brake> {
    let too_much = percent(facts.ending_bytes, facts.stored_bytes);
    let mut found = erase_brakes(facts, now);
    let again_at = facts.put_back_at.map(|it| it + WINDOW);
    found.extend(again_at.filter(|it| now < *it).map(Brake::PutBack));
    for (applies, brake) in [
        (!facts.is_newest_verified, Brake::NotVerified),
        (facts.second_copy == SecondCopy::Behind, Brake::NotCopied),
        (too_much > MOST_PERCENT, Brake::TooMuch(too_much)),
    ] {
        if applies {
            found.push(brake);
        }
    }
    found
}

/// What stops what is already in the trash from being erased.
pub fn erase_brakes(facts: &Facts, now: Time) -> Vec<Brake> {
    let quiet_until = facts.steady_since + QUIET;
    [
        (facts.is_store_away, Brake::StoreAway),
        (facts.is_damaged, Brake::Damaged),
        (facts.is_frozen, Brake::Frozen),
        (facts.key_holder == KeyHolder::Customer, Brake::NoKey),
        // What is in the trash may be the last that is good.
        (facts.has_anomaly, Brake::Anomaly),
        // A client that slept since before they ended relies on packs that its old index names: what it sends is tested
        // first, and a failed test puts everything back.
        (facts.is_in_use, Brake::InUse),
        // A time before the start is one of another clock.
        (now < quiet_until, Brake::Quiet(quiet_until)),
    ]
    .into_iter()
    .filter(|it| it.0)
    .map(|it| it.1)
    .collect()
}

/// How many percent `part` is of `whole`, rounded up; all of it if there is no whole.
fn percent(part: i64, whole: i64) -> u8 {
    if part <= 0 {
        return 0;
    }
    if whole <= 0 {
        return 100;
    }
    let of = (i128::from(part) * 100 + i128::from(whole) - 1) / i128::from(whole);
    u8::try_from(of.min(100)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::days;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn free() -> Facts {
        Facts {
            is_newest_verified: true,
            second_copy: SecondCopy::NotConfigured,
            has_anomaly: false,
            is_store_away: false,
            is_damaged: false,
            is_frozen: false,
            key_holder: KeyHolder::Server,
            is_in_use: false,
            steady_since: NOW - days(30),
            put_back_at: None,
            stored_bytes: 1_000,
            ending_bytes: 300,
        }
    }

    #[test]
    fn each_brake_stops_by_itself() {
        assert_eq!(brakes(&free(), NOW), []);
        assert_eq!(brakes(&Facts { second_copy: SecondCopy::Complete, ..free() }, NOW), []);
        assert_eq!(brakes(&Facts { put_back_at: Some(NOW - WINDOW), ..free() }, NOW), []);
        let until = NOW + hours(1);
        for (facts, expected) in [
            (Facts { is_newest_verified: false, ..free() }, Brake::NotVerified),
            (Facts { second_copy: SecondCopy::Behind, ..free() }, Brake::NotCopied),
            (Facts { has_anomaly: true, ..free() }, Brake::Anomaly),
            (Facts { is_store_away: true, ..free() }, Brake::StoreAway),
            (Facts { is_damaged: true, ..free() }, Brake::Damaged),
            (Facts { key_holder: KeyHolder::Customer, ..free() }, Brake::NoKey),
            (Facts { is_frozen: true, ..free() }, Brake::Frozen),
            (Facts { is_in_use: true, ..free() }, Brake::InUse),
            (Facts { steady_since: until - QUIET, ..free() }, Brake::Quiet(until)),
            (Facts { put_back_at: Some(NOW), ..free() }, Brake::PutBack(NOW + WINDOW)),
            (Facts { ending_bytes: 301, ..free() }, Brake::TooMuch(31)),
            (Facts { ending_bytes: 1, stored_bytes: 0, ..free() }, Brake::TooMuch(100)),
        ] {
            assert_eq!(brakes(&facts, NOW), [expected]);
            let words = expected.sentence();
            assert!(words.ends_with('.') && words.len() > 20, "{words}");
        }
    }

    #[test]
    fn d8_nothing_goes_for_72_hours_after_a_start_a_restore_or_a_jump() {
        for steady_since in [NOW, NOW - hours(71), NOW + days(400)] {
            let facts = Facts { steady_since, ..free() };
            let quiet = [Brake::Quiet(steady_since + QUIET)];
            assert_eq!((&brakes(&facts, NOW)[..], &erase_brakes(&facts, NOW)[..]), (&quiet[..], &quiet[..]));
        }
        assert_eq!(brakes(&Facts { steady_since: NOW - QUIET, ..free() }, NOW), []);
    }

    #[test]
    fn what_is_in_the_trash_waits_for_the_ground_for_anomalies_and_for_whoever_uses_it() {
        let facts = Facts { is_newest_verified: false, ending_bytes: 1_000, second_copy: SecondCopy::Behind, ..free() };
        assert_eq!(erase_brakes(&facts, NOW), []);
        assert_eq!(brakes(&facts, NOW).len(), 3);
        assert_eq!(erase_brakes(&Facts { is_in_use: true, ..facts }, NOW), [Brake::InUse]);
    }
}
