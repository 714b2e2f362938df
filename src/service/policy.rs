//! Policies: written by people, delivered to devices, checked against what is known.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::{account, alert, copy_proof, freeze, reach, setting};
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::policy::Policy;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object};
use domain::baseline;
use domain::by::By;
use domain::id::{PolicyId, TeamId};
use domain::policy::{
    Applied, CopyKnown, DevicePolicy, Finding, Known, PolicyName, Requirement, Schedule, evaluate, loosened, validate,
};
use domain::role::Permission;
use domain::shown::Shown;
use domain::time::Time;
use domain::words::is_same_name;

/// A policy as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    /// None: it applies to all devices.
    pub team_id: Option<TeamId>,
    pub requirements: Vec<Requirement>,
}

/// Adds a policy; an act.
///
/// # Errors
/// When a field is wrong, the name is taken, ignoring case, or the person does not write policies for its team.
pub fn add(conn: &mut Conn, by: &By, draft: &Draft, now: Time) -> Result<Policy> {
    check_team(by, draft)?;
    validate(&draft.name, &draft.requirements)?;
    check_name(conn, None, &draft.name)?;
    let policy = Policy {
        id: PolicyId::generate(now),
        name: draft.name.trim().to_owned(),
        team_id: draft.team_id,
        version: 1,
        requirements: to_json(&draft.requirements)?,
        created_by: by.user.to_string(),
        created_at: now,
        updated_at: now,
        removed_at: None,
    };
    store::policy::insert(conn, &policy).map_err(|error| Error::or_taken(error, taken()))?;
    record(conn, &by.actor, Action::PolicyAdded, &policy, now)?;
    Ok(policy)
}

/// Adds the policy that set-up offers, for all devices; part of the act that creates the owner.
///
/// Does nothing if somebody has already written a policy: then set-up does not offer it.
///
/// # Errors
/// When the database refuses.
pub fn add_baseline(conn: &mut Conn, by: &By, now: Time) -> Result<()> {
    if !offers_baseline(conn)? {
        return Ok(());
    }
    let draft = Draft { name: baseline::NAME.to_owned(), team_id: None, requirements: baseline::requirements() };
    add(conn, by, &draft, now).map(|_| ())
}

/// Whether set-up offers the baseline: while there is no policy yet.
///
/// # Errors
/// When the database refuses.
pub fn offers_baseline(conn: &mut Conn) -> Result<bool> {
    Ok(store::policy::all(conn)?.is_empty())
}

/// Whether a policy asks any device for backups.
///
/// # Errors
/// When the database refuses, or a stored requirement cannot be read.
pub fn asks_for_backups(conn: &mut Conn) -> Result<bool> {
    let all = applied(&store::policy::all(conn)?)?;
    Ok(all.iter().any(|it| it.requirements.iter().any(|it| matches!(it, Requirement::BackupEvery { .. }))))
}

/// A policy that somebody may change.
///
/// # Errors
/// `NotFound` if there is none for a team for which they write policies.
pub fn editable(conn: &mut Conn, by: &By, id: PolicyId) -> Result<Policy> {
    let reach = reach::of(by, Permission::EditPolicies)?;
    store::policy::find(conn, id)?.filter(|it| reach.covers(it.team_id)).ok_or(Error::NotFound("policy"))
}

/// Nobody writes a policy for devices that they do not write policies for.
fn check_team(by: &By, draft: &Draft) -> Result<()> {
    if reach::of(by, Permission::EditPolicies)?.covers(draft.team_id) {
        Ok(())
    } else {
        Err(Error::invalid("team", "Choose a team that your roles reach."))
    }
}

/// Changes the policy that its editor saw as `version`; an act.
///
/// # Errors
/// When a field is wrong, the name is another policy's, someone has changed or removed the policy in the
/// meantime, or the person may not change it.
pub fn change(conn: &mut Conn, by: &By, (id, version): (PolicyId, i64), draft: &Draft, now: Time) -> Result<Policy> {
    let old = editable(conn, by, id)?;
    check_team(by, draft)?;
    validate(&draft.name, &draft.requirements)?;
    freeze::check(conn)?;
    check_name(conn, Some(id), &draft.name)?;
    let said = taken_from(&old, Some(draft))?;
    let policy = Policy {
        name: draft.name.trim().to_owned(),
        team_id: draft.team_id,
        version: version + 1,
        requirements: to_json(&draft.requirements)?,
        updated_at: now,
        ..old
    };
    if !store::policy::update(conn, &policy, version).map_err(|error| Error::or_taken(error, taken()))? {
        return Err(Error::Conflict("someone has changed this policy in the meantime; reload the page".to_owned()));
    }
    record(conn, &by.actor, Action::PolicyChanged, &policy, now)?;
    tell(conn, &by.actor, &policy, &said, now)?;
    Ok(policy)
}

/// A policy as its form shows it; `team` is what it is for, by name.
pub fn shown(policy: &Policy, requirements: &[Requirement], team: String) -> Shown {
    let requirements: Vec<_> = requirements.iter().map(Requirement::sentence).collect();
    Shown::new([("Name", policy.name.clone()), ("For", team), ("Requirements", requirements.join("; "))])
}

/// Two policies with one name could not be told apart, in the lists or on a device.
fn check_name(conn: &mut Conn, own: Option<PolicyId>, name: &str) -> Result<()> {
    let is_taken = store::policy::all(conn)?.iter().any(|it| Some(it.id) != own && is_same_name(&it.name, name));
    if is_taken { Err(taken()) } else { Ok(()) }
}

