//! Blobs as objects of an S3-compatible bucket.
//!
//! They are laid out like the folder, `PREFIX/<repository>/<kind>/[<xx>/]<name>`, so that restic opens a repository
//! there, and a download of the bucket is a folder of backups.
//!
//! An object is put with `If-None-Match: *`, which never overwrites, and with its SHA-256, which the bucket checks
//! before it answers. Nothing is ever removed: the credentials need to get, put and list, and may not delete.
//! `PREFIX/holdfast/store.json` says whose store it is, as in a folder ([`home`](super::home)).
mod call;
mod fault;
mod place;
mod protection;
mod request;
mod undelete;
mod upload;
pub mod versions;
mod xml;

pub use call::Patience;
pub use protection::LockFault;
pub use undelete::Undeleted;
pub use xml::XmlFault;

use crate::blob::home::{Identity, Marker, Opening};
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault, in_pieces};
use call::Caller;
use domain::ground::AwayCause;
use domain::id::RepositoryId;
use domain::time::Time;
use fault::{CallFault, reading};
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, RetryConfig,
};
use place::Place;
use request::Requests;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use upload::BucketUpload;

/// Which bucket, and what opens it.
#[derive(Clone)]
pub struct Access {
    /// `https://HOST`, or `http://HOST`.
    pub endpoint: String,
    pub bucket: String,
    /// Without slashes at either end; empty for the whole bucket.
    pub prefix: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

/// The way to a bucket, before anybody knows whose store it is.
#[derive(Clone)]
pub struct Bucket(Arc<Inner>);

struct Inner {
    store: Arc<dyn ObjectStore>,
    /// None if it is no S3 server.
    requests: Option<Requests>,
    caller: Caller,
    place: Place,
}

/// A bucket of blobs.
#[derive(Clone)]
pub struct BucketBlobs {
    bucket: Bucket,
    /// None for one that belongs to nobody in particular: for tests and measurements.
    identity: Option<Identity>,
}

/// How many of the first keys are looked at to tell an empty bucket from a used one.
const LOOK: usize = 1_000;

impl Bucket {
    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    /// When the settings make no client, or the system gives no threads.
    pub fn new(access: &Access, patience: Patience) -> Result<Self, StoreFault> {
        let client = request::client(access, patience);
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
        let built = AmazonS3Builder::new()
            .with_endpoint(&access.endpoint)
            .with_virtual_hosted_style_request(false)
            .with_region(&access.region)
            .with_bucket_name(&access.bucket)
            .with_access_key_id(&access.access_key)
            .with_secret_access_key(&access.secret_key)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_client_options(client.clone())
            .with_retry(RetryConfig { backoff, max_retries: 3, retry_timeout: patience.call })
            .build();
        let store = Arc::new(built.map_err(|error| unusable(&access.bucket, &error))?);
        let requests = Requests::new(Arc::clone(&store), &client).map_err(|error| unusable(&access.bucket, &error))?;
        let place = Place::new(&access.bucket, &access.prefix);
        Self::of(store, Some(requests), place, patience)
    }

    /// Over any store of objects.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn over(
        store: Arc<dyn ObjectStore>,
        bucket: &str,
        prefix: &str,
        patience: Patience,
    ) -> Result<Self, StoreFault> {
        Self::of(store, None, Place::new(bucket, prefix), patience)
    }

    fn of(
        store: Arc<dyn ObjectStore>,
        requests: Option<Requests>,
        place: Place,
        patience: Patience,
    ) -> Result<Self, StoreFault> {
        let caller = Caller::new(patience).map_err(|error| unusable(place.bucket(), &error))?;
        Ok(Self(Arc::new(Inner { store, requests, caller, place })))
    }

    /// Uses it as a store that belongs to nobody in particular.
    pub fn unnamed(&self) -> BucketBlobs {
        BucketBlobs { bucket: self.clone(), identity: None }
    }

