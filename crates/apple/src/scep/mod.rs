//! How a device gets its certificate: SCEP (RFC 8894), the server's side.
//!
//! A request says who wants a certificate and proves that it has the key. What the certificate will say is not taken from
//! it: a challenge binds no name (VU#971035).
mod fail_info;
mod message;
mod query;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use fail_info::FailInfo;
pub use message::{Kind, Message};
pub use query::Operation;
pub use reply::{Outcome, authority_certificates, capabilities, reply};
pub use request::{Request, RequestError, read_request};

use crate::cms::CmsError;
use der::asn1::ObjectIdentifier;

/// A request of more bytes is refused unread; the largest that clients send are a tenth of it.
pub const MAX_LEN: usize = 64 * 1024;

/// Why there is no message to answer. No certificate, and no answer that a client could read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScepError {
    #[error("the request is larger than 64 KiB")]
    TooLarge,
    #[error("the operation is unknown")]
    Operation,
    #[error("there is no message in the request")]
    NoMessage,
    #[error("the message is not base64")]
    Base64,
    #[error(transparent)]
    Cms(#[from] CmsError),
    #[error("the type of the message is unknown")]
    Kind,
    #[error("the transaction's name is not 1 to 128 printable characters")]
    Transaction,
    #[error("the nonce is not 1 to 64 bytes")]
    Nonce,
}

const MESSAGE_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
const STATUS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.3");
const FAIL_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.4");
const SENDER_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
const RECIPIENT_NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.6");
const TRANSACTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");
