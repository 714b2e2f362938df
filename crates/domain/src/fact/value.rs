//! The values of facts.
use crate::device::Encryption;
use crate::name;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest text of a fact, in bytes.
pub(super) const MAX_TEXT: usize = 200;
/// The longest path of a folder, in bytes.
pub(super) const MAX_PATH: usize = 4096;

/// What is wrong with a short text from a device.
///
/// # Errors
/// When it is too long or could not be shown as it is.
pub fn check_text(text: &str) -> Result<(), String> {
    if text.len() <= MAX_TEXT && name::is_plain(text) {
        return Ok(());
    }
    Err(format!("at most {MAX_TEXT} bytes, without control characters, line breaks or direction marks"))
}

pub(super) fn is_path(path: &str) -> bool {
    (1..=MAX_PATH).contains(&path.len()) && !path.chars().any(char::is_control)
}

/// A value; which one belongs to a [`FactKind`](super::FactKind) is its own matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FactValue {
    Flag(bool),
    Number(i64),
    Text(String),
    Paths(Vec<String>),
    Encryption(EncryptionFact),
    Changes(Changes),
}

impl<'de> Deserialize<'de> for FactValue {
    /// By the form of the JSON. What serde derives would read each value into a buffer and try one variant after the
    /// other, for each fact of each check-in.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form)
    }
}

struct Form;

/// The names in a value that has several parts.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Name {
    State,
    Method,
    Files,
    Bytes,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Form {
    type Value = FactValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the value of a fact")
    }

    fn visit_bool<E>(self, value: bool) -> Result<FactValue, E> {
        Ok(FactValue::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<FactValue, E> {
        Ok(FactValue::Number(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<FactValue, E> {
        i64::try_from(value).map(FactValue::Number).map_err(|_too_large| E::custom("a number below 2^63"))
    }

    fn visit_str<E>(self, value: &str) -> Result<FactValue, E> {
        Ok(FactValue::Text(value.to_owned()))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<FactValue, S::Error> {
        let mut paths = Vec::new();
        while let Some(path) = seq.next_element()? {
            paths.push(path);
        }
        Ok(FactValue::Paths(paths))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FactValue, M::Error> {
        let (mut state, mut method, mut files, mut bytes) = (None, None, None, None);
        while let Some(name) = map.next_key()? {
            match name {
                Name::State => state = Some(map.next_value()?),
                Name::Method => method = Some(map.next_value()?),
                Name::Files => files = Some(map.next_value()?),
                Name::Bytes => bytes = Some(map.next_value()?),
                Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (state, method, files, bytes) {
            (Some(state), Some(method), _, _) => Ok(FactValue::Encryption(EncryptionFact { state, method })),
            (_, _, Some(files), Some(bytes)) => Ok(FactValue::Changes(Changes { files, bytes })),
            _ => Err(M::Error::custom("state and method, or files and bytes")),
        }
    }
}

impl FactValue {
    /// Whether it says the same, as far as "since when" is concerned.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            // Another method is no less encrypted.
            (Self::Encryption(one), Self::Encryption(two)) => one.state == two.state,
            (one, two) => one == two,
        }
    }
}

/// Encryption of the storage under the protected paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionFact {
    pub state: Encryption,
    /// Such as `LUKS2`; empty if unknown.
    pub method: String,
}

/// Files that are new or different since the last backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    pub files: i64,
    pub bytes: i64,
}
