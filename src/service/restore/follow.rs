//! What the target device says of its restore: how far it is, its result, and that it could not.
use super::compare::{Basis, Compared};
use super::{changed_meanwhile, end, record, write};
use crate::error::{Error, Result};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::restore::Restore;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor, Outcome};
use domain::id::RestoreId;
use domain::restore::{RestoreProgress, RestoreRefusal, RestoreState};
use domain::time::Time;

/// A restore that belongs to this device's enrolment.
pub(super) fn of_target(conn: &mut Conn, device: &Device, id: RestoreId) -> Result<Restore> {
    store::restore::find(conn, id)?
        .filter(|it| it.target_device_id == device.id && it.target_generation == device.generation)
        .ok_or(Error::NotFound("restore"))
}

/// Records how far the device has got.
///
/// # Errors
/// When the restore is not this device's, or has ended.
pub fn progress(
    conn: &mut Conn,
    actor: &Actor,
    device: &Device,
    id: RestoreId,
    said: RestoreProgress,
    now: Time,
) -> Result<()> {
    let restore = of_target(conn, device, id)?;
    let from = restore.state;
    if from.is_final() || from == RestoreState::Requested {
        return Err(Error::Conflict(format!("this restore is “{}”", from.name())));
    }
    let restored_count = i64::try_from(said.restored_count).unwrap_or(i64::MAX).min(restore.file_count);
    let running = Restore {
        state: RestoreState::Running,
        started_at: restore.started_at.or(Some(now)),
        restored_count,
        ..restore
    };
    write(conn, &running, from)?;
    if from == RestoreState::Queued {
        record(conn, actor, &running, Action::RestoreStarted, (Outcome::Done, ""), now)?;
    }
    Ok(())
}

/// Records the result of a restore. A repeated result changes nothing.
///
/// # Errors
/// When the restore is not this device's, was cancelled, has expired, or is not the one that was compared.
pub fn result(
    conn: &mut Conn,
    actor: &Actor,
    device: &Device,
    id: RestoreId,
    compared: Option<Compared>,
    now: Time,
) -> Result<()> {
    let restore = of_target(conn, device, id)?;
    let from = restore.state;
    match from {
        RestoreState::Queued | RestoreState::Running => {}
        RestoreState::Requested => return Err(RestoreRefusal::NotWaiting(from).into()),
        RestoreState::Compared | RestoreState::Failed => return Ok(()),
        RestoreState::Expired | RestoreState::Cancelled => {
            return Err(Error::Conflict(format!("this restore is “{}”", from.name())));
        }
    }
    let basis = Basis::of(conn, &restore)?;
    // It was compared outside of this transaction, and with something else if the restore has changed since.
    let compared = compared.filter(|it| it.basis == basis).ok_or_else(changed_meanwhile)?;
    let done = Restore {
        state: if compared.is_good { RestoreState::Compared } else { RestoreState::Failed },
        started_at: restore.started_at.or(Some(now)),
        finished_at: Some(now),
        restored_count: compared.restored_count,
        matched_count: compared.matched_count,
        ticket_hash: None,
        failures: serde_json::to_string(&compared.outcome).context("writing a restore's outcome")?,
        ..restore
    };
    write(conn, &done, from)?;
    let (action, ended) = if compared.is_good {
        (Action::RestoreCompared, Outcome::Done)
    } else {
        (Action::RestoreFailed, Outcome::Failed)
    };
    record(conn, actor, &done, action, (ended, &compared.note), now)
}

/// Follows the device's answer to the command if it came without a result: the restore could not be done.
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
    let Some(restore) = store::restore::of_command(conn, order.id)?.filter(|it| !it.state.is_final()) else {
        return Ok(());
    };
    // It ends with its result, which is compared; a word that it is done shows nothing.
    if done {
        return Ok(());
    }
    let to = (RestoreState::Failed, Action::RestoreFailed, Outcome::Failed);
    end(conn, actor, restore, to, &format!("the device could not restore: {detail}"), now).map(drop)
}
