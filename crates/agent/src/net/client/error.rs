//! What can go wrong with a call, and whether another try helps.
use crate::net::backoff::Again;
use crate::net::http::{Answer, Unreachable};
use domain::time::Time;
use serde::de::DeserializeOwned;
use std::time::Duration;
use wire::{ErrorAnswer, ErrorCode};

/// Why a call got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The server's own words.
    #[error("the server says: {message}")]
    Refused { code: ErrorCode, message: String, status: u16, retry_after: Option<Duration> },
    /// Not an answer of this protocol, such as a proxy's error page.
    #[error("the server answered {status} without a reason; the answer may come from a proxy in between")]
    Garbled { status: u16, retry_after: Option<Duration> },
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl CallError {
    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Garbled { retry_after, .. } => *retry_after,
            Self::Unreachable(_) | Self::Internal(_) => None,
        }
    }

    /// The protocol's reason, if the server gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable(_) | Self::Garbled { .. } | Self::Internal(_) => None,
        }
    }

    /// Whether the same message may be accepted later without anybody doing anything on this device.
    ///
    /// A server that does not know the device may have been started on an empty folder: its answer says nothing
    /// about the message, which is kept until the right server is back. Only what is wrong with the message
    /// itself is final.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Garbled { status, .. } => *status != 413,
            Self::Internal(_) => false,
            Self::Refused { code, status, .. } => match code {
                ErrorCode::Busy
                | ErrorCode::Full
                | ErrorCode::Internal
                | ErrorCode::ClockOff
                | ErrorCode::Replayed
                | ErrorCode::BadSignature
                | ErrorCode::WrongAlgorithm
                | ErrorCode::UnknownDevice
                | ErrorCode::DeviceWiped
                | ErrorCode::OldGeneration => true,
                ErrorCode::BadMessage
                | ErrorCode::TokenRefused
                | ErrorCode::TooLarge
                | ErrorCode::NotFound
                | ErrorCode::Conflict
                | ErrorCode::Refused => *status >= 500 || *status == 429,
            },
        }
    }

    /// Whether it is worth trying again at once: the connection or the server had a bad moment.
    pub fn again(&self) -> Again {
        match self {
            Self::Unreachable(_) => Again::After(None),
            Self::Internal(_) => Again::Never,
            Self::Garbled { status, retry_after } if *status >= 500 || matches!(*status, 408 | 429) => {
                Again::After(*retry_after)
            }
            Self::Garbled { .. } => Again::Never,
            Self::Refused { code, retry_after, .. } => match code {
                ErrorCode::Busy | ErrorCode::Internal | ErrorCode::ClockOff | ErrorCode::Replayed => {
                    Again::After(*retry_after)
                }
                ErrorCode::Full
                | ErrorCode::BadSignature
                | ErrorCode::WrongAlgorithm
                | ErrorCode::UnknownDevice
                | ErrorCode::DeviceWiped
                | ErrorCode::OldGeneration
                | ErrorCode::BadMessage
                | ErrorCode::TokenRefused
                | ErrorCode::TooLarge
                | ErrorCode::NotFound
                | ErrorCode::Conflict
                | ErrorCode::Refused => Again::Never,
            },
        }
    }

    /// Whether the server does not recognise this device. If it was started on an empty folder or the wrong
    /// database, that ends with the mistake, so it is asked again, slowly.
    pub fn is_disowned(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::UnknownDevice
                    | ErrorCode::OldGeneration
                    | ErrorCode::DeviceWiped
                    | ErrorCode::BadSignature
                    | ErrorCode::WrongAlgorithm
            )
        )
    }
}

pub(super) struct Failure {
    pub(super) error: CallError,
    pub(super) server_time: Option<Time>,
}

pub(super) fn check(answer: Answer) -> Result<Answer, Failure> {
    let Answer { status, retry_after, .. } = answer;
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    Err(match serde_json::from_slice::<ErrorAnswer>(&answer.body) {
        Ok(said) => Failure {
            error: CallError::Refused { code: said.error, message: said.message, status, retry_after },
            server_time: Some(said.server_time),
        },
        Err(_) => Failure { error: CallError::Garbled { status, retry_after }, server_time: None },
    })
}

pub(super) fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, CallError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        CallError::Internal(anyhow::anyhow!("the server's answer is not readable: {error}; is its version too new?"))
    })
}
