//! Certificates alone, in the form of signed data that nobody signed.
use super::asn1::{ContentInfo, Encapsulated, ID_DATA, ID_SIGNED, RawSet, SignedData, sorted};
use super::verify::{certificates, signed_data};
use super::{CmsError, ber};
use crate::certificate::Certificate;

/// The certificates, which nobody signed.
///
/// # Errors
/// When they cannot be written.
pub fn write_certificates(certificates: &[&Certificate]) -> Result<Vec<u8>, CmsError> {
    let certificates = sorted(certificates.iter().map(|it| it.der().to_vec()).collect());
    let data = SignedData {
        version: 1,
        digests: RawSet(&[]),
        content: Encapsulated { kind: ID_DATA, content: None },
        certificates: Some(RawSet(&certificates)),
        revoked: None,
        signers: RawSet(&[]),
    };
    ContentInfo::write(ID_SIGNED, &data)
}

/// The certificates in such a message.
///
/// # Errors
/// When it is none, or somebody signed it.
pub fn read_certificates(message: &[u8]) -> Result<Vec<Certificate>, CmsError> {
    let message = ber::definite(message)?;
    let data = signed_data(&message)?;
    match data.signers.elements(1)?.len() {
        0 => certificates(&data)?.into_iter().map(|it| Ok(Certificate::parse(it)?)).collect(),
        some => Err(CmsError::Signers(some)),
    }
}