fn taken() -> Error {
    Error::invalid("name", "There already is a policy with this name.")
}

/// Removes a policy; an act.
///
/// # Errors
/// When the typed name is different, there is none that the person may change, or it was removed before.
pub fn remove(conn: &mut Conn, by: &By, id: PolicyId, typed_name: &str, now: Time) -> Result<()> {
    let policy = editable(conn, by, id)?;
    if typed_name.trim() != policy.name {
        return Err(Error::invalid("confirm", "Type the policy’s name as shown above."));
    }
    freeze::check(conn)?;
    if !store::policy::remove(conn, id, now)? {
        return Err(Error::Conflict("this policy was already removed".to_owned()));
    }
    record(conn, &by.actor, Action::PolicyRemoved, &policy, now)?;
    tell(conn, &by.actor, &policy, &taken_from(&policy, None)?, now)
}

/// What a change (or, without a draft, a removal) weakens in a policy that guards data.
fn taken_from(old: &Policy, draft: Option<&Draft>) -> Result<Vec<String>> {
    let is_for_fewer = draft.is_some_and(|it| it.team_id.is_some() && it.team_id != old.team_id);
    Ok(loosened(&old.requirements()?, draft.map(|it| it.requirements.as_slice()), is_for_fewer))
}

/// Whether a change or a removal weakens a policy that guards data: that needs a fresh password.
///
/// # Errors
/// When there is no such policy that the person may change, or the database refuses.
pub fn is_guarded(conn: &mut Conn, by: &By, id: PolicyId, draft: Option<&Draft>) -> Result<bool> {
    let old = editable(conn, by, id)?;
    Ok(!taken_from(&old, draft)?.is_empty())
}

/// Everyone who manages people is told about a policy that guards data less.
fn tell(conn: &mut Conn, actor: &Actor, policy: &Policy, said: &[String], now: Time) -> Result<()> {
    if said.is_empty() {
        return Ok(());
    }
    let who = account::who(conn, actor)?;
    let label = format!("Policy {}", policy.name);
    alert::guard_changed(conn, &who, (&label, &said.join("; ")), true, now)
}

/// The policies that apply to a device: those for all devices, and those for its team.
///
/// # Errors
/// When the database refuses.
pub fn applying_to(conn: &mut Conn, device: &Device) -> Result<Vec<Policy>> {
    applying_to_team(conn, device.team_id)
}

/// The policies that apply to a device of `team`.
///
/// # Errors
/// When the database refuses.
pub fn applying_to_team(conn: &mut Conn, team: Option<TeamId>) -> Result<Vec<Policy>> {
    let mut policies = store::policy::all(conn)?;
    policies.retain(|it| it.team_id.is_none() || it.team_id == team);
    Ok(policies)
}

/// The policies in the domain's form.
///
/// # Errors
/// When a stored requirement cannot be read.
pub fn applied(policies: &[Policy]) -> Result<Vec<Applied>> {
    let each =
        policies.iter().map(|it| Ok(Applied { id: it.id, name: it.name.clone(), requirements: it.requirements()? }));
    each.collect()
}

/// Checks a device against the policies that apply to it: none do if it was wiped or removed.
///
/// # Errors
/// When the database refuses.
pub fn findings(conn: &mut Conn, device: &Device, now: Time) -> Result<Vec<Finding>> {
    if device.state != domain::device::DeviceState::Enrolled {
        return Ok(Vec::new());
    }
    let policies = applied(&applying_to(conn, device)?)?;
    if policies.is_empty() {
        return Ok(Vec::new());
    }
    let status = store::device_status::find(conn, device.id)?.unwrap_or_else(|| DeviceStatus::new(device.id));
    let evidence = store::device_proof::find(conn, device.id)?.map(|it| it.evidence()).unwrap_or_default();
    let facts = status.facts()?;
    let copy = copy_proof::known(conn, &[device.id], now)?.remove(&device.id).unwrap_or(CopyKnown::NOTHING);
    let state =
        Known { facts: &facts, evidence, copy, last_seen_at: status.last_seen_at, enrolled_at: device.enrolled_at };
    Ok(evaluate(&policies, &state, now))
}

/// What a device must follow: the tightest of all policies that apply to it.
///
/// `roots` are its protected folders; none on a channel that backs nothing up.
///
/// # Errors
/// When the database refuses.
pub fn device_policy(conn: &mut Conn, device: &Device, roots: Vec<String>, now: Time) -> Result<DevicePolicy> {
    let policies = applied(&applying_to(conn, device)?)?;
    let default = setting::CHECK_IN.span(conn, now)?;
    let schedule = Schedule::tightest(&policies);
    let mut policy = DevicePolicy {
        version: String::new(),
        backup_every_seconds: schedule.backup_every.map(|it| it.as_secs()),
        check_in_every_seconds: schedule.check_in_every(default).as_secs(),
        protected_roots: roots,
        policies: policies.into_iter().map(|it| PolicyName { id: it.id, name: it.name }).collect(),
    };
    // The version is a hash of the content: the same content is never sent twice, on any database.
    let content = serde_json::to_string(&policy).context("writing a device's policy")?;
    policy.version = secret::hash(&content).chars().take(16).collect();
    Ok(policy)
}

fn to_json(requirements: &[Requirement]) -> Result<String> {
    Ok(serde_json::to_string(requirements).context("writing a policy's requirements")?)
}

fn record(conn: &mut Conn, actor: &Actor, action: Action, policy: &Policy, now: Time) -> Result<()> {
    activity::record(conn, actor, &Act::done(action, Object::new("policy", policy.id, policy.name.clone())), now)
}
