//! Whose certificate it is that a message came with. Nothing else says who speaks.
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome, Via};
use domain::time::Time;

/// Why a certificate of ours lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefusal {
    #[error("this server does not know the certificate")]
    Unknown,
    #[error("the certificate was revoked, or a newer one of the device is in use")]
    Revoked,
    #[error("this enrolment has ended; enroll the device again")]
    Ended,
    #[error("the certificate is another device’s")]
    OtherDevice,
    #[error("this profile was made for the device with another serial number")]
    OtherSerial,
    #[error("this profile is for a personal device, which names itself by its enrolment alone")]
    NotByAccount,
}

/// A message's sender, as its certificate shows it.
#[derive(Debug, Clone)]
pub struct Known {
    pub enrollment: AppleEnrollment,
    /// None until it enrolled.
    pub device: Option<Device>,
}

/// Whose certificate it is that a message came with which `name` says it is from.
///
/// # Errors
/// When the database refuses. A refusal is a value.
pub fn recognise(
    conn: &mut Conn,
    fingerprint: &str,
    name: &str,
    now: Time,
) -> Result<std::result::Result<Known, IdentityRefusal>> {
    let Some((certificate, enrollment)) = store::apple::certificate::find(conn, fingerprint)? else {
        return Ok(Err(IdentityRefusal::Unknown));
    };
    if certificate.revoked_at.is_some() {
        return Ok(Err(IdentityRefusal::Revoked));
    }
    if enrollment.name.as_deref().is_some_and(|it| it != name) {
        return Ok(Err(IdentityRefusal::OtherDevice));
    }
    if !stands(conn, &enrollment)? {
        return Ok(Err(IdentityRefusal::Ended));
    }
    if certificate.used_at.is_none() {
        // Those before it go: the device has shown that it has this one.
        store::apple::certificate::begin_use(conn, &certificate, now)?;
    }
    let device = match enrollment.device_id {
        Some(id) => store::device::find(conn, id)?,
        None => None,
    };
    Ok(Ok(Known { enrollment, device }))
}

/// Whether an enrolment is in force, or may become so.
///
/// # Errors
/// When the database refuses.
pub fn stands(conn: &mut Conn, enrollment: &AppleEnrollment) -> Result<bool> {
    let is_current = match (enrollment.device_id, enrollment.generation) {
        (Some(device), Some(generation)) => store::apple::enrollment::is_current(conn, device, generation)?,
        (None, _) | (Some(_), None) => true,
    };
    Ok(enrollment.ended_at.is_none() && is_current)
}

/// Writes down that somebody used one device's certificate in another's name. An act.
///
/// # Errors
/// When the database refuses.
pub fn refused(
    conn: &mut Conn,
    (fingerprint, refusal): (&str, IdentityRefusal),
    name: &str,
    address: &str,
    now: Time,
) -> Result<()> {
    let Some((_, enrollment)) = store::apple::certificate::find(conn, fingerprint)? else { return Ok(()) };
    let device = match enrollment.device_id {
        Some(id) => store::device::find(conn, id)?,
        None => None,
    };
    let reason = match (refusal, &enrollment.only_serial) {
        (IdentityRefusal::OtherSerial, Some(serial)) => {
            format!("the profile made for the serial number {serial} was used by {name}, which has another")
        }
        _ => format!("its certificate came with a message in the name of {name}"),
    };
    let object = match &device {
        Some(device) => Object::new("device", device.id, device.name.clone()),
        None => Object::new("apple_enrollment", enrollment.id, "an enrolment that has not finished"),
    };
    let act = Act::done(Action::IdentityRefused, object).because(&reason).ended(Outcome::Refused);
    let (act, actor) = match &device {
        Some(device) => (act.on(device.id), device.actor(Via::Apple, address)),
        None => (act, Actor { via: Via::Apple, address: address.to_owned(), ..Actor::system() }),
    };
    activity::record(conn, &actor, &act, now)
}
