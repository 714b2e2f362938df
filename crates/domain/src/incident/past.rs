//! Earlier incidents, as the history of acts tells them.
use crate::activity::Action;
use crate::text::text_enum;
use crate::time::{Time, hours};
use crate::words::{capital, counted, span};
use std::time::Duration;

/// What is found or repaired within so long of each other belongs to one incident.
const PAUSE: Duration = hours(24);

text_enum! {
    /// What an incident was about.
    Kind {
        Away = "store_away",
        Stopped = "backups_stopped",
        CopyAway = "second_store_away",
        Damage = "damage",
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Away => "the backup store could not be read",
            Self::Stopped => "no backups could be stored",
            Self::CopyAway => "the second store could not be used",
            Self::Damage => "damage was found",
        }
    }
}

/// An act that belongs to an incident, and when it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub action: Action,
    pub at: Time,
}

/// What such an act does to an incident.
#[derive(Clone, Copy)]
enum Step {
    Begins(Kind),
    Ends(Kind),
    Found,
    Repaired,
}

const STEPS: [(Action, Step); 9] = [
    (Action::StoreAway, Step::Begins(Kind::Away)),
    (Action::StoreBack, Step::Ends(Kind::Away)),
    (Action::BackupsStopped, Step::Begins(Kind::Stopped)),
    (Action::BackupsTakenAgain, Step::Ends(Kind::Stopped)),
    (Action::SecondStoreAway, Step::Begins(Kind::CopyAway)),
    (Action::SecondStoreBack, Step::Ends(Kind::CopyAway)),
    (Action::ObjectDamaged, Step::Found),
    (Action::CopyDamaged, Step::Found),
    (Action::ObjectHealed, Step::Repaired),
];

impl Entry {
    /// The acts that do.
    pub fn actions() -> impl Iterator<Item = Action> {
        STEPS.iter().map(|it| it.0)
    }

    fn step(self) -> Option<Step> {
        STEPS.iter().find(|it| it.0 == self.action).map(|it| it.1)
    }
}

/// One incident of the past, or the one that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    pub kind: Kind,
    /// None if its beginning is older than what was looked at.
    pub from: Option<Time>,
    /// None if it lasts, as far as is known. Of damage that is no more: when something was last found or repaired.
    pub until: Option<Time>,
    /// How often damage was found and repaired. A device has at most a hundred such entries in a day.
    pub found: usize,
    pub repaired: usize,
}

impl Past {
    const fn begins(kind: Kind, at: Time) -> Self {
        Self { kind, from: Some(at), until: None, found: 0, repaired: 0 }
    }

    /// "Damage was found: 3 times, 2 repairs", "The backup store could not be read, for 3 hours".
    pub fn sentence(&self) -> String {
        let name = capital(self.kind.name());
        let lasted = self.from.zip(self.until).map(|(from, until)| until.since(from));
        match (self.kind, lasted) {
            (Kind::Damage, _) => format!(
                "{name}: {}, {}",
                counted(i64::try_from(self.found).unwrap_or(i64::MAX), "time", "times"),
                counted(i64::try_from(self.repaired).unwrap_or(i64::MAX), "repair", "repairs"),
            ),
            (Kind::Away | Kind::Stopped | Kind::CopyAway, Some(lasted)) => format!("{name}, for {}", span(lasted)),
            (Kind::Away | Kind::Stopped | Kind::CopyAway, None) => name,
        }
    }
}

/// The incidents that these entries tell of, given oldest first; returned newest first. `is_damaged`: something is damaged
/// now, so that the last damage lasts.
pub fn past(entries: &[Entry], is_damaged: bool) -> Vec<Past> {
    let mut all: Vec<Past> = Vec::new();
    for it in entries {
        match it.step() {
            Some(Step::Begins(kind)) => begin(&mut all, kind, it.at),
            Some(Step::Ends(kind)) => end(&mut all, kind, it.at),
            Some(Step::Found) => damage(&mut all, it.at, |it| it.found += 1),
            Some(Step::Repaired) => damage(&mut all, it.at, |it| it.repaired += 1),
            None => {}
        }
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.from.or(it.until)));
    if let Some(last) = all.iter_mut().find(|it| is_damaged && it.kind == Kind::Damage) {
        last.until = None;
    }
    all
}

/// The one of a kind that lasts.
fn open(all: &mut [Past], kind: Kind) -> Option<&mut Past> {
    all.iter_mut().rev().find(|it| it.kind == kind && it.until.is_none())
}

fn begin(all: &mut Vec<Past>, kind: Kind, at: Time) {
    // With another cause, it is still the same.
    if open(all, kind).is_none() {
        all.push(Past::begins(kind, at));
    }
}

fn end(all: &mut Vec<Past>, kind: Kind, at: Time) {
    match open(all, kind) {
        Some(open) => open.until = Some(at),
        None => all.push(Past { from: None, until: Some(at), ..Past::begins(kind, at) }),
    }
}

/// The damage that what was found or repaired at `at` belongs to, and that lasts until then.
fn damage(all: &mut Vec<Past>, at: Time, count: impl FnOnce(&mut Past)) {
    let goes_on = |it: &&mut Past| it.kind == Kind::Damage && it.until.is_none_or(|until| at.since(until) < PAUSE);
    match all.iter_mut().rev().find(goes_on) {
        Some(found) => {
            found.until = Some(at);
            count(found);
        }
        None => {
            let mut begun = Past { until: Some(at), ..Past::begins(Kind::Damage, at) };
            count(&mut begun);
            all.push(begun);
        }
    }
}
