//! How an Apple device enrolls: a profile, its first words, and then where it is reached.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::command;
use crate::service::enrollment::join::{self, Newcomer};
use crate::service::enrollment::{TokenRefusal, check_open};
use crate::store::apple::enrollment::{AppleEnrollment, Reached};
use crate::store::device::Device;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::{Context, anyhow};
use domain::activity::{Action, Object, Via};
use domain::channel::Channel;
use domain::device::{Ownership, Platform};
use domain::id::AppleEnrollmentId;
use domain::time::{Time, days, minutes};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the one-time password of a profile is good.
const CHALLENGE_LIFE: Duration = minutes(60);

/// After how long a profile that no device came with is forgotten.
pub const FORGET_UNUSED: Duration = days(7);

/// How many profiles may wait for their device, for each that a token still lets in.
const PROFILES_EACH: i64 = 20;

/// What a profile needs that was made for a token.
#[derive(Debug, Clone)]
pub struct Begun {
    pub enrollment: AppleEnrollment,
    pub ownership: Ownership,
    /// Gives one certificate.
    pub challenge: String,
}

/// What the server allows itself on a device, as bits of Apple's `AccessRights`.
pub trait Rights {
    /// Those for devices of this owner.
    fn of(&self, ownership: Ownership) -> i64;
}

impl<F: Fn(Ownership) -> i64> Rights for F {
    fn of(&self, ownership: Ownership) -> i64 {
        self(ownership)
    }
}

/// Which orders reach a device that says this of itself, and enrolled like this.
pub trait Abilities {
    /// Its channel.
    fn of(&self, said: &Introduction, ownership: Ownership, enrollment: &AppleEnrollment) -> Channel;
}

impl<F: Fn(&Introduction, Ownership, &AppleEnrollment) -> Channel> Abilities for F {
    fn of(&self, said: &Introduction, ownership: Ownership, enrollment: &AppleEnrollment) -> Channel {
        self(said, ownership, enrollment)
    }
}

/// Begins an enrolment with a token: it is used up only once a device comes with the profile.
///
/// # Errors
/// When too many profiles wait, or the database refuses. A token's refusal is a value.
pub fn begin(
    conn: &mut Conn,
    token: &str,
    topic: &str,
    rights: &dyn Rights,
    now: Time,
) -> Result<std::result::Result<Begun, TokenRefusal>> {
    if let Err(refusal) = check_open(conn, token, now)? {
        return Ok(Err(refusal));
    }
    let token = store::enrollment_token::find_by_hash(conn, &secret::hash(token))?;
    let token = token.ok_or(Error::NotFound("enrolment token"))?;
    if store::apple::account::of_token(conn, token.id)?.is_some() {
        return Err(Error::Refused(
            "this token is for somebody who signs in with their account on the device".to_owned(),
        ));
    }
    begin_with(conn, &token, Bound::default(), (topic, rights), now).map(Ok)
}

/// What a profile is bound to beside its token.
#[derive(Debug, Clone, Default)]
pub struct Bound {
    /// Its person’s Managed Apple Account.
    pub account: Option<String>,
    /// The only device that may come with it.
    pub serial: Option<String>,
}

/// Begins an enrolment with a token that lets somebody in.
///
/// # Errors
/// When too many profiles wait, or the database refuses.
pub fn begin_with(
    conn: &mut Conn,
    token: &EnrollmentToken,
    bound: Bound,
    (topic, rights): (&str, &dyn Rights),
    now: Time,
) -> Result<Begun> {
    let left = (token.use_limit - token.use_count).max(1).saturating_mul(PROFILES_EACH);
    if store::apple::enrollment::unused(conn, token.id)? >= left {
        return Err(Error::TooMany(minutes(60)));
    }
    let enrollment = AppleEnrollment {
        id: AppleEnrollmentId::generate(now),
        token_id: token.id,
        topic: topic.to_owned(),
        rights: rights.of(token.ownership),
        made_at: now,
        name: None,
        said: None,
        device_id: None,
        generation: None,
        push_token: None,
        push_magic: None,
        unlock_token: None,
        bootstrap_token: None,
        push_due_at: now,
        push_tries: 0,
        ended_at: None,
        account: bound.account,
        only_serial: bound.serial,
    };
    store::apple::enrollment::insert(conn, &enrollment)?;
    let challenge = challenge(conn, enrollment.id, now)?;
    Ok(Begun { enrollment, ownership: token.ownership, challenge })
}

/// A new one-time password for an enrolment; earlier ones end.
///
/// # Errors
/// When the database refuses.
pub fn challenge(conn: &mut Conn, id: AppleEnrollmentId, now: Time) -> Result<String> {
    store::apple::challenge::close(conn, id, now)?;
    let text = secret::generate("")?;
    store::apple::challenge::insert(conn, &secret::hash(&text), id, now + CHALLENGE_LIFE)?;
    Ok(text)
}

/// What a device says of itself when it first speaks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Introduction {
    pub platform: Platform,
    pub name: String,
    pub model: String,
    pub serial: String,
    pub os_version: String,
}

