//! The outside of a message: who sends it, and what it is.
use super::{MAX_LEN, MESSAGE_TYPE, SENDER_NONCE, ScepError, TRANSACTION};
use crate::certificate::{Certificate, Strength};
use crate::cms::{self, CmsError};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Tag};

const MAX_TRANSACTION: usize = 128;
const MAX_NONCE: usize = 64;

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A first certificate (`PKCSReq`).
    Enroll,
    /// A new certificate for who has one (`RenewalReq`).
    Renew,
    /// What became of an earlier request (`GetCertInitial`).
    Poll,
    /// A certificate by its number (`GetCert`), which we do not hand out.
    Certificate,
    /// The list of those that were revoked (`GetCRL`), which we do not keep.
    Revoked,
}

impl Kind {
    fn parse(code: &str) -> Option<Self> {
        match code {
            "19" => Some(Self::Enroll),
            "17" => Some(Self::Renew),
            "20" => Some(Self::Poll),
            "21" => Some(Self::Certificate),
            "22" => Some(Self::Revoked),
            _ => None,
        }
    }
}

/// A message whose signature is right. The sender has the key of the certificate in it; whose that is, is not known yet.
#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    /// The name that the client gave to its request.
    pub transaction: String,
    /// What the answer has to repeat.
    pub nonce: Vec<u8>,
    /// Signed by itself at first. At a renewal the current one, which the authority has to check.
    pub requester: Certificate,
    /// An envelope.
    pub(super) content: Vec<u8>,
    pub(super) strength: Strength,
}

impl Message {
    /// Reads a message and checks its signature.
    ///
    /// # Errors
    /// When it is none, or was not signed by whose certificate it has.
    pub fn parse(bytes: &[u8], strength: Strength) -> Result<Self, ScepError> {
        if bytes.len() > MAX_LEN {
            return Err(ScepError::TooLarge);
        }
        let signed = cms::verify(bytes, None, strength)?;
        let attributes = &signed.attributes;
        let text = |kind: ObjectIdentifier| attributes.get(kind).and_then(|it| text(it, MAX_TRANSACTION));
        let code = text(MESSAGE_TYPE).ok_or(ScepError::Kind)?;
        let nonce = attributes.read::<&OctetStringRef>(SENDER_NONCE).map_err(|_other: CmsError| ScepError::Nonce)?;
        if !(1..=MAX_NONCE).contains(&nonce.as_bytes().len()) {
            return Err(ScepError::Nonce);
        }
        Ok(Self {
            kind: Kind::parse(&code).ok_or(ScepError::Kind)?,
            transaction: text(TRANSACTION).ok_or(ScepError::Transaction)?,
            nonce: nonce.as_bytes().to_vec(),
            requester: signed.signer,
            content: signed.content,
            strength,
        })
    }
}

/// A string of any of the types that are used for ASCII, if it is not empty, not too long, and printable.
pub(super) fn text(der: &[u8], most: usize) -> Option<String> {
    let value = AnyRef::from_der(der).ok()?;
    let is_string =
        [Tag::PrintableString, Tag::Utf8String, Tag::Ia5String, Tag::TeletexString].contains(&der::Tagged::tag(&value));
    let bytes = value.value();
    let is_fit = is_string && (1..=most).contains(&bytes.len()) && bytes.iter().all(|it| (b' '..=b'~').contains(it));
    is_fit.then(|| String::from_utf8(bytes.to_vec()).ok()).flatten()
}
