//! Enrolling through our agent: its keys, its folders, its repository.
use crate::error::{Error, FieldErrors, Result};
use crate::service::enrollment::join::{self, Newcomer};
use crate::service::enrollment::token::TokenRefusal;
use crate::service::repository::{self, OwnRepository, Prepared, Recipients};
use crate::service::{policy, proof, recovery_key, team_key};
use crate::store::agent_enrollment::AgentEnrollment;
use crate::store::device::Device;
use crate::store::enrollment::Enrollment;
use crate::store::setting::AUDIENCE;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::channel::Channel;
use domain::command::CommandKind;
use domain::device::{MAX_ROOTS, Ownership, Platform};
use domain::id::{DeviceId, RepositoryId, TeamId};
use domain::key_holder::{KEY_FILE_NEEDED, KEY_FILE_REFUSED, KeyHolder};
use domain::name;
use domain::policy::DevicePolicy;
use domain::time::Time;
use secret::seal;
use std::time::Duration;

/// An agent that wants to join. Its identity is its Ed25519 public key, base64url without padding (32 bytes).
#[derive(Debug, Clone)]
pub struct Joining {
    pub newcomer: Newcomer,
    pub agent_version: String,
    /// X25519 public key, base64 (32 bytes).
    pub sealing_key: String,
    /// Absolute paths of the folders that are backed up, and that a wipe erases.
    pub protected_roots: Vec<String>,
    /// The repository it made, if it keeps the key itself.
    pub own_repository: Option<OwnRepository>,
}

impl Joining {
    /// Who keeps the key to its backups, by what it brings.
    fn key_holder(&self) -> KeyHolder {
        if self.own_repository.is_some() { KeyHolder::Customer } else { KeyHolder::Server }
    }
}

/// A device that has joined.
#[derive(Debug)]
pub struct Joined {
    pub device: DeviceId,
    pub generation: i64,
    /// The required `aud` of its tokens.
    pub audience: String,
    pub ownership: Ownership,
    pub repository: RepositoryId,
    /// What its secrets are sealed to.
    pub sealing_key: seal::PublicKey,
    pub policy: DevicePolicy,
}

/// Checks what an agent says about its device.
///
/// # Errors
/// Each wrong field.
pub fn check(joining: &Joining) -> Result<()> {
    let mut errors = FieldErrors::new();
    join::check(&joining.newcomer, &mut errors);
    join::check_text("agent_version", &joining.agent_version, 0, &mut errors);
    if seal::PublicKey::parse(&joining.sealing_key).is_err() {
        errors.add("sealing_key", "an X25519 public key is the base64 of 32 bytes");
    }
    if joining.own_repository.as_ref().is_some_and(|it| !it.is_sound()) {
        errors.add("own_repository", "a config and a key, each of at most 4,096 bytes");
    }
    if !(1..=MAX_ROOTS).contains(&joining.protected_roots.len()) {
        errors.add("protected_roots", "1 to 64 folders");
    }
    if let Some(root) = joining.protected_roots.iter().find(|it| !is_root(it, joining.newcomer.platform)) {
        errors.add("protected_roots", format!("`{root}` is not the absolute path of a folder below the root"));
    }
    Ok(errors.into_result()?)
}

/// An absolute path without `.` and `..`, and never the whole disk.
fn is_root(path: &str, platform: Platform) -> bool {
    let rest = match platform {
        Platform::Windows => path.get(1..).and_then(|it| it.strip_prefix(":\\")),
        Platform::Linux | Platform::Macos | Platform::Ios | Platform::Ipados | Platform::Android => {
            path.strip_prefix('/')
        }
    };
    let separators: &[char] = if platform == Platform::Windows { &['\\', '/'] } else { &['/'] };
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && path.len() <= 4096
            && name::is_plain(path)
            && rest.trim_end_matches(separators).split(separators).all(|it| !matches!(it, "" | "." | ".."))
    })
}

/// The required `aud` of devices' tokens; none before the first enrolment.
///
/// # Errors
/// When the database refuses.
pub fn audience(conn: &mut Conn) -> Result<Option<String>> {
    Ok(AUDIENCE.find(conn)?)
}

/// What the master key of a new repository of a device in `team` is sealed to.
///
/// # Errors
/// When there is no proof key yet, or the database refuses.
pub fn recipients(conn: &mut Conn, team: Option<TeamId>) -> Result<Recipients> {
    let key = proof::public_key(conn)?.ok_or_else(|| {
        Error::Refused("this server has no key for restore tests yet: start `holdfast prove` once".to_owned())
    })?;
    let (team, recovery) = (team_key::recipient(conn, team)?, recovery_key::recipients(conn)?);
    Ok(Recipients { proof: seal::PublicKey::parse(&key)?, team, recovery })
}

