//! An upload: kept in memory until it is whole, because its SHA-256 goes before it.
use super::Bucket;
use super::fault::writing;
use crate::blob::{BlobKey, Stored, Upload, WriteFault};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutPayload};

pub(super) struct BucketUpload {
    bucket: Bucket,
    path: Path,
    pieces: Vec<Bytes>,
    len: u64,
    most: u64,
}

impl BucketUpload {
    pub(super) fn begin(bucket: &Bucket, key: &BlobKey) -> Self {
        let path = bucket.0.place.key(key);
        Self { bucket: bucket.clone(), path, pieces: Vec::new(), len: 0, most: key.kind.max_bytes() }
    }

    fn put(self, mode: PutMode) -> Result<Stored, WriteFault> {
        let Self { bucket, path, pieces, len, .. } = self;
        let payload = PutPayload::from_iter(pieces);
        let put = bucket.call(len, move |store| async move { store.put_opts(&path, payload, mode.into()).await });
        match put {
            Ok(_) => Ok(Stored::default()),
            Err(fault) => Err(writing(fault, &bucket.0.place)),
        }
    }
}

impl Upload for BucketUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault> {
        self.len = self.len.saturating_add(bytes.len() as u64);
        if self.len > self.most {
            return Err(WriteFault::Failed(format!("an object of this kind has at most {} bytes", self.most)));
        }
        self.pieces.push(Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.put(PutMode::Create)
    }

    /// Where the bucket keeps versions, what was there stays as an older one.
    fn replace(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.put(PutMode::Overwrite)
    }
}
