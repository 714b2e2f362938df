//! Copies of a request: the answer is kept for a moment, and a copy gets the same one.
//!
//! A proxy in between may send a request twice and pass on either answer. A sender that asks for it
//! (`Idempotency-Key`) then loses nothing: the second is not carried out again, waits for the first one's
//! answer, and gets it too. If the answer is no longer kept, or was given before a restart, the copy is refused
//! as `replayed` as usual.
use crate::protocol::agent::answered::{Answered, First};
use crate::protocol::agent::fault::Refused;
use crate::protocol::agent::request;
use crate::protocol::agent::request::data;
use crate::protocol::agent::shared::Shared;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use wire::IDEMPOTENCY_KEY;

/// Registers a verified request of `sender`, if it asks for that, as the first of its kind.
///
/// # Errors
/// With the answer, if it is a copy.
pub async fn enter(request: &HttpRequest, sender: &str, jti: &str) -> Result<(), Refused> {
    if !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return Ok(());
    }
    let shared = data::<Shared>(request).map_err(|it| Refused::at(it, request::now(request)))?;
    let first = shared.answers().first((sender.to_owned(), jti.to_owned())).await.map_err(Refused::Answered)?;
    request.extensions_mut().insert(first);
    Ok(())
}

/// Gives an answer, and keeps it for copies of the request.
pub fn answer(request: &HttpRequest, answered: Answered) -> HttpResponse {
    if let Some(first) = request.extensions_mut().remove::<First>() {
        first.answer(answered.clone());
    }
    answered.response()
}
