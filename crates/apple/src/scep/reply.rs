//! What clients are answered.
use super::fail_info::FailInfo;
use super::message::Message;
use super::request::Request;
use super::{FAIL_INFO, MESSAGE_TYPE, RECIPIENT_NONCE, SENDER_NONCE, STATUS, TRANSACTION};
use crate::certificate::{Certificate, Registrar, Strength};
use crate::cms::{self, Attribute, CmsError, Form, Signer};
use aws_lc_rs::rand;
use der::asn1::{ObjectIdentifier, OctetStringRef, PrintableStringRef};

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The certificate, for whoever sent the request.
    Issued(&'a Certificate, &'a Request),
    Failed(FailInfo),
    /// Somebody has to decide: the client asks again.
    Pending,
}

impl Outcome<'_> {
    fn code(&self) -> &'static str {
        match self {
            Self::Issued(..) => "0",
            Self::Failed(_) => "2",
            Self::Pending => "3",
        }
    }
}

/// The answer to a message (`CertRep`), signed by the registrar. A certificate is encrypted to whoever sent the message.
///
/// # Errors
/// When it cannot be written: there is no randomness, or the requester's key is not RSA.
pub fn reply(message: &Message, registrar: &Registrar, outcome: &Outcome<'_>) -> Result<Vec<u8>, CmsError> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_unspecified| CmsError::Random)?;
    let mut attributes = vec![
        printable(MESSAGE_TYPE, "3")?,
        printable(STATUS, outcome.code())?,
        transaction(&message.transaction)?,
        Attribute::new(SENDER_NONCE, &OctetStringRef::new(&nonce)?)?,
        Attribute::new(RECIPIENT_NONCE, &OctetStringRef::new(&message.nonce)?)?,
    ];
    let (content, form) = match outcome {
        Outcome::Issued(certificate, request) => {
            let certificates = cms::write_certificates(&[certificate])?;
            (cms::encrypt(&certificates, &message.requester, request.cipher)?, Form::Attached)
        }
        Outcome::Failed(why) => {
            attributes.push(printable(FAIL_INFO, why.code())?);
            (Vec::new(), Form::Detached)
        }
        Outcome::Pending => (Vec::new(), Form::Detached),
    };
    let signer = Signer { certificate: &registrar.certificate, key: &registrar.key, chain: &[] };
    cms::sign(&signer, &content, form, &attributes, None)
}

fn printable(kind: ObjectIdentifier, value: &str) -> Result<Attribute, CmsError> {
    Attribute::new(kind, &PrintableStringRef::new(value)?)
}

/// Clients also name their transactions with what `PrintableString` does not have, such as `=` in base64.
fn transaction(name: &str) -> Result<Attribute, CmsError> {
    match PrintableStringRef::new(name) {
        Ok(it) => Attribute::new(TRANSACTION, &it),
        Err(_other_characters) => Attribute::new(TRANSACTION, &der::asn1::Utf8StringRef::new(name)?),
    }
}

/// The answer to `GetCACaps`, a line for each capability.
///
/// RFC 8894 has no `SHA-384`, but strongSwan 5.9.8 takes that line for the one of AES, and gives up without it.
#[must_use]
pub fn capabilities(strength: Strength) -> &'static str {
    match strength {
        Strength::Modern => "Renewal\nSHA-256\nSHA-384\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n",
        Strength::WithLegacy => {
            "Renewal\nSHA-1\nSHA-256\nSHA-384\nSHA-512\nAES\nDES3\nSCEPStandard\nPOSTPKIOperation\n"
        }
    }
}

/// The answer to `GetCACert`, of the type `application/x-x509-ca-ra-cert`.
///
/// # Errors
/// When it cannot be written.
pub fn authority_certificates(registrar: &Registrar, authority: &Certificate) -> Result<Vec<u8>, CmsError> {
    cms::write_certificates(&[&registrar.certificate, authority])
}
