//! The state directory: what survives a restart, and nothing else.
//!
//! Each record is one file, mode 0600, replaced as a whole (temporary file, fsync,
//! rename, fsync of the directory), so that a kill at any moment leaves the old or the new one. A lock keeps
//! out a second agent.
mod record;

pub use record::{
    Away, BackupAnswer, BackupIndex, BackupRequest, ClockOffset, Credentials, Enrollment, Held, IndexedFile, Journal,
    JournalEntry, LastBackup, LastFailure, Marks, Outbox, Policy, ProtectedRoot, RestoreJournal, Roots, Seen,
    UndoJournal, WipeJournal, WipeStage, Wiped,
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long an agent waits for the lock: a program that the one before it was just starting holds it a moment longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reserved space, so that a wipe and a lock can be written down on a full disk.
const RESERVE: &str = "reserve";
const RESERVE_BLOCK: usize = 1 << 10;
const RESERVE_BLOCKS: usize = 64;

/// One record of the state directory: its type and its file.
pub trait Record: Serialize + DeserializeOwned {
    const FILE: &'static str;
}

/// The open state directory.
#[derive(Debug)]
pub struct State {
    dir: PathBuf,
    /// Held as long as the agent lives; none for read-only use.
    _lock: Option<File>,
    /// One writer at a time: a record is read, changed and written in one step.
    change: Mutex<()>,
}

impl State {
    /// Opens the directory for the one agent that may change it; creates it if it is missing.
    ///
    /// # Errors
    /// When another agent is using it, or it cannot be created or is open to others.
    pub fn open(dir: &Path) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("making the state directory {}; choose another with --state", dir.display()))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("closing the state directory {} to others", dir.display()))?;
        let path = dir.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        take_lock(&lock, dir)?;
        let state = Self { dir: dir.to_owned(), _lock: Some(lock), change: Mutex::new(()) };
        // If the disk is full now, the next start tries again.
        if let Err(error) = state.make_reserve() {
            tracing::warn!("no space could be reserved in {}: {error:#}", dir.display());
        }
        Ok(state)
    }

    /// Opens the directory for reading, while an agent may be using it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn view(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            bail!(
                "{} is not there; run `holdfast agent enroll` first, or name the directory with --state",
                dir.display()
            );
        }
        Ok(Self { dir: dir.to_owned(), _lock: None, change: Mutex::new(()) })
    }

    /// Whether an agent holds the lock.
    pub fn is_in_use(&self) -> bool {
        let Ok(file) = OpenOptions::new().write(true).open(self.dir.join("lock")) else { return false };
        matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads a record; none if it was never written.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn find<R: Record>(&self) -> Result<Option<R>> {
        let path = self.dir.join(R::FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("reading {}: it is damaged; enroll again with --again", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Reads a record that every enrolled agent has.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn get<R: Record>(&self) -> Result<R> {
        self.find()?
            .with_context(|| format!("{} has no {}; run `holdfast agent enroll` first", self.dir.display(), R::FILE))
    }

    /// Replaces a record; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written, for example on a full disk; the old one stays.
    pub fn put<R: Record>(&self, record: &R) -> Result<()> {
        let bytes = serde_json::to_vec(record).with_context(|| format!("encoding {}", R::FILE))?;
        let path = self.dir.join(R::FILE);
        self.with_reserve(|| self.replace(&path, &bytes)).with_context(|| format!("writing {}", path.display()))
    }

    /// Reads a record (or its default), changes it, and writes it, in one step.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn change<R: Record + Default, T>(&self, change: impl FnOnce(&mut R) -> T) -> Result<T> {
        let _one_at_a_time = self.change.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut record = self.find::<R>()?.unwrap_or_default();
        let answer = change(&mut record);
        self.put(&record)?;
        Ok(answer)
    }

    /// Removes a record; it is gone from the disk when this returns.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove<R: Record>(&self) -> Result<()> {
        let path = self.dir.join(R::FILE);
        match fs::remove_file(&path) {
            Ok(()) => self.sync_dir().with_context(|| format!("removing {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("removing {}", path.display())),
        }
    }

    /// Overwrites a record with zeros before removing it: for keys.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn destroy<R: Record>(&self) -> Result<()> {
        let path = self.dir.join(R::FILE);
        if let Ok(mut file) = OpenOptions::new().write(true).open(&path) {
            let size = usize::try_from(file.metadata().map_or(0, |it| it.len())).unwrap_or(0);
            file.write_all(&vec![0; size])
                .and_then(|()| file.sync_all())
                .with_context(|| format!("overwriting {}", path.display()))?;
        }
        self.remove::<R>()
    }

    /// Fills the file that is given up on a full disk, if it is missing.
    fn make_reserve(&self) -> Result<()> {
        let path = self.dir.join(RESERVE);
        if fs::metadata(&path).is_ok_and(|it| it.len() >= (RESERVE_BLOCK * RESERVE_BLOCKS) as u64) {
            return Ok(());
        }
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path)?;
        for _ in 0..RESERVE_BLOCKS {
            // Random: zeros take no space on a compressing file system.
            file.write_all(&secret::bytes::<RESERVE_BLOCK>()?)?;
        }
        Ok(file.sync_all()?)
    }

    /// Writes something; on a full disk once more, using the reserve.
    fn with_reserve(&self, write: impl Fn() -> std::io::Result<()>) -> std::io::Result<()> {
        match write() {
            Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                fs::remove_file(self.dir.join(RESERVE)).map_err(|_gone| error)?;
                write()
            }
            written => written,
        }
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        self.sync_dir()
    }

    fn sync_dir(&self) -> std::io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

/// Locks a state directory for this process.
fn take_lock(lock: &File, dir: &Path) -> Result<()> {
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(fs::TryLockError::WouldBlock) => {
                bail!("an agent is using {}; stop it first, or name another directory with --state", dir.display())
            }
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("locking {}", dir.join("lock").display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state")).unwrap();

        assert!(state.find::<ClockOffset>().unwrap().is_none());
        state.put(&ClockOffset { millis: -7 }).unwrap();

        assert_eq!(state.get::<ClockOffset>().unwrap().millis, -7);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.dir()), 0o700);
        assert_eq!(mode(&state.dir().join(ClockOffset::FILE)), 0o600);
    }

    #[test]
    fn a_second_agent_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();

        let refused = State::open(dir.path()).unwrap_err().to_string();

        assert!(refused.contains("an agent is using"), "{refused}");
        assert!(State::view(dir.path()).unwrap().is_in_use());
        drop(state);
        State::open(dir.path()).unwrap();
    }

    #[test]
    fn a_half_written_file_is_never_the_record() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        state.put(&ClockOffset { millis: 1 }).unwrap();

        fs::write(dir.path().join("clock.new"), b"{\"mil").unwrap();

        assert_eq!(state.get::<ClockOffset>().unwrap().millis, 1);
        state.put(&ClockOffset { millis: 2 }).unwrap();
        assert_eq!(state.get::<ClockOffset>().unwrap().millis, 2);
    }

    #[test]
    fn on_a_full_disk_the_reserve_makes_room_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let reserve = dir.path().join(RESERVE);
        let full_with_reserve = || if reserve.exists() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) };
        assert_eq!(fs::metadata(&reserve).unwrap().len(), 64 << 10);

        state.with_reserve(full_with_reserve).unwrap();

        assert!(!reserve.exists());
        let still_full = state.with_reserve(|| Err(ErrorKind::StorageFull.into())).unwrap_err();
        assert_eq!(still_full.kind(), ErrorKind::StorageFull);
        drop(state);
        State::open(dir.path()).unwrap();
        assert!(reserve.exists(), "the next start keeps room again");
    }

    #[test]
    fn a_destroyed_record_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        state.put(&ClockOffset { millis: 1 }).unwrap();

        state.destroy::<ClockOffset>().unwrap();

        assert!(state.find::<ClockOffset>().unwrap().is_none());
        state.destroy::<ClockOffset>().unwrap();
    }
}
