//! How many devices meet each policy, which ones do not, and how many policies a device meets.
//!
//! Every count, list and table is made with `walk` and [`overall`], so that they never differ.
use crate::error::{Error, Result};
use crate::service::{copy_proof, policy};
use crate::store::compliance::{Measured, Which, measured};
use crate::store::device_list::{self, Among, Filter, From, Named, Query, Scores, Sort};
use crate::store::device_proof::DeviceProof;
use crate::store::device_status::DeviceStatus;
use crate::store::policy::Policy;
use crate::store::{self, Conn};
use domain::id::{DeviceId, PolicyId};
use domain::policy::{Applied, Compliance, CopyKnown, Finding, Known, RequirementKind, evaluate, overall};
use domain::role::Reach;
use domain::time::Time;
use std::collections::HashMap;

/// How many devices meet a policy, do not meet it, or are unknown; or for a device, how many policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub compliant: i64,
    pub not_compliant: i64,
    pub unknown: i64,
}

impl Tally {
    fn add(&mut self, outcome: Compliance) {
        match outcome {
            Compliance::Compliant => self.compliant += 1,
            Compliance::NotCompliant => self.not_compliant += 1,
            Compliance::Unknown => self.unknown += 1,
        }
    }
}

/// The tallies of all policies, and of each of their requirements.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    by_policy: HashMap<PolicyId, Tally>,
    by_requirement: HashMap<(PolicyId, RequirementKind), Tally>,
    /// Whether only the first devices were counted, because there are more than [`MOST`].
    pub is_partial: bool,
}

impl Tallies {
    /// The tally of a policy.
    pub fn of(&self, policy: PolicyId) -> Tally {
        self.by_policy.get(&policy).copied().unwrap_or_default()
    }

    /// The tally of one requirement of a policy.
    pub fn of_requirement(&self, policy: PolicyId, requirement: RequirementKind) -> Tally {
        self.by_requirement.get(&(policy, requirement)).copied().unwrap_or_default()
    }
}

/// Which devices are asked for, by their policy results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// None: every policy that applies to the device.
    pub policy: Option<PolicyId>,
    /// None: every requirement.
    pub requirement: Option<RequirementKind>,
    pub outcome: Compliance,
}

impl Asked {
    fn is_met_by(&self, findings: &[Finding]) -> bool {
        let asked = findings
            .iter()
            .filter(|it| self.policy.is_none_or(|policy| it.policy == policy))
            .filter(|it| self.requirement.is_none_or(|kind| it.requirement.kind() == kind));
        overall(asked) == Some(self.outcome)
    }
}

/// The most devices that are counted: each is checked against every policy when the page is loaded.
pub const MOST: usize = 20_000;
const CHUNK: i64 = 1000;

/// Checks the devices within reach against `policies`.
///
/// # Errors
/// When the database refuses, or a stored fact or requirement cannot be read.
pub fn tallies(conn: &mut Conn, policies: &[Policy], reach: &Reach, now: Time) -> Result<Tallies> {
    let mut tallies = Tallies::default();
    tallies.is_partial = walk(conn, policies, reach, now, |_, findings| {
        for of_one in by_policy(findings) {
            let (Some(first), Some(outcome)) = (of_one.first(), overall(of_one)) else { continue };
            tallies.by_policy.entry(first.policy).or_default().add(outcome);
            for it in of_one {
                tallies.by_requirement.entry((it.policy, it.requirement.kind())).or_default().add(it.outcome);
            }
        }
    })?;
    Ok(tallies)
}

/// How many policies each of these devices meets; none for one that is not enrolled.
///
/// # Errors
/// As [`tallies`].
pub fn of_devices(conn: &mut Conn, ids: &[DeviceId], now: Time) -> Result<HashMap<DeviceId, Tally>> {
    let policies = store::policy::all(conn)?;
    Ok(findings(conn, &policies, ids, now)?.into_iter().map(|(id, findings)| (id, tally(&findings))).collect())
}

/// What these policies find about each of these devices; none for one that is not enrolled.
///
/// # Errors
/// As [`tallies`].
pub fn findings(
    conn: &mut Conn,
    policies: &[Policy],
    ids: &[DeviceId],
    now: Time,
) -> Result<HashMap<DeviceId, Vec<Finding>>> {
    let judge = Judge::new(conn, policies, Some(ids), now)?;
    measured(conn, Which::Ids(ids))?.iter().map(|it| Ok((it.id, judge.findings(it)?))).collect()
}

/// The devices within reach that are asked for.
///
/// # Errors
/// As [`tallies`], and when there is no such policy within reach.
pub fn among(conn: &mut Conn, asked: &Asked, reach: &Reach, now: Time) -> Result<Among> {
    let mut policies = within(conn, reach)?;
    if let Some(id) = asked.policy {
        policies.retain(|it| it.id == id);
        if policies.is_empty() {
            return Err(Error::invalid("policy", "There is no such policy. It may have been removed."));
        }
    }
    chosen(conn, &policies, asked, (reach, now))
}

fn chosen(conn: &mut Conn, policies: &[Policy], asked: &Asked, (reach, now): (&Reach, Time)) -> Result<Among> {
    let mut ids = Vec::new();
    let is_partial = walk(conn, policies, reach, now, |device, findings| {
        if asked.is_met_by(findings) {
            ids.push(device);
        }
    })?;
    Ok(Among::new(&ids, is_partial))
}

