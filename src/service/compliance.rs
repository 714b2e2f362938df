//! How many devices meet each policy.
use crate::domain::device::DeviceFacts;
use crate::domain::id::PolicyId;
use crate::domain::policy::{Applied, Compliance, DeviceState, evaluate, overall};
use crate::domain::role::Reach;
use crate::domain::time::Time;
use crate::error::Result;
use crate::service::policy;
use crate::store::Conn;
use crate::store::compliance::{Measured, measured};
use crate::store::policy::Policy;
use std::collections::HashMap;

/// How many devices meet a policy, do not, or cannot be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub compliant: i64,
    pub not_compliant: i64,
    pub unknown: i64,
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
        let devices = measured(conn, reach, after, CHUNK)?;
        let Some(last) = devices.last() else { break };
        after = Some(last.id);
        for device in &devices {
            count(&mut tallies, policies, &applied, device, now)?;
        }
        seen += devices.len();
        if seen >= MOST {
            tallies.is_partial = true;
            break;
        }
    }
    Ok(tallies)
}

fn count(tallies: &mut Tallies, policies: &[Policy], applied: &[Applied], device: &Measured, now: Time) -> Result<()> {
    let (facts, since) = match &device.status {
        Some(status) => (status.facts()?, status.since()?),
        None => (DeviceFacts::default(), crate::domain::policy::Since::default()),
    };
    let state = DeviceState {
        facts: &facts,
        since,
        evidence: device.proof.as_ref().map(crate::store::device_proof::DeviceProof::evidence).unwrap_or_default(),
        last_seen_at: device.status.as_ref().and_then(|it| it.last_seen_at),
        enrolled_at: device.enrolled_at,
    };
    for (policy, requirements) in policies.iter().zip(applied) {
        if policy.team_id.is_some() && policy.team_id != device.team_id {
            continue;
        }
        let tally = tallies.by_policy.entry(policy.id).or_default();
        match overall(&evaluate(std::slice::from_ref(requirements), &state, now)) {
            Some(Compliance::Compliant) => tally.compliant += 1,
            Some(Compliance::NotCompliant) => tally.not_compliant += 1,
            Some(Compliance::Unknown) | None => tally.unknown += 1,
        }
    }
    Ok(())
}
