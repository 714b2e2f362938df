//! A lost device, from the first command to the replacement that has its data: which steps are done, and which come next.
use crate::command::CommandState;
use crate::restore::RestoreState;
use crate::text::text_enum;
use crate::time::Time;
use crate::wipe::WipeState;

text_enum! {
    /// A step, in the order in which they are usually taken. None has to be.
    Step {
        Secure = "secure", Locate = "locate", Erase = "erase", Restore = "restore", Compare = "compare",
    }
}

impl Step {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secure => "Keep others out",
            Self::Locate => "Find out where it is",
            Self::Erase => "Erase it, or decide not to",
            Self::Restore => "Give a replacement its data",
            Self::Compare => "Compare what came back",
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody asked for it.
    Open,
    /// Asked for, and not answered.
    Waiting,
    Done,
    Failed,
    /// There is no such step for this device.
    Absent,
}

impl Standing {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "Not begun",
            Self::Waiting => "Waiting",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Absent => "Not here",
        }
    }
}

/// A command, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub state: CommandState,
    pub asked_at: Time,
    pub ended_at: Option<Time>,
}

/// What is known of a lost device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest command to go into lost mode, if none after it ended that.
    pub lost_mode: Option<Told>,
    pub lock: Option<Told>,
    /// When it said, after that, that it is not in lost mode.
    pub left_lost_mode_at: Option<Time>,
    /// When it last said where it is.
    pub located_at: Option<Time>,
    pub locate: Option<Told>,
    pub can_locate: bool,
    /// The newest wipe of this enrolment or an earlier one, and when it reached its state.
    pub wipe: Option<(WipeState, Time)>,
    /// The newest restore of its data to another device: that device's name, its state, and when.
    pub restore: Option<(String, RestoreState, Time)>,
    /// How many files that restore compared, and how many of them were the same.
    pub compared: Option<(i64, i64)>,
    /// Whether its backups are in this server's hands.
    pub can_back_up: bool,
}

impl Known {
    /// Each step with how far it is, and in words. `when` tells a time.
    pub fn steps(&self, when: &dyn Fn(Time) -> String) -> Vec<(Step, Standing, String)> {
        Step::ALL.iter().map(|step| (*step, self.standing(*step), self.sentence(*step, when))).collect()
    }

    /// How far a step is.
    pub fn standing(&self, step: Step) -> Standing {
        match step {
            Step::Secure if self.left_lost_mode_at.is_some() && self.secured() == self.lost_mode => Standing::Failed,
            Step::Secure => self.secured().map_or(Standing::Open, Told::standing),
            Step::Locate if self.is_located() => Standing::Done,
            Step::Locate if !self.can_locate => Standing::Absent,
            Step::Locate => self.locate.map_or(Standing::Open, Told::standing),
            Step::Erase => self.wipe.map_or(Standing::Open, |(state, _)| of_wipe(state)),
            Step::Restore | Step::Compare if !self.can_back_up => Standing::Absent,
            Step::Restore => self.restore.as_ref().map_or(Standing::Open, |(_, state, _)| of_restore(*state)),
            Step::Compare => match (&self.restore, self.compared) {
                (Some((_, RestoreState::Compared, _)), Some((of, same))) if of == same => Standing::Done,
                (Some((_, RestoreState::Compared, _)), _) => Standing::Failed,
                _ => Standing::Open,
            },
        }
    }

    /// Whether it answered since it was last asked where it is.
    fn is_located(&self) -> bool {
        self.located_at.is_some_and(|at| self.locate.is_none_or(|it| it.asked_at <= at))
    }

    fn secured(&self) -> Option<Told> {
        // What came into force counts before what was only asked for.
        let both = [self.lost_mode, self.lock].into_iter().flatten();
        both.clone().find(|it| it.state == CommandState::Acknowledged).or_else(|| both.max_by_key(|it| it.asked_at))
    }

