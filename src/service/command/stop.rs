//! Ending a command from our side: cancelled, withdrawn, expired, refused.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::store::command::Command;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Outcome};
use domain::command::{CommandState, NotCancellable};
use domain::id::CommandId;
use domain::time::Time;

/// Cancels a command that no device has received yet; an act.
///
/// # Errors
/// When it was delivered or has ended, or belongs to a wipe or restore, which are stopped in their own way.
pub fn cancel(conn: &mut Conn, actor: &Actor, id: CommandId, now: Time) -> Result<Command> {
    let command = store::command::find(conn, id)?.ok_or(Error::NotFound("command"))?;
    let may = command.kind.may_cancel(command.state);
    may.map_err(|it| match it {
        NotCancellable::OfAWipe | NotCancellable::OfARestore => Error::Refused(it.to_string()),
        NotCancellable::TooLate(_) => Error::Conflict(it.to_string()),
    })?;
    if !withdraw(conn, id, "cancelled before it was delivered", now)? {
        return Err(Error::Conflict("too late: the command was just delivered, or has ended".to_owned()));
    }
    let act = Act::done(Action::CommandCancelled, command.object()).on(command.device_id);
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
