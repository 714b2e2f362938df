//! Verification without end: each stored byte is read back from the disk, in time, and whatever is wrong is found.
mod both;
mod finding;
mod listing;
mod order;
mod page;

use crate::support::door::{TestDoor, TestRepository};
use domain::id::RepositoryId;
use domain::object::{Location, ObjectKind, TokenKind};
use domain::time::{Time, days};
use domain::verification::{Budget, Settings};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use holdfast::service::backup;
use holdfast::service::verification::{Place, Turn, Verifier};
use holdfast::store;
use holdfast::store::copy::StoredCopy;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What happens when an object is read back: an error instead of its bytes, or nothing.
type Hook = Box<dyn FnMut(&BlobKey) -> Option<ReadFault> + Send>;

/// What happens when a repository is listed.
type ListHook = Box<dyn FnMut() + Send>;

/// A store that remembers what was read back, and may be told to fail.
#[derive(Clone)]
pub struct Watched {
    blobs: Arc<dyn BlobStore>,
    read: Arc<Mutex<Vec<BlobKey>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    list_hook: Arc<Mutex<Option<ListHook>>>,
}

/// Also after a hook panicked.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    fn over(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs, read: Arc::default(), hook: Arc::default(), list_hook: Arc::default() }
    }

    /// What was read back since the last call.
    fn read(&self) -> Vec<BlobKey> {
        std::mem::take(&mut *lock(&self.read))
    }

    fn when_read(&self, hook: impl FnMut(&BlobKey) -> Option<ReadFault> + Send + 'static) {
        *lock(&self.hook) = Some(Box::new(hook));
    }

    fn when_listed(&self, hook: impl FnMut() + Send + 'static) {
        *lock(&self.list_hook) = Some(Box::new(hook));
    }

    fn as_usual(&self) {
        *lock(&self.hook) = None;
    }
}

impl BlobStore for Watched {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.blobs.begin(key)
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.blobs.read(key, offset, len)
    }
    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        lock(&self.read).push(key.clone());
        if let Some(fault) = lock(&self.hook).as_mut().and_then(|it| it(key)) {
            return Err(fault);
        }
        self.blobs.read_back(key, take)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.blobs.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.blobs.remove(key)
    }
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        if let Some(hook) = lock(&self.list_hook).as_mut() {
            hook();
        }
        self.blobs.list(repository)
    }
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.blobs.make_durable(key)
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.blobs.unsettled()
    }
    fn check(&self) -> Result<(), StoreFault> {
        self.blobs.check()
    }
}

/// A budget that nothing here uses up.
pub const AMPLE: Settings = Settings { budget: Budget { mib_per_second: 10_000 }, cycle: days(30) };

/// A door, a device's repository in it, and who verifies it.
pub struct World {
    pub door: TestDoor,
    pub repository: TestRepository,
    pub blobs: Watched,
    pub verifier: Verifier,
    /// Whether devices are sending.
    pub is_busy: Arc<AtomicBool>,
}

impl World {
    pub fn new() -> Self {
        Self::with(AMPLE)
    }

    pub fn with(settings: Settings) -> Self {
        Self::at(TestDoor::start(), settings)
    }

    pub fn at(door: TestDoor, settings: Settings) -> Self {
        let repository = door.repository();
        let (blobs, is_busy) = (Watched::over(Arc::clone(&door.blobs)), Arc::<AtomicBool>::default());
        let verifier = verifier(&door, &blobs, settings, &is_busy);
        Self { door, repository, blobs, verifier, is_busy }
    }

    /// The same as a new process would find it.
    pub fn restarts(&mut self, settings: Settings) {
        self.verifier = verifier(&self.door, &self.blobs, settings, &self.is_busy);
    }

    pub fn now(&self) -> Time {
        self.door.clock.now()
    }

    /// Puts an object into the store and the ledger.
    pub fn puts(&self, kind: ObjectKind, bytes: &[u8]) -> BlobKey {
        self.puts_into(self.repository.id, kind, bytes)
    }

    pub fn puts_into(&self, repository: RepositoryId, kind: ObjectKind, bytes: &[u8]) -> BlobKey {
        let kept = backup::keep(&*self.door.blobs, repository, kind, bytes).unwrap();
        let (key, size, now) = (kept.key.clone(), kept.size, self.now());
        let copy = kept.copy.clone();
        self.door.write(move |conn| {
            backup::received(conn, &key, size, TokenKind::Agent, now)?;
            if let Some(copy) = copy {
                store::kept_object::keep(conn, key.repository, key.kind, &key.name, &copy)?;
            }
            Ok::<_, holdfast::error::Error>(())
        });
        let key = kept.key.clone();
        kept.settle();
        key
    }

    /// One turn of reading.
    pub fn reads(&self) -> Turn {
        self.verifier.read_back(self.now()).unwrap()
    }

    /// Turns until nothing is left to do at once; returns what they did together.
    pub fn reads_all(&self) -> Turn {
        let mut all = Turn::default();
        loop {
            let turn = self.reads();
            all.looked_at += turn.looked_at;
            all.damaged += turn.damaged;
            all.healed += turn.healed;
            if !turn.more {
                return all;
            }
        }
    }

    /// A step of the listing.
    pub fn lists(&self) -> Turn {
        self.verifier.list(holdfast::job::verification::LIST_PERIOD, self.now()).unwrap()
    }

    pub fn copy(&self, key: &BlobKey) -> StoredCopy {
        let key = key.clone();
        let find = move |conn: &mut _| store::copy::find(conn, Location::Primary, key.repository, key.kind, &key.name);
        self.door.read(find).expect("its copy")
    }

    pub fn is_damaged(&self, key: &BlobKey) -> bool {
        self.copy(key).damaged_at.is_some()
    }

    /// Where its bytes are.
    pub fn path(&self, key: &BlobKey) -> PathBuf {
        let folder = self.door.folder.join(key.repository.as_str());
        match key.kind {
            ObjectKind::Config => folder.join("config"),
            ObjectKind::Data => folder.join("data").join(&key.name.as_str()[..2]).join(key.name.as_str()),
            kind @ (ObjectKind::Keys
            | ObjectKind::Index
            | ObjectKind::Snapshots
            | ObjectKind::Locks
            | ObjectKind::Manifests) => folder.join(kind.as_str()).join(key.name.as_str()),
        }
    }

    /// Changes its bytes on the disk.
    pub fn changes(&self, key: &BlobKey, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path(key);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        // Only what was written is forgotten by the cache.
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
    }

    /// The reasons of the entries about objects, oldest first.
    pub fn entries(&self) -> Vec<(String, String)> {
        let about = |it: store::activity::Activity| {
            (it.object_kind == "object").then(|| (it.action.as_str().to_owned(), it.reason))
        };
        self.door.read(store::activity::all).into_iter().filter_map(about).collect()
    }
}

pub fn verifier(door: &TestDoor, blobs: &Watched, settings: Settings, is_busy: &Arc<AtomicBool>) -> Verifier {
    let place = Place { location: Location::Primary, blobs: Arc::new(blobs.clone()) };
    let is_busy = Arc::clone(is_busy);
    Verifier::new(door.store.clone(), place, settings, Arc::new(move || is_busy.load(Ordering::SeqCst)))
}

/// Numbers that look random and are the same in each run (Marsaglia: "Xorshift RNGs").
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}
