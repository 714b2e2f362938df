//! Getting a restore point back onto a device.
mod comparison;
mod selection;
mod start;
mod undo;

pub use comparison::{Comparison, compare};
pub use selection::{Chosen, FileClass, MAX_PATHS, Selection};
pub use start::{RestoreRefusal, Start, may_start};
pub use undo::{UNDO_FOR, UndoFacts, UndoRefusal, UndoReport, UndoState, may_undo};

use crate::id::{DeviceId, RepositoryId, RestoreId};
use crate::manifest::ManifestFile;
use crate::object::ObjectName;
use crate::shortfall::Shortfall;
use crate::text::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    /// The state of a restore.
    RestoreState {
        Requested = "requested", Queued = "queued", Running = "running", Compared = "compared",
        Failed = "failed", Expired = "expired", Cancelled = "cancelled",
    }
}

text_enum! {
    /// What happens to a different file that is already there; nothing is ever destroyed.
    Conflict {
        KeepBoth = "keep_both",
        /// By the word that agents have known it by since before there was another.
        Merge = "skip",
        /// Only what a device itself backed up, in place; what is replaced is kept for [`UNDO_FOR`].
        Replace = "replace",
    }
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
            Self::Merge => "Merge: missing files come back, existing files stay as they are",
            Self::Replace => "Replace: existing files give way, and can be put back for 14 days",
        }
    }

    /// What an agent does, whatever it was told: only what lands in place replaces anything.
    pub const fn allowed(self, landing: Landing) -> Self {
        match (self, landing) {
            (Self::Replace, Landing::Beside) => Self::KeepBoth,
            (Self::KeepBoth | Self::Merge | Self::Replace, Landing::InPlace | Landing::Beside) => self,
        }
    }
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
    /// Files that were there already and were moved away for the restored ones.
    pub replaced: Vec<String>,
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
    use crate::device::DeviceState;
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
            (Start { is_proven: false, ..good }, Err(RestoreRefusal::NotProven)),
            (Start { is_stored: false, ..good }, Err(RestoreRefusal::NotStored)),
            (Start { has_manifest: false, ..good }, Err(RestoreRefusal::NoManifest)),
            (Start { target: DeviceState::Wiped, ..good }, Err(RestoreRefusal::TargetNotEnrolled(DeviceState::Wiped))),
            (
                Start { target: DeviceState::Removed, ..good },
                Err(RestoreRefusal::TargetNotEnrolled(DeviceState::Removed)),
            ),
            (Start { selection: &none, ..good }, Err(RestoreRefusal::NothingChosen)),
            (Start { selection: &many, ..good }, Err(RestoreRefusal::TooMany)),
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

        let it = compare(&manifest, &Selection::All, &names(&["/e"]), &restored, (Conflict::Merge, &names(&["/c"])));

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
        let asked = compare(&manifest, &Selection::All, &[], &[], (Conflict::Merge, &kept));
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

    #[test]
    fn a_restore_has_ended_when_nothing_changes_any_more() {
        use RestoreState as S;
        let open: Vec<_> = S::ALL.iter().filter(|it| !it.is_final()).collect();
        assert_eq!(open, [&S::Requested, &S::Queued, &S::Running]);
    }

    #[test]
    fn what_came_back_is_good_only_as_a_whole_and_with_something_to_show_for_it() {
        let good = Comparison { file_count: 1, matched_count: 1, ..Comparison::default() };
        assert!(good.is_good());
        let file = vec!["/a".to_owned()];
        assert!(!Comparison { matched_count: 0, ..good.clone() }.is_good());
        assert!(!Comparison { differing: file.clone(), ..good.clone() }.is_good());
        assert!(!Comparison { missing: file, ..good }.is_good());
    }

    #[test]
    fn as_many_paths_are_chosen_as_fit_and_a_class_covers_its_own() {
        let start = |selection: &Selection| {
            may_start(&Start {
                target: DeviceState::Enrolled,
                is_stored: true,
                has_manifest: true,
                is_proven: true,
                accepts_unproven: false,
                selection,
            })
        };
        let paths = |count| Selection::Paths(vec!["/a".to_owned(); count]);
        assert_eq!(start(&paths(0)), Err(RestoreRefusal::NothingChosen));
        assert_eq!([1, MAX_PATHS].map(|it| start(&paths(it))), [Ok(()), Ok(())]);
        assert_eq!(start(&paths(MAX_PATHS + 1)), Err(RestoreRefusal::TooMany));
        let photos = Selection::Class(FileClass::Photos);
        assert!(photos.chosen().covers("/a/b.jpg") && !photos.chosen().covers("/a/b.vcf"));
    }
}
