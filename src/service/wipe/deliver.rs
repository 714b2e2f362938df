//! The last check, in the transaction that hands the order to the device.
use super::release::{check, ordered, settle};
use super::{What, device, record, stops, write};
use crate::error::Result;
use crate::service::command;
use crate::store::command::Command;
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Actor};
use domain::command::CommandState;
use domain::time::Time;
use domain::wipe::{Hold, Verdict, WipeState};

/// Whether a command may be handed to its device now.
///
/// A wipe only with a request that was released, and approved by a second person for the facts as they still
/// are; anything else in the table is ended and recorded. While the backup store cannot be read, it waits.
///
/// # Errors
/// When the database refuses.
pub fn may_deliver(conn: &mut Conn, order: &Command, now: Time) -> Result<bool> {
    if !order.kind.erases() {
        return Ok(true);
    }
    // It waits and does not end: once the freeze, or the calm after a restore of the console, is over it goes ahead, if it still may.
    let stops = stops(conn, now)?;
    if stops.iter().any(|it| !it.is_away()) {
        return Ok(false);
    }
    let Some(request) = store::wipe::of_command(conn, order.id)? else {
        return refuse(conn, order, "no wipe request belongs to this command", now);
    };
    let device = device(conn, order.device_id)?;
    if !is_its_order(conn, &request, order, &device)? {
        return refuse(conn, order, "this command does not match its wipe request", now);
    }
    // A device that took its order reports before it checks in again: one that asks without a report did not
    // receive it.
    let is_handed_out = request.state == WipeState::Delivered && order.state == CommandState::Delivered;
    if !is_handed_out && request.state != WipeState::Released {
        return refuse(conn, order, "its wipe request is not released", now);
    }
    if !stops.is_empty() {
        return Ok(false);
    }
    let verdict = request.progress(conn)?.deliver(check(conn, &request, &device, now)?, now);
    match verdict {
        Verdict::Go => Ok(true),
        Verdict::Wait => Ok(false),
        // The previous enrolment may have the order: only its own end tells.
        Verdict::Cancel if is_handed_out => Ok(false),
        // One machine has the order and will report; the other, which is asking now, gets none.
        Verdict::Hold(Hold::Identity) if is_handed_out => Ok(false),
        Verdict::Hold(_) | Verdict::Review | Verdict::Cancel | Verdict::Expire => {
            settle(conn, &request, verdict, now)?;
            Ok(false)
        }
    }
}

fn is_its_order(conn: &mut Conn, request: &WipeRequest, order: &Command, device: &Device) -> Result<bool> {
    // Made anew and compared: what lies in the table of commands is not believed.
    let ordered = ordered(conn, request, device)?;
    let expected = serde_json::to_string(&ordered).context("writing a command's order")?;
    Ok(request.device_id == order.device_id
        && request.generation == order.generation
        && device.generation == order.generation
        && ordered.kind() == order.kind
        && expected == order.payload)
}

fn refuse(conn: &mut Conn, order: &Command, why: &str, now: Time) -> Result<bool> {
    command::refuse(conn, order, why, now)?;
    Ok(false)
}

/// Notes that the device was handed its order.
///
/// # Errors
/// When the request has moved on in the meantime; then the order is not handed out either.
pub fn delivered(conn: &mut Conn, order: &Command, now: Time) -> Result<()> {
    let Some(request) = store::wipe::of_command(conn, order.id)? else { return Ok(()) };
    let from = request.state;
    let delivered = WipeRequest {
        state: WipeState::Delivered,
        delivered_at: Some(now),
        state_note: "the device has the order; waiting for its report".to_owned(),
        ..request
    };
    write(conn, &delivered, from)?;
    record(conn, &Actor::system(), &delivered, &What::done(Action::WipeDelivered, ""), now)
}
