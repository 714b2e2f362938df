//! An upload: a file in `tmp` until it is linked to its place.
use super::folder::Inner;
use crate::blob::{BlobKey, Mark, Stored, Upload, WriteFault, piece};
use rustix::fs::{AtFlags, CWD, OFlags, fcntl_getfl, fcntl_setfl, linkat};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The file of an upload, kept until it is settled.
#[derive(Debug)]
pub(super) struct InTmp(pub PathBuf);

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

pub(super) struct FileUpload {
    store: Arc<Inner>,
    place: PathBuf,
    tmp: PathBuf,
    file: File,
    cache: Cache,
    room: Room,
    keep_tmp: bool,
}

/// What room an upload may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// Also what is kept back for making room.
    Reserve,
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
    /// Makes its file.
    pub(super) fn begin(store: &Arc<Inner>, key: &BlobKey, room: Room) -> Result<Self, WriteFault> {
        store.may_write()?;
        store.noting(has_room(store, room).map_err(WriteFault::from))?;
        let number = store.next.fetch_add(1, Ordering::Relaxed);
        let tmp = store.tmp.join(format!("{}.{}.{}.{}-{number}", key.repository, key.kind, key.name, store.run));
        let file = store.noting(store.make_file(&tmp))?;
        let (store, place) = (Arc::clone(store), store.path(key));
        Ok(Self { store, place, tmp, file, cache: Cache::Untried, room, keep_tmp: false })
    }

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
        store.noting(self.append(bytes).map_err(WriteFault::from))
    }

    fn commit(mut self: Box<Self>) -> Result<Stored, WriteFault> {
        self.store.may_write()?;
        // The bytes before the name, so that no name ever leads to a part of them.
        self.store.synced(&self.file, &self.tmp)?;
        let linked = self.store.in_folder(&self.place, || self.link());
        self.store.noting(linked)?;
        self.keep_tmp = true;
        Ok(Stored::marked(InTmp(self.tmp.clone())))
    }

    fn replace(mut self: Box<Self>) -> Result<Stored, WriteFault> {
        self.store.may_write()?;
        self.store.synced(&self.file, &self.tmp)?;
        let renamed = self.store.in_folder(&self.place, || fs::rename(&self.tmp, &self.place));
        self.store.noting(renamed)?;
        // The file itself has moved to its place, so nothing is left in `tmp`.
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
        // Also in the middle: several large ones under way would take all of it.
        has_room(&self.store, self.room)?;
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

/// Full is what a disk is on which all that is left is kept back.
fn has_room(store: &Inner, room: Room) -> io::Result<()> {
    let may_take = match room {
        Room::Free => !store.is_held_back(),
        Room::Reserve => true,
    };
    if may_take { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
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
    use crate::blob::fs::FsBlobs;
    use crate::blob::piece::Piece;
    use domain::id::RepositoryId;
    use domain::object::{ObjectKind, ObjectName};
    use domain::time::Time;
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt;

    /// How an upload of one full piece, and then one byte, goes to disk.
    fn caches(folder: &Path) -> (Cache, Cache) {
        let store = FsBlobs::open(folder).unwrap();
        let repository = RepositoryId::generate(Time::from_millis(1_795_356_371_000));
        let name = ObjectName::from_hash(&secret::sha256(b"name"));
        let key = BlobKey::new(repository, ObjectKind::Data, name);
        let mut upload = FileUpload::begin(&store.0, &key, Room::Free).unwrap();
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
