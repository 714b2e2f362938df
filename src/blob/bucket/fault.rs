//! What a failed call says: of one object, or of the bucket as a whole.
use super::place::Place;
use crate::blob::{ReadFault, StoreFault, WriteFault};
use domain::ground::{AwayCause, StopCause};
use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::time::Duration;

/// Why a call had no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallFault {
    /// There is no such object.
    NotFound,
    /// Something is there already.
    Taken,
    /// There is no such bucket.
    NoBucket,
    /// The access key does not open it, or may not do this.
    Forbidden(String),
    /// There is no room.
    Full(String),
    /// Nobody answered within this time.
    Silent(Duration),
    /// Nobody could be reached, for this reason.
    Unreached(String),
    /// The other side said no for another reason.
    Failed(String),
}

impl CallFault {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the lists are the library's and may grow; the rest says nothing of the object"
    )]
    pub(super) fn of(error: &Error) -> Self {
        let why = plain(error);
        match error {
            Error::NotFound { .. } if why.contains("NoSuchBucket") => Self::NoBucket,
            Error::NotFound { .. } => Self::NotFound,
            Error::AlreadyExists { .. } | Error::Precondition { .. } => Self::Taken,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Self::Forbidden(why),
            _ if why.contains("507 ") || why.contains("QuotaExceeded") || why.contains("StorageFull") => {
                Self::Full(why)
            }
            _ => match connection(error) {
                Some(
                    HttpErrorKind::Connect
                    | HttpErrorKind::Timeout
                    | HttpErrorKind::Request
                    | HttpErrorKind::Interrupted,
                ) => Self::Unreached(why),
                _ => Self::Failed(why),
            },
        }
    }

    /// As a fault of the store as a whole.
    pub(super) fn of_store(&self, place: &Place) -> StoreFault {
        let fault = |cause, why: &str| StoreFault { cause, why: format!("{place} {why}") };
        match self {
            Self::NotFound | Self::NoBucket => fault(AwayCause::Away, "is not there"),
            Self::Forbidden(why) => fault(AwayCause::Unreadable, &format!("does not let this access key in: {why}")),
            Self::Silent(limit) => {
                fault(AwayCause::Silent, &format!("has not answered for {:.0} s", limit.as_secs_f64().ceil()))
            }
            Self::Unreached(why) => fault(AwayCause::Silent, &format!("cannot be reached: {why}")),
            Self::Taken | Self::Full(_) | Self::Failed(_) => {
                fault(AwayCause::Unreadable, &format!("cannot be used: {}", self.why()))
            }
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Forbidden(why) | Self::Full(why) | Self::Unreached(why) | Self::Failed(why) => why,
            Self::NotFound => "there is no such object",
            Self::Taken => "something is already there",
            Self::NoBucket => "there is no such bucket",
            Self::Silent(_) => "it does not answer",
        }
    }
}

/// Of a read: only what is not there says anything about an object; everything else, about the store.
pub(super) fn reading(fault: CallFault, place: &Place) -> ReadFault {
    match fault {
        CallFault::NotFound => ReadFault::Lost,
        CallFault::Taken
        | CallFault::NoBucket
        | CallFault::Forbidden(_)
        | CallFault::Full(_)
        | CallFault::Silent(_)
        | CallFault::Unreached(_)
        | CallFault::Failed(_) => ReadFault::Away(fault.of_store(place)),
    }
}

/// Of a write.
pub(super) fn writing(fault: CallFault, place: &Place) -> WriteFault {
    match fault {
        CallFault::Taken => WriteFault::Taken,
        CallFault::Forbidden(why) => {
            WriteFault::Stopped(StopCause::Refused, format!("{place} does not let this access key write: {why}"))
        }
        CallFault::Full(why) => WriteFault::Stopped(StopCause::Full, format!("{place} is full: {why}")),
        CallFault::Failed(why) => WriteFault::Failed(format!("{place} refused an object: {why}")),
        CallFault::NotFound | CallFault::NoBucket | CallFault::Silent(_) | CallFault::Unreached(_) => {
            fault.of_store(place).into()
        }
    }
}

/// The kind of a broken connection, if that is what it was.
fn connection(error: &Error) -> Option<HttpErrorKind> {
    let mut source = std::error::Error::source(error);
    while let Some(it) = source {
        if let Some(http) = it.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        source = it.source();
    }
    None
}

/// An error in one line, with what caused it, and not longer than anybody reads.
fn plain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(it) = source {
        let cause = it.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = it.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect()
}
