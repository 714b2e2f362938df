//! Why a store does not do what it is asked.
use crate::error::{DISK_FULL, Error};
use domain::ground::{AwayCause, StopCause};

/// What is wrong with a store as a whole, rather than with one object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct StoreFault {
    pub cause: AwayCause,
    pub why: String,
}

/// Why an object cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// Nothing is there, although the store itself is.
    #[error("the stored object is missing")]
    Lost,
    /// What was written cannot be returned: the bytes are as good as gone, and good ones may replace them.
    #[error("{0}")]
    Unreadable(String),
    /// The store as a whole cannot be read, which says nothing about the object.
    #[error(transparent)]
    Away(#[from] StoreFault),
}

/// Why bytes cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// Something is there already, and stays as it is.
    #[error("something is already there")]
    Taken,
    /// The store accepts no writes, for the reason in words.
    #[error("{1}")]
    Stopped(StopCause, String),
    /// This write failed, which says nothing about the next.
    #[error("{0}")]
    Failed(String),
    /// The store as a whole is not there.
    #[error(transparent)]
    Away(#[from] StoreFault),
}

impl From<ReadFault> for Error {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Away(fault) => fault.into(),
            ReadFault::Lost | ReadFault::Unreadable(_) => Self::Internal(fault.into()),
        }
    }
}

/// Devices read this too, so it names no folder of the server; the pages and the log do.
impl From<StoreFault> for Error {
    fn from(fault: StoreFault) -> Self {
        tracing::error!(%fault, "the backup store cannot be read");
        Self::StoreAway(fault.cause.advice())
    }
}

impl From<WriteFault> for Error {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Stopped(StopCause::Full, _) => Self::Full(DISK_FULL.to_owned()),
            WriteFault::Stopped(cause, why) => {
                tracing::error!(why, "the backup store takes nothing");
                Self::StoreAway(cause.advice())
            }
            WriteFault::Away(fault) => fault.into(),
            WriteFault::Taken | WriteFault::Failed(_) => Self::Internal(fault.into()),
        }
    }
}
