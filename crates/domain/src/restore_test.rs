//! What a restore test found.
use crate::object::{ObjectKind, ObjectName};
use crate::proof::{Level, TestResult};
use crate::text::text_enum;
use crate::words::{counted, number};
use serde::{Deserialize, Deserializer, Serialize};

/// The most names of files or objects kept for one test; the counts are always complete.
pub const MAX_NAMES: usize = 50;

/// The most keys of failed files kept for one test; beyond that, the manifest says what makes it good.
pub const MAX_KEYS: usize = 5_000;

/// What a restore test found, as its process reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    pub result: TestResult,
    /// The level this test shows for its restore point.
    pub level: Level,
    /// Files of the restore point: those of the manifest and those of the snapshot together.
    pub file_count: u64,
    /// Files whose path, size and SHA-256 are those of the manifest.
    pub matched_count: u64,
    /// Files that were not compared: they changed during the backup, could not be read, or are missing from the
    /// manifest.
    pub excluded_count: u64,
    pub excluded_bytes: u64,
    /// Bytes of the files that were read back.
    pub byte_count: u64,
    /// Bytes that were read from the store.
    pub stored_bytes_read: u64,
    /// What the point holds beyond the proven one; none if the two were not compared.
    #[serde(default)]
    pub beyond: Option<Beyond>,
    #[serde(default)]
    pub failures: Failures,
    /// Objects that were read back completely and whose bytes match their name.
    #[serde(default)]
    pub verified: Vec<ObjectName>,
    /// What must come back before this failure is made good.
    #[serde(default)]
    pub failed: Failed,
    /// What failed in other points and came back here.
    #[serde(default)]
    pub made_good: MadeGood,
    /// One or two sentences for a person.
    pub summary: String,
}

/// How much of a restore point was compared and came back equal, and how much was not compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    pub matched_files: u64,
    pub matched_bytes: u64,
    pub left_files: u64,
    pub left_bytes: u64,
}

impl Coverage {
    /// Whether so little was left uncompared that the point counts as proven: some files came back equal, and
    /// at most 5 % of the files and of the bytes were left out.
    pub fn is_whole(&self) -> bool {
        let is_little = |left: u64, matched: u64| u128::from(left) * 19 <= u128::from(matched);
        self.matched_files > 0
            && is_little(self.left_files, self.matched_files)
            && is_little(self.left_bytes, self.matched_bytes)
    }
}

/// Files in one manifest that another does not have with the same content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beyond {
    pub files: u64,
    pub bytes: u64,
}

/// What must come back, in a later test, before a failure is made good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The start of the SHA-256 of each failed file's path, in hex.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Set if the keys do not say everything.
    #[serde(default)]
    pub rest: Option<FailedRest>,
}

text_enum! {
    /// What failed beyond what can be listed file by file.
    FailedRest {
        /// Any file in the point's manifest may have failed.
        Manifest = "manifest",
        /// Nobody can say which files: there is no readable manifest.
        Unnamed = "unnamed",
    }
}

/// What failed in other points and came back in this test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeGood {
    /// Keys, as in [`Failed`], of files that came back as in the manifest.
    #[serde(default)]
    pub proven: Vec<String>,
    /// Keys of files that could be read back, with nothing to compare them with.
    #[serde(default)]
    pub read: Vec<String>,
    /// Manifests whose every file came back in this test as recorded.
    #[serde(default)]
    pub manifests: Vec<ObjectName>,
}

/// What a restore test names: the first names of each kind, and all counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// Files that could not be restored as they were.
    #[serde(default)]
    pub files: Vec<FileFailure>,
    #[serde(default)]
    pub file_count: u64,
    /// Stored objects that are missing or do not match their name.
    #[serde(default)]
    pub objects: Vec<ObjectFailure>,
    #[serde(default)]
    pub object_count: u64,
    /// Damaged objects that this backup does not need: everything it needs has a sound copy elsewhere.
    #[serde(default)]
    pub spared: Vec<ObjectFailure>,
    /// Files that were read back but not compared.
    #[serde(default)]
    pub not_compared: Vec<String>,
    /// What is wrong with the restore point as a whole.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Entries whose content came back, but with different rights, owners, times, attributes or links.
    #[serde(default)]
    pub metadata: Vec<FileFailure>,
    #[serde(default)]
    pub metadata_count: u64,
    /// Protected folders that were missing when this backup was made: it contains nothing from them.
    #[serde(default)]
    pub away: Vec<String>,
}

