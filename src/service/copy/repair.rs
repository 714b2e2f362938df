//! Repairs the backup store from the second one. The other way, an object that is damaged in the second store is one
//! that waits to be copied.
use super::copier::Copier;
use super::damage;
use super::send::{self, Halt, Wanted};
use crate::blob::BlobKey;
use crate::error::Result;
use crate::service::backup;
use crate::store;
use domain::object::Location;
use domain::time::Time;

/// How many damaged objects are looked at in one run.
const SOME: i64 = 64;

impl Copier {
    /// Replaces damaged objects of the backup store by their copies, each compared with its name first; returns how
    /// many were. What is damaged in both stays so, until the device sends it again.
    pub(super) fn repair(&self, now: Time) -> Result<usize, Halt> {
        let mut repaired = 0;
        for (repository, kind, name) in self.store.read_blocking(|conn| store::copy::repairable(conn, SOME))? {
            if self.store.wake().is_stopping() || !self.may_send() {
                break;
            }
            repaired += usize::from(self.repair_one(BlobKey::new(repository, kind, name), now)?);
        }
        Ok(repaired)
    }

    fn repair_one(&self, key: BlobKey, now: Time) -> Result<bool, Halt> {
        let Some(wanted) = Wanted::of(&self.store, key.clone())? else { return Ok(false) };
        let most = key.kind.max_bytes();
        let _held = self.memory.take(most);
        let fetched = self.at(Location::Copy, most, |blobs| send::fetch(blobs, Location::Copy, &wanted))?;
        let Some(bytes) = fetched else {
            let why = "it is missing there, or its bytes are not those of its name";
            self.store.act_blocking(move |conn| damage::object_damaged(conn, &key, why, now).map(drop))?;
            return Ok(false);
        };
        self.take(backup::size_of(bytes.len()));
        self.at(Location::Primary, most, |blobs| send::replace(blobs, Location::Primary, &key, &bytes))?;
        tracing::warn!(%key, "a damaged object was restored from the second store");
        self.store.act_blocking(move |conn| damage::object_healed(conn, Location::Primary, &key, now))?;
        Ok(true)
    }
}
