//! Blobs as files: `DIR/<repository>/<kind>/[<xx>/]<name>`.
//!
//! An upload is a file in `DIR/tmp` whose name contains its key. It is written,
//! synced, and linked to its place, which never overwrites; then the folder is
//! synced. The file in `tmp` goes only after the ledger has the row, so what a
//! crash leaves in `tmp` is the list of what the next start has to check.
//!
//! `DIR/holdfast` says whose folder it is ([`home`](super::home)): it is checked before each write, and before
//! something counts as missing.
use crate::blob::disk::{has_room, is_bad_sector, is_read_only, space_of};
use crate::blob::home::{Home, Identity, Opening, unreadable, unusable};
use crate::blob::mark::{is_probe, key_of_mark};
use crate::blob::writes::Writes;
use crate::blob::{BlobKey, BlobStore, Mark, ReadFault, StoreFault, Stored, Upload, WriteFault, piece};
use domain::ground::StopCause;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use rustix::fs::{AtFlags, CWD, OFlags, fcntl_getfl, fcntl_setfl, linkat};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How a file or folder is made durable; tests replace it with a failing one.
pub type Sync = fn(&File) -> io::Result<()>;

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct FsBlobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    tmp: PathBuf,
    home: Home,
    sync: Sync,
    /// Two processes whose locks do not reach each other still use names that cannot clash.
    run: String,
    next: AtomicU64,
    writes: Writes,
    takes_writes: bool,
    /// An object the system did not let us read: it is tried again before the store counts as readable.
    unreadable: Mutex<Option<BlobKey>>,
    unsettled: Vec<(BlobKey, PathBuf)>,
}

impl FsBlobs {
    /// Opens a folder that belongs to nobody in particular, creating it if it is missing, and clears unfinished
    /// uploads. For tests and measurements: a server opens its own, see [`FsBlobs::open_home`].
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, StoreFault> {
        Self::open_with(dir, File::sync_all)
    }

    /// [`FsBlobs::open`] with another way of making files durable.
    ///
    /// # Errors
    /// As [`FsBlobs::open`].
    pub fn open_with(dir: &Path, sync: Sync) -> Result<Self, StoreFault> {
        Self::begin_writing(dir, Home::unnamed(dir)?, sync)
    }

    /// Opens a server's folder, for this process alone.
    ///
    /// # Errors
    /// When it is not there, is another's, or is used by another process.
    pub fn open_home(dir: &Path, identity: &Identity, opening: Opening) -> Result<Self, StoreFault> {
        Self::begin_writing(dir, Home::open(dir, identity, opening)?, File::sync_all)
    }

    /// Opens a server's folder for reading, beside the server.
    ///
    /// # Errors
    /// When it is not there or another's.
    pub fn open_read_only(dir: &Path, identity: &Identity) -> Result<Self, StoreFault> {
        let home = Home::open(dir, identity, Opening::Beside)?;
        Ok(Self(Arc::new(Inner::new(dir, home, File::sync_all, false))))
    }

    fn begin_writing(dir: &Path, home: Home, sync: Sync) -> Result<Self, StoreFault> {
        let mut inner = Inner::new(dir, home, sync, true);
        if is_read_only(dir) {
            tracing::error!(folder = %dir.display(), "the backup disk is read-only: no backups are accepted");
            return Ok(Self(Arc::new(inner)));
        }
        let made = builder().recursive(true).create(&inner.tmp).and_then(|()| sync(&File::open(dir)?));
        made.map_err(|error| unusable(&inner.tmp, &error))?;
        inner.unsettled = inner.clear_tmp().map_err(|error| unusable(&inner.tmp, &error))?;
        Ok(Self(Arc::new(inner)))
    }

