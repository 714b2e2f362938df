//! The address of a list of devices: its filter, order and page.
use crate::domain::device::{DeviceState, Encryption, Ownership, Platform};
use crate::domain::fields::FieldErrors;
use crate::domain::id::TeamId;
use crate::domain::proof::Grade;
use crate::domain::role::Reach;
use crate::domain::time::Time;
use crate::error::Result;
use crate::store::device_list::{Cursor, Filter, From, Query, Sort, View};
use crate::web::form::filter;
use serde::Deserialize;

/// What follows `?` in the address of a list; empty is none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListQuery {
    pub view: String,
    pub q: String,
    pub team: String,
    pub platform: String,
    pub encryption: String,
    pub ownership: String,
    pub grade: String,
    pub state: String,
    pub sort: String,
    pub dir: String,
    pub after: String,
    pub before: String,
}

/// So many devices are on a page.
pub const PER_PAGE: usize = 50;
/// A search has at most so many characters.
const MAX_SEARCH: usize = 200;

impl ListQuery {
    /// The filter that the address spells.
    ///
    /// # Errors
    /// What is no value of a filter: a list must not show more than its address says.
    pub fn filter(&self, silent_before: Time) -> Result<Filter> {
        let mut errors = FieldErrors::new();
        let filter = Filter {
            view: filter(&self.view, "view", View::parse, &mut errors).unwrap_or_default(),
            q: self.q.chars().take(MAX_SEARCH).collect(),
            team: filter(&self.team, "team", TeamId::parse, &mut errors),
            platform: filter(&self.platform, "platform", Platform::parse, &mut errors),
            encryption: filter(&self.encryption, "encryption", Encryption::parse, &mut errors),
            ownership: filter(&self.ownership, "ownership", Ownership::parse, &mut errors),
            grade: filter(&self.grade, "grade", Grade::parse, &mut errors),
            state: filter(&self.state, "state", DeviceState::parse, &mut errors).unwrap_or(DeviceState::Enrolled),
            silent_before,
        };
        errors.into_result()?;
        Ok(filter)
    }

    /// The order, and whether it is descending.
    pub fn order(&self) -> (Sort, bool) {
        (Sort::parse(&self.sort).unwrap_or_default(), self.dir == "desc")
    }

    /// The whole query for the devices within reach.
    ///
    /// # Errors
    /// As [`ListQuery::filter`].
    pub fn parse(&self, reach: &Reach, silent_before: Time) -> Result<Query> {
        let (sort, is_descending) = self.order();
        let cursor = |text: &str| Cursor::parse(sort, text);
        let from = match (cursor(&self.after), cursor(&self.before)) {
            (Some(after), _) => From::After(after),
            (None, Some(before)) => From::Before(before),
            (None, None) => From::Start,
        };
        Ok(Query {
            filter: self.filter(silent_before)?,
            reach: reach.clone(),
            sort,
            is_descending,
            from,
            limit: PER_PAGE,
        })
    }

    /// What follows `?`, at the first page.
    pub fn address(&self) -> String {
        self.with(&[])
    }

    /// What follows `?` with some values changed; a change begins at the first page.
    pub fn with(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("view", self.view.as_str()),
            ("q", &self.q),
            ("team", &self.team),
            ("platform", &self.platform),
            ("encryption", &self.encryption),
            ("ownership", &self.ownership),
            ("grade", &self.grade),
            ("state", &self.state),
            ("sort", &self.sort),
            ("dir", &self.dir),
        ];
        for (name, value) in changes {
            pairs.retain(|(it, _)| it != name);
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// Whether anything but the order is chosen.
    pub fn is_filtered(&self) -> bool {
        !self.view.is_empty() || self.has_fields()
    }

    /// Whether a field of the form says something: then it is shown.
    pub fn has_fields(&self) -> bool {
        [&self.q, &self.team, &self.platform, &self.encryption, &self.ownership, &self.grade, &self.state]
            .iter()
            .any(|it| !it.is_empty())
    }
}
