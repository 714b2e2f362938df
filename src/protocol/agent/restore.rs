//! `POST /agent/v1/restores/{id}/…`: how far a restore has come, what it left on the disk, and what undoing it did.
use crate::blob::BlobStore;
use crate::error::Result;
use crate::protocol::agent::body::off_the_worker;
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::reply::{Done, Reply};
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::signed::{Incoming, Message};
use crate::protocol::agent::{address, convert};
use crate::service::restore::{self, Compared};
use crate::store::device::Device;
use crate::store::{Conn, Store};
use actix_web::web::Path;
use actix_web::{HttpRequest, post};
use clock::Clock;
use domain::activity::Via;
use domain::id::{DeviceId, RestoreId};
use std::sync::Arc;
use wire::{ErrorCode, RestoreProgress, RestoreResult, UndoReport};

impl Incoming for RestoreProgress {
    const LIMIT: usize = 4 << 10;
}

impl Incoming for RestoreResult {
    // Each file with its path and hash: some hundred thousand. A restore of more is refused before it is ordered.
    const LIMIT: usize = restore::MAX_REPORT;
}

impl Incoming for UndoReport {
    // At worst each file of the restore, with the reason why it stays.
    const LIMIT: usize = restore::MAX_REPORT;
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
    let tell = move |conn: &mut Conn, device: &Device| {
        restore::progress(
            conn,
            &device.actor(Via::Agent, &address),
            device,
            id,
            convert::restore_progress(message),
            now,
        )
    };
    from.act(request, tell).await?;
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
    // Before the transaction, because both lists may be large. What is refused here would be refused there too.
    let compared = compare(request, from.device(), id, convert::restore_result(message)).await?;
    let now = data::<Clock>(request)?.now();
    let take = move |conn: &mut Conn, device: &Device| {
        restore::result(conn, &device.actor(Via::Agent, &address), device, id, compared?, now)
    };
    from.act(request, take).await?;
    Ok(Done {})
}

#[post("/agent/v1/restores/{id}/undone")]
pub async fn restore_undone(request: HttpRequest, id: Path<String>, received: Message<UndoReport>) -> Reply<Done> {
    Reply(undone(&request, &id, received).await)
}

async fn undone(request: &HttpRequest, id: &str, received: Message<UndoReport>) -> Result<Done, Fault> {
    let id = parse(id)?;
    let Message { from, message } = received;
    let address = address::of(request)?.to_string();
    let now = data::<Clock>(request)?.now();
    let take = move |conn: &mut Conn, device: &Device| {
        restore::undone(conn, &device.actor(Via::Agent, &address), device, id, &message, now)
    };
    from.act(request, take).await?;
    Ok(Done {})
}

/// Compares a result with the manifest of its restore point; none if the restore has ended.
async fn compare(
    request: &HttpRequest,
    device: DeviceId,
    id: RestoreId,
    said: domain::restore::RestoreResult,
) -> Result<Result<Option<Compared>>, Fault> {
    let expected = match data::<Store>(request)?.read(move |conn| restore::expected(conn, device, id)).await {
        Ok(Some(expected)) => expected,
        Ok(None) => return Ok(Ok(None)),
        // Kept for the transaction: even then the request has to count as received.
        Err(error) => return Ok(Err(error)),
    };
    let _turn = data::<Shared>(request)?.turn_to_decode().await?;
    let blobs = Arc::clone(data::<dyn BlobStore>(request)?);
    off_the_worker(move || Ok(restore::compare(blobs.as_ref(), expected, &said).map(Some))).await
}

fn parse(id: &str) -> Result<RestoreId, Fault> {
    RestoreId::parse(id).ok_or_else(|| Fault::new(ErrorCode::NotFound, "there is no such restore"))
}
