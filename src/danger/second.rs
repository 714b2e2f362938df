//! The second store: where it is, who may do what there, and what goes bad there.
use crate::blob::bucket::{Access, Bucket, LockFault, Patience};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Opening, read_marker};
use crate::blob::{self, BlobKey, BlobStore, WriteFault};
use anyhow::{Context, Result, anyhow, ensure};
use domain::id::RepositoryId;
use domain::object::ObjectKind;
use std::cmp::Reverse;
use std::fmt;
use std::path::Path;

/// How the names of the folders begin in which the second store has the console's states.
const STATES: &str = "00000000-0000-7000-8000-";

/// The second store, in the words of the server's own settings.
#[derive(Debug, Clone, Default)]
pub struct SecondPlace {
    /// A folder, or `s3://BUCKET/PREFIX`.
    pub copy: String,
    pub endpoint: Option<String>,
    /// What the console writes with.
    pub key: Option<AccessKey>,
    /// What is left after the loss, and may only read; none for a folder.
    pub reading: Option<AccessKey>,
}

/// What opens a bucket.
#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SecondPlace {
    /// The same store for whoever has only what is left after the loss.
    pub fn left(&self) -> Self {
        Self { key: self.reading.clone().or_else(|| self.key.clone()), ..self.clone() }
    }

    /// The bucket.
    ///
    /// # Errors
    /// When it is none.
    pub fn bucket(&self) -> Result<Bucket> {
        let (bucket, prefix) = self.place()?;
        let key = self.key.clone().context("the bucket has an access key")?;
        let access = Access {
            endpoint: self.endpoint.clone().context("the bucket has an address")?,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: "us-east-1".to_owned(),
            access_key: key.id,
            secret_key: key.secret,
        };
        Ok(Bucket::new(&access, Patience::default())?)
    }

    /// What lies there, for whoever reads and writes past the console.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn blobs(&self) -> Result<Box<dyn BlobStore>> {
        if self.copy.starts_with("s3://") {
            return Ok(Box::new(self.bucket()?.unnamed()));
        }
        open_folder(Path::new(&self.copy))
    }

    /// Tries to overwrite and to delete with what is left after the loss; true if the bucket refused both. False where
    /// nothing but the console's own access is known.
    ///
    /// # Errors
    /// When it did not refuse.
    pub fn refuses_to_change(&self) -> Result<bool> {
        if self.reading.is_none() {
            return Ok(false);
        }
        let left = self.left();
        let bucket = left.bucket()?;
        let (_, prefix) = left.place()?;
        let marker = format!("{prefix}/holdfast/store.json");
        for (method, body) in [("PUT", "somebody else's"), ("DELETE", "")] {
            let answer = bucket.send(method, &marker, &[], body);
            let is_refused = matches!(answer, Err(LockFault::Forbidden(_)));
            ensure!(is_refused, "a key that may only read there was not refused a {method}: {answer:?}");
        }
        Ok(true)
    }

    /// Bucket and prefix.
    fn place(&self) -> Result<(&str, &str)> {
        let place = self.copy.strip_prefix("s3://").context("this variant needs a bucket as the second store")?;
        Ok(place.split_once('/').unwrap_or((place, "")))
    }
}

/// A folder of backups, whoever's it is.
///
/// # Errors
/// When it is none.
pub fn open_folder(folder: &Path) -> Result<Box<dyn BlobStore>> {
    let identity = read_marker(folder).with_context(|| format!("{} has no marker", folder.display()))?;
    Ok(Box::new(FsBlobs::open_home(folder, &identity, Opening::Beside)?))
}

/// Changes one byte of a device's `nth` largest pack, where it lies; returns which pack that is.
///
/// # Errors
/// When there are not so many packs, or the store refuses.
pub fn rot(blobs: &dyn BlobStore, repository: RepositoryId, nth: usize) -> Result<BlobKey> {
    let mut packs: Vec<_> = blobs.list(repository)?.into_iter().filter(|it| it.0.kind == ObjectKind::Data).collect();
    packs.sort_by_key(|(key, size)| (Reverse(*size), key.name.to_string()));
    let (key, _) = packs.into_iter().nth(nth).context("the device has more packs: give it more MiB")?;
    let mut bytes = blob::read_all(blobs, &key, key.kind.max_bytes())?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("a pack has bytes")? ^= 1;
    replace(blobs, &key, &bytes)?;
    Ok(key)
}

/// Overwrites every state of the console.
///
/// # Errors
/// When there is none, or the store refuses.
pub fn spoil_states(blobs: &dyn BlobStore) -> Result<()> {
    let mut count = 0;
    for area in blobs.repositories()?.into_iter().filter(|it| it.as_str().starts_with(STATES)) {
        for (key, _) in blobs.list(area)? {
            replace(blobs, &key, b"what a disk returns that has forgotten")?;
            count += 1;
        }
    }
    ensure!(count > 0, "there is no state to be spoilt");
    Ok(())
}

fn replace(blobs: &dyn BlobStore, key: &BlobKey, bytes: &[u8]) -> Result<()> {
    let write = || -> Result<(), WriteFault> {
        let mut upload = blobs.begin(key)?;
        upload.write(bytes)?;
        upload.replace()?.settle();
        Ok(())
    };
    write().map_err(|fault| anyhow!("overwriting {key}: {fault}"))
}
