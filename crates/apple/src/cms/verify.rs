//! Who signed what.
use super::asn1::{
    CONTENT_TYPE, ContentInfo, ID_DATA, ID_SIGNED, IssuerAndSerial, MESSAGE_DIGEST, SEQUENCE, SignedData, SignerInfo,
};
use super::attribute::Attributes;
use super::{CmsError, ber};
use crate::certificate::{Certificate, Digest, Scheme, Strength};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode};

/// More certificates are refused.
const MOST_CERTIFICATES: usize = 8;

/// What was signed, and by whom. Whose certificate it is, is not known yet: anybody can sign.
#[derive(Clone, Debug)]
pub struct Signed {
    pub signer: Certificate,
    pub content: Vec<u8>,
    pub attributes: Attributes,
}

/// Checks the only signature of a message over its content, which is in the message, or `beside` it, or both.
///
/// The certificate of the signer is in the message. The caller has to know it, or to check who issued it.
///
/// # Errors
/// When there is not exactly one signer, or anything is not as it was signed.
pub fn verify(message: &[u8], beside: Option<&[u8]>, strength: Strength) -> Result<Signed, CmsError> {
    verify_all(message, beside, strength).map(|(signed, _)| signed)
}

/// The same, with the other certificates in the message as far as they can be read, to find who issued the signer's.
///
/// # Errors
/// As [`verify`].
pub fn verify_all(
    message: &[u8],
    beside: Option<&[u8]>,
    strength: Strength,
) -> Result<(Signed, Vec<Certificate>), CmsError> {
    let message = ber::definite(message)?;
    let data = signed_data(&message)?;
    let signer = signer(&data)?;
    let signed = signer.attributes.ok_or(CmsError::NoAttributes)?;
    let attributes = Attributes::parse(&signed)?;
    let content = content(&data, beside)?;
    check_content(&attributes, &signer, content, strength)?;
    let certificate = certificate(&data, &signer)?;
    certificate.public_key()?.verify_by(
        Scheme::parse(&signer.algorithm),
        Digest::parse(&signer.digest),
        strength,
        // The same elements, under the tag of a set.
        &signed.to_der()?,
        signer.signature.as_bytes(),
    )?;
    let others = certificates(&data)?.into_iter().filter_map(|it| Certificate::parse(it).ok());
    let others = others.filter(|it| *it != certificate).collect();
    Ok((Signed { signer: certificate, content: content.to_vec(), attributes }, others))
}

/// What is in a message of signed data.
pub(crate) fn signed_data(message: &[u8]) -> Result<SignedData<'_>, CmsError> {
    let info = ContentInfo::from_der(message)?;
    if info.kind != ID_SIGNED {
        return Err(CmsError::Kind);
    }
    Ok(info.content.decode_as()?)
}

fn signer<'a>(data: &SignedData<'a>) -> Result<SignerInfo<'a>, CmsError> {
    let signers = data.signers.elements(MOST_CERTIFICATES)?;
    match signers.as_slice() {
        [one] => Ok(SignerInfo::from_der(one)?),
        others => Err(CmsError::Signers(others.len())),
    }
}

fn content<'a>(data: &SignedData<'a>, beside: Option<&'a [u8]>) -> Result<&'a [u8], CmsError> {
    if data.content.kind != ID_DATA {
        return Err(CmsError::Kind);
    }
    match (data.content.content.map(OctetStringRef::as_bytes), beside) {
        (Some(inside), Some(beside)) if inside != beside => Err(CmsError::OtherContent),
        (inside, beside) => inside.or(beside).ok_or(CmsError::NoContent),
    }
}

fn check_content(
    attributes: &Attributes,
    signer: &SignerInfo<'_>,
    content: &[u8],
    strength: Strength,
) -> Result<(), CmsError> {
    if attributes.read::<ObjectIdentifier>(CONTENT_TYPE)? != ID_DATA {
        return Err(CmsError::ContentType);
    }
    let digest = Digest::parse(&signer.digest).ok_or(CmsError::Algorithm)?;
    if !digest.is_taken(strength) {
        return Err(CmsError::Weak);
    }
    let signed: &OctetStringRef = attributes.read(MESSAGE_DIGEST)?;
    if signed.as_bytes() != digest.of(content) {
        return Err(CmsError::Digest);
    }
    Ok(())
}

/// The certificates in the message, unread; other kinds are passed over.
pub(crate) fn certificates<'a>(data: &SignedData<'a>) -> Result<Vec<&'a [u8]>, CmsError> {
    let mut found = data.certificates.map_or(Ok(Vec::new()), |set| set.elements(MOST_CERTIFICATES))?;
    found.retain(|it| it.first() == Some(&SEQUENCE));
    Ok(found)
}

/// Of the certificates in the message, the one that fits. What else is there, such as an issuer's with something odd in it,
/// need not be readable.
fn certificate(data: &SignedData<'_>, signer: &SignerInfo<'_>) -> Result<Certificate, CmsError> {
    let mut fitting = Vec::new();
    for certificate in certificates(data)?.into_iter().filter_map(|it| Certificate::parse(it).ok()) {
        if is_named(signer.signer.0, &certificate)? {
            fitting.push(certificate);
        }
    }
    match (fitting.pop(), fitting.pop()) {
        (Some(one), None) => Ok(one),
        (None, _) | (Some(_), Some(_)) => Err(CmsError::SignerCertificate),
    }
}

/// Whether an identifier of a signer or a recipient means this certificate.
pub(crate) fn is_named(identifier: &[u8], certificate: &Certificate) -> Result<bool, CmsError> {
    /// `[0] IMPLICIT OCTET STRING`
    const KEY_IDENTIFIER: u8 = 0x80;
    if identifier.first() == Some(&KEY_IDENTIFIER) {
        let named = der::AnyRef::from_der(identifier)?.value();
        return Ok(certificate.key_identifier() == Some(named));
    }
    Ok(identifier == IssuerAndSerial::of(certificate)?)
}
