//! What a test has found so far, and its report.
use crate::proof::check::expected::key_of;
use domain::object::{ObjectKind, ObjectName};
use domain::proof::{Level, TestResult};
use domain::restore_test::{
    Beyond, Coverage, Failed, FailedRest, Failures, MAX_KEYS, MAX_NAMES, MadeGood, ObjectFailure, TestReport,
};
use domain::words::{bytes, files, number};
use repository::{Fault, Id, Problem, Seen};

/// What a test has found so far.
#[derive(Debug, Default)]
pub struct Finding {
    pub has_manifest: bool,
    has_bad_manifest: bool,
    pub file_count: u64,
    pub byte_count: u64,
    pub beyond: Option<Beyond>,
    pub made_good: MadeGood,
    /// Files whose chunks are in no index; they are in no table, so they are counted here.
    pub lost: u64,
    coverage: Coverage,
    /// The keys of the files that failed, as many as are kept.
    failed_keys: Vec<String>,
    stored_bytes_read: u64,
    verified: Vec<ObjectName>,
    failures: Failures,
    /// Something needed is not in the store at all.
    is_missing: bool,
    /// Something cannot be read back.
    is_unreadable: bool,
    /// A folder cannot be read, so nobody knows what is below it.
    is_cut_off: bool,
}

impl Finding {
    /// A file whose content cannot be read back.
    pub fn read_failed(&mut self, path: String, fault: &Fault) {
        self.is_unreadable = true;
        self.file(path, fault.to_string());
        self.object(fault);
    }

    /// A folder, or something in it, that cannot be entered or has a hostile name.
    pub fn entry_failed(&mut self, path: &str, fault: &Fault) {
        self.is_unreadable = true;
        self.is_cut_off |= !matches!(fault, Fault::Node(_));
        self.note(format!("{}: {fault}", if path.is_empty() { "/" } else { path }));
        self.object(fault);
    }

    /// A file that came back different from what the device had.
    pub fn differs(&mut self, path: String, reason: String) {
        self.file(path, reason);
    }

    /// A file that came back as the device had it.
    pub fn matched(&mut self, size: u64) {
        self.coverage.matched_files += 1;
        self.coverage.matched_bytes = self.coverage.matched_bytes.saturating_add(size);
    }

    fn file(&mut self, path: String, reason: String) {
        if self.failed_keys.len() < MAX_KEYS {
            self.failed_keys.push(hex::encode(key_of(&path)));
        }
        self.failures.file(path, reason);
    }

    /// An entry whose content came back, but with different rights, owner, time, attributes or links.
    pub fn other_metadata(&mut self, path: String, reason: String) {
        self.failures.metadata(path, reason);
    }

    /// Something that is not a file and was not compared: it is named, and the proof of files is not affected.
    pub fn entry_not_compared(&mut self, path: &str) {
        if self.failures.not_compared.len() < MAX_NAMES {
            self.failures.not_compared.push(path.to_owned());
        }
    }

    /// Protected folders with nothing in the backup.
    pub fn away(&mut self, roots: &[String]) {
        self.failures.away = roots.iter().take(MAX_NAMES).cloned().collect();
    }

    /// A file in the manifest that the backup does not have.
    pub fn missing(&mut self, path: String) {
        let reason =
            if self.is_cut_off { "cannot be reached: a folder cannot be read" } else { "is not in the backup" };
        self.file(path, reason.to_owned());
    }

    /// A file that was read back but not compared.
    pub fn not_compared(&mut self, path: &str, size: u64) {
        self.coverage.left_files += 1;
        self.coverage.left_bytes = self.coverage.left_bytes.saturating_add(size);
        if let Some(beyond) = &mut self.beyond {
            beyond.files += 1;
            beyond.bytes = beyond.bytes.saturating_add(size);
        }
        if self.has_manifest && self.failures.not_compared.len() < MAX_NAMES {
            self.failures.not_compared.push(path.to_owned());
        }
    }

