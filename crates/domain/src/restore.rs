//! Getting a restore point back onto a device.
use crate::device::DeviceState;
use crate::id::{DeviceId, RepositoryId, RestoreId};
use crate::manifest::ManifestFile;
use crate::object::ObjectName;
use crate::shortfall::Shortfall;
use crate::text::text_enum;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

text_enum! {
    /// The state of a restore.
    RestoreState {
        Requested = "requested", Queued = "queued", Running = "running", Compared = "compared",
        Failed = "failed", Expired = "expired", Cancelled = "cancelled",
    }
}

text_enum! {
    /// What happens to a file that is already there; nothing is ever removed.
    Conflict { KeepBoth = "keep_both", Skip = "skip" }
}

text_enum! {
    /// Where restored data goes on its target.
    Landing {
        /// To its original place, with all its rights: only for a device that gets its own data back.
        InPlace = "in_place",
        /// Into a separate folder named after the day, without execute rights: another device's data must
        /// neither replace nor start anything here.
        Beside = "beside",
    }
}

impl Landing {
    /// Where data from one enrolment of a device goes on another device, or on itself.
    pub fn of(source: (DeviceId, i64), target: (DeviceId, i64)) -> Self {
        if source == target { Self::InPlace } else { Self::Beside }
    }

    /// The same, judged by an agent, which knows its own repository: it does not take the server's word that
    /// somebody else's data may go in place.
    pub fn allowed(self, ordered: RepositoryId, own: RepositoryId) -> Self {
        if ordered == own { self } else { Self::Beside }
    }

    /// Where data goes if the order does not say: where it can harm nothing.
    pub const fn unsaid() -> Self {
        Self::Beside
    }
}

text_enum! {
    /// What kind of thing a file is, judged by its extension.
    FileClass {
        Contacts = "contacts", Calendars = "calendars", Photos = "photos",
        Documents = "documents", AppData = "app_data",
    }
}

/// How many paths may be chosen one by one.
pub const MAX_PATHS: usize = 10_000;

impl RestoreState {
    /// The name on a badge.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "Waiting for approval",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Compared => "Compared",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Compared | Self::Failed | Self::Expired | Self::Cancelled)
    }
}

impl Conflict {
    /// What it means, on a form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeepBoth => "Keep both: existing files stay, restored ones get another name",
            Self::Skip => "Skip: existing files stay, and those files are not restored",
        }
    }
}

impl FileClass {
    /// The name on a form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Calendars => "Calendars",
            Self::Photos => "Photos",
            Self::Documents => "Documents",
            Self::AppData => "App data and everything else",
        }
    }

    /// The class of a path.
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or(String::new(), |(_, it)| it.to_ascii_lowercase());
        match ending.as_str() {
            "vcf" | "vcard" => Self::Contacts,
            "ics" | "ical" => Self::Calendars,
            "jpg" | "jpeg" | "png" | "gif" | "webp" | "heic" | "heif" | "tif" | "tiff" | "bmp" | "raw" | "dng"
            | "mp4" | "mov" => Self::Photos,
            "pdf" | "doc" | "docx" | "odt" | "xls" | "xlsx" | "ods" | "csv" | "ppt" | "pptx" | "odp" | "txt" | "md"
            | "rtf" | "html" | "tex" => Self::Documents,
            _ => Self::AppData,
        }
    }
}

/// Which part of a restore point is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    All,
    Class(FileClass),
    /// Files and folders in the manifest's spelling; a folder means everything below it.
    Paths(Vec<String>),
}

impl Selection {
    /// What is chosen, ready to be checked file by file.
    pub fn chosen(&self) -> Chosen<'_> {
        match self {
            Self::All => Chosen::All,
            Self::Class(class) => Chosen::Class(*class),
            Self::Paths(paths) => Chosen::below(paths),
        }
    }

    /// The paths as in an order; an empty list means everything.
    pub fn paths(&self, files: &[ManifestFile]) -> Vec<String> {
        match self {
            Self::All => Vec::new(),
            Self::Class(class) => {
                files.iter().map(|it| &it.path).filter(|it| FileClass::of(it) == *class).cloned().collect()
            }
            Self::Paths(chosen) => chosen.clone(),
        }
    }
}

