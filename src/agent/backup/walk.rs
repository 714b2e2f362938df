//! The protected folders, walked by handle: no symlink is followed, no other
//! file system entered, and each file is read in bounded memory.
use crate::agent::net::backoff::Stop;
use crate::agent::progress::{Event, Progress};
use crate::agent::protect::MARK_NAME;
use crate::agent::state::{BackupIndex, IndexedFile};
use crate::agent::tree;
use crate::domain::device::Changes;
use crate::domain::manifest::{ManifestFile, encode_path};
use anyhow::{Context, Result, bail};
use aws_lc_rs::digest;
use rustix::fs::{FileType, Stat, fstat};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Deeper folders are listed as unreadable: each level holds a file handle.
const DEEPEST: usize = 200;
const BUFFER: usize = 1 << 18;
/// Times on a disk move in ticks; a change within this after another may not show.
const TICK_NANOS: i64 = 50_000_000;

/// What a walk met.
pub enum Met<'a> {
    /// A regular file: its folder, its name, its path and what the file system says of it.
    File { dir: BorrowedFd<'a>, name: &'a CStr, path: &'a [u8], stat: &'a Stat },
    /// Something that could not be looked at.
    Unreadable { path: &'a [u8] },
}

/// Walks one folder; `visit` says whether to go on.
///
/// # Errors
/// When the folder itself cannot be opened.
pub fn walk(root: &Path, visit: &mut dyn FnMut(Met<'_>) -> bool) -> io::Result<()> {
    let dir = tree::open_dir(root)?;
    let device = fstat(&dir)?.st_dev;
    let mut path = root.as_os_str().as_bytes().to_vec();
    enter(dir.as_fd(), device, 0, &mut path, visit);
    Ok(())
}

fn enter(
    dir: BorrowedFd<'_>,
    device: u64,
    depth: usize,
    path: &mut Vec<u8>,
    visit: &mut dyn FnMut(Met<'_>) -> bool,
) -> bool {
    let Ok(names) = tree::names(dir) else { return visit(Met::Unreadable { path }) };
    let length = path.len();
    for name in names {
        if depth == 0 && name.as_bytes() == MARK_NAME.as_bytes() {
            continue;
        }
        path.push(b'/');
        path.extend_from_slice(name.as_bytes());
        let goes_on = look(dir, &name, device, depth, path, visit);
        path.truncate(length);
        if !goes_on {
            return false;
        }
    }
    true
}

fn look(
    dir: BorrowedFd<'_>,
    name: &CStr,
    device: u64,
    depth: usize,
    path: &mut Vec<u8>,
    visit: &mut dyn FnMut(Met<'_>) -> bool,
) -> bool {
    let Ok(stat) = tree::stat(dir, name) else { return visit(Met::Unreadable { path }) };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => visit(Met::File { dir, name, path, stat: &stat }),
        // Another file system, and what is below it, is not ours.
        FileType::Directory if stat.st_dev != device => true,
        FileType::Directory if depth >= DEEPEST => visit(Met::Unreadable { path }),
        FileType::Directory => match tree::open_child(dir, name) {
            Ok(child) => enter(child.as_fd(), device, depth + 1, path, visit),
            Err(_) => visit(Met::Unreadable { path }),
        },
        // Symlinks and devices are backed up as what they are; they hold no bytes to hash.
        FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => true,
    }
}

/// Every file of the protected folders, hashed.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Sorted by path.
    pub files: Vec<ManifestFile>,
    pub index: BTreeMap<String, IndexedFile>,
    /// Paths that could not be read, in the manifest's spelling.
    pub unreadable: BTreeSet<String>,
    roots: Vec<PathBuf>,
    /// When the walk ended, nanoseconds of the file system's clock as far as it shows.
    newest: i64,
}

impl Inventory {
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|it| it.size).sum()
    }
}

