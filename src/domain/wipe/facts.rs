//! What is known of a device when somebody decides to wipe it.
use crate::domain::continuity::Doubt;
use crate::domain::device::{Encryption, Ownership};
use crate::domain::id::{DeviceId, RestorePointId};
use crate::domain::proof::Grade;
use crate::domain::time::Time;
use crate::domain::wipe::Loss;
use serde::{Deserialize, Serialize};

/// Files and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub files: i64,
    pub bytes: i64,
}

/// A restore point, and when the server received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub id: RestorePointId,
    pub at: Time,
}

/// What is known of a device at one moment; stored with each request as what was agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub device_id: DeviceId,
    pub name: String,
    pub serial: String,
    pub generation: i64,
    pub ownership: Ownership,
    pub encryption: Encryption,
    /// Such as `LUKS2`; empty where it is not known.
    pub encryption_method: String,
    /// By the device's clock.
    pub encryption_measured_at: Option<Time>,
    /// What changed on the device since its last backup; none where it never said.
    pub only_here: Option<Amount>,
    /// By the device's clock.
    pub only_here_measured_at: Option<Time>,
    /// Whether that was so lately that `only_here` still counts.
    #[serde(default)]
    pub measure_holds: bool,
    /// What the newest backup holds beyond the proof, or all of it where no proof holds; none where that is not known.
    pub not_proven: Option<Amount>,
    /// The newest backup by the agent, from which `only_here` counts; of any client where the agent made none.
    pub newest: Option<Point>,
    pub proven: Option<Point>,
    pub grade: Grade,
    /// By the server's clock.
    pub last_seen_at: Option<Time>,
    /// What is doubtful about which machine would be wiped.
    #[serde(default = "no_doubt")]
    pub doubt: Doubt,
    /// Another enrolled device has the same serial, so that it names neither alone.
    #[serde(default)]
    pub shares_serial: bool,
}

const fn no_doubt() -> Doubt {
    Doubt::None
}

/// The part of the consent that names what doubt about the machine means.
const EITHER: &str = "every machine with this identity";

/// What of the facts counts: it is what a person agrees to. Times of measuring move with each check-in and do not.
#[derive(Serialize)]
struct Material<'a> {
    device_id: DeviceId,
    serial: &'a str,
    generation: i64,
    ownership: Ownership,
    encryption: Encryption,
    only_here: Option<Amount>,
    measure_holds: bool,
    not_proven: Option<Amount>,
    newest: Option<Point>,
    proven: Option<Point>,
    grade: Grade,
    doubt: Doubt,
    /// None where no other device has it: what is typed then.
    shared_serial_of: Option<&'a str>,
}

/// One thing that is not as it was agreed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: &'static str,
    pub before: Value,
    pub now: Value,
    pub is_worse: bool,
}

/// A fact as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None is "unknown".
    Count(Option<i64>),
    Bytes(Option<i64>),
    /// None is "none".
    When(Option<Time>),
    Text(String),
}

