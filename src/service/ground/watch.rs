//! Looks again and again, and keeps what it finds.
use super::guarded::Guarded;
use super::news::{came_back, go_on, note_room, stop, went};
use crate::blob::disk::space_of;
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault};
use crate::error::Result;
use crate::service::backup;
use crate::store::ground::Witness;
use crate::store::repository::MAX_OBJECTS;
use crate::store::setting::UNDELIVERED;
use crate::store::{self, Store};
use domain::ground::{Away, Disk, Sample, StopCause, Stopped, Trouble, Undelivered};
use domain::id::RepositoryId;
use domain::object::ObjectKind;
use domain::time::{Time, hours};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a store may be silent before it counts as away.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many repositories are checked in one run.
const WITNESSES: i64 = 100;

/// How often a write is tried while all is well.
const TRY_WRITES_EVERY: Duration = Duration::from_secs(60);

const SAMPLE_EVERY: Duration = hours(1);

/// Looks after the ground. Cheap to clone.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Arc<dyn BlobStore>,
    /// The SQLite file; none if the database is on another machine.
    database: Option<PathBuf>,
    turn: Mutex<Turn>,
    live: Mutex<Live>,
    guarded: Guarded,
}

/// Where the next run continues.
#[derive(Default)]
struct Turn {
    repository: Option<RepositoryId>,
    tried_at: Option<Time>,
    sampled_at: Option<Time>,
}

/// What was found last, even if the database could not store it.
#[derive(Default)]
struct Live {
    away: Option<StoreFault>,
    stopped: Option<(StopCause, String)>,
    at_object_limit: usize,
    database: Option<Trouble>,
    mail: Option<Undelivered>,
}

