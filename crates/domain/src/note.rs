//! What a locked or lost device shows to whoever finds it.
use crate::fields::FieldErrors;
use crate::name;
use serde::{Deserialize, Serialize};

/// The longest message, in characters: what fits on the lock screen of a phone.
const MAX_MESSAGE: usize = 300;

/// The longest telephone number and the longest footnote.
const MAX_LINE: usize = 60;

/// A note on the screen of a device. Each part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Whom to call; a phone that is lost can call it without being unlocked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phone_number: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub footnote: String,
}

impl Note {
    /// Whether nothing would be shown.
    pub fn is_empty(&self) -> bool {
        self.message.is_empty() && self.phone_number.is_empty() && self.footnote.is_empty()
    }

    /// As it was typed, without what surrounds it.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let trimmed = |text: &str| text.trim().to_owned();
        Self {
            message: trimmed(&self.message),
            phone_number: trimmed(&self.phone_number),
            footnote: trimmed(&self.footnote),
        }
    }

    /// Checks what was typed; `is_lost` if the device is useless without it to whoever finds it.
    ///
    /// # Errors
    /// Each wrong field with what is wrong.
    pub fn check(&self, is_lost: bool) -> Result<(), FieldErrors> {
        let mut errors = FieldErrors::new();
        for (field, text, most) in [
            ("message", &self.message, MAX_MESSAGE),
            ("phone_number", &self.phone_number, MAX_LINE),
            ("footnote", &self.footnote, MAX_LINE),
        ] {
            if text.chars().count() > most {
                errors.add(field, format!("at most {most} characters fit"));
            } else if !name::is_plain(text) {
                errors.add(field, name::NOT_PLAIN);
            }
        }
        if is_lost && self.message.is_empty() && self.phone_number.is_empty() {
            errors.add("message", "say something to whoever finds it, or give a number to call");
        }
        errors.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str, phone_number: &str) -> Note {
        Note { message: message.to_owned(), phone_number: phone_number.to_owned(), footnote: String::new() }
    }

    #[test]
    fn a_lost_device_says_something_to_whoever_finds_it() {
        assert!(note("", "").check(false).is_ok());
        let refused = note("", "").check(true).unwrap_err();
        assert!(refused.of("message").is_some());
        for enough in [note("Please call", ""), note("", "+43 1 234")] {
            assert_eq!(enough.check(true), Ok(()));
        }
    }

    #[test]
    fn what_does_not_fit_or_hides_something_is_refused() {
        let long = "x".repeat(MAX_MESSAGE + 1);
        assert!(note(&long, "").check(true).unwrap_err().of("message").is_some());
        assert!(note("ok", "1\u{202e}2").check(true).unwrap_err().of("phone_number").is_some());
        assert_eq!(note("  call  ", " 1 ").trimmed(), note("call", "1"));
    }

    #[test]
    fn an_empty_note_is_not_written() {
        assert_eq!(serde_json::to_string(&Note::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Note>("{}").unwrap(), Note::default());
    }
}
