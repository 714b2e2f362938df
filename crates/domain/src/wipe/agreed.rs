//! What somebody agrees to when a device is to be wiped, and which of it has changed since.
use crate::consent::Terms;
use crate::continuity::Doubt;
use crate::device::{Encryption, Ownership};
use crate::id::DeviceId;
use crate::loss::{Amount, Loss, LossFacts, Point, Say, loss};
use crate::proof::Grade;
use crate::time::Time;
use crate::wipe::WipeAction;
use serde::{Deserialize, Serialize};

/// What is known about a device at one moment; stored with each request as what was agreed to.
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
    /// What the loss is computed from.
    pub known: LossFacts,
    /// The doubt about which machine would be wiped.
    pub doubt: Doubt,
    /// Another enrolled device has the same serial, so it identifies neither.
    pub shares_serial: bool,
}

/// The part of the consent that says what doubt about the machine means; the second person ticks only this.
pub const EITHER: &str = "every machine with this identity";

/// The facts that count: what a person agrees to. Times of measurement change with each check-in and do not
/// count.
#[derive(Serialize)]
struct Material<'a> {
    device_id: DeviceId,
    serial: &'a str,
    generation: i64,
    ownership: Ownership,
    encryption: Encryption,
    only_here: Option<Amount>,
    roots_away: &'a [String],
    damaged: Amount,
    not_proven: Option<Amount>,
    newest: Option<Point>,
    proven: Option<Point>,
    grade: Grade,
    is_store_away: bool,
    doubt: Doubt,
    /// None if no other device has it: it decides what is typed.
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

impl Terms for Facts {
    fn canonical(&self) -> serde_json::Result<String> {
        let (loss, known) = (self.loss(), &self.known);
        serde_json::to_string(&Material {
            device_id: self.device_id,
            serial: &self.serial,
            generation: self.generation,
            ownership: self.ownership,
            encryption: self.encryption,
            only_here: loss.only_here,
            roots_away: &known.roots_away,
            damaged: known.damaged.amount,
            not_proven: loss.not_proven,
            newest: known.newest,
            proven: known.proven,
            grade: known.grade,
            is_store_away: known.store_away_since.is_some(),
            doubt: self.doubt,
            shared_serial_of: self.shares_serial.then_some(self.name.as_str()),
        })
    }
}

impl Facts {
    /// What a wipe would lose at the moment of these facts.
    pub fn loss(&self) -> Loss {
        loss(&self.known)
    }

    /// What `action` loses in a few words, for a list.
    pub fn lost_by(&self, action: WipeAction, say: Say<'_>) -> String {
        match action {
            WipeAction::Wipe => self.loss().short(say),
            WipeAction::RemoveCompanyData => "The keys, no files".to_owned(),
        }
    }

    /// The same in sentences, for mails and the history.
    pub fn loss_sentence(&self, action: WipeAction, say: Say<'_>) -> String {
        match action {
            WipeAction::Wipe => self.loss().sentence(say),
            WipeAction::RemoveCompanyData => "No files on the device; it can no longer read its backups.".to_owned(),
        }
    }

    /// What is typed to confirm this device: its serial, or its name if it has none, and both if another device
    /// has the same serial.
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

    /// The consent that is ticked: the loss by number, and if two machines may have this identity, that either
    /// may be erased. Empty if nothing needs consent.
    pub fn consent(&self) -> String {
        let loss = self.loss();
        let loss = if loss.is_nothing() { String::new() } else { loss.consent() };
        match (loss.is_empty(), self.doubt.stands()) {
            (_, false) => loss,
            (true, true) => EITHER.to_owned(),
            (false, true) => format!("{loss}, {EITHER}"),
        }
    }

    /// What differs between these facts, which were agreed to, and `now`. Numbers that have only got old do not
    /// count as worse, otherwise a device that is away could never be wiped. When it comes for its order it
    /// must count again.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let (old, new) = (self.loss(), now.loss());
        let here = |pick: fn(Amount) -> i64| (old.only_here.map(pick), new.only_here.map(pick));
        let not = |pick: fn(Amount) -> i64| (old.not_proven.map(pick), new.not_proven.map(pick));
        let is_silent = !now.known.is_heard();
        let is_worse_here = |(before, now): (Option<i64>, Option<i64>)| {
            if now.is_none() && is_silent { false } else { is_more(before, now) }
        };
        let (here_files, here_bytes) = (here(|it| it.files), here(|it| it.bytes));
        let (not_files, not_bytes) = (not(|it| it.files), not(|it| it.bytes));
        let (before, after) = (&self.known, &now.known);
        let (damaged, damaged_now) = (before.damaged.amount.files, after.damaged.amount.files);
        let mut all = vec![
            Difference {
                is_worse: is_worse_here(here_files),
                ..count("Files only on the device", here_files.0, here_files.1)
            },
            Difference { is_worse: is_worse_here(here_bytes), ..bytes("Their size", here_bytes.0, here_bytes.1) },
            count("Files damaged in the store", Some(damaged), Some(damaged_now)),
            count("Files not proven", not_files.0, not_files.1),
            bytes("Size not proven", not_bytes.0, not_bytes.1),
            when("Proven up to", before.proven.map(|it| it.at), after.proven.map(|it| it.at)),
            when("Newest backup", before.newest.map(|it| it.at), after.newest.map(|it| it.at)),
        ];
        let is_away_anew = after.roots_away.iter().any(|it| !before.roots_away.contains(it));
        all.push(text("Folders without their mark", &roots(before), &roots(after), is_away_anew));
        let (could, can) = (before.store_away_since.is_none(), after.store_away_since.is_none());
        all.push(text("Backups can be read", yes(could), yes(can), could && !can));
        all.push(text("Machines", self.doubt.name(), now.doubt.name(), now.doubt.is_worse_than(self.doubt)));
        all.push(text("Proof", before.grade.name(), after.grade.name(), is_worse_grade(before.grade, after.grade)));
        // Each of these affects the decision itself, so any change goes back to the people.
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

fn roots(known: &LossFacts) -> String {
    if known.roots_away.is_empty() { "None".to_owned() } else { known.roots_away.join(", ") }
}

const fn yes(is: bool) -> &'static str {
    if is { "Yes" } else { "No" }
}

