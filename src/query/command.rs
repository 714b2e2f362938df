//! The address of a list of commands.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use crate::store::command_list::Filter;
use domain::command::{CommandKind, CommandState};
use domain::id::CommandId;
use serde::Deserialize;

/// What follows `?`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CommandQuery {
    pub kind: String,
    pub state: String,
    /// The key of the form that queued them for several devices.
    pub batch: String,
    pub before: String,
}

impl CommandQuery {
    /// The filter that the address spells.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says.
    pub fn filter(&self) -> Result<Filter> {
        let mut errors = FieldErrors::new();
        let is_open = self.state == "open";
        let state = if is_open { "" } else { &self.state };
        let parsed = Filter {
            kind: filter(&self.kind, "kind", CommandKind::parse, &mut errors),
            state: filter(state, "state", CommandState::parse, &mut errors),
            is_open,
            batch: Some(self.batch.clone()).filter(|it| !it.is_empty()),
            before: filter(&self.before, "before", CommandId::parse, &mut errors),
        };
        errors.into_result()?;
        Ok(parsed)
    }

    /// What follows `?` in an address.
    pub fn address(&self) -> String {
        let pairs = [("kind", &self.kind), ("state", &self.state), ("batch", &self.batch), ("before", &self.before)];
        serde_urlencoded::to_string(pairs.map(|(name, value)| (name, value.as_str()))).unwrap_or_default()
    }
}
