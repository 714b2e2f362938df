//! Commands: queued by people and rules, delivered at a check-in, ended by the device's own answer.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::guard;
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::command::{CommandKind, CommandState, Order};
use domain::device::DeviceState;
use domain::guard::{FEW_LOCKS, GuardedAct};
use domain::id::CommandId;
use domain::time::{Time, days, hours};
use std::time::Duration;

/// What a device is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub order: &'a Order,
    /// A key chosen by the one who asks: the same key again means the same command.
    pub request_key: Option<&'a str>,
}

/// How long a command waits for its device.
const fn lifetime(kind: CommandKind) -> Duration {
    match kind {
        CommandKind::BackUpNow => days(1),
        CommandKind::Lock | CommandKind::Restore => days(7),
        // An order is handed out within 7 days, and the device reports for 7 more.
        CommandKind::Wipe | CommandKind::RemoveCompanyData => days(15),
    }
}

/// Queues a command for the device's enrolment as it is now; an act.
///
/// Wake the device with `Wake::device` after the commit.
///
/// # Errors
/// When the device is not enrolled, or the request key belongs to another command.
pub fn queue(conn: &mut Conn, actor: &Actor, device: &Device, ask: Ask<'_>, now: Time) -> Result<Command> {
    if let Some(key) = ask.request_key
        && let Some(earlier) = store::command::find_by_request_key(conn, key)?
    {
        return if earlier.device_id == device.id && earlier.kind == ask.order.kind() {
            Ok(earlier)
        } else {
            Err(Error::Conflict("this form was already used for another command; reload the page".to_owned()))
        };
    }
    if device.state != DeviceState::Enrolled {
        return Err(takes_none(device));
    }
    let command = Command {
        id: CommandId::generate(now),
        device_id: device.id,
        generation: device.generation,
        kind: ask.order.kind(),
        payload: serde_json::to_string(ask.order).context("writing a command's order")?,
        state: CommandState::Queued,
        request_key: ask.request_key.map(ToOwned::to_owned),
        created_by: maker(actor).to_owned(),
        created_at: now,
        expires_at: now + lifetime(ask.order.kind()),
        delivered_at: None,
        finished_at: None,
        result: None,
    };
    store::command::insert(conn, &command)?;
    let act = Act::done(Action::CommandQueued, object(&command)).on(device.id);
    activity::record(conn, actor, &act, now)?;
    Ok(command)
}

/// Queues a command for one device, as a button on its page does. Locking devices one after another is no way
/// around the page for many.
///
/// # Errors
/// As [`queue`]; `Refused` if this person has locked [`FEW_LOCKS`] devices within the hour.
pub fn queue_one(conn: &mut Conn, actor: &Actor, device: &Device, ask: Ask<'_>, now: Time) -> Result<Command> {
    let is_new = match ask.request_key {
        Some(key) => store::command::find_by_request_key(conn, key)?.is_none(),
        None => true,
    };
    if ask.order.kind() == CommandKind::Lock
        && is_new
        && store::command::count_by(conn, maker(actor), ask.order.kind(), now - hours(1), now)? >= FEW_LOCKS
    {
        return Err(Error::Refused(format!(
            "you locked {FEW_LOCKS} devices within the hour; lock more from the list of devices, which asks for your \
             password and notifies the people concerned"
        )));
    }
    queue(conn, actor, device, ask, now)
}

fn maker(actor: &Actor) -> &str {
    actor.id.as_deref().unwrap_or(&actor.name)
}

/// Queues one command for each of several devices, and tells those named in the table of guards; an act.
///
/// `key` is the form's: the same key again queues nothing twice, and it identifies them all for "Cancel all".
///
/// # Errors
/// When a device is not enrolled, or there is no key.
pub fn queue_many(
    conn: &mut Conn,
    actor: &Actor,
    (act, order): (GuardedAct, &Order),
    (devices, key): (&[Device], &str),
    now: Time,
) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("request_key", "load the list again"));
    }
    for device in devices {
        let key = format!("{key}/{}/{}", order.kind(), device.id);
        queue(conn, actor, device, Ask { order, request_key: Some(&key) }, now)?;
    }
    guard::tell_of_many(conn, actor, (act, order.kind().name()), (devices, key), now)
}