/// A [`Selection`] prepared for checking many files, and possibly naming many.
#[derive(Debug)]
pub enum Chosen<'a> {
    All,
    Class(FileClass),
    /// Without a trailing slash.
    Below(HashSet<&'a str>),
}

impl<'a> Chosen<'a> {
    /// Files, and folders with everything below them.
    pub fn below(paths: &'a [String]) -> Self {
        Self::Below(paths.iter().map(|it| it.trim_end_matches('/')).collect())
    }

    /// Whether a file is chosen.
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Class(class) => FileClass::of(path) == *class,
            Self::Below(paths) => {
                let mut above = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
                paths.contains(path) || above.any(|it| paths.contains(it))
            }
        }
    }
}

/// Why a restore may not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the target device is “{}”, so nothing can be restored to it. Choose an enrolled device", .0.name())]
    TargetNotEnrolled(DeviceState),
    #[error("the server does not hold this restore point yet; choose another")]
    NotStored,
    #[error(
        "this backup came without a manifest, so nothing could be compared; restore it with your own restic client"
    )]
    NoManifest,
    #[error("this restore point is not proven. Tick the box to restore it anyway, or choose a proven one")]
    NotProven,
    #[error("nothing is chosen")]
    NothingChosen,
    #[error("choose at most 10,000 files, or their folders")]
    TooMany,
    #[error(
        "these are more files than a device can report back after one restore. Choose some of the folders, and restore \
         the others after them"
    )]
    MoreThanOneReport,
    #[error("the restore point holds none of the chosen files")]
    NoSuchFiles,
    #[error("the restore is “{}”: there is nothing to cancel", .0.name())]
    TooLate(RestoreState),
    #[error("this restore is not waiting for a decision: it is “{}”", .0.name())]
    NotWaiting(RestoreState),
    #[error("the restore is no longer what this page showed. Load the page again, then decide")]
    NotAsShown,
    #[error(
        "your roles do not let you read what other people backed up: somebody with the role Recovery or Owner can \
         request this restore"
    )]
    MayNotRead,
}

/// What is checked before a restore begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    pub target: DeviceState,
    pub is_stored: bool,
    pub has_manifest: bool,
    pub is_proven: bool,
    /// Somebody ticked that the point is not proven.
    pub accepts_unproven: bool,
    pub selection: &'a Selection,
}

/// Whether a restore may begin.
///
/// # Errors
/// The first reason why not.
pub fn may_start(start: &Start<'_>) -> Result<(), Refusal> {
    if start.target != DeviceState::Enrolled {
        return Err(Refusal::TargetNotEnrolled(start.target));
    }
    if !start.is_stored {
        return Err(Refusal::NotStored);
    }
    if !start.has_manifest {
        return Err(Refusal::NoManifest);
    }
    if !start.is_proven && !start.accepts_unproven {
        return Err(Refusal::NotProven);
    }
    match start.selection {
        Selection::Paths(paths) if paths.is_empty() => Err(Refusal::NothingChosen),
        Selection::Paths(paths) if paths.len() > MAX_PATHS => Err(Refusal::TooMany),
        Selection::Paths(_) | Selection::All | Selection::Class(_) => Ok(()),
    }
}

/// What came back, compared with the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Files that were to be restored and can be compared.
    pub file_count: i64,
    pub matched_count: i64,
    /// Read back on the device with another hash or size.
    pub differing: Vec<String>,
    /// Neither restored nor kept.
    pub missing: Vec<String>,
    /// Left as they were because something was already there and `skip` was chosen.
    pub kept: Vec<String>,
    /// Changed while they were backed up, so the manifest does not say what they were.
    pub not_compared: Vec<String>,
}

impl Comparison {
    /// Whether everything that was to be restored is there as it was. The device's word that something is
    /// already there is not a comparison: without one matching file, nothing is shown.
    pub fn is_good(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty() && self.matched_count > 0
    }
}