    /// Uses it as the store of `identity`.
    ///
    /// # Errors
    /// When it cannot be reached, is another's, or holds something although the ledger knows of nothing there.
    pub fn open(&self, identity: &Identity, opening: Opening) -> Result<BucketBlobs, StoreFault> {
        match (self.check(identity), opening) {
            (Ok(()), _) => {}
            (Err(fault), Opening::New) if fault.cause == AwayCause::Away => {
                if self.is_used()? {
                    let why = format!("{} holds backups that this database knows nothing about", self.0.place);
                    return Err(StoreFault { cause: AwayCause::Foreign, why });
                }
                self.mark(identity, PutMode::Create)?;
                self.check(identity)?;
            }
            (Err(fault), Opening::Adopted) if matches!(fault.cause, AwayCause::Away | AwayCause::Foreign) => {
                self.mark(identity, PutMode::Overwrite)?;
                self.check(identity)?;
            }
            (Err(fault), Opening::New | Opening::Known | Opening::Beside | Opening::Adopted) => return Err(fault),
        }
        Ok(BucketBlobs { bucket: self.clone(), identity: Some(identity.clone()) })
    }

    /// Whether the bucket keeps what is overwritten, as an older version: the marker has a version then.
    ///
    /// # Errors
    /// When the marker cannot be looked at.
    pub fn keeps_versions(&self) -> Result<bool, StoreFault> {
        let path = self.0.place.marker();
        let found = self.call(0, move |store| async move { store.head(&path).await });
        let version = found.map_err(|fault| fault.of_store(&self.0.place))?.version;
        // `null` is what a bucket says that kept versions once.
        Ok(version.is_some_and(|it| !it.is_empty() && it != "null"))
    }

    /// Whether the marker is that of `identity`.
    fn check(&self, identity: &Identity) -> Result<(), StoreFault> {
        let path = self.0.place.marker();
        let text = self.call(0, move |store| async move { store.get(&path).await?.bytes().await });
        match text {
            Ok(text) => Marker::check(&text, &self.0.place.to_string(), identity),
            Err(CallFault::NotFound) => {
                let why = format!("{} does not carry the marker of this server", self.0.place);
                Err(StoreFault { cause: AwayCause::Away, why })
            }
            Err(fault) => Err(fault.of_store(&self.0.place)),
        }
    }

    fn mark(&self, identity: &Identity, mode: PutMode) -> Result<(), StoreFault> {
        let bytes = Marker::new(identity).bytes().map_err(|error| unusable(self.0.place.bucket(), &error))?;
        let path = self.0.place.marker();
        let put =
            self.call(0, move |store| async move { store.put_opts(&path, PutPayload::from(bytes), mode.into()).await });
        match put {
            // Somebody else was faster; whose it is now is looked at next.
            Ok(_) | Err(CallFault::Taken) => Ok(()),
            Err(fault) => Err(fault.of_store(&self.0.place)),
        }
    }

    /// Whether the first keys there belong to a repository.
    fn is_used(&self) -> Result<bool, StoreFault> {
        let (path, place) = (self.0.place.root(), self.0.place.clone());
        let found = self.call(0, move |store| async move {
            let mut listed = store.list(path.as_ref());
            for _ in 0..LOOK {
                match listed.try_next().await? {
                    Some(it) if place.repository_of(&it.location).is_some() => return Ok(true),
                    Some(_) => {}
                    None => break,
                }
            }
            Ok(false)
        });
        found.map_err(|fault| fault.of_store(&self.0.place))
    }

    /// Does one call, within the time that `bytes` may take.
    fn call<T, F>(&self, bytes: u64, call: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> Result<T, CallFault>
    where
        T: Send + 'static,
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        self.0.caller.wait(bytes, call(Arc::clone(&self.0.store)))
    }
}

impl fmt::Debug for BucketBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketBlobs({})", self.bucket.0.place)
    }
}

impl BucketBlobs {
    fn place(&self) -> &Place {
        &self.bucket.0.place
    }

    /// A missing object counts only if the store itself is there.
    fn lost(&self) -> Result<(), ReadFault> {
        Ok(self.check()?)
    }

