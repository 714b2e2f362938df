//! `POST /agent/v1/enroll`: a device joins.
//!
//! The sender is a stranger until its token is recognised: the body is small, the address is counted, and the
//! costly part comes after the token.
use crate::blob::BlobStore;
use crate::config::Config;
use crate::error::Error;
use crate::protocol::agent::fault::{Fault, Refused};
use crate::protocol::agent::reply::Reply;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use crate::protocol::agent::token::{self, Expected, Token};
use crate::protocol::agent::{address, body, convert, copy, request, signed};
use crate::service::enrollment::agent::{self, Joining};
use crate::service::enrollment::{TokenRefusal, join};
use crate::service::repository::{OwnRepository, Prepared, Recipients};
use crate::store::Store;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, post};
use anyhow::anyhow;
use clock::Clock;
use domain::id::RepositoryId;
use domain::time::Time;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::{Claims, Enroll, Enrolled, ErrorCode};

/// Names, keys and at most 64 paths.
const LIMIT: usize = 512 << 10;

#[post("/agent/v1/enroll")]
pub async fn enroll(request: HttpRequest, payload: Payload) -> Result<Reply<Enrolled>, Refused> {
    let at = |it| Refused::at(it, request::now(&request));
    let (message, claims) = receive(&request, payload).await.map_err(at)?;
    copy::enter(&request, &message.newcomer.identity, &claims.jti).await?;
    Ok(Reply(run(&request, message).await))
}

/// A stranger's message, from somebody who holds the key it names.
async fn receive(request: &HttpRequest, payload: Payload) -> Result<(Joining, Claims), Fault> {
    let shared = data::<Shared>(request)?;
    let from = address::of(request)?;
    if !shared.may_enroll(from) {
        return Err(too_many());
    }
    let now = data::<Clock>(request)?.now();
    body::check_length(request, LIMIT)?;
    let token = Token::parse(request::authorization(request)?)?;
    // Unlike elsewhere, before the signature is checked: the body names the key.
    let body = body::read(payload, LIMIT, |_| Ok(())).await?;
    let message: Enroll = body::parse(&body)?;
    let claims = check_signature(request, &token, &message, &body, now)?;
    let message = convert::joining(message)?;
    agent::check(&message)?;
    Ok((message, claims))
}

async fn run(request: &HttpRequest, message: Joining) -> Result<Enrolled, Fault> {
    let shared = data::<Shared>(request)?;
    let from = address::of(request)?;
    let now = data::<Clock>(request)?.now();
    let store = data::<Store>(request)?;
    let asked = message.newcomer.clone();
    let admitted = store.read(move |conn| join::admit(conn, &asked, now)).await?;
    let (token, _) = admitted.map_err(|it| refused(shared, from, it))?;
    let (team, brought) = (token.team_id, message.clone());
    let read = move |conn: &mut _| agent::check_key(conn, team, &brought).and_then(|()| agent::recipients(conn, team));
    let to = store.read(read).await?;
    let prepared = prepare(request, (to, message.own_repository.clone()), now).await?;
    let of_device = Arc::clone(&prepared);
    let joined = store.act(move |conn| agent::enroll(conn, &message, &of_device, &from.to_string(), now)).await?;
    let joined = joined.map_err(|it| refused(shared, from, it))?;
    shared.forget(joined.device);
    Ok(convert::enrolled(joined, &prepared, now)?)
}

/// The sender holds the key it enrolls with, and meant this server.
fn check_signature(
    request: &HttpRequest,
    token: &Token<'_>,
    message: &Enroll,
    body: &[u8],
    now: Time,
) -> Result<Claims, Fault> {
    let key = token::public_key(&message.signing_key).ok_or_else(|| {
        Fault::message("signing_key", "an Ed25519 public key is the base64url of 32 bytes, without padding")
    })?;
    let claims = token.verify(&key)?;
    let (method, path) = (request.method().as_str(), request.path());
    token::check(&claims, &Expected { sub: "enroll", method, path, now })?;
    signed::check_body(&claims, body)?;
    let config = data::<Config>(request)?;
    // Not the request's own `Host`: somebody in between can write both as they like.
    if config.is_public_url(&claims.aud) {
        return Ok(claims);
    }
    let (said, ours) = (claims.aud.trim_end_matches('/'), &config.public_url);
    Err(Fault::new(
        ErrorCode::BadSignature,
        format!(
            "the token's `aud` is `{said}`, but this server is `{ours}`; enroll with that address, or set \
             --public-url or --other-url"
        ),
    ))
}

/// Creates the repository, or takes the one that the device made, and stores its first objects: slow, so it comes before the
/// transaction.
async fn prepare(
    request: &HttpRequest,
    (to, own): (Recipients, Option<OwnRepository>),
    now: Time,
) -> Result<Arc<Prepared>, Fault> {
    let blobs = Arc::clone(data::<dyn BlobStore>(request)?);
    let gate = data::<Shared>(request)?.preparing();
    // The client's patience bounds the wait; a stopping server drops those waiting.
    let _turn = gate.acquire_owned().await.map_err(|_closed| Error::Internal(anyhow!("the server is stopping")))?;
    body::off_the_worker(move || {
        let id = RepositoryId::generate(now);
        let prepared = match own {
            Some(own) => Prepared::adopt(to.proof, id, own)?,
            None => Prepared::make(&to, id)?,
        };
        prepared.store(blobs.as_ref())?;
        Ok(Arc::new(prepared))
    })
    .await
}

pub fn refused(shared: &Data<Shared>, from: IpAddr, refusal: TokenRefusal) -> Fault {
    if shared.may_be_refused(from) { Fault::new(ErrorCode::TokenRefused, refusal.to_string()) } else { too_many() }
}

pub fn too_many() -> Fault {
    Fault::busy("too many enrolments from this address; try again in a minute", Duration::from_secs(60))
}
