//! Requests as RFC 8555 signs them: a JWS (RFC 7515), flattened, with one protected header and no other.
use super::jwk::Jwk;
use crate::certificate::{Family, KeyError, PublicKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A request of more bytes is refused unread: an attestation has 6,000.
pub const MAX_LEN: usize = 64 * 1024;

/// What a request may be signed with.
pub(crate) const ALGORITHMS: [&str; 3] = ["ES256", "ES384", "RS256"];

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    #[error("the request is larger than 64 KiB")]
    TooLarge,
    #[error("the request is not a flattened JWS with a protected header alone")]
    Malformed,
    #[error("the header has something that must be understood, and is not")]
    Critical,
    #[error("the algorithm is none of ES256, ES384 and RS256, or not one for this key")]
    Algorithm,
    #[error("the header must have either a key (jwk) or an account (kid)")]
    Signer,
    #[error("the key: {0}")]
    Key(KeyError),
    #[error("the signature is wrong")]
    Signature,
}

/// Who says to have signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    Key(PublicKey),
    /// The account's address.
    Account(String),
}

/// A request whose signature is not checked yet: nothing of it but its signer can be read.
#[derive(Debug)]
pub struct Jws {
    algorithm: Algorithm,
    signer: Signer,
    signed: Vec<u8>,
    signature: Vec<u8>,
    request: Request,
}

/// What somebody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it was sent to, as its sender says.
    pub url: String,
    pub nonce: String,
    /// JSON; empty where something is only read.
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Es256,
    Es384,
    Rs256,
}

impl Algorithm {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }

    fn family(self) -> Family {
        match self {
            Self::Es256 => Family::P256,
            Self::Es384 => Family::P384,
            Self::Rs256 => Family::Rsa,
        }
    }
}

// An unprotected header, or several signatures, are fields that are not known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {
    protected: String,
    payload: String,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    nonce: String,
    url: String,
    jwk: Option<Jwk>,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl Jws {
    /// From the body of a request.
    ///
    /// # Errors
    /// When it is none, or of a kind that is not taken.
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        if body.len() > MAX_LEN {
            return Err(JwsError::TooLarge);
        }
        let outside: Flattened = serde_json::from_slice(body).map_err(|_other| JwsError::Malformed)?;
        let header: Header =
            serde_json::from_slice(&decode(&outside.protected)?).map_err(|_other| JwsError::Malformed)?;
        if header.crit.is_some() {
            return Err(JwsError::Critical);
        }
        let algorithm = Algorithm::parse(&header.alg).ok_or(JwsError::Algorithm)?;
        let signer = match (header.jwk, header.kid) {
            (Some(jwk), None) => Signer::Key(jwk.public_key().map_err(JwsError::Key)?),
            (None, Some(kid)) => Signer::Account(kid),
            (Some(_), Some(_)) | (None, None) => return Err(JwsError::Signer),
        };
        let payload = decode(&outside.payload)?;
        Ok(Self {
            algorithm,
            signer,
            signature: decode(&outside.signature)?,
            signed: format!("{}.{}", outside.protected, outside.payload).into_bytes(),
            request: Request { url: header.url, nonce: header.nonce, payload },
        })
    }

    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What was signed with this key.
    ///
    /// # Errors
    /// When another signed it, or with an algorithm that is not this key's.
    pub fn verify(self, key: &PublicKey) -> Result<Request, JwsError> {
        if self.algorithm.family() != key.family() {
            return Err(JwsError::Algorithm);
        }
        key.verify_plain(&self.signed, &self.signature).map_err(|_wrong| JwsError::Signature)?;
        Ok(self.request)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, JwsError> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_no_base64| JwsError::Malformed)
}
