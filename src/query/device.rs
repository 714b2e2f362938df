//! The address of a list of devices: its filter, order and page.
use crate::error::Result;
use crate::query::filter;
use crate::service::compliance::{self, Asked};
use crate::service::{copy_proof, disaster, loss};
use crate::store::Conn;
use crate::store::device_list::{Cursor, Filter, From, Query, Sort, View};
use domain::copy_proof::CopyGrade;
use domain::device::{DeviceState, Encryption, Ownership, Platform};
use domain::disaster::{Event, Fate};
use domain::fields::FieldErrors;
use domain::id::{PolicyId, TeamId};
use domain::policy::{Compliance, RequirementKind};
use domain::proof::Grade;
use domain::role::Reach;
use domain::time::Time;
use serde::Deserialize;

/// What follows `?` in the address of a list; empty means not set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DeviceQuery {
    pub view: String,
    pub q: String,
    pub team: String,
    pub platform: String,
    pub encryption: String,
    pub ownership: String,
    #[serde(alias = "proof")]
    pub grade: String,
    pub state: String,
    /// The grade of the proof from the second copy alone.
    pub copy: String,
    /// What one event would leave: the event, and the fate of the device's backups.
    pub lost: String,
    pub fate: String,
    pub policy: String,
    pub requirement: String,
    /// The result of the policies for the device; if a policy is chosen without a result, the devices that do
    /// not meet it.
    pub outcome: String,
    pub sort: String,
    pub dir: String,
    pub after: String,
    pub before: String,
}

/// How many devices are on a page.
pub const PER_PAGE: usize = 50;
/// The most characters in a search.
const MAX_SEARCH: usize = 200;

impl DeviceQuery {
    /// The filter that the address spells, for somebody with this reach.
    ///
    /// # Errors
    /// For an invalid filter value: a list must not show more than its address says. When the database refuses.
    pub fn filter(&self, conn: &mut Conn, reach: &Reach, now: Time) -> Result<Filter> {
        self.read(conn, reach, now, FieldErrors::new())
    }

    fn read(&self, conn: &mut Conn, reach: &Reach, now: Time, mut errors: FieldErrors) -> Result<Filter> {
        let base = loss::all_devices(conn, now)?.0;
        let (chosen, asked) = (self.chosen(base, &mut errors), self.asked(&mut errors));
        let copy = filter(&self.copy, "copy", CopyGrade::parse, &mut errors);
        let lost = filter(&self.lost, "lost", Event::parse, &mut errors);
        let fate = filter(&self.fate, "fate", Fate::parse, &mut errors);
        if fate.is_some() && lost.is_none() {
            errors.add("lost", "Choose what is lost: without it nobody can say what becomes of a device.");
        }
        errors.into_result()?;
        let mut among = Vec::new();
        if let Some(event) = lost {
            among.push(disaster::among(conn, (event, fate), reach, now)?);
        }
        if let Some(asked) = asked {
            among.push(compliance::among(conn, &asked, reach, now)?);
        }
        if let Some(grade) = copy {
            among.push(copy_proof::among(conn, grade, reach, now)?);
        }
        Ok(Filter { among, ..chosen })
    }

    fn chosen(&self, base: Filter, errors: &mut FieldErrors) -> Filter {
        Filter {
            view: filter(&self.view, "view", View::parse, errors).unwrap_or_default(),
            q: self.q.chars().take(MAX_SEARCH).collect(),
            team: filter(&self.team, "team", TeamId::parse, errors),
            platform: filter(&self.platform, "platform", Platform::parse, errors),
            encryption: filter(&self.encryption, "encryption", Encryption::parse, errors),
            ownership: filter(&self.ownership, "ownership", Ownership::parse, errors),
            grade: filter(&self.grade, "grade", Grade::parse, errors),
            // Whoever searches for a serial or a name should also find out what became of the device.
            state: filter(&self.state, "state", DeviceState::parse, errors)
                .or_else(|| (self.q.trim().is_empty() || !self.view.is_empty()).then_some(DeviceState::Enrolled)),
            ..base
        }
    }

    /// The policy results asked for; none if nothing is.
    fn asked(&self, errors: &mut FieldErrors) -> Option<Asked> {
        let policy = filter(&self.policy, "policy", PolicyId::parse, errors);
        let requirement = filter(&self.requirement, "requirement", RequirementKind::parse, errors);
        let outcome = filter(self.outcome(), "outcome", Compliance::parse, errors)?;
        Some(Asked { policy, requirement, outcome })
    }

    /// The policy result of the devices shown; "" for any.
    pub fn outcome(&self) -> &str {
        let is_asked = !self.policy.is_empty() || !self.requirement.is_empty();
        if self.outcome.is_empty() && is_asked { Compliance::NotCompliant.as_str() } else { &self.outcome }
    }

    /// The whole query for the devices within reach.
    ///
    /// # Errors
    /// As [`DeviceQuery::filter`], and for an invalid order or position.
    pub fn parse(&self, conn: &mut Conn, reach: &Reach, now: Time) -> Result<Query> {
        let mut errors = FieldErrors::new();
        let sort = filter(&self.sort, "sort", Sort::parse, &mut errors).unwrap_or_default();
        let is_descending = filter(&self.dir, "dir", is_descending, &mut errors).unwrap_or_default();
        let cursor = |text: &str| Cursor::parse(sort, text);
        let after = filter(&self.after, "after", cursor, &mut errors);
        let before = filter(&self.before, "before", cursor, &mut errors);
        let from = match (after, before) {
            (Some(after), _) => From::After(after),
            (None, Some(before)) => From::Before(before),
            (None, None) => From::Start,
        };
        let mut filter = self.read(conn, reach, now, errors)?;
        if sort == Sort::Failing {
            filter.scores = compliance::scores(conn, reach, now)?;
        }
        Ok(Query { filter, reach: reach.clone(), sort, is_descending, from, limit: PER_PAGE })
    }

    /// What follows `?`, for the first page.
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
            ("copy", &self.copy),
            ("lost", &self.lost),
            ("fate", &self.fate),
            ("policy", &self.policy),
            ("requirement", &self.requirement),
            ("outcome", &self.outcome),
            ("sort", &self.sort),
            ("dir", &self.dir),
        ];
        for (name, value) in changes {
            pairs.retain(|(it, _)| it != name);
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        // A fate says nothing without what is lost.
        if !pairs.iter().any(|(name, _)| *name == "lost") {
            pairs.retain(|(name, _)| *name != "fate");
        }
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// Whether anything other than the order is chosen.
    pub fn is_filtered(&self) -> bool {
        !self.view.is_empty() || self.has_fields()
    }

    /// Whether a field of the form is filled in; then the form is shown.
    pub fn has_fields(&self) -> bool {
        [
            &self.q,
            &self.team,
            &self.platform,
            &self.encryption,
            &self.ownership,
            &self.grade,
            &self.state,
            &self.copy,
            &self.lost,
            &self.fate,
            &self.policy,
            &self.requirement,
            &self.outcome,
        ]
        .iter()
        .any(|it| !it.is_empty())
    }
}

fn is_descending(direction: &str) -> Option<bool> {
    match direction {
        "asc" => Some(false),
        "desc" => Some(true),
        _ => None,
    }
}
