//! What the device says it did.
use super::notice::{News, tell};
use super::{What, device, record, write};
use crate::error::{Error, Result};
use crate::service::{command, restore};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Outcome};
use domain::channel::Channel;
use domain::command::{CommandState, Order};
use domain::device::{DeviceState, Platform};
use domain::id::CommandId;
use domain::time::Time;
use domain::wipe::{WipeAction, WipeReport, WipeState};
use domain::words;

/// How much of a report is kept.
const MAX_REFUSED: usize = 200;

/// Takes the device's signed report; the answer is when it arrived, for the receipt after which the
/// agent destroys its last key.
///
/// A repeated report gets the same receipt.
///
/// # Errors
/// When the report is from another device, enrolment or command, or about an order that was never handed out.
pub fn reported(conn: &mut Conn, actor: &Actor, device: &Device, said: &WipeReport, now: Time) -> Result<Time> {
    let request = store::wipe::of_command(conn, said.command_id)?
        .filter(|it| it.device_id == device.id && it.generation == said.generation)
        .filter(|_| device.generation == said.generation)
        .ok_or(Error::NotFound("wipe"))?;
    let received_at = request.acknowledged_at.unwrap_or(now);
    if request.report.is_some() {
        return Ok(received_at);
    }
    let from = request.state;
    // A device that was away for long may report after we stopped waiting; its order was handed out
    // nevertheless.
    let is_owed = matches!(from, WipeState::Delivered | WipeState::Acknowledged)
        || (from == WipeState::Failed && request.delivered_at.is_some());
    if !is_owed {
        return Err(Error::Conflict(format!("this wipe is “{}”: its order was not handed out", from.name())));
    }
    let report = serde_json::to_string(&short(said)).context("writing a wipe's report")?;
    let acknowledged =
        WipeRequest { state: WipeState::Acknowledged, acknowledged_at: Some(now), report: Some(report), ..request };
    acknowledge(conn, actor, &acknowledged, (from, "the device's signed report arrived"), now)?;
    let ordered = ordered(conn, said.command_id)?;
    let done = finished(acknowledged, &ordered, said, now);
    conclude(conn, (actor, device), (said.command_id, done), now)?;
    Ok(received_at)
}

/// Takes the answer of a device that says that it erases itself, before it does so.
///
/// Through the protocol of its maker it can say nothing after that. A repeated answer changes nothing.
///
/// # Errors
/// When the database refuses.
pub fn begun(conn: &mut Conn, actor: &Actor, device: &Device, command: CommandId, now: Time) -> Result<()> {
    let request = store::wipe::of_command(conn, command)?
        .filter(|it| it.device_id == device.id && it.generation == device.generation)
        .filter(|it| it.state == WipeState::Delivered);
    let Some(request) = request else { return Ok(()) };
    let note = match request.action {
        WipeAction::Wipe => "the device answered that it erases itself, which is the last it can say",
        WipeAction::RemoveCompanyData => {
            "the device answered that it removed the management profile and what came with it"
        }
    };
    let acknowledged = WipeRequest { state: WipeState::Acknowledged, acknowledged_at: Some(now), ..request };
    acknowledge(conn, actor, &acknowledged, (WipeState::Delivered, "the device’s answer arrived"), now)?;
    let done = WipeRequest {
        state: WipeState::Confirmed,
        finished_at: Some(now),
        state_note: note.to_owned(),
        ..acknowledged
    };
    conclude(conn, (actor, device), (command, done), now)
}

fn acknowledge(
    conn: &mut Conn,
    actor: &Actor,
    acknowledged: &WipeRequest,
    (from, why): (WipeState, &str),
    now: Time,
) -> Result<()> {
    record(conn, actor, acknowledged, &What::done(Action::WipeAcknowledged, why), now)?;
    // A step of its own: the table of states knows no other way to an end, and the history shows that a report came.
    write(conn, acknowledged, from)
}

fn conclude(
    conn: &mut Conn,
    (actor, device): (&Actor, &Device),
    (command, done): (CommandId, WipeRequest),
    now: Time,
) -> Result<()> {
    write(conn, &done, WipeState::Acknowledged)?;
    let complete = done.state == WipeState::Confirmed;
    close(conn, device, done.action, complete, now)?;
    let to = if complete { CommandState::Acknowledged } else { CommandState::Failed };
    // The report counts even if the command had ended without it.
    let open = [CommandState::Queued, CommandState::Delivered, CommandState::Expired, CommandState::Failed];
    store::command::finish(conn, command, &open, to, (&done.state_note, now))?;
    let (action, outcome) =
        if complete { (Action::WipeConfirmed, Outcome::Done) } else { (Action::WipeFailed, Outcome::Failed) };
    record(conn, actor, &done, &What { action, outcome, reason: &done.state_note }, now)?;
    tell(conn, (&done, device), &device.name, News::Done { complete }, now)
}

