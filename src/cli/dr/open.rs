//! The second store, opened by whoever has nothing but the way to it.
use crate::app;
use crate::blob::BlobStore;
use crate::blob::bucket::{Bucket, Patience};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Opening, read_marker};
use crate::config::{Config, CopyTarget};
use anyhow::{Context, anyhow};
use std::sync::Arc;

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
        CopyTarget::Bucket(it) => {
            let bucket =
                Bucket::new(&app::access(it), Patience::default()).context("using the settings of the copy")?;
            Ok(Arc::new(bucket.unnamed()))
        }
        CopyTarget::Puller(name) => Err(anyhow!(
            "nobody can connect to the other Holdfast, {name}: run this on its machine, with its folder as --copy, or bring \
             that folder here"
        )),
    }
}
