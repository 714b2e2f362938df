//! The second store, opened by whoever has nothing but the way to it.
use crate::app;
use crate::blob::BlobStore;
use crate::blob::bucket::{Bucket, Patience};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Identity, Opening, read_marker};
use crate::config::{BucketSettings, Config, CopyTarget};
use crate::error::Error;
use crate::service::ground::known_identity;
use crate::store::Store;
use crate::store::setting::COPY_ID;
use anyhow::{Context, anyhow};
use std::sync::Arc;

/// The bucket that is the second store of the settings, whoever's it is.
///
/// # Errors
/// When it is a folder, or there is none.
pub fn bucket(config: &Config) -> anyhow::Result<Bucket> {
    match config.copy.as_ref().map(|it| &it.target) {
        Some(CopyTarget::Bucket(it)) => open(it),
        Some(CopyTarget::Folder(_) | CopyTarget::Puller(_)) => {
            Err(anyhow!("a folder keeps no versions: what was deleted there is gone"))
        }
        None => Err(anyhow!("say where the second store is: --copy s3://BUCKET/PREFIX, with its endpoint and key")),
    }
}

fn open(settings: &BucketSettings) -> anyhow::Result<Bucket> {
    Bucket::new(&app::access(settings), Patience::default()).context("using the settings of the copy")
}

fn out_of_reach(name: &str) -> anyhow::Error {
    anyhow!(
        "nobody can connect to the other Holdfast, {name}: run this on its machine, with its folder as --copy, or bring \
         that folder here"
    )
}

/// Opens the second store of the settings for reading, whoever's it is.
///
/// # Errors
/// When none is set, or it is not there.
pub fn second_store(config: &Config) -> anyhow::Result<Arc<dyn BlobStore>> {
    let settings = config.copy.as_ref().ok_or_else(|| {
        anyhow!("say where the second store is: --copy FOLDER, or --copy s3://BUCKET/PREFIX with its endpoint and key")
    })?;
    match &settings.target {
        CopyTarget::Folder(dir) => {
            let identity = read_marker(dir).with_context(|| {
                format!("{} carries no marker of a second store: is its disk mounted?", dir.display())
            })?;
            Ok(Arc::new(FsBlobs::open_home(dir, &identity, Opening::Beside)?))
        }
        CopyTarget::Bucket(it) => Ok(Arc::new(open(it)?.unnamed())),
        CopyTarget::Puller(name) => Err(out_of_reach(name)),
    }
}

/// Opens the second store of the settings for reading if it is the one that this database knows, and its id.
///
/// # Errors
/// When none is set, it is not there, or it is another.
pub fn known_second_store(config: &Config, store: &Store) -> anyhow::Result<(Arc<dyn BlobStore>, String)> {
    let settings = config.copy.as_ref().context("say where the second store is: --copy, as for `holdfast serve`")?;
    let (known, id) = store.read_blocking(|conn| Ok::<_, Error>((known_identity(conn)?, COPY_ID.find(conn)?)))?;
    let (known, id) = known.zip(id).context("no server has used this second store with this database yet")?;
    let identity = Identity { copy: Some(id.clone()), ..known };
    let opened: Arc<dyn BlobStore> = match &settings.target {
        CopyTarget::Folder(dir) => {
            Arc::new(FsBlobs::open_read_only(dir, &identity).context("opening the second store")?)
        }
        CopyTarget::Bucket(it) => {
            Arc::new(open(it)?.open(&identity, Opening::Beside).context("opening the second store")?)
        }
        CopyTarget::Puller(name) => return Err(out_of_reach(name)),
    };
    Ok((opened, id))
}