/// A device speaks for the first time: it is told at once if it may not enroll.
///
/// # Errors
/// `Refused` with the reason, `Invalid` if a text is odd; when the database refuses.
pub fn introduce(
    conn: &mut Conn,
    enrollment: &AppleEnrollment,
    name: &str,
    said: &Introduction,
    now: Time,
) -> Result<()> {
    let mut errors = FieldErrors::new();
    // Nobody asks here what reaches it.
    let newcomer = newcomer(conn, enrollment, (name, said), Channel::new(Channel::APPLE, &[]))?;
    join::check(&newcomer, &mut errors);
    errors.into_result()?;
    if enrollment.device_id.is_none() {
        join::admit(conn, &newcomer, now)?.map_err(|it| Error::Refused(it.to_string()))?;
    }
    let json = serde_json::to_string(said).context("writing what a device says of itself")?;
    match store::apple::enrollment::introduce(conn, enrollment.id, name, &json)? {
        true => Ok(()),
        false => Err(Error::Conflict("another device came with this profile first".to_owned())),
    }
}

/// A device says where it is reached: the first time, that makes it ours. An act then.
///
/// # Errors
/// `Refused` with the reason; when the database refuses.
pub fn reached(
    conn: &mut Conn,
    enrollment: &AppleEnrollment,
    (reached, abilities): (&Reached, &dyn Abilities),
    address: &str,
    now: Time,
) -> Result<()> {
    if enrollment.device_id.is_none() {
        join_first(conn, enrollment, abilities, address, now)?;
    }
    Ok(store::apple::enrollment::set_reached(conn, enrollment.id, reached)?)
}

fn join_first(
    conn: &mut Conn,
    enrollment: &AppleEnrollment,
    abilities: &dyn Abilities,
    address: &str,
    now: Time,
) -> Result<()> {
    let (Some(name), Some(said)) = (&enrollment.name, &enrollment.said) else {
        return Err(Error::Refused("the device has not said what it is".to_owned()));
    };
    let said: Introduction = serde_json::from_str(said).context("reading what a device says of itself")?;
    let token = store::enrollment_token::find(conn, enrollment.token_id)?;
    let ownership = token.map_or(Ownership::Personal, |it| it.ownership);
    let channel = abilities.of(&said, ownership, enrollment);
    let newcomer = newcomer(conn, enrollment, (name, &said), channel)?;
    let device = join::join(conn, &newcomer, address, now)?.map_err(|it| Error::Refused(it.to_string()))?;
    Ok(store::apple::enrollment::join(conn, enrollment.id, device.id, device.generation)?)
}

fn newcomer(
    conn: &mut Conn,
    enrollment: &AppleEnrollment,
    (name, said): (&str, &Introduction),
    channel: Channel,
) -> Result<Newcomer> {
    let token = store::enrollment_token::find(conn, enrollment.token_id)?;
    let token = token.ok_or_else(|| anyhow!("an enrolment without its token"))?;
    let known = store::apple::enrollment::named(conn, name)?;
    Ok(Newcomer {
        name: said.name.clone(),
        person: String::new(),
        platform: said.platform,
        model: said.model.clone(),
        serial: said.serial.clone(),
        os_version: said.os_version.clone(),
        channel,
        via: Via::Apple,
        // The certificate's, and not the device's own name: that anybody can say.
        identity: enrollment.id.to_string(),
        device_id: known.map(|(device, _)| device),
        device_generation: known.map(|(_, generation)| generation),
        token_hash: token.token_hash,
    })
}

/// Keeps which orders reach a device, as far as that changed: what it says of itself decides it.
///
/// # Errors
/// When the database refuses.
pub fn set_channel(conn: &mut Conn, device: &Device, channel: &Channel) -> Result<()> {
    let Some(enrollment) = store::enrollment::find(conn, device.id, device.generation)? else { return Ok(()) };
    if enrollment.channel()? == *channel {
        return Ok(());
    }
    let carries = serde_json::to_string(&channel.carries).context("writing what a channel carries")?;
    let cannot = serde_json::to_string(&channel.cannot).context("writing what a channel does not carry")?;
    Ok(store::enrollment::set_carries(conn, device.id, device.generation, (&carries, &cannot))?)
}

/// The device says that it is managed no more. An act.
///
/// # Errors
/// When the database refuses.
pub fn left(
    conn: &mut Conn,
    enrollment: &AppleEnrollment,
    device: Option<&Device>,
    address: &str,
    now: Time,
) -> Result<()> {
    store::apple::enrollment::end(conn, enrollment.id, now)?;
    store::apple::certificate::revoke(conn, enrollment.id, now)?;
    let Some(device) = device else { return Ok(()) };
    for open in store::command::open_before(conn, device.id, device.generation + 1)? {
        command::expire(conn, &open, "the device left management", now)?;
    }
    store::enrollment::end(conn, device.id, now)?;
    let act = Act::done(Action::DeviceLeft, Object::new("device", device.id, device.name.clone())).on(device.id);
    activity::record(conn, &device.actor(Via::Apple, address), &act, now)
}