/// One file that failed, in the manifest's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFailure {
    pub path: String,
    pub reason: String,
}

/// One object that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectFailure {
    pub kind: ObjectKind,
    #[serde(deserialize_with = "any_name")]
    pub name: ObjectName,
    pub reason: String,
    /// Whether the stored bytes are wrong or gone, so that uploading the object again heals it.
    pub damaged: bool,
}

/// Restic's `config` is not named by a hash.
fn any_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectName, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "config" {
        return Ok(ObjectName::config());
    }
    ObjectName::try_from(text).map_err(serde::de::Error::custom)
}

impl Failures {
    /// Adds a file; only the first names are kept.
    pub fn file(&mut self, path: String, reason: String) {
        self.file_count += 1;
        if self.files.len() < MAX_NAMES {
            self.files.push(FileFailure { path, reason });
        }
    }

    /// Adds an entry that came back with other metadata; only the first names are kept.
    pub fn metadata(&mut self, path: String, reason: String) {
        self.metadata_count += 1;
        if self.metadata.len() < MAX_NAMES {
            self.metadata.push(FileFailure { path, reason });
        }
    }

    /// Whether something other than the files' content keeps the backup from being fully proven.
    pub fn is_partial(&self) -> bool {
        self.metadata_count > 0 || !self.away.is_empty()
    }

    /// What [`Failures::is_partial`] is about, in sentences; empty if there is nothing.
    pub fn said_apart(&self) -> String {
        let mut said = String::new();
        if let Some(first) = self.metadata.first() {
            let entries = counted(self.metadata_count, "entry", "entries");
            said.push_str(&format!(
                " {entries} came back with the same content but otherwise different; the first is {} ({}).",
                first.path, first.reason
            ));
        }
        if let Some(first) = self.away.first() {
            let more = match self.away.len() {
                1 => "was missing".to_owned(),
                more => {
                    format!(
                        "and {} were missing",
                        counted(
                            more - 1,
                            "other protected folder",
                            "other protected \
                     folders"
                        )
                    )
                }
            };
            said.push_str(&format!(
                " {first} {more} when this backup was made, so the backup contains nothing from \
             it."
            ));
        }
        said
    }

    /// Adds an object once; only the first names are kept.
    pub fn object(&mut self, failure: ObjectFailure) {
        if self.objects.iter().any(|it| it.kind == failure.kind && it.name == failure.name) {
            return;
        }
        self.object_count += 1;
        if self.objects.len() < MAX_NAMES {
            self.objects.push(failure);
        }
    }

    /// The objects whose stored bytes are wrong or gone.
    pub fn damaged(&self) -> impl Iterator<Item = &ObjectFailure> {
        self.objects.iter().chain(&self.spared).filter(|it| it.damaged)
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.file_count == 0 && self.object_count == 0 && self.notes.is_empty()
    }
}

impl TestReport {
    /// The outcome in numbers, without file names: people who may not see those read the history.
    pub fn outline(&self) -> String {
        let (files, objects) = (self.failures.file_count, self.failures.object_count);
        match self.result {
            TestResult::Unproven => "the test could not be run to its end".to_owned(),
            TestResult::Failed if files == 0 && objects == 0 => "the backup cannot be restored".to_owned(),
            TestResult::Failed => format!(
                "{} came back different, {} cannot be used",
                counted(files, "file", "files"),
                counted(objects, "stored object", "stored objects")
            ),
            TestResult::Passed | TestResult::Partial => format!(
                "{} of {} came back as the device had them",
                number(self.matched_count),
                counted(self.file_count, "file", "files")
            ),
        }
    }

