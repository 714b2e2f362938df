//! A backup door, a second store beside it, and what the tests do to both.
use crate::support::NOW;
use crate::support::door::{TestDoor, TestRepository, name};
use diesel::prelude::*;
use domain::activity::Action;
use domain::copy::{CopyFacts, SecondStore};
use domain::failure_domain::StoreKind;
use domain::ground::{AwayCause, StopCause};
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName, TokenKind};
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::{self, BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use holdfast::service;
use holdfast::service::copy::{Replicator, Run};
use holdfast::store;
use holdfast::store::copy::StoredCopy;
use holdfast::store::schema::activity;
use holdfast::store::setting::COPY_SEEN;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub struct World {
    pub door: TestDoor,
    pub copy: Arc<dyn BlobStore>,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    /// With a folder as the second store.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = Arc::new(FsBlobs::open(folder.path()).unwrap());
        Self { _folder: Some(folder), ..Self::with(copy) }
    }

    pub fn with(copy: Arc<dyn BlobStore>) -> Self {
        let door = TestDoor::start();
        service::copy::begin(&door.store, &second_store(), false, NOW).unwrap();
        Self { door, copy, _folder: None }
    }

    /// As a server that has just started copies.
    pub fn replicator(&self) -> Replicator {
        self.replicator_to(Arc::clone(&self.copy))
    }

    pub fn replicator_to(&self, copy: Arc<dyn BlobStore>) -> Replicator {
        Replicator::new(self.door.store.clone(), Arc::clone(&self.door.blobs), copy)
    }

    /// Runs until nothing is left to be done.
    pub fn runs(&self) -> Run {
        runs(&self.replicator(), self.door.clock.now())
    }

    /// As a server that runs finds the second store each minute, whether or not it copies.
    pub fn looks(&self) {
        let now = self.door.clock.now();
        self.door.write(move |conn| COPY_SEEN.set(conn, &now, now));
    }

    /// Puts an object under its right name into the backup store and the ledger.
    pub fn puts(&self, repository: RepositoryId, kind: ObjectKind, bytes: &[u8]) -> BlobKey {
        let key = BlobKey::new(repository, kind, name(bytes));
        put(&*self.door.blobs, &key, bytes);
        let (row, size, now) = (key.clone(), i64::try_from(bytes.len()).unwrap(), self.door.clock.now());
        self.door.write(move |conn| service::backup::received(conn, &row, size, TokenKind::Agent, now));
        key
    }

    /// A config, which has no hash for a name.
    pub fn puts_config(&self, repository: RepositoryId) -> BlobKey {
        let key = BlobKey::new(repository, ObjectKind::Config, ObjectName::config());
        put(&*self.door.blobs, &key, b"config");
        let (row, now) = (key.clone(), self.door.clock.now());
        self.door.write(move |conn| {
            store::kept_object::keep(conn, row.repository, row.kind, &row.name, b"config")?;
            service::backup::received(conn, &row, 6, TokenKind::Agent, now)
        });
        key
    }

    /// What is known of an object at a location.
    pub fn row(&self, location: Location, key: &BlobKey) -> Option<StoredCopy> {
        let key = key.clone();
        self.door.read(move |conn| store::copy::find(conn, location, key.repository, key.kind, &key.name))
    }

    /// Whether the ledger says that the second store has an object intact.
    pub fn is_copied(&self, key: &BlobKey) -> bool {
        self.row(Location::Copy, key).is_some_and(|it| it.damaged_at.is_none())
    }

    pub fn facts(&self, device: DeviceId) -> CopyFacts {
        let now = self.door.clock.now();
        self.door.read(move |conn| service::copy::of_device(conn, device, now))
    }

    /// What was recorded, but for arriving backups.
    pub fn entries(&self) -> Vec<(Action, String)> {
        let all: Vec<(Action, String)> = self
            .door
            .read(|conn| activity::table.order(activity::seq).select((activity::action, activity::reason)).load(conn));
        all.into_iter().filter(|it| !matches!(it.0, Action::BackupStored | Action::SecondStoreSet)).collect()
    }

    pub fn blobs(&self, location: Location) -> &dyn BlobStore {
        match location {
            Location::Primary => &*self.door.blobs,
            Location::Copy => &*self.copy,
        }
    }

    /// Overwrites the bytes of an object at one location.
    pub fn spoils(&self, location: Location, key: &BlobKey, bytes: &[u8]) {
        let mut upload = self.blobs(location).begin(key).unwrap();
        upload.write(bytes).unwrap();
        upload.replace().unwrap().settle();
    }

    /// Notes damage, as whoever reads the object back does.
    pub fn finds_damage(&self, location: Location, key: &BlobKey) {
        let (key, now) = (key.clone(), self.door.clock.now());
        self.door.write(move |conn| match location {
            Location::Primary => service::backup::object_damaged(conn, &key, now),
            Location::Copy => service::copy::object_damaged(conn, &key, "its bytes changed", now),
        });
    }

    pub fn is_sound(&self, location: Location, key: &BlobKey) -> bool {
        match blob::sha256_of(self.blobs(location), key) {
            Ok(hash) => key.name.hash().is_none_or(|it| it == hash),
            Err(ReadFault::Lost) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

pub fn second_store() -> SecondStore {
    SecondStore {
        kind: StoreKind::Folder,
        place: "/mnt/copy".to_owned(),
        location: "Genève".to_owned(),
        administration: "whoever administers nas".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: None,
    }
}

pub fn runs(replicator: &Replicator, now: domain::time::Time) -> Run {
    let mut all = Run::default();
    for _ in 0..10_000 {
        let run = replicator.run(now).unwrap();
        all = Run {
            copied: all.copied + run.copied,
            repaired: all.repaired + run.repaired,
            failed: all.failed || run.failed,
            more: run.more,
        };
        if run.failed || (!run.more && run.copied + run.repaired == 0) {
            return all;
        }
    }
    panic!("it never ends: {all:?}");
}

pub fn put(blobs: &dyn BlobStore, key: &BlobKey, bytes: &[u8]) {
    let mut upload = blobs.begin(key).unwrap();
    upload.write(bytes).unwrap();
    upload.commit().unwrap().settle();
}

/// A backup of a repository: two packs, their index, a manifest, and a snapshot, in the order a client sends them.
pub fn backs_up(world: &World, repository: &TestRepository, word: &str) -> Vec<BlobKey> {
    let bytes = |part: &str| format!("{word} {part}").into_bytes();
    [
        (ObjectKind::Data, "pack one"),
        (ObjectKind::Data, "pack two"),
        (ObjectKind::Index, "index"),
        (ObjectKind::Manifests, "manifest"),
        (ObjectKind::Snapshots, "snapshot"),
    ]
    .map(|(kind, part)| world.puts(repository.id, kind, &bytes(part)))
    .to_vec()
}

/// When a store breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    Never,
    /// Before it keeps the n-th object.
    Before(usize),
    /// After it kept the n-th object, without an answer.
    After(usize),
}

/// A store that records what is put there, and may break off.
pub struct Recording {
    pub blobs: Arc<dyn BlobStore>,
    pub breaks: Breaks,
    pub put: Arc<Mutex<Vec<(BlobKey, bool)>>>,
    begun: Arc<AtomicUsize>,
}

impl Recording {
    pub fn over(blobs: &Arc<dyn BlobStore>, breaks: Breaks) -> Arc<Self> {
        let (put, begun) = (Arc::default(), Arc::default());
        Arc::new(Self { blobs: Arc::clone(blobs), breaks, put, begun })
    }

    /// The kinds of what was put, in order.
    pub fn kinds(&self) -> Vec<ObjectKind> {
        self.put.lock().unwrap().iter().map(|it| it.0.kind).collect()
    }
}

pub fn silent() -> StoreFault {
    StoreFault { cause: AwayCause::Silent, why: "it does not answer".to_owned() }
}

impl BlobStore for Recording {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        let upload = self.blobs.begin(key)?;
        let (put, begun) = (Arc::clone(&self.put), Arc::clone(&self.begun));
        Ok(Box::new(Recorded { upload, key: key.clone(), breaks: self.breaks, put, begun }))
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.blobs.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.blobs.remove(key)
    }
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.blobs.list(repository)
    }
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.blobs.make_durable(key)
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.blobs.unsettled()
    }
    fn check_writes(&self) -> Option<(StopCause, String)> {
        self.blobs.check_writes()
    }
}