impl Facts {
    /// The bytes whose hash stands for what was shown and agreed to.
    ///
    /// # Errors
    /// None in practice: every part of it is written as JSON.
    pub fn canonical(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Material {
            device_id: self.device_id,
            serial: &self.serial,
            generation: self.generation,
            ownership: self.ownership,
            encryption: self.encryption,
            only_here: self.only_here,
            measure_holds: self.measure_holds,
            not_proven: self.not_proven,
            newest: self.newest,
            proven: self.proven,
            grade: self.grade,
            doubt: self.doubt,
            shared_serial_of: self.shares_serial.then_some(self.name.as_str()),
        })
    }

    /// What a wipe would lose now.
    pub fn loss(&self) -> Loss {
        Loss {
            // What a device counted long ago says nothing of what is on it now.
            only_here: self.only_here.filter(|_| self.measure_holds),
            not_proven: self.not_proven,
            proven_at: self.proven.map(|it| it.at),
            holds: self.grade == Grade::Proven,
            has_backup: self.newest.is_some(),
        }
    }

    /// What is typed to show that this device is meant: its serial, or its name where it has none, and both where
    /// another device has the same serial.
    pub fn typed_name(&self) -> String {
        if self.serial.is_empty() {
            self.name.clone()
        } else if self.shares_serial {
            format!("{} {}", self.serial, self.name)
        } else {
            self.serial.clone()
        }
    }

    /// What [`Facts::typed_name`] is, in words.
    pub const fn typed_what(&self) -> &'static str {
        if self.serial.is_empty() {
            "name"
        } else if self.shares_serial {
            "serial number and the name"
        } else {
            "serial number"
        }
    }

    /// The consent that is ticked: the loss by number, and where two machines may have this identity, that either may be
    /// erased. Empty where nothing needs consent.
    pub fn consent(&self) -> String {
        let loss = self.loss();
        let loss = if loss.is_nothing() { String::new() } else { loss.consent() };
        match (loss.is_empty(), self.doubt.stands()) {
            (_, false) => loss,
            (true, true) => EITHER.to_owned(),
            (false, true) => format!("{loss}, {EITHER}"),
        }
    }

    /// What differs between these facts, which were agreed to, and `now`. Numbers that only got old are no difference:
    /// a device that is away would never be wiped.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (old_here, here) = (self.only_here, now.only_here);
        let (old_not, not) = (self.not_proven, now.not_proven);
        let mut all = vec![
            count("Files only on the device", old_here.map(|it| it.files), here.map(|it| it.files)),
            bytes("Their size", old_here.map(|it| it.bytes), here.map(|it| it.bytes)),
            count("Files not proven", old_not.map(|it| it.files), not.map(|it| it.files)),
            bytes("Size not proven", old_not.map(|it| it.bytes), not.map(|it| it.bytes)),
            when("Proven up to", self.proven.map(|it| it.at), now.proven.map(|it| it.at)),
            when("Newest backup", self.newest.map(|it| it.at), now.newest.map(|it| it.at)),
        ];
        all.push(text("Proof", self.grade.name(), now.grade.name(), is_worse_grade(self.grade, now.grade)));
        all.push(text("Machines", self.doubt.name(), now.doubt.name(), now.doubt.is_worse_than(self.doubt)));
        // Each of these turns the decision itself, so any change goes back to the people.
        all.push(text("Encrypted", encryption(self.encryption), encryption(now.encryption), true));
        all.push(text("Serial", &self.serial, &now.serial, true));
        all.push(text("Ownership", self.ownership.name(), now.ownership.name(), true));
        all.push(text("Enrolment", &self.generation.to_string(), &now.generation.to_string(), true));
        all.retain(|it| it.before != it.now);
        all
    }

    /// Whether `now` is worse in anything than these facts, which were agreed to.
    pub fn is_worse(&self, now: &Self) -> bool {
        self.differences(now).iter().any(|it| it.is_worse)
    }
}

const fn encryption(it: Encryption) -> &'static str {
    match it {
        Encryption::On => "Yes",
        Encryption::Off => "No",
        Encryption::Unknown => "Unknown",
    }
}