    fn length(&self, path: &Path) -> Result<Option<u64>, ReadFault> {
        let asked = path.clone();
        match self.bucket.call(0, move |store| async move { store.head(&asked).await }) {
            Ok(found) => Ok(Some(found.size)),
            Err(CallFault::NotFound) => self.lost().map(|()| None),
            Err(fault) => Err(reading(fault, self.place())),
        }
    }
}

/// How much is asked for at once when an object is read back: each call costs, and most packs are shorter.
const PIECE: u64 = 32 << 20;

impl BlobStore for BucketBlobs {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(BucketUpload::begin(&self.bucket, key)))
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        let path = self.place().key(key);
        let options = GetOptions {
            range: Some(GetRange::Bounded(offset..offset.saturating_add(len.max(1)))),
            ..GetOptions::default()
        };
        // At most one object comes back, however much was asked for.
        let most = len.min(key.kind.max_bytes());
        let asked = path.clone();
        let got =
            self.bucket.call(most, move |store| async move { store.get_opts(&asked, options).await?.bytes().await });
        match got {
            Ok(bytes) if len == 0 => Ok(bytes.slice(..0).to_vec()),
            Ok(bytes) => Ok(bytes.into()),
            Err(CallFault::NotFound) => {
                self.lost()?;
                Err(ReadFault::Lost)
            }
            // What lies after the end is nothing, and no fault.
            Err(fault) => match self.length(&path) {
                Ok(Some(size)) if offset >= size => Ok(Vec::new()),
                Ok(_) => Err(reading(fault, self.place())),
                Err(fault) => Err(fault),
            },
        }
    }

    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        in_pieces(PIECE, take, |offset| self.read(key, offset, PIECE))
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.length(&self.place().key(key))
    }

    fn remove(&self, _: &BlobKey) -> Result<bool, WriteFault> {
        Err(WriteFault::Failed("nothing is ever removed from the second store".to_owned()))
    }

    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.check()?;
        let (path, place) = (self.place().repository(repository), self.place().clone());
        let listed = self.bucket.call(call::LISTING, move |store| async move {
            let keys = store.list(Some(&path)).try_filter_map(move |it| {
                let found = place.key_of(repository, &it.location).map(|key| (key, it.size));
                std::future::ready(Ok(found))
            });
            keys.try_collect().await
        });
        listed.map_err(|fault| reading(fault, self.place()))
    }

    fn repositories(&self) -> Result<Vec<RepositoryId>, ReadFault> {
        self.check()?;
        let (root, place) = (self.place().root(), self.place().clone());
        let listed = self.bucket.call(call::LISTING, move |store| async move {
            let found = store.list_with_delimiter(root.as_ref()).await?;
            Ok(found.common_prefixes.iter().filter_map(|it| place.repository_of(it)).collect())
        });
        listed.map_err(|fault| reading(fault, self.place()))
    }

    fn stored_at(&self, key: &BlobKey) -> Result<Option<Time>, ReadFault> {
        let path = self.place().key(key);
        match self.bucket.call(0, move |store| async move { store.head(&path).await }) {
            Ok(found) => Ok(Some(Time::from_millis(found.last_modified.timestamp_millis()))),
            Err(CallFault::NotFound) => self.lost().map(|()| None),
            Err(fault) => Err(reading(fault, self.place())),
        }
    }

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        // A bucket answers only once it can keep what it was sent.
        match self.size(key) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(WriteFault::Failed(format!("{key} is not there"))),
            Err(ReadFault::Away(fault)) => Err(fault.into()),
            Err(fault) => Err(WriteFault::Failed(fault.to_string())),
        }
    }

    /// Nothing: what a stop interrupted is sent again, and found to be there.
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        Ok(Vec::new())
    }

    fn check(&self) -> Result<(), StoreFault> {
        match &self.identity {
            Some(identity) => self.bucket.check(identity),
            None => self.bucket.is_used().map(drop),
        }
    }
}

/// What makes no client.
fn unusable(bucket: &str, error: &dyn std::error::Error) -> StoreFault {
    StoreFault { cause: AwayCause::Unreadable, why: format!("the bucket {bucket} cannot be used: {error}") }
}

#[cfg(test)]
mod tests;
