//! Enrolment: tokens that let devices in, and the one transaction in which a device joins.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::repository::Prepared;
use crate::service::{account, alert, command, fact, guard, policy, proof, repository, restore, wipe};
use crate::store::device::Device;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object, Via};
use domain::device::{DeviceState, MAX_ROOTS, Ownership, Platform};
use domain::guard::{FEW_USES, GuardedAct};
use domain::id::{DeviceId, EnrollmentTokenId, RepositoryId, TeamId, UserId};
use domain::name;
use domain::policy::DevicePolicy;
use domain::role::Permission;
use domain::time::{Time, days, hours, minutes};
use secret::seal;
use std::time::Duration;

/// What every enrolment token begins with.
pub const TOKEN_PREFIX: &str = "hf_enroll_";

/// The setting that holds the required `aud` of devices' tokens.
const AUDIENCE: &str = "agent.audience";

/// An enrolment token as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    pub name: String,
    pub team_id: Option<TeamId>,
    pub ownership: Ownership,
    /// 1 for a one-time token.
    pub use_limit: i64,
    pub valid_for: Duration,
    /// The one device that is to enroll again; none for new devices.
    pub device_id: Option<DeviceId>,
}

/// Makes an enrolment token; an act. The text is shown once: only its hash is kept.
///
/// # Errors
/// When a field is wrong, or the device to enroll again does not exist.
pub fn make_token(conn: &mut Conn, actor: &Actor, draft: &TokenDraft, now: Time) -> Result<(EnrollmentToken, String)> {
    check_draft(draft)?;
    let device = match draft.device_id {
        Some(id) => Some(store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?),
        None => None,
    };
    if device.is_some() {
        check_again_limit(conn, actor, now)?;
    }
    let text = secret::generate(TOKEN_PREFIX)?;
    let token = EnrollmentToken {
        id: EnrollmentTokenId::generate(now),
        token_hash: secret::hash(&text),
        name: draft.name.trim().to_owned(),
        team_id: draft.team_id.or(device.as_ref().and_then(|it| it.team_id)),
        device_id: draft.device_id,
        ownership: draft.ownership,
        use_limit: draft.use_limit,
        use_count: 0,
        created_by: maker(actor).to_owned(),
        created_at: now,
        expires_at: now + draft.valid_for,
        revoked_at: None,
    };
    if act_of(conn, actor, draft, now)? == GuardedAct::MakeWideEnrollmentToken {
        guard::tell_of_token(conn, actor, &token, now)?;
    }
    store::enrollment_token::insert(conn, &token)?;
    record_token(conn, actor, Action::EnrollmentTokenMade, &token, now)?;
    Ok((token, text))
}

/// Which act making a token counts as: a person's open tokens count together, otherwise twenty tokens of twenty
/// uses each would slip through.
///
/// # Errors
/// When the database refuses.
pub fn act_of(conn: &mut Conn, actor: &Actor, draft: &TokenDraft, now: Time) -> Result<GuardedAct> {
    if draft.device_id.is_some() {
        return Ok(GuardedAct::EnrollAgain);
    }
    let open = store::enrollment_token::open_uses(conn, maker(actor), now)?;
    let is_wide = open.saturating_add(draft.use_limit) > FEW_USES;
    Ok(if is_wide { GuardedAct::MakeWideEnrollmentToken } else { GuardedAct::MakeEnrollmentToken })
}

/// Whoever enrolls another machine in a device's place has in effect removed it, so the same hourly limit
/// applies to both.
fn check_again_limit(conn: &mut Conn, actor: &Actor, now: Time) -> Result<()> {
    let per_hour = wipe::limits(conn, now)?.per_hour;
    if actor.via != Via::Web
        || store::enrollment_token::count_again(conn, maker(actor), now - hours(1), now)? < per_hour
    {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "you have made {per_hour} tokens for devices to enroll again within the hour, which is the limit; make the \
         next one later"
    )))
}

fn maker(actor: &Actor) -> &str {
    actor.id.as_deref().unwrap_or(&actor.name)
}

