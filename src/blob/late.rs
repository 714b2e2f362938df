//! A store that may not be there when the server starts: it is opened when it can be, and the server runs meanwhile.
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use domain::ground::{AwayCause, StopCause};
use domain::id::RepositoryId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Open = dyn Fn() -> Result<Arc<dyn BlobStore>, StoreFault> + Send + Sync;

/// A store that [`BlobStore::check`] opens, and opens again until it succeeds. Until then everything else fails as the
/// last attempt did.
pub struct LateStore {
    open: Box<Open>,
    held: Mutex<Result<Arc<dyn BlobStore>, StoreFault>>,
}

impl LateStore {
    /// One that `open` opens; nothing is tried yet.
    pub fn new(open: impl Fn() -> Result<Arc<dyn BlobStore>, StoreFault> + Send + Sync + 'static) -> Self {
        let fault = StoreFault { cause: AwayCause::Silent, why: "it was not reached yet".to_owned() };
        Self { open: Box::new(open), held: Mutex::new(Err(fault)) }
    }

    fn lock(&self) -> MutexGuard<'_, Result<Arc<dyn BlobStore>, StoreFault>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Result<Arc<dyn BlobStore>, StoreFault> {
        self.lock().clone()
    }
}

impl BlobStore for LateStore {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.held()?.begin(key)
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.held()?.read(key, offset, len)
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

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.held()?.make_durable(key)
    }

    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.held()?.unsettled()
    }

    fn check(&self) -> Result<(), StoreFault> {
        if let Ok(held) = self.held() {
            return held.check();
        }
        // Held meanwhile, so that two do not open it at once.
        let mut held = self.lock();
        if held.is_err() {
            *held = (self.open)();
        }
        held.as_ref().map(drop).map_err(Clone::clone)
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
    use domain::time::Time;
    use std::path::PathBuf;

    #[test]
    fn a_store_that_comes_late_is_used_from_then_on() {
        let above = tempfile::tempdir().unwrap();
        let dir: PathBuf = above.path().join("mounted");
        let opened = dir.clone();
        let late = LateStore::new(move || {
            let why = "not mounted".to_owned();
            if !opened.exists() {
                return Err(StoreFault { cause: AwayCause::Away, why });
            }
            Ok(Arc::new(FsBlobs::open(&opened)?))
        });
        let repository = RepositoryId::generate(Time::from_millis(1));
        let key = BlobKey::new(repository, ObjectKind::Data, ObjectName::from_hash(&[0; 32]));

        let fault = late.begin(&key).err().unwrap();
        assert!(matches!(&fault, WriteFault::Away(fault) if fault.cause == AwayCause::Silent), "{fault}");
        assert_eq!(late.check().unwrap_err().why, "not mounted");
        assert!(matches!(late.read(&key, 0, 1), Err(ReadFault::Away(fault)) if fault.why == "not mounted"));
        std::fs::create_dir(&dir).unwrap();
        assert!(late.size(&key).is_err(), "only a check opens it");
        late.check().unwrap();
        assert_eq!(late.size(&key), Ok(None));
        std::fs::rename(&dir, above.path().join("gone")).unwrap();
        assert_eq!(late.check().unwrap_err().cause, AwayCause::Away);
    }
}