impl Watch {
    /// Watches `blobs`, and the disk of `database` if that is a local file.
    pub fn new(store: Store, blobs: Arc<dyn BlobStore>, database: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            store,
            blobs,
            database,
            turn: Mutex::default(),
            live: Mutex::default(),
            guarded: Guarded::default(),
        }))
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One check of everything; returns how much it found or changed.
    ///
    /// # Errors
    /// When the database refuses: then only [`Watch::complaints`] knows what was found.
    pub fn look(&self, now: Time) -> Result<usize> {
        let found = self.look_only();
        let is_there = found.is_ok();
        self.live().away = found.as_ref().err().cloned();
        let mut changed = usize::from(self.keep_away(found, now)?);
        if is_there {
            changed += self.look_for_objects(now)?;
            changed += usize::from(self.look_at_writes(now)?);
        }
        changed += self.look_at_room(now)?;
        self.live().at_object_limit =
            self.0.store.read_blocking(|conn| store::ground::at_object_limit(conn, MAX_OBJECTS))?.len();
        self.live().mail = self.0.store.read_blocking(|conn| UNDELIVERED.find(conn))?;
        Ok(changed)
    }

    /// Whether the store is there and can be read; keeps nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn look_only(&self) -> std::result::Result<(), StoreFault> {
        self.guarded(|blobs| blobs.check()).and_then(|it| it)
    }

    /// Remembers what is wrong with the database.
    pub fn note_database(&self, trouble: Option<Trouble>) {
        self.live().database = trouble;
    }

    /// Why backups cannot be stored or read now, in words; empty while all is well.
    pub fn complaints(&self) -> Vec<String> {
        let live = self.live();
        let mut said = Vec::new();
        if let Some(fault) = &live.away {
            said.push(format!("the backup store cannot be read: {}", fault.why));
        }
        if let Some((_, why)) = &live.stopped {
            said.push(format!("no backups can be stored: {why}"));
        }
        if let Some(trouble) = &live.database {
            said.push(format!("{}: {}", trouble.headline().to_lowercase(), trouble.why));
        }
        if let Some(mail) = &live.mail {
            said.push(format!("no mail has been accepted since {}: {}", mail.since.iso(), mail.why));
        }
        if live.at_object_limit > 0 {
            let what = domain::words::counted(
                i64::try_from(live.at_object_limit).unwrap_or(i64::MAX),
                "device has",
                "devices have",
            );
            said.push(format!("{what} reached the most stored objects allowed, and cannot store more backups"));
        }
        said
    }

    fn guarded<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn BlobStore) -> T + Send + 'static,
    ) -> std::result::Result<T, StoreFault> {
        self.0.guarded.run(&self.0.blobs, PATIENCE, &|| false, |blobs, _| work(blobs))
    }

    /// Records that the store went away or came back; true if that is news.
    fn keep_away(&self, found: std::result::Result<(), StoreFault>, now: Time) -> Result<bool> {
        let before = self.0.store.read_blocking(store::ground::away)?;
        match (found, before) {
            (Ok(()), None) => Ok(false),
            (Err(fault), Some(before)) if fault.cause == before.cause => Ok(false),
            (Err(fault), before) => {
                tracing::error!(cause = %fault.cause, why = fault.why, "the backup store cannot be read");
                let since = before.map_or(now, |it| it.since);
                let away = Away { cause: fault.cause, why: fault.why, since };
                self.0.store.act_blocking(move |conn| went(conn, &away, now))?;
                Ok(true)
            }
            (Ok(()), Some(before)) => {
                tracing::warn!("the backup store can be read again");
                self.0.store.act_blocking(move |conn| came_back(conn, &before, now))?;
                Ok(true)
            }
        }
    }

    /// Checks that the newest snapshot of each repository is there, with the right length: so a folder that went is
    /// noticed at once. Everything else is looked for by `service::verification`.
    fn look_for_objects(&self, now: Time) -> Result<usize> {
        let after = self.turn().repository;
        let some = self.0.store.read_blocking(move |conn| store::ground::witnesses(conn, after, WITNESSES))?;
        self.turn().repository = some.last().map(|it| it.0);
        let wanted: Vec<Witness> = some.into_iter().filter_map(|it| it.1).collect();
        // A store that does not answer says nothing about single objects.
        let Ok(missing) = self.guarded(move |blobs| missing(blobs, wanted)) else { return Ok(0) };
        let count = missing.len();
        for (repository, kind, name) in missing {
            let key = BlobKey::new(repository, kind, name);
            self.0.store.act_blocking(move |conn| backup::object_damaged(conn, &key, now))?;
        }
        Ok(count)
    }

    fn look_at_writes(&self, now: Time) -> Result<bool> {
        let before = self.0.store.read_blocking(store::ground::find)?.stopped;
        // Also when the clock was set back; it would otherwise wait until the clock has caught up.
        let is_due = self.turn().tried_at.is_none_or(|at| now >= at + TRY_WRITES_EVERY || now < at);
        // While writes are refused, each run tries: backups go on as soon as they can.
        if before.is_none() && !is_due {
            return Ok(false);
        }
        self.turn().tried_at = Some(now);
        let Ok(found) = self.guarded(|blobs| blobs.check_writes()) else { return Ok(false) };
        self.live().stopped.clone_from(&found);
        match (found, before) {
            (None, None) => Ok(false),
            (Some((cause, _)), Some(before)) if cause == before.cause => Ok(false),
            (Some((cause, why)), before) => {
                tracing::error!(%cause, why, "no backups are accepted");
                let stopped = Stopped { cause, why, since: before.map_or(now, |it| it.since) };
                self.0.store.act_blocking(move |conn| stop(conn, &stopped, now))?;
                Ok(true)
            }
            (None, Some(before)) => {
                self.0.store.act_blocking(move |conn| go_on(conn, &before, now))?;
                Ok(true)
            }
        }
    }

    fn look_at_room(&self, now: Time) -> Result<usize> {
        let is_due = self.turn().sampled_at.is_none_or(|at| now >= at + SAMPLE_EVERY || now < at);
        if !is_due {
            return Ok(0);
        }
        let blobs = self.guarded(|blobs| blobs.space()).ok().flatten();
        let database = self.0.database.as_deref().and_then(space_of);
        let bytes = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
        let mut told = 0;
        for (disk, space) in [(Disk::Database, database), (Disk::Backups, blobs)] {
            let Some((free, total)) = space else { continue };
            let sample = Sample { at: now, free_bytes: bytes(free), total_bytes: bytes(total) };
            told += usize::from(self.0.store.act_blocking(move |conn| note_room(conn, disk, sample))?);
        }
        // Last, so that what could not be kept is tried again in the next run.
        self.turn().sampled_at = Some(now);
        Ok(told)
    }
}

/// Those that are not completely there. Where the store as a whole cannot be read, its own check says so.
fn missing(blobs: &dyn BlobStore, wanted: Vec<Witness>) -> Vec<(RepositoryId, ObjectKind, domain::object::ObjectName)> {
    let mut missing = Vec::new();
    for (repository, kind, name, size) in wanted {
        let is_whole = match blobs.size(&BlobKey::new(repository, kind, name.clone())) {
            Ok(found) => found.is_some_and(|it| i64::try_from(it).is_ok_and(|it| it == size)),
            Err(ReadFault::Lost | ReadFault::Unreadable(_)) => false,
            Err(ReadFault::Away(_)) => break,
        };
        if !is_whole {
            missing.push((repository, kind, name));
        }
    }
    missing
}
