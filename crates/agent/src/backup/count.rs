//! What differs from the last backup, counted without reading; and which folders are not there to be counted.
use super::walk;
use crate::protect::open_marked;
use crate::state::{BackupIndex, ProtectedRoot};
use crate::tree;
use domain::fact::Changes;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Files that are new or different since the last backup, judged only by size and times.
///
/// # Errors
/// The folders that are missing, cannot be listed, or do not carry their mark: nobody knows what is in them,
/// and an empty folder in place of an unmounted disk must not pass for one without changes.
pub fn changes(roots: &[ProtectedRoot], index: &BackupIndex) -> Result<Changes, Vec<String>> {
    let (mut all, mut away) = (Changes { files: 0, bytes: 0 }, Vec::new());
    for root in roots {
        // The mark is checked once more afterwards: the disk may have gone during the walk.
        let counted = if is_there(root) { walk::changes(&[PathBuf::from(&root.path)], index) } else { None };
        match counted.filter(|_| is_there(root)) {
            Some(it) => {
                all.files += it.files;
                all.bytes = all.bytes.saturating_add(it.bytes);
            }
            None => away.push(root.path.clone()),
        }
    }
    if away.is_empty() { Ok(all) } else { Err(away) }
}

/// A walk counts a folder it cannot list as one file that is not in the backup, but not the root itself.
fn is_there(root: &ProtectedRoot) -> bool {
    open_marked(root).is_ok_and(|dir| tree::names(dir.as_fd()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::walk::{Scope, inventory};
    use super::*;
    use crate::net::backoff::Stop;
    use crate::progress::Silent;
    use crate::protect::{MARK_NAME, invent, mark};
    use crate::state::Marks;
    use domain::manifest::Header;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Folders {
        _temp: tempfile::TempDir,
        base: PathBuf,
        roots: Vec<ProtectedRoot>,
    }

    /// Two marked folders, `docs` and `disk`.
    fn folders() -> Folders {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let paths = ["docs", "disk"].map(|it| base.join(it));
        paths.iter().for_each(|it| fs::create_dir(it).unwrap());
        let mut marks = Marks::default();
        invent(&mut marks, &paths).unwrap();
        let roots = mark(&paths, &marks).unwrap().roots;
        Folders { _temp: temp, base, roots }
    }

    impl Folders {
        fn index(&self) -> BackupIndex {
            let roots = self.roots.iter().map(|it| PathBuf::from(&it.path)).collect();
            let scope = Scope { roots, mounts: false };
            let header =
                Header { version: 2, device_id: String::new(), roots: vec![], away: vec![], made_at: 0, file_count: 0 };
            inventory(&scope, &header, &Silent, &Stop::default()).unwrap().into_index()
        }

        fn changes(&self, index: &BackupIndex) -> Result<(i64, i64), Vec<String>> {
            changes(&self.roots, index).map(|it| (it.files, it.bytes))
        }

        fn disk(&self) -> PathBuf {
            self.base.join("disk")
        }

        fn away(&self) -> Result<(i64, i64), Vec<String>> {
            Err(vec![self.disk().to_str().unwrap().to_owned()])
        }
    }

    #[test]
    fn changes_since_the_last_backup_are_counted_without_reading() {
        let folders = folders();
        let docs = folders.base.join("docs");
        fs::write(docs.join("a"), "1").unwrap();
        fs::write(folders.disk().join("b"), "22").unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), Ok((2, 3)));
        let index = folders.index();
        assert_eq!(folders.changes(&index), Ok((0, 0)));
        fs::write(folders.disk().join("b"), "333").unwrap();
        fs::write(docs.join("c"), "4444").unwrap();
        assert_eq!(folders.changes(&index), Ok((2, 7)));
    }

    #[test]
    fn an_empty_mount_point_in_the_place_of_a_folder_is_not_a_folder_without_changes() {
        let folders = folders();
        for number in 0..100 {
            fs::write(folders.disk().join(number.to_string()), "unsaved").unwrap();
        }
        assert_eq!(folders.changes(&BackupIndex::default()), Ok((100, 700)));

        fs::rename(folders.disk(), folders.base.join("unmounted")).unwrap();
        fs::create_dir(folders.disk()).unwrap();

        assert_eq!(folders.changes(&BackupIndex::default()), folders.away());
    }

    #[test]
    fn a_folder_that_is_missing_a_symlink_or_without_its_mark_is_away() {
        let folders = folders();
        let (disk, aside) = (folders.disk(), folders.base.join("aside"));
        fs::rename(&disk, &aside).unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), folders.away(), "missing");
        symlink(&aside, &disk).unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), folders.away(), "a symlink to the same folder");
        fs::remove_file(&disk).unwrap();
        fs::write(&disk, "a file").unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), folders.away(), "a file");
        fs::remove_file(&disk).unwrap();
        fs::rename(&aside, &disk).unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), Ok((0, 0)), "back again");
        // The mark of another folder is not its mark.
        fs::copy(folders.base.join("docs").join(MARK_NAME), disk.join(MARK_NAME)).unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), folders.away(), "another mark");
        fs::remove_file(disk.join(MARK_NAME)).unwrap();
        assert_eq!(folders.changes(&BackupIndex::default()), folders.away(), "no mark");
    }
}
