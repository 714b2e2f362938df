//! Finds out whose request it is, by its API token or its session.
use super::{Identity, cookie};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::service;
use crate::store::api_token::ApiToken;
use crate::store::session::Session;
use crate::store::user::User;
use crate::store::{self, Conn, Store};
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use clock::Clock;
use domain::account;
use domain::role::Grants;
use domain::time::{Time, minutes};
use std::net::IpAddr;
use std::sync::Arc;

/// The header of a page that refreshes itself. No person did that, so it neither keeps a session alive nor
/// consumes what is shown only once.
pub const REFRESH: &str = "x-refresh";

/// The address that a request came from, seen through the proxies of the settings.
pub fn address(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |it| it.ip());
    let hops: Vec<_> = request.headers().get_all("x-forwarded-for").map(HeaderValue::as_bytes).collect();
    request.app_data::<Data<Config>>().map_or(peer, |it| it.client_address(peer, hops.iter().copied()))
}

/// Recognises who sent a request; none for a visitor.
///
/// # Errors
/// When the database does not answer, or a bearer token is not ours.
pub async fn recognise(request: &HttpRequest) -> Result<Option<Arc<Identity>>> {
    let (Some(store), Some(clock)) = (request.app_data::<Data<Store>>(), request.app_data::<Data<Clock>>()) else {
        return Ok(None);
    };
    let (address, now) = (address(request).to_string(), clock.now());
    if let Some(bearer) = bearer(request) {
        return by_token(store, &bearer, address, now).await.map(Some);
    }
    let Some(id) = cookie::read(request, cookie::SESSION) else { return Ok(None) };
    let hash = secret::hash(&id);
    let found = store.read(move |conn| find_session(conn, &hash, now)).await?;
    let Some((user, grants, session)) = found else { return Ok(None) };
    let by_hand = !request.headers().contains_key(REFRESH);
    if by_hand && !store.is_read_only() && now.since(session.last_seen_at) >= minutes(1) {
        let hash = session.id_hash.clone();
        noted(store.write(move |conn| store::session::touch(conn, &hash, now)).await);
    }
    Ok(Some(Arc::new(Identity { user, grants, session: Some(session), address })))
}

/// If the visit cannot be recorded because the disk is full or read-only, the person can still read; the
/// session only ends sooner.
fn noted(kept: Result<()>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "the use of a session or token could not be recorded");
    }
}

fn bearer(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(|it| it.trim().to_owned())
}

async fn by_token(store: &Store, bearer: &str, address: String, now: Time) -> Result<Arc<Identity>> {
    let hash = secret::hash(bearer);
    let (user, grants, token) =
        store.read(move |conn| find_token(conn, &hash, now)).await?.ok_or(Error::SignInNeeded)?;
    if !store.is_read_only() && token.last_used_at.is_none_or(|it| now.since(it) >= minutes(1)) {
        noted(store.write(move |conn| store::api_token::touch(conn, token.id, now)).await);
    }
    Ok(Arc::new(Identity { user, grants, session: None, address }))
}

fn find_session(conn: &mut Conn, hash: &str, now: Time) -> Result<Option<(User, Grants, Session)>> {
    let Some(session) = store::session::find(conn, hash)? else { return Ok(None) };
    if !account::session_holds(session.created_at, session.last_seen_at, now) {
        return Ok(None);
    }
    Ok(service::account::active(conn, session.user_id)?.map(|(user, grants)| (user, grants, session)))
}

fn find_token(conn: &mut Conn, hash: &str, now: Time) -> Result<Option<(User, Grants, ApiToken)>> {
    let Some(token) = store::api_token::find_by_hash(conn, hash)? else { return Ok(None) };
    if !token.is_open(now) {
        return Ok(None);
    }
    Ok(service::account::active(conn, token.user_id)?.map(|(user, grants)| (user, grants, token)))
}
