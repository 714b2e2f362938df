//! Rows of devices that are enrolled, as the measurements put them in.
use crate::error::{self, Error};
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::device::Device;
use crate::store::enrollment::Enrollment;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::channel::Channel;
use domain::device::{DeviceState, Ownership, Platform};
use domain::id::{DeviceId, EnrollmentTokenId};
use domain::time::{Time, days};

pub(super) fn add_token(conn: &mut Conn, now: Time) -> error::Result<EnrollmentTokenId> {
    let token = EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        token_hash: secret::hash(&secret::generate("")?),
        name: "bench".to_owned(),
        team_id: None,
        device_id: None,
        ownership: Ownership::Company,
        use_limit: 1,
        use_count: 1,
        created_by: "bench".to_owned(),
        created_at: now,
        expires_at: now + days(1),
        revoked_at: None,
    };
    store::enrollment_token::insert(conn, &token)?;
    Ok(token.id)
}

/// Puts a device in, enrolled through our agent with this key.
pub(super) fn insert(
    conn: &mut Conn,
    device: &Device,
    signing_key: String,
    token: EnrollmentTokenId,
) -> Result<(), Error> {
    let (device_id, generation) = (device.id, device.generation);
    store::device::insert(conn, device)?;
    let enrollment = Enrollment {
        device_id,
        generation,
        channel: Channel::AGENT.to_owned(),
        identity: signing_key,
        carries: serde_json::to_string(&Channel::agent().carries).context("writing what the agent carries")?,
        token_id: token,
        enrolled_at: device.enrolled_at,
        ended_at: None,
        cannot: "{}".to_owned(),
    };
    store::enrollment::insert(conn, &enrollment)?;
    let agent = AgentEnrollment {
        device_id,
        generation,
        sealing_key: BASE64_STANDARD.encode([0; 32]),
        protected_roots: "[\"/home/grace\"]".to_owned(),
        version: "0.1.0".to_owned(),
    };
    Ok(store::agent_enrollment::insert(conn, &agent)?)
}

pub(super) fn device(id: DeviceId, now: Time) -> Device {
    Device {
        id,
        name: format!("bench-{}", id.as_str().get(24..).unwrap_or_default()),
        person: "Grace Hopper".to_owned(),
        team_id: None,
        platform: Platform::Linux,
        model: "ThinkPad X1".to_owned(),
        serial: id.as_str().get(24..).unwrap_or_default().to_owned(),
        os_version: "Debian GNU/Linux 12.5".to_owned(),
        ownership: Ownership::Company,
        state: DeviceState::Enrolled,
        generation: 1,
        enrolled_at: now,
        erased_at: None,
    }
}
