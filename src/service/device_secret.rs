//! Secrets of devices: kept when a device gives one or is sent one, and shown to whoever has a reason.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::command::{self, Ask};
use crate::service::{freeze, guard, reach};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::device_secret::DeviceSecret;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::by::By;
use domain::command::{CommandKind, Order};
use domain::device_secret::SecretKind;
use domain::guard::GuardedAct;
use domain::id::{CommandId, DeviceSecretId};
use domain::role::Permission;
use domain::time::Time;

/// What decrypts secrets of devices; whoever has the proof key.
pub trait Unsealer: Send + Sync {
    /// The secret in words.
    ///
    /// # Errors
    /// When it was sealed with another key, or changed.
    fn unseal(&self, secret: &DeviceSecret) -> Result<String>;
}

/// A secret, encrypted for the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub kind: SecretKind,
    /// Base64.
    pub sealed: String,
    /// What the secret hashes to, hex.
    pub fingerprint: String,
}

/// Keeps a secret that a device gave, in the place of its last. A part of an act.
///
/// What another device brought is refused, and written down: it was taken from there, and would be told to this one at its next
/// change.
///
/// # Errors
/// When the database refuses.
pub fn keep(conn: &mut Conn, (actor, device): (&Actor, &Device), given: &Sealed, now: Time) -> Result<()> {
    if store::device_secret::is_of_another(conn, device.id, &given.fingerprint)? {
        let object = Object::new("device", device.id, given.kind.name());
        let entry = Act::done(Action::DeviceSecretKept, object)
            .on(device.id)
            .because(
                "another device brought the same one: it was not kept. If this is the same machine, enroll it again from that \
                 device’s page",
            )
            .ended(Outcome::Refused);
        return activity::record(conn, actor, &entry, now);
    }
    store::device_secret::end_current(conn, device.id, given.kind, now)?;
    let secret = DeviceSecret { confirmed_at: Some(now), ..new(device, given, now) };
    store::device_secret::insert(conn, &secret)?;
    note(conn, actor, device, &secret, now)
}

/// Keeps a secret that a command is about to carry to a device; it counts once the device answers.
///
/// # Errors
/// When the database refuses.
pub fn send(conn: &mut Conn, device: &Device, made: &Sealed, command: CommandId, now: Time) -> Result<()> {
    let secret = DeviceSecret { command_id: Some(command), ..new(device, made, now) };
    Ok(store::device_secret::insert(conn, &secret)?)
}

/// A device answered to a command: what it carried is in force, or nobody knows. A part of an act.
///
/// # Errors
/// When the database refuses.
pub fn answered(
    conn: &mut Conn,
    (actor, device): (&Actor, &Device),
    (command, done): (CommandId, bool),
    now: Time,
) -> Result<()> {
    let waiting = store::device_secret::of_command(conn, command)?;
    let Some(secret) = waiting.filter(|it| it.confirmed_at.is_none() && it.ended_at.is_none()) else { return Ok(()) };
    if !done {
        // It may have taken it the first time, and refuse it as the second.
        return Ok(store::device_secret::doubt(conn, secret.id, now)?);
    }
    store::device_secret::end_current(conn, device.id, secret.kind, now)?;
    store::device_secret::confirm(conn, secret.id, now)?;
    note(conn, actor, device, &secret, now)
}

/// Lets somebody read a secret: they have a reason, it is recorded, and people are told, before it is shown. What a device
/// can replace by itself is replaced. An act.
///
/// # Errors
/// `NotFound` beyond their reach, `Forbidden` without the permission, `Invalid` without a reason, `Refused` during a freeze.
pub fn reveal(conn: &mut Conn, by: &By, id: DeviceSecretId, reason: &str, now: Time) -> Result<(DeviceSecret, Device)> {
    let act = GuardedAct::RevealDeviceSecret;
    freeze::check(conn)?;
    let secret = store::device_secret::find(conn, id)?.ok_or(Error::NotFound("secret"))?;
    let device = reach::acted_on(conn, by, Permission::ReadContents, secret.device_id)?;
    let reason = guard::reason(act, reason)?;
    store::device_secret::set_revealed(conn, id, now)?;
    let object = Object::new("device_secret", id, secret.kind.name());
    let entry = Act::done(Action::DeviceSecretRevealed, object).on(device.id).because(reason);
    activity::record(conn, &by.actor, &entry, now)?;
    let (what, key) = (format!("Read the {}", secret.kind.name()), format!("{id}/{}", now.millis()));
    guard::tell_of_device(conn, &by.actor, (act, &what, reason), (&device, &key), now)?;
    let is_here = secret.ended_at.is_none() && secret.generation == device.generation;
    if secret.kind == SecretKind::RecoveryKey && is_here {
        rotate(conn, &device, now)?;
    }
    Ok((secret, device))
}

/// Whoever read the key is not to have it for ever.
fn rotate(conn: &mut Conn, device: &Device, now: Time) -> Result<()> {
    if command::require_order(conn, device, CommandKind::RotateRecoveryKey).is_err() {
        return Ok(());
    }
    let waiting: Vec<Command> = store::command::open(conn, device.id, device.generation, now)?;
    if waiting.iter().any(|it| it.kind == CommandKind::RotateRecoveryKey) {
        return Ok(());
    }
    let ask = Ask { order: &Order::RotateRecoveryKey, request_key: None };
    command::queue(conn, &Actor::system(), device, ask, now).map(drop)
}

fn new(device: &Device, given: &Sealed, now: Time) -> DeviceSecret {
    DeviceSecret {
        id: DeviceSecretId::generate(now),
        device_id: device.id,
        kind: given.kind,
        sealed: given.sealed.clone(),
        generation: device.generation,
        fingerprint: given.fingerprint.clone(),
        made_at: now,
        command_id: None,
        confirmed_at: None,
        doubted_at: None,
        ended_at: None,
        revealed_at: None,
    }
}

fn note(conn: &mut Conn, actor: &Actor, device: &Device, secret: &DeviceSecret, now: Time) -> Result<()> {
    let object = Object::new("device_secret", secret.id, secret.kind.name());
    activity::record(conn, actor, &Act::done(Action::DeviceSecretKept, object).on(device.id), now)
}
