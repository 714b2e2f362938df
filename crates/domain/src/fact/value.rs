//! The values of facts.
use crate::device::Encryption;
use crate::name;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FactValue {
    Flag(bool),
    Number(i64),
    Text(String),
    // Before the structs, which a list could be read as.
    Paths(Vec<String>),
    Encryption(EncryptionFact),
    Changes(Changes),
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
