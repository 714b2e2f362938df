//! How the agent protocol says no: a code to act on, words for a person, and the server's time.
use crate::error::Error;
use crate::protocol::agent::answered::Answered;
use crate::service::request::RequestRefusal;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpResponse, ResponseError};
use domain::time::Time;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;
use wire::{ErrorAnswer, ErrorCode};

/// How long a device waits while the backup store cannot be used: people have to see to it.
const STORE_RETURNS_IN: Duration = Duration::from_secs(30);

/// Why a request was not done.
#[derive(Debug, Clone)]
pub struct Fault {
    code: ErrorCode,
    message: Cow<'static, str>,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl Fault {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    /// A message that cannot be understood or used, with the field that is wrong.
    pub fn message(field: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorCode::BadMessage, message) }
    }

    /// The server cannot do this now.
    pub fn busy(message: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(ErrorCode::Busy, message) }
    }

    /// Whether nothing was done and nothing ever will be; otherwise nobody knows, or it may be tried again.
    pub fn is_refusal(&self) -> bool {
        !matches!(self.code, ErrorCode::Internal | ErrorCode::Busy)
    }

    fn status(&self) -> StatusCode {
        match self.code {
            ErrorCode::BadMessage => StatusCode::BAD_REQUEST,
            ErrorCode::BadSignature
            | ErrorCode::WrongAlgorithm
            | ErrorCode::ClockOff
            | ErrorCode::Replayed
            | ErrorCode::UnknownDevice => StatusCode::UNAUTHORIZED,
            ErrorCode::TokenRefused | ErrorCode::Refused => StatusCode::FORBIDDEN,
            ErrorCode::OldGeneration | ErrorCode::Conflict => StatusCode::CONFLICT,
            ErrorCode::DeviceWiped => StatusCode::GONE,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Full => StatusCode::INSUFFICIENT_STORAGE,
            ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// It as the answer to a request that came at `now`.
    pub fn answered(&self, now: Time) -> Answered {
        let said = ErrorAnswer {
            error: self.code,
            message: self.message.clone().into_owned(),
            field: self.field.clone(),
            server_time: now,
        };
        Answered {
            status: self.status(),
            retry_after: self.retry_after.map(|after| HeaderValue::from(after.as_secs().max(1))),
            // A struct of texts and numbers can always be serialised.
            body: serde_json::to_vec(&said).unwrap_or_default().into(),
        }
    }

    /// The same as a response.
    pub fn response(&self, now: Time) -> HttpResponse {
        self.answered(now).response()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::NotFound(_) | Error::LinkGone => Self::new(ErrorCode::NotFound, message),
            Error::Invalid(fields) => match fields.iter().next() {
                Some((field, text)) => Self::message(wire_name(field), text.to_owned()),
                None => Self::new(ErrorCode::BadMessage, message),
            },
            Error::SignInNeeded | Error::Forbidden | Error::Refused(_) => Self::new(ErrorCode::Refused, message),
            Error::Conflict(_) => Self::new(ErrorCode::Conflict, message),
            Error::TooMany(after) | Error::Busy(after) | Error::DatabaseAway(after) => Self::busy(message, after),
            Error::StoreAway(_) => Self::busy(message, STORE_RETURNS_IN),
            Error::Full(_) => Self::new(ErrorCode::Full, message),
            Error::Internal(error) => {
                tracing::error!(?error, "a device's request failed");
                Self::new(ErrorCode::Internal, "something went wrong on the server; its log says what")
            }
        }
    }
}

/// What a field of a use case is called in our messages.
fn wire_name(field: &str) -> &str {
    match field {
        "identity" => "signing_key",
        "endings" => "results",
        same => same,
    }
}

/// Why an extractor stops a request.
#[derive(Debug)]
pub enum Refused {
    /// A fault, with the server's time.
    Fault(Fault, Time),
    /// It is a copy of a request that was answered like this.
    Answered(Answered),
}

impl Refused {
    pub fn at(fault: Fault, now: Time) -> Self {
        Self::Fault(fault, now)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault, _) => f.write_str(&fault.message),
            Self::Answered(_) => f.write_str("a copy of a request that was answered"),
        }
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Fault(fault, _) => fault.status(),
            Self::Answered(answered) => answered.status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Fault(fault, now) => fault.response(*now),
            Self::Answered(answered) => answered.clone().response(),
        }
    }
}

impl From<RequestRefusal> for Fault {
    fn from(refusal: RequestRefusal) -> Self {
        match refusal {
            RequestRefusal::Unknown => {
                Self::new(ErrorCode::UnknownDevice, "this server does not know the device; enroll it again")
            }
            RequestRefusal::Wiped => Self::new(
                ErrorCode::DeviceWiped,
                "this device was wiped, or company data removed from it; enroll it again to use it",
            ),
            RequestRefusal::KeyChanged => Self::new(
                ErrorCode::OldGeneration,
                "this device has enrolled again since; this enrolment is no longer valid",
            ),
            RequestRefusal::Replayed => {
                Self::new(ErrorCode::Replayed, "this request was already received (`jti`); sign it again")
            }
        }
    }
}
