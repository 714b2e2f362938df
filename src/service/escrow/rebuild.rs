//! An empty database becomes a catalogue of the repositories that have a record.
use super::record::{AgentPart, Record, Secret};
use crate::error::{Error, Result};
use crate::service::{fact, proof};
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::device::Device;
use crate::store::enrollment::Enrollment;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::escrow::Escrow;
use crate::store::recovery_key::RecoveryKey;
use crate::store::repository::{Repository, RepositoryToken};
use crate::store::setting::AUDIENCE;
use crate::store::{self, Conn};
use anyhow::anyhow;
use domain::device::{DeviceState, Ownership, Platform};
use domain::id::{DeviceId, EnrollmentTokenId, RecoveryKeyId, RepositoryTokenId};
use domain::key_holder::KeyHolder;
use domain::object::{RepositoryState, TokenKind};
use domain::time::Time;
use secret::recovery::key_name;
use secret::seal::PublicKey;
use std::collections::BTreeMap;

/// Who did it, where a name is asked for.
const BY: &str = "disaster recovery";

/// Adds devices, repositories and the recovery key. What opens the repositories is sealed to the recovery key alone until
/// the proof side takes it on.
///
/// Of the newest enrolment of each device comes back how it proves who it is, so that devices report as before.
///
/// # Errors
/// When the database is not empty, a record says what no device can be, or the database refuses.
pub fn rebuild(conn: &mut Conn, opened: &[(Record, Secret)], recovery: &PublicKey, now: Time) -> Result<()> {
    if store::repository::count(conn)? > 0 || !store::device::all(conn)?.is_empty() {
        return Err(anyhow!("the database is not empty").into());
    }
    let key = recovery_key(recovery, now);
    store::recovery_key::insert(conn, &key)?;
    let token = token(now)?;
    store::enrollment_token::insert(conn, &token)?;
    let mut newest: BTreeMap<DeviceId, &(Record, Secret)> = BTreeMap::new();
    for it in opened {
        let known = newest.entry(it.0.device).or_insert(it);
        if known.0.generation < it.0.generation {
            *known = it;
        }
    }
    for (record, secret) in newest.values() {
        add_device(conn, record, secret, &token, now)?;
    }
    for (record, secret) in opened {
        let is_newest = newest.get(&record.device).is_some_and(|it| it.0.repository == record.repository);
        add_repository(conn, (record, secret), is_newest, &key, now)?;
    }
    if let Some(audience) = opened.iter().find_map(|it| it.1.audience.clone()) {
        AUDIENCE.set(conn, &audience, now)?;
    }
    newest.keys().try_for_each(|it| proof::refresh(conn, *it))
}

fn recovery_key(public: &PublicKey, now: Time) -> RecoveryKey {
    RecoveryKey {
        id: RecoveryKeyId::generate(now),
        name: key_name(public),
        public_key: public.as_str().to_owned(),
        // The proof side gives its word next.
        voucher: String::new(),
        made_at: now,
        made_by: BY.to_owned(),
        // Its shares were typed a moment ago.
        confirmed_at: Some(now),
        confirmed_by: Some(BY.to_owned()),
        retired_at: None,
        seal_again_at: None,
    }
}

/// That devices enrolled once is all that is known of how; nobody can enroll with this one.
fn token(now: Time) -> Result<EnrollmentToken> {
    Ok(EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        token_hash: secret::hash(&secret::generate("")?),
        name: BY.to_owned(),
        team_id: None,
        device_id: None,
        ownership: Ownership::Company,
        use_limit: 0,
        use_count: 0,
        created_by: BY.to_owned(),
        created_at: now,
        expires_at: now,
        revoked_at: Some(now),
    })
}

fn add_device(conn: &mut Conn, record: &Record, secret: &Secret, token: &EnrollmentToken, now: Time) -> Result<()> {
    let about = secret.about.clone();
    let unknown = |what: &str, said: &str| anyhow!("the escrow record of {} says {what} “{said}”", about.name);
    let platform = Platform::parse(&about.platform).ok_or_else(|| unknown("platform", &about.platform))?;
    let ownership = Ownership::parse(&about.ownership).ok_or_else(|| unknown("ownership", &about.ownership))?;
    let device = Device {
        id: record.device,
        name: about.name.clone(),
        person: about.person.clone(),
        team_id: None,
        platform,
        model: about.model.clone(),
        serial: about.serial.clone(),
        os_version: about.os_version.clone(),
        ownership,
        state: DeviceState::Enrolled,
        generation: record.generation,
        enrolled_at: about.enrolled_at,
        erased_at: None,
    };
    store::device::insert(conn, &device)?;
    if let Some(agent) = &secret.agent {
        add_agent(conn, record, agent, token, about.enrolled_at)?;
    }
    fact::forget(conn, record.device, now)
}

fn add_agent(conn: &mut Conn, record: &Record, agent: &AgentPart, token: &EnrollmentToken, at: Time) -> Result<()> {
    let (device_id, generation) = (record.device, record.generation);
    let enrollment = Enrollment {
        device_id,
        generation,
        channel: agent.channel.clone(),
        identity: agent.identity.clone(),
        carries: agent.carries.clone(),
        token_id: token.id,
        enrolled_at: at,
        ended_at: None,
        cannot: "{}".to_owned(),
    };
    store::enrollment::insert(conn, &enrollment)?;
    let (sealing_key, protected_roots) = (agent.sealing_key.clone(), agent.protected_roots.clone());
    let version = agent.version.clone();
    let agent = AgentEnrollment { device_id, generation, sealing_key, protected_roots, version };
    Ok(store::agent_enrollment::insert(conn, &agent)?)
}

fn add_repository(
    conn: &mut Conn,
    (record, secret): (&Record, &Secret),
    is_newest: bool,
    key: &RecoveryKey,
    now: Time,
) -> Result<()> {
    let repository = Repository {
        id: record.repository,
        device_id: record.device,
        generation: record.generation,
        // What is there must fit in; the rest follows once it is.
        state: RepositoryState::Active,
        sealed_master_key: secret.master_key.clone(),
        team_key_id: None,
        quota_bytes: i64::MAX,
        stored_bytes: 0,
        object_count: 0,
        newest_at: secret.created_at,
        key_holder: KeyHolder::Server,
        created_at: secret.created_at,
    };
    store::repository::insert(conn, &repository)?;
    let escrow = Escrow {
        repository_id: record.repository,
        recovery_key_id: key.id,
        sealed_master_key: secret.master_key.clone(),
        sealed_at: secret.made_at,
    };
    store::escrow::insert(conn, &escrow)?;
    let hash = secret.agent.as_ref().and_then(|it| it.token_hash.clone());
    let Some(token_hash) = hash.filter(|_| is_newest) else { return Ok(()) };
    let token = RepositoryToken {
        id: RepositoryTokenId::generate(now),
        repository_id: record.repository,
        kind: TokenKind::Agent,
        token_hash,
        name: "Agent".to_owned(),
        created_by: None,
        user_id: None,
        reason: String::new(),
        created_at: secret.created_at,
        expires_at: None,
        revoked_at: None,
        as_of: None,
    };
    store::repository::insert_token(conn, &token).map_err(Error::from)
}
