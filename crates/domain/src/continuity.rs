//! Whether one machine reports as a device, or two.
//!
//! Each answer to a check-in hands the device a *baton*, and the next check-in brings it back. A copy of the
//! machine, or its state from an older image, brings one that was already handed in. Only messages count, no
//! clock: a lost answer is recognised by the attempt, which a device repeats until it has the answer.
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};

text_enum! {
    /// The doubt about which machine reports as a device.
    Doubt { None = "none", OlderState = "older_state", TwoMachines = "two_machines" }
}

impl Doubt {
    /// Whether nobody can say which machine an order would reach.
    pub const fn stands(self) -> bool {
        !matches!(self, Self::None)
    }

    /// How bad it is: agreeing to one degree does not cover a worse one.
    const fn rank(self) -> u8 {
        match self {
            Self::None => 0,
            Self::OlderState => 1,
            Self::TwoMachines => 2,
        }
    }

    /// Whether this is more than was agreed to.
    pub const fn is_worse_than(self, agreed: Self) -> bool {
        self.rank() > agreed.rank()
    }

    /// In a few words, as one of the facts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "One machine",
            Self::OlderState => "One machine or two",
            Self::TwoMachines => "Two machines",
        }
    }

    /// What a page and a mail say; empty if there is none.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::None => "",
            Self::OlderState => {
                "This device came back with an older state. Either it was restored from an older image, or a second machine has its identity."
            }
            Self::TwoMachines => "Two machines use this device’s identity: both are checking in.",
        }
    }
}

/// What is on hold while there is doubt, and the way out: the same sentence everywhere.
pub const WAY_OUT: &str = "Wipes, removals of company data and restores are held until this is settled. Choose \
 “Enroll again…” for the machine that should be this device; the other one is then locked out, and can be enrolled as \
 a separate device.";

/// What a check-in brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// As handed out in the last answer; none before the first.
    #[serde(default)]
    pub baton: Option<String>,
    /// Random, and the same on each try until this baton has been answered.
    pub attempt: String,
}

impl Brought {
    /// The longest baton or attempt.
    pub const MAX_BYTES: usize = 100;
}

/// One machine, as far as its check-ins distinguish it from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The baton it was handed last; empty if its agent does not use one.
    baton: String,
    /// What it brought for that one, and in which attempt.
    before: String,
    attempt: String,
    pub address: String,
    pub seen_at: Time,
}

/// Which machines have reported as a device in its enrolment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuity {
    /// How many batons were handed out.
    #[serde(default)]
    issued: u64,
    /// The machine heard from last comes first.
    #[serde(default)]
    pub lines: Vec<Line>,
}

/// How many machines are distinguished.
const MAX_LINES: usize = 4;

/// Who sends a check-in, and when.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    pub brought: Option<&'a Brought>,
    pub address: &'a str,
    pub now: Time,
}

/// How a check-in changed what is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub continuity: Continuity,
    pub doubt: Doubt,
    /// What the answer hands out; none for an agent that does not use batons.
    pub baton: Option<String>,
}

impl Continuity {
    /// Takes a check-in; `random` makes a new baton unguessable.
    #[must_use]
    pub fn step(&self, doubt: Doubt, sender: Sender<'_>, random: &str) -> Step {
        let brought = sender.brought.and_then(|it| it.baton.as_deref()).unwrap_or_default();
        let attempt = sender.brought.map_or("", |it| &it.attempt);
        let mut next = self.clone();
        let (mut line, doubt) = match self.lines.iter().position(|it| it.continues(brought, attempt)) {
            // A machine other than the one heard from last is heard from again: both exist.
            Some(at) => (next.lines.remove(at), if at == 0 { doubt } else { Doubt::TwoMachines }),
            None => {
                let is_known = self.lines.is_empty() || self.is_ahead(brought);
                if is_known {
                    // A baton that this database never handed out: the database was restored from a backup, and
                    // the device is ahead of it.
                    next.lines.clear();
                    next.issued = number(brought).max(self.issued);
                }
                let doubt = if is_known || doubt.stands() { doubt } else { Doubt::OlderState };
                (Line::new(sender), doubt)
            }
        };
        let is_answered_before = line.is_answer_lost(brought, attempt);
        if !is_answered_before {
            line.before = brought.to_owned();
            line.attempt = attempt.to_owned();
            line.baton = match sender.brought {
                None => String::new(),
                Some(_) => {
                    next.issued = next.issued.saturating_add(1);
                    format!("{}.{random}", next.issued)
                }
            };
        }
        line.address = sender.address.to_owned();
        line.seen_at = sender.now;
        let baton = Some(line.baton.clone()).filter(|it| !it.is_empty());
        next.lines.insert(0, line);
        next.lines.truncate(MAX_LINES);
        Step { continuity: next, doubt, baton }
    }

