//! Undoing a restore: ordered by a person, carried out from the device's own record, and reported by it.
use super::{find, record};
use crate::error::{Error, Result};
use crate::service::command::{self, Ask};
use crate::service::guard::{self, News};
use crate::service::{account, freeze, identity, installation, reach};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::restore::Restore;
use crate::store::restore_undo::{self, RestoreUndo};
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Outcome};
use domain::by::By;
use domain::command::{CommandKind, CommandState, Order};
use domain::guard::GuardedAct;
use domain::id::RestoreId;
use domain::name;
use domain::restore::{UndoFacts, UndoRefusal, UndoReport, UndoState, may_undo};
use domain::role::Permission;
use domain::time::Time;

/// Until when a restore can be undone, or why not.
///
/// # Errors
/// When one of its rows is gone, or the database refuses.
pub fn undoable(conn: &mut Conn, restore: &Restore, now: Time) -> Result<std::result::Result<Time, String>> {
    let target = store::device::find(conn, restore.target_device_id)?.ok_or(Error::NotFound("device"))?;
    if let Err(why) = may(conn, restore, &target, now)? {
        return Ok(Err(why.to_string()));
    }
    match command::require_order(conn, &target, CommandKind::UndoRestore) {
        Ok(()) => Ok(may(conn, restore, &target, now)?.map_err(|it| it.to_string())),
        Err(Error::Refused(_)) => Ok(Err(OLD_AGENT.to_owned())),
        Err(other) => Err(other),
    }
}

/// Why an agent from before there was an undo gets no such order.
pub(super) const OLD_AGENT: &str =
    "the agent on the device is older than this; update it, and it can undo the restores it makes from then on";

fn may(
    conn: &mut Conn,
    restore: &Restore,
    target: &Device,
    now: Time,
) -> Result<std::result::Result<Time, UndoRefusal>> {
    let command = restore.command_id.map(|id| store::command::find(conn, id)).transpose()?.flatten();
    let facts = UndoFacts {
        state: restore.state,
        is_delivered: command.is_some_and(|it| it.delivered_at.is_some()),
        finished_at: restore.finished_at,
        device: target.state,
        is_same_enrolment: target.generation == restore.target_generation,
        undo: restore_undo::find(conn, restore.id)?.map(|it| it.state),
    };
    Ok(may_undo(&facts, now))
}

/// Orders the undo of a restore; an act.
///
/// # Errors
/// When it cannot be undone, or its device is out of reach.
pub fn undo(conn: &mut Conn, by: &By, id: RestoreId, now: Time) -> Result<RestoreUndo> {
    freeze::check(conn)?;
    let restore = find(conn, by, (Permission::Restore, |it| vec![it.device_id, it.target_device_id]), id)?;
    let target = reach::acted_on(conn, by, Permission::Restore, restore.target_device_id)?;
    if let Err(why) = undoable(conn, &restore, now)? {
        return Err(Error::Refused(why));
    }
    identity::require_one_machine(conn, &target)?;
    let order = Order::UndoRestore { restore_id: id };
    let command = command::queue(conn, &by.actor, &target, Ask { order: &order, request_key: None }, now)?;
    let undo = RestoreUndo {
        restore_id: id,
        command_id: command.id,
        state: UndoState::Queued,
        requested_by: by.user,
        requested_at: now,
        finished_at: None,
        report: written(&UndoReport::default())?,
        note: String::new(),
    };
    restore_undo::put(conn, &undo)?;
    record(conn, &by.actor, &restore, Action::RestoreUndoRequested, (Outcome::Done, ""), now)?;
    let what = (GuardedAct::UndoRestore, "ordered that a restore be undone");
    tell(conn, &by.actor, what, (&restore, command.id.as_str()), now)?;
    Ok(undo)
}

fn written(report: &UndoReport) -> Result<String> {
    Ok(serde_json::to_string(report).context("writing the report of an undo")?)
}

#[derive(Template)]
#[template(path = "mail/restore_overwrites.txt")]
struct RestoreOverwrites<'a> {
    by: &'a str,
    what: &'a str,
    device: &'a Device,
    files: String,
    url: String,
}

