//! What a handler answers.
use crate::error::Error;
use crate::protocol::agent::answered::Answered;
use crate::protocol::agent::copy;
use crate::protocol::agent::fault::Fault;
use crate::protocol::agent::request::now;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use anyhow::anyhow;
use serde::Serialize;
use wire::ErrorCode;

/// An empty answer: it was done.
#[derive(Debug, Serialize)]
pub struct Done {}

/// What a handler answers: a message, or why not.
pub struct Reply<T>(pub Result<T, Fault>);

impl<T: Serialize> Responder for Reply<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let written = self.0.and_then(|message| {
            serde_json::to_vec(&message).map_err(|error| Error::Internal(anyhow!("writing an answer: {error}")).into())
        });
        let answered = match written {
            Ok(body) => Answered { status: StatusCode::OK, retry_after: None, body: body.into() },
            Err(fault) => fault.answered(now(request)),
        };
        copy::answer(request, answered)
    }
}

/// The answer for an address with nothing at it, and for a method an address does not accept.
pub async fn nothing_there(request: HttpRequest) -> HttpResponse {
    let method = match request.match_pattern().as_deref() {
        None => return Fault::new(ErrorCode::NotFound, "there is no such address").response(now(&request)),
        Some("/agent/v1/wait" | "/agent/v1/program") => "GET",
        Some(_) => "POST",
    };
    let mut response = Fault::new(
        ErrorCode::NotFound,
        format!(
            "this address accepts \
     {method}"
        ),
    )
    .response(now(&request));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}
