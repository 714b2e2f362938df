//! Writing a backup by `rustic_core`, which is used for nothing else.
use super::backend::Backend;
use crate::agent::net::backoff::Stop;
use crate::agent::net::door::Door;
use crate::agent::progress::{Event, Progress};
use crate::agent::protect::MARK_NAME;
use crate::agent::tree;
use crate::domain::manifest::TAG_PREFIX;
use crate::domain::object::ObjectName;
use anyhow::{Context, Result, anyhow, bail};
use rustic_core::{
    BackupOptions, Credentials, Excludes, LocalSource, LocalSourceFilterOptions, LocalSourceSaveOptions, ParentOptions,
    Progress as Bar, ProgressBars, ProgressType, ReadSource, ReadSourceEntry, ReadSourceOpen, Repository,
    RepositoryBackends, RepositoryOptions, RusticError, RusticProgress, RusticResult, SnapshotOptions,
};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What is backed up, and how the repository opens.
pub struct Plan<'a> {
    pub roots: &'a [PathBuf],
    /// The same for each backup of the device, so that its last one is found as the parent.
    pub host: &'a str,
    pub manifest: &'a ObjectName,
    pub password: &'a str,
    /// Counts on nothing that is stored.
    pub afresh: bool,
}

/// A finished backup.
pub struct Archived {
    pub snapshot: ObjectName,
    /// Paths that could not be read.
    pub unreadable: BTreeSet<Vec<u8>>,
}

/// Backs up, and gives the snapshot's name.
///
/// # Errors
/// When the server cannot be reached or refuses, or `stop` was asked for; then no snapshot was written.
pub fn run(door: Door, plan: &Plan<'_>, progress: Arc<dyn Progress>, stop: &Stop) -> Result<Archived> {
    let backend = Backend::new(door, plan.afresh);
    let failed = |error: Box<RusticError>, what: &str| match backend.failure() {
        // The door's own words say what to do; the library's wrap them in others.
        Some(error) => anyhow!(error),
        None => anyhow!("{what}: {}", error.display_log()),
    };
    let options = RepositoryOptions::default().no_cache(true);
    let backends = RepositoryBackends::new(Arc::new(backend.clone()), None);
    let bars = Bars { progress, done: Arc::default() };
    let repository = Repository::new_with_progress(&options, &backends, bars)
        .and_then(|it| it.open(&Credentials::password(plan.password)))
        .map_err(|it| failed(it, "opening the repository"))?;
    let repository = repository.to_indexed_ids().map_err(|it| failed(it, "reading the repository's index"))?;
    let tag = format!("{TAG_PREFIX}{}", plan.manifest);
    let snapshot = SnapshotOptions::default()
        .host(plan.host.to_owned())
        .add_tags(&tag)
        .and_then(|it| it.to_snapshot())
        .map_err(|it| failed(it, "preparing the snapshot"))?;
    let parent = ParentOptions::default().force(plan.afresh);
    let options = BackupOptions::default().parent_opts(parent);
    let source = Source::new(plan.roots, stop).map_err(|it| failed(it, "reading the protected folders"))?;
    let made = repository.archive(&options, &source, snapshot, plan.roots).map_err(|it| failed(it, "backing up"))?;
    if let Some(error) = backend.failure() {
        return Err(anyhow!(error));
    }
    if stop.is_stopped() {
        bail!("the backup was stopped");
    }
    let id = made.id.to_hex();
    let snapshot = ObjectName::parse(id.as_str()).context("the snapshot has no name")?;
    let unreadable = std::mem::take(&mut *source.unreadable.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Archived { snapshot, unreadable })
}

type Unreadable = Arc<Mutex<BTreeSet<Vec<u8>>>>;

/// The protected folders as `rustic_core` walks them, but without the marks, and with files opened by handle.
struct Source {
    inner: LocalSource,
    marks: Vec<PathBuf>,
    unreadable: Unreadable,
    stop: Stop,
}

impl Source {
    fn new(roots: &[PathBuf], stop: &Stop) -> RusticResult<Self> {
        let filter = LocalSourceFilterOptions::default().one_file_system(true);
        let inner = LocalSource::new(LocalSourceSaveOptions::default(), &Excludes::default(), &filter, roots)?;
        let marks = roots.iter().map(|it| it.join(MARK_NAME)).collect();
        Ok(Self { inner, marks, unreadable: Arc::default(), stop: stop.clone() })
    }
}

impl ReadSource for Source {
    type Open = Open;
    type Iter = Box<dyn Iterator<Item = RusticResult<ReadSourceEntry<Open>>> + Send>;

    fn size(&self) -> RusticResult<Option<u64>> {
        self.inner.size()
    }

    fn entries(&self) -> Self::Iter {
        let marks = self.marks.clone();
        let unreadable = Arc::clone(&self.unreadable);
        let stop = self.stop.clone();
        let entries = self.inner.entries().take_while(move |_| !stop.is_stopped());
        Box::new(entries.filter_map(move |entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error)),
            };
            if marks.contains(&entry.path) {
                return None;
            }
            let open =
                entry.open.is_some().then(|| Open { path: entry.path.clone(), unreadable: Arc::clone(&unreadable) });
            Some(Ok(ReadSourceEntry { path: entry.path, node: entry.node, open }))
        }))
    }
}

/// A file to read: no symlink in its path is followed, whatever was put there since it was listed.
struct Open {
    path: PathBuf,
    unreadable: Unreadable,
}

impl ReadSourceOpen for Open {
    type Reader = Reader;

    fn open(self) -> RusticResult<Reader> {
        match open(&self.path) {
            Ok(file) => Ok(Reader { file, path: self.path, unreadable: self.unreadable }),
            Err(error) => {
                note(&self.unreadable, &self.path);
                Err(RusticError::with_source(rustic_core::ErrorKind::InputOutput, "a file could not be opened", error))
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let (dir, name) = tree::open_parent(path)?;
    Ok(File::from(tree::open_file(dir.as_fd(), &name)?))
}

fn note(unreadable: &Unreadable, path: &Path) {
    unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(path.as_os_str().as_bytes().to_vec());
}

/// Reads a file, and remembers where that failed: the library leaves such a file out and goes on.
struct Reader {
    file: File,
    path: PathBuf,
    unreadable: Unreadable,
}

impl std::io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != std::io::ErrorKind::Interrupted {
                note(&self.unreadable, &self.path);
            }
        })
    }
}

/// The library's progress bars as events.
#[derive(Clone)]
struct Bars {
    progress: Arc<dyn Progress>,
    done: Arc<AtomicU64>,
}

impl std::fmt::Debug for Bars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bars")
    }
}

impl ProgressBars for Bars {
    fn progress(&self, kind: ProgressType, _: &str) -> Bar {
        match kind {
            ProgressType::Bytes => Bar::new(Bytes { bars: self.clone(), total: AtomicU64::new(0) }),
            ProgressType::Spinner | ProgressType::Counter => Bar::hidden(),
        }
    }
}

#[derive(Debug)]
struct Bytes {
    bars: Bars,
    total: AtomicU64,
}

impl RusticProgress for Bytes {
    fn is_hidden(&self) -> bool {
        false
    }

    fn set_length(&self, length: u64) {
        self.total.store(length, Ordering::Relaxed);
    }

    fn set_title(&self, _: &str) {}

    fn inc(&self, count: u64) {
        let bytes = self.bars.done.fetch_add(count, Ordering::Relaxed) + count;
        let total = Some(self.total.load(Ordering::Relaxed)).filter(|it| *it > 0);
        self.bars.progress.event(Event::BackedUp { bytes, total });
    }

    fn finish(&self) {}
}
