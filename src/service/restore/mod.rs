//! Getting a restore point back: ordered by a person, read through a ticket by the target device, and compared with
//! the manifest that the source device made before its backup.
mod compare;
mod cross;
mod follow;
mod order;
mod report;
mod undo;

pub use compare::{Compared, Expected, compare, expected, manifest};
pub use cross::{Decision, WAITS_FOR, act_of, approve, current, is_backed, may_decide, refuse};
pub use follow::{command_ended, progress, result};
pub use order::{Draft, Plan, Prepared, Reseal, plan, prepare, request};
pub use report::MAX_REPORT;
pub use undo::{may_deliver_undo, undo, undo_command_ended, undoable, undone};

use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::{command, freeze, identity, reach};
use crate::store::command::Command;
use crate::store::restore::{Restore, RestoreFindings};
use crate::store::restore_point::RestorePoint;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::by::By;
use domain::command::CommandState;
use domain::id::{DeviceId, RestoreId};
use domain::restore::{RestoreRefusal, RestoreState};
use domain::role::Permission;
use domain::time::{Time, hours};
use std::time::Duration;

/// How long a ticket is valid, and so is the order.
pub const VALID_FOR: Duration = hours(24);

/// Whether a point was restored and compared, and has not failed since.
pub fn is_proven(point: &RestorePoint) -> bool {
    point.proven_at.is_some() && point.failed_at.is_none()
}

/// Cancels a restore; its ticket opens nothing from then on. What was written on the target stays.
///
/// # Errors
/// When it has ended.
pub fn cancel(conn: &mut Conn, by: &By, id: RestoreId, now: Time) -> Result<Restore> {
    let restore = find(conn, by, (Permission::Restore, |it| vec![it.device_id]), id)?;
    if restore.state.is_final() {
        return Err(RestoreRefusal::TooLate(restore.state).into());
    }
    let note = format!("cancelled by {}", by.actor.name);
    end(conn, &by.actor, restore, (RestoreState::Cancelled, Action::RestoreCancelled, Outcome::Done), &note, now)
}

/// A restore, if the permission of the person who acts reaches its devices; otherwise not even its existence is
/// revealed.
fn find(
    conn: &mut Conn,
    by: &By,
    (permission, devices): (Permission, fn(&Restore) -> Vec<DeviceId>),
    id: RestoreId,
) -> Result<Restore> {
    let reach = reach::of(by, permission)?;
    let none = Error::NotFound("restore");
    let Some(restore) = store::restore::find(conn, id)? else { return Err(none) };
    for device in devices(&restore) {
        if !store::device::find(conn, device)?.is_some_and(|it| reach.covers(it.team_id)) {
            return Err(none);
        }
    }
    Ok(restore)
}

/// Cancels every restore to a device that is no longer enrolled; their tickets open nothing from then on.
///
/// # Errors
/// When the database refuses.
pub fn cancel_to(conn: &mut Conn, target: DeviceId, why: &str, now: Time) -> Result<()> {
    for restore in store::restore::open_to(conn, target)? {
        let to = (RestoreState::Cancelled, Action::RestoreCancelled, Outcome::Done);
        end(conn, &Actor::system(), restore, to, why, now)?;
    }
    Ok(())
}

/// Whether the order may be handed to its target: only while its restore is under way.
///
/// # Errors
/// When the database refuses.
pub fn may_deliver(conn: &mut Conn, order: &Command, now: Time) -> Result<bool> {
    // Held while two machines may be asking: which of them would get the files?
    if identity::doubt(conn, order.device_id)?.stands() {
        return Ok(false);
    }
    if freeze::standing(conn)?.is_some() {
        return Ok(false);
    }
    let Some(restore) = store::restore::of_command(conn, order.id)? else { return Ok(false) };
    let is_open = matches!(restore.state, RestoreState::Queued | RestoreState::Running) && now < restore.expires_at;
    // What was already handed out continues: its ticket is checked on each use.
    if !is_open || order.state != CommandState::Queued {
        return Ok(is_open);
    }
    cross::still_stands(conn, restore, now)
}

fn changed_meanwhile() -> Error {
    Error::Conflict("this restore has changed in the meantime; look at it again".to_owned())
}

/// Ends the restores whose ticket has expired; returns how many.
///
/// # Errors
/// When the database refuses.
pub fn expire_overdue(conn: &mut Conn, limit: i64, now: Time) -> Result<usize> {
    let overdue = store::restore::overdue(conn, now, limit)?;
    let count = overdue.len();
    for restore in overdue {
        let to = (RestoreState::Expired, Action::RestoreExpired, Outcome::Done);
        let why = if restore.state == RestoreState::Requested {
            "nobody approved it within 7 days"
        } else {
            "it was not finished within 24 hours"
        };
        end(conn, &Actor::system(), restore, to, why, now)?;
    }
    Ok(count)
}

fn end(
    conn: &mut Conn,
    actor: &Actor,
    restore: Restore,
    (state, action, ended): (RestoreState, Action, Outcome),
    note: &str,
    now: Time,
) -> Result<Restore> {
    let from = restore.state;
    // One that was handed out is not taken back; its ticket opens nothing from here on.
    if let Some(id) = restore.command_id {
        command::withdraw(conn, id, note, now)?;
    }
    let outcome = RestoreFindings { note: note.to_owned(), ..RestoreFindings::default() };
    let failures = serde_json::to_string(&outcome).context("writing a restore's outcome")?;
    let ended_row =
        Restore { state, finished_at: Some(now), ticket_hash: None, waiting_order: None, failures, ..restore };
    write(conn, &ended_row, from)?;
    record(conn, actor, &ended_row, action, (ended, note), now)?;
    Ok(ended_row)
}

fn write(conn: &mut Conn, restore: &Restore, from: RestoreState) -> Result<()> {
    if store::restore::update(conn, restore, from)? { Ok(()) } else { Err(changed_meanwhile()) }
}

fn record(
    conn: &mut Conn,
    actor: &Actor,
    restore: &Restore,
    action: Action,
    (outcome, reason): (Outcome, &str),
    now: Time,
) -> Result<()> {
    let name = store::device::find(conn, restore.device_id)?.map_or_else(String::new, |it| it.name);
    let act = Act::done(action, Object::new("restore", restore.id, name)).because(reason).ended(outcome);
    activity::record(conn, actor, &act.clone().on(restore.target_device_id), now)?;
    // The history of the device the data came from records it too.
    if restore.device_id != restore.target_device_id {
        activity::record(conn, actor, &act.on(restore.device_id), now)?;
    }
    Ok(())
}
