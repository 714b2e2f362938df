//! Signed and encrypted messages (CMS, RFC 5652), as far as Apple's devices and SCEP need them, and no further.
mod asn1;
mod attribute;
mod ber;
mod certificate_list;
mod cipher;
mod envelope;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use attribute::{Attribute, Attributes};
pub use ber::MAX_LEN;
pub use certificate_list::{read_certificates, write_certificates};
pub use cipher::Cipher;
pub use envelope::{Opened, decrypt, encrypt};
pub use sign::{Form, Signer, sign};
pub use verify::{Signed, verify, verify_all};

pub(crate) use asn1::{RawAttribute, RawSet};

use crate::certificate::{CertificateError, KeyError};

/// Why a message is not taken, or could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    #[error("the message is larger than 1 MiB")]
    TooLarge,
    #[error("the message is nested too deep")]
    TooDeep,
    #[error("the message has more certificates, attributes or recipients than anybody needs")]
    TooMany,
    #[error("the message cannot be read")]
    Malformed,
    #[error("the message is not of the kind that was expected")]
    Kind,
    #[error("the message has {0} signers instead of one")]
    Signers(usize),
    #[error("the signer's certificate is not in the message, or there is more than one that fits")]
    SignerCertificate,
    #[error("the signer signed no attributes")]
    NoAttributes,
    #[error("an attribute that must be there once, with one value, is not")]
    Attribute,
    #[error("the signed type is not the content's")]
    ContentType,
    #[error("there is no content")]
    NoContent,
    #[error("the content in the message is not what came beside it")]
    OtherContent,
    #[error("the content's digest is not the one that was signed")]
    Digest,
    #[error("the algorithm is unknown")]
    Algorithm,
    #[error("the algorithm is too weak")]
    Weak,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the message is not for this recipient")]
    Recipient,
    /// Says nothing about what was wrong: whoever could tell a wrong key from a wrong padding could decrypt.
    #[error("the message cannot be decrypted")]
    Decrypt,
    #[error("the operating system provided no randomness")]
    Random,
}

impl From<der::Error> for CmsError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}