/// Whether a device may join a team with what it brings: its own key where the customer keeps it, none where this server
/// does.
///
/// # Errors
/// `Refused` with what to do instead.
pub fn check_key(conn: &mut Conn, team: Option<TeamId>, joining: &Joining) -> Result<()> {
    match (store::team::key_holder(conn, team)?, joining.key_holder()) {
        (KeyHolder::Server, KeyHolder::Server) | (KeyHolder::Customer, KeyHolder::Customer) => Ok(()),
        (KeyHolder::Customer, KeyHolder::Server) => Err(Error::Refused(KEY_FILE_NEEDED.to_owned())),
        (KeyHolder::Server, KeyHolder::Customer) => Err(Error::Refused(KEY_FILE_REFUSED.to_owned())),
    }
}

/// The required `aud` of devices' tokens; created if there is none yet.
///
/// # Errors
/// When the database refuses.
pub fn make_audience(conn: &mut Conn, now: Time) -> Result<String> {
    if let Some(audience) = audience(conn)? {
        return Ok(audience);
    }
    // Of this installation, not of its address, which may change.
    let audience = secret::generate("holdfast:")?;
    AUDIENCE.set(conn, &audience, now)?;
    Ok(audience)
}

/// Joins a device with its agent: all that [`join::join`] does, and the repository gets its rows, the device its
/// answer, all or nothing. An act.
///
/// `joining` was checked by [`check`].
///
/// # Errors
/// As [`join::join`]. A token's refusal is a value; nothing was changed then.
pub fn enroll(
    conn: &mut Conn,
    joining: &Joining,
    prepared: &Prepared,
    address: &str,
    now: Time,
) -> Result<Result<Joined, TokenRefusal>> {
    let device = match join::join(conn, &joining.newcomer, address, now)? {
        Ok(device) => device,
        Err(refusal) => return Ok(Err(refusal)),
    };
    check_key(conn, device.team_id, joining)?;
    let agent = AgentEnrollment {
        device_id: device.id,
        generation: device.generation,
        sealing_key: joining.sealing_key.clone(),
        protected_roots: serde_json::to_string(&joining.protected_roots).context("writing the protected folders")?,
        version: joining.agent_version.clone(),
    };
    store::agent_enrollment::insert(conn, &agent)?;
    if proof::public_key(conn)?.as_deref() != Some(prepared.proof_key.as_str()) {
        // It was replaced while the repository was made, and would not open it.
        return Err(Error::Busy(Duration::from_secs(1)));
    }
    let repository = repository::insert(conn, prepared, device.id, device.generation, now)?;
    answer(conn, &device, &agent, repository.id, now).map(Ok)
}

fn answer(
    conn: &mut Conn,
    device: &Device,
    agent: &AgentEnrollment,
    repository: RepositoryId,
    now: Time,
) -> Result<Joined> {
    Ok(Joined {
        device: device.id,
        generation: device.generation,
        audience: make_audience(conn, now)?,
        ownership: device.ownership,
        repository,
        sealing_key: seal::PublicKey::parse(&agent.sealing_key)?,
        policy: policy::device_policy(conn, device, agent.roots()?, now)?,
    })
}

/// A device's enrolment and its agent, if it is reached through one.
///
/// # Errors
/// When the database refuses.
pub fn current(conn: &mut Conn, id: DeviceId) -> Result<Option<(Enrollment, AgentEnrollment)>> {
    let Some(device) = store::device::find(conn, id)? else { return Ok(None) };
    let enrollment = store::enrollment::find(conn, device.id, device.generation)?;
    let Some(enrollment) = enrollment.filter(|it| it.channel == Channel::AGENT) else { return Ok(None) };
    let agent = store::agent_enrollment::find(conn, device.id, device.generation)?;
    Ok(Some((enrollment, agent.ok_or(Error::NotFound("agent of this device"))?)))
}

/// Keeps which version of the agent a device runs now, and which orders it carries out.
///
/// # Errors
/// When the device has no agent, or the database refuses.
pub fn set_version(conn: &mut Conn, device: &Device, (version, carries): (&str, &[CommandKind])) -> Result<()> {
    let is_there = store::agent_enrollment::set_version(conn, device.id, device.generation, version)?;
    let carries = serde_json::to_string(carries).context("writing what an agent carries")?;
    store::enrollment::set_carries(conn, device.id, device.generation, (&carries, "{}"))?;
    is_there.then_some(()).ok_or(Error::NotFound("agent of this device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_below_the_top_can_be_protected() {
        for (path, platform, expected) in [
            ("/home/ada", Platform::Linux, true),
            ("/home/ada/", Platform::Macos, true),
            ("/", Platform::Linux, false),
            ("//", Platform::Linux, false),
            ("home", Platform::Linux, false),
            ("", Platform::Linux, false),
            ("/home/../etc", Platform::Linux, false),
            ("/home/./ada", Platform::Linux, false),
            ("/home/\nada", Platform::Linux, false),
            ("C:\\Users\\ada", Platform::Windows, true),
            ("C:\\", Platform::Windows, false),
            ("C:\\Users\\..\\x", Platform::Windows, false),
            ("/home/ada", Platform::Windows, false),
        ] {
            assert_eq!(is_root(path, platform), expected, "{path}");
        }
    }
}
