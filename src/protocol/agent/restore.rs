//! `POST /agent/v1/restores/{id}/…`: how far a restore has come, and what it left on the disk.
use crate::blob::BlobStore;
use crate::clock::Clock;
use crate::domain::id::{DeviceId, RestoreId};
use crate::domain::manifest::Manifest;
use crate::domain::message::{ErrorCode, RestoreProgress, RestoreResult};
use crate::protocol::agent::address;
use crate::protocol::agent::body::off_the_worker;
use crate::protocol::agent::check_in::forgetting;
use crate::protocol::agent::fault::{Done, Fault, Reply};
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::{Incoming, Message, data};
use crate::service::check_in::actor;
use crate::service::request::accept;
use crate::service::restore;
use crate::store::Store;
use actix_web::web::Path;
use actix_web::{HttpRequest, post};
use std::sync::Arc;

impl Incoming for RestoreProgress {
    const LIMIT: usize = 4 << 10;
}

impl Incoming for RestoreResult {
    // Each file with its path and hash: some hundred thousand.
    const LIMIT: usize = 64 << 20;
}

#[post("/agent/v1/restores/{id}/progress")]
pub async fn restore_progress(
    request: HttpRequest,
    id: Path<String>,
    received: Message<RestoreProgress>,
) -> Reply<Done> {
    Reply(progress(&request, &id, received).await)
}

async fn progress(request: &HttpRequest, id: &str, received: Message<RestoreProgress>) -> Result<Done, Fault> {
    let id = parse(id)?;
    let Message { from, message } = received;
    let address = address::of(request)?.to_string();
    let now = data::<Clock>(request)?.now();
    let (device, signed) = (from.device(), from.signed());
    let accepted = data::<Store>(request)?
        .act(move |conn| match accept(conn, &signed, false)? {
            Ok(device) => restore::progress(conn, &actor(&device, &address), &device, id, message, now).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        })
        .await?;
    accepted.map_err(|refusal| forgetting(data::<Shared>(request), device, refusal))?;
    Ok(Done {})
}

#[post("/agent/v1/restores/{id}/result")]
pub async fn restore_result(request: HttpRequest, id: Path<String>, received: Message<RestoreResult>) -> Reply<Done> {
    Reply(result(&request, &id, received).await)
}

async fn result(request: &HttpRequest, id: &str, received: Message<RestoreResult>) -> Result<Done, Fault> {
    let id = parse(id)?;
    let Message { from, message } = received;
    let address = address::of(request)?.to_string();
    let (device, signed) = (from.device(), from.signed());
    let (manifest, excluded) = expected(request, device, id).await?;
    let now = data::<Clock>(request)?.now();
    let accepted = data::<Store>(request)?
        .act(move |conn| match accept(conn, &signed, false)? {
            Ok(device) => {
                let actor = actor(&device, &address);
                restore::result(conn, &actor, &device, id, (&message, &manifest, &excluded), now).map(Ok)
            }
            Err(refusal) => Ok(Err(refusal)),
        })
        .await?;
    accepted.map_err(|refusal| forgetting(data::<Shared>(request), device, refusal))?;
    Ok(Done {})
}

/// What the restore point's manifest says: read before the transaction, for it may be large.
async fn expected(request: &HttpRequest, device: DeviceId, id: RestoreId) -> Result<(Manifest, Vec<String>), Fault> {
    let expected = data::<Store>(request)?.read(move |conn| restore::expected(conn, device, id)).await?;
    let blobs = Arc::clone(data::<dyn BlobStore>(request)?);
    off_the_worker(move || {
        let manifest = restore::manifest(blobs.as_ref(), &expected.repository, &expected.manifest)?;
        Ok((manifest, expected.excluded))
    })
    .await
}

fn parse(id: &str) -> Result<RestoreId, Fault> {
    RestoreId::parse(id).ok_or_else(|| Fault::new(ErrorCode::NotFound, "there is no such restore"))
}
