//! Writing a backup with `rustic_core`, which is used for nothing else.
use super::backend::Backend;
use super::source::{Source, Unreadable};
use super::walk::Scope;
use crate::net::backoff::Stop;
use crate::net::door::Door;
use crate::progress::{Event, Progress};
use anyhow::{Context, Result, anyhow, bail};
use domain::manifest::TAG_PREFIX;
use domain::object::ObjectName;
use rustic_core::{
    BackupOptions, Credentials, ParentOptions, Progress as Bar, ProgressBars, ProgressType, Repository,
    RepositoryBackends, RepositoryOptions, RusticError, RusticProgress, SnapshotOptions,
};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

/// What is backed up, and how the repository opens.
pub struct Plan<'a> {
    pub scope: &'a Scope,
    /// Bytes of all files, according to the manifest.
    pub size: u64,
    /// The newest change in the manifest, in nanoseconds of the file system's clock.
    pub newest: i64,
    /// The same for each backup of the device, so that its last one is found as the parent.
    pub host: &'a str,
    pub manifest: &'a ObjectName,
    pub password: &'a str,
    /// Relies on nothing that is already stored.
    pub afresh: bool,
}

/// A finished backup.
pub struct Archived {
    pub snapshot: ObjectName,
    /// Paths that could not be read.
    pub unreadable: BTreeSet<Vec<u8>>,
}

/// Backs up, and returns the snapshot's name.
///
/// # Errors
/// When the server cannot be reached or refuses, or `stop` was requested; then no snapshot was written.
pub fn run(door: Door, plan: &Plan<'_>, progress: Arc<dyn Progress>, stop: &Stop) -> Result<Archived> {
    let backend = Backend::new(door, plan.afresh);
    let failed = |error: Box<RusticError>, what: &str| match backend.failure() {
        // The door's own words say what to do; the library wraps them in others.
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
    let unreadable = Unreadable::default();
    let source = Source {
        scope: plan.scope.clone(),
        size: plan.size,
        newest: plan.newest,
        unreadable: Arc::clone(&unreadable),
        stop: stop.clone(),
    };
    let roots = &plan.scope.roots;
    let made = repository.archive(&options, &source, snapshot, roots).map_err(|it| failed(it, "backing up"))?;
    if let Some(error) = backend.failure() {
        return Err(anyhow!(error));
    }
    if stop.is_stopped() {
        bail!("the backup was stopped");
    }
    let id = made.id.to_hex();
    let snapshot = ObjectName::parse(id.as_str()).context("the snapshot has no name")?;
    let unreadable = std::mem::take(&mut *unreadable.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Archived { snapshot, unreadable })
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