/// Follows the device's answer to the command if it came without a report: the wipe did not begin.
///
/// # Errors
/// When the database refuses.
pub fn command_ended(
    conn: &mut Conn,
    actor: &Actor,
    order: &Command,
    done: bool,
    detail: &str,
    now: Time,
) -> Result<()> {
    let Some(request) = store::wipe::of_command(conn, order.id)? else { return Ok(()) };
    // A word that it is done ends nothing: only the signed report does.
    if done || request.state != WipeState::Delivered {
        return Ok(());
    }
    let device = device(conn, request.device_id)?;
    // Apple's Macs answer with an error before they destroy their system, unless they were told not to.
    let channel = command::channel(conn, &device)?;
    let may_have_erased = device.platform == Platform::Macos
        && channel.is_some_and(|it| it.name == Channel::APPLE)
        && request.action == WipeAction::Wipe
        && request.erasure()?.errs_and_erases();
    let note = match may_have_erased {
        true => format!("the device answered with an error and may have erased itself all the same: {detail}"),
        false => format!("the device did not do it: {detail}"),
    };
    fail(conn, (actor, &device.name), (request, &device), &note, now)
}

/// Ends a request whose order was handed out and whose device did not wipe, as far as anybody knows.
pub(super) fn fail(
    conn: &mut Conn,
    (actor, by): (&Actor, &str),
    (request, device): (WipeRequest, &Device),
    note: &str,
    now: Time,
) -> Result<()> {
    // The device stays enrolled: nobody knows that anything was erased.
    let from = request.state;
    let failed =
        WipeRequest { state: WipeState::Failed, finished_at: Some(now), state_note: note.to_owned(), ..request };
    write(conn, &failed, from)?;
    let what = What { action: Action::WipeFailed, outcome: Outcome::Failed, reason: &failed.state_note };
    record(conn, actor, &failed, &what, now)?;
    tell(conn, (&failed, device), by, News::Done { complete: false }, now)
}

/// The folders that the order named.
fn ordered(conn: &mut Conn, id: CommandId) -> Result<Vec<String>> {
    let order = store::command::find(conn, id)?.ok_or(Error::NotFound("command"))?;
    Ok(match serde_json::from_str(&order.payload).context("reading a command's order")? {
        Order::Wipe { roots, .. } => roots,
        Order::Lock { .. }
        | Order::BackUpNow
        | Order::RemoveCompanyData
        | Order::Restore(_)
        | Order::UndoRestore { .. }
        | Order::LostModeOn { .. }
        | Order::LostModeOff
        | Order::PlaySound
        | Order::Locate
        | Order::ClearPasscode
        | Order::Restart
        | Order::ShutDown
        | Order::RotateRecoveryKey
        | Order::SetRecoveryLock
        | Order::FetchBypassCode => Vec::new(),
    })
}

fn finished(request: WipeRequest, ordered: &[String], said: &WipeReport, now: Time) -> WipeRequest {
    // The parts are believed over their sum, and a folder the report does not mention was not erased.
    let untold = ordered.iter().filter(|path| !said.roots.iter().any(|it| it.path == **path)).count();
    let complete =
        said.complete && said.key_destroyed && untold == 0 && said.roots.iter().all(|it| it.refused.is_empty());
    let files: u64 = said.roots.iter().map(|it| it.removed_files).fold(0, u64::saturating_add);
    let note = if complete && request.action == WipeAction::RemoveCompanyData {
        "key destroyed, no folder touched".to_owned()
    } else if complete {
        format!("key destroyed, {} removed", words::files(files))
    } else if said.key_destroyed && untold > 0 {
        format!("the key is destroyed, but the report does not mention {untold} of the folders to be erased")
    } else if said.key_destroyed {
        "the key is destroyed, but something was left; the report names it".to_owned()
    } else {
        "the key was not destroyed; the report says what was left".to_owned()
    };
    let state = if complete { WipeState::Confirmed } else { WipeState::Failed };
    WipeRequest { state, finished_at: Some(now), state_note: note, ..request }
}

/// The device loses access to what it had; its backups stay, for restores.
fn close(conn: &mut Conn, device: &Device, action: WipeAction, complete: bool, now: Time) -> Result<()> {
    let why = format!("the {} was reported", action.noun());
    restore::cancel_to(conn, device.id, &why, now)?;
    store::repository::revoke_all(conn, device.id, now)?;
    // One generation further, so that the current repository is closed too.
    store::repository::close_older(conn, device.id, device.generation.saturating_add(1))?;
    let moves = (DeviceState::Enrolled, action.outcome(complete));
    store::device::set_state(conn, device.id, device.generation, moves, now)?;
    Ok(store::enrollment::end(conn, device.id, now)?)
}

fn short(said: &WipeReport) -> WipeReport {
    let mut kept = said.clone();
    for root in &mut kept.roots {
        let count = root.refused.len();
        root.refused.truncate(MAX_REFUSED);
        if count > MAX_REFUSED {
            root.refused.push(format!("and {} more", count - MAX_REFUSED));
        }
    }
    kept
}
