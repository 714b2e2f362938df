//! `POST /agent/v1/manifests`: what a device says its files were, before a backup.
//!
//! The body goes to the blob store piece by piece, under the hash that was signed; it counts as stored once it
//! was read back, parsed, and has its row.
use crate::blob::{BlobKey, BlobStore, Stored, Upload};
use crate::error::Error;
use crate::protocol::agent::body::{self, off_the_worker};
use crate::protocol::agent::fault::{Fault, Refused};
use crate::protocol::agent::reply::Reply;
use crate::protocol::agent::request;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::Enrolled;
use crate::service::backup;
use crate::store::{self, Store};
use actix_web::web::{BytesMut, Payload};
use actix_web::{HttpRequest, post};
use aws_lc_rs::digest::{Context as Hasher, SHA256};
use clock::Clock;
use domain::id::DeviceId;
use domain::manifest::{MAX_STORED_BYTES, Manifest};
use domain::object::{ObjectKind, ObjectName};
use std::sync::Arc;
use wire::{ErrorCode, ManifestStored};

/// How much is gathered before it is handed to a thread that writes.
const PIECE: usize = 1 << 20;

#[post("/agent/v1/manifests")]
pub async fn manifests(
    request: HttpRequest,
    from: Enrolled,
    mut payload: Payload,
) -> Result<Reply<ManifestStored>, Refused> {
    if let Err(copy) = from.enter(&request).await {
        // Otherwise a sender in the middle of the body would not see the answer.
        let hash = body::hash(&mut payload, MAX_STORED_BYTES).await.map(drop);
        return Err(hash.map_or_else(|it| Refused::at(it, request::now(&request)), |()| copy));
    }
    Ok(Reply(run(&request, from, payload).await))
}

async fn run(request: &HttpRequest, from: Enrolled, payload: Payload) -> Result<ManifestStored, Fault> {
    let said = body::check_length(request, MAX_STORED_BYTES)?;
    let name = ObjectName::parse(from.body_sha256())
        .ok_or_else(|| Fault::new(ErrorCode::BadSignature, "`body_sha256` must be 64 lower-case hex digits"))?;
    let device = from.device();
    let store = data::<Store>(request)?;
    let repository = store
        .read(move |conn| store::repository::active_of_device(conn, device))
        .await?
        .ok_or(Error::NotFound("repository"))?;
    // Without a length, the row's own check is the only one.
    backup::check_room(&repository, said.and_then(|it| i64::try_from(it).ok()).unwrap_or(0))?;
    // One at a time: one request must not remove what another is about to write the row for.
    let _place = data::<Shared>(request)?.large().enter(device)?;
    let key = BlobKey::new(repository.id, ObjectKind::Manifests, name.clone());
    let blobs = Arc::clone(data::<dyn BlobStore>(request)?);
    let (size, stored) = receive(Arc::clone(&blobs), &key, payload).await?;
    let entered = enter(request, &from, (Arc::clone(&blobs), &key), size).await;
    let (ledger, is_refused) = (store.clone(), entered.as_ref().is_err_and(Fault::is_refusal));
    let is_known = entered.is_ok() || is_refused;
    off_the_worker(move || {
        // What was refused must not fill the disk outside every quota.
        if is_refused {
            backup::discard(&ledger, blobs.as_ref(), &key)?;
        }
        // If nobody knows whether the row is there, the mark stays for the next start.
        if is_known {
            stored.settle();
        }
        Ok(())
    })
    .await?;
    entered?;
    let repository = repository.id;
    let damaged = store.read(move |conn| store::evidence::counts_on_damage(conn, repository)).await?;
    Ok(ManifestStored { name, damaged })
}

/// Parses the manifest and writes its row.
async fn enter(
    request: &HttpRequest,
    from: &Enrolled,
    (blobs, key): (Arc<dyn BlobStore>, &BlobKey),
    size: usize,
) -> Result<(), Fault> {
    understand(request, blobs, key, from.device()).await?;
    let now = data::<Clock>(request)?.now();
    let row = key.clone();
    from.act(request, move |conn, _| backup::manifest_received(conn, &row, backup::size_of(size), now)).await
}

/// Bytes on their way, and the hash of those written.
struct Receiving {
    upload: Box<dyn Upload>,
    hasher: Hasher,
    size: usize,
}

impl Receiving {
    async fn write(mut self, piece: BytesMut) -> Result<Self, Fault> {
        off_the_worker(move || {
            self.upload.write(&piece).map_err(Error::from)?;
            self.hasher.update(&piece);
            self.size += piece.len();
            Ok(self)
        })
        .await
    }
}

async fn receive(blobs: Arc<dyn BlobStore>, key: &BlobKey, mut payload: Payload) -> Result<(usize, Stored), Fault> {
    let (store, at) = (Arc::clone(&blobs), key.clone());
    let upload = off_the_worker(move || Ok(store.begin(&at).map_err(Error::from)?)).await?;
    let mut receiving = Receiving { upload, hasher: Hasher::new(&SHA256), size: 0 };
    let mut piece = BytesMut::new();
    while let Some(chunk) = body::next(&mut payload).await? {
        piece.extend_from_slice(&chunk);
        if receiving.size + piece.len() > MAX_STORED_BYTES {
            return Err(body::too_large(MAX_STORED_BYTES));
        }
        if piece.len() >= PIECE {
            receiving = receiving.write(std::mem::take(&mut piece)).await?;
        }
    }
    receiving = receiving.write(piece).await?;
    let at = key.clone();
    off_the_worker(move || {
        let Receiving { upload, hasher, size } = receiving;
        if hex::encode(hasher.finish()) != at.name.as_str() {
            return Err(Fault::new(ErrorCode::BadSignature, "the body is not the one that was signed (`body_sha256`)"));
        }
        // What is there has the same name, so its bytes are the same or damaged.
        let is_there = blobs.size(&at).map_err(Error::from)?.is_some();
        let stored = if is_there { upload.replace() } else { upload.commit() };
        Ok((size, stored.map_err(Error::from)?))
    })
    .await
}

/// Reads back the whole manifest, and checks that it is its device's.
async fn understand(
    request: &HttpRequest,
    blobs: Arc<dyn BlobStore>,
    key: &BlobKey,
    device: DeviceId,
) -> Result<(), Fault> {
    let _turn = data::<Shared>(request)?.turn_to_decode().await?;
    let key = key.clone();
    off_the_worker(move || {
        let stored = crate::blob::read_all(blobs.as_ref(), &key, MAX_STORED_BYTES as u64).map_err(Error::from)?;
        match Manifest::check(&stored) {
            Ok(header) if header.device_id == device.as_str() => Ok(()),
            Ok(_) => Err(Fault::message("device_id", "the manifest is from another device")),
            Err(fault) => Err(Fault::message("manifest", fault.to_string())),
        }
    })
    .await
}
