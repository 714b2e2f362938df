//! Property lists: what a stranger sends is bounded before anything is built of it.
mod binary;
mod xml;

pub use ::plist::{Date, Dictionary, Value};

use std::io::Cursor;

/// The most bytes that a message of a device may have.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep dictionaries and lists may lie in each other.
const MAX_DEPTH: usize = 32;
/// How many values one may have.
const MAX_VALUES: usize = 50_000;

/// Why bytes are no property list that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlistFault {
    #[error("the message has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the message’s values lie more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("the message has more than {MAX_VALUES} values")]
    TooMany,
    #[error("the message brings a document type of its own")]
    OwnDocumentType,
    #[error("the message is no property list: {0}")]
    Syntax(String),
    #[error("the message is no dictionary")]
    NoDictionary,
}

/// Reads a message: an XML property list, or a binary one, with a dictionary as its root.
///
/// # Errors
/// Why it is none, or is larger than any device's.
pub fn read(bytes: &[u8]) -> Result<Dictionary, PlistFault> {
    if bytes.len() > MAX_BYTES {
        return Err(PlistFault::TooLong);
    }
    let value = if bytes.starts_with(binary::MAGIC) {
        binary::check(bytes)?;
        Value::from_reader(Cursor::new(bytes))
    } else {
        xml::check(bytes)?;
        Value::from_reader_xml(bytes)
    };
    let value = value.map_err(|error| PlistFault::Syntax(error.to_string()))?;
    value.into_dictionary().ok_or(PlistFault::NoDictionary)
}

/// The bytes of an XML property list.
///
/// # Errors
/// When a value has no form in XML, such as a text with a control character: no device would read it.
pub fn write(dictionary: Dictionary) -> Result<Vec<u8>, PlistFault> {
    let mut bytes = Vec::new();
    let value = Value::Dictionary(dictionary);
    value.to_writer_xml(&mut bytes).map_err(|error| PlistFault::Syntax(error.to_string()))?;
    // A device would refuse the whole message.
    if bytes.iter().any(|it| it.is_ascii_control() && !it.is_ascii_whitespace()) {
        return Err(PlistFault::Syntax("a text with a control character".to_owned()));
    }
    Ok(bytes)
}

/// Values of one kind, by their key.
pub trait Read {
    /// A text.
    fn text(&self, key: &str) -> Option<&str>;
    /// A flag, also as the word that some devices send instead.
    fn flag(&self, key: &str) -> Option<bool>;
    /// A whole number.
    fn number(&self, key: &str) -> Option<i64>;
    /// A number with or without a fraction.
    fn real(&self, key: &str) -> Option<f64>;
    /// Bytes.
    fn data(&self, key: &str) -> Option<&[u8]>;
    /// A dictionary.
    fn dictionary(&self, key: &str) -> Option<&Dictionary>;
    /// A list; empty if there is none.
    fn list(&self, key: &str) -> &[Value];
}

impl Read for Dictionary {
    fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_string()
    }

    fn flag(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        value.as_boolean().or_else(|| match value.as_string()? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.as_signed_integer()
    }

    fn real(&self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        // A whole number of bytes or per cent has no more digits than this carries.
        #[expect(clippy::cast_precision_loss)]
        let whole = || value.as_signed_integer().map(|it| it as f64);
        value.as_real().or_else(whole).filter(|it| it.is_finite())
    }

    fn data(&self, key: &str) -> Option<&[u8]> {
        self.get(key)?.as_data()
    }

    fn dictionary(&self, key: &str) -> Option<&Dictionary> {
        self.get(key)?.as_dictionary()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
