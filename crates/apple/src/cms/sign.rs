//! Signing, as the pickiest client reads it.
use super::CmsError;
use super::asn1::{
    CONTENT_TYPE, ContentInfo, Encapsulated, ID_DATA, ID_SIGNED, IssuerAndSerial, MESSAGE_DIGEST, RawSet, SIGNING_TIME,
    SignedData, SignerInfo, sorted,
};
use super::attribute::{Attribute, write};
use crate::certificate::{Certificate, PrivateKey, Raw};
use der::asn1::{GeneralizedTime, OctetStringRef, UtcTime};
use der::{AnyRef, DateTime, Encode};
use jiff::Timestamp;
use spki::AlgorithmIdentifierRef;

/// Who signs.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    pub certificate: &'a Certificate,
    pub key: &'a PrivateKey,
    /// Those of the issuers, sent along.
    pub chain: &'a [Certificate],
}

/// Where the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the message.
    Attached,
    /// Beside it.
    Detached,
}

/// Signs the content, `attributes` and the time, if one is given.
///
/// # Errors
/// When it cannot be written.
pub fn sign(
    signer: &Signer<'_>,
    content: &[u8],
    form: Form,
    attributes: &[Attribute],
    at: Option<Timestamp>,
) -> Result<Vec<u8>, CmsError> {
    let digest = signer.key.digest();
    let hashed = digest.of(content);
    let mut attributes = attributes.to_vec();
    attributes.push(Attribute::new(CONTENT_TYPE, &ID_DATA)?);
    attributes.push(Attribute::new(MESSAGE_DIGEST, &OctetStringRef::new(&hashed)?)?);
    if let Some(at) = at {
        attributes.push(signing_time(at)?);
    }
    let attributes = write(&attributes)?;
    let attributes = RawSet(&attributes);
    let signature = signer.key.sign(&attributes.to_der()?)?;
    let identifier = IssuerAndSerial::of(signer.certificate)?;
    let digest = AlgorithmIdentifierRef { oid: digest.oid(), parameters: Some(AnyRef::NULL) };
    let info = SignerInfo {
        version: 1,
        signer: Raw(&identifier),
        digest,
        attributes: Some(attributes),
        algorithm: signer.key.signature_algorithm(),
        signature: OctetStringRef::new(&signature)?,
        unsigned: None,
    };
    let certificates = std::iter::once(signer.certificate).chain(signer.chain);
    let certificates = sorted(certificates.map(|it| it.der().to_vec()).collect());
    let data = SignedData {
        version: 1,
        digests: RawSet(&digest.to_der()?),
        content: Encapsulated {
            kind: ID_DATA,
            content: match form {
                Form::Attached => Some(OctetStringRef::new(content)?),
                Form::Detached => None,
            },
        },
        certificates: Some(RawSet(&certificates)),
        revoked: None,
        signers: RawSet(&info.to_der()?),
    };
    ContentInfo::write(ID_SIGNED, &data)
}

/// Up to 2049 in the short form, as RFC 5652 wants it.
fn signing_time(at: Timestamp) -> Result<Attribute, CmsError> {
    let seconds = u64::try_from(at.as_second()).map_err(|_before_1970| CmsError::Attribute)?;
    let time = DateTime::from_unix_duration(std::time::Duration::from_secs(seconds))?;
    match UtcTime::from_date_time(time) {
        Ok(short) => Attribute::new(SIGNING_TIME, &short),
        Err(_too_late) => Attribute::new(SIGNING_TIME, &GeneralizedTime::from_date_time(time)),
    }
}
