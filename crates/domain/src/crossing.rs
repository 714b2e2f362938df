//! A restore whose data leaves its device: what the second person is shown, and what must still be true when it
//! is delivered.
use crate::consent::Terms;
use crate::device::{DeviceState, Ownership};
use crate::guard::GuardedAct;
use crate::id::{DeviceId, RepositoryId, RestorePointId, TeamId};
use serde::{Deserialize, Serialize};

/// One of the two devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    pub id: DeviceId,
    pub name: String,
    pub serial: String,
    pub person: String,
    pub ownership: Ownership,
    pub team: Option<TeamId>,
    pub state: DeviceState,
    /// The enrolment: another machine may have taken the device's place.
    pub generation: i64,
}

/// What both people agree to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    pub source: Side,
    pub target: Side,
    pub repository: RepositoryId,
    /// The enrolment of the source that made the backup.
    pub repository_generation: i64,
    pub point: RestorePointId,
    /// Of the paths in the order.
    pub selection_digest: String,
    pub file_count: i64,
    pub byte_count: i64,
}

impl Terms for Crossing {
    fn canonical(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl Crossing {
    /// The row of the table of guards that this restore is.
    pub fn act(&self) -> GuardedAct {
        act(&self.source, self.repository_generation, &self.target)
    }

    /// What has changed since it was agreed to, in words; empty if nothing has.
    pub fn changes(&self, now: &Self) -> Vec<&'static str> {
        let mut changed = Vec::new();
        for (which, was, is) in [("source", &self.source, &now.source), ("target", &self.target, &now.target)] {
            let is_source = which == "source";
            let mut look = |differs: bool, source, target| {
                if differs {
                    changed.push(if is_source { source } else { target });
                }
            };
            look(was.person != is.person, "the person of the source", "the person of the target");
            look(was.name != is.name || was.serial != is.serial, "the name of the source", "the name of the target");
            look(was.ownership != is.ownership, "the ownership of the source", "the ownership of the target");
            look(was.team != is.team, "the team of the source", "the team of the target");
            look(
                was.generation != is.generation || was.state != is.state,
                "the enrolment of the source",
                "the enrolment of the target",
            );
        }
        if changed.is_empty() && self != now {
            changed.push("what is restored");
        }
        changed
    }
}

/// Which act a restore from `source`, of a backup made by its enrolment `generation`, to `target` is.
///
/// Whoever enrolls a machine in a device's place gets nothing of earlier backups without a second person: a
/// thief with a stolen session would own that machine.
pub fn act(source: &Side, generation: i64, target: &Side) -> GuardedAct {
    if source.id == target.id {
        return if generation == target.generation {
            GuardedAct::RestoreToItself
        } else {
            GuardedAct::RestoreElsewhere
        };
    }
    let folded = |it: &Side| it.person.trim().to_lowercase();
    if !folded(source).is_empty() && folded(source) == folded(target) {
        GuardedAct::RestoreElsewhere
    } else {
        GuardedAct::RestoreToAnotherPerson
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    fn side(at: i64, person: &str, generation: i64) -> Side {
        Side {
            id: DeviceId::generate(Time::from_millis(at)),
            name: "laptop".to_owned(),
            serial: "SN".to_owned(),
            person: person.to_owned(),
            ownership: Ownership::Company,
            team: None,
            state: DeviceState::Enrolled,
            generation,
        }
    }

    #[test]
    fn only_the_enrolment_that_made_a_backup_gets_it_without_a_second_person() {
        let ada = side(1, "Ada", 2);
        assert_eq!(act(&ada, 2, &ada), GuardedAct::RestoreToItself);
        assert_eq!(act(&ada, 1, &ada), GuardedAct::RestoreElsewhere, "a machine that took its place");
        for (source, target, expected) in [
            ("Ada", " ada ", GuardedAct::RestoreElsewhere),
            ("Ada", "Bob", GuardedAct::RestoreToAnotherPerson),
            ("", "", GuardedAct::RestoreToAnotherPerson),
            ("Ada", "", GuardedAct::RestoreToAnotherPerson),
        ] {
            assert_eq!(act(&side(1, source, 1), 1, &side(2, target, 1)), expected, "{source} {target}");
        }
    }

    #[test]
    fn whatever_is_another_than_agreed_is_named() {
        let id = RepositoryId::generate(Time::from_millis(1));
        let agreed = Crossing {
            source: side(1, "Ada", 1),
            target: side(2, "Bob", 1),
            repository: id,
            repository_generation: 1,
            point: RestorePointId::generate(Time::from_millis(1)),
            selection_digest: "d".to_owned(),
            file_count: 4,
            byte_count: 12,
        };
        assert!(agreed.changes(&agreed.clone()).is_empty());
        let target = |change: fn(&mut Side)| {
            let mut now = agreed.clone();
            change(&mut now.target);
            agreed.changes(&now)
        };
        assert_eq!(target(|it| it.person = "Eve".to_owned()), ["the person of the target"]);
        assert_eq!(target(|it| it.name = "x".to_owned()), ["the name of the target"]);
        assert_eq!(target(|it| it.serial = "x".to_owned()), ["the name of the target"]);
        assert_eq!(target(|it| it.ownership = Ownership::Personal), ["the ownership of the target"]);
        assert_eq!(target(|it| it.generation = 2), ["the enrolment of the target"]);
        assert_eq!(target(|it| it.state = DeviceState::Wiped), ["the enrolment of the target"]);
        assert_eq!(target(|it| it.team = Some(TeamId::generate(Time::from_millis(3)))), ["the team of the target"]);
        let other = Crossing { file_count: 5, ..agreed.clone() };
        assert_eq!(agreed.changes(&other), ["what is restored"]);
        let canonical = agreed.canonical().unwrap();
        assert!(
            canonical.contains(r#""file_count":4"#) && canonical.contains(agreed.source.id.as_str()),
            "{canonical}"
        );
        assert_ne!(canonical, other.canonical().unwrap(), "nobody agreed to that");
    }
}
