//! The address of a list of acts.
use crate::error::{FieldErrors, Result};
use crate::query::filter;
use crate::store::activity_list::Filter;
use crate::zone::Zone;
use anyhow::Context;
use domain::activity::{Action, Outcome};
use domain::id::WipeRequestId;
use serde::{Deserialize, Serialize};

/// What follows `?`; empty means not set.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ActivityQuery {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wipe: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub before: String,
}

impl ActivityQuery {
    /// The filter that the address spells, with days in this zone.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says.
    pub fn parse(&self, zone: &Zone) -> Result<Filter> {
        let mut errors = FieldErrors::new();
        let parsed = Filter {
            actor: self.actor.trim().to_owned(),
            action: filter(&self.action, "action", Action::parse, &mut errors),
            device: self.device.trim().to_owned(),
            result: filter(&self.result, "result", Outcome::parse, &mut errors),
            from: filter(&self.from, "from", |it| zone.start_of(it), &mut errors),
            until: filter(&self.until, "until", |it| zone.end_of(it), &mut errors),
            wipe: filter(&self.wipe, "wipe", WipeRequestId::parse, &mut errors),
            text: self.q.trim().to_owned(),
            before: filter(&self.before, "before", |it| it.parse().ok(), &mut errors),
        };
        errors.into_result()?;
        Ok(parsed)
    }

    /// Whether anything is chosen.
    pub fn is_filtered(&self) -> bool {
        let all = [&self.actor, &self.action, &self.device, &self.result, &self.from, &self.until, &self.wipe, &self.q];
        all.iter().any(|it| !it.is_empty())
    }

    /// `from` and `until` in the format of a date-and-time field: a link may give only a day.
    pub fn since_field(&self) -> String {
        with_time(&self.from, "00:00")
    }

    /// The same for `until`.
    pub fn until_field(&self) -> String {
        with_time(&self.until, "23:59")
    }

    /// What follows `?` for this filter, from before an entry on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn address(&self, before: Option<i64>) -> Result<String> {
        let search = Self { before: before.map(|it| it.to_string()).unwrap_or_default(), ..self.clone() };
        Ok(serde_urlencoded::to_string(&search).context("writing an address")?)
    }
}

fn with_time(text: &str, time: &str) -> String {
    if text.is_empty() || text.contains('T') { text.to_owned() } else { format!("{text}T{time}") }
}
