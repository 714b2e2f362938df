//! A store that may not be there when the server starts: it is opened when it can be, and the server runs meanwhile.
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use domain::ground::{AwayCause, StopCause};
use domain::id::RepositoryId;
use domain::time::Time;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Open = dyn Fn() -> Result<Arc<dyn BlobStore>, StoreFault> + Send + Sync;
type Judge = dyn Fn() -> Result<(), StoreFault> + Send + Sync;

/// A store that [`BlobStore::check`] opens, and opens again until it succeeds. Each time it comes, or comes back, it is
/// judged before it is used. Until then everything else fails as the last look did.
pub struct LateStore {
    open: Box<Open>,
    judge: Box<Judge>,
    /// One look at a time, so that two do not open it at once.
    looking: Mutex<()>,
    held: Mutex<Held>,
}

struct Held {
    store: Option<Arc<dyn BlobStore>>,
    /// Why it is not used; none while it is.
    fault: Option<StoreFault>,
}

impl LateStore {
    /// One that `open` opens and `judge` accepts; nothing is tried yet.
    pub fn new(
        open: impl Fn() -> Result<Arc<dyn BlobStore>, StoreFault> + Send + Sync + 'static,
        judge: impl Fn() -> Result<(), StoreFault> + Send + Sync + 'static,
    ) -> Self {
        let fault = StoreFault { cause: AwayCause::Silent, why: "it was not reached yet".to_owned() };
        let held = Mutex::new(Held { store: None, fault: Some(fault) });
        Self { open: Box::new(open), judge: Box::new(judge), looking: Mutex::default(), held }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Result<Arc<dyn BlobStore>, StoreFault> {
        let held = self.lock();
        match (&held.fault, &held.store) {
            (None, Some(store)) => Ok(Arc::clone(store)),
            (Some(fault), _) => Err(fault.clone()),
            (None, None) => Err(StoreFault { cause: AwayCause::Silent, why: "it was not opened".to_owned() }),
        }
    }

    fn look(&self) -> Result<(), StoreFault> {
        let (store, is_used) = {
            let held = self.lock();
            (held.store.clone(), held.fault.is_none())
        };
        match store {
            Some(store) => store.check()?,
            None => {
                let opened = (self.open)()?;
                self.lock().store = Some(opened);
            }
        }
        if is_used { Ok(()) } else { (self.judge)() }
    }
}

impl BlobStore for LateStore {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.held()?.begin(key)
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.held()?.read(key, offset, len)
    }

    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        self.held()?.read_back(key, take)
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.held()?.size(key)
    }

    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.held()?.remove(key)
    }

    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.held()?.list(repository)
    }

    fn repositories(&self) -> Result<Vec<RepositoryId>, ReadFault> {
        self.held()?.repositories()
    }

    fn stored_at(&self, key: &BlobKey) -> Result<Option<Time>, ReadFault> {
        self.held()?.stored_at(key)
    }

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.held()?.make_durable(key)
    }

    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.held()?.unsettled()
    }

    fn check(&self) -> Result<(), StoreFault> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = self.look();
        self.lock().fault = looked.clone().err();
        looked
    }

    fn check_writes(&self) -> Option<(StopCause, String)> {
        self.held().ok()?.check_writes()
    }

    fn space(&self) -> Option<(u64, u64)> {
        self.held().ok()?.space()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::fs::FsBlobs;
    use domain::object::{ObjectKind, ObjectName};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn key() -> BlobKey {
        let repository = RepositoryId::generate(Time::from_millis(1));
        BlobKey::new(repository, ObjectKind::Data, ObjectName::from_hash(&[0; 32]))
    }

    fn fault(why: &str) -> StoreFault {
        StoreFault { cause: AwayCause::Away, why: why.to_owned() }
    }

    /// A store below a folder, which is accepted while `is_good`.
    fn late(dir: PathBuf, is_good: &Arc<AtomicBool>) -> LateStore {
        let is_good = Arc::clone(is_good);
        let open = move || -> Result<Arc<dyn BlobStore>, StoreFault> {
            if dir.exists() { Ok(Arc::new(FsBlobs::open(&dir)?)) } else { Err(fault("not mounted")) }
        };
        LateStore::new(open, move || if is_good.load(Ordering::SeqCst) { Ok(()) } else { Err(fault("no good")) })
    }

    #[test]
    fn a_store_that_comes_late_is_used_from_then_on() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("mounted");
        let (late, key) = (late(dir.clone(), &Arc::new(AtomicBool::new(true))), key());

        let fault = late.begin(&key).err().unwrap();
        assert!(matches!(&fault, WriteFault::Away(fault) if fault.cause == AwayCause::Silent), "{fault}");
        assert_eq!(late.check().unwrap_err().why, "not mounted");
        assert!(matches!(late.read(&key, 0, 1), Err(ReadFault::Away(fault)) if fault.why == "not mounted"));
        std::fs::create_dir(&dir).unwrap();
        assert!(late.size(&key).is_err(), "only a look opens it");
        late.check().unwrap();
        assert_eq!(late.size(&key), Ok(None));
        std::fs::rename(&dir, above.path().join("gone")).unwrap();
        assert_eq!(late.check().unwrap_err().cause, AwayCause::Away);
    }

    #[test]
    fn a_store_is_judged_each_time_it_comes_and_not_used_if_it_is_no_good() {
        let above = tempfile::tempdir().unwrap();
        let (dir, gone) = (above.path().join("mounted"), above.path().join("gone"));
        std::fs::create_dir(&dir).unwrap();
        let is_good = Arc::new(AtomicBool::new(false));
        let (late, key) = (late(dir.clone(), &is_good), key());

        assert_eq!(late.check().unwrap_err().why, "no good");
        assert!(late.size(&key).is_err());
        is_good.store(true, Ordering::SeqCst);
        late.check().unwrap();
        is_good.store(false, Ordering::SeqCst);
        late.check().unwrap();
        assert_eq!(late.size(&key), Ok(None), "while it stays it is the same");
        std::fs::rename(&dir, &gone).unwrap();
        assert!(late.check().is_err());
        std::fs::rename(&gone, &dir).unwrap();
        assert_eq!(late.check().unwrap_err().why, "no good", "what comes back is another, until it is judged");
        assert!(late.size(&key).is_err());
    }
}