fn check_draft(draft: &TokenDraft) -> Result<()> {
    let mut errors = FieldErrors::new();
    name::check(&draft.name, "name", 80, &mut errors);
    if !(1..=100_000).contains(&draft.use_limit) {
        errors.add("use_limit", "1 to 100,000 devices");
    }
    if draft.device_id.is_some() && draft.use_limit != 1 {
        errors.add("use_limit", "a token for one device works once");
    }
    if draft.valid_for < minutes(1) || draft.valid_for > days(366) {
        errors.add("valid_for", "1 minute to 366 days");
    }
    Ok(errors.into_result()?)
}

/// Revokes an enrolment token; an act.
///
/// # Errors
/// When there is none, or it was already revoked.
pub fn revoke_token(conn: &mut Conn, actor: &Actor, id: EnrollmentTokenId, now: Time) -> Result<()> {
    let token = store::enrollment_token::find(conn, id)?.ok_or(Error::NotFound("enrolment token"))?;
    if !store::enrollment_token::revoke(conn, id, now)? {
        return Err(Error::Conflict("this token was already revoked".to_owned()));
    }
    record_token(conn, actor, Action::EnrollmentTokenRevoked, &token, now)
}

fn record_token(conn: &mut Conn, actor: &Actor, action: Action, token: &EnrollmentToken, now: Time) -> Result<()> {
    let mut act = Act::done(action, Object::new("enrollment_token", token.id, token.name.clone()));
    act.device = token.device_id;
    activity::record(conn, actor, &act, now)
}

/// Why a token lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("this enrolment token is unknown; check that all of it was copied")]
    Unknown,
    #[error("this enrolment token has expired; ask for a new one")]
    Expired,
    #[error("this enrolment token was revoked; ask for a new one")]
    Revoked,
    #[error("this enrolment token was already used; ask for a new one")]
    UsedUp,
    #[error(
        "the account that made this enrolment token may no longer enroll devices; ask somebody who may for a new one"
    )]
    Orphaned,
}

fn check_token(token: &EnrollmentToken, now: Time) -> std::result::Result<(), TokenRefusal> {
    match () {
        () if token.revoked_at.is_some() => Err(TokenRefusal::Revoked),
        () if token.expires_at <= now => Err(TokenRefusal::Expired),
        () if token.use_count >= token.use_limit => Err(TokenRefusal::UsedUp),
        () => Ok(()),
    }
}

