//! How a device is told no: a status that it acts on, and words for whoever reads its log.
use crate::error::Error;
use crate::service::apple::identity::IdentityRefusal;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use std::fmt;
use std::time::Duration;

/// Why a request was not done.
#[derive(Debug, Clone)]
pub struct Fault {
    status: StatusCode,
    text: String,
    retry_after: Option<Duration>,
}

impl Fault {
    /// What was sent cannot be understood.
    pub fn bad(text: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Who sent it may not. Never 401: at that a device ends its own management, and a server that was restored from an
    /// older copy would lose them all.
    pub fn forbidden(text: impl fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    fn new(status: StatusCode, text: impl fmt::Display) -> Self {
        Self { status, text: text.to_string(), retry_after: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(after) = self.retry_after {
            answer.insert_header((RETRY_AFTER, after.as_secs().max(1)));
        }
        answer.content_type("text/plain; charset=utf-8").body(format!("{}\n", self.text))
    }
}

impl From<IdentityRefusal> for Fault {
    fn from(refusal: IdentityRefusal) -> Self {
        Self::forbidden(refusal)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotFound(_) | Error::LinkGone => Self::new(StatusCode::NOT_FOUND, text),
            Error::Invalid(_) => Self::bad(text),
            Error::SignInNeeded | Error::Forbidden | Error::Refused(_) => Self::forbidden(text),
            Error::Conflict(_) => Self::new(StatusCode::CONFLICT, text),
            Error::TooMany(after) => {
                Self { retry_after: Some(after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, text) }
            }
            Error::Busy(after) | Error::DatabaseAway(after) => {
                Self { retry_after: Some(after), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
            }
            Error::StoreAway(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
            Error::Full(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, text),
            Error::Internal(error) => {
                tracing::error!(?error, "an Apple device's request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on the server; its log says what")
            }
        }
    }
}

/// The answer at every other address.
pub async fn nothing_here() -> HttpResponse {
    Fault::new(StatusCode::NOT_FOUND, "there is nothing here: this listener is for Apple devices").error_response()
}
