//! The door as a storage backend of `rustic_core`.
use crate::net::door::{Door, DoorError};
use bytes::Bytes;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};
use std::sync::{Arc, Mutex, PoisonError};

/// A repository behind the door, for writing backups.
#[derive(Debug, Clone)]
pub struct Backend {
    door: Door,
    /// Shows no index, so that everything counts as missing.
    afresh: bool,
    /// The first failure that retrying did not cure. No snapshot is written after one: it would be incomplete.
    failure: Arc<Mutex<Option<DoorError>>>,
}

impl Backend {
    pub fn new(door: Door, afresh: bool) -> Self {
        Self { door, afresh, failure: Arc::default() }
    }

    /// The first failure.
    pub fn failure(&self) -> Option<DoorError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep<T>(&self, result: Result<T, DoorError>) -> RusticResult<T> {
        result.map_err(|error| {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
            RusticError::with_source(ErrorKind::Backend, "the backup door did not do what was asked", error)
        })
    }
}

fn path(kind: FileType, id: &Id) -> String {
    match kind {
        FileType::Config => "config".to_owned(),
        FileType::Index | FileType::Key | FileType::Snapshot | FileType::Pack => {
            format!("{}/{}", kind.dirname(), id.to_hex().as_str())
        }
    }
}

impl ReadBackend for Backend {
    fn location(&self) -> String {
        "holdfast".to_owned()
    }

    fn list_with_size(&self, kind: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let size = |it: u64| u32::try_from(it).unwrap_or(u32::MAX);
        if kind == FileType::Config {
            let found = self.keep(self.door.size("config"))?;
            return Ok(found.into_iter().map(|it| (Id::default(), size(it))).collect());
        }
        if kind == FileType::Index && self.afresh {
            return Ok(Vec::new());
        }
        let listed = self.keep(self.door.list(kind.dirname()))?;
        Ok(listed.into_iter().filter_map(|it| Some((it.name.parse::<Id>().ok()?, size(it.size)))).collect())
    }

    fn read_full(&self, kind: FileType, id: &Id) -> RusticResult<Bytes> {
        self.keep(self.door.read(&path(kind, id))).map(Bytes::from)
    }

    fn read_partial(&self, kind: FileType, id: &Id, _: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        self.keep(self.door.read_part(&path(kind, id), offset.into(), length.into())).map(Bytes::from)
    }

    fn warmup_path(&self, kind: FileType, id: &Id) -> String {
        path(kind, id)
    }
}

impl WriteBackend for Backend {
    fn write_bytes(&self, kind: FileType, id: &Id, _: bool, content: BytesList) -> RusticResult<()> {
        if let Some(error) = self.failure() {
            return Err(RusticError::with_source(ErrorKind::Backend, "the backup has already failed", error));
        }
        let mut body = Vec::with_capacity(content.size());
        for part in content.slice() {
            body.extend_from_slice(part);
        }
        self.keep(self.door.write(&path(kind, id), &body))
    }

    fn remove(&self, kind: FileType, id: &Id, _: bool) -> RusticResult<()> {
        self.keep(self.door.remove(&path(kind, id)))
    }
}
