//! The folder itself: where each object is, and what may be read and written.
use super::reserve::Reserve;
use crate::blob::disk::is_bad_sector;
use crate::blob::home::{Home, unreadable};
use crate::blob::mark::{is_probe, key_of_mark};
use crate::blob::writes::Writes;
use crate::blob::{BlobKey, ReadFault, WriteFault};
use domain::ground::StopCause;
use domain::object::{ObjectKind, ObjectName};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

/// How a file or folder is made durable; tests replace it with a failing one.
pub type Sync = fn(&File) -> io::Result<()>;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) dir: PathBuf,
    pub(super) tmp: PathBuf,
    pub(super) home: Home,
    pub(super) sync: Sync,
    /// Two processes whose locks do not reach each other still use names that cannot clash.
    pub(super) run: String,
    pub(super) next: AtomicU64,
    pub(super) writes: Writes,
    pub(super) takes_writes: bool,
    /// None unless this is where devices upload to.
    pub(super) reserve: OnceLock<Reserve>,
    /// An object the system did not let us read: it is tried again before the store counts as readable.
    pub(super) unreadable: Mutex<Option<BlobKey>>,
    pub(super) folders: Folders,
    pub(super) unsettled: Vec<(BlobKey, PathBuf)>,
}

pub(super) fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

impl Inner {
    pub(super) fn path(&self, key: &BlobKey) -> PathBuf {
        let mut path = self.dir.join(key.repository.as_str());
        if key.kind == ObjectKind::Config {
            path.push("config");
            return path;
        }
        path.push(key.kind.as_str());
        if key.kind == ObjectKind::Data {
            path.push(key.name.as_str().get(..2).unwrap_or_default());
        }
        path.push(key.name.as_str());
        path
    }

    /// Removes what was never linked to its place, and returns what was.
    pub(super) fn clear_tmp(&self) -> io::Result<Vec<(BlobKey, PathBuf)>> {
        let mut unsettled = Vec::new();
        for entry in fs::read_dir(&self.tmp)? {
            let path = entry?.path();
            match path.file_name().and_then(|it| it.to_str()).and_then(key_of_mark) {
                Some(key) if self.path(&key).try_exists()? => unsettled.push((key, path)),
                None if self.home.is_named() && !is_probe(&path) => {
                    tracing::warn!(path = %path.display(), "this is not one of our uploads; it is left where it is");
                }
                Some(_) | None => fs::remove_file(&path)?,
            }
        }
        Ok(unsettled)
    }

