//! What the protected folders hold: read once for the manifest, checked again after the backup.
use super::look::{Groups, look};
use super::walker::{Found, Walker, Walkers, is_elsewhere};
use crate::net::backoff::Stop;
use crate::progress::{Event, Progress};
use crate::state::{BackupIndex, IndexedFile};
use crate::tree;
use anyhow::{Context, Result, bail};
use aws_lc_rs::digest;
use domain::backup::LeftOut;
use domain::fact::Changes;
use domain::manifest::{Entry, EntryKind, Header, MAX_STORED_BYTES, Meta, Totals, Writer, encode_path};
use rustix::fs::{FileType, Stat, fstat};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

const BUFFER: usize = 1 << 18;
/// Times on a disk move in ticks; a change within this time after another may not show.
pub const TICK_NANOS: i64 = 50_000_000;

/// Which folders are walked, and whether what is mounted in them belongs to them.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pub roots: Vec<PathBuf>,
    pub mounts: bool,
}

/// Everything in the protected folders, read.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The manifest's stored bytes.
    pub manifest: Vec<u8>,
    pub totals: Totals,
    /// Paths that could not be read, in the manifest's spelling.
    pub unreadable: BTreeSet<String>,
    /// What is not in the backup, and why.
    pub left_out: LeftOut,
    /// The newest change that was met, in nanoseconds of the file system's clock.
    pub newest: i64,
    known: BTreeMap<String, Known>,
    scope: Scope,
}

#[derive(Debug)]
struct Known {
    is_file: bool,
    seen: IndexedFile,
    /// Over everything the manifest says about it.
    digest: [u8; 32],
}

impl Inventory {
    /// What identifies files that change after this backup.
    pub fn into_index(self) -> BackupIndex {
        let files = self.known.into_iter().filter(|it| it.1.is_file).map(|(path, it)| (path, it.seen)).collect();
        BackupIndex { files, mounts: self.scope.mounts }
    }
}

/// Reads everything, and writes the manifest on the way.
///
/// # Errors
/// When a root is missing, `stop` was requested, or there is more than a manifest can list.
pub fn inventory(scope: &Scope, header: &Header, progress: &dyn Progress, stop: &Stop) -> Result<Inventory> {
    let mut writer = Writer::new(Vec::new(), header).context("writing the manifest")?;
    let mut found = Inventory { scope: scope.clone(), ..Inventory::default() };
    let mut walkers = Walkers::new(&scope.roots, scope.mounts);
    let (mut groups, mut buffer, mut count) = (Groups::default(), vec![0; BUFFER], Totals::default());
    while let Some(met) = walkers.next() {
        let met = met.context("reading a protected folder")?;
        let (entry, seen) = read(&met, walkers.handle(), &mut groups, &mut buffer);
        if let Some(seen) = seen {
            found.newest = found.newest.max(seen.ctime);
            let is_file = entry.sha256.is_some();
            found.known.insert(entry.path.clone(), Known { is_file, seen, digest: digest_of(&entry)? });
        }
        found.take_note(&entry, met.fault.as_deref());
        writer.entry(&entry).context("writing the manifest")?;
        count.entries += 1;
        count.files += u64::from(entry.sha256.is_some());
        count.bytes += entry.size;
        if count.entries.is_multiple_of(64) {
            progress.event(Event::Hashed { files: count.files, bytes: count.bytes });
        }
        if stop.is_stopped() {
            bail!("stopped");
        }
    }
    progress.event(Event::Hashed { files: count.files, bytes: count.bytes });
    (found.manifest, found.totals) = writer.finish().context("writing the manifest")?;
    if found.manifest.len() > MAX_STORED_BYTES {
        bail!("the protected folders have more entries than one backup can list; protect fewer of them");
    }
    Ok(found)
}

impl Inventory {
    fn take_note(&mut self, entry: &Entry, fault: Option<&str>) {
        match (&entry.left_out, entry.kind) {
            (Some(why), kind) => {
                self.left_out.add(&entry.path, why);
                let is_cut = kind == EntryKind::Folder && fault.is_some_and(|it| !is_elsewhere(it));
                if is_cut || (kind == EntryKind::File && entry.sha256.is_none()) || kind == EntryKind::Unknown {
                    self.unreadable.insert(entry.path.clone());
                }
            }
            (None, EntryKind::Pipe | EntryKind::Socket | EntryKind::CharDevice | EntryKind::BlockDevice) => {
                self.left_out.add(&entry.path, &format!("{} has no content to back up", entry.kind.name()));
            }
            (None, EntryKind::File | EntryKind::Folder | EntryKind::Symlink | EntryKind::Unknown) => {}
        }
    }
}

