//! Why something could not be read.
use super::message::End;
use super::parent::Failure;
use super::room::AGAIN;
use crate::error::Error;
use actix_web::http::StatusCode;

/// What came of it, or why nothing did.
pub type Outcome<T> = Result<T, Trouble>;

/// Why something could not be read, for the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("There is nothing at this path in this restore point.")]
    NotThere,
    #[error("This is neither a file nor a folder, so it cannot be downloaded.")]
    NotAFile,
    /// Which entry, in the manifest's spelling, and what is wrong with it.
    #[error("{} cannot be read: {why}.", shown(.path))]
    Damaged { path: String, why: String },
    #[error("Resource limit: {0}. Nothing else is affected.")]
    Limit(String),
    #[error("The backup store cannot be read at the moment: {0}. Try again later.")]
    Away(String),
    #[error("It was stopped before its end.")]
    Stopped,
    #[error("The process that reads backups ended unexpectedly. Nothing else is affected. Try again.")]
    Lost,
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "This restore point" } else { path }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotThere => Self::NotFound("file or folder in this restore point"),
            Trouble::NotAFile | Trouble::Damaged { .. } | Trouble::Limit(_) => Self::Refused(trouble.to_string()),
            Trouble::Away(_) => Self::StoreAway("Try again later."),
            Trouble::Stopped | Trouble::Lost => Self::Busy(AGAIN),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Limit(what) => Self::Limit(format!("this backup takes more {what} to read than is allowed")),
            Failure::Stopped => Self::Stopped,
            Failure::Lost => Self::Lost,
        }
    }
}

impl From<End> for Trouble {
    fn from(end: End) -> Self {
        match end {
            End::NotThere => Self::NotThere,
            End::NotAFile => Self::NotAFile,
            End::Damaged { path, why } => Self::Damaged { path, why },
            End::Limit(what) => Self::Limit(what),
            End::Away(why) => Self::Away(why),
            // An end of another job.
            End::Found(_) | End::Taken(_) | End::Hits(_) | End::Has(_) | End::Changes(_) => Self::Lost,
        }
    }
}

impl Trouble {
    /// The status of an answer that says why something could not be read.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotThere => StatusCode::NOT_FOUND,
            Self::NotAFile | Self::Damaged { .. } | Self::Limit(_) => StatusCode::CONFLICT,
            Self::Away(_) | Self::Stopped | Self::Lost => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn late() -> Self {
        Self::Away("it did not answer in time".to_owned())
    }
}
