//! Blobs as files: `DIR/<repository>/<kind>/[<xx>/]<name>`, and in the trash `DIR/<repository>/trash/<kind>/<name>`.
//!
//! An upload is a file in `DIR/tmp` whose name contains its key. It is written,
//! synced, and linked to its place, which never overwrites; then the folder is
//! synced. The file in `tmp` goes only after the ledger has the row, so what a
//! crash leaves in `tmp` is the list of what the next start has to check.
//!
//! `DIR/holdfast` says whose folder it is ([`home`](super::home)): it is checked before each write, and before
//! something counts as missing.
mod cold;
mod folder;
mod reserve;
mod trash;
mod upload;

pub use folder::Sync;

use crate::blob::disk::{has_room, is_read_only, space_of};
use crate::blob::home::{Home, Identity, Opening, unreadable, unusable};
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use cold::Cold;
use domain::ground::StopCause;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use folder::{Inner, builder, list_folder, present};
use reserve::Reserve;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::UNIX_EPOCH;
use upload::{FileUpload, InTmp, Room};

/// A folder of blobs.
#[derive(Debug, Clone)]
pub struct FsBlobs(Arc<Inner>);

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

    /// Keeps some of the disk back for what makes room, once it is full; for the store that devices upload to.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keep_reserve(&self) -> Result<(), StoreFault> {
        let found = Reserve::open(&self.0.dir).map_err(|error| unreadable(&self.0.dir, &error))?;
        if let Some(reserve) = found {
            if reserve.is_given_back() {
                let why = "the disk was full before this start".to_owned();
                let _ = self.0.writes.noting::<()>(Err(WriteFault::Stopped(StopCause::Full, why)));
            }
            let _ = self.0.reserve.set(reserve);
        }
        Ok(())
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
}

impl BlobStore for FsBlobs {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(FileUpload::begin(&self.0, key, Room::Free)?))
    }

    fn begin_own(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(FileUpload::begin(&self.0, key, Room::Reserve)?))
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.0.looked(key, || self.0.read(key, offset, len))?.ok_or(ReadFault::Lost)
    }

    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        let file = self.0.looked(key, || Cold::open(&self.0.path(key)))?.ok_or(ReadFault::Lost)?;
        self.0.present(key, file.read(take))?.ok_or(ReadFault::Lost)
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        Ok(self.0.looked(key, || fs::metadata(self.0.path(key)))?.map(|it| it.len()))
    }

    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        Ok(present(fs::remove_file(self.0.path(key)))?.is_some())
    }

    fn set_aside(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.0.noting(trash::set_aside(&self.0, key))
    }

    fn put_back(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.0.noting(trash::put_back(&self.0, key))
    }

    fn erase(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.0.noting(trash::erase(&self.0, key))
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

    fn repositories(&self) -> Result<Vec<RepositoryId>, ReadFault> {
        self.0.home.still()?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0.dir).map_err(|error| unreadable(&self.0.dir, &error))? {
            let entry = entry.map_err(|error| unreadable(&self.0.dir, &error))?;
            found.extend(entry.file_name().to_str().and_then(RepositoryId::parse));
        }
        Ok(found)
    }

    fn stored_at(&self, key: &BlobKey) -> Result<Option<Time>, ReadFault> {
        let modified = self.0.looked(key, || fs::metadata(self.0.path(key))?.modified())?;
        let since = modified.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
        Ok(since.and_then(|it| i64::try_from(it.as_millis()).ok()).map(Time::from_millis))
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
            let has_written = self.0.noting(self.0.try_write()).is_ok();
            if let Some(reserve) = self.0.reserve.get() {
                reserve.look(!has_written);
            }
            if has_written && !self.0.is_held_back() && has_room(&self.0.dir) {
                self.0.writes.work();
            }
        }
        self.0.writes.fault()
    }

    fn space(&self) -> Option<(u64, u64)> {
        space_of(&self.0.dir)
    }
}
