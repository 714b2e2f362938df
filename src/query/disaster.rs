//! The address of a list of what one event would leave.
use crate::error::{Error, Result};
use crate::query::filter;
use domain::disaster::{Event, Fate};
use domain::fields::FieldErrors;
use serde::Deserialize;

/// What follows `?` in the address; empty means not set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DisasterQuery {
    pub fate: String,
}

impl DisasterQuery {
    /// The fate that is asked for; none for all.
    ///
    /// # Errors
    /// For one that there is not: a list must not show more than its address says.
    pub fn fate(&self) -> Result<Option<Fate>> {
        let mut errors = FieldErrors::new();
        let fate = filter(&self.fate, "fate", Fate::parse, &mut errors);
        errors.into_result()?;
        Ok(fate)
    }
}

/// The event that an address names.
///
/// # Errors
/// When there is no such event.
pub fn event(name: &str) -> Result<Event> {
    Event::parse(name).ok_or(Error::NotFound("event"))
}
