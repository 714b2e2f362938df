//! How many devices meet each policy, and how many policies a device meets.
use crate::domain::device::DeviceFacts;
use crate::domain::id::{DeviceId, PolicyId};
use crate::domain::policy::{Applied, Compliance, DeviceState, Since, evaluate, overall};
use crate::domain::role::Reach;
use crate::domain::time::Time;
use crate::error::Result;
use crate::service::policy;
use crate::store::compliance::{Measured, Which, measured};
use crate::store::device_proof::DeviceProof;
use crate::store::policy::Policy;
use crate::store::{self, Conn};
use std::collections::HashMap;

/// How many devices meet a policy, do not, or cannot be told; or of a device, how many policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub compliant: i64,
    pub not_compliant: i64,
    pub unknown: i64,
}

impl Tally {
    fn add(&mut self, outcome: Option<Compliance>) {
        match outcome {
            Some(Compliance::Compliant) => self.compliant += 1,
            Some(Compliance::NotCompliant) => self.not_compliant += 1,
            Some(Compliance::Unknown) | None => self.unknown += 1,
        }
    }
}

/// The tallies of all policies.
#[derive(Debug, Clone, Default)]
pub struct Tallies {
    by_policy: HashMap<PolicyId, Tally>,
    /// Whether only the first devices were counted, because there are more than [`MOST`].
    pub is_partial: bool,
}

impl Tallies {
    /// The tally of a policy.
    pub fn of(&self, policy: PolicyId) -> Tally {
        self.by_policy.get(&policy).copied().unwrap_or_default()
    }
}

/// At most so many devices are counted: each is held against every policy when the page is read.
pub const MOST: usize = 20_000;
const CHUNK: i64 = 1000;

/// Holds the devices within reach against `policies`.
///
/// # Errors
/// When the database refuses, or a stored fact or requirement cannot be read.
pub fn tallies(conn: &mut Conn, policies: &[Policy], reach: &Reach, now: Time) -> Result<Tallies> {
    let applied = policy::applied(policies)?;
    let mut tallies = Tallies::default();
    let (mut after, mut seen) = (None, 0);
    loop {
        let devices = measured(conn, Which::After(reach, after, CHUNK))?;
        let Some(last) = devices.last() else { break };
        after = Some(last.id);
        for device in &devices {
            count(&mut tallies, outcomes(policies, &applied, device, now)?);
        }
        seen += devices.len();
        if seen >= MOST {
            tallies.is_partial = true;
            break;
        }
    }
    Ok(tallies)
}

/// How many policies each of these devices meets; none for one that is not enrolled.
///
/// # Errors
/// As [`tallies`].
pub fn of_devices(conn: &mut Conn, ids: &[DeviceId], now: Time) -> Result<HashMap<DeviceId, Tally>> {
    let policies = store::policy::all(conn)?;
    let applied = policy::applied(&policies)?;
    let mut tallies: HashMap<DeviceId, Tally> = HashMap::new();
    for device in measured(conn, Which::Ids(ids))? {
        let tally = tallies.entry(device.id).or_default();
        for (_, outcome) in outcomes(&policies, &applied, &device, now)? {
            tally.add(outcome);
        }
    }
    Ok(tallies)
}

fn count(tallies: &mut Tallies, outcomes: Vec<(PolicyId, Option<Compliance>)>) {
    for (policy, outcome) in outcomes {
        tallies.by_policy.entry(policy).or_default().add(outcome);
    }
}

/// What becomes of each policy that applies to a device.
fn outcomes(
    policies: &[Policy],
    applied: &[Applied],
    device: &Measured,
    now: Time,
) -> Result<Vec<(PolicyId, Option<Compliance>)>> {
    let (facts, since) = match &device.status {
        Some(status) => (status.facts()?, status.since()?),
        None => (DeviceFacts::default(), Since::default()),
    };
    let state = DeviceState {
        facts: &facts,
        since,
        evidence: device.proof.as_ref().map(DeviceProof::evidence).unwrap_or_default(),
        last_seen_at: device.status.as_ref().and_then(|it| it.last_seen_at),
        enrolled_at: device.enrolled_at,
    };
    let applying = policies.iter().zip(applied).filter(|(it, _)| it.team_id.is_none() || it.team_id == device.team_id);
    Ok(applying
        .map(|(policy, requirements)| (policy.id, overall(&evaluate(std::slice::from_ref(requirements), &state, now))))
        .collect())
}
