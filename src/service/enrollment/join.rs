//! Joining: who may, over which device, and what a new enrolment ends. The same for every channel.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::enrollment::token::{self, TokenRefusal};
use crate::service::{account, alert, command, fact, hold, proof, repository, restore};
use crate::store::device::Device;
use crate::store::enrollment::Enrollment;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Object, Via};
use domain::channel::Channel;
use domain::device::{DeviceState, Platform};
use domain::id::DeviceId;
use domain::key_holder::NO_CROSSING;
use domain::name;
use domain::time::Time;

/// What a machine that wants to join says about itself.
#[derive(Debug, Clone)]
pub struct Newcomer {
    /// What the enrolment token, `hf_enroll_…`, hashes to.
    pub token_hash: String,
    pub name: String,
    pub person: String,
    pub platform: Platform,
    pub model: String,
    pub serial: String,
    pub os_version: String,
    pub channel: Channel,
    /// How the history names that channel.
    pub via: Via,
    /// What tells it apart on its channel, such as its public key. No two enrolled devices share one.
    pub identity: String,
    /// The device this machine was until now, on this server or another.
    pub device_id: Option<DeviceId>,
    /// Which of its enrolments.
    pub device_generation: Option<i64>,
}

/// Adds what is wrong with what a machine says about itself.
pub fn check(newcomer: &Newcomer, errors: &mut FieldErrors) {
    for (field, text, least) in [
        ("name", &newcomer.name, 1),
        ("person", &newcomer.person, 0),
        ("model", &newcomer.model, 0),
        ("serial", &newcomer.serial, 0),
        ("os_version", &newcomer.os_version, 0),
    ] {
        check_text(field, text, least, errors);
    }
}

/// Adds what is wrong with a short text of at least `least` bytes.
pub(super) fn check_text(field: &'static str, text: &str, least: usize, errors: &mut FieldErrors) {
    if text.trim().len() < least || text.len() > 200 || !name::is_plain(text) {
        errors.add(field, format!("{least} to 200 bytes, without control characters, line breaks or direction marks"));
    }
}

/// Whether an enrolment may proceed, and over which device.
///
/// That is the device this same token and identity enrolled before and that was never heard from since: its answer
/// was lost on the way, and asking again must neither use up the token nor create another device.
///
/// # Errors
/// `Refused` if the machine is an enrolled device that the token is not for; when the database refuses. A
/// token's refusal is a value.
pub fn admit(
    conn: &mut Conn,
    newcomer: &Newcomer,
    now: Time,
) -> Result<Result<(EnrollmentToken, Option<Device>), TokenRefusal>> {
    let Some(token) = store::enrollment_token::find_by_hash(conn, &newcomer.token_hash)? else {
        return Ok(Err(TokenRefusal::Unknown));
    };
    if !token::is_backed(conn, &token)? {
        return Ok(Err(TokenRefusal::Orphaned));
    }
    let holder = store::enrollment::holder(conn, &newcomer.channel.name, &newcomer.identity)?;
    let unheard = match &holder {
        Some((device, enrollment)) if enrollment.token_id == token.id => {
            let status = store::device_status::find(conn, device.id)?;
            Some(device.clone()).filter(|_| status.is_none_or(|it| it.last_seen_at.is_none()))
        }
        _ => None,
    };
    match token::check(&token, now) {
        Err(TokenRefusal::UsedUp) if unheard.is_some() => {}
        Err(refusal) => return Ok(Err(refusal)),
        Ok(()) => {}
    }
    let holder = holder.map(|(device, _)| device);
    if unheard.is_none() && is_another(conn, newcomer, holder, token.device_id)? {
        return Err(Error::Refused(
            "this machine is already enrolled; use \"Enroll again…\" on its device's page, or remove the device first"
                .to_owned(),
        ));
    }
    Ok(Ok((token, unheard)))
}

/// Whether the machine is already an enrolled device, by its identity or by what it says, that the token is not for.
fn is_another(
    conn: &mut Conn,
    newcomer: &Newcomer,
    holder: Option<Device>,
    token_for: Option<DeviceId>,
) -> Result<bool> {
    let known = match (holder, newcomer.device_id) {
        // One that another machine has since replaced is no longer that device.
        (None, Some(id)) => store::device::find(conn, id)?
            .filter(|it| it.state == DeviceState::Enrolled)
            .filter(|it| newcomer.device_generation.is_none_or(|said| said >= it.generation)),
        (holder, _) => holder,
    };
    Ok(known.is_some_and(|it| token_for != Some(it.id)))
}

