//! Certificates: those of devices, which we issue and recognise, and those that they bring.
mod algorithm;
mod authority;
mod chain;
mod header;
mod private_key;
mod public_key;
mod raw;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use algorithm::{Digest, Strength};
pub use authority::{AlternativeName, Authority, AuthorityError, Leaf, Refused, Registrar, Validity};
pub use header::{HeaderError, from_header};
pub use private_key::PrivateKey;
pub use public_key::{Family, KeyError, PublicKey};

pub(crate) use algorithm::{RSA, Scheme, has_no_parameters};
pub(crate) use header::{decode as decode_base64, percent_decoded};
pub(crate) use raw::{Raw, SignedBody};

use der::Decode;
use jiff::Timestamp;
use std::fmt;
use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

/// A certificate of more bytes is refused unread.
pub const MAX_LEN: usize = 16 * 1024;

/// Why bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("the certificate is larger than 16 KiB")]
    TooLarge,
    #[error("the certificate cannot be read")]
    Malformed,
}

/// A certificate as it came, and what it says of itself: nothing of that is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// What its issuer signed, and how.
    body: Vec<u8>,
    scheme: Option<Scheme>,
    signature: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    common_name: Option<String>,
    serial: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: Vec<u8>,
    key_identifier: Option<Vec<u8>>,
    usage: Usage,
}

/// What the certificate's key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    is_authority: bool,
    authenticates_clients: bool,
}

impl Certificate {
    /// From DER, and nothing after it.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_LEN {
            return Err(CertificateError::TooLarge);
        }
        let malformed = CertificateError::Malformed;
        let outside = SignedBody::from_der(der).map_err(|_malformed| malformed)?;
        let (rest, read) = TbsCertificate::from_der(outside.body.0).map_err(|_malformed| malformed)?;
        if !rest.is_empty() {
            return Err(malformed);
        }
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_out_of_range| malformed);
        let mut names = read.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(one), None) => one.as_str().ok().map(str::to_owned),
            (None, _) | (Some(_), Some(_)) => None,
        };
        Ok(Self {
            der: der.to_vec(),
            body: outside.body.0.to_vec(),
            scheme: scheme(&outside, &read),
            signature: outside.signature.as_bytes().ok_or(malformed)?.to_vec(),
            issuer: read.issuer().as_raw().to_vec(),
            subject: read.subject().as_raw().to_vec(),
            common_name,
            serial: read.raw_serial().to_vec(),
            not_before: time(read.validity().not_before.timestamp())?,
            not_after: time(read.validity().not_after.timestamp())?,
            public_key: read.public_key().raw.to_vec(),
            key_identifier: key_identifier(&read),
            usage: usage(&read).ok_or(malformed)?,
        })
    }

    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of its bytes, by which an enrolment knows its device.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.iter_mut().zip(Digest::Sha256.of(&self.der)).for_each(|(to, from)| *to = from);
        hash
    }

    /// The serial number's bytes, most significant first.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The subject's common name, where there is exactly one that is text.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The key it is about.
    ///
    /// # Errors
    /// When the key is of a kind we do not take, or too weak.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::parse(&self.public_key)
    }

    /// Whether the certificate calls itself its own issuer, and its own key signed it.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
            && self.public_key().is_ok_and(|key| self.is_signed_by(&key, Strength::WithLegacy).is_ok())
    }

    fn is_signed_by(&self, key: &PublicKey, strength: Strength) -> Result<(), KeyError> {
        key.verify_by(self.scheme, None, strength, &self.body, &self.signature)
    }

    /// The issuer's name, in DER.
    pub(crate) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The identifier it gives to its key, if any.
    pub(crate) fn key_identifier(&self) -> Option<&[u8]> {
        self.key_identifier.as_deref()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate")
            .field("common_name", &self.common_name)
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// None when the algorithm is not known, or not the same outside and inside.
fn scheme(outside: &SignedBody<'_>, read: &TbsCertificate<'_>) -> Option<Scheme> {
    if outside.algorithm.oid.as_bytes() != read.signature.algorithm.as_bytes() {
        return None;
    }
    Scheme::parse(&outside.algorithm)
}

fn key_identifier(read: &TbsCertificate<'_>) -> Option<Vec<u8>> {
    read.extensions().iter().find_map(|it| {
        let ParsedExtension::SubjectKeyIdentifier(found) = it.parsed_extension() else { return None };
        Some(found.0.to_vec())
    })
}

/// None when an extension of these comes twice or cannot be read.
fn usage(read: &TbsCertificate<'_>) -> Option<Usage> {
    let constraints = read.basic_constraints().ok()?;
    let extended = read.extended_key_usage().ok()?;
    Some(Usage {
        is_authority: constraints.is_some_and(|it| it.value.ca),
        authenticates_clients: extended.is_some_and(|it| it.value.client_auth),
    })
}