/// More is worse, and so is not knowing any more. A number where there was none is what "unknown" was agreed to.
fn is_more(before: Option<i64>, now: Option<i64>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now > before,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

fn count(what: &'static str, before: Option<i64>, now: Option<i64>) -> Difference {
    Difference { what, before: Value::Count(before), now: Value::Count(now), is_worse: is_more(before, now) }
}

fn bytes(what: &'static str, before: Option<i64>, now: Option<i64>) -> Difference {
    Difference { what, before: Value::Bytes(before), now: Value::Bytes(now), is_worse: is_more(before, now) }
}

/// Older than agreed, or gone, is worse.
fn when(what: &'static str, before: Option<Time>, now: Option<Time>) -> Difference {
    Difference { what, before: Value::When(before), now: Value::When(now), is_worse: now < before }
}

fn text(what: &'static str, before: &str, now: &str, is_worse: bool) -> Difference {
    Difference { what, before: Value::Text(before.to_owned()), now: Value::Text(now.to_owned()), is_worse }
}

fn is_worse_grade(before: Grade, now: Grade) -> bool {
    trust(now) < trust(before)
}

/// How far a grade can be relied on when something is to be erased.
const fn trust(grade: Grade) -> u8 {
    match grade {
        Grade::Failed => 0,
        Grade::Never => 1,
        Grade::Unknown => 2,
        Grade::Reported => 3,
        Grade::Stored => 4,
        Grade::OutOfDate => 5,
        Grade::Verified => 6,
        Grade::Proven => 7,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::time::hours;

    pub const NOW: Time = Time::from_millis(1_795_356_371_000);

    pub fn facts() -> Facts {
        let point = |at| Point { id: RestorePointId::generate(at), at };
        let (proven, newest) = (point(NOW - hours(20)), point(NOW - hours(2)));
        Facts {
            device_id: DeviceId::generate(NOW),
            name: "laptop-1".to_owned(),
            serial: "SN-1".to_owned(),
            generation: 1,
            ownership: Ownership::Company,
            encryption: Encryption::On,
            encryption_method: "LUKS2".to_owned(),
            encryption_measured_at: Some(NOW),
            only_here: Some(Amount { files: 4, bytes: 9_000_000 }),
            only_here_measured_at: Some(NOW),
            measure_holds: true,
            not_proven: Some(Amount { files: 92, bytes: 403_000_000 }),
            newest: Some(newest),
            proven: Some(proven),
            grade: Grade::Proven,
            last_seen_at: Some(NOW),
            doubt: Doubt::None,
            shares_serial: false,
        }
    }

    type Change = fn(&mut Facts);

    #[test]
    fn each_change_for_the_worse_is_seen() {
        let changes: &[(&str, Change)] = &[
            ("one more file", |it| it.only_here = Some(Amount { files: 5, bytes: 9_000_000 })),
            ("more bytes", |it| it.only_here = Some(Amount { files: 4, bytes: 9_000_001 })),
            ("not known any more", |it| it.only_here = None),
            ("more not proven", |it| it.not_proven = Some(Amount { files: 93, bytes: 403_000_000 })),
            ("not proven not known", |it| it.not_proven = None),
            ("proof gone", |it| it.proven = None),
            ("proof older", |it| it.proven = it.proven.map(|p| Point { at: p.at - hours(1), ..p })),
            ("backup gone", |it| it.newest = None),
            ("proof out of date", |it| it.grade = Grade::OutOfDate),
            ("restore test failed", |it| it.grade = Grade::Failed),
            ("not encrypted", |it| it.encryption = Encryption::Off),
            ("encryption unknown", |it| it.encryption = Encryption::Unknown),
            ("another serial", |it| it.serial = "SN-2".to_owned()),
            ("personal", |it| it.ownership = Ownership::Personal),
            ("enrolled again", |it| it.generation = 2),
            ("an older state", |it| it.doubt = Doubt::OlderState),
            ("two machines", |it| it.doubt = Doubt::TwoMachines),
        ];
        for (name, change) in changes {
            let agreed = facts();
            let mut now = agreed.clone();
            change(&mut now);
            assert!(agreed.is_worse(&now), "{name}");
            assert_ne!(agreed.canonical().unwrap(), now.canonical().unwrap(), "{name}");
        }
    }

    #[test]
    fn what_is_better_or_only_newer_is_not_worse() {
        let changes: &[(&str, Change)] = &[
            ("fewer files", |it| it.only_here = Some(Amount { files: 3, bytes: 1 })),
            ("all proven", |it| it.not_proven = Some(Amount::default())),
            ("newer proof", |it| it.proven = it.newest),
            ("newer backup", |it| it.newest = it.newest.map(|p| Point { at: p.at + hours(1), ..p })),
            ("seen again", |it| it.last_seen_at = Some(NOW + hours(1))),
            ("measured again", |it| it.only_here_measured_at = Some(NOW + hours(1))),
        ];
        for (name, change) in changes {
            let agreed = facts();
            let mut now = agreed.clone();
            change(&mut now);
            assert!(!agreed.is_worse(&now), "{name}: {:?}", agreed.differences(&now));
        }
    }

    #[test]
    fn measuring_again_does_not_change_what_was_agreed_to() {
        let agreed = facts();
        let later = Facts {
            last_seen_at: Some(NOW + hours(1)),
            only_here_measured_at: Some(NOW + hours(1)),
            encryption_measured_at: None,
            ..agreed.clone()
        };
        assert_eq!(agreed.canonical().unwrap(), later.canonical().unwrap());
    }

    #[test]
    fn numbers_that_got_old_are_shown_as_unknown_and_are_no_worse() {
        let agreed = facts();
        let old = Facts { measure_holds: false, ..agreed.clone() };
        assert_eq!(old.loss().only_here, None);
        assert_eq!(old.loss().consent(), "unknown lost, 92 not proven");
        assert!(!agreed.is_worse(&old));
        assert_ne!(agreed.canonical().unwrap(), old.canonical().unwrap());
    }

    #[test]
    fn where_two_devices_have_one_serial_the_name_is_typed_too() {
        let shared = Facts { shares_serial: true, ..facts() };
        assert_eq!((facts().typed_name().as_str(), shared.typed_name().as_str()), ("SN-1", "SN-1 laptop-1"));
        assert_ne!(facts().canonical().unwrap(), shared.canonical().unwrap());
    }

    #[test]
    fn doubt_about_the_machine_is_consented_to_by_name() {
        let doubted = Facts { doubt: Doubt::TwoMachines, ..facts() };
        assert_eq!(doubted.consent(), "4 lost, 92 not proven, every machine with this identity");
        let older = Facts { doubt: Doubt::OlderState, ..facts() };
        assert!(older.is_worse(&doubted) && !doubted.is_worse(&older));
    }

    #[test]
    fn agreeing_to_the_unknown_covers_any_number() {
        let agreed = Facts { only_here: None, ..facts() };
        assert!(!agreed.is_worse(&Facts { only_here: Some(Amount { files: 9, bytes: 9 }), ..agreed.clone() }));
    }
}
