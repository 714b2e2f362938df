//! What is wrong with the fields of a form or message.
use crate::words::sentence;
use std::borrow::Cow;
use std::fmt;

/// What is wrong with the fields of a form or message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(Cow<'static, str>, String)>);

impl FieldErrors {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what is wrong with `field`, as a sentence.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, text: impl Into<String>) {
        self.0.push((field.into(), sentence(&text.into())));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with `field`, if anything.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (&**name, text.as_str()))
    }

    /// `Ok` if nothing is wrong.
    ///
    /// # Errors
    /// These errors, if there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, text)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{field}: {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_by_field_as_a_sentence() {
        let mut errors = FieldErrors::new();
        assert_eq!(errors.clone().into_result(), Ok(()));
        errors.add("name", "fill this in");
        assert_eq!(errors.to_string(), "name: Fill this in.");
        errors.add("serial", "Type it exactly.");
        assert_eq!((errors.of("serial"), errors.of("other")), (Some("Type it exactly."), None));
        assert_eq!(errors.to_string(), "name: Fill this in.; serial: Type it exactly.");
        assert_eq!(errors.clone().into_result(), Err(errors));
    }
}