/// What a machine that wants to join says about itself.
#[derive(Debug, Clone)]
pub struct Joining {
    /// The enrolment token, `hf_enroll_…`.
    pub token: String,
    pub name: String,
    pub person: String,
    pub platform: Platform,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub agent_version: String,
    /// Ed25519 public key, base64url without padding (32 bytes).
    pub signing_key: String,
    /// X25519 public key, base64 (32 bytes).
    pub sealing_key: String,
    /// Absolute paths of the folders that are backed up, and that a wipe erases.
    pub protected_roots: Vec<String>,
    /// The device this machine was until now, on this server or another.
    pub device_id: Option<DeviceId>,
    /// Which of its enrolments.
    pub device_generation: Option<i64>,
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

/// Checks what a device says about itself.
///
/// # Errors
/// Each wrong field.
pub fn check(enroll: &Joining) -> Result<()> {
    let mut errors = FieldErrors::new();
    for (field, text, least) in [
        ("name", &enroll.name, 1),
        ("person", &enroll.person, 0),
        ("model", &enroll.model, 0),
        ("serial", &enroll.serial, 0),
        ("os_version", &enroll.os_version, 0),
        ("agent_version", &enroll.agent_version, 0),
    ] {
        if text.trim().len() < least || text.len() > 200 || !name::is_plain(text) {
            errors.add(
                field,
                format!("{least} to 200 bytes, without control characters, line breaks or direction marks"),
            );
        }
    }
    if seal::PublicKey::parse(&enroll.sealing_key).is_err() {
        errors.add("sealing_key", "an X25519 public key is the base64 of 32 bytes");
    }
    if !(1..=MAX_ROOTS).contains(&enroll.protected_roots.len()) {
        errors.add("protected_roots", "1 to 64 folders");
    }
    if let Some(root) = enroll.protected_roots.iter().find(|it| !is_root(it, enroll.platform)) {
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
    Ok(store::setting::find(conn, AUDIENCE)?)
}

/// The public half of the key that opens backups for restore tests.
///
/// # Errors
/// When there is none yet, or the database refuses.
pub fn proof_key(conn: &mut Conn) -> Result<seal::PublicKey> {
    let key = proof::public_key(conn)?.ok_or_else(|| {
        Error::Refused("this server has no key for restore tests yet: start `holdfast prove` once".to_owned())
    })?;
    Ok(seal::PublicKey::parse(&key)?)
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
    store::setting::set(conn, AUDIENCE, &audience, now)?;
    Ok(audience)
}

/// Whether an enrolment may proceed, and over which device.
///
/// That is the device this same token and key enrolled before and that was never heard from since: its answer
/// was lost on the way, and asking again must neither use up the token nor create another device.
///
/// # Errors
/// `Refused` if the machine is an enrolled device that the token is not for; when the database refuses. A
/// token's refusal is a value.
pub fn admit(
    conn: &mut Conn,
    enroll: &Joining,
    now: Time,
) -> Result<Result<(EnrollmentToken, Option<Device>), TokenRefusal>> {
    let Some(token) = store::enrollment_token::find_by_hash(conn, &secret::hash(&enroll.token))? else {
        return Ok(Err(TokenRefusal::Unknown));
    };
    if !is_backed(conn, &token)? {
        return Ok(Err(TokenRefusal::Orphaned));
    }
    let holder = store::device::find_by_key(conn, &enroll.signing_key)?;
    let unheard = match &holder {
        Some(device) if device.enrollment_token_id == token.id => {
            let status = store::device_status::find(conn, device.id)?;
            holder.clone().filter(|_| status.is_none_or(|it| it.last_seen_at.is_none()))
        }
        _ => None,
    };
    match check_token(&token, now) {
        Err(TokenRefusal::UsedUp) if unheard.is_some() => {}
        Err(refusal) => return Ok(Err(refusal)),
        Ok(()) => {}
    }
    if unheard.is_none() && is_another(conn, enroll, holder, token.device_id)? {
        return Err(Error::Refused(
            "this machine is already enrolled; use \"Enroll again…\" on its device's page, or remove the device first"
                .to_owned(),
        ));
    }
    Ok(Ok((token, unheard)))
}

/// Whether a device could enroll with a token now; asking does not use it up.
///
/// # Errors
/// When the database refuses. A token's refusal is a value.
pub fn check_open(conn: &mut Conn, token: &str, now: Time) -> Result<std::result::Result<(), TokenRefusal>> {
    Ok(match store::enrollment_token::find_by_hash(conn, &secret::hash(token))? {
        None => Err(TokenRefusal::Unknown),
        Some(token) if !is_backed(conn, &token)? => Err(TokenRefusal::Orphaned),
        Some(token) => check_token(&token, now),
    })
}

/// Whether the account that made a token may still enroll devices in its team. What the host made needs no
/// account.
fn is_backed(conn: &mut Conn, token: &EnrollmentToken) -> Result<bool> {
    let Some(maker) = UserId::parse(&token.created_by) else { return Ok(true) };
    let again = match token.device_id {
        Some(id) => store::device::find(conn, id)?,
        None => None,
    };
    let team = again.map_or(token.team_id, |it| it.team_id);
    guard::still_holds(conn, maker, Permission::EnrollDevices, team)
}

/// Whether the machine is already an enrolled device, by its key or by what it says, that the token is not for.
fn is_another(conn: &mut Conn, enroll: &Joining, holder: Option<Device>, token_for: Option<DeviceId>) -> Result<bool> {
    let known = match (holder, enroll.device_id) {
        // One that another machine has since replaced is no longer that device.
        (None, Some(id)) => store::device::find(conn, id)?
            .filter(|it| it.state == DeviceState::Enrolled)
            .filter(|it| enroll.device_generation.is_none_or(|said| said >= it.generation)),
        (holder, _) => holder,
    };
    Ok(known.is_some_and(|it| token_for != Some(it.id)))
}

/// Joins a device, or enrolls one again: the token is used, the repository gets its rows, the device its
/// answer, all or nothing. An act.
///
/// `address` is where the request came from. `enroll` was checked by [`check`].
///
/// # Errors
/// When the database refuses, or a key is not valid. A token's refusal is a value; nothing was changed then.
pub fn enroll(
    conn: &mut Conn,
    enroll: &Joining,
    prepared: &Prepared,
    address: &str,
    now: Time,
) -> Result<Result<Joined, TokenRefusal>> {
    let (token, unheard) = match admit(conn, enroll, now)? {
        Ok(admitted) => admitted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // If two race for the last use, the update lets one through.
    if unheard.is_none() && !store::enrollment_token::take_use(conn, token.id, now)? {
        return Ok(Err(TokenRefusal::UsedUp));
    }
    let has_new_keys = unheard.is_none();
    let (device, action) = match (unheard, token.device_id) {
        (Some(device), _) => (join_over(conn, &device, enroll, &token, now)?, Action::DeviceReenrolled),
        (None, None) => (join(conn, enroll, &token, now)?, Action::DeviceEnrolled),
        (None, Some(id)) => (join_again(conn, id, enroll, &token, now)?, Action::DeviceReenrolled),
    };
    let repository = repository::insert(conn, prepared, device.id, device.generation, now)?;
    proof::refresh(conn, device.id)?;
    let by = device.actor(Via::Agent, address);
    let act = Act::done(action, Object::new("device", device.id, device.name.clone())).on(device.id);
    activity::record(conn, &by, &act, now)?;
    // A device whose answer was lost asks again with the keys already reported.
    if action == Action::DeviceReenrolled && has_new_keys {
        let maker = account::maker(conn, &token.created_by)?;
        alert::device_reenrolled(conn, &maker, &device, address, now)?;
    }
    answer(conn, &device, repository.id, now).map(Ok)
}

fn answer(conn: &mut Conn, device: &Device, repository: RepositoryId, now: Time) -> Result<Joined> {
    Ok(Joined {
        device: device.id,
        generation: device.generation,
        audience: make_audience(conn, now)?,
        ownership: device.ownership,
        repository,
        sealing_key: seal::PublicKey::parse(&device.sealing_key)?,
        policy: policy::device_policy(conn, device, now)?,
    })
}

fn join(conn: &mut Conn, enroll: &Joining, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let id = DeviceId::generate(now);
    let device = row(id, 1, enroll, token, now)?;
    store::device::insert(conn, &device)?;
    fact::forget(conn, id, now)?;
    Ok(device)
}

fn join_again(conn: &mut Conn, id: DeviceId, enroll: &Joining, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let old = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
    if old.signing_key == enroll.signing_key {
        return Err(Error::invalid("signing_key", "a new enrolment needs a new key"));
    }
    join_over(conn, &old, enroll, token, now)
}

/// A new enrolment over the previous one, whose commands and restores end.
fn join_over(conn: &mut Conn, old: &Device, enroll: &Joining, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let id = old.id;
    let device = row(id, old.generation + 1, enroll, token, now)?;
    if !store::device::reenroll(conn, &device, old.generation)? {
        return Err(Error::Conflict("this device enrolled again at the same time; try again".to_owned()));
    }
    for open in store::command::open_before(conn, id, device.generation)? {
        command::expire(conn, &open, "the device enrolled again", now)?;
    }
    restore::cancel_to(conn, id, "the device enrolled again", now)?;
    // What the previous machine said about itself is not known about this one.
    fact::forget(conn, id, now)?;
    Ok(device)
}

fn row(id: DeviceId, generation: i64, enroll: &Joining, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let roots = serde_json::to_string(&enroll.protected_roots).context("writing the protected folders")?;
    Ok(Device {
        id,
        name: enroll.name.trim().to_owned(),
        person: enroll.person.trim().to_owned(),
        team_id: token.team_id,
        platform: enroll.platform,
        model: enroll.model.trim().to_owned(),
        serial: serial(enroll, id),
        os_version: enroll.os_version.trim().to_owned(),
        ownership: token.ownership,
        state: DeviceState::Enrolled,
        generation,
        signing_key: enroll.signing_key.clone(),
        sealing_key: enroll.sealing_key.clone(),
        protected_roots: roots,
        agent_version: enroll.agent_version.clone(),
        enrollment_token_id: token.id,
        enrolled_at: now,
        erased_at: None,
    })
}

/// Virtual machines may have no serial number, but a wipe is confirmed by typing it, so they get one.
fn serial(enroll: &Joining, id: DeviceId) -> String {
    match enroll.serial.trim() {
        "" => format!("HF-{}", id.as_str().get(24..).unwrap_or_default().to_uppercase()),
        serial => serial.to_owned(),
    }
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