    pub(super) fn new(dir: &Path, home: Home, sync: Sync, takes_writes: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            tmp: dir.join("tmp"),
            home,
            sync,
            run: uuid::Uuid::new_v4().simple().to_string(),
            next: AtomicU64::new(0),
            writes: Writes::default(),
            takes_writes,
            reserve: OnceLock::new(),
            unreadable: Mutex::default(),
            folders: Folders::default(),
            unsettled: Vec::new(),
        }
    }

    pub(super) fn make_file(&self, path: &Path) -> Result<File, WriteFault> {
        let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match make() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.home.still()?;
                self.make_folder(&self.tmp)?;
                Ok(make()?)
            }
            other => Ok(other?),
        }
    }

    pub(super) fn synced(&self, file: &File, what: &Path) -> Result<(), WriteFault> {
        (self.sync)(file).map_err(|error| {
            self.writes.sync_failed(what, &error);
            tracing::error!(%error, path = %what.display(), "the disk could not keep what was written; no more \
             backups are accepted until a restart");
            let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            WriteFault::Stopped(if is_full { StopCause::Full } else { StopCause::Sync }, error.to_string())
        })
    }

    /// Notes how a write ended, and makes what room there is if it found none.
    pub(super) fn noting<T>(&self, result: Result<T, WriteFault>) -> Result<T, WriteFault> {
        let result = self.writes.noting(result);
        if let (Err(WriteFault::Stopped(StopCause::Full, _)), Some(reserve)) = (&result, self.reserve.get()) {
            reserve.look(true);
        }
        result
    }

    /// Whether what room there is is not for what devices send.
    pub(super) fn is_held_back(&self) -> bool {
        self.reserve.get().is_some_and(Reserve::is_given_back)
    }

    /// Nothing is written to a folder that replaced the right one: an upload would be acknowledged onto the
    /// disk below a missing mount.
    pub(super) fn may_write(&self) -> Result<(), WriteFault> {
        if !self.takes_writes {
            return Err(WriteFault::Failed("this process only reads the store".to_owned()));
        }
        if self.writes.have_stopped() {
            let why = "the disk failed earlier; check it, then restart the server".to_owned();
            return Err(WriteFault::Stopped(StopCause::Sync, why));
        }
        Ok(self.home.still()?)
    }

    /// Looks for something at `key`. A missing object counts only if the store itself is there, before and
    /// after.
    pub(super) fn looked<T>(&self, key: &BlobKey, look: impl Fn() -> io::Result<T>) -> Result<Option<T>, ReadFault> {
        match self.present(key, look())? {
            None => {
                self.home.still()?;
                let found = self.present(key, look())?;
                self.home.still()?;
                Ok(found)
            }
            found => Ok(found),
        }
    }

    /// An existing object the system does not let us read stands for the whole store, except for a bad sector,
    /// which is damage to that object.
    pub(super) fn present<T>(&self, key: &BlobKey, result: io::Result<T>) -> Result<Option<T>, ReadFault> {
        present(result).map_err(|error| {
            if is_bad_sector(&error) {
                return ReadFault::Unreadable(error.to_string());
            }
            *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
            unreadable(&self.path(key), &error).into()
        })
    }

    pub(super) fn read(&self, key: &BlobKey, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(key))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(usize::MAX).min(MAX_CAPACITY));
        file.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a block as an upload would, and removes it again.
    pub(super) fn try_write(&self) -> Result<(), WriteFault> {
        self.may_write()?;
        let path = self.tmp.join(format!("probe-{}", self.run));
        let _ = fs::remove_file(&path);
        let mut file = self.make_file(&path)?;
        let written = file.write_all(&[0; 4096]).map_err(WriteFault::from).and_then(|()| self.synced(&file, &path));
        fs::remove_file(&path)?;
        written
    }

    /// Creates the folder of `path` and every folder above it, each entry durable; never the store's own, which
    /// is there or has gone.
    fn make_folder(&self, folder: &Path) -> Result<(), WriteFault> {
        let Some(above) = folder.parent().filter(|_| folder != self.dir) else {
            return Ok(self.home.still()?);
        };
        match self.make_in(above, folder) {
            Err(error) if error.kind() == ErrorKind::NotFound && above.starts_with(&self.dir) => {
                self.make_folder(above)?;
                self.keep_entry(above, self.make_in(above, folder))
            }
            made => self.keep_entry(above, made),
        }
    }

    /// Creates a folder and returns the one above it, whose entry is not durable yet; none if it was there.
    ///
    /// That one is opened first: without a file descriptor for it, no folder is made whose entry nobody syncs.
    fn make_in(&self, above: &Path, folder: &Path) -> io::Result<Option<File>> {
        let opened = File::open(above)?;
        match builder().create(folder) {
            Ok(()) => Ok(Some(opened)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn keep_entry(&self, above: &Path, made: io::Result<Option<File>>) -> Result<(), WriteFault> {
        made?.map_or(Ok(()), |opened| self.synced(&opened, above))
    }

    /// Creates a folder for objects, durable; the caller holds its lock.
    fn make_last(&self, folder: &Path) -> Result<(), WriteFault> {
        let above = folder.parent().unwrap_or(&self.dir);
        // A repository's own folder is above others, which nobody may make before its entry is durable.
        if above == self.dir {
            let _making = self.folders.upper.write().unwrap_or_else(PoisonError::into_inner);
            return self.make_folder(folder);
        }
        let made = {
            let _made = self.folders.upper.read().unwrap_or_else(PoisonError::into_inner);
            self.make_in(above, folder)
        };
        match made {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let _making = self.folders.upper.write().unwrap_or_else(PoisonError::into_inner);
                self.make_folder(folder)
            }
            // One that is there was made by another, who held its lock until it was durable.
            made => self.keep_entry(above, made),
        }
    }

    /// Does `place` once more if the folder was missing.
    pub(super) fn in_folder(&self, path: &Path, place: impl Fn() -> io::Result<()>) -> Result<(), WriteFault> {
        let folder = path.parent().unwrap_or(&self.dir);
        let lock = self.folders.of(folder);
        let placed = {
            let _made = lock.read().unwrap_or_else(PoisonError::into_inner);
            // A repository's folder, with the config in it, is above others.
            let _above = self.folders.upper.read().unwrap_or_else(PoisonError::into_inner);
            place()
        };
        match placed {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let _making = lock.write().unwrap_or_else(PoisonError::into_inner);
                self.make_last(folder)?;
                place()?;
            }
            other => other?,
        }
        self.synced(&File::open(folder)?, folder)
    }
}

/// Locks that are held for writing while a folder is made and its entry becomes durable: nobody puts an object into it
/// in between, and says that it is kept. Whoever holds both has taken that of the object's own folder first.
#[derive(Debug)]
pub(super) struct Folders {
    /// Of the folders above those of objects; they are few, and made once.
    upper: RwLock<()>,
    /// Of the folders of objects, by their path. A new repository makes 256 of them, each with a sync, while others
    /// upload; so they have more than one lock, and sharing one only costs time.
    last: [RwLock<()>; 64],
}

impl Default for Folders {
    fn default() -> Self {
        Self { upper: RwLock::default(), last: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl Folders {
    fn of(&self, folder: &Path) -> &RwLock<()> {
        let mut hasher = DefaultHasher::new();
        folder.hash(&mut hasher);
        let count = self.last.len() as u64;
        let at = usize::try_from(hasher.finish() % count).unwrap_or_default();
        let [first, ..] = &self.last;
        self.last.get(at).unwrap_or(first)
    }
}

/// A requested length is not a reason to reserve that much.
const MAX_CAPACITY: usize = 16 << 20;

pub(super) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `found` with each object in `folder` and in its two-digit folders.
pub(super) fn list_folder(folder: &Path, found: &mut dyn FnMut(ObjectName, u64)) -> io::Result<()> {
    let Some(entries) = present(fs::read_dir(folder))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        // A lock may have been removed since its name was read.
        let Some(metadata) = present(entry.metadata())? else { continue };
        if metadata.is_dir() {
            list_folder(&entry.path(), found)?;
        } else if let Some(name) = entry.file_name().to_str().and_then(ObjectName::parse) {
            found(name, metadata.len());
        }
    }
    Ok(())
}