/// Why a device that is not enrolled gets no command.
pub fn takes_none(device: &Device) -> Error {
    Error::Refused(format!("the device {} is “{}”: it accepts no commands", device.name, device.state.name()))
}

/// Cancels a command that no device has received yet; an act.
///
/// # Errors
/// When it was delivered or has ended, or belongs to a wipe or restore, which are stopped in their own way.
pub fn cancel(conn: &mut Conn, actor: &Actor, id: CommandId, now: Time) -> Result<Command> {
    let command = store::command::find(conn, id)?.ok_or(Error::NotFound("command"))?;
    match command.kind {
        CommandKind::Wipe | CommandKind::RemoveCompanyData => {
            return Err(Error::Refused("stop the wipe request instead".to_owned()));
        }
        CommandKind::Restore => return Err(Error::Refused("cancel the restore instead".to_owned())),
        CommandKind::Lock | CommandKind::BackUpNow => {}
    }
    if !withdraw(conn, id, "cancelled before it was delivered", now)? {
        return Err(Error::Conflict(format!("too late: the command is “{}”", command.state.name())));
    }
    let act = Act::done(Action::CommandCancelled, object(&command)).on(command.device_id);
    activity::record(conn, actor, &act, now)?;
    store::command::find(conn, id)?.ok_or(Error::NotFound("command"))
}

/// Takes back a queued command, without its own entry; false if it was delivered or has ended.
///
/// For wipes and restores, where the stop itself is the recorded act.
///
/// # Errors
/// When the database refuses.
pub fn withdraw(conn: &mut Conn, id: CommandId, why: &str, now: Time) -> Result<bool> {
    Ok(store::command::finish(conn, id, &[CommandState::Queued], CommandState::Cancelled, (why, now))?)
}

/// Ends an open command that nobody answered; false if it has ended in the meantime.
///
/// # Errors
/// When the database refuses.
pub fn expire(conn: &mut Conn, command: &Command, why: &str, now: Time) -> Result<bool> {
    let open = [CommandState::Queued, CommandState::Delivered];
    if !store::command::finish(conn, command.id, &open, CommandState::Expired, (why, now))? {
        return Ok(false);
    }
    let act = Act::done(Action::CommandExpired, object(command)).on(command.device_id).because(why);
    activity::record(conn, &Actor::system(), &act, now)?;
    Ok(true)
}

/// Expires open commands whose time is over, at most `limit`; returns how many.
///
/// # Errors
/// When the database refuses.
pub fn expire_overdue(conn: &mut Conn, limit: i64, now: Time) -> Result<usize> {
    let mut count = 0;
    for command in store::command::overdue(conn, now, limit)? {
        let why = if command.state == CommandState::Queued {
            "the device did not check in before the command expired"
        } else {
            "the device did not answer before the command expired"
        };
        count += usize::from(expire(conn, &command, why, now)?);
    }
    Ok(count)
}

/// Ends a command that was not queued by somebody with the right to, or was changed since. An act.
///
/// # Errors
/// When the database refuses.
pub(super) fn refuse(conn: &mut Conn, command: &Command, why: &str, now: Time) -> Result<()> {
    tracing::error!(command = %command.id, device = %command.device_id, why, "a command was refused at delivery");
    let open = [CommandState::Queued, CommandState::Delivered];
    if !store::command::finish(conn, command.id, &open, CommandState::Cancelled, (why, now))? {
        return Ok(());
    }
    let act =
        Act::done(Action::CommandCancelled, object(command)).on(command.device_id).because(why).ended(Outcome::Refused);
    activity::record(conn, &Actor::system(), &act, now)
}

/// How the history names a command.
pub fn object(command: &Command) -> Object {
    Object::new("command", command.id, command.kind.name())
}
