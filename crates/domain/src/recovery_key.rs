//! Whether the backups could be opened with shares on paper if the server and its proof key were lost, and how that
//! is said.
//!
//! Nothing is called recoverable by shares before three of them were typed back: until then nobody knows whether what
//! was printed can be read.
use crate::time::{Time, days};
use crate::words::{counted, number};
use std::time::Duration;

/// How many keys may stand beside each other: one in use, and one that is to follow it.
pub const MOST_STANDING: usize = 2;

/// How long typing shares back counts: after that nobody knows whether the papers are still there.
pub const CONFIRMATION_HOLDS: Duration = days(365);

/// What is known about one recovery key that is not retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    pub made_at: Time,
    pub confirmed_at: Option<Time>,
}

/// What is known about all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Oldest first.
    pub keys: Vec<Key>,
    /// Repositories whose master key a confirmed key opens.
    pub covered: i64,
    /// All repositories.
    pub total: i64,
}

/// Whether the backups could be opened with shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recoverability {
    /// There is no recovery key.
    NoKey,
    /// There is one, and nobody has typed its shares back.
    NotConfirmed { name: String, made_at: Time },
    /// Shares were typed back, for the last time at `confirmed_at`, by a clock that is not ahead and not too long ago.
    Confirmed { name: String, confirmed_at: Time, covered: i64, total: i64 },
    /// That is too long ago.
    Stale { name: String, confirmed_at: Time, covered: i64, total: i64 },
}

impl Recoverability {
    /// What the facts come to.
    pub fn of(facts: &Facts, now: Time) -> Self {
        let newest = facts.keys.iter().filter_map(|it| Some((it, it.confirmed_at?))).max_by_key(|(_, at)| *at);
        let (covered, total) = (facts.covered, facts.total);
        match (newest, facts.keys.last()) {
            (Some((key, confirmed_at)), _) => {
                let name = key.name.clone();
                let is_stale = confirmed_at > now || confirmed_at + CONFIRMATION_HOLDS < now;
                match is_stale {
                    true => Self::Stale { name, confirmed_at, covered, total },
                    false => Self::Confirmed { name, confirmed_at, covered, total },
                }
            }
            (None, Some(key)) => Self::NotConfirmed { name: key.name.clone(), made_at: key.made_at },
            (None, None) => Self::NoKey,
        }
    }

    /// Whether every backup can be opened with shares, as far as anyone can know.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Confirmed { covered, total, .. } if covered == total)
    }

    /// Whether shares were typed back at any time.
    pub const fn was_confirmed(&self) -> bool {
        match self {
            Self::Confirmed { .. } | Self::Stale { .. } => true,
            Self::NoKey | Self::NotConfirmed { .. } => false,
        }
    }

    /// The word for it, and whether it is good.
    pub fn word(&self) -> (&'static str, bool) {
        let word = match self {
            Self::NoKey => "No recovery key",
            Self::NotConfirmed { .. } => "Shares never typed back",
            Self::Stale { .. } => "Shares typed back long ago",
            Self::Confirmed { .. } if self.is_good() => "Recoverable by shares",
            Self::Confirmed { .. } => "Not all recoverable by shares",
        };
        (word, self.is_good())
    }

    /// How it stands; `when` says a time as the reader wants it.
    pub fn sentence(&self, when: impl Fn(Time) -> String) -> String {
        match self {
            Self::NoKey => "There is no recovery key: if the proof key is lost, every backup is lost.".to_owned(),
            Self::NotConfirmed { name, made_at } => format!(
                "The recovery key {name} was made on {}, and its shares were never typed back: nobody knows whether \
                 they can be read. No backup counts as recoverable by shares.",
                when(*made_at)
            ),
            Self::Confirmed { name, confirmed_at, covered, total } => format!(
                "Three shares of the recovery key {name} were typed back on {}. {}",
                when(*confirmed_at),
                reach(*covered, *total)
            ),
            Self::Stale { name, confirmed_at, covered, total } => format!(
                "Three shares of the recovery key {name} were last typed back on {}: nobody knows whether the papers \
                 are still there. {}",
                when(*confirmed_at),
                reach(*covered, *total)
            ),
        }
    }

    /// What the Overview asks for; none if nothing has to be done.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::NoKey => {
                Some("Make a recovery key, and give its five printed shares to five people: holdfast recovery-key make")
            }
            Self::NotConfirmed { .. } => {
                Some("Type three shares of the recovery key back: holdfast recovery-key confirm")
            }
            Self::Stale { .. } => {
                Some("Ask for three shares of the recovery key and type them back: holdfast recovery-key confirm")
            }
            Self::Confirmed { covered, total, .. } if covered < total => {
                Some("Some backups are not sealed to the recovery key: see that the server with the proof key runs")
            }
            Self::Confirmed { .. } => None,
        }
    }
}

