//! What a request's address and body ask for.
use super::{MAX_LEN, ScepError};
use crate::certificate::{decode_base64, percent_decoded};

/// Base64, each sign of it escaped.
const MAX_QUERY: usize = 4 * MAX_LEN;

/// One of the three things that clients ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Capabilities,
    Certificates,
    /// The message's bytes, not looked at yet.
    Message(Vec<u8>),
}

impl Operation {
    /// From what follows `?` in the address, and the body. Some clients send the message in one, some in the other, some
    /// in both: then the body counts.
    ///
    /// # Errors
    /// When the operation is unknown, or there is no message.
    pub fn parse(query: &str, body: &[u8]) -> Result<Self, ScepError> {
        if query.len() > MAX_QUERY || body.len() > MAX_LEN {
            return Err(ScepError::TooLarge);
        }
        match parameter(query, "operation") {
            Some("GetCACaps") => Ok(Self::Capabilities),
            Some("GetCACert") => Ok(Self::Certificates),
            Some("PKIOperation") if !body.is_empty() => Ok(Self::Message(body.to_vec())),
            Some("PKIOperation") => message(parameter(query, "message").ok_or(ScepError::NoMessage)?),
            Some(_) | None => Err(ScepError::Operation),
        }
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').filter_map(|it| it.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn message(value: &str) -> Result<Operation, ScepError> {
    let text = percent_decoded(value).ok_or(ScepError::Base64)?;
    // Whoever reads the address as a form makes a space of a plus, and some clients use the alphabet for addresses.
    let text = text.replace([' ', '-'], "+").replace('_', "/").split_ascii_whitespace().collect::<String>();
    let bytes = decode_base64(&text).ok_or(ScepError::Base64)?;
    match bytes.len() {
        0 => Err(ScepError::NoMessage),
        1..=MAX_LEN => Ok(Operation::Message(bytes)),
        _ => Err(ScepError::TooLarge),
    }
}
