//! What copying and repairing work with.
use super::memory::Memory;
use super::step::Steps;
use super::turn::Turn;
use crate::blob::BlobStore;
use crate::store::Store;
use domain::object::Location;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The two stores, the ledger, and how far it has come.
pub(super) struct Copier {
    pub store: Store,
    pub primary: Arc<dyn BlobStore>,
    pub copy: Arc<dyn BlobStore>,
    pub memory: Memory,
    pub steps: Steps,
    /// The last object was there already, so the next one may be, and is asked for before it is sent.
    pub may_be_there: AtomicBool,
    pub turn: Mutex<Turn>,
}

impl Copier {
    pub fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pace lets anything go on its way.
    pub fn may_send(&self) -> bool {
        self.turn().pace.may_send()
    }

    /// Takes from the pace what goes on its way; false if nothing may.
    pub fn take(&self, bytes: i64) -> bool {
        self.turn().pace.take(bytes)
    }

    /// Does something at a store that may move `bytes`, so that it is noticed if that never ends.
    pub fn at<T>(&self, location: Location, bytes: u64, work: impl FnOnce(&dyn BlobStore) -> T) -> T {
        let _step = self.steps.begin(location, bytes);
        match location {
            Location::Primary => work(&*self.primary),
            Location::Copy => work(&*self.copy),
        }
    }
}