struct Recorded {
    upload: Box<dyn Upload>,
    key: BlobKey,
    breaks: Breaks,
    put: Arc<Mutex<Vec<(BlobKey, bool)>>>,
    begun: Arc<AtomicUsize>,
}

impl Recorded {
    fn keep(self, replaces: bool) -> Result<Stored, WriteFault> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst);
        let Self { upload, key, breaks, put, .. } = self;
        if matches!(breaks, Breaks::Before(at) if number >= at) {
            return Err(silent().into());
        }
        // Nothing is kept any more once it has broken off.
        if matches!(breaks, Breaks::After(at) if number > at) {
            return Err(silent().into());
        }
        let stored = if replaces { upload.replace()? } else { upload.commit()? };
        put.lock().unwrap().push((key, replaces));
        if matches!(breaks, Breaks::After(at) if number == at) {
            return Err(silent().into());
        }
        Ok(stored)
    }
}

impl Upload for Recorded {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault> {
        self.upload.write(bytes)
    }
    fn commit(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.keep(false)
    }
    fn replace(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.keep(true)
    }
}

/// Everything that a store has, with its bytes.
pub fn content(blobs: &dyn BlobStore, repository: RepositoryId) -> BTreeMap<String, Vec<u8>> {
    let listed = blobs.list(repository).unwrap();
    listed.into_iter().map(|(key, size)| (key.to_string(), blobs.read(&key, 0, size).unwrap())).collect()
}
