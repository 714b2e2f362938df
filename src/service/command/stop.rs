//! Ending a command from our side: cancelled, withdrawn, expired, refused.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::store::command::Command;
use crate::store::command_list::{self, Filter};
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Outcome};
use domain::by::By;
use domain::command::{CommandKind, CommandState, NotCancellable};
use domain::id::CommandId;
use domain::role::Permission;
use domain::time::Time;

/// Cancels a command that no device has received yet; an act. Whoever may ask for one may cancel it.
///
/// # Errors
/// When it was delivered or has ended, or belongs to a wipe or restore, which are stopped in their own way;
/// `NotFound` if the person may not see its device, `Forbidden` if they may not ask for it.
pub fn cancel(conn: &mut Conn, by: &By, id: CommandId, now: Time) -> Result<Command> {
    let command = store::command::find(conn, id)?.ok_or(Error::NotFound("command"))?;
    let team = store::device::find(conn, command.device_id)?.ok_or(Error::NotFound("command"))?.team_id;
    let may = |permission| by.reach(permission).is_some_and(|it| it.covers(team));
    if !may(Permission::ViewDevices) {
        return Err(Error::NotFound("command"));
    }
    // First, because everybody who sees a wipe may stop it, in its own way.
    command.kind.may_cancel(command.state).map_err(|it| match it {
        NotCancellable::OfAWipe | NotCancellable::OfARestore | NotCancellable::OfAnUndo => {
            Error::Refused(it.to_string())
        }
        NotCancellable::TooLate(_) => Error::Conflict(it.to_string()),
    })?;
    if !may(command.kind.permission()) {
        return Err(Error::Forbidden);
    }
    if !withdraw(conn, id, "cancelled before it was delivered", now)? {
        return Err(Error::Conflict("too late: the command was just delivered, or has ended".to_owned()));
    }
    let act = Act::done(Action::CommandCancelled, command.object()).on(command.device_id);
    activity::record(conn, &by.actor, &act, now)?;
    store::command::find(conn, id)?.ok_or(Error::NotFound("command"))
}

/// How many are cancelled at once.
const AT_ONCE: i64 = 10_000;

/// Cancels everything a list shows that no device has received yet, as far as the person's roles reach; returns how
/// many. Each is an act.
///
/// # Errors
/// When the database refuses; then none was cancelled.
pub fn cancel_all(conn: &mut Conn, by: &By, shown: &Filter, now: Time) -> Result<usize> {
    let mut count = 0;
    for kind in CommandKind::ALL.iter().filter(|it| it.stands_alone()) {
        let Some(reach) = by.reach(kind.permission()) else { continue };
        if shown.kind.is_some_and(|it| it != *kind) {
            continue;
        }
        let waiting = Filter {
            kind: Some(*kind),
            state: Some(CommandState::Queued),
            is_open: false,
            before: None,
            ..shown.clone()
        };
        for (found, ..) in command_list::newest(conn, &waiting, &reach, AT_ONCE)? {
            cancel(conn, by, found.id, now)?;
            count += 1;
        }
    }
    Ok(count)
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
    if !store::command::finish(conn, command.id, &CommandState::OPEN, CommandState::Expired, (why, now))? {
        return Ok(false);
    }
    let act = Act::done(Action::CommandExpired, command.object()).on(command.device_id).because(why);
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
pub fn refuse(conn: &mut Conn, command: &Command, why: &str, now: Time) -> Result<()> {
    tracing::error!(command = %command.id, device = %command.device_id, why, "a command was refused at delivery");
    if !store::command::finish(conn, command.id, &CommandState::OPEN, CommandState::Cancelled, (why, now))? {
        return Ok(());
    }
    let act = Act::done(Action::CommandCancelled, command.object())
        .on(command.device_id)
        .because(why)
        .ended(Outcome::Refused);
    activity::record(conn, &Actor::system(), &act, now)
}
