//! The last look, in the transaction that hands the order to the device.
use super::release::{check, payload, settle};
use super::{What, device, record, write};
use crate::domain::activity::{Action, Actor, Outcome};
use crate::domain::command::CommandState;
use crate::domain::time::Time;
use crate::domain::wipe::{Hold, Verdict, WipeState};
use crate::error::Result;
use crate::service::activity::{self, Act};
use crate::service::{command, freeze};
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::Context;

/// Whether a command may be handed to its device now.
///
/// A wipe only with a request that was released, approved by a second person for the facts as they still are; whatever
/// else stands in the table is ended and written down. While the store of backups cannot be read it waits.
///
/// # Errors
/// When the database refuses.
pub fn may_deliver(conn: &mut Conn, order: &Command, now: Time) -> Result<bool> {
    if !order.kind.erases() {
        return Ok(true);
    }
    if freeze::standing(conn)?.is_some() {
        return Ok(false);
    }
    let Some(request) = store::wipe::of_command(conn, order.id)? else {
        return refuse(conn, order, "no wipe request stands behind this command", now);
    };
    let device = device(conn, order.device_id)?;
    if !is_its_order(&request, order, &device)? {
        return refuse(conn, order, "this command is not what its wipe request says", now);
    }
    // A device that took its order reports before it checks in again: one that asks without a report did not get it.
    let is_handed_out = request.state == WipeState::Delivered && order.state == CommandState::Delivered;
    if !is_handed_out && request.state != WipeState::Released {
        return refuse(conn, order, "its wipe request is not released", now);
    }
    if store::ground::away(conn)?.is_some() {
        return Ok(false);
    }
    let verdict = request.progress(conn)?.deliver(check(conn, &request, &device, now)?, now);
    match verdict {
        Verdict::Go => Ok(true),
        Verdict::Wait => Ok(false),
        // The order may be with the enrolment before: only its own end says so.
        Verdict::Cancel if is_handed_out => Ok(false),
        // One machine has the order and reports; the other one, which asks now, gets none.
        Verdict::Hold(Hold::Identity) if is_handed_out => Ok(false),
        Verdict::Hold(_) | Verdict::Review | Verdict::Cancel | Verdict::Expire => {
            settle(conn, &request, verdict, now)?;
            Ok(false)
        }
    }
}

fn is_its_order(request: &WipeRequest, order: &Command, device: &Device) -> Result<bool> {
    let expected = serde_json::to_string(&payload(request, device)?).context("writing a command's payload")?;
    Ok(request.device_id == order.device_id
        && request.generation == order.generation
        && device.generation == order.generation
        && request.action.command() == order.kind
        && expected == order.payload)
}

/// Ends a command that nobody with the right to it queued.
fn refuse(conn: &mut Conn, order: &Command, why: &str, now: Time) -> Result<bool> {
    tracing::error!(command = %order.id, device = %order.device_id, why, "a wipe was refused at delivery");
    let open = [CommandState::Queued, CommandState::Delivered];
    if store::command::finish(conn, order.id, &open, CommandState::Cancelled, (why, now))? {
        let act = Act::done(Action::CommandCancelled, command::object(order))
            .on(order.device_id)
            .because(why)
            .ended(Outcome::Refused);
        activity::record(conn, &Actor::system(), &act, now)?;
    }
    Ok(false)
}

/// Notes that the device was handed its order.
///
/// # Errors
/// When the request was moved meanwhile; then the order is not handed out either.
pub fn delivered(conn: &mut Conn, order: &Command, now: Time) -> Result<()> {
    let Some(request) = store::wipe::of_command(conn, order.id)? else { return Ok(()) };
    let from = request.state;
    let delivered = WipeRequest {
        state: WipeState::Delivered,
        delivered_at: Some(now),
        state_note: "the device has the order; its report is awaited".to_owned(),
        ..request
    };
    write(conn, &delivered, from)?;
    record(conn, &Actor::system(), &delivered, &What::done(Action::WipeDelivered, ""), now)
}