    /// The manifest is there but is not this backup's.
    pub fn unbound(&mut self, why: &str) {
        self.has_bad_manifest = true;
        self.note(why.to_owned());
    }

    /// A chunk's pack that the ledger does not have, or has with less than the index says.
    pub fn not_stored(&mut self, pack: &Id) {
        self.is_missing = true;
        self.failures.object(ObjectFailure {
            kind: ObjectKind::Data,
            name: pack.name(),
            reason: "is needed but missing from the store, or too short".to_owned(),
            damaged: false,
        });
    }

    /// Names the object of a fault.
    pub fn object(&mut self, fault: &Fault) {
        let damaged = fault.damaged().is_some();
        let (kind, name) = match fault {
            Fault::Missing { kind, name } => {
                self.is_missing = true;
                (*kind, name.clone())
            }
            Fault::Object { kind, name, .. } => (*kind, name.clone()),
            Fault::Blob { pack, problem: Problem::NoPack, .. } => return self.not_stored(pack),
            Fault::Blob { pack, .. } => (ObjectKind::Data, pack.name()),
            Fault::Unavailable(_) | Fault::NotIndexed(_) | Fault::Node(_) | Fault::Limit(_) | Fault::Write(_) => return,
        };
        let reason = match fault {
            Fault::Object { problem, .. } | Fault::Blob { problem, .. } => problem.to_string(),
            Fault::Missing { .. } => "is gone from the store".to_owned(),
            Fault::Unavailable(_) | Fault::NotIndexed(_) | Fault::Node(_) | Fault::Limit(_) | Fault::Write(_) => {
                fault.to_string()
            }
        };
        self.failures.object(ObjectFailure { kind, name, reason, damaged });
    }

    /// Takes over what the reader noticed; `to_the_end` if nothing cut it short.
    pub fn take(&mut self, seen: &Seen, to_the_end: bool) {
        self.stored_bytes_read = seen.bytes_read;
        let came_back = to_the_end && !self.is_missing && !self.is_unreadable;
        let spared: Vec<_> =
            seen.faults.iter().filter_map(Fault::damaged).filter(|it| came_back && !relies(seen, it)).collect();
        for fault in &seen.faults {
            if let Some(object) = fault.object_name().filter(|it| spared.contains(it)) {
                self.spare(object, fault);
                continue;
            }
            self.is_unreadable = true;
            // What was named for one of its chunks is named for itself instead.
            if let Some((kind, name)) = fault.damaged() {
                let had = self.failures.objects.len();
                self.failures.objects.retain(|it| it.damaged || it.kind != kind || it.name != *name);
                let gone = had.saturating_sub(self.failures.objects.len());
                self.failures.object_count -= u64::try_from(gone).unwrap_or(0);
            }
            self.object(fault);
        }
        self.verified = seen.verified.iter().map(Id::name).take(20_000).collect();
    }

    /// Damage that does not keep anything from coming back.
    fn spare(&mut self, (kind, name): (ObjectKind, &ObjectName), fault: &Fault) {
        let is_news = !self.failures.spared.iter().any(|it| it.kind == kind && it.name == *name);
        if is_news && fault.damaged().is_some() && self.failures.spared.len() < MAX_NAMES {
            let (name, reason) = (name.clone(), fault.to_string());
            self.failures.spared.push(ObjectFailure { kind, name, reason, damaged: true });
        }
    }

    fn note(&mut self, text: String) {
        if self.failures.notes.len() < MAX_NAMES {
            self.failures.notes.push(text);
        }
    }

    /// The report of a completed test.
    pub fn report(mut self) -> TestReport {
        self.file_count += self.lost;
        let level = self.level();
        let result = if !self.failures.is_empty() {
            TestResult::Failed
        } else if !self.has_manifest || !self.coverage.is_whole() || self.failures.is_partial() {
            TestResult::Partial
        } else {
            TestResult::Passed
        };
        let summary = self.summary(result) + &self.failures.said_apart();
        self.finish(result, level, summary, false)
    }

