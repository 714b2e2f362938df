//! What a client is told when the answer is no. Restic retries everything except 401, 403, 404, 416 and 507, so
//! these are for what another try cannot change.
use crate::blob;
use crate::error::{DISK_FULL, Error};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use std::fmt;
use std::io;

/// A refused or failed request: a status, and one line that says what to do.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The name or kind is not one of ours.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such object")
    }

    /// The server is busy; the client should come again.
    pub fn busy(text: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// Not with this token.
    pub fn forbidden(text: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// No more room.
    pub fn full(text: &str) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, text)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response =
            HttpResponse::build(self.status).content_type("text/plain; charset=utf-8").body(self.text.clone());
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"holdfast\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::SignInNeeded => StatusCode::UNAUTHORIZED,
            Error::Forbidden | Error::Refused(_) => StatusCode::FORBIDDEN,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::TooMany(_) | Error::Busy(_) | Error::DatabaseAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Error::Internal(cause) => {
                tracing::error!(error = ?cause, "a request at the backup door failed");
                return Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "something went wrong; the server's log says what",
                );
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        if kind == Kind::AlreadyExists {
            return Self::busy("the object is being stored by another request; try again");
        }
        tracing::error!(%error, "the backup store failed");
        if let Some(fault) = blob::fault_of(&error) {
            return Self::busy(&format!(
                "the backup store cannot be used at the moment: {}; try again later",
                fault.fault
            ));
        }
        if matches!(kind, Kind::StorageFull | Kind::QuotaExceeded) {
            return Self::full(DISK_FULL);
        }
        if kind == Kind::ReadOnlyFilesystem {
            return Self::full("the backup disk is read-only: what is stored can be read, but nothing can be added");
        }
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server cannot store or read backups at the moment; its log \
         says why",
        )
    }
}
