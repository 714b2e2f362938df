//! The inside of a message: the key that is to be certified, and the challenge.
use super::fail_info::FailInfo;
use super::message::{Kind, Message, text};
use crate::certificate::{Digest, KeyError, PublicKey, Raw, Registrar, Scheme, SignedBody, Strength};
use crate::cms::{self, Cipher, CmsError, RawAttribute, RawSet};
use der::asn1::ObjectIdentifier;
use der::{Decode, Sequence};
use zeroize::Zeroizing;

const CHALLENGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");

const MOST_ATTRIBUTES: usize = 16;
/// RFC 2985, `pkcs-9-ub-challengePassword`.
const MAX_CHALLENGE: usize = 255;

/// A request for a certificate. Its sender has the key. The name that it asks for was not even read.
#[derive(Debug)]
pub struct Request {
    pub public_key: PublicKey,
    /// What the client was told beforehand, which says that it may ask; a renewal has none.
    pub challenge: Option<Zeroizing<String>>,
    /// What the client can decrypt.
    pub cipher: Cipher,
}

/// Why there is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the message is not a request for a certificate")]
    Kind,
    #[error("the envelope cannot be opened: {0}")]
    Envelope(CmsError),
    #[error("the request in the envelope cannot be read")]
    Malformed,
    #[error("the request's key: {0}")]
    Key(KeyError),
    #[error("the request was not signed with its key: {0}")]
    Proof(KeyError),
    #[error("the message was signed with another key than the request's")]
    OtherKey,
}

impl RequestError {
    /// What the client is told: of everything inside the envelope the same. Whoever sends another's request in a message
    /// of their own must not learn how far it could be read.
    #[must_use]
    pub fn fail_info(&self) -> FailInfo {
        match self {
            Self::Kind => FailInfo::BadRequest,
            Self::Envelope(_) | Self::Malformed | Self::Key(_) | Self::Proof(_) | Self::OtherKey => {
                FailInfo::BadMessageCheck
            }
        }
    }
}

#[derive(Sequence)]
struct Info<'a> {
    version: u8,
    subject: Raw<'a>,
    public_key: Raw<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    attributes: Option<RawSet<'a>>,
}

impl Message {
    /// Opens the envelope and checks that the sender has the key that is to be certified.
    ///
    /// # Errors
    /// When the message is no request, or anything about it is wrong.
    pub fn request(&self, registrar: &Registrar) -> Result<Request, RequestError> {
        match self.kind {
            Kind::Enroll | Kind::Renew => {}
            Kind::Poll | Kind::Certificate | Kind::Revoked => return Err(RequestError::Kind),
        }
        let opened = cms::decrypt(&self.content, &registrar.certificate, &registrar.key, self.strength)
            .map_err(RequestError::Envelope)?;
        let (public_key, challenge) = read_request(&opened.content, self.strength)?;
        // Before there is a certificate, the key of the message is the one that will be certified (RFC 8894, 2.3).
        if self.kind == Kind::Enroll && self.requester.public_key().as_ref() != Ok(&public_key) {
            return Err(RequestError::OtherKey);
        }
        Ok(Request { public_key, challenge, cipher: opened.cipher })
    }
}

/// Reads a request for a certificate (PKCS#10) outside of its envelope: whose key it is for, and its challenge.
///
/// # Errors
/// When it cannot be read, or its own key did not sign it.
pub fn read_request(der: &[u8], strength: Strength) -> Result<(PublicKey, Option<Zeroizing<String>>), RequestError> {
    let malformed = |_: der::Error| RequestError::Malformed;
    let request = SignedBody::from_der(der).map_err(malformed)?;
    let info = Info::from_der(request.body.0).map_err(malformed)?;
    let public_key = PublicKey::parse(info.public_key.0).map_err(RequestError::Key)?;
    let signature = request.signature.as_bytes().ok_or(RequestError::Malformed)?;
    let scheme = Scheme::parse(&request.algorithm);
    public_key.verify_by(scheme, None::<Digest>, strength, request.body.0, signature).map_err(RequestError::Proof)?;
    let challenge = info.attributes.map_or(Ok(None), |it| challenge(&it))?;
    Ok((public_key, challenge))
}

fn challenge(attributes: &RawSet<'_>) -> Result<Option<Zeroizing<String>>, RequestError> {
    let mut found = None;
    for element in attributes.elements(MOST_ATTRIBUTES).map_err(|_other: CmsError| RequestError::Malformed)? {
        let attribute = RawAttribute::from_der(element).map_err(|_other: der::Error| RequestError::Malformed)?;
        if attribute.kind != CHALLENGE {
            continue;
        }
        let value = attribute.values.single().and_then(|it| text(it, MAX_CHALLENGE));
        if found.replace(Zeroizing::new(value.ok_or(RequestError::Malformed)?)).is_some() {
            return Err(RequestError::Malformed);
        }
    }
    Ok(found)
}
