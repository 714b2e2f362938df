//! Content that only one recipient can read.
use super::asn1::{
    ContentInfo, EncryptedContent, EnvelopedData, ID_DATA, ID_ENVELOPED, IssuerAndSerial, KeyTransport, RawSet,
    SEQUENCE,
};
use super::cipher::Cipher;
use super::verify::is_named;
use super::{CmsError, ber};
use crate::certificate::{Certificate, Family, KeyError, PrivateKey, RSA, Raw, Strength, has_no_parameters};
use aws_lc_rs::rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Encode, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// More recipients are refused.
const MOST_RECIPIENTS: usize = 8;

/// `[0] IMPLICIT OCTET STRING`: whole, or in pieces.
const WHOLE: u8 = 0x80;
const IN_PIECES: u8 = 0xa0;

/// What was in the envelope.
#[derive(Debug)]
pub struct Opened {
    pub content: Zeroizing<Vec<u8>>,
    /// What the sender encrypted it with, and so can decrypt.
    pub cipher: Cipher,
}

/// Opens an envelope whose recipient has this certificate and RSA key.
///
/// Nothing in it is signed: what comes out may be anything.
///
/// # Errors
/// When it is not for the recipient or cannot be read. A wrong key and a wrong padding are one error.
pub fn decrypt(
    message: &[u8],
    certificate: &Certificate,
    key: &PrivateKey,
    strength: Strength,
) -> Result<Opened, CmsError> {
    let message = ber::definite(message)?;
    let info = ContentInfo::from_der(&message)?;
    if info.kind != ID_ENVELOPED {
        return Err(CmsError::Kind);
    }
    let data = info.content.decode_as::<EnvelopedData<'_>>()?;
    let transport = recipient(&data, certificate)?;
    if transport.algorithm.oid != RSA || !has_no_parameters(&transport.algorithm) {
        return Err(CmsError::Algorithm);
    }
    let (cipher, iv) = Cipher::parse(&data.content.algorithm, strength)?;
    let content = encrypted(data.content.content.0)?;
    let content_key = key.open_content_key(transport.key.as_bytes(), cipher.key_len())?;
    Ok(Opened { content: cipher.decrypt(&content_key, iv, &content)?, cipher })
}

fn recipient<'a>(data: &EnvelopedData<'a>, certificate: &Certificate) -> Result<KeyTransport<'a>, CmsError> {
    for element in data.recipients.elements(MOST_RECIPIENTS)? {
        // Other kinds than a transported key have a tag of their own.
        if element.first() != Some(&SEQUENCE) {
            continue;
        }
        let found = KeyTransport::from_der(element)?;
        if is_named(found.recipient.0, certificate)? {
            return Ok(found);
        }
    }
    Err(CmsError::Recipient)
}

fn encrypted(element: &[u8]) -> Result<Cow<'_, [u8]>, CmsError> {
    let content = AnyRef::from_der(element)?.value();
    match element.first() {
        Some(&WHOLE) => Ok(Cow::Borrowed(content)),
        Some(&IN_PIECES) => Ok(Cow::Owned(ber::joined(content)?)),
        Some(_) | None => Err(CmsError::Malformed),
    }
}

/// Encrypts to the RSA key of a certificate.
///
/// # Errors
/// When the key is none that can be encrypted to, or there is no randomness.
pub fn encrypt(content: &[u8], recipient: &Certificate, cipher: Cipher) -> Result<Vec<u8>, CmsError> {
    let key = recipient.public_key()?;
    if key.family() != Family::Rsa {
        return Err(KeyError::Unsupported.into());
    }
    let encrypted = cipher.encrypt(content)?;
    let transported = transported(key.der(), &encrypted.key)?;
    let identifier = IssuerAndSerial::of(recipient)?;
    let transport = KeyTransport {
        version: 0,
        recipient: Raw(&identifier),
        algorithm: AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) },
        key: OctetStringRef::new(&transported)?,
    };
    let iv = OctetStringRef::new(&encrypted.iv)?;
    let tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
    let data = EnvelopedData {
        version: 0,
        originator: None,
        recipients: RawSet(&transport.to_der()?),
        content: EncryptedContent {
            kind: ID_DATA,
            algorithm: AlgorithmIdentifierRef { oid: cipher.oid(), parameters: Some(iv.into()) },
            content: Raw(&der::asn1::Any::new(tag, encrypted.bytes)?.to_der()?),
        },
        unprotected: None,
    };
    ContentInfo::write(ID_ENVELOPED, &data)
}

fn transported(recipient: &[u8], key: &[u8]) -> Result<Vec<u8>, CmsError> {
    let rejected = KeyError::Malformed;
    let to = PublicEncryptingKey::from_der(recipient).map_err(|_rejected| rejected)?;
    let to = Pkcs1PublicEncryptingKey::new(to).map_err(|_unspecified| rejected)?;
    let mut room = vec![0; to.ciphertext_size()];
    let sent = to.encrypt(key, &mut room).map_err(|_unspecified| CmsError::Random)?;
    Ok(sent.to_vec())
}