/// Compares what a device read back with what the manifest says of the chosen files. What it `kept` counts as
/// kept only if that was asked for; otherwise each file comes back beside what was there.
pub fn compare(
    manifest: &[ManifestFile],
    selection: &Selection,
    excluded: &[String],
    restored: &[ManifestFile],
    (conflict, kept): (Conflict, &[String]),
) -> Comparison {
    let found: BTreeMap<_, _> = restored.iter().map(|it| (it.path.as_str(), it)).collect();
    let kept: BTreeSet<_> = kept.iter().map(String::as_str).collect();
    let excluded: BTreeSet<_> = excluded.iter().map(String::as_str).collect();
    let chosen = selection.chosen();
    let mut result = Comparison::default();
    for file in manifest.iter().filter(|it| chosen.covers(&it.path)) {
        if excluded.contains(file.path.as_str()) {
            result.not_compared.push(file.path.clone());
            continue;
        }
        result.file_count += 1;
        match found.get(file.path.as_str()) {
            Some(it) if it.sha256 == file.sha256 && it.size == file.size => result.matched_count += 1,
            Some(_) => result.differing.push(file.path.clone()),
            None if conflict == Conflict::Skip && kept.contains(file.path.as_str()) => {
                result.kept.push(file.path.clone())
            }
            None => result.missing.push(file.path.clone()),
        }
    }
    result
}

/// What a device is to restore. Everything secret is in `sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOrder {
    pub restore_id: RestoreId,
    pub repository_id: RepositoryId,
    pub snapshot: ObjectName,
    /// What opens the repository, sealed to the target's key.
    pub sealed: String,
    /// Paths in the manifest's spelling; a folder means everything below it. Empty means everything.
    pub selection: Vec<String>,
    pub conflict: Conflict,
    /// Where the data goes; beside existing files if an order does not say.
    #[serde(default = "Landing::unsaid")]
    pub landing: Landing,
    pub file_count: u64,
    pub size_bytes: u64,
}

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreProgress {
    pub restored_count: u64,
    pub file_count: u64,
}

