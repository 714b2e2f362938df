//! What a restore test found.
use crate::domain::object::{ObjectKind, ObjectName};
use crate::domain::proof::{Level, TestResult};
use crate::domain::text::text_enum;
use crate::domain::words::{counted, number};
use serde::{Deserialize, Deserializer, Serialize};

/// At most so many names of files or objects are kept of one test; the counts are always whole.
pub const MAX_NAMES: usize = 50;

/// At most so many keys of failed files are kept of one test; of more, the manifest says what makes it good.
pub const MAX_KEYS: usize = 5_000;

/// What a restore test found, as its process reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    pub result: TestResult,
    /// The level that this test shows for its restore point.
    pub level: Level,
    /// Files of the restore point: those of the manifest and those of the snapshot together.
    pub file_count: u64,
    /// Files whose path, size and SHA-256 are those of the manifest.
    pub matched_count: u64,
    /// Files that were not compared: they changed during the backup, could not be read, or the manifest has them not.
    pub excluded_count: u64,
    pub excluded_bytes: u64,
    /// Bytes of the files that were read back.
    pub byte_count: u64,
    /// Bytes that were read from the store.
    pub stored_bytes_read: u64,
    /// What the point holds beyond the proven one; none where the two were not compared.
    #[serde(default)]
    pub beyond: Option<Beyond>,
    #[serde(default)]
    pub failures: Failures,
    /// Objects that were read back whole and have the bytes that their name says.
    #[serde(default)]
    pub verified: Vec<ObjectName>,
    /// What must come back before this failure is made good.
    #[serde(default)]
    pub failed: Failed,
    /// What failed of other points and came back here.
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
    /// Whether what was not compared is so little that the point counts as proven: some files came back equal, and at
    /// most 5 % of the files and of the bytes were left out.
    pub fn is_whole(&self) -> bool {
        let is_little = |left: u64, matched: u64| u128::from(left) * 19 <= u128::from(matched);
        self.matched_files > 0
            && is_little(self.left_files, self.matched_files)
            && is_little(self.left_bytes, self.matched_bytes)
    }
}

/// Files that one manifest has and another does not have with the same content.
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
    /// Set where the keys do not say it all.
    #[serde(default)]
    pub rest: Option<FailedRest>,
}

text_enum! {
    /// What failed beyond what can be told file by file.
    FailedRest {
        /// Every file of the point's manifest may have.
        Manifest = "manifest",
        /// Nobody can say which files: there is no manifest that could be read.
        Unnamed = "unnamed",
    }
}

/// What failed of other points and came back in this test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeGood {
    /// Keys, as in [`Failed`], of files that came back as the manifest has them.
    #[serde(default)]
    pub proven: Vec<String>,
    /// Keys of files that could be read back, with nothing to compare them with.
    #[serde(default)]
    pub read: Vec<String>,
    /// Manifests of which each file came back in this test as its own manifest has it.
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
    /// Stored objects that are missing or are not what their name says.
    #[serde(default)]
    pub objects: Vec<ObjectFailure>,
    #[serde(default)]
    pub object_count: u64,
    /// Damaged objects that this backup does not need: all that it needs has a sound copy elsewhere.
    #[serde(default)]
    pub spared: Vec<ObjectFailure>,
    /// Files that were read back but not compared.
    #[serde(default)]
    pub not_compared: Vec<String>,
    /// What is wrong with the restore point as a whole.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Entries whose content came back, with other rights, owners, times, attributes or links than they had.
    #[serde(default)]
    pub metadata: Vec<FileFailure>,
    #[serde(default)]
    pub metadata_count: u64,
    /// Protected folders that were away when this backup was made: nothing of them is in it.
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
    /// Whether the stored bytes are wrong or gone, so that posting the object again heals it.
    pub damaged: bool,
}

/// Restic's `config` has no hash for a name.
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

    /// Whether something beside the files' content keeps the backup from being proven whole.
    pub fn is_partial(&self) -> bool {
        self.metadata_count > 0 || !self.away.is_empty()
    }

    /// What [`Failures::is_partial`] is about, in sentences; empty where there is nothing.
    pub fn said_apart(&self) -> String {
        let mut said = String::new();
        if let Some(first) = self.metadata.first() {
            let entries = counted(self.metadata_count, "entry", "entries");
            said.push_str(&format!(
                " {entries} came back with the same content and otherwise not as before, the first is {} ({}).",
                first.path, first.reason
            ));
        }
        if let Some(first) = self.away.first() {
            let more = match self.away.len() {
                1 => "was away".to_owned(),
                more => {
                    format!("and {} were away", counted(more - 1, "other protected folder", "other protected folders"))
                }
            };
            said.push_str(&format!(" {first} {more} when this backup was made, so nothing of it is in it."));
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
    /// The outcome in numbers, without a name of a file: the history is read by people who may not see those.
    pub fn outline(&self) -> String {
        let (files, objects) = (self.failures.file_count, self.failures.object_count);
        match self.result {
            TestResult::Unproven => "the test could not be run to its end".to_owned(),
            TestResult::Failed if files == 0 && objects == 0 => "the backup cannot be restored".to_owned(),
            TestResult::Failed => format!(
                "{} came back otherwise, {} cannot be used",
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

    /// A test that ended without a finding of its own.
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

    /// A test that could not be run to its end through no fault of the backup.
    pub fn unproven(why: impl Into<String>) -> Self {
        Self::bare(TestResult::Unproven, Level::Reported, why)
    }

    /// A test that ended because the backup is wrong as a whole.
    pub fn failed(level: Level, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut report = Self::bare(TestResult::Failed, level, why.clone());
        report.failures.notes.push(why);
        report.failed.rest = Some(FailedRest::Unnamed);
        report
    }
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
}
