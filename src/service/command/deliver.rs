//! Handing a device its commands.
use crate::error::Result;
use crate::service::command::refuse;
use crate::service::{freeze, restore, wipe};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::command::{CommandKind, CommandState, Instruction, Order};
use domain::time::Time;

/// The open commands of this enrolment that may be handed out now, oldest first; each again until its end is reported.
///
/// # Errors
/// When the database refuses.
pub fn deliver(conn: &mut Conn, device: &Device, now: Time) -> Result<Vec<Instruction>> {
    hand_out(conn, device, &|_| true, usize::MAX, now)
}

/// The oldest open command that may be handed out now and that is not among `put_off`, for a channel that takes them one
/// by one.
///
/// # Errors
/// When the database refuses.
pub fn deliver_next(conn: &mut Conn, device: &Device, put_off: &[String], now: Time) -> Result<Option<Instruction>> {
    let wanted = |command: &Command| !put_off.iter().any(|it| *it == command.id.as_str());
    Ok(hand_out(conn, device, &wanted, 1, now)?.pop())
}

fn hand_out(
    conn: &mut Conn,
    device: &Device,
    is_wanted: &dyn Fn(&Command) -> bool,
    most: usize,
    now: Time,
) -> Result<Vec<Instruction>> {
    let mut instructions = Vec::new();
    let mut open = store::command::open(conn, device.id, device.generation, now)?;
    if open.iter().any(|it| it.kind.overwrites()) {
        // Handing out a wipe, a restore or its undo is decided afresh, so it takes its turn among the acts and sees any
        // earlier stop.
        store::activity::lock(conn)?;
        open = store::command::open(conn, device.id, device.generation, now)?;
    }
    let carries = store::enrollment::find(conn, device.id, device.generation)?.map(|it| it.channel()).transpose()?;
    for command in open.into_iter().filter(|it| is_wanted(it)) {
        if instructions.len() >= most {
            break;
        }
        if !may_deliver(conn, &command, now)? {
            continue;
        }
        let Some(instruction) = instruction(&command) else {
            // A refusal is recorded, so it takes its turn too.
            store::activity::lock(conn)?;
            refuse(conn, &command, "its order cannot be read, or is of another kind than the command", now)?;
            continue;
        };
        // An agent that was put back to an earlier version since: it could read nothing of an answer with this in it.
        if carries.as_ref().is_some_and(|it| !it.carries_out(&instruction.order)) {
            continue;
        }
        if command.state == CommandState::Queued && store::command::set_delivered(conn, command.id, now)? {
            delivered(conn, &command, now)?;
        }
        instructions.push(instruction);
    }
    Ok(instructions)
}

/// None if the order is not one of the command's kind: what was decided for one kind must not deliver another.
fn instruction(command: &Command) -> Option<Instruction> {
    let order: Order = serde_json::from_str(&command.payload).ok()?;
    let (id, generation, expires_at) = (command.id, command.generation, command.expires_at);
    (order.kind() == command.kind).then_some(Instruction { id, generation, expires_at, order })
}

fn may_deliver(conn: &mut Conn, command: &Command, now: Time) -> Result<bool> {
    match command.kind {
        CommandKind::Wipe | CommandKind::RemoveCompanyData => wipe::may_deliver(conn, command, now),
        CommandKind::Restore => restore::may_deliver(conn, command, now),
        CommandKind::UndoRestore => restore::may_deliver_undo(conn, command, now),
        CommandKind::Lock
        | CommandKind::BackUpNow
        | CommandKind::LostModeOn
        | CommandKind::PlaySound
        | CommandKind::Locate
        | CommandKind::Restart
        | CommandKind::ShutDown => Ok(true),
        // It waits, and does not end.
        CommandKind::LostModeOff
        | CommandKind::ClearPasscode
        | CommandKind::RotateRecoveryKey
        | CommandKind::SetRecoveryLock
        | CommandKind::FetchBypassCode => Ok(freeze::standing(conn)?.is_none()),
    }
}

fn delivered(conn: &mut Conn, command: &Command, now: Time) -> Result<()> {
    match command.kind {
        CommandKind::Wipe | CommandKind::RemoveCompanyData => wipe::delivered(conn, command, now),
        CommandKind::Restore
        | CommandKind::UndoRestore
        | CommandKind::Lock
        | CommandKind::BackUpNow
        | CommandKind::LostModeOn
        | CommandKind::LostModeOff
        | CommandKind::PlaySound
        | CommandKind::Locate
        | CommandKind::ClearPasscode
        | CommandKind::Restart
        | CommandKind::ShutDown
        | CommandKind::RotateRecoveryKey
        | CommandKind::SetRecoveryLock
        | CommandKind::FetchBypassCode => Ok(()),
    }
}
