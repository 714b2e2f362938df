//! What a client is answered: with a new nonce each time, whatever the answer is.
use super::url;
use crate::error::Error;
use crate::protocol::apple::shared::Door;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LINK, LOCATION};
use apple::acme::{Problem, ProblemKind};
use serde::Serialize;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    kind: &'static str,
    body: String,
    /// The address of what was made.
    location: Option<String>,
    /// The address of what it belongs to.
    above: Option<String>,
}

impl Reply {
    pub fn empty(status: u16) -> Self {
        Self { status, kind: "", body: String::new(), location: None, above: None }
    }

    pub fn json(status: u16, content: &impl Serialize) -> Self {
        match serde_json::to_string(content) {
            Ok(body) => Self { kind: "application/json", body, ..Self::empty(status) },
            Err(error) => {
                tracing::error!(?error, "an answer to an ACME client cannot be written");
                Self::empty(500)
            }
        }
    }

    pub fn problem(problem: &Problem) -> Self {
        tracing::info!(detail = problem.detail, "an ACME request was refused");
        Self { kind: "application/problem+json", ..Self::json(problem.kind.status(), &problem.document()) }
    }

    pub fn certificates(pem: String) -> Self {
        Self { kind: "application/pem-certificate-chain", body: pem, ..Self::empty(200) }
    }

    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    pub fn below(self, above: String) -> Self {
        Self { above: Some(above), ..self }
    }

    pub fn response(self, door: &Door) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        if let Ok(nonce) = door.nonces().issue(door.now()) {
            answer.insert_header(("Replay-Nonce", nonce));
        }
        answer.insert_header((CACHE_CONTROL, "no-store"));
        answer.append_header((LINK, format!("<{}>;rel=\"index\"", url(door.settings(), "directory"))));
        if let Some(above) = self.above {
            answer.append_header((LINK, format!("<{above}>;rel=\"up\"")));
        }
        if let Some(location) = self.location {
            answer.insert_header((LOCATION, location));
        }
        if !self.kind.is_empty() {
            answer.content_type(self.kind);
        }
        answer.body(self.body)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::TooMany(_) => ProblemKind::RateLimited,
            Error::NotFound(_) | Error::LinkGone => ProblemKind::NotFound,
            Error::Invalid(_) => ProblemKind::Malformed,
            Error::SignInNeeded | Error::Forbidden | Error::Refused(_) | Error::Conflict(_) => {
                ProblemKind::Unauthorized
            }
            Error::Busy(_) | Error::DatabaseAway(_) | Error::StoreAway(_) | Error::Full(_) => ProblemKind::Unavailable,
            Error::Internal(error) => {
                tracing::error!(?error, "a request of an ACME client failed");
                return Self::new(ProblemKind::ServerInternal, "something went wrong on the server; its log says what");
            }
        };
        Self::new(kind, error)
    }
}
