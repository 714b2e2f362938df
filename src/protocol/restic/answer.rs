//! What a client is told when the answer is no. Restic retries everything except 401, 403, 404, 416 and 507, so
//! these are for what another try cannot change.
use crate::blob::{ReadFault, StoreFault, WriteFault};
use crate::error::{DISK_FULL, Error};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::rt::task::JoinError;
use actix_web::{HttpResponse, ResponseError};
use domain::ground::StopCause;
use std::fmt;

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

    fn away(fault: &StoreFault) -> Self {
        Self::busy(&format!("the backup store cannot be used at the moment: {}; try again later", fault.cause))
    }

    fn failed() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the server cannot store or read backups at the moment; its log says why",
        )
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

impl std::error::Error for Refusal {}

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
            Error::NotFound(_) | Error::LinkGone => StatusCode::NOT_FOUND,
            Error::SignInNeeded => StatusCode::UNAUTHORIZED,
            Error::Forbidden | Error::Refused(_) => StatusCode::FORBIDDEN,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::TooMany(_) | Error::Busy(_) | Error::DatabaseAway(_) | Error::StoreAway(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
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

impl From<ReadFault> for Refusal {
    fn from(fault: ReadFault) -> Self {
        tracing::error!(%fault, "the backup store failed");
        match fault {
            ReadFault::Away(fault) => Self::away(&fault),
            ReadFault::Lost | ReadFault::Unreadable(_) => Self::failed(),
        }
    }
}

impl From<WriteFault> for Refusal {
    fn from(fault: WriteFault) -> Self {
        if fault == WriteFault::Taken {
            return Self::busy("the object is being stored by another request; try again");
        }
        tracing::error!(%fault, "the backup store failed");
        match fault {
            WriteFault::Away(fault) => Self::away(&fault),
            WriteFault::Stopped(StopCause::Full, _) => Self::full(DISK_FULL),
            WriteFault::Stopped(StopCause::ReadOnly, _) => {
                Self::full("the backup disk is read-only: what is stored can be read, but nothing can be added")
            }
            WriteFault::Taken
            | WriteFault::Stopped(StopCause::Sync | StopCause::Refused, _)
            | WriteFault::Failed(_) => Self::failed(),
        }
    }
}

/// A thread that was to read or write did not come back.
impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        tracing::error!(%error, "a request at the backup door was not finished");
        Self::failed()
    }
}
