//! The address of the list of all devices' restore points.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use crate::store::restore_point_list::Shown;
use domain::id::RestorePointId;
use serde::Deserialize;

/// What follows `?`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RestorePointListQuery {
    pub known: String,
    pub before: String,
}

impl RestorePointListQuery {
    /// Whether this filter is chosen.
    pub fn is(&self, word: &str) -> bool {
        self.known == word
    }

    /// Which points are shown, and the one they start before.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says.
    pub fn parse(&self) -> Result<(Shown, Option<RestorePointId>)> {
        let mut errors = FieldErrors::new();
        let shown = |word: &str| match word {
            "proven" => Some(Shown::Proven),
            "unproven" => Some(Shown::Unproven),
            "failed" => Some(Shown::Failed),
            _ => None,
        };
        let shown = filter(&self.known, "known", shown, &mut errors).unwrap_or_default();
        let before = filter(&self.before, "before", RestorePointId::parse, &mut errors);
        errors.into_result()?;
        Ok((shown, before))
    }
}
