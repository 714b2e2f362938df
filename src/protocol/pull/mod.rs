//! The door for another Holdfast that fetches what is copied (`docs/protocol/pull.md`).
//!
//! It opens with one token, for two things: to ask what there is to be done, and to say how it went. Nothing can be named
//! here: which bytes go out is this server's choice, and nothing that comes in is taken for more than an answer to what was
//! asked.
use crate::blob::pulled::{Conflict, Done, Hello, MAX_HEAD, Relay, frame, unframe};
use crate::error::Error;
use crate::service::puller;
use crate::store::Store;
use crate::traffic;
use crate::wake::Wake;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, AUTHORIZATION, HeaderValue};
use actix_web::web::{self, Bytes, BytesMut, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, post};
use futures_util::StreamExt;
use std::time::Duration;

/// A puller that sends nothing for this long has gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything under `/pull/`. Needs `Data<Option<Relay>>`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(ask)
        .service(answer)
        // What is left is not a page of the console.
        .service(web::scope("/pull/v1").default_service(web::to(nothing_there)));
}

async fn nothing_there(request: HttpRequest) -> HttpResponse {
    if request.match_pattern().is_none() {
        return refusal(StatusCode::NOT_FOUND, "there is nothing here");
    }
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "this address accepts POST");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn refusal(status: StatusCode, why: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(why)
}

/// What there is to be done; 204 if nothing comes for a while.
#[post("/pull/v1/tasks")]
async fn ask(
    request: HttpRequest,
    store: Data<Store>,
    relay: Data<Option<Relay>>,
    wake: Data<Wake>,
    payload: Payload,
) -> HttpResponse {
    let relay = match admitted(&request, &store, &relay).await {
        Ok(relay) => relay,
        Err(refused) => return refused,
    };
    let Some(body) = read(payload, MAX_HEAD as u64, || true).await else { return broken() };
    let Ok(hello) = Hello::parse(&body) else { return broken() };
    let asked = tokio::select! {
        asked = relay.ask(hello) => asked,
        () = wake.stopped() => Ok(None),
    };
    match asked {
        Ok(None) => HttpResponse::NoContent().finish(),
        Ok(Some(work)) => match frame(&(work.number, &work.task), &work.bytes) {
            Ok(bytes) => HttpResponse::Ok().content_type("application/octet-stream").body(bytes),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "what the puller is asked to do cannot be written");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "this server could not say what is to be done")
            }
        },
        Err(Conflict) => {
            tracing::warn!(
                puller = relay.name(),
                "a second program asks with the puller’s token: it was started again a moment ago, runs twice, or has \
                 stolen it"
            );
            refusal(StatusCode::CONFLICT, "another program asks with this token: is `holdfast pull` running twice?")
        }
    }
}

/// How it went.
#[post("/pull/v1/answers/{session}/{number}")]
async fn answer(
    request: HttpRequest,
    store: Data<Store>,
    relay: Data<Option<Relay>>,
    at: Path<(String, u64)>,
    payload: Payload,
) -> HttpResponse {
    let relay = match admitted(&request, &store, &relay).await {
        Ok(relay) => relay,
        Err(refused) => return refused,
    };
    let (session, number) = at.into_inner();
    // Before a byte is read: nobody fills the memory with what was not asked for.
    let Some(answering) = relay.answering(&session, number) else { return late() };
    let most = 4 + MAX_HEAD as u64 + answering.task.most();
    let Some(body) = read(payload, most, || answering.moves()).await else { return broken() };
    let Ok((done, rest)) = unframe::<Done>(&body) else { return broken() };
    let rest = body.slice_ref(rest);
    match relay.answer(&session, number, done, rest) {
        true => HttpResponse::NoContent().finish(),
        false => late(),
    }
}

fn late() -> HttpResponse {
    refusal(StatusCode::GONE, "nobody waits for this answer any more")
}

fn broken() -> HttpResponse {
    refusal(StatusCode::BAD_REQUEST, "the message is cut off, too large, or not one of this version")
}

/// Lets in whoever has the token, where a puller is the second store.
async fn admitted(
    request: &HttpRequest,
    store: &Data<Store>,
    relay: &Data<Option<Relay>>,
) -> Result<Relay, HttpResponse> {
    let shown = request.headers().get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let token = shown.and_then(|it| it.strip_prefix("Bearer ")).filter(|it| it.starts_with(puller::TOKEN_PREFIX));
    let unknown = || refusal(StatusCode::UNAUTHORIZED, "this token opens nothing here: was it revoked?");
    let Some(token) = token.map(str::to_owned) else { return Err(unknown()) };
    let found = store.read(move |conn| puller::of_token(conn, &token)).await;
    let known = found.map_err(|error: Error| {
        tracing::error!(error = format!("{error:#}"), "a puller’s token could not be looked up");
        refusal(StatusCode::SERVICE_UNAVAILABLE, "this server cannot answer at the moment")
    })?;
    let known = known.ok_or_else(unknown)?;
    traffic::is_of_puller(request);
    // Its name is that of the settings, or another store is meant.
    relay.as_ref().as_ref().filter(|it| it.name() == known.name).cloned().ok_or_else(|| {
        refusal(
            StatusCode::NOT_FOUND,
            "this console does not keep its second copy here: it is started with another --copy",
        )
    })
}

/// A body of at most `most` bytes; none if it is longer, breaks off, stalls, or is wanted no longer, which `goes_on` is
/// asked with each part of it.
async fn read(mut payload: Payload, most: u64, goes_on: impl Fn() -> bool) -> Option<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = tokio::time::timeout(PATIENCE, payload.next()).await.ok()? {
        let chunk = chunk.ok()?;
        if (body.len() + chunk.len()) as u64 > most || !goes_on() {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body.freeze())
}
