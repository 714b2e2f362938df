//! Escrow records on the second store: how many are there, and what a console can be made of with nothing else.
//!
//! What pages, the command line and exports say about it is only here.
use crate::time::{Time, days};
use crate::words::{counted, number};
use std::time::Duration;

/// How often each record is read back from the second store.
pub const READ_EVERY: Duration = days(1);

/// How long it may be since they were read back, before nothing is said of them.
pub const HOLDS: Duration = days(3);

/// What is known about the records of all repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Whether there is a second store.
    pub has_store: bool,
    /// Repositories that have a record there, of a key whose shares were typed back.
    pub kept: i64,
    pub total: i64,
    /// When all of them were last read back.
    pub read_at: Option<Time>,
    /// Why they could not be kept there.
    pub failed: Option<String>,
}

impl Coverage {
    /// Whether the shares and the second store alone give every backup back, as far as anyone can know.
    pub fn is_good(&self, now: Time) -> bool {
        self.has_store && self.kept == self.total && self.failed.is_none() && (self.is_fresh(now) || self.total == 0)
    }

    /// Whether somebody should look at them: some are there, or should be, and cannot be relied on.
    pub fn is_wrong(&self, now: Time) -> bool {
        self.has_store && (self.failed.is_some() || (self.kept > 0 && !self.is_good(now)))
    }

    /// Whether the records that are there were read back lately.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.has_store && self.read_at.is_some_and(|at| at <= now && now < at + HOLDS)
    }

    /// How it stands.
    pub fn sentence(&self, now: Time, when: &dyn Fn(Time) -> String) -> String {
        if !self.has_store {
            return "There is no second store: no escrow record is kept anywhere but in the database.".to_owned();
        }
        if self.total == 0 && self.failed.is_none() {
            return "There is no repository that needs an escrow record.".to_owned();
        }
        let kept = match self.total - self.kept {
            0 => format!("The second store has the escrow record of each of {}", self.all()),
            left => format!(
                "The second store has the escrow record of {} of {}: {} could be opened there only with a state of the \
                 console",
                number(self.kept),
                self.all(),
                number(left)
            ),
        };
        let read = match self.read_at {
            Some(at) if at > now || now >= at + HOLDS => {
                format!("They were last read back on {}: nobody knows whether they are still there.", when(at))
            }
            Some(at) => format!("They were read back on {}.", when(at)),
            None => "They were not read back yet.".to_owned(),
        };
        match &self.failed {
            Some(why) => format!("{kept}. {read} The last try to keep them failed: {why}."),
            None => format!("{kept}. {read}"),
        }
    }

    fn all(&self) -> String {
        counted(self.total, "repository", "repositories")
    }
}

/// What a second store gives back without any state of the console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Repositories whose record opens with the shares.
    pub opened: usize,
    /// Repositories that are there, and no record opens them.
    pub closed: usize,
    /// Records of repositories of which nothing is there.
    pub empty: usize,
}

impl Catalogue {
    /// Whether every repository there can be opened.
    pub const fn is_whole(self) -> bool {
        self.closed == 0 && self.empty == 0
    }

    /// What came back, what did not, and what to do next; in this order.
    pub fn sentences(self) -> Vec<String> {
        let mut said = vec![format!(
            "No state of the console was used: {} came back from the escrow records of the second store.",
            counted(self.opened, "repository", "repositories")
        )];
        if self.closed > 0 {
            said.push(format!(
                "{} there have no escrow record that these shares open: their backups stay closed.",
                counted(self.closed, "repository", "repositories")
            ));
        }
        if self.empty > 0 {
            said.push(format!(
                "{} have an escrow record and nothing else: their backups are not there.",
                counted(self.empty, "repository", "repositories")
            ));
        }
        said.extend(MISSING.iter().map(|it| (*it).to_owned()));
        said
    }
}

/// What no escrow record has, and what has to be done about it.
const MISSING: &[&str] = &[
    "Gone are people and their roles, teams, policies, settings, rules of retention, legal holds, open requests, and the \
     whole history.",
    "Devices, their names and their keys are those of the day on which each enrolled. One that was renamed, wiped or \
     removed since is in the list again as it was: compare the list with what you know, and remove what was removed, \
     before anything is approved.",
    "When a backup was received is what the second store says of its files, and nobody vouches for it: whoever can write \
     there could have set it. What was proven is not known any more: every backup is tested anew.",
    "Next: start the server with its address of before and with --new-copy=STORE (as --copy names it), open the link that \
     it prints to make the first account, and set legal holds and rules of retention again. Devices report by themselves; \
     `holdfast admin unfreeze` lets restores begin.",
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    fn coverage() -> Coverage {
        Coverage { has_store: true, kept: 3, total: 3, read_at: Some(NOW), failed: None }
    }

    fn said(of: &Coverage, now: Time) -> String {
        of.sentence(now, &Time::iso)
    }

    #[test]
    fn only_what_was_read_back_lately_and_is_complete_is_good() {
        assert!(coverage().is_good(NOW));
        assert!(coverage().is_good(NOW + HOLDS - Duration::from_millis(1)));
        assert!(!coverage().is_good(NOW + HOLDS), "it decays");
        assert!(!coverage().is_good(NOW - days(1)), "a clock that was ahead proves nothing");
        for bad in [
            Coverage { has_store: false, ..coverage() },
            Coverage { kept: 2, ..coverage() },
            Coverage { read_at: None, ..coverage() },
            Coverage { failed: Some("full".to_owned()), ..coverage() },
        ] {
            assert!(!bad.is_good(NOW), "{bad:?}");
        }
        assert!(Coverage { kept: 0, total: 0, read_at: None, ..coverage() }.is_good(NOW), "nothing is missing");
        let without_key = Coverage { kept: 0, ..coverage() };
        assert!(!without_key.is_good(NOW) && !without_key.is_wrong(NOW), "no recovery key was made");
        assert!(Coverage { kept: 2, ..coverage() }.is_wrong(NOW) && coverage().is_wrong(NOW + HOLDS));
    }

    #[test]
    fn what_is_missing_is_said_in_words() {
        assert!(
            said(&coverage(), NOW).starts_with("The second store has the escrow record of each of 3 repositories. ")
        );
        let some = Coverage { kept: 1, failed: Some("it is full".to_owned()), ..coverage() };
        let text = said(&some, NOW);
        assert!(
            text.contains("1 of 3 repositories: 2 could be opened") && text.ends_with("failed: it is full."),
            "{text}"
        );
        assert!(said(&coverage(), NOW + HOLDS).contains("nobody knows"));
        assert!(said(&Coverage { read_at: None, ..coverage() }, NOW).contains("not read back yet"));
        assert!(said(&Coverage { has_store: false, ..coverage() }, NOW).contains("no second store"));
    }

    #[test]
    fn a_catalogue_says_what_did_not_come_back_and_what_is_next() {
        let whole = Catalogue { opened: 2, closed: 0, empty: 0 };
        assert!(whole.is_whole());
        let text = whole.sentences().join("\n");
        for part in ["2 repositories came back", "Gone are people", "nobody vouches", "--new-copy"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for torn in [Catalogue { closed: 1, ..whole }, Catalogue { empty: 1, ..whole }] {
            assert!(!torn.is_whole());
            assert_eq!(torn.sentences().len(), whole.sentences().len() + 1);
        }
    }
}