    /// The same without long lists, for a channel that takes 64 KiB: the first few names, cut where they are long.
    ///
    /// A device chooses its names, and none may be so long that nobody hears of the failure: written as JSON it has less than
    /// 48 KiB whatever they are. The counts stay complete.
    #[must_use]
    pub fn brief(mut self) -> Self {
        const NAMES: usize = 5;
        const OBJECTS: usize = 20;
        self.verified.clear();
        (self.failed, self.made_good) = (Failed::default(), MadeGood::default());
        for it in [&mut self.failures.files, &mut self.failures.metadata] {
            it.truncate(NAMES);
            it.iter_mut().for_each(|it| [&mut it.path, &mut it.reason].into_iter().for_each(cut));
        }
        self.failures.objects.truncate(OBJECTS);
        self.failures.spared.truncate(NAMES);
        for it in [&mut self.failures.objects, &mut self.failures.spared] {
            it.iter_mut().for_each(|it| cut(&mut it.reason));
        }
        for it in [&mut self.failures.not_compared, &mut self.failures.notes, &mut self.failures.away] {
            it.truncate(NAMES);
            it.iter_mut().for_each(cut);
        }
        self.summary.truncate(self.summary.floor_char_boundary(400));
        self
    }

    /// A test that ended without findings of its own.
    pub fn bare(result: TestResult, level: Level, summary: impl Into<String>) -> Self {
        Self {
            result,
            level,
            file_count: 0,
            matched_count: 0,
            excluded_count: 0,
            excluded_bytes: 0,
            byte_count: 0,
            stored_bytes_read: 0,
            beyond: None,
            failures: Failures::default(),
            verified: Vec::new(),
            failed: Failed::default(),
            made_good: MadeGood::default(),
            summary: summary.into(),
        }
    }

    /// A test that could not finish through no fault of the backup.
    pub fn unproven(why: impl Into<String>) -> Self {
        Self::bare(TestResult::Unproven, Level::Reported, why)
    }

    /// A test that ended because the backup as a whole is wrong.
    pub fn failed(level: Level, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut report = Self::bare(TestResult::Failed, level, why.clone());
        report.failures.notes.push(why);
        report.failed.rest = Some(FailedRest::Unnamed);
        report
    }
}