/// What a restore left on the disk: the files as read back from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreResult {
    /// Paths as in the restore point, hashes of what is on the disk now.
    pub files: Vec<ManifestFile>,
    /// Paths, each with what went wrong.
    pub failures: Vec<RestoreFailure>,
    /// Files that were there already and were kept.
    pub kept: Vec<String>,
    /// What came back different or was not made, without being a failure.
    pub shortfalls: Vec<Shortfall>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreFailure {
    pub path: String,
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn only_ones_own_data_lands_in_place_whatever_the_server_orders() {
        let [own, other] = [1, 2].map(|at| RepositoryId::generate(Time::from_millis(at)));
        for (ordered, repository, lands) in [
            (Landing::InPlace, own, Landing::InPlace),
            (Landing::Beside, own, Landing::Beside),
            (Landing::InPlace, other, Landing::Beside),
            (Landing::Beside, other, Landing::Beside),
        ] {
            assert_eq!(ordered.allowed(repository, own), lands, "{ordered}");
        }
        let id = DeviceId::generate(Time::from_millis(1));
        assert_eq!(Landing::of((id, 2), (id, 2)), Landing::InPlace);
        assert_eq!(Landing::of((id, 1), (id, 2)), Landing::Beside, "a machine that took its place");
    }

    fn file(path: &str, content: char) -> ManifestFile {
        ManifestFile { path: path.to_owned(), size: 1, sha256: content.to_string().repeat(64) }
    }

    fn names(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn each_reason_not_to_begin_is_named() {
        let (all, none) = (Selection::All, Selection::Paths(vec![]));
        let many = Selection::Paths(vec![String::new(); MAX_PATHS + 1]);
        let good = Start {
            target: DeviceState::Enrolled,
            is_stored: true,
            has_manifest: true,
            is_proven: true,
            accepts_unproven: false,
            selection: &all,
        };
        let cases = [
            (good, Ok(())),
            (Start { is_proven: false, accepts_unproven: true, ..good }, Ok(())),
            (Start { is_proven: false, ..good }, Err(Refusal::NotProven)),
            (Start { is_stored: false, ..good }, Err(Refusal::NotStored)),
            (Start { has_manifest: false, ..good }, Err(Refusal::NoManifest)),
            (Start { target: DeviceState::Wiped, ..good }, Err(Refusal::TargetNotEnrolled(DeviceState::Wiped))),
            (Start { target: DeviceState::Removed, ..good }, Err(Refusal::TargetNotEnrolled(DeviceState::Removed))),
            (Start { selection: &none, ..good }, Err(Refusal::NothingChosen)),
            (Start { selection: &many, ..good }, Err(Refusal::TooMany)),
        ];
        for (start, expected) in cases {
            assert_eq!(may_start(&start), expected, "{start:?}");
        }
    }

    #[test]
    fn a_folder_means_all_below_it_and_nothing_beside_it() {
        let chosen = Selection::Paths(names(&["/home/a", "/home/b/x.txt"]));
        for (path, expected) in [
            ("/home/a/1", true),
            ("/home/a/b/2", true),
            ("/home/a", true),
            ("/home/ab/1", false),
            ("/home/b/x.txt", true),
            ("/home/b/x.txt.old", false),
            ("/home", false),
        ] {
            assert_eq!(chosen.chosen().covers(path), expected, "{path}");
        }
        assert!(Chosen::below(&names(&["/home/a/"])).covers("/home/a/1"));
        assert!(Chosen::below(&names(&["/"])).covers("/home/a"));
    }

    #[test]
    fn a_class_is_known_by_the_ending() {
        for (path, class) in [
            ("/c/Ada.vcf", FileClass::Contacts),
            ("/c/work.ICS", FileClass::Calendars),
            ("/p/IMG_1.JPG", FileClass::Photos),
            ("/d/report.pdf", FileClass::Documents),
            ("/d.pdf/no-ending", FileClass::AppData),
            ("/a/state.db", FileClass::AppData),
        ] {
            assert_eq!(FileClass::of(path), class, "{path}");
        }
        let files = [file("/a.vcf", 'a'), file("/b.jpg", 'b')];
        assert_eq!(Selection::Class(FileClass::Photos).paths(&files), ["/b.jpg"]);
        assert!(Selection::All.paths(&files).is_empty());
    }

    #[test]
    fn every_file_is_accounted_for_once() {
        let manifest = [file("/a", '1'), file("/b", '2'), file("/c", '3'), file("/d", '4'), file("/e", '5')];
        let restored = [file("/a", '1'), file("/b", 'f'), file("/other", '9')];

        let it = compare(&manifest, &Selection::All, &names(&["/e"]), &restored, (Conflict::Skip, &names(&["/c"])));

        assert_eq!((it.file_count, it.matched_count), (4, 1));
        assert_eq!(it.differing, ["/b"]);
        assert_eq!(it.kept, ["/c"]);
        assert_eq!(it.missing, ["/d"]);
        assert_eq!(it.not_compared, ["/e"]);
        assert!(!it.is_good());
    }

    #[test]
    fn the_word_that_a_file_was_kept_is_not_a_match() {
        let (manifest, kept) = ([file("/a", '1')], names(&["/a"]));
        let asked = compare(&manifest, &Selection::All, &[], &[], (Conflict::Skip, &kept));
        assert_eq!((asked.kept.len(), asked.is_good()), (1, false), "nothing was compared");
        let not_asked = compare(&manifest, &Selection::All, &[], &[], (Conflict::KeepBoth, &kept));
        assert_eq!((not_asked.kept.len(), not_asked.missing), (0, names(&["/a"])));
    }

    #[test]
    fn only_what_was_chosen_is_compared() {
        let manifest = [file("/a/1", '1'), file("/b/1", '2')];
        let it =
            compare(&manifest, &Selection::Paths(names(&["/a"])), &[], &[file("/a/1", '1')], (Conflict::KeepBoth, &[]));
        assert_eq!((it.file_count, it.matched_count), (1, 1));
        assert!(it.is_good());
    }

    #[test]
    fn a_file_of_another_size_differs_whatever_its_hash_says() {
        let other = ManifestFile { size: 2, ..file("/a", '1') };
        let it = compare(&[file("/a", '1')], &Selection::All, &[], &[other], (Conflict::KeepBoth, &[]));
        assert_eq!(it.differing, ["/a"]);
    }
}