    fn upload(&self, key: &BlobKey) -> Result<FileUpload, WriteFault> {
        self.0.may_write()?;
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let tmp = self.0.tmp.join(format!("{}.{}.{}.{}-{number}", key.repository, key.kind, key.name, self.0.run));
        let file = self.0.writes.noting(self.0.make_file(&tmp))?;
        Ok(FileUpload {
            store: Arc::clone(&self.0),
            place: self.0.path(key),
            tmp,
            file,
            cache: Cache::Untried,
            keep_tmp: false,
        })
    }
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

impl Inner {
    fn path(&self, key: &BlobKey) -> PathBuf {
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
    fn clear_tmp(&self) -> io::Result<Vec<(BlobKey, PathBuf)>> {
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

    fn new(dir: &Path, home: Home, sync: Sync, takes_writes: bool) -> Self {
        Self {
            dir: dir.to_owned(),
            tmp: dir.join("tmp"),
            home,
            sync,
            run: uuid::Uuid::new_v4().simple().to_string(),
            next: AtomicU64::new(0),
            writes: Writes::default(),
            takes_writes,
            unreadable: Mutex::default(),
            unsettled: Vec::new(),
        }
    }

    fn make_file(&self, path: &Path) -> Result<File, WriteFault> {
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

    fn synced(&self, file: &File, what: &Path) -> Result<(), WriteFault> {
        (self.sync)(file).map_err(|error| {
            self.writes.sync_failed(what, &error);
            tracing::error!(%error, path = %what.display(), "the disk could not keep what was written; no more \
             backups are accepted until a restart");
            WriteFault::Stopped(StopCause::Sync, error.to_string())
        })
    }

    /// Nothing is written to a folder that replaced the right one: an upload would be acknowledged onto the
    /// disk below a missing mount.
    fn may_write(&self) -> Result<(), WriteFault> {
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
    fn looked<T>(&self, key: &BlobKey, look: impl Fn() -> io::Result<T>) -> Result<Option<T>, ReadFault> {
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
    fn present<T>(&self, key: &BlobKey, result: io::Result<T>) -> Result<Option<T>, ReadFault> {
        present(result).map_err(|error| {
            if is_bad_sector(&error) {
                return ReadFault::Unreadable(error.to_string());
            }
            *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
            unreadable(&self.path(key), &error).into()
        })
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.path(key))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(usize::MAX).min(MAX_CAPACITY));
        file.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a block as an upload would, and removes it again.
    fn try_write(&self) -> Result<(), WriteFault> {
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
        match builder().create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && above.starts_with(&self.dir) => {
                self.make_folder(above)?;
                match builder().create(folder) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
                    _ => {}
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.synced(&File::open(above)?, above)
    }

    /// Does `place` once more if the folder was missing.
    fn in_folder(&self, path: &Path, place: impl Fn() -> io::Result<()>) -> Result<(), WriteFault> {
        let folder = path.parent().unwrap_or(&self.dir);
        match place() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_folder(folder)?;
                place()?;
            }
            other => other?,
        }
        self.synced(&File::open(folder)?, folder)
    }
}

impl BlobStore for FsBlobs {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(self.upload(key)?))
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.0.looked(key, || self.0.read(key, offset, len))?.ok_or(ReadFault::Lost)
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        Ok(self.0.looked(key, || fs::metadata(self.0.path(key)))?.map(|it| it.len()))
    }

    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        Ok(present(fs::remove_file(self.0.path(key)))?.is_some())
    }

    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.0.home.still()?;
        let folder = self.0.dir.join(repository.as_str());
        let mut found = Vec::new();
        if let Some(config) = self.size(&BlobKey::new(repository, ObjectKind::Config, ObjectName::config()))? {
            found.push((BlobKey::new(repository, ObjectKind::Config, ObjectName::config()), config));
        }
        for kind in ObjectKind::ALL.iter().copied().filter(|it| *it != ObjectKind::Config) {
            let listed = list_folder(&folder.join(kind.as_str()), &mut |name, size| {
                found.push((BlobKey::new(repository, kind, name), size));
            });
            listed.map_err(|error| unreadable(&folder, &error))?;
        }
        // Whatever is not on the list counts as missing.
        self.0.home.still()?;
        Ok(found)
    }

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.0.may_write()?;
        let path = self.0.path(key);
        self.0.synced(&File::open(&path)?, &path)?;
        let folder = path.parent().unwrap_or(&self.0.dir);
        self.0.synced(&File::open(folder)?, folder)
    }

    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        Ok(self.0.unsettled.iter().map(|(key, tmp)| (key.clone(), Stored::marked(InTmp(tmp.clone())))).collect())
    }

    fn check(&self) -> Result<(), StoreFault> {
        self.0.home.look_again()?;
        let tried = self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(key) = tried else { return Ok(()) };
        match self.read(&key, 0, 1) {
            Err(ReadFault::Away(fault)) => Err(fault),
            Ok(_) | Err(ReadFault::Lost | ReadFault::Unreadable(_)) => {
                *self.0.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(())
            }
        }
    }

    fn check_writes(&self) -> Option<(StopCause, String)> {
        if self.0.takes_writes && !self.0.writes.have_stopped() && self.0.home.still().is_ok() {
            if is_read_only(&self.0.dir) {
                return Some((StopCause::ReadOnly, format!("the disk of {} is read-only", self.0.dir.display())));
            }
            if self.0.writes.noting(self.0.try_write()).is_ok() && has_room(&self.0.dir) {
                self.0.writes.work();
            }
        }
        self.0.writes.fault()
    }

    fn space(&self) -> Option<(u64, u64)> {
        space_of(&self.0.dir)
    }
}

/// A requested length is not a reason to reserve that much.
const MAX_CAPACITY: usize = 16 << 20;

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(it) => Ok(Some(it)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `found` with each object in `folder` and in its two-digit folders.
fn list_folder(folder: &Path, found: &mut dyn FnMut(ObjectName, u64)) -> io::Result<()> {
    let Some(entries) = present(fs::read_dir(folder))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            list_folder(&entry.path(), found)?;
        } else if let Some(name) = entry.file_name().to_str().and_then(ObjectName::parse) {
            found(name, metadata.len());
        }
    }
    Ok(())
}

