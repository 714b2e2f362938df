//! Asking a device to do something.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::{freeze, guard, reach};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor};
use domain::by::By;
use domain::channel::{Channel, may_order};
use domain::command::{CommandKind, CommandState, Order};
use domain::device::DeviceState;
use domain::guard::{FEW_LOCKS, GuardedAct};
use domain::id::{CommandId, DeviceId};
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
        // Later they would do harm, or tell something that is over.
        CommandKind::BackUpNow
        | CommandKind::PlaySound
        | CommandKind::Locate
        | CommandKind::ClearPasscode
        | CommandKind::Restart
        | CommandKind::ShutDown => days(1),
        CommandKind::Lock
        | CommandKind::Restore
        | CommandKind::UndoRestore
        | CommandKind::LostModeOff
        | CommandKind::RotateRecoveryKey
        | CommandKind::SetRecoveryLock
        | CommandKind::FetchBypassCode => days(7),
        // Whoever has it may keep it switched off for long.
        CommandKind::LostModeOn => days(365),
        // An order is handed out within 7 days, and the device reports for 7 more.
        CommandKind::Wipe | CommandKind::RemoveCompanyData => days(15),
    }
}

/// Queues a command for the device's enrolment as it is now; an act, or a part of one whose rules were checked.
///
/// # Errors
/// When the device is not enrolled, or the request key belongs to another command.
pub fn queue(conn: &mut Conn, actor: &Actor, device: &Device, ask: Ask<'_>, now: Time) -> Result<Command> {
    // Before any rule: a form that is sent twice gets its command even if the device has changed since.
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
    require_order(conn, device, ask.order.kind())?;
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
    let act = Act::done(Action::CommandQueued, command.object()).on(device.id);
    activity::record(conn, actor, &act, now)?;
    // It need not wait until the device was to be woken again.
    store::apple::push::hurry(conn, device.id, now)?;
    Ok(command)
}

/// Queues a command for one device, as a button on its page does. Locking devices one after another is no way
/// around the page for many.
///
/// # Errors
/// As [`queue`]; `Refused` if this person has locked [`FEW_LOCKS`] devices within the hour, or the command comes
/// only from a request of its own, as a wipe does.
pub fn queue_one(conn: &mut Conn, by: &By, id: DeviceId, ask: Ask<'_>, now: Time) -> Result<Command> {
    let device = asked_of(conn, by, id, ask.order.kind())?;
    let is_new = match ask.request_key {
        Some(key) => store::command::find_by_request_key(conn, key)?.is_none(),
        None => true,
    };
    if is_new && is_many(conn, by, ask.order.kind(), now)? {
        return Err(Error::Refused(too_many(ask.order.kind())));
    }
    queue(conn, &by.actor, &device, ask, now)
}

/// Whether this person has asked this of so many devices that one more would be one of many.
fn is_many(conn: &mut Conn, by: &By, kind: CommandKind, now: Time) -> Result<bool> {
    // A backup does no harm.
    if kind == CommandKind::BackUpNow {
        return Ok(false);
    }
    Ok(store::command::count_by(conn, maker(&by.actor), kind, now - hours(1), now)? >= FEW_LOCKS)
}

fn too_many(kind: CommandKind) -> String {
    if kind == CommandKind::Lock {
        return format!(
            "you locked {FEW_LOCKS} devices within the hour; lock more from the list of devices, which asks for your \
             password and notifies the people concerned"
        );
    }
    format!("you asked “{}” of {FEW_LOCKS} devices within the hour; wait, or let somebody else go on", kind.name())
}

