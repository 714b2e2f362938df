//! The device's own answer to a command, which ends it.
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::service::{restore, wipe};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Outcome};
use domain::command::{CommandKind, CommandState, Ending};
use domain::name;
use domain::time::Time;

/// The longest answer to a command that is kept, in characters.
const MAX_DETAIL: usize = 2000;

/// Ends a command with the device's own answer, in whose name the entry is; an act, except that nothing may come of it.
///
/// An answer from another enrolment, or for a command that has ended, changes nothing: answers are repeated.
///
/// # Errors
/// When the database refuses.
pub fn finish(conn: &mut Conn, device: &Device, ending: &Ending, actor: &Actor, now: Time) -> Result<()> {
    let Some(command) = store::command::find(conn, ending.id)? else { return Ok(()) };
    if command.device_id != device.id || command.generation != device.generation {
        return Ok(());
    }
    // The device's answer is the truth, even if it comes after we stopped waiting.
    let from = [CommandState::Queued, CommandState::Delivered, CommandState::Expired];
    let (to, outcome) =
        if ending.done { (CommandState::Acknowledged, Outcome::Done) } else { (CommandState::Failed, Outcome::Failed) };
    let detail: String = name::plain(&ending.detail).chars().take(MAX_DETAIL).collect();
    if !store::command::finish(conn, command.id, &from, to, (&detail, now))? {
        return Ok(());
    }
    let act = Act::done(Action::CommandFinished, command.object()).on(device.id).because(&detail).ended(outcome);
    activity::record(conn, actor, &act, now)?;
    ended(conn, actor, &command, ending.done, &detail, now)
}

/// A wipe and a restore end with their own reports; this is how they end without one.
fn ended(conn: &mut Conn, actor: &Actor, command: &Command, done: bool, detail: &str, now: Time) -> Result<()> {
    match command.kind {
        CommandKind::Wipe | CommandKind::RemoveCompanyData => {
            wipe::command_ended(conn, actor, command, done, detail, now)
        }
        CommandKind::Restore => restore::command_ended(conn, actor, command, done, detail, now),
        CommandKind::UndoRestore => restore::undo_command_ended(conn, actor, command, (done, detail), now),
        CommandKind::Lock
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
