//! A console that was brought back, and where it was put.
use super::blobs::Back;
use super::keys::Closed;
use crate::blob::BlobStore;
use crate::blob::home::Identity;
use crate::service::console_copy::Fetched;
use crate::store::Store;
use domain::escrow::Catalogue;
use domain::id::RepositoryId;
use std::path::PathBuf;
use std::sync::Arc;

/// Where everything is put.
pub struct Place {
    pub database: PathBuf,
    pub key: PathBuf,
    pub blobs: PathBuf,
    /// Whose folder that is, if an attempt before this one began to fill it.
    pub earlier: Option<Identity>,
}

/// A console that was brought back.
pub struct Rebuilt {
    pub store: Store,
    pub blobs: Arc<dyn BlobStore>,
    pub from: Origin,
    pub closed: Vec<Closed>,
    pub back: Vec<(RepositoryId, Back)>,
}

/// What it was made from.
pub enum Origin {
    State(Fetched),
    /// Escrow records alone.
    Records(Catalogue),
}