    fn sentence(&self, step: Step, when: &dyn Fn(Time) -> String) -> String {
        match step {
            Step::Secure => match self.secured() {
                None => "Nothing was asked of it yet.".to_owned(),
                Some(told) if Some(told) == self.lost_mode => match self.left_lost_mode_at {
                    Some(at) => format!("It went into lost mode, and said {} that it is not in it any more.", when(at)),
                    None => told.sentence("It went into lost mode", "Lost mode", when),
                },
                Some(told) => {
                    let said = told.sentence("It locked its screen", "A lock", when);
                    if told.standing() == Standing::Done {
                        format!("{said} Whoever knows its passcode may have opened it since.")
                    } else {
                        said
                    }
                }
            },
            Step::Locate => self.locate_sentence(when),
            Step::Erase => match self.wipe {
                None => "No wipe was asked for.".to_owned(),
                Some((state, at)) => format!("A wipe: {}, {}.", state.name().to_lowercase(), when(at)),
            },
            Step::Restore if !self.can_back_up => {
                "Its maker keeps its backup: its person gets it back on the new device, and nobody here can test it."
                    .to_owned()
            }
            Step::Restore => match &self.restore {
                None => "No other device has got its data yet.".to_owned(),
                Some((name, state, at)) => format!("To {name}: {}, {}.", state.name().to_lowercase(), when(*at)),
            },
            Step::Compare => match (self.standing(step), self.compared) {
                (Standing::Absent, _) => "There is nothing here to compare with.".to_owned(),
                (Standing::Done, Some((of, _))) => format!("All {of} files are the same as in the backup."),
                (Standing::Failed, Some((of, same))) => {
                    format!("{same} of {of} files are the same as in the backup; the restore’s page names the others.")
                }
                _ => "Each file is compared with the backup once it is on the new device.".to_owned(),
            },
        }
    }

    fn locate_sentence(&self, when: &dyn Fn(Time) -> String) -> String {
        match (self.located_at, self.locate) {
            (Some(at), _) if self.is_located() => format!("It said where it is {}.", when(at)),
            (Some(at), Some(told)) => {
                format!("{} It last said where it is {}.", told.sentence("It answered", "The question", when), when(at))
            }
            (Some(at), None) => format!("It said where it is {}.", when(at)),
            (None, _) if !self.can_locate => "It cannot be asked where it is.".to_owned(),
            (None, Some(told)) => told.sentence("It answered", "The question", when),
            (None, None) => "It was not asked. It answers only in lost mode.".to_owned(),
        }
    }
}

impl Told {
    const fn standing(self) -> Standing {
        match self.state {
            CommandState::Queued | CommandState::Delivered => Standing::Waiting,
            CommandState::Acknowledged => Standing::Done,
            CommandState::Failed | CommandState::Expired => Standing::Failed,
            CommandState::Cancelled => Standing::Open,
        }
    }

    /// `done` is what is so then, by the device's word; `asked` what was asked for.
    fn sentence(self, done: &str, asked: &str, when: &dyn Fn(Time) -> String) -> String {
        let ended = when(self.ended_at.unwrap_or(self.asked_at));
        match self.standing() {
            Standing::Done => format!("{done}, by its own word, {ended}."),
            Standing::Failed => format!("{asked} failed {ended}."),
            Standing::Open | Standing::Absent => format!("{asked} was cancelled {ended}."),
            Standing::Waiting if self.state == CommandState::Delivered => {
                format!("{asked} was handed to it, and it has not answered. Asked for {}.", when(self.asked_at))
            }
            Standing::Waiting => format!("{asked} waits until it checks in. Asked for {}.", when(self.asked_at)),
        }
    }
}

const fn of_wipe(state: WipeState) -> Standing {
    match state {
        WipeState::Confirmed => Standing::Done,
        WipeState::Failed | WipeState::Expired => Standing::Failed,
        WipeState::Cancelled => Standing::Open,
        WipeState::Requested
        | WipeState::Held
        | WipeState::Cooling
        | WipeState::Released
        | WipeState::Delivered
        | WipeState::Acknowledged
        | WipeState::ReviewAgain => Standing::Waiting,
    }
}