fn reach(covered: i64, total: i64) -> String {
    match (covered, total) {
        (_, 0) => "There are no backups yet.".to_owned(),
        (1, 1) => "The one repository is recoverable by shares.".to_owned(),
        (_, 1) => "The one repository is not recoverable by shares.".to_owned(),
        (covered, total) if covered == total => {
            format!("All {} are recoverable by shares.", counted(total, "repository", "repositories"))
        }
        (covered, total) => {
            format!(
                "{} of {} are recoverable by shares.",
                number(covered),
                counted(total, "repository", "repositories")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn key(name: &str, confirmed_at: Option<Time>) -> Key {
        Key { name: name.to_owned(), made_at: NOW - days(400), confirmed_at }
    }

    fn said(keys: Vec<Key>, covered: i64, total: i64) -> (String, bool, bool) {
        let found = Recoverability::of(&Facts { keys, covered, total }, NOW);
        let when = |at: Time| format!("{} days ago", NOW.since(at).as_secs() / 86_400);
        (found.sentence(when), found.is_good(), found.advice().is_some())
    }

    #[test]
    fn nothing_is_called_recoverable_before_shares_were_typed_back() {
        let (text, is_good, nags) = said(vec![], 0, 3);
        assert!(text.starts_with("There is no recovery key") && !is_good && nags, "{text}");

        let (text, is_good, nags) = said(vec![key("AAAAAA", None)], 0, 3);
        assert!(
            text.contains("made on 400 days ago") && text.contains("never typed back") && !is_good && nags,
            "{text}"
        );

        let (text, is_good, nags) = said(vec![key("AAAAAA", None)], 0, 0);
        assert!(text.contains("never typed back") && !is_good && nags, "also without a backup: {text}");
    }

    #[test]
    fn only_what_a_confirmed_key_opens_is_recoverable() {
        let confirmed = || vec![key("AAAAAA", Some(NOW - days(3)))];
        let (text, is_good, nags) = said(confirmed(), 1_283, 1_283);
        assert_eq!(
            text,
            "Three shares of the recovery key AAAAAA were typed back on 3 days ago. All 1,283 repositories are \
             recoverable by shares."
        );
        assert!(is_good && !nags);
        let (text, is_good, nags) = said(confirmed(), 2, 3);
        assert!(text.ends_with("2 of 3 repositories are recoverable by shares.") && !is_good && nags, "{text}");
        let (text, is_good, nags) = said(confirmed(), 1, 1);
        assert!(text.ends_with("The one repository is recoverable by shares.") && is_good && !nags, "{text}");
        let (text, is_good, _) = said(confirmed(), 0, 1);
        assert!(text.ends_with("The one repository is not recoverable by shares.") && !is_good, "{text}");
        let word = |covered| Recoverability::of(&Facts { keys: confirmed(), covered, total: 3 }, NOW).word();
        assert_eq!((word(2), word(3)), (("Not all recoverable by shares", false), ("Recoverable by shares", true)));
        let (text, is_good, _) = said(confirmed(), 0, 0);
        assert!(text.ends_with("There are no backups yet.") && is_good, "{text}");
    }

    #[test]
    fn a_newer_key_that_nobody_typed_back_does_not_hide_the_one_that_works() {
        let (text, is_good, _) = said(vec![key("AAAAAA", Some(NOW - days(3))), key("BBBBBB", None)], 5, 5);
        assert!(text.contains("AAAAAA") && is_good, "{text}");
        let (text, ..) = said(vec![key("AAAAAA", Some(NOW - days(3))), key("BBBBBB", Some(NOW))], 5, 5);
        assert!(text.contains("BBBBBB"), "the last one that was typed back: {text}");
    }

    #[test]
    fn a_year_later_and_by_a_clock_that_was_ahead_nobody_knows() {
        for (at, is_known) in [(NOW - days(365), true), (NOW - days(366), false), (NOW + Duration::from_secs(1), false)]
        {
            let (text, is_good, nags) = said(vec![key("AAAAAA", Some(at))], 5, 5);
            assert_eq!((is_good, nags), (is_known, !is_known), "{text}");
        }
    }
}