/// At most 100 bytes of a text.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(100));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_five_per_cent_of_files_or_of_bytes_is_a_part() {
        let of = |matched_files, left_files, matched_bytes, left_bytes| {
            Coverage { matched_files, matched_bytes, left_files, left_bytes }.is_whole()
        };
        assert!(of(1, 0, 0, 0) && of(95, 5, 100, 0) && of(1000, 1, 95, 5));
        assert!(!of(1, 200, 1, 200), "1 of 201");
        assert!(!of(94, 6, 100, 0) && !of(9499, 501, 1, 0));
        assert!(!of(1000, 1, 94, 6) && !of(1000, 1, 0, 1), "one file may be most of the bytes");
        assert!(!of(0, 0, 0, 0), "nothing was compared");
        assert!(!of(u64::MAX, u64::MAX, 1, 0) && of(u64::MAX, 1, u64::MAX, 1));
    }

    #[test]
    fn a_report_that_names_the_config_can_be_read() {
        let mut report = TestReport::failed(Level::Stored, "x");
        let (kind, name) = (ObjectKind::Config, ObjectName::config());
        report.failures.object(ObjectFailure { kind, name, reason: "gone".to_owned(), damaged: true });
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<TestReport>(&text).unwrap(), report);
    }

    fn lost(name: u8) -> ObjectFailure {
        let name = ObjectName::from_hash(&[name; 32]);
        ObjectFailure { kind: ObjectKind::Data, name, reason: "missing".to_owned(), damaged: true }
    }

    #[test]
    fn all_that_failed_is_counted_and_only_the_first_are_named() {
        let mut failures = Failures::default();
        assert!(failures.is_empty());
        for number in 0..MAX_NAMES + 2 {
            failures.file(format!("/f/{number}"), "different".to_owned());
            failures.metadata(format!("/m/{number}"), "other rights".to_owned());
        }
        let most = MAX_NAMES as u64 + 2;
        assert_eq!((failures.file_count, failures.files.len()), (most, MAX_NAMES));
        assert_eq!((failures.metadata_count, failures.metadata.len()), (most, MAX_NAMES));
        assert_eq!((failures.files[1].path.as_str(), failures.metadata[1].reason.as_str()), ("/f/1", "other rights"));
    }

    #[test]
    fn an_object_fails_once() {
        let mut failures = Failures::default();
        let index = |name| ObjectFailure { kind: ObjectKind::Index, ..lost(name) };
        for it in [lost(1), lost(2), lost(1), index(1), index(2)] {
            failures.object(it);
        }
        assert_eq!((failures.object_count, failures.objects.len()), (4, 4));
        for number in 0..MAX_NAMES {
            failures.object(ObjectFailure { kind: ObjectKind::Snapshots, ..named(number) });
        }
        assert_eq!((failures.object_count, failures.objects.len()), (4 + MAX_NAMES as u64, MAX_NAMES));
        failures.spared.push(ObjectFailure { damaged: false, ..lost(9) });
        failures.spared.push(lost(8));
        assert_eq!(failures.damaged().count(), MAX_NAMES + 1, "only what is wrong in the store");
    }

    fn named(number: usize) -> ObjectFailure {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        ObjectFailure { name: ObjectName::from_hash(&hash), ..lost(0) }
    }

    #[test]
    fn anything_that_failed_is_not_nothing() {
        let mut file = Failures::default();
        file.file("/a".to_owned(), "different".to_owned());
        let mut object = Failures::default();
        object.object(lost(1));
        let note = Failures { notes: vec!["no snapshot".to_owned()], ..Failures::default() };
        assert!([file, object, note].iter().all(|it| !it.is_empty()));
    }

    #[test]
    fn other_metadata_and_folders_that_were_away_make_a_part_and_are_said_apart() {
        let whole = Failures::default();
        assert!(!whole.is_partial() && whole.said_apart().is_empty());
        let mut other = Failures::default();
        other.metadata("/a".to_owned(), "other rights".to_owned());
        assert!(other.is_partial());
        assert_eq!(
            other.said_apart(),
            " 1 entry came back with the same content but otherwise different; the first is /a (other rights)."
        );
        let away = |count| Failures { away: vec!["/mnt".to_owned(); count], ..Failures::default() };
        assert!(away(1).is_partial());
        for (count, words) in [
            (1, "/mnt was missing when"),
            (2, "/mnt and 1 other protected folder were missing when"),
            (3, "/mnt and 2 other protected folders were missing when"),
        ] {
            assert!(away(count).said_apart().contains(words), "{}", away(count).said_apart());
        }
    }

    #[test]
    fn a_brief_report_is_short_whatever_a_device_wrote_into_it() {
        for hostile in ["\u{1}", "é", "🗝", "\""] {
            let long = hostile.repeat(100_000);
            let mut report = TestReport::failed(Level::Stored, long.clone());
            report.verified = (0..1000).map(|it| named(it).name).collect();
            report.failed.keys = vec!["key".to_owned(); MAX_KEYS];
            for number in 0..MAX_NAMES {
                report.failures.file(long.clone(), long.clone());
                report.failures.metadata(long.clone(), long.clone());
                report.failures.object(ObjectFailure { reason: long.clone(), ..named(number) });
                report.failures.spared.push(ObjectFailure { reason: long.clone(), ..named(number) });
                report.failures.not_compared.push(long.clone());
                report.failures.away.push(long.clone());
            }
            let (files, objects) = (report.failures.file_count, report.failures.object_count);
            let brief = report.brief();
            let text = serde_json::to_string(&brief).unwrap();
            assert!(text.len() < 48 << 10, "{hostile:?}: {}", text.len());
            assert_eq!((brief.failures.file_count, brief.failures.object_count), (files, objects));
            assert_eq!(brief.failures.damaged().count(), 25);
        }
    }

    #[test]
    fn an_outline_has_numbers_and_no_names() {
        let mut report = TestReport {
            result: TestResult::Failed,
            file_count: 3,
            matched_count: 2,
            ..TestReport::unproven(String::new())
        };
        assert_eq!(report.outline(), "the backup cannot be restored");
        report.failures.file("/secret".to_owned(), "different".to_owned());
        assert_eq!(report.outline(), "1 file came back different, 0 stored objects cannot be used");
        report.failures = Failures::default();
        report.failures.object(lost(1));
        assert_eq!(report.outline(), "0 files came back different, 1 stored object cannot be used");
        report.result = TestResult::Unproven;
        assert_eq!(report.outline(), "the test could not be run to its end");
    }
}