/// The file of an upload, kept until it is settled.
#[derive(Debug)]
struct InTmp(PathBuf);

impl Mark for InTmp {
    fn remove(self: Box<Self>) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            // Harmless: the next start checks this one object again.
            tracing::warn!(%error, mark = %self.0.display(), "the mark of a finished upload stays");
        }
    }
}

struct FileUpload {
    store: Arc<Inner>,
    place: PathBuf,
    tmp: PathBuf,
    file: File,
    cache: Cache,
    keep_tmp: bool,
}

/// Whether bytes go to disk through the system's cache. Large data goes past it: that costs less, and the
/// restore test then reads what is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cache {
    Untried,
    Passed,
    /// For good: after one small piece, the next no longer begins at a block.
    Used,
}

impl FileUpload {
    fn choose(&mut self, bytes: &[u8]) -> io::Result<()> {
        let pass = self.cache != Cache::Used && piece::is_direct(bytes);
        if pass && self.cache == Cache::Untried {
            let passes = fcntl_setfl(&self.file, fcntl_getfl(&self.file)? | OFlags::DIRECT).is_ok();
            self.cache = if passes { Cache::Passed } else { Cache::Used };
        } else if !pass {
            self.use_cache()?;
        }
        Ok(())
    }

    fn use_cache(&mut self) -> io::Result<()> {
        if self.cache == Cache::Passed {
            fcntl_setfl(&self.file, fcntl_getfl(&self.file)? - OFlags::DIRECT)?;
        }
        self.cache = Cache::Used;
        Ok(())
    }
}

impl Upload for FileUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault> {
        let store = Arc::clone(&self.store);
        store.writes.noting(self.append(bytes).map_err(WriteFault::from))
    }

    fn commit(mut self: Box<Self>) -> Result<Stored, WriteFault> {
        self.store.may_write()?;
        self.store.synced(&self.file, &self.tmp)?;
        let linked = self.store.in_folder(&self.place, || self.link());
        self.store.writes.noting(linked)?;
        self.keep_tmp = true;
        Ok(Stored::marked(InTmp(self.tmp.clone())))
    }

    fn replace(mut self: Box<Self>) -> Result<Stored, WriteFault> {
        self.store.may_write()?;
        self.store.synced(&self.file, &self.tmp)?;
        let renamed = self.store.in_folder(&self.place, || fs::rename(&self.tmp, &self.place));
        self.store.writes.noting(renamed)?;
        self.keep_tmp = true;
        Ok(Stored::default())
    }
}

impl FileUpload {
    /// Links the open file itself, not whatever has its name by now.
    fn link(&self) -> io::Result<()> {
        let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match linkat(CWD, open, CWD, &self.place, AtFlags::SYMLINK_FOLLOW) {
            // No /proc here, or another file system in between: use the name, which the lock makes ours.
            Err(Errno::NOENT | Errno::XDEV) if !Path::new("/proc/self/fd").exists() => {
                fs::hard_link(&self.tmp, &self.place)
            }
            other => Ok(other?),
        }
    }

    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.choose(bytes)?;
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // This disk has larger blocks, or a full disk took only part of a block.
                Err(error) if error.kind() == ErrorKind::InvalidInput && self.cache == Cache::Passed => {
                    self.use_cache()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        if !self.keep_tmp
            && let Err(error) = fs::remove_file(&self.tmp)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.tmp.display(), "an unfinished upload stays until the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::piece::Piece;
    use domain::time::Time;

    /// How an upload of one full piece, and then one byte, goes to disk.
    fn caches(folder: &Path) -> (Cache, Cache) {
        let store = FsBlobs::open(folder).unwrap();
        let repository = RepositoryId::generate(Time::from_millis(1_795_356_371_000));
        let name = ObjectName::from_hash(&secret::sha256(b"name"));
        let key = BlobKey::new(repository, ObjectKind::Data, name);
        let mut upload = store.upload(&key).unwrap();
        let mut piece = Piece::new(piece::SIZE);
        piece.fill(&vec![7; piece::SIZE]);
        upload.write(piece.bytes()).unwrap();
        let full = upload.cache;
        upload.write(b"x").unwrap();
        (full, upload.cache)
    }

    #[test]
    fn a_full_piece_goes_past_the_cache_where_the_disk_lets_it() {
        let folder = tempfile::tempdir().unwrap();
        let probe = OpenOptions::new()
            .write(true)
            .create(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(folder.path().join("probe"));
        let expected = if probe.is_ok() { Cache::Passed } else { Cache::Used };

        assert_eq!(caches(&folder.path().join("blobs")), (expected, Cache::Used));
    }
}