const fn of_restore(state: RestoreState) -> Standing {
    match state {
        RestoreState::Compared => Standing::Done,
        RestoreState::Failed | RestoreState::Expired => Standing::Failed,
        RestoreState::Cancelled => Standing::Open,
        RestoreState::Requested | RestoreState::Queued | RestoreState::Running => Standing::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time::from_millis(1);

    fn told(state: CommandState) -> Option<Told> {
        Some(Told { state, asked_at: AT, ended_at: None })
    }

    fn word(known: &Known, step: Step) -> String {
        known.sentence(step, &|_| "then".to_owned())
    }

    #[test]
    fn a_device_is_kept_out_of_reach_only_once_it_said_so() {
        for state in CommandState::ALL {
            let known = Known { lost_mode: told(*state), ..Known::default() };
            let is_done = known.standing(Step::Secure) == Standing::Done;
            assert_eq!(is_done, *state == CommandState::Acknowledged, "{state}");
            assert_eq!(word(&known, Step::Secure).contains("It went into lost mode"), is_done, "{state}");
        }
        let locked = Known {
            lost_mode: Some(Told { asked_at: Time::from_millis(9), ..told(CommandState::Queued).unwrap() }),
            lock: told(CommandState::Acknowledged),
            ..Known::default()
        };
        assert!(word(&locked, Step::Secure).starts_with("It locked its screen, by its own word, then. Whoever knows"));
        let left = Known {
            lost_mode: told(CommandState::Acknowledged),
            left_lost_mode_at: Some(Time::from_millis(5)),
            ..Known::default()
        };
        assert_eq!(left.standing(Step::Secure), Standing::Failed, "it said itself that it is not in it any more");
    }

    #[test]
    fn a_place_from_before_it_was_asked_again_is_no_answer() {
        let asked = Told { asked_at: Time::from_millis(9), ..told(CommandState::Failed).unwrap() };
        let known = Known { can_locate: true, located_at: Some(AT), locate: Some(asked), ..Known::default() };
        assert_eq!(known.standing(Step::Locate), Standing::Failed);
        assert!(word(&known, Step::Locate).contains("It last said where it is"));
        let answered = Known { located_at: Some(Time::from_millis(9)), ..known };
        assert_eq!(answered.standing(Step::Locate), Standing::Done);
    }

    #[test]
    fn a_device_whose_backups_are_not_here_has_nothing_to_compare() {
        let phone = Known { can_locate: true, ..Known::default() };
        assert_eq!(phone.standing(Step::Restore), Standing::Absent);
        assert_eq!(phone.standing(Step::Compare), Standing::Absent);
        assert_eq!(phone.standing(Step::Locate), Standing::Open);
        assert!(word(&phone, Step::Restore).contains("nobody here can test it"));
    }

    #[test]
    fn what_came_back_different_is_not_done() {
        let restored = |of, same| Known {
            can_back_up: true,
            restore: Some(("new".to_owned(), RestoreState::Compared, AT)),
            compared: Some((of, same)),
            ..Known::default()
        };
        assert_eq!(restored(3, 3).standing(Step::Compare), Standing::Done);
        assert_eq!(restored(3, 2).standing(Step::Compare), Standing::Failed);
        assert_eq!(
            word(&restored(3, 2), Step::Compare).split(';').next(),
            Some("2 of 3 files are the same as in the backup")
        );
        let running = Known { restore: Some(("new".to_owned(), RestoreState::Running, AT)), ..restored(3, 3) };
        assert_eq!(running.standing(Step::Compare), Standing::Open);
        assert_eq!(running.standing(Step::Restore), Standing::Waiting);
    }

    #[test]
    fn each_step_has_words_at_every_stage() {
        for state in WipeState::ALL {
            let known = Known { wipe: Some((*state, AT)), ..Known::default() };
            assert_eq!(known.standing(Step::Erase) == Standing::Done, *state == WipeState::Confirmed, "{state}");
        }
        for (_, _, sentence) in Known::default().steps(&|_| "then".to_owned()) {
            assert!(sentence.ends_with('.'), "{sentence}");
        }
    }
}
