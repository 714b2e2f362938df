//! The second store, opened by whoever has nothing but the way to it.
use crate::app;
use crate::blob::BlobStore;
use crate::blob::bucket::{Bucket, Patience};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Opening, read_marker};
use crate::config::{BucketSettings, Config, CopyTarget};
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
        CopyTarget::Puller(name) => Err(anyhow!(
            "nobody can connect to the other Holdfast, {name}: run this on its machine, with its folder as --copy, or bring \
             that folder here"
        )),
    }
}