    /// The report of a test that a fault ended.
    pub fn report_cut_short(mut self, fault: &Fault) -> TestReport {
        if let Fault::Unavailable(_) = fault {
            return self.finish(
                TestResult::Unproven,
                Level::Reported,
                format!("The test could not be run to its end: {fault}."),
                true,
            );
        }
        self.is_unreadable = true;
        self.object(fault);
        self.note(fault.to_string());
        let level = self.level();
        self.finish(TestResult::Failed, level, format!("The backup cannot be restored: {fault}."), true)
    }

    fn level(&self) -> Level {
        if self.is_missing {
            Level::Reported
        } else if self.is_unreadable {
            Level::Stored
        } else if !self.has_manifest || !self.failures.is_empty() || self.coverage.matched_files == 0 {
            Level::Verified
        } else if self.coverage.is_whole() && !self.failures.is_partial() {
            Level::Proven
        } else {
            Level::Partial
        }
    }

    /// What must come back before the failure is made good.
    fn failed(&mut self, was_cut_short: bool) -> Failed {
        let keys = std::mem::take(&mut self.failed_keys);
        // Names stand for the failure only if they are all of it.
        let is_named = !was_cut_short
            && !keys.is_empty()
            && u64::try_from(keys.len()) == Ok(self.failures.file_count)
            && (self.has_manifest || !self.is_cut_off);
        match (is_named, self.has_bad_manifest) {
            (true, _) => Failed { keys, rest: None },
            (false, true) => Failed { keys: Vec::new(), rest: Some(FailedRest::Unnamed) },
            (false, false) => Failed { keys: Vec::new(), rest: Some(FailedRest::Manifest) },
        }
    }

    fn finish(mut self, result: TestResult, level: Level, summary: String, was_cut_short: bool) -> TestReport {
        let failed = if result == TestResult::Failed { self.failed(was_cut_short) } else { Failed::default() };
        TestReport {
            result,
            level,
            file_count: self.file_count,
            matched_count: self.coverage.matched_files,
            excluded_count: self.coverage.left_files,
            excluded_bytes: self.coverage.left_bytes,
            byte_count: self.byte_count,
            stored_bytes_read: self.stored_bytes_read,
            beyond: self.beyond,
            failures: self.failures,
            verified: self.verified,
            failed,
            made_good: self.made_good,
            summary,
        }
    }

    fn summary(&self, result: TestResult) -> String {
        let files = files(self.file_count);
        match result {
            TestResult::Passed if self.file_count == 1 && self.coverage.left_files == 0 => {
                "The one file came back as the device had it.".to_owned()
            }
            TestResult::Passed if self.coverage.left_files == 0 => {
                format!("All {files} came back as the device had them.")
            }
            TestResult::Passed => format!(
                "{} of {files} came back as the device had them. Not compared, and not proven: {}, which changed \
                 during the backup, could not be read, or are not in the device's list.",
                number(self.coverage.matched_files),
                number(self.coverage.left_files)
            ),
            TestResult::Partial if !self.has_manifest => format!(
                "Every object this backup needs is intact and {files} can be read back, but the device sent no \
                 list of its files for this backup, so there is nothing to compare them with."
            ),
            TestResult::Partial if self.file_count == 0 => "Every object this backup needs is intact, but it contains \
             no files, so there is nothing to prove. Check which folders the device protects."
                .to_owned(),
            // Why it is not proven all the same is said after this.
            TestResult::Partial if self.coverage.is_whole() => format!(
                "{} of {files} came back with the content that the device had.",
                number(self.coverage.matched_files)
            ),
            TestResult::Partial => format!(
                "{} of {files} proven. The others, {} with {}, were not compared: they changed during the backup, \
                 could not be read, or are not in the device's list. That is too much to call the backup proven.",
                number(self.coverage.matched_files),
                number(self.coverage.left_files),
                bytes(i64::try_from(self.coverage.left_bytes).unwrap_or(i64::MAX))
            ),
            TestResult::Failed | TestResult::Unproven => self.failed_summary(),
        }
    }

