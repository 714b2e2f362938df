//! What is known of a device when somebody decides to wipe it.
use crate::domain::device::{Encryption, Ownership};
use crate::domain::id::{DeviceId, RestorePointId};
use crate::domain::proof::Grade;
use crate::domain::time::Time;
use crate::domain::words::{bytes as size, counted, files};
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
    pub newest: Option<Point>,
    pub proven: Option<Point>,
    pub grade: Grade,
    /// By the server's clock.
    pub last_seen_at: Option<Time>,
}

/// The three layers of what a wipe loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Exists only on the device.
    pub only_here: Option<Amount>,
    /// Is in a backup that has never been restored.
    pub not_proven: Option<Amount>,
    /// Everything up to here was restored and compared, once.
    pub proven_at: Option<Time>,
    /// Whether that proof still holds.
    pub holds: bool,
    pub has_backup: bool,
}

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

    /// What is typed to show that this device is meant: its serial, or its name where it has none.
    pub fn typed_name(&self) -> &str {
        if self.serial.is_empty() { &self.name } else { &self.serial }
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
        // Each of these turns the decision itself, so any change goes back to the people.
        all.push(text("Encrypted", encryption(self.encryption), encryption(now.encryption), true));
        all.push(text("Serial", &self.serial, &now.serial, true));
        all.push(text("Ownership", self.ownership.as_str(), now.ownership.as_str(), true));
        all.push(text("Enrolment", &self.generation.to_string(), &now.generation.to_string(), true));
        all.retain(|it| it.before != it.now);
        all
    }

    /// Whether `now` is worse in anything than these facts, which were agreed to.
    pub fn is_worse(&self, now: &Self) -> bool {
        self.differences(now).iter().any(|it| it.is_worse)
    }
}

impl Loss {
    /// Whether everything was restored and compared, and nothing changed since.
    pub fn is_nothing(&self) -> bool {
        let none = Some(0);
        self.holds && self.only_here.map(|it| it.files) == none && self.not_proven.map(|it| it.files) == none
    }

    /// What the box of consent is sent as: the numbers themselves, so that old ones are not taken for new ones.
    pub fn consent(&self) -> String {
        let number = |it: Option<Amount>| it.map_or_else(|| "unknown".to_owned(), |it| it.files.to_string());
        format!("{} lost, {} not proven", number(self.only_here), number(self.not_proven))
    }

    /// What is agreed to, after "I accept". That a device counted no file is its own word, so what is missing is named
    /// instead.
    pub fn accepted(&self) -> String {
        let lost = match self.only_here {
            Some(it) if it.files == 0 => None,
            Some(it) => Some(format!("losing {}", files(it.files))),
            None => Some("losing an unknown number of files".to_owned()),
        };
        let risked = match self.not_proven {
            Some(it) if it.files == 0 => None,
            Some(it) => {
                Some(format!("risking {}", counted(it.files, "file that is not proven", "files that are not proven")))
            }
            None => Some("risking an unknown number of files that are not proven".to_owned()),
        };
        match (lost, risked) {
            (Some(lost), Some(risked)) => format!("{lost}, and {risked}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) if self.has_backup => "that no proof of its backups holds".to_owned(),
            (None, None) => "that it has no backup: whatever it did not count is lost".to_owned(),
        }
    }

    /// All three layers in plain words, times in UTC; for mails and the history.
    pub fn sentence(&self) -> String {
        if self.is_nothing() {
            let at = self.proven_at.map(Time::iso).unwrap_or_default();
            return format!("Nothing would be lost: all data up to {at} was restored and compared.");
        }
        let here = match self.only_here {
            Some(it) if it.files == 0 => "The device counted no file that exists only on it.".to_owned(),
            Some(it) => {
                let verb = if it.files == 1 { "exists" } else { "exist" };
                format!("{} ({}) {verb} only on the device and will be lost.", files(it.files), size(it.bytes))
            }
            None => "How many files exist only on the device is not known.".to_owned(),
        };
        let not_proven = match self.not_proven {
            Some(it) if it.files == 0 => String::new(),
            Some(it) => {
                let verb = if it.files == 1 { "is" } else { "are" };
                format!(" {} ({}) {verb} in a backup that is not proven.", files(it.files), size(it.bytes))
            }
            None => " How much of the newest backup is not proven is not known.".to_owned(),
        };
        let proven = match (self.proven_at, self.holds) {
            (Some(at), true) => format!(" Everything up to {} is proven.", at.iso()),
            (Some(at), false) => format!(" Everything up to {} was proven once; that proof does not hold.", at.iso()),
            (None, _) => " Nothing is proven.".to_owned(),
        };
        format!("{here}{not_proven}{proven}")
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
        }
    }