const fn encryption(it: Encryption) -> &'static str {
    match it {
        Encryption::On => "Yes",
        Encryption::Off => "No",
        Encryption::Unknown => "Unknown",
    }
}

/// More is worse, and so is no longer knowing. A number where there was none is covered by having agreed to
/// "unknown".
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
        Grade::Partial => 7,
        Grade::Proven => 8,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::id::RestorePointId;
    use crate::loss::{self as losses, Count};
    use crate::time::{hours, minutes};

    pub const NOW: Time = losses::tests::NOW;

    pub fn facts() -> Facts {
        Facts {
            device_id: DeviceId::generate(NOW),
            name: "laptop-1".to_owned(),
            serial: "SN-1".to_owned(),
            generation: 1,
            ownership: Ownership::Company,
            encryption: Encryption::On,
            encryption_method: "LUKS2".to_owned(),
            encryption_measured_at: Some(NOW),
            known: losses::tests::facts(),
            doubt: Doubt::None,
            shares_serial: false,
        }
    }

    /// The same device with nothing to lose.
    pub fn safe() -> Facts {
        let mut safe = facts();
        counts(&mut safe, 0, 0);
        safe.known.beyond_proof = Some(Amount::default());
        safe
    }

    fn counts(facts: &mut Facts, files: i64, bytes: i64) {
        let count = Count { amount: Amount { files, bytes }, measured_at: NOW, until: NOW + minutes(30) };
        facts.known.count = Some(count);
    }

    /// The device has not been heard from for a day.
    fn silent(facts: &Facts) -> Facts {
        let mut later = facts.clone();
        later.known.at = NOW + hours(24);
        later
    }

    type Change = fn(&mut Facts);

    #[test]
    fn each_change_for_the_worse_is_seen() {
        let changes: &[(&str, Change)] = &[
            ("one more file", |it| counts(it, 5, 9_000_000)),
            ("more bytes", |it| counts(it, 4, 9_000_001)),
            ("not counted any more", |it| it.known.count = None),
            ("a folder away", |it| it.known.roots_away = vec!["/mnt/disk".to_owned()]),
            ("a file damaged", |it| it.known.damaged.amount.files = 1),
            ("the store away", |it| it.known.store_away_since = Some(NOW)),
            ("more not proven", |it| it.known.beyond_proof = Some(Amount { files: 93, bytes: 403_000_000 })),
            ("not proven not known", |it| it.known.beyond_proof = None),
            ("proof gone", |it| it.known.proven = None),
            ("proof older", |it| it.known.proven = it.known.proven.map(|p| Point { at: p.at - hours(1), ..p })),
            ("backup gone", |it| it.known.newest = None),
            ("proof out of date", |it| it.known.grade = Grade::OutOfDate),
            ("restore test failed", |it| it.known.grade = Grade::Failed),
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
            ("fewer files", |it| counts(it, 3, 1)),
            ("all proven", |it| it.known.beyond_proof = Some(Amount::default())),
            ("newer proof", |it| it.known.proven = it.known.newest),
            ("newer backup", |it| it.known.newest = it.known.newest.map(|p| Point { at: p.at + hours(1), ..p })),
            ("seen again", |it| it.known.heard_until = Some(NOW + hours(1))),
            ("measured again", |it| it.known.count = it.known.count.map(|c| Count { until: NOW + hours(1), ..c })),
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
        let mut later = Facts { encryption_measured_at: None, ..agreed.clone() };
        later.known.at = NOW + minutes(10);
        later.known.last_seen_at = Some(NOW + minutes(10));
        later.known.heard_until = Some(NOW + minutes(40));
        later.known.count =
            later.known.count.map(|it| Count { measured_at: NOW + minutes(10), until: NOW + minutes(40), ..it });
        assert_eq!(agreed.canonical().unwrap(), later.canonical().unwrap());
    }

    #[test]
    fn a_device_that_went_silent_is_shown_as_unknown_and_is_no_worse() {
        let agreed = facts();
        let old = silent(&agreed);
        assert_eq!(old.loss().only_here, None);
        assert_eq!(old.loss().consent(), "unknown lost, 92 not proven");
        assert!(!agreed.is_worse(&old));
        assert_ne!(agreed.canonical().unwrap(), old.canonical().unwrap());
    }

    #[test]
    fn a_device_that_speaks_and_does_not_count_is_worse() {
        let agreed = facts();
        let mut now = silent(&agreed);
        now.known.last_seen_at = Some(now.known.at);
        now.known.heard_until = Some(now.known.at + minutes(30));
        assert!(agreed.is_worse(&now));
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
        let agreed = silent(&facts());
        let mut now = facts();
        counts(&mut now, 9, 9);
        assert!(!agreed.is_worse(&now));
    }

    #[test]
    fn a_point_is_named_by_its_id_too() {
        let agreed = facts();
        let mut now = agreed.clone();
        now.known.newest = now.known.newest.map(|it| Point { id: RestorePointId::generate(NOW), ..it });
        assert_ne!(agreed.canonical().unwrap(), now.canonical().unwrap());
    }

    #[test]
    fn removing_company_data_loses_no_file() {
        let (facts, action) = (facts(), WipeAction::RemoveCompanyData);
        assert_eq!(facts.lost_by(action, &Time::iso), "The keys, no files");
        assert!(!facts.loss_sentence(action, &Time::iso).contains("lost"));
    }

    #[test]
    fn what_an_action_loses_and_what_is_typed_is_said_in_words() {
        let say: Say<'_> = &|at| at.iso();
        let wipe = facts().loss_sentence(WipeAction::Wipe, say);
        assert_eq!(wipe, facts().loss().sentence(say));
        assert!(wipe.contains("4 files"), "{wipe}");
        let removal = facts().loss_sentence(WipeAction::RemoveCompanyData, say);
        assert!(removal.starts_with("No files on the device"), "{removal}");
        assert_eq!(facts().typed_what(), "serial number");
        assert_eq!(Facts { serial: String::new(), ..facts() }.typed_what(), "name");
        assert_eq!(Facts { shares_serial: true, ..facts() }.typed_what(), "serial number and the name");
    }

    #[test]
    fn each_difference_shows_what_was_and_what_is() {
        let found = |change: Change, what: &str| {
            let (before, mut now) = (facts(), facts());
            now.device_id = before.device_id;
            change(&mut now);
            let difference = before.differences(&now).into_iter().find(|it| it.what == what).unwrap();
            (difference.before, difference.now, difference.is_worse)
        };
        let text = |it: &str| Value::Text(it.to_owned());
        let away: Change = |it| it.known.roots_away = vec!["/a".to_owned(), "/b".to_owned()];
        assert_eq!(found(away, "Folders without their mark"), (text("None"), text("/a, /b"), true));
        let gone: Change = |it| it.known.store_away_since = Some(NOW);
        assert_eq!(found(gone, "Backups can be read"), (text("Yes"), text("No"), true));
    }

    #[test]
    fn a_folder_that_came_back_or_was_away_before_is_no_worse_nor_is_a_store() {
        let with = |roots: &[&str]| {
            let mut it = facts();
            it.known.roots_away = roots.iter().map(|it| (*it).to_owned()).collect();
            it
        };
        let is_worse = |before: &Facts, now: &Facts, what: &str| {
            before.differences(now).into_iter().any(|it| it.what == what && it.is_worse)
        };
        let folders = "Folders without their mark";
        assert!(!is_worse(&with(&["/a", "/b"]), &with(&["/a"]), folders));
        assert!(is_worse(&with(&["/a"]), &with(&["/a", "/b"]), folders));
        assert!(is_worse(&with(&["/a"]), &with(&["/b"]), folders), "another one");
        let mut away = facts();
        away.known.store_away_since = Some(NOW);
        assert!(!is_worse(&away, &facts(), "Backups can be read"));
    }

    #[test]
    fn a_grade_that_can_be_relied_on_less_is_worse() {
        use Grade as G;
        let order =
            [G::Failed, G::Never, G::Unknown, G::Reported, G::Stored, G::OutOfDate, G::Verified, G::Partial, G::Proven];
        for (at, before) in order.iter().enumerate() {
            for (to, now) in order.iter().enumerate() {
                assert_eq!(is_worse_grade(*before, *now), to < at, "{before:?} {now:?}");
            }
        }
        for (before, now, worse) in
            [(Some(4), Some(4), false), (Some(4), Some(5), true), (Some(4), None, true), (None, Some(9), false)]
        {
            assert_eq!(is_more(before, now), worse, "{before:?} {now:?}");
        }
        assert!(!when("Newest backup", Some(NOW), Some(NOW)).is_worse);
        assert!(when("Newest backup", Some(NOW), Some(NOW - hours(1))).is_worse);
    }
}