/// Tells those named in the table of guards that files on a device are replaced or removed. `key` says which act.
pub(super) fn tell(
    conn: &mut Conn,
    by: &Actor,
    (act, what): (GuardedAct, &str),
    (restore, key): (&Restore, &str),
    now: Time,
) -> Result<()> {
    let device = store::device::find(conn, restore.target_device_id)?.ok_or(Error::NotFound("device"))?;
    let by = account::who(conn, by)?;
    let url = format!("{}/restores/{}", installation::public_url(conn)?.unwrap_or_default(), restore.id);
    let files = domain::words::files(restore.file_count);
    let body = RestoreOverwrites { by: &by, what, device: &device, files, url };
    let body = body.render().context("writing a mail")?;
    let what = if act == GuardedAct::UndoRestore { "Undo of a restore" } else { "Restore that replaces files" };
    let subject = format!("{what} ordered: {}", device.name);
    guard::tell(conn, News { act, key, subject, body }, &device, now)
}

/// Whether the order to undo may be handed out now.
///
/// # Errors
/// When the database refuses.
pub fn may_deliver_undo(conn: &mut Conn, order: &Command, now: Time) -> Result<bool> {
    if identity::doubt(conn, order.device_id)?.stands() || freeze::standing(conn)?.is_some() {
        return Ok(false);
    }
    let Some(undo) = restore_undo::of_command(conn, order.id)?.filter(|it| it.state == UndoState::Queued) else {
        return Ok(false);
    };
    if order.state != CommandState::Queued {
        return Ok(true);
    }
    let device = store::device::find(conn, order.device_id)?.ok_or(Error::NotFound("device"))?;
    if guard::still_holds(conn, undo.requested_by, Permission::Restore, device.team_id)? {
        return Ok(true);
    }
    command::refuse(conn, order, "whoever ordered it may no longer do so", now)?;
    Ok(false)
}

/// Records what the device says of an undo. A repeated report changes nothing.
///
/// # Errors
/// When the restore is not this device's, or nobody asked to undo it.
pub fn undone(
    conn: &mut Conn,
    actor: &Actor,
    device: &Device,
    id: RestoreId,
    said: &UndoReport,
    now: Time,
) -> Result<()> {
    let restore = super::follow::of_target(conn, device, id)?;
    let undo = restore_undo::find(conn, id)?.ok_or(Error::NotFound("undo of this restore"))?;
    match undo.state {
        // The device's answer is the truth, even if it comes after we stopped waiting.
        UndoState::Queued | UndoState::Ended => {}
        UndoState::Undone | UndoState::Failed => return Ok(()),
    }
    let mut kept = said.clone();
    kept.failures.truncate(RestoreUndo::NAMED);
    for failure in &mut kept.failures {
        failure.path = name::plain(&failure.path);
        failure.reason = name::plain(&failure.reason);
    }
    let (state, action, outcome) = if said.is_whole() {
        (UndoState::Undone, Action::RestoreUndone, Outcome::Done)
    } else {
        (UndoState::Failed, Action::RestoreNotUndone, Outcome::Failed)
    };
    let note = said.sentence();
    let ended = RestoreUndo { state, finished_at: Some(now), report: written(&kept)?, note: String::new(), ..undo };
    restore_undo::put(conn, &ended)?;
    record(conn, actor, &restore, action, (outcome, &note), now)
}

/// Follows the device's answer to the command if it came without a report: the restore could not be undone.
///
/// # Errors
/// When the database refuses.
pub fn undo_command_ended(
    conn: &mut Conn,
    actor: &Actor,
    order: &Command,
    (done, detail): (bool, &str),
    now: Time,
) -> Result<()> {
    let undo = restore_undo::of_command(conn, order.id)?.filter(|it| it.state == UndoState::Queued && !done);
    let Some(undo) = undo else { return Ok(()) };
    let restore = store::restore::find(conn, undo.restore_id)?.ok_or(Error::NotFound("restore"))?;
    let ended = RestoreUndo { state: UndoState::Ended, finished_at: Some(now), note: detail.to_owned(), ..undo };
    restore_undo::put(conn, &ended)?;
    record(conn, actor, &restore, Action::RestoreNotUndone, (Outcome::Failed, detail), now)
}