    #[test]
    fn what_is_agreed_to_names_only_what_there_is() {
        let accepted = |only_here: Option<i64>, not_proven: Option<i64>| {
            let amount = |files: Option<i64>| files.map(|files| Amount { files, bytes: 1 });
            Facts { only_here: amount(only_here), not_proven: amount(not_proven), ..facts() }.loss().accepted()
        };

        assert_eq!(accepted(Some(4), Some(92)), "losing 4 files, and risking 92 files that are not proven");
        assert_eq!(accepted(Some(0), Some(1)), "risking 1 file that is not proven");
        assert_eq!(accepted(Some(1), Some(0)), "losing 1 file");
        assert!(accepted(None, None).starts_with("losing an unknown number of files, and risking an unknown"));
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
    fn agreeing_to_the_unknown_covers_any_number() {
        let agreed = Facts { only_here: None, ..facts() };
        assert!(!agreed.is_worse(&Facts { only_here: Some(Amount { files: 9, bytes: 9 }), ..agreed.clone() }));
    }

    #[test]
    fn only_a_complete_and_current_proof_loses_nothing() {
        let none = Some(Amount::default());
        let safe = Facts { only_here: none, not_proven: none, ..facts() };
        assert!(safe.loss().is_nothing());
        for other in [
            Facts { grade: Grade::OutOfDate, ..safe.clone() },
            Facts { grade: Grade::Verified, ..safe.clone() },
            Facts { grade: Grade::Failed, ..safe.clone() },
            Facts { only_here: None, ..safe.clone() },
            Facts { measure_holds: false, ..safe.clone() },
            Facts { not_proven: None, ..safe.clone() },
            Facts { only_here: Some(Amount { files: 1, bytes: 0 }), ..safe.clone() },
        ] {
            assert!(!other.loss().is_nothing(), "{other:?}");
        }
    }

    #[test]
    fn without_numbers_the_missing_proof_or_backup_is_agreed_to() {
        let none = Some(Amount::default());
        let lapsed = Facts { only_here: none, not_proven: none, grade: Grade::OutOfDate, ..facts() };
        let bare = Facts { newest: None, proven: None, grade: Grade::Never, ..lapsed.clone() };
        assert!(!lapsed.loss().is_nothing() && !bare.loss().is_nothing());
        assert_eq!(lapsed.loss().accepted(), "that no proof of its backups holds");
        assert_eq!(bare.loss().accepted(), "that it has no backup: whatever it did not count is lost");
    }

    #[test]
    fn the_sentence_names_all_three_layers() {
        let sentence = facts().loss().sentence();
        assert!(sentence.starts_with("4 files (9.0 MB) exist only on the device and will be lost."));
        assert!(sentence.contains("92 files (403 MB) are in a backup that is not proven."), "{sentence}");
        assert!(sentence.ends_with("is proven."), "{sentence}");
        let one = Some(Amount { files: 1, bytes: 10 });
        let single = Facts { only_here: one, not_proven: one, ..facts() }.loss().sentence();
        assert!(single.starts_with("1 file (10 B) exists only on the device"), "{single}");
        assert!(single.contains(" 1 file (10 B) is in a backup"), "{single}");
        let never = Facts { proven: None, only_here: None, grade: Grade::Never, ..facts() };
        assert!(never.loss().sentence().contains("is not known"), "{}", never.loss().sentence());
        assert!(never.loss().sentence().ends_with("Nothing is proven."));
    }
}
