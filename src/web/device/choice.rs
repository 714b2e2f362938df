//! The fields that filter the list, and which of them are set.
use crate::query::device::DeviceQuery;
use crate::store::policy::Policy;
use crate::store::team::Team;
use domain::copy_proof::CopyGrade;
use domain::device::{DeviceState, Ownership, Platform};
use domain::disaster::{Event, Fate};
use domain::policy::{Compliance, RequirementKind};
use domain::proof::Grade;

/// A filter with a list of values.
pub struct Choice {
    pub label: &'static str,
    pub name: &'static str,
    pub options: Vec<(String, String)>,
    pub chosen: String,
}

/// A filter that is set, and the address of the list without it.
pub struct Chip {
    pub text: String,
    pub href: String,
}

impl Choice {
    fn new(label: &'static str, name: &'static str, any: &str, values: Vec<(String, String)>, chosen: &str) -> Self {
        let mut options = vec![(String::new(), any.to_owned())];
        options.extend(values);
        Self { label, name, options, chosen: chosen.to_owned() }
    }
}

/// The fields, except the search text.
pub fn choices(query: &DeviceQuery, teams: &[Team], policies: &[Policy]) -> Vec<Choice> {
    let of = |value: &str, name: &str| (value.to_owned(), name.to_owned());
    let teams = teams.iter().map(|it| of(it.id.as_str(), &it.name)).collect();
    let platforms = Platform::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let grades = Grade::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let copies = CopyGrade::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let events = Event::ALL.iter().map(|it| of(it.as_str(), it.label())).collect();
    let fates = Fate::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let encryption = vec![of("on", "Encrypted"), of("off", "Not encrypted"), of("unknown", "Unknown")];
    let ownership = Ownership::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let states = DeviceState::ALL.iter().filter(|it| **it != DeviceState::Enrolled);
    let states = states.map(|it| of(it.as_str(), it.name())).collect();
    let state = if query.state == DeviceState::Enrolled.as_str() { "" } else { &query.state };
    let policies = policies.iter().map(|it| of(it.id.as_str(), &it.name)).collect();
    let requirements = RequirementKind::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    let outcomes = Compliance::ALL.iter().map(|it| of(it.as_str(), it.name())).collect();
    vec![
        Choice::new("Team", "team", "Any team", teams, &query.team),
        Choice::new("Platform", "platform", "Any platform", platforms, &query.platform),
        Choice::new("Proof", "grade", "Any proof", grades, &query.grade),
        Choice::new("From the second copy alone", "copy", "Any", copies, &query.copy),
        Choice::new("If we lost", "lost", "Nothing else", events, &query.lost),
        Choice::new("What would become of its backups", "fate", "Any", fates, &query.fate),
        Choice::new("Encryption", "encryption", "Any", encryption, &query.encryption),
        Choice::new("Ownership", "ownership", "Any", ownership, &query.ownership),
        Choice::new("State", "state", "Enrolled; for a search, any", states, state),
        Choice::new("Policy", "policy", "Any policy", policies, &query.policy),
        Choice::new("Requirement", "requirement", "Any requirement", requirements, &query.requirement),
        Choice::new("Result of the policy", "outcome", "Any; of a policy, not compliant", outcomes, query.outcome()),
    ]
}

/// The filters that are set, each with the address of the list without it.
pub fn chips(query: &DeviceQuery, choices: &[Choice]) -> Vec<Chip> {
    let without = |name: &str| {
        // A result alone would mean the result of all policies, which nobody asked for.
        let is_last_of_policy = match name {
            "policy" => query.requirement.is_empty(),
            "requirement" => query.policy.is_empty(),
            _ => false,
        };
        let outcome = if is_last_of_policy { "" } else { query.outcome.as_str() };
        format!("/devices?{}", query.with(&[("outcome", outcome), (name, "")]))
    };
    let search = Some(&query.q).filter(|it| !it.is_empty());
    let search = search.map(|it| Chip { text: format!("Search: {it}"), href: without("q") });
    let set = choices.iter().filter(|it| !it.chosen.is_empty() && (it.name != "outcome" || !query.outcome.is_empty()));
    let named = set.filter_map(|choice| {
        let (_, name) = choice.options.iter().find(|(value, _)| *value == choice.chosen)?;
        Some(Chip { text: format!("{}: {name}", choice.label), href: without(choice.name) })
    });
    search.into_iter().chain(named).collect()
}
