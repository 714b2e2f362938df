//! Restore tests from the second copy alone, with the master key that recovery shares give.
//!
//! What the process of the test reads comes from the second store and from nowhere else; the key comes out of an escrow
//! record, which the recovery key opens. The server's own key is not asked.
use super::escrow;
use super::prover::{job, served};
use super::runner::{Ended, Runner};
use crate::blob::BlobStore;
use crate::error::Result;
use crate::service;
use crate::service::copy_proof::Ended as Reported;
use crate::store::{self, Store};
use clock::Clock;
use domain::id::{RepositoryId, RestorePointId};
use domain::restore_test::TestReport;
use repository::MasterKey;
use secret::recovery::RecoveryKey;
use std::sync::Arc;

/// Runs such tests, one after the other.
pub struct CopyAlone<'a> {
    /// Where the ledger and the escrow records are.
    pub store: &'a Store,
    /// The second store, and the id in its marker.
    pub copy: (Arc<dyn BlobStore>, String),
    pub key: &'a RecoveryKey,
    pub runner: Runner,
    /// Who runs them, as pages show it.
    pub name: String,
    pub clock: Clock,
}

impl CopyAlone<'_> {
    /// Tests one restore point. What it reports is recorded by
    /// [`finish`](crate::service::copy_proof::finish), where the server is.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn test(&self, point: RestorePointId) -> Result<Reported> {
        let started_at = self.clock.now();
        let needed = self.store.read_blocking(|conn| service::proof::needed_alone(conn, point))?;
        let report = match self.master_key(needed.repository.id)? {
            Some(key) => match self.runner.run(&served(&self.copy.0, &needed), &key, &job(&needed), &()) {
                Ended::Reported(report, _) => *report,
                Ended::Stopped => TestReport::unproven("The test was stopped."),
            },
            None => {
                let name = self.key.name();
                TestReport::unproven(format!("The recovery key {name} opens no escrow record of this backup."))
            }
        };
        Ok(Reported {
            public: self.key.public().as_str().to_owned(),
            point,
            store: self.copy.1.clone(),
            runner: self.name.clone(),
            started_at,
            report: report.brief(),
        })
    }

    fn master_key(&self, id: RepositoryId) -> Result<Option<MasterKey>> {
        let records = self.store.read_blocking(move |conn| store::escrow::of_repository(conn, id))?;
        Ok(records.iter().find_map(|it| escrow::open(self.key.private(), id, &it.sealed_master_key).ok()))
    }
}