    fn failed_summary(&self) -> String {
        let mut said = Vec::new();
        if let Some(first) = self.failures.files.first() {
            said.push(format!(
                "{} of {} did not come back as the device had them; the first is {} ({}).",
                number(self.failures.file_count),
                files(self.file_count),
                shorten(&first.path),
                first.reason
            ));
        }
        match (self.failures.objects.first(), self.failures.object_count) {
            (None, _) => {}
            (Some(first), 1) => said.push(format!("Stored object {}/{} {}.", first.kind, first.name, first.reason)),
            (Some(_), more) => said.push(format!("{} stored objects cannot be used.", number(more))),
        }
        if let (true, Some(note)) = (said.len() < 2, self.failures.notes.first()) {
            said.push(format!("{}.", shorten(note)));
        }
        said.join(" ")
    }
}

/// Whether a damaged object is needed after all: a folder or chunk is nowhere else.
fn relies(seen: &Seen, (kind, name): &(ObjectKind, &ObjectName)) -> bool {
    match kind {
        ObjectKind::Data => seen.relied_on.iter().any(|it| it.name() == **name),
        // Another index supplied what this one would have.
        ObjectKind::Index => false,
        ObjectKind::Config | ObjectKind::Keys | ObjectKind::Locks | ObjectKind::Manifests | ObjectKind::Snapshots => {
            true
        }
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 200 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(200).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_compared_nothing_proves_nothing() {
        let finding = Finding { file_count: 3, ..Finding::default() };
        let report = finding.report();
        assert_eq!((report.result, report.level), (TestResult::Partial, Level::Verified));
        assert!(report.summary.starts_with("Every object this backup needs is intact"), "{}", report.summary);

        let mut finding = Finding { has_manifest: true, file_count: 1, ..Finding::default() };
        finding.not_compared("/a", 5);
        assert_eq!(finding.report().level, Level::Verified);

        let report = Finding { has_manifest: true, ..Finding::default() }.report();
        assert_eq!((report.result, report.level), (TestResult::Partial, Level::Verified));
        assert!(report.summary.contains("no file"), "{}", report.summary);
    }

    #[test]
    fn a_store_that_is_away_is_not_a_failure() {
        let report = Finding::default().report_cut_short(&Fault::Unavailable("disk".to_owned()));
        assert_eq!(report.result, TestResult::Unproven);
        let report = Finding::default().report_cut_short(&Fault::Limit("x"));
        assert_eq!((report.result, report.level), (TestResult::Failed, Level::Stored));
    }

    fn object(kind: ObjectKind, name: u8, problem: Problem) -> Fault {
        Fault::Object { kind, name: ObjectName::from_hash(&[name; 32]), problem }
    }

    fn whole(files: u64) -> Finding {
        let mut finding = Finding { has_manifest: true, file_count: files, ..Finding::default() };
        (0..files).for_each(|_| finding.matched(10));
        finding
    }

    #[test]
    fn what_came_back_whole_is_proven_and_each_lack_takes_it_back() {
        type Change = fn(&mut Finding);
        let cases: &[(&str, Change, TestResult, Level)] = &[
            ("nothing", |_| {}, TestResult::Passed, Level::Proven),
            ("a little not compared", |it| it.not_compared("/log", 1), TestResult::Passed, Level::Proven),
            ("much not compared", |it| it.not_compared("/log", 1_000), TestResult::Partial, Level::Partial),
            (
                "other rights",
                |it| it.other_metadata("/a".to_owned(), "x".to_owned()),
                TestResult::Partial,
                Level::Partial,
            ),
            ("a folder away", |it| it.away(&["/mnt".to_owned()]), TestResult::Partial, Level::Partial),
            ("a file differs", |it| it.differs("/a".to_owned(), "x".to_owned()), TestResult::Failed, Level::Verified),
            ("a file missing", |it| it.missing("/a".to_owned()), TestResult::Failed, Level::Verified),
            ("another manifest", |it| it.unbound("not its own"), TestResult::Failed, Level::Verified),
            (
                "a file unreadable",
                |it| it.read_failed("/a".to_owned(), &object(ObjectKind::Data, 1, Problem::Hash)),
                TestResult::Failed,
                Level::Stored,
            ),
            (
                "an object missing",
                |it| {
                    let name = ObjectName::from_hash(&[1; 32]);
                    it.object(&Fault::Missing { kind: ObjectKind::Data, name });
                },
                TestResult::Failed,
                Level::Reported,
            ),
            ("a pack missing", |it| it.not_stored(&Id([1; 32])), TestResult::Failed, Level::Reported),
        ];
        for (name, change, result, level) in cases {
            let mut finding = whole(100);
            change(&mut finding);
            let report = finding.report();
            assert_eq!((report.result, report.level), (*result, *level), "{name}");
        }
        let unlisted = Finding { has_manifest: false, ..whole(100) }.report();
        assert_eq!((unlisted.result, unlisted.level), (TestResult::Partial, Level::Verified));
    }

    #[test]
    fn what_is_counted_is_in_the_report() {
        let mut finding = whole(3);
        finding.beyond = Some(Beyond { files: 5, bytes: 50 });
        finding.lost = 2;
        finding.not_compared("/log", 7);
        finding.not_compared("/log2", 8);
        let report = finding.report();
        assert_eq!((report.file_count, report.matched_count), (5, 3), "those in no table count too");
        assert_eq!((report.excluded_count, report.excluded_bytes), (2, 15));
        assert_eq!(report.beyond, Some(Beyond { files: 7, bytes: 65 }));
        assert_eq!(report.failures.not_compared, ["/log", "/log2"]);
    }

    #[test]
    fn only_the_first_names_are_kept() {
        let mut finding = whole(1);
        for number in 0..MAX_NAMES + 2 {
            let path = format!("/{number}");
            finding.entry_not_compared(&path);
            finding.entry_failed(&path, &Fault::Node("bad name".to_owned()));
        }
        let report = finding.report();
        assert_eq!((report.failures.not_compared.len(), report.failures.notes.len()), (MAX_NAMES, MAX_NAMES));
        assert_eq!(report.failures.not_compared[0], "/0");
        let roots = vec!["/r".to_owned(); MAX_NAMES + 2];
        let mut away = whole(1);
        away.away(&roots);
        assert_eq!(away.report().failures.away.len(), MAX_NAMES);
        let mut many = whole(1);
        (0..MAX_NAMES + 2).for_each(|it| many.not_compared(&format!("/{it}"), 0));
        assert_eq!(many.report().failures.not_compared.len(), MAX_NAMES);
        let mut unlisted = Finding::default();
        unlisted.not_compared("/a", 1);
        assert!(unlisted.report().failures.not_compared.is_empty(), "without a manifest that would be all of them");
    }

    #[test]
    fn an_object_that_is_damaged_itself_takes_the_place_of_its_chunks_and_of_nothing_else() {
        let mut finding = whole(1);
        let places = [(ObjectKind::Data, 1), (ObjectKind::Data, 2), (ObjectKind::Index, 1)];
        for (kind, name) in places {
            finding.object(&object(kind, name, Problem::Mac));
        }
        let seen = Seen { faults: vec![object(ObjectKind::Data, 1, Problem::Hash)], ..Seen::default() };

        finding.take(&seen, false);

        let mut named: Vec<_> =
            finding.failures.objects.iter().map(|it| (it.kind, it.name.clone(), it.damaged)).collect();
        named.sort_by_key(|it| (it.0.as_str(), it.1.clone()));
        let of = |(kind, name): (ObjectKind, u8), damaged| (kind, ObjectName::from_hash(&[name; 32]), damaged);
        assert_eq!(named, [of(places[0], true), of(places[1], false), of(places[2], false)]);
        assert_eq!(finding.failures.object_count, 3);
    }

    #[test]
    fn what_is_spared_is_damaged_named_once_and_as_often_as_there_is_room() {
        let mut finding = whole(1);
        let mut spare = |name: u8, problem: Problem| {
            let key = ObjectName::from_hash(&[name; 32]);
            finding.spare((ObjectKind::Index, &key), &object(ObjectKind::Index, name, problem));
            finding.failures.spared.len()
        };
        assert_eq!(spare(1, Problem::Mac), 0, "its bytes are those that were received");
        assert_eq!([spare(1, Problem::Hash), spare(1, Problem::Hash), spare(2, Problem::Hash)], [1, 1, 2]);
        for name in 3..=u8::try_from(MAX_NAMES).unwrap() + 3 {
            spare(name, Problem::Hash);
        }
        assert_eq!(finding.failures.spared.len(), MAX_NAMES);
    }

    #[test]
    fn a_summary_has_two_sentences_at_most() {
        let mut finding = whole(2);
        finding.note("a note".to_owned());
        assert_eq!(finding.failed_summary(), "a note.");
        finding.object(&object(ObjectKind::Data, 1, Problem::Hash));
        assert!(finding.failed_summary().ends_with(" a note."), "{}", finding.failed_summary());
        finding.differs("/a".to_owned(), "is different".to_owned());
        assert!(!finding.failed_summary().contains("a note"), "{}", finding.failed_summary());
    }

    #[test]
    fn below_a_folder_that_cannot_be_read_nobody_knows_what_is_missing() {
        let reason = |fault: Fault| {
            let mut finding = whole(1);
            finding.entry_failed("", &fault);
            finding.missing("/a/b".to_owned());
            let report = finding.report();
            (report.failures.files[0].reason.clone(), report.failures.notes[0].clone())
        };
        let (cut, note) = reason(Fault::NotIndexed(Id([1; 32])));
        assert_eq!(cut, "cannot be reached: a folder cannot be read");
        assert!(note.starts_with("/: "), "{note}");
        let (named, _) = reason(Fault::Node("a name with a slash".to_owned()));
        assert_eq!(named, "is not in the backup");
    }

    #[test]
    fn a_failure_is_made_good_by_its_files_only_if_all_of_them_are_known() {
        let mut named = whole(1);
        named.differs("/a".to_owned(), "x".to_owned());
        let failed = named.report().failed;
        assert_eq!((failed.keys, failed.rest), (vec![hex::encode(key_of("/a"))], None));

        let rest = |finding: Finding| {
            let failed = finding.report().failed;
            assert!(failed.keys.is_empty());
            failed.rest
        };
        let mut many = whole(1);
        (0..=MAX_KEYS).for_each(|it| many.differs(format!("/{it}"), "x".to_owned()));
        assert_eq!(rest(many), Some(FailedRest::Manifest), "more than are kept");
        let mut noted = whole(1);
        noted.entry_failed("/d", &Fault::Node("x".to_owned()));
        assert_eq!(rest(noted), Some(FailedRest::Manifest), "no file is named");
        let mut bad = Finding { has_manifest: false, ..whole(1) };
        bad.unbound("not its own");
        assert_eq!(rest(bad), Some(FailedRest::Unnamed));

        let mut cut_off = Finding { has_manifest: false, ..whole(1) };
        cut_off.entry_failed("/d", &Fault::NotIndexed(Id([1; 32])));
        cut_off.differs("/a".to_owned(), "x".to_owned());
        assert_eq!(rest(cut_off), Some(FailedRest::Manifest), "without a manifest what is below is not known");
        let mut listed = whole(1);
        listed.entry_failed("/d", &Fault::NotIndexed(Id([1; 32])));
        listed.differs("/a".to_owned(), "x".to_owned());
        assert_eq!(listed.report().failed.rest, None, "with one it is");

        let mut ended = whole(1);
        ended.differs("/a".to_owned(), "x".to_owned());
        let report = ended.report_cut_short(&Fault::Limit("too deep"));
        assert_eq!(report.failed.rest, Some(FailedRest::Manifest), "there may be more");
        assert_eq!(whole(1).report().failed, Failed::default());
    }

    #[test]
    fn damage_that_keeps_nothing_from_coming_back_is_told_and_fails_nothing() {
        let [index, needed, other] = [
            object(ObjectKind::Index, 1, Problem::Hash),
            object(ObjectKind::Data, 2, Problem::Hash),
            object(ObjectKind::Data, 3, Problem::Hash),
        ];
        let seen = |faults: &[&Fault]| Seen {
            faults: faults.iter().map(|it| (*it).clone()).collect(),
            relied_on: [Id([2; 32])].into(),
            verified: [Id([9; 32])].into(),
            bytes_read: 77,
        };
        let taken = |faults: &[&Fault], to_the_end| {
            let mut finding = whole(1);
            finding.take(&seen(faults), to_the_end);
            finding.report()
        };
        let spared = taken(&[&index, &other, &other], true);
        assert_eq!((spared.result, spared.level), (TestResult::Passed, Level::Proven));
        assert_eq!(spared.failures.spared.len(), 2, "each once");
        assert_eq!((spared.stored_bytes_read, spared.verified.len()), (77, 1));
        let relied = taken(&[&needed, &index], true);
        assert_eq!((relied.result, relied.failures.objects.len()), (TestResult::Failed, 1));
        let cut = taken(&[&index], false);
        assert_eq!(cut.result, TestResult::Failed, "nobody knows whether it was needed");
        let config = taken(&[&object(ObjectKind::Config, 4, Problem::Mac)], true);
        assert_eq!(config.result, TestResult::Failed);
    }

    #[test]
    fn a_pack_that_was_named_for_a_chunk_is_named_for_itself_once_it_is_known_to_be_damaged() {
        let (id, pack) = (Id([5; 32]), Id([2; 32]));
        let mut finding = whole(1);
        finding.read_failed("/a".to_owned(), &Fault::Blob { id, pack, problem: Problem::Mac });
        let damaged = object(ObjectKind::Data, 2, Problem::Hash);
        finding.take(&Seen { faults: vec![damaged], ..Seen::default() }, true);
        let report = finding.report();
        assert_eq!((report.failures.object_count, report.failures.objects.len()), (1, 1));
        assert!(report.failures.objects[0].damaged);
        assert!(report.summary.contains("does not match its name"), "{}", report.summary);
    }

    #[test]
    fn a_summary_says_how_many_and_why() {
        assert_eq!(whole(1).report().summary, "The one file came back as the device had it.");
        assert_eq!(whole(3).report().summary, "All 3 files came back as the device had them.");
        let mut left = whole(100);
        left.file_count = 101;
        left.not_compared("/log", 1);
        assert!(left.report().summary.starts_with("100 of 101 files came back"), "of all");
        let mut one = whole(0);
        one.file_count = 1;
        one.matched(1);
        one.not_compared("/log", 0);
        assert!(one.report().summary.contains("1 of 1 file"), "not “the one file”");
        let mut much = whole(1);
        much.file_count = 2;
        much.not_compared("/log", 5_000);
        assert!(much.report().summary.contains("1 of 2 files proven. The others, 1 with 5.0 kB,"));
        let mut differs = whole(2);
        differs.differs("/a".to_owned(), "has another hash".to_owned());
        assert_eq!(
            differs.report().summary,
            "1 of 2 files did not come back as the device had them; the first is /a (has another hash)."
        );
        let mut two = whole(2);
        two.not_stored(&Id([1; 32]));
        two.not_stored(&Id([2; 32]));
        assert_eq!(two.report().summary, "2 stored objects cannot be used.");
        let mut noted = whole(2);
        noted.entry_failed("/d", &Fault::Node("x".repeat(300)));
        let said = noted.report().summary;
        assert!(said.ends_with("x…."), "{said}");
        assert_eq!([shorten(&"y".repeat(200)).chars().count(), shorten(&"y".repeat(201)).chars().count()], [200, 201]);
    }
}
