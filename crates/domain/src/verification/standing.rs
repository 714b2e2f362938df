//! What can be said of all bytes at a location, in one word.
use super::{Lag, Survey};
use crate::text::text_enum;
use crate::time::Time;

text_enum! {
    /// What can be said of all bytes at a location.
    Standing {
        /// It cannot be read, so nothing can be said.
        Away = "away",
        /// Some of them are missing or changed.
        Damaged = "damaged",
        /// Nobody reads them back.
        Off = "off",
        /// Nobody has counted or listed them for a day.
        Unknown = "unknown",
        /// Some came more than a day ago and were never read back.
        Late = "late",
        /// Some were not read back in the last 30 days.
        Partly = "partly",
        Empty = "empty",
        /// All but what came in the last day were read back in the last 30 days.
        Intact = "intact",
    }
}

/// What the standing depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub is_away: bool,
    pub is_off: bool,
    /// How many objects are known to be missing or changed.
    pub damaged: i64,
    pub lag: Lag,
    pub survey: Option<&'a Survey>,
}

impl Standing {
    /// The standing at `now`: the worst that is known, and intact only if nothing is missing.
    pub fn of(facts: &Facts<'_>, now: Time) -> Self {
        let Facts { is_away, is_off, damaged, lag, survey } = *facts;
        if is_away {
            return Self::Away;
        }
        if damaged > 0 {
            return Self::Damaged;
        }
        if is_off {
            return Self::Off;
        }
        let Some(survey) = survey.filter(|it| !it.is_old(now) && it.tally.unlisted == 0) else {
            return Self::Unknown;
        };
        if matches!(lag, Lag::Late(_)) {
            return Self::Late;
        }
        let (share, never) = (survey.share(now), survey.tally.never);
        // What was never read back came in the last day, or it would be late.
        if share.intact.objects.saturating_add(never.objects) < share.all.objects {
            Self::Partly
        } else if share.all.objects == 0 {
            Self::Empty
        } else {
            Self::Intact
        }
    }

    /// Whether a person should look at it.
    pub const fn is_wrong(self) -> bool {
        match self {
            Self::Away | Self::Damaged | Self::Off | Self::Late => true,
            Self::Unknown | Self::Partly | Self::Empty | Self::Intact => false,
        }
    }

    /// The word on its badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Away => "Away",
            Self::Damaged => "Damaged",
            Self::Off => "Not verified",
            Self::Unknown => "Unknown",
            Self::Late => "Late",
            Self::Partly => "Partly verified",
            Self::Empty => "Empty",
            Self::Intact => "Intact",
        }
    }

    /// What it promises, in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Away => "Nobody can say what is in it.",
            Self::Damaged => "Something that should be in it is missing, or its bytes have changed.",
            Self::Off => "Nobody reads back what is in it.",
            Self::Unknown => "Not everything in it was listed and counted in the last day.",
            Self::Late => "Something came more than a day ago, and was never read back.",
            Self::Partly => "Not everything in it was read back in the last 30 days.",
            Self::Empty => "Nothing is stored yet.",
            Self::Intact => {
                "All that came more than a day ago was read back from the disk in the last 30 days, and has not changed."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{days, hours};
    use crate::verification::Tally;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn survey(of: &[Option<Time>]) -> Survey {
        let mut tally = Tally::default();
        of.iter().for_each(|verified_at| tally.add(10, *verified_at, false, NOW));
        Survey { began_at: NOW, ended_at: NOW, tally }
    }

    fn facts(survey: Option<&Survey>) -> Facts<'_> {
        Facts { is_away: false, is_off: false, damaged: 0, lag: Lag::None, survey }
    }

    #[test]
    fn intact_is_said_only_where_nothing_is_missing() {
        let (read, unread) = (Some(NOW - days(29)), None);
        let all = survey(&[read, read]);
        let waiting = survey(&[read, unread]);
        let late = Lag::Late(hours(25));
        let mut unlisted = all.clone();
        unlisted.tally.unlisted = 1;
        for (facts, expected) in [
            (facts(Some(&all)), Standing::Intact),
            (Facts { lag: Lag::Waiting(hours(24)), ..facts(Some(&waiting)) }, Standing::Intact),
            (Facts { lag: late, ..facts(Some(&waiting)) }, Standing::Late),
            (facts(Some(&survey(&[read, Some(NOW - days(31))]))), Standing::Partly),
            (facts(Some(&survey(&[]))), Standing::Empty),
            (facts(Some(&unlisted)), Standing::Unknown),
            (facts(None), Standing::Unknown),
            (Facts { is_off: true, ..facts(Some(&all)) }, Standing::Off),
            (Facts { damaged: 1, ..facts(Some(&all)) }, Standing::Damaged),
            (Facts { damaged: 1, is_off: true, ..facts(None) }, Standing::Damaged),
            (Facts { is_away: true, damaged: 1, ..facts(Some(&all)) }, Standing::Away),
        ] {
            assert_eq!(Standing::of(&facts, NOW), expected, "{facts:?}");
        }
    }

    #[test]
    fn intact_expires_by_the_clock_alone() {
        let all = survey(&[Some(NOW)]);
        assert_eq!(Standing::of(&facts(Some(&all)), NOW + hours(24)), Standing::Intact);
        assert_eq!(Standing::of(&facts(Some(&all)), NOW + hours(25)), Standing::Unknown, "nobody listed it again");
        let counted_again = Survey { began_at: NOW + days(31), ended_at: NOW + days(31), ..all };
        assert_eq!(Standing::of(&facts(Some(&counted_again)), NOW + days(31)), Standing::Partly);
    }
}