/// Joins a device, or enrolls one again: the token is used, what belonged to an older enrolment ends. An act.
///
/// `address` is where the request came from. `newcomer` was checked by [`check`]. What the channel keeps of its own
/// is added by the caller, in the same transaction.
///
/// # Errors
/// When the database refuses, or the identity was another enrolment's. A token's refusal is a value; nothing was
/// changed then.
pub fn join(conn: &mut Conn, newcomer: &Newcomer, address: &str, now: Time) -> Result<Result<Device, TokenRefusal>> {
    // Whoever calls this may have asked before, but outside of this transaction.
    let (token, unheard) = match admit(conn, newcomer, now)? {
        Ok(admitted) => admitted,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // If two race for the last use, the update lets one through.
    if unheard.is_none() && !store::enrollment_token::take_use(conn, token.id, now)? {
        return Ok(Err(TokenRefusal::UsedUp));
    }
    let is_known_already = unheard.is_some();
    let (device, action) = match (unheard, token.device_id) {
        (Some(device), _) => (join_over(conn, &device, newcomer, &token, now)?, Action::DeviceReenrolled),
        (None, None) => (join_anew(conn, newcomer, &token, now)?, Action::DeviceEnrolled),
        (None, Some(id)) => (join_again(conn, id, newcomer, &token, now)?, Action::DeviceReenrolled),
    };
    enroll(conn, &device, newcomer, &token, now)?;
    proof::refresh(conn, device.id)?;
    let by = device.actor(newcomer.via, address);
    let act = Act::done(action, Object::new("device", device.id, device.name.clone())).on(device.id);
    activity::record(conn, &by, &act, now)?;
    // A device whose answer was lost asks again with the identity already reported.
    if action == Action::DeviceReenrolled && !is_known_already {
        let maker = account::maker(conn, &token.created_by)?;
        alert::device_reenrolled(conn, &maker, &device, address, now)?;
    }
    Ok(Ok(device))
}

fn enroll(conn: &mut Conn, device: &Device, newcomer: &Newcomer, token: &EnrollmentToken, now: Time) -> Result<()> {
    let enrollment = Enrollment {
        device_id: device.id,
        generation: device.generation,
        channel: newcomer.channel.name.clone(),
        identity: newcomer.identity.clone(),
        carries: serde_json::to_string(&newcomer.channel.carries).context("writing what a channel carries")?,
        token_id: token.id,
        enrolled_at: now,
        ended_at: None,
        cannot: serde_json::to_string(&newcomer.channel.cannot).context("writing what a channel does not carry")?,
    };
    // The index of identities decides between two that come at once.
    store::enrollment::insert(conn, &enrollment).map_err(|error| {
        Error::or_taken(error, Error::Conflict("another machine enrolled with this identity just now".to_owned()))
    })
}

fn join_anew(conn: &mut Conn, newcomer: &Newcomer, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let id = DeviceId::generate(now);
    let device = row(id, 1, newcomer, token, now);
    store::device::insert(conn, &device)?;
    fact::forget(conn, id, now)?;
    Ok(device)
}

fn join_again(
    conn: &mut Conn,
    id: DeviceId,
    newcomer: &Newcomer,
    token: &EnrollmentToken,
    now: Time,
) -> Result<Device> {
    let old = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
    let had = store::enrollment::find(conn, old.id, old.generation)?;
    // With the same key, a copy of the old machine would go on as this device.
    if had.is_some_and(|it| it.channel == newcomer.channel.name && it.identity == newcomer.identity) {
        return Err(Error::invalid("identity", "a new enrolment needs a new key"));
    }
    join_over(conn, &old, newcomer, token, now)
}

/// A new enrolment over the previous one, whose commands and restores end.
fn join_over(conn: &mut Conn, old: &Device, newcomer: &Newcomer, token: &EnrollmentToken, now: Time) -> Result<Device> {
    let id = old.id;
    if store::team::is_apart(conn, old.team_id, token.team_id)? {
        return Err(Error::Refused(NO_CROSSING.to_owned()));
    }
    // The newcomer says whose it is.
    hold::carry(conn, old)?;
    let device = row(id, old.generation + 1, newcomer, token, now);
    if !store::device::reenroll(conn, &device, old.generation)? {
        return Err(Error::Conflict("this device enrolled again at the same time; try again".to_owned()));
    }
    // Before the new one is added: it ends whatever has no end yet.
    store::enrollment::end(conn, id, now)?;
    repository::close_older(conn, id, device.generation, now)?;
    for open in store::command::open_before(conn, id, device.generation)? {
        command::expire(conn, &open, "the device enrolled again", now)?;
    }
    restore::cancel_to(conn, id, "the device enrolled again", now)?;
    // What the previous machine said about itself is not known about this one.
    fact::forget(conn, id, now)?;
    Ok(device)
}

fn row(id: DeviceId, generation: i64, newcomer: &Newcomer, token: &EnrollmentToken, now: Time) -> Device {
    Device {
        id,
        name: newcomer.name.trim().to_owned(),
        person: newcomer.person.trim().to_owned(),
        team_id: token.team_id,
        platform: newcomer.platform,
        model: newcomer.model.trim().to_owned(),
        serial: serial(newcomer, id),
        os_version: newcomer.os_version.trim().to_owned(),
        ownership: token.ownership,
        state: DeviceState::Enrolled,
        generation,
        enrolled_at: now,
        erased_at: None,
    }
}

/// Virtual machines may have no serial number, but a wipe is confirmed by typing it, so they get one.
fn serial(newcomer: &Newcomer, id: DeviceId) -> String {
    match newcomer.serial.trim() {
        "" => format!("HF-{}", id.as_str().get(24..).unwrap_or_default().to_uppercase()),
        serial => serial.to_owned(),
    }
}
