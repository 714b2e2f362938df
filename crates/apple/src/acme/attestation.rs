//! Apple's word for a device and its key, as the device passes it on.
use super::cbor::{CborError, certificates};
use super::chain::{ChainError, Roots};
use super::problem::{Problem, ProblemKind};
use crate::certificate::{Certificate, Digest, KeyError, PublicKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;

/// An attestation of more bytes is refused unread.
const MAX_LEN: usize = 32 * 1024;
/// A serial or another name of more bytes is none.
const MAX_NAME: usize = 64;

// Apple, `DevicePropertiesAttestation` in `information.device` of the schema.
const SERIAL: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 1];
const UDID: &[u64] = &[1, 2, 840, 113_635, 100, 8, 9, 2];
const OS_VERSION: &[u64] = &[1, 2, 840, 113_635, 100, 8, 10, 1];
const SEP_VERSION: &[u64] = &[1, 2, 840, 113_635, 100, 8, 10, 2];
const FRESHNESS: &[u64] = &[1, 2, 840, 113_635, 100, 8, 11, 1];

/// Why an attestation is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    #[error("the attestation is larger than 32 KiB")]
    TooLarge,
    #[error(transparent)]
    Object(#[from] CborError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the attestation was made for another challenge")]
    Freshness,
    #[error("the attestation does not say which device it is")]
    Device,
    #[error("the attested key: {0}")]
    Key(#[from] KeyError),
}

impl From<AttestationError> for Problem {
    fn from(why: AttestationError) -> Self {
        Self::new(ProblemKind::BadAttestationStatement, why)
    }
}

/// What Apple says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Of a key that the device made, and that does not leave it.
    pub public_key: PublicKey,
    pub serial: String,
    /// Of a Mac it is another than the one by which it calls itself elsewhere.
    pub udid: String,
    /// Of the system, or of that of its secure processor; not every device's says.
    pub os_version: Option<String>,
}

impl Attestation {
    /// Reads an attestation object, and believes it if it was made for this challenge and leads to a root.
    ///
    /// # Errors
    /// When it is not believed, with the reason.
    pub fn verify(object: &[u8], token: &str, roots: &Roots, now: Timestamp) -> Result<Self, AttestationError> {
        if object.len() > MAX_LEN {
            return Err(AttestationError::TooLarge);
        }
        let leaf = roots.verify(&certificates(object)?, now)?;
        let fresh = leaf.extension(FRESHNESS).ok_or(AttestationError::Freshness)?;
        verify_slices_are_equal(&fresh, &Digest::Sha256.of(token.as_bytes()))
            .map_err(|_unequal| AttestationError::Freshness)?;
        Ok(Self {
            public_key: leaf.public_key()?,
            serial: name(&leaf, SERIAL).ok_or(AttestationError::Device)?,
            udid: name(&leaf, UDID).ok_or(AttestationError::Device)?,
            os_version: name(&leaf, OS_VERSION).or_else(|| name(&leaf, SEP_VERSION)),
        })
    }
}

/// A name in an extension: its bytes are the text itself.
fn name(leaf: &Certificate, oid: &[u64]) -> Option<String> {
    let text = String::from_utf8(leaf.extension(oid)?).ok()?;
    let is_fit = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    is_fit.then_some(text)
}