/// What the manifest says about an entry, and what shows whether it changes.
fn read(
    met: &Found,
    handle: Option<BorrowedFd<'_>>,
    groups: &mut Groups,
    buffer: &mut [u8],
) -> (Entry, Option<IndexedFile>) {
    let mut entry = look(met, handle, groups).entry;
    let mut seen = met.stat.as_ref().map(seen);
    if let (EntryKind::File, Some(handle)) = (entry.kind, handle) {
        match hash(handle, &met.name, buffer) {
            Ok((sha256, was)) => {
                entry.size = was.size;
                entry.sha256 = Some(sha256);
                seen = Some(was);
            }
            Err(error) => {
                entry.left_out.get_or_insert_with(|| format!("it cannot be read: {}", error.kind()));
            }
        }
    }
    (entry, seen)
}

fn digest_of(entry: &Entry) -> Result<[u8; 32]> {
    // Its number depends on what else was met before, and its disk usage on what has been written back in the
    // meantime.
    let meta = entry.meta.clone().map(|it| Meta { sparse: false, ..it });
    let entry = Entry { link_group: None, meta, ..entry.clone() };
    Ok(secret::sha256(&serde_json::to_vec(&entry).context("writing an entry")?))
}

/// The hash of a file and its state when reading began; a growing file is read up to its size at that time. One
/// that changed in the meantime shows as changed later.
fn hash(dir: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> io::Result<(String, IndexedFile)> {
    let file = File::from(tree::open_file(dir, name)?);
    let before = seen(&fstat(&file)?);
    let mut file = file.take(before.size);
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

/// What shows whether an entry has changed.
pub fn seen(stat: &Stat) -> IndexedFile {
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    IndexedFile {
        size: if is_file { u64::try_from(stat.st_size).unwrap_or(0) } else { 0 },
        mtime: tree::nanos(stat.st_mtime, stat.st_mtime_nsec),
        ctime: tree::nanos(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The entries that are no longer as they were read: changed, or gone.
///
/// One whose last change is within a tick of the newest time seen is read again: a second change in the same
/// tick would not show.
pub fn changed_since(inventory: &Inventory) -> BTreeSet<String> {
    let mut buffer = vec![0; BUFFER];
    let mut left: BTreeSet<&str> = inventory.known.keys().map(String::as_str).collect();
    let mut changed = BTreeSet::new();
    let mut walkers = Walkers::new(&inventory.scope.roots, inventory.scope.mounts);
    while let Some(met) = walkers.next() {
        // A root that is gone leaves everything in it in `left`.
        let Ok(met) = met else { continue };
        let path = encode_path(&met.path);
        let Some(was) = inventory.known.get(&path) else { continue };
        left.remove(path.as_str());
        let now = met.stat.as_ref().map(seen);
        let is_fresh = was.seen.ctime >= inventory.newest.saturating_sub(TICK_NANOS);
        let mut same = || {
            let (entry, _) = read(&met, walkers.handle(), &mut Groups::default(), &mut buffer);
            digest_of(&entry).is_ok_and(|it| it == was.digest)
        };
        if now != Some(was.seen) || (is_fresh && !same()) {
            changed.insert(path);
        }
    }
    changed.extend(left.into_iter().map(str::to_owned));
    changed
}

/// Files that are new or different since the last backup, by size and times only; none if a root cannot be
/// opened, because then nobody knows.
pub fn changes(roots: &[PathBuf], index: &BackupIndex) -> Option<Changes> {
    let mut changes = Changes { files: 0, bytes: 0 };
    for root in roots {
        let mut walker = Walker::new(root, index.mounts).ok()?;
        while let Some(met) = walker.next() {
            if met.name.is_empty() && met.fault.is_some() {
                return None;
            }
            // What is mounted in a protected folder is not part of it, and no wipe erases it.
            if met.fault.as_deref().is_some_and(|it| !is_elsewhere(it)) {
                // It is in no backup, but a wipe may still erase it: at least one file.
                changes.files += 1;
            } else if met.kind() == FileType::RegularFile
                && let Some(now) = met.stat.as_ref().map(seen)
                && index.files.get(&encode_path(&met.path)) != Some(&now)
            {
                changes.files += 1;
                changes.bytes = changes.bytes.saturating_add(i64::try_from(now.size).unwrap_or(i64::MAX));
            }
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::protect::MARK_NAME;
    use domain::manifest;
    use rustix::fs::OFlags;
    use std::ffi::OsStr;
    use std::fs;
    use std::io::Write;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::sync::Arc;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("docs");
        fs::create_dir(&root).unwrap();
        (temp, root)
    }

    fn take(root: &Path) -> Inventory {
        inventory(&scope(root), &header(), &Silent, &Stop::default()).unwrap()
    }

    fn scope(root: &Path) -> Scope {
        Scope { roots: vec![root.to_owned()], mounts: false }
    }

    fn header() -> Header {
        Header { version: 2, device_id: String::new(), roots: vec![], away: vec![], made_at: 0, file_count: 0 }
    }

    fn listed(found: &Inventory) -> Vec<Entry> {
        let mut all = Vec::new();
        manifest::entries(&found.manifest, |it| all.push(it)).unwrap();
        all
    }

    /// A folder so deep that its path is longer than any system call accepts, and what is in the last one.
    fn deep(root: &Path, levels: usize) -> OwnedFd {
        let mut dir = tree::open_dir(root).unwrap();
        for _ in 0..levels {
            rustix::fs::mkdirat(&dir, c"dddddddddddddddddddd", 0o700.into()).unwrap();
            dir = tree::open_child(dir.as_fd(), c"dddddddddddddddddddd").unwrap();
        }
        dir
    }

    fn remove(root: &Path) {
        assert!(std::process::Command::new("rm").arg("-rf").arg(root).status().unwrap().success());
    }

    #[test]
    fn everything_that_a_wipe_erases_is_listed() {
        let (temp, root) = folder();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir(root.join("empty")).unwrap();
        fs::write(root.join("b/c/z.txt"), "zz").unwrap();
        fs::hard_link(root.join("b/c/z.txt"), root.join("b/same")).unwrap();
        fs::write(root.join("b-first.txt"), "").unwrap();
        fs::write(root.join(OsStr::from_bytes(b"bad\xff\n%")), "x").unwrap();
        fs::write(root.join(MARK_NAME), "mark").unwrap();
        fs::write(root.join("b").join(MARK_NAME), "not the mark of the root").unwrap();
        symlink(temp.path().join("no\nwhere"), root.join("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o2570)).unwrap();
        let early = rustix::fs::Timespec { tv_sec: -2, tv_nsec: 250_000_000 };
        let times = rustix::fs::Timestamps { last_access: early, last_modification: early };
        rustix::fs::utimensat(rustix::fs::CWD, root.join("empty"), &times, rustix::fs::AtFlags::empty()).unwrap();
        let long = vec![7; 3000];
        let has_attributes =
            rustix::fs::setxattr(root.join("b-first.txt"), "user.a", &long, rustix::fs::XattrFlags::empty()).is_ok();

        let found = take(&root);

        let base = root.to_str().unwrap();
        let all = listed(&found);
        let paths: Vec<_> = all.iter().map(|it| it.path.strip_prefix(base).unwrap()).collect();
        assert_eq!(
            paths,
            [
                "",
                "/b",
                "/b/.holdfast-protected",
                "/b/c",
                "/b/c/z.txt",
                "/b/same",
                "/b-first.txt",
                "/bad%FF%0A%25",
                "/empty",
                "/link",
                "/pipe"
            ]
        );
        let of = |name: &str| all.iter().find(|it| it.path.strip_prefix(base) == Some(name)).unwrap();
        assert_eq!(of("/b/c/z.txt").sha256, Some(hex::encode(secret::sha256(b"zz"))));
        assert!(of("/b/same").link_group.is_some() && of("/b/same").link_group == of("/b/c/z.txt").link_group);
        let empty = of("/empty").meta.clone().unwrap();
        assert_eq!((of("/empty").kind, empty.mode, empty.mtime), (EntryKind::Folder, 0o2570, (-2, 250_000_000)));
        assert_eq!(
            (of("/link").kind, of("/link").target.as_deref().unwrap().ends_with("no%0Awhere")),
            (EntryKind::Symlink, true)
        );
        assert_eq!(of("/b-first.txt").meta.clone().unwrap().attributes.is_some(), has_attributes);
        assert_eq!(found.totals, Totals { entries: 11, files: 5, bytes: 2 + 2 + 24 + 1 });
        assert!(found.unreadable.is_empty());
        let left: Vec<_> = found.left_out.named.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(left, ["a pipe has no content to back up"]);
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
        // The folder too: the names in it have changed.
        assert_eq!(changed, ["", "/gone", "/grown", "/same-size"]);
    }

    #[test]
    fn changes_since_the_last_backup_are_counted_without_reading() {
        let (_temp, root) = folder();
        fs::write(root.join("a"), "1").unwrap();
        fs::write(root.join("b"), "22").unwrap();
        let roots = [root.clone()];
        assert_eq!(changes(&roots, &BackupIndex::default()), Some(Changes { files: 2, bytes: 3 }));

        let index = take(&root).into_index();
        assert_eq!(changes(&roots, &index), Some(Changes { files: 0, bytes: 0 }));

        fs::write(root.join("b"), "333").unwrap();
        fs::write(root.join("c"), "4444").unwrap();
        assert_eq!(changes(&roots, &index), Some(Changes { files: 2, bytes: 7 }));
    }

    #[test]
    fn no_depth_and_no_length_of_a_path_keeps_a_file_out() {
        let (_temp, root) = folder();
        let last = deep(&root, 700);
        rustix::fs::openat(&last, c"file", OFlags::CREATE | OFlags::WRONLY, 0o600.into()).unwrap();
        drop(last);
        fs::write(root.join("e"), "after it").unwrap();

        let found = take(&root);

        assert_eq!((found.totals.entries, found.totals.files), (703, 2));
        assert!(found.unreadable.is_empty() && changed_since(&found).is_empty());
        assert_eq!(found.left_out, LeftOut::default());
        let index = found.into_index();
        assert_eq!(changes(std::slice::from_ref(&root), &index), Some(Changes { files: 0, bytes: 0 }));
        remove(&root);
    }

    #[test]
    fn what_cannot_be_looked_at_is_named_and_never_counted_as_nothing() {
        let (_temp, root) = folder();
        drop(deep(&root, 2100));

        let found = take(&root);

        assert_eq!((found.unreadable.len(), found.left_out.count), (1, 1));
        assert!(found.left_out.named[0].reason.contains("deep"), "{:?}", found.left_out);
        let index = found.into_index();
        assert_eq!(changes(std::slice::from_ref(&root), &index), Some(Changes { files: 1, bytes: 0 }));
        assert_eq!(changes(&[root.join("missing"), root.clone()], &index), None);
        remove(&root);
    }

    #[test]
    fn a_log_that_grows_is_read_as_far_as_it_was_and_told_as_changed() {
        let (_temp, root) = folder();
        fs::write(root.join("log"), "1").unwrap();
        fs::write(root.join("still"), "2").unwrap();
        let found = take(&root);
        let node = source_nodes(&root, &found).into_iter().find(|it| &*it.name() == OsStr::new("log")).unwrap();
        fs::OpenOptions::new().append(true).open(root.join("log")).unwrap().write_all(b"23").unwrap();

        assert_eq!(node.meta.size, 1);
        let changed: Vec<_> = changed_since(&found).into_iter().collect();
        assert_eq!(changed, [encode_path(root.join("log").as_os_str().as_bytes())]);
    }

    fn source_nodes(root: &Path, found: &Inventory) -> Vec<rustic_core::repofile::Node> {
        let source = crate::backup::source::Source {
            scope: scope(root),
            size: 0,
            newest: found.newest,
            unreadable: Arc::default(),
            stop: Stop::default(),
        };
        rustic_core::ReadSource::entries(&source).map(|it| it.unwrap().node).collect()
    }

    #[test]
    fn a_file_is_read_as_far_as_it_said_it_was() {
        // The kernel says that it is empty, and it always has more: a file that grows faster than it is read.
        let dir = tree::open_dir(Path::new("/proc")).unwrap();
        let (sha256, seen) = hash(dir.as_fd(), c"version", &mut [0; 64]).unwrap();
        assert_eq!((sha256, seen.size), (hex::encode(secret::sha256(b"")), 0));
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
        assert_eq!((found.unreadable.len(), found.totals.files, found.left_out.count), (1, 0, 1));
        assert!(listed(&found).iter().any(|it| it.left_out.is_some() && it.meta.is_some()), "its rights are known");
    }

    #[test]
    fn a_missing_root_is_an_error_and_a_stop_ends_the_walk() {
        let (_temp, root) = folder();
        assert!(inventory(&scope(&root.join("missing")), &header(), &Silent, &Stop::default()).is_err());
        fs::write(root.join("a"), "1").unwrap();
        let stop = Stop::default();
        stop.stop();
        assert!(inventory(&scope(&root), &header(), &Silent, &stop).is_err());
    }
}
