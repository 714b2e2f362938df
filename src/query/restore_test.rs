//! The address of a list of restore tests.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use crate::store::restore_test_list::Shown;
use domain::id::RestoreTestId;
use domain::proof::TestResult;
use serde::Deserialize;

/// What follows `?`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RestoreTestQuery {
    pub result: String,
    pub before: String,
}

impl RestoreTestQuery {
    /// Whether this result is chosen.
    pub fn is(&self, word: &str) -> bool {
        self.result == word
    }

    /// Which tests are shown, and the one they start before.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says.
    pub fn parse(&self) -> Result<(Shown, Option<RestoreTestId>)> {
        let mut errors = FieldErrors::new();
        let shown = |word: &str| match word {
            "open" => Some(Shown::Open),
            result => TestResult::parse(result).map(Shown::Ended),
        };
        let shown = filter(&self.result, "result", shown, &mut errors).unwrap_or_default();
        let before = filter(&self.before, "before", RestoreTestId::parse, &mut errors);
        errors.into_result()?;
        Ok((shown, before))
    }
}
