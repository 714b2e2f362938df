//! What went wrong, in words for the person who asked. The pages and the API each give it a face of their own.
use crate::error::{DISK_READ_ONLY, Error, FieldErrors};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::words::sentence;

/// What a failed answer says.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// What happened.
    pub title: String,
    /// What to do.
    pub advice: String,
    pub fields: FieldErrors,
    pub sign_in_needed: bool,
}

impl Problem {
    /// What is wrong with an answer; none if nothing is.
    pub fn of(answer: &HttpResponse) -> Option<Self> {
        let status = answer.status();
        let failed = status.is_client_error() || status.is_server_error();
        // Without a problem of its own it comes from the framework, about something that cannot be read.
        failed.then(|| answer.extensions().get::<Self>().cloned().unwrap_or_else(|| Self::of_status(status)))
    }

    fn new(status: StatusCode, title: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status, title: title.into(), advice: advice.into(), fields: FieldErrors::new(), sign_in_needed: false }
    }

    fn store_away(advice: &str) -> Self {
        let text = format!("Nothing was changed. {advice}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The backup store cannot be used", text)
    }

    fn full(what: &str) -> Self {
        let is_read_only = what == DISK_READ_ONLY;
        let title = if is_read_only { "The server’s disk is read-only" } else { "There is no space left" };
        Self::new(StatusCode::INSUFFICIENT_STORAGE, title, sentence(what))
    }

    /// What to say for a status that did not come from an error of ours.
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::BAD_REQUEST => Self::new(status, "This request cannot be understood", "Go back and try again."),
            StatusCode::NOT_FOUND => {
                Self::new(status, "There is no such page", "Check the address, or start from the overview.")
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(status, "This page does not do that", "Go back and use the buttons on the page.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(status, "This is more than the page accepts", "Send less at once.")
            }
            _ => Self::new(status, "This did not work", "Go back and try again."),
        }
    }
}

const GO_BACK: &str = "Nothing was changed. Go back and correct it.";

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        use StatusCode as S;
        match error {
            Error::LinkGone => Self::new(
                S::NOT_FOUND,
                "This link no longer works",
                "It works once and for a limited time. An owner can make a new one; for the first owner, \
                 holdfast admin setup-link --data DIR prints one.",
            ),
            Error::NotFound(what) => {
                let why = "It may have been removed, or your roles may not reach it.";
                Self::new(S::NOT_FOUND, format!("There is no such {what}"), why)
            }
            Error::SignInNeeded => Self {
                sign_in_needed: true,
                ..Self::new(
                    S::UNAUTHORIZED,
                    "Sign in to continue",
                    "Your session has ended. What you sent was not done.",
                )
            },
            Error::Forbidden => {
                let text = "Nothing was changed. An owner can give you the role you need.";
                Self::new(S::FORBIDDEN, "Your roles do not allow this", text)
            }
            Error::Invalid(fields) => Self {
                fields: fields.clone(),
                ..Self::new(S::UNPROCESSABLE_ENTITY, "Something is missing or wrong", GO_BACK)
            },
            Error::Refused(why) => Self::new(S::CONFLICT, "This cannot be done", sentence(why)),
            Error::Conflict(why) => Self::new(S::CONFLICT, "Something has changed in the meantime", sentence(why)),
            Error::TooMany(wait) => {
                Self::new(S::TOO_MANY_REQUESTS, "Too many tries", format!("Try again in {} s.", wait.as_secs().max(1)))
            }
            Error::Busy(wait) => {
                let text = format!("Nothing was changed. Try again in {} s.", wait.as_secs().max(1));
                Self::new(S::SERVICE_UNAVAILABLE, "The server is busy", text)
            }
            Error::DatabaseAway(wait) => Self::new(
                S::SERVICE_UNAVAILABLE,
                "The database does not answer",
                format!(
                    "Whoever runs this server can see why in its log. Wait {} s, check whether what you sent \
                     was done, and if not, try again.",
                    wait.as_secs().max(1)
                ),
            ),
            Error::StoreAway(advice) => Self::store_away(advice),
            Error::Full(what) => Self::full(what),
            Error::Internal(_) => Self::new(
                S::INTERNAL_SERVER_ERROR,
                "The server could not do this",
                "The error is in the server’s log. Try again; if it happens again, give an administrator the \
                 number below.",
            ),
        }
    }
}

/// An error on its way to the face that answers it. `?` converts every error of ours to it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpError(Error);

impl<E: Into<Error>> From<E> for HttpError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The answer has no body yet, and carries its [`Problem`].
impl ResponseError for HttpError {
    fn status_code(&self) -> StatusCode {
        Problem::from(&self.0).status
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        if let Error::Internal(error) = &self.0 {
            tracing::error!(error = format!("{error:#}"), "a request failed");
        }
        let problem = Problem::from(&self.0);
        let mut response = HttpResponse::build(problem.status).finish();
        if let Error::TooMany(wait) | Error::Busy(wait) | Error::DatabaseAway(wait) = &self.0 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

/// Keeps on the answer with a face what the failed one says about trying again.
pub fn keep_headers(failed: &HttpResponse, answer: &mut HttpResponse) {
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = failed.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::{ReadFault, StoreFault, WriteFault};
    use domain::ground::{AwayCause, StopCause};

    #[test]
    fn a_store_that_cannot_be_used_is_no_fault_of_the_request_and_says_what_to_do() {
        let away = StoreFault { cause: AwayCause::Away, why: "/srv/blobs is not there".to_owned() };
        let faults: [Error; 4] = [
            ReadFault::Away(away.clone()).into(),
            WriteFault::Away(away).into(),
            WriteFault::Stopped(StopCause::ReadOnly, "a disk".to_owned()).into(),
            WriteFault::Stopped(StopCause::Sync, "a disk".to_owned()).into(),
        ];
        let away = AwayCause::Away.advice();
        let advice = [away, away, StopCause::ReadOnly.advice(), StopCause::Sync.advice()];

        for (error, advice) in faults.iter().zip(advice) {
            let problem = Problem::from(error);
            assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(problem.advice, format!("Nothing was changed. {advice}"));
            assert!(!error.to_string().contains("/srv"), "a device reads this");
        }
    }

    #[test]
    fn status_codes_without_an_error_of_ours_have_words_too() {
        let problem = Problem::of(&HttpResponse::MethodNotAllowed().finish()).unwrap();
        assert_eq!((problem.status.as_u16(), problem.title.as_str()), (405, "This page does not do that"));
        assert!(Problem::of(&HttpResponse::Ok().finish()).is_none());
    }
}