    fn is_ahead(&self, brought: &str) -> bool {
        number(brought) > self.issued
    }
}

impl Line {
    fn new(sender: Sender<'_>) -> Self {
        let text = String::new;
        Self { baton: text(), before: text(), attempt: text(), address: text(), seen_at: sender.now }
    }

    fn continues(&self, brought: &str, attempt: &str) -> bool {
        brought == self.baton || self.is_answer_lost(brought, attempt)
    }

    /// Whether this is the attempt that was answered last: its answer was lost, so it gets the same one.
    fn is_answer_lost(&self, brought: &str, attempt: &str) -> bool {
        !attempt.is_empty() && brought == self.before && attempt == self.attempt && brought != self.baton
    }
}

/// The place of a baton among those handed out; 0 for anything else.
fn number(baton: &str) -> u64 {
    baton.split_once('.').and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    /// A machine's state, as on its disk.
    #[derive(Clone, Default)]
    struct Machine {
        baton: Option<String>,
        attempt: Option<String>,
    }

    /// The server's side, and a source of attempts.
    #[derive(Clone, Default)]
    struct World {
        continuity: Continuity,
        doubt: Option<Doubt>,
        count: u32,
    }

    impl World {
        fn doubt(&self) -> Doubt {
            self.doubt.unwrap_or(Doubt::None)
        }

        /// A check-in that is answered, but whose answer may be lost.
        fn hears(&mut self, machine: &mut Machine, is_lost: bool) {
            self.count += 1;
            let attempt = machine.attempt.clone().unwrap_or_else(|| format!("attempt-{}", self.count));
            machine.attempt = Some(attempt.clone());
            let brought = Brought { baton: machine.baton.clone(), attempt };
            let sender = Sender { brought: Some(&brought), address: "192.0.2.1", now: NOW };
            let step = self.continuity.step(self.doubt(), sender, &format!("r{}", self.count));
            self.continuity = step.continuity;
            self.doubt = Some(step.doubt);
            if !is_lost {
                *machine = Machine { baton: step.baton, attempt: None };
            }
        }

        fn hears_all(&mut self, machine: &mut Machine, times: usize) {
            for _ in 0..times {
                self.hears(machine, false);
            }
        }
    }

    #[test]
    fn one_machine_is_never_doubted_whatever_answers_are_lost() {
        // Every pattern of ten check-ins in which some answers are lost.
        for pattern in 0..1024_u32 {
            let (mut world, mut machine) = (World::default(), Machine::default());
            for bit in 0..10 {
                world.hears(&mut machine, pattern & (1 << bit) != 0);
            }
            world.hears_all(&mut machine, 2);
            assert_eq!(world.doubt(), Doubt::None, "{pattern:010b}");
        }
    }

    #[test]
    fn two_machines_of_one_image_are_noticed_by_their_second_check_ins_whenever_it_was_taken() {
        for before in 0..4 {
            // Taken at rest, or in the middle of a check-in whose answer was on its way.
            for is_in_the_middle in [false, true] {
                let (mut world, mut one) = (World::default(), Machine::default());
                world.hears_all(&mut one, before);
                if is_in_the_middle {
                    world.hears(&mut one, true);
                }
                let mut two = one.clone();

                world.hears(&mut one, false);
                world.hears(&mut two, false);
                world.hears(&mut one, false);
                world.hears(&mut two, false);

                assert!(world.doubt().stands(), "{before} {is_in_the_middle}");
                // A copy of an attempt under way looks like its own repetition once.
                world.hears(&mut one, false);
                assert_eq!(world.doubt(), Doubt::TwoMachines, "{before} {is_in_the_middle}");
                assert_eq!(world.continuity.lines.len(), 2, "both are shown");
            }
        }
    }

    #[test]
    fn a_clone_that_waits_its_turn_or_loses_answers_is_noticed_too() {
        for (ones, twos) in [(1, 1), (5, 1), (1, 5), (3, 2)] {
            let (mut world, mut one) = (World::default(), Machine::default());
            world.hears_all(&mut one, 2);
            let mut two = one.clone();
            world.hears_all(&mut one, ones);
            world.hears(&mut two, true);
            world.hears_all(&mut two, twos);
            assert_eq!(world.doubt(), Doubt::OlderState);
            world.hears(&mut one, false);
            assert_eq!(world.doubt(), Doubt::TwoMachines);
            // The doubt remains, whichever is heard from.
            world.hears_all(&mut two, 3);
            assert_eq!(world.doubt(), Doubt::TwoMachines);
        }
    }

    #[test]
    fn a_state_restored_from_an_older_image_is_told_apart_from_a_clone() {
        let (mut world, mut machine) = (World::default(), Machine::default());
        world.hears_all(&mut machine, 3);
        let image = machine.clone();
        world.hears_all(&mut machine, 5);

        let mut restored = image.clone();
        world.hears_all(&mut restored, 10);
        assert_eq!(world.doubt(), Doubt::OlderState, "the newer one never came again");

        // Restored once more from the same image: still one machine at a time.
        let mut again = image;
        world.hears_all(&mut again, 10);
        assert_eq!(world.doubt(), Doubt::OlderState);
    }

    #[test]
    fn a_database_restored_from_a_backup_takes_its_devices_back_without_doubt() {
        let (mut world, mut machine) = (World::default(), Machine::default());
        world.hears_all(&mut machine, 3);
        let backup = world.clone();
        world.hears_all(&mut machine, 4);

        let mut world = backup;
        world.hears_all(&mut machine, 4);

        assert_eq!(world.doubt(), Doubt::None);
        // And a clone is noticed nevertheless.
        let mut clone = machine.clone();
        world.hears(&mut machine, false);
        world.hears(&mut clone, false);
        world.hears(&mut machine, false);
        assert_eq!(world.doubt(), Doubt::TwoMachines);
    }

    #[test]
    fn a_baton_that_was_made_up_hides_no_clone() {
        let (mut world, mut one) = (World::default(), Machine::default());
        world.hears_all(&mut one, 3);
        for made_up in ["999.x", "", "x", "18446744073709551615.x", "-1.x", "2."] {
            let mut world = world.clone();
            let mut one = one.clone();
            let mut liar = Machine { baton: Some(made_up.to_owned()), attempt: None };
            world.hears_all(&mut liar, 2);
            world.hears(&mut one, false);
            assert!(world.doubt().stands(), "{made_up}");
            world.hears(&mut liar, false);
            assert_eq!(world.doubt(), Doubt::TwoMachines, "{made_up}");
        }
    }

    #[test]
    fn an_agent_that_takes_no_baton_is_not_doubted_and_one_that_stops_bringing_it_is() {
        let silent = |world: &mut World| {
            let sender = Sender { brought: None, address: "192.0.2.1", now: NOW };
            let step = world.continuity.step(world.doubt(), sender, "r");
            assert_eq!(step.baton, None);
            world.continuity = step.continuity;
            world.doubt = Some(step.doubt);
        };
        let mut world = World::default();
        silent(&mut world);
        silent(&mut world);
        assert_eq!(world.doubt(), Doubt::None);
        // It is updated, and uses batons from now on.
        let mut machine = Machine::default();
        world.hears_all(&mut machine, 2);
        assert_eq!(world.doubt(), Doubt::None);

        silent(&mut world);
        assert_eq!(world.doubt(), Doubt::OlderState);
        world.hears(&mut machine, false);
        assert_eq!(world.doubt(), Doubt::TwoMachines);
    }

    #[test]
    fn what_is_kept_stays_small_whatever_a_device_brings() {
        let mut world = World::default();
        for number in 0..50 {
            world.hears(&mut Machine { baton: Some(format!("0.{number}")), attempt: None }, false);
        }
        assert_eq!(world.continuity.lines.len(), MAX_LINES);
    }

    #[test]
    fn agreeing_to_a_doubt_covers_none_that_is_worse() {
        for (agreed_rank, agreed) in Doubt::ALL.iter().enumerate() {
            for (rank, now) in Doubt::ALL.iter().enumerate() {
                assert_eq!(now.is_worse_than(*agreed), rank > agreed_rank, "{now} after {agreed}");
            }
        }
    }

    #[test]
    fn a_baton_with_the_newest_number_that_was_never_handed_out_is_doubted() {
        let (mut world, mut machine) = (World::default(), Machine::default());
        world.hears_all(&mut machine, 3);
        let issued = world.continuity.issued;
        let mut other = Machine { baton: Some(format!("{issued}.another")), attempt: None };
        world.hears(&mut other, false);
        assert!(world.doubt().stands(), "its number alone makes it no answer of ours");
    }
}
