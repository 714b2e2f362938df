//! The address of a list of wipe requests.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use domain::wipe::{BEFORE_DELIVERY, WipeState};
use serde::Deserialize;

/// What follows `?`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WipeQuery {
    pub state: String,
}

impl WipeQuery {
    /// The states that the address stands for.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says.
    pub fn states(&self) -> Result<Vec<WipeState>> {
        let mut errors = FieldErrors::new();
        let states = filter(&self.state, "state", states, &mut errors).unwrap_or_else(|| WipeState::ALL.to_vec());
        errors.into_result()?;
        Ok(states)
    }

    /// What follows `?` in an address.
    pub fn address(&self) -> String {
        format!("state={}", self.state)
    }
}

fn states(word: &str) -> Option<Vec<WipeState>> {
    match word {
        "open" => Some(WipeState::ALL.iter().copied().filter(|it| !it.is_final()).collect()),
        "stoppable" => Some(BEFORE_DELIVERY.to_vec()),
        one => Some(vec![WipeState::parse(one)?]),
    }
}
