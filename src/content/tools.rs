//! What looking inside works with.
use crate::blob::BlobStore;
use crate::error::{Error, Result};
use crate::proof::keys::ProofKeys;
use crate::proof::runner::{Runner, Served};
use crate::service;
use crate::store::Store;
use crate::store::repository::Repository;
use anyhow::anyhow;
use clock::Clock;
use domain::time::Time;
use repository::{MasterKey, View};
use std::sync::Arc;

/// What looking inside works with. Cheap to clone.
#[derive(Clone)]
pub struct Tools {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    /// None if the proof side is on another host.
    pub keys: Option<Arc<ProofKeys>>,
    pub clock: Clock,
    pub runner: Runner,
}

impl Tools {
    /// What opens the repositories' keys.
    ///
    /// # Errors
    /// `Refused` where that is on another host.
    pub(super) fn keys(&self) -> Result<Arc<ProofKeys>> {
        self.keys.clone().ok_or_else(|| {
            let why = "the key that opens backups is on another host: look inside where `holdfast prove` runs";
            Error::Refused(why.to_owned())
        })
    }

    /// What a process may read, and the key it needs: a repository as it was at each of these times, earliest first.
    ///
    /// # Errors
    /// When the key cannot be opened, or the database refuses.
    pub(super) fn prepare(&self, repository: &Repository, views: &[Time]) -> Result<(Served, MasterKey)> {
        let key = self.keys()?.open_master_key(repository)?;
        let last = views.last().copied().ok_or_else(|| anyhow!("a repository is looked at as of some time"))?;
        let objects = self.store.read_blocking(|conn| service::content::view(conn, repository.id, last))?;
        let since = objects.iter().map(|it| (it, view_of(views, it.received_at))).filter(|it| it.1 > 0);
        let since = since.map(|(it, view)| ((it.kind, it.name.clone()), view)).collect();
        let served = Served {
            blobs: Arc::clone(&self.blobs),
            repository: repository.id,
            ledger: objects.into_iter().map(|it| ((it.kind, it.name.clone()), it.size())).collect(),
            since,
            manifests: Vec::new(),
        };
        Ok((served, key))
    }
}

/// The first of these times, earliest first, at which what came at `at` was there.
pub(super) fn view_of(views: &[Time], at: Time) -> View {
    View::try_from(views.partition_point(|it| *it < at)).unwrap_or(View::MAX)
}