/// Queues an order that its kind's row in the table of guards lets somebody give to one device, and tells those it names. An
/// act. The password was asked for before.
///
/// # Errors
/// As [`queue_one`]; `Invalid` if a reason is missing, or the note that the device shows is wrong.
pub fn queue_guarded(
    conn: &mut Conn,
    by: &By,
    id: DeviceId,
    (ask, reason): (Ask<'_>, &str),
    now: Time,
) -> Result<Command> {
    check_note(ask.order)?;
    let kind = ask.order.kind();
    if kind.loosens() {
        freeze::check(conn)?;
    }
    let said = kind.guarded().map(|act| guard::reason(act, reason).map(|it| (act, it))).transpose()?;
    let command = queue_one(conn, by, id, ask, now)?;
    if let Some((act, reason)) = said {
        let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
        guard::tell_of_device(conn, &by.actor, (act, kind.name(), reason), (&device, command.id.as_str()), now)?;
    }
    Ok(command)
}

fn check_note(order: &Order) -> Result<()> {
    match order {
        Order::Lock { note } => Ok(note.check(false)?),
        Order::LostModeOn { note } => Ok(note.check(true)?),
        Order::BackUpNow
        | Order::Wipe { .. }
        | Order::RemoveCompanyData
        | Order::Restore(_)
        | Order::UndoRestore { .. }
        | Order::LostModeOff
        | Order::PlaySound
        | Order::Locate
        | Order::ClearPasscode
        | Order::Restart
        | Order::ShutDown
        | Order::RotateRecoveryKey
        | Order::SetRecoveryLock
        | Order::FetchBypassCode => Ok(()),
    }
}

/// The device of which somebody asks something by itself.
fn asked_of(conn: &mut Conn, by: &By, id: DeviceId, kind: CommandKind) -> Result<Device> {
    if !kind.stands_alone() {
        return Err(Error::Refused(format!("“{}” has a request of its own", kind.name())));
    }
    reach::acted_on(conn, by, kind.permission(), id)
}

fn maker(actor: &Actor) -> &str {
    actor.id.as_deref().unwrap_or(&actor.name)
}

/// Queues one command for each of several devices, and tells those named in the table of guards; an act. Returns
/// the devices.
///
/// `key` is the form's: the same key again queues nothing twice, and it identifies them all for "Cancel all".
///
/// # Errors
/// When a device is not enrolled or not within the person's reach, or there is no key.
pub fn queue_many(
    conn: &mut Conn,
    by: &By,
    (act, order): (GuardedAct, &Order),
    (ids, key): (&[DeviceId], &str),
    now: Time,
) -> Result<Vec<Device>> {
    if key.is_empty() {
        return Err(Error::invalid("request_key", "load the list again"));
    }
    let mut devices = Vec::with_capacity(ids.len());
    for id in ids {
        let device = asked_of(conn, by, *id, order.kind())?;
        let key = format!("{key}/{}/{id}", order.kind());
        queue(conn, &by.actor, &device, Ask { order, request_key: Some(&key) }, now)?;
        devices.push(device);
    }
    guard::tell_of_many(conn, &by.actor, (act, order.kind().name()), (&devices, key), now)?;
    Ok(devices)
}

/// How a device is reached; none if it never enrolled.
///
/// # Errors
/// When the database refuses.
pub fn channel(conn: &mut Conn, device: &Device) -> Result<Option<Channel>> {
    let enrollment = store::enrollment::find(conn, device.id, device.generation)?;
    Ok(enrollment.map(|it| it.channel()).transpose()?)
}

/// Refuses an order that cannot reach a device.
///
/// # Errors
/// `Refused`, with the reason.
pub fn require_order(conn: &mut Conn, device: &Device, kind: CommandKind) -> Result<()> {
    let channel = channel(conn, device)?.ok_or(Error::NotFound("enrolment of this device"))?;
    may_order(device.platform, &channel, kind).map_err(|it| Error::Refused(format!("the device {}: {it}", device.name)))
}

/// Why a device that is not enrolled gets no command.
pub fn takes_none(device: &Device) -> Error {
    Error::Refused(format!("the device {} is “{}”: it accepts no commands", device.name, device.state.name()))
}