/// For the first devices that do not meet one of `policies`, what they fail, in the order of the list of
/// devices.
///
/// # Errors
/// As [`tallies`].
pub fn failing(
    conn: &mut Conn,
    policies: &[Policy],
    reach: &Reach,
    most: usize,
    now: Time,
) -> Result<Vec<(Named, Finding)>> {
    let asked = Asked { policy: None, requirement: None, outcome: Compliance::NotCompliant };
    let among = vec![chosen(conn, policies, &asked, (reach, now))?];
    let query = Query {
        filter: Filter { among, ..Filter::default() },
        reach: reach.clone(),
        sort: Sort::Worst,
        is_descending: false,
        from: From::Start,
        limit: most,
    };
    let devices = device_list::page(conn, &query, now)?.devices;
    let ids: Vec<_> = devices.iter().map(|it| it.device.id).collect();
    let mut found = findings(conn, policies, &ids, now)?;
    let mut failing = Vec::new();
    for listed in devices {
        let findings = found.remove(&listed.device.id).unwrap_or_default();
        let failed = findings.into_iter().filter(|it| it.outcome == Compliance::NotCompliant);
        failing.extend(failed.map(|it| (listed.device.clone(), it)));
    }
    Ok(failing)
}

/// How badly each device within reach does by its policies, for sorting: first by how many it fails, then by
/// how many are unknown.
///
/// # Errors
/// As [`tallies`].
pub fn scores(conn: &mut Conn, reach: &Reach, now: Time) -> Result<Scores> {
    const FAILS: i64 = 1_000_000;
    let policies = store::policy::all(conn)?;
    let mut scores = Vec::new();
    walk(conn, &policies, reach, now, |device, findings| {
        let tally = tally(findings);
        scores.push((device, tally.not_compliant * FAILS + tally.unknown));
    })?;
    Ok(Scores::new(scores))
}

/// The policies that somebody with this reach sees: those for all devices, and those for their teams.
///
/// # Errors
/// When the database refuses.
pub fn within(conn: &mut Conn, reach: &Reach) -> Result<Vec<Policy>> {
    let mut policies = store::policy::all(conn)?;
    policies.retain(|it| it.team_id.is_none() || reach.covers(it.team_id));
    Ok(policies)
}

/// The findings of each policy, with those of one policy together.
fn by_policy(findings: &[Finding]) -> impl Iterator<Item = &[Finding]> {
    findings.chunk_by(|a, b| a.policy == b.policy)
}

fn tally(findings: &[Finding]) -> Tally {
    let mut tally = Tally::default();
    by_policy(findings).filter_map(overall).for_each(|it| tally.add(it));
    tally
}

/// Walks the enrolled devices within reach with the findings of the policies that apply to them; says whether
/// there were more than [`MOST`], so that only the first were taken.
fn walk(
    conn: &mut Conn,
    policies: &[Policy],
    reach: &Reach,
    now: Time,
    mut take: impl FnMut(DeviceId, &[Finding]),
) -> Result<bool> {
    let judge = Judge::new(conn, policies, None, now)?;
    let (mut after, mut seen) = (None, 0);
    loop {
        let devices = measured(conn, Which::After(reach, after, CHUNK))?;
        let Some(last) = devices.last() else { return Ok(false) };
        // Only once there are more: exactly that many would be all of them.
        if seen >= MOST {
            return Ok(true);
        }
        after = Some(last.id);
        for device in &devices {
            take(device.id, &judge.findings(device)?);
        }
        seen += devices.len();
    }
}

/// Policies in the form devices are checked against.
struct Judge<'a> {
    policies: &'a [Policy],
    applied: Vec<Applied>,
    /// Of each device, if a policy asks for it.
    copies: HashMap<DeviceId, CopyKnown>,
    now: Time,
}

impl<'a> Judge<'a> {
    /// For these devices, or all.
    fn new(conn: &mut Conn, policies: &'a [Policy], ids: Option<&[DeviceId]>, now: Time) -> Result<Self> {
        let applied = policy::applied(policies)?;
        let asks = |it: &Applied| it.requirements.iter().any(|it| it.kind() == RequirementKind::CopyProven);
        let copies = match ids {
            _ if !applied.iter().any(asks) => HashMap::new(),
            Some(ids) => copy_proof::known(conn, ids, now)?,
            None => copy_proof::known_of_all(conn, now)?,
        };
        Ok(Self { policies, applied, copies, now })
    }

    fn findings(&self, device: &Measured) -> Result<Vec<Finding>> {
        let facts = device.status.as_ref().map(DeviceStatus::facts).transpose()?.unwrap_or_default();
        let state = Known {
            facts: &facts,
            evidence: device.proof.as_ref().map(DeviceProof::evidence).unwrap_or_default(),
            copy: self.copies.get(&device.id).copied().unwrap_or(CopyKnown::NOTHING),
            last_seen_at: device.status.as_ref().and_then(|it| it.last_seen_at),
            enrolled_at: device.enrolled_at,
        };
        let each = self.policies.iter().zip(&self.applied);
        let applying = each.filter(|(it, _)| it.team_id.is_none() || it.team_id == device.team_id);
        Ok(applying.flat_map(|(_, it)| evaluate(std::slice::from_ref(it), &state, self.now)).collect())
    }
}
