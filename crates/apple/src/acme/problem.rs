//! What a client is told when it is told no: a problem document (RFC 7807) with one of RFC 8555's types.
use super::jws::{ALGORITHMS, JwsError};
use serde_json::{Value, json};
use std::fmt;

/// RFC 8555, 6.7, and the attestation draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    AccountDoesNotExist,
    Malformed,
    /// There is nothing of this account at the address.
    NotFound,
    BadNonce,
    BadPublicKey,
    BadSignatureAlgorithm,
    BadAttestationStatement,
    BadCsr,
    OrderNotReady,
    RejectedIdentifier,
    UnsupportedIdentifier,
    Unauthorized,
    RateLimited,
    ServerInternal,
    /// It can be tried again.
    Unavailable,
}

impl ProblemKind {
    fn word(self) -> &'static str {
        match self {
            Self::Malformed | Self::NotFound => "malformed",
            Self::BadNonce => "badNonce",
            Self::BadPublicKey => "badPublicKey",
            Self::BadSignatureAlgorithm => "badSignatureAlgorithm",
            Self::BadAttestationStatement => "badAttestationStatement",
            Self::BadCsr => "badCSR",
            Self::OrderNotReady => "orderNotReady",
            Self::RejectedIdentifier => "rejectedIdentifier",
            Self::UnsupportedIdentifier => "unsupportedIdentifier",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rateLimited",
            Self::ServerInternal | Self::Unavailable => "serverInternal",
            Self::AccountDoesNotExist => "accountDoesNotExist",
        }
    }

    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::AccountDoesNotExist
            | Self::Malformed
            | Self::BadNonce
            | Self::BadPublicKey
            | Self::BadSignatureAlgorithm
            | Self::BadAttestationStatement
            | Self::BadCsr
            | Self::RejectedIdentifier
            | Self::UnsupportedIdentifier => 400,
            Self::OrderNotReady | Self::Unauthorized => 403,
            Self::NotFound => 404,
            Self::RateLimited => 429,
            Self::ServerInternal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// For whoever reads the client's log.
    pub detail: String,
}

impl Problem {
    /// With these words.
    pub fn new(kind: ProblemKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    /// The document, `application/problem+json`.
    #[must_use]
    pub fn document(&self) -> Value {
        let (kind, status) = (format!("urn:ietf:params:acme:error:{}", self.kind.word()), self.kind.status());
        if self.kind == ProblemKind::BadSignatureAlgorithm {
            return json!({ "type": kind, "detail": self.detail, "status": status, "algorithms": ALGORITHMS });
        }
        json!({ "type": kind, "detail": self.detail, "status": status })
    }
}

impl From<JwsError> for Problem {
    fn from(why: JwsError) -> Self {
        let kind = match why {
            JwsError::TooLarge | JwsError::Malformed | JwsError::Critical | JwsError::Signer | JwsError::Signature => {
                ProblemKind::Malformed
            }
            JwsError::Algorithm => ProblemKind::BadSignatureAlgorithm,
            JwsError::Key(_) => ProblemKind::BadPublicKey,
        };
        Self::new(kind, why)
    }
}
