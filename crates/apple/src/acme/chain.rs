//! From the device's attestation to a root that is trusted.
use super::cbor::MAX_CERTIFICATES;
use crate::certificate::{Certificate, CertificateError, Strength, decode_base64};
use jiff::Timestamp;

/// Apple's Enterprise Attestation Root CA, from `apple.com/certificateauthority/private`: until 2047, SHA-256
/// `ccf59ef8fcb3017d97f8b5fa6fa90e7a3f9283f76b55ac6cf6eda8b8b949f05b`.
const APPLE: &str = include_str!("root.pem");

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Whose word is believed about devices.
#[derive(Clone, Debug)]
pub struct Roots(Vec<Certificate>);

/// Why a file has no roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    #[error("there is no certificate in PEM, or something beside it")]
    Form,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("a certificate is not that of an authority which signed it itself")]
    NoRoot,
}

/// Why certificates do not lead to a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the attestation does not come from an authority that is trusted with it")]
    OtherAuthority,
    #[error("a certificate of the attestation has expired, or is not valid yet")]
    Expired,
    #[error("a certificate of the attestation has something that must be understood, and is not")]
    Critical,
}

impl Roots {
    /// Apple's own.
    ///
    /// # Errors
    /// Never, as long as it is the file that comes with this program.
    pub fn of_apple() -> Result<Self, RootsError> {
        Self::parse(APPLE)
    }

    /// From certificates in PEM.
    ///
    /// # Errors
    /// When there is none, or one that is no root.
    pub fn parse(pem: &str) -> Result<Self, RootsError> {
        let mut rest = pem.trim();
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (inside, after) = rest.strip_prefix(BEGIN).and_then(|it| it.split_once(END)).ok_or(RootsError::Form)?;
            let der = decode_base64(&inside.split_ascii_whitespace().collect::<String>()).ok_or(RootsError::Form)?;
            let certificate = Certificate::parse(&der)?;
            if !certificate.is_self_signed() || !certificate.may_issue(0) {
                return Err(RootsError::NoRoot);
            }
            all.push(certificate);
            rest = after.trim_start();
        }
        if all.is_empty() { Err(RootsError::Form) } else { Ok(Self(all)) }
    }

    /// Those who sign with them, for comparisons.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// The first of these certificates, each signed by the next and the last by a root, all valid at `now`.
    pub(super) fn verify(&self, chain: &[&[u8]], now: Timestamp) -> Result<Certificate, ChainError> {
        let mut read = chain.iter().map(|it| Certificate::parse(it)).collect::<Result<Vec<_>, _>>()?;
        if read.len() > MAX_CERTIFICATES || read.is_empty() {
            return Err(ChainError::OtherAuthority);
        }
        // Some send the root as well.
        if read.len() > 1 && read.last().is_some_and(|it| self.0.contains(it)) {
            read.pop();
        }
        let Some((leaf, last)) = read.first().zip(read.last()) else { return Err(ChainError::OtherAuthority) };
        let root = self.0.iter().find(|it| last.is_issued_by(it)).ok_or(ChainError::OtherAuthority)?;
        let above = read.iter().skip(1).chain([root]);
        for (at, (below, above)) in read.iter().zip(above.clone()).enumerate() {
            if !below.is_issued_by(above) || !above.may_issue(at) {
                return Err(ChainError::OtherAuthority);
            }
        }
        for certificate in read.iter().chain([root]) {
            check_usable(certificate, now)?;
        }
        if leaf.may_issue(0) {
            return Err(ChainError::OtherAuthority);
        }
        Ok(leaf.clone())
    }
}

fn check_usable(certificate: &Certificate, now: Timestamp) -> Result<(), ChainError> {
    if now < certificate.not_before() || now > certificate.not_after() {
        return Err(ChainError::Expired);
    }
    // RFC 5280, 4.2: what is critical and not known decides, and nobody knows what.
    if certificate.has_unknown_critical() {
        return Err(ChainError::Critical);
    }
    Ok(())
}

impl Certificate {
    fn is_issued_by(&self, other: &Self) -> bool {
        self.issuer() == other.subject()
            && other.public_key().is_ok_and(|key| self.is_signed_by(&key, Strength::Modern).is_ok())
    }
}