/// Hashes every file.
///
/// # Errors
/// When a root is missing, or `stop` was asked for.
pub fn inventory(roots: &[PathBuf], progress: &dyn Progress, stop: &Stop) -> Result<Inventory> {
    let mut found = Inventory { roots: roots.to_vec(), ..Inventory::default() };
    let mut hashed = 0;
    let mut buffer = vec![0; BUFFER];
    for root in roots {
        walk(root, &mut |met| {
            match met {
                Met::Unreadable { path } => {
                    found.unreadable.insert(encode_path(path));
                }
                Met::File { dir, name, path, .. } => {
                    let path = encode_path(path);
                    match hash(dir, name, &mut buffer) {
                        Ok((sha256, seen)) => {
                            hashed += seen.size;
                            found.newest = found.newest.max(seen.ctime);
                            found.files.push(ManifestFile { path: path.clone(), size: seen.size, sha256 });
                            found.index.insert(path, seen);
                        }
                        Err(_) => {
                            found.unreadable.insert(path);
                        }
                    }
                    if found.files.len().is_multiple_of(64) {
                        progress.event(Event::Hashed { files: found.files.len() as u64, bytes: hashed });
                    }
                }
            }
            !stop.is_stopped()
        })
        .with_context(|| format!("reading the protected folder {}", root.display()))?;
        if stop.is_stopped() {
            bail!("stopped");
        }
    }
    progress.event(Event::Hashed { files: found.files.len() as u64, bytes: hashed });
    found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The hash of a file and what it was when reading began. One that grew or shrank meanwhile shows as changed later.
fn hash(dir: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> io::Result<(String, IndexedFile)> {
    let mut file = File::from(tree::open_file(dir, name)?);
    let before = seen(&fstat(&file)?);
    let mut context = digest::Context::new(&digest::SHA256);
    let mut size = 0;
    loop {
        let count = file.read(buffer)?;
        if count == 0 {
            break;
        }
        context.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
    Ok((hex::encode(context.finish().as_ref()), IndexedFile { size, ..before }))
}

/// What shows whether a file has changed.
pub fn seen(stat: &Stat) -> IndexedFile {
    IndexedFile {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: tree::nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime: tree::nanos(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The files that are not as they were hashed: changed, or gone.
///
/// A file whose last change lies within a tick of the newest time seen is read
/// again: a second change in the same tick would not show.
pub fn changed_since(inventory: &Inventory) -> BTreeSet<String> {
    let hashes: BTreeMap<&str, &str> =
        inventory.files.iter().map(|it| (it.path.as_str(), it.sha256.as_str())).collect();
    let mut buffer = vec![0; BUFFER];
    let mut left: BTreeSet<&str> = inventory.index.keys().map(String::as_str).collect();
    let mut changed = BTreeSet::new();
    for root in &inventory.roots {
        // A root that is gone leaves all its files in `left`.
        let _ = walk(root, &mut |met| {
            if let Met::File { dir, name, path, stat } = met {
                let path = encode_path(path);
                if let Some(was) = inventory.index.get(&path) {
                    left.remove(path.as_str());
                    let is_fresh = was.ctime.max(was.mtime) >= inventory.newest - TICK_NANOS;
                    let mut same = || {
                        hash(dir, name, &mut buffer)
                            .is_ok_and(|(it, _)| hashes.get(path.as_str()) == Some(&it.as_str()))
                    };
                    if seen(stat) != *was || (is_fresh && !same()) {
                        changed.insert(path);
                    }
                }
            }
            true
        });
    }
    changed.extend(left.into_iter().map(str::to_owned));
    changed
}

/// Files that are new or different since the last backup, by size and times only; none where a root cannot be opened,
/// so that nobody knows.
pub fn changes(roots: &[PathBuf], index: &BackupIndex) -> Option<Changes> {
    let mut changes = Changes { files: 0, bytes: 0 };
    for root in roots {
        let walked = walk(root, &mut |met| {
            match met {
                Met::File { path, stat, .. } => {
                    let now = seen(stat);
                    if index.files.get(&encode_path(path)) != Some(&now) {
                        changes.files += 1;
                        changes.bytes = changes.bytes.saturating_add(i64::try_from(now.size).unwrap_or(i64::MAX));
                    }
                }
                // It is in no backup, and a wipe may still erase it: one file at least.
                Met::Unreadable { .. } => changes.files += 1,
            }
            true
        });
        walked.ok()?;
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::progress::Silent;
    use crate::secret;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&root).unwrap();
        (temp, root)
    }

    fn take(root: &Path) -> Inventory {
        inventory(&[root.to_owned()], &Silent, &Stop::default()).unwrap()
    }

    #[test]
    fn every_regular_file_is_hashed_and_sorted() {
        let (temp, root) = folder();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::write(root.join("b/c/z.txt"), "zz").unwrap();
        fs::write(root.join("b-first.txt"), "").unwrap();
        fs::write(root.join(OsStr::from_bytes(b"bad\xff\n%")), "x").unwrap();
        fs::write(root.join(MARK_NAME), "mark").unwrap();
        fs::write(root.join("b").join(MARK_NAME), "not the mark of the root").unwrap();
        fs::write(temp.path().join("secret"), "s").unwrap();
        symlink(temp.path().join("secret"), root.join("link")).unwrap();
        symlink(temp.path(), root.join("link-dir")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();

        let found = take(&root);

        let base = root.to_str().unwrap();
        let paths: Vec<_> = found.files.iter().map(|it| it.path.strip_prefix(base).unwrap()).collect();
        assert_eq!(paths, ["/b-first.txt", "/b/.holdfast-protected", "/b/c/z.txt", "/bad%FF%0A%25"]);
        assert_eq!(found.files[2].sha256, hex::encode(secret::sha256(b"zz")));
        assert_eq!(found.size(), 2 + 1 + 24);
        assert!(found.unreadable.is_empty());
    }

    #[test]
    fn what_changes_after_it_was_hashed_is_told() {
        let (_temp, root) = folder();
        for name in ["kept", "grown", "same-size", "gone"] {
            fs::write(root.join(name), "1").unwrap();
        }
        let found = take(&root);
        assert!(changed_since(&found).is_empty());

        fs::write(root.join("grown"), "12").unwrap();
        fs::write(root.join("same-size"), "2").unwrap();
        fs::remove_file(root.join("gone")).unwrap();
        fs::write(root.join("new"), "n").unwrap();

        let base = root.to_str().unwrap();
        let changed: Vec<_> = changed_since(&found).into_iter().map(|it| it.replace(base, "")).collect();
        assert_eq!(changed, ["/gone", "/grown", "/same-size"]);
    }

    #[test]
    fn changes_since_the_last_backup_are_counted_without_reading() {
        let (_temp, root) = folder();
        fs::write(root.join("a"), "1").unwrap();
        fs::write(root.join("b"), "22").unwrap();
        let roots = [root.clone()];
        assert_eq!(changes(&roots, &BackupIndex::default()), Some(Changes { files: 2, bytes: 3 }));

        let index = BackupIndex { files: take(&root).index };
        assert_eq!(changes(&roots, &index), Some(Changes { files: 0, bytes: 0 }));

        fs::write(root.join("b"), "333").unwrap();
        fs::write(root.join("c"), "4444").unwrap();
        assert_eq!(changes(&roots, &index), Some(Changes { files: 2, bytes: 7 }));
    }

    #[test]
    fn what_cannot_be_looked_at_is_never_counted_as_nothing() {
        let (_temp, root) = folder();
        let mut dir = tree::open_dir(&root).unwrap();
        for _ in 0..DEEPEST + 5 {
            rustix::fs::mkdirat(&dir, c"d", 0o700.into()).unwrap();
            dir = tree::open_child(dir.as_fd(), c"d").unwrap();
        }
        let index = BackupIndex { files: take(&root).index };
        assert_eq!(changes(std::slice::from_ref(&root), &index), Some(Changes { files: 1, bytes: 0 }));
        assert_eq!(changes(&[root.join("missing"), root], &index), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_listed() {
        let (_temp, root) = folder();
        fs::write(root.join("closed"), "1").unwrap();
        fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
        if File::open(root.join("closed")).is_ok() {
            return; // root reads everything
        }
        let found = take(&root);
        assert_eq!(found.unreadable.len(), 1);
        assert!(found.files.is_empty());
    }

    #[test]
    fn a_very_deep_folder_is_listed_and_not_followed() {
        let (_temp, root) = folder();
        let mut dir = tree::open_dir(&root).unwrap();
        for _ in 0..DEEPEST + 5 {
            rustix::fs::mkdirat(&dir, c"d", 0o700.into()).unwrap();
            dir = tree::open_child(dir.as_fd(), c"d").unwrap();
        }
        assert_eq!(take(&root).unreadable.len(), 1);
    }

    #[test]
    fn a_missing_root_is_an_error_and_a_stop_ends_the_walk() {
        let (_temp, root) = folder();
        assert!(inventory(&[root.join("missing")], &Silent, &Stop::default()).is_err());
        fs::write(root.join("a"), "1").unwrap();
        let stop = Stop::default();
        stop.stop();
        assert!(inventory(&[root], &Silent, &stop).is_err());
    }
}
