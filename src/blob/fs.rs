//! Blobs as files: `DIR/<repository>/<kind>/[<xx>/]<name>`.
//!
//! An upload is a file in `DIR/tmp` whose name tells its key. It is written,
//! synced, and linked to its place, which never overwrites; then the folder is
//! synced. The file in `tmp` goes only after the ledger has the row, so what a
//! crash leaves in `tmp` is the list of what the next start has to look at.
use crate::blob::{BlobKey, BlobStore, Stored, Upload, piece};
use crate::domain::id::RepositoryId;
use crate::domain::object::{ObjectKind, ObjectName};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How a file or folder is made durable; tests put a failing one in its place.
pub type Sync = fn(&File) -> io::Result<()>;

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct FsBlobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    tmp: PathBuf,
    sync: Sync,
    next: AtomicU64,
    /// Set by the first sync that failed: after it nobody knows what is on the
    /// disk, and a second try would "succeed" while data is gone.
    stopped: AtomicBool,
    unsettled: Vec<(BlobKey, PathBuf)>,
}

impl FsBlobs {
    /// Opens the folder, making it where it is not there, and clears uploads that never finished.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::open_with(dir, File::sync_all)
    }

    /// Opens the folder for reading, beside a server that writes there.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn open_read_only(dir: &Path) -> io::Result<Self> {
        File::open(dir)?;
        Ok(Self(Arc::new(Inner {
            dir: dir.to_owned(),
            tmp: dir.join("tmp"),
            sync: File::sync_all,
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(true),
            unsettled: Vec::new(),
        })))
    }

    /// [`FsBlobs::open`] with another way to make files durable.
    ///
    /// # Errors
    /// As [`FsBlobs::open`].
    pub fn open_with(dir: &Path, sync: Sync) -> io::Result<Self> {
        let tmp = dir.join("tmp");
        builder().recursive(true).create(&tmp)?;
        sync(&File::open(dir)?)?;
        let mut inner = Inner {
            dir: dir.to_owned(),
            tmp,
            sync,
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            unsettled: Vec::new(),
        };
        inner.unsettled = inner.clear_tmp()?;
        Ok(Self(Arc::new(inner)))
    }

    fn upload(&self, key: &BlobKey) -> io::Result<FileUpload> {
        self.0.may_write()?;
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let tmp = self.0.tmp.join(format!("{}.{}.{}.{number}", key.repository, key.kind, key.name));
        // A number is used again after a restart, when its mark may still be there.
        let _ = fs::remove_file(&tmp);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp)?;
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

    /// Removes what was never linked to its place, and answers what was.
    fn clear_tmp(&self) -> io::Result<Vec<(BlobKey, PathBuf)>> {
        let mut unsettled = Vec::new();
        for entry in fs::read_dir(&self.tmp)? {
            let path = entry?.path();
            match path.file_name().and_then(|it| it.to_str()).and_then(key_of_mark) {
                Some(key) if self.path(&key).try_exists()? => unsettled.push((key, path)),
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(unsettled)
    }

    fn synced(&self, file: &File, what: &Path) -> io::Result<()> {
        (self.sync)(file).inspect_err(|error| {
            self.stopped.store(true, Ordering::SeqCst);
            tracing::error!(%error, path = %what.display(), "the disk could not keep what was written; no more backups are taken until a restart");
        })
    }

    fn may_write(&self) -> io::Result<()> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk failed earlier; check it, then restart the server"));
        }
        Ok(())
    }

    /// Makes the folder of `path` and every folder above it, each entry durable.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let Some(above) = folder.parent() else { return Ok(()) };
        match builder().create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && above.starts_with(&self.dir) => {
                self.make_folder(above)?;
                match builder().create(folder) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
            }
            Err(error) => return Err(error),
        }
        self.synced(&File::open(above)?, above)
    }

    /// Does `place` once more when the folder was missing.
    fn in_folder(&self, path: &Path, place: impl Fn() -> io::Result<()>) -> io::Result<()> {
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

/// `repository.kind.name.number`.
fn key_of_mark(name: &str) -> Option<BlobKey> {
    let mut parts = name.split('.');
    let repository = RepositoryId::parse(parts.next()?)?;
    let kind = ObjectKind::parse(parts.next()?)?;
    let name = parts.next()?;
    let name = if kind == ObjectKind::Config { ObjectName::config() } else { ObjectName::parse(name)? };
    Some(BlobKey { repository, kind, name })
}

impl BlobStore for FsBlobs {
    fn begin(&self, key: &BlobKey) -> io::Result<Box<dyn Upload>> {
        Ok(Box::new(self.upload(key)?))
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = present(File::open(self.0.path(key)))? else { return Ok(None) };
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(usize::MAX).min(MAX_CAPACITY));
        file.take(len).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>> {
        Ok(present(fs::metadata(self.0.path(key)))?.map(|it| it.len()))
    }

    fn remove(&self, key: &BlobKey) -> io::Result<bool> {
        Ok(present(fs::remove_file(self.0.path(key)))?.is_some())
    }

    fn list(&self, repository: RepositoryId) -> io::Result<Vec<(BlobKey, u64)>> {
        let folder = self.0.dir.join(repository.as_str());
        let mut found = Vec::new();
        if let Some(config) = self.size(&BlobKey::new(repository, ObjectKind::Config, ObjectName::config()))? {
            found.push((BlobKey::new(repository, ObjectKind::Config, ObjectName::config()), config));
        }
        for kind in ObjectKind::ALL.iter().copied().filter(|it| *it != ObjectKind::Config) {
            list_folder(&folder.join(kind.as_str()), &mut |name, size| {
                found.push((BlobKey::new(repository, kind, name), size));
            })?;
        }
        Ok(found)
    }

    fn make_durable(&self, key: &BlobKey) -> io::Result<()> {
        self.0.may_write()?;
        let path = self.0.path(key);
        self.0.synced(&File::open(&path)?, &path)?;
        let folder = path.parent().unwrap_or(&self.0.dir);
        self.0.synced(&File::open(folder)?, folder)
    }

    fn unsettled(&self) -> io::Result<Vec<(BlobKey, Stored)>> {
        Ok(self.0.unsettled.iter().map(|(key, mark)| (key.clone(), Stored { mark: Some(mark.clone()) })).collect())
    }
}

/// A length that a caller asks for is no reason to reserve it.
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

struct FileUpload {
    store: Arc<Inner>,
    place: PathBuf,
    tmp: PathBuf,
    file: File,
    cache: Cache,
    keep_tmp: bool,
}

/// Whether bytes go to the disk through the system's cache. What is large goes past it: that costs less, and the
/// restore test then reads what the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cache {
    Untried,
    Passed,
    /// For good: one small piece, and the next no longer begins at a block.
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
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.choose(bytes)?;
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // This disk has larger blocks, or a full one took part of a block.
                Err(error) if error.kind() == ErrorKind::InvalidInput && self.cache == Cache::Passed => {
                    self.use_cache()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> io::Result<Stored> {
        self.store.may_write()?;
        self.store.synced(&self.file, &self.tmp)?;
        self.store.in_folder(&self.place, || fs::hard_link(&self.tmp, &self.place))?;
        self.keep_tmp = true;
        Ok(Stored { mark: Some(self.tmp.clone()) })
    }

    fn replace(mut self: Box<Self>) -> io::Result<Stored> {
        self.store.may_write()?;
        self.store.synced(&self.file, &self.tmp)?;
        self.store.in_folder(&self.place, || fs::rename(&self.tmp, &self.place))?;
        self.keep_tmp = true;
        Ok(Stored::default())
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
    use crate::domain::time::Time;
    use crate::secret;

    /// How an upload of one full piece, and then of one byte, goes to the disk.
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
