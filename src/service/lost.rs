//! What is known of a lost device.
use crate::error::{Error, Result};
use crate::service::{command, loss};
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::channel::may_order;
use domain::command::{CommandKind, CommandState};
use domain::fact::{FactKind, FactValue};
use domain::inventory::{Inventory, Location};
use domain::loss::LossFacts;
use domain::lost::{Known, Told};
use domain::restore::RestoreState;
use domain::time::Time;

/// A place, and when the device said that it is there.
pub type Place = (Time, Location);

/// What is known, what would be lost with it, and where it said that it is.
///
/// # Errors
/// When the database refuses.
pub fn known(conn: &mut Conn, device: &Device, now: Time) -> Result<(Known, LossFacts, Option<Place>)> {
    let listed = store::device_list::of_ids(conn, &[device.id])?.pop().ok_or(Error::NotFound("device"))?;
    let facts = loss::facts(&listed, &loss::moment(conn, now)?);
    let channel = command::channel(conn, device)?;
    let can = |kind| channel.as_ref().is_some_and(|it| may_order(device.platform, it, kind).is_ok());
    let location = location(conn, device)?;
    let restore = store::lost::newest_replacement(conn, device.id)?;
    let compared = restore.as_ref().filter(|(it, _)| it.state == RestoreState::Compared);
    let lost_mode = lost_mode(conn, device)?;
    let known = Known {
        lost_mode,
        left_lost_mode_at: left_lost_mode(conn, device, lost_mode)?,
        lock: told(conn, device, CommandKind::Lock)?,
        located_at: location.as_ref().map(|(at, _)| *at),
        locate: told(conn, device, CommandKind::Locate)?,
        can_locate: can(CommandKind::Locate),
        wipe: store::lost::newest_wipe(conn, device.id)?
            .map(|it| (it.state, it.finished_at.unwrap_or(it.requested_at))),
        compared: compared.map(|(it, _)| (it.file_count, it.matched_count)),
        can_back_up: can(CommandKind::BackUpNow) || facts.newest.is_some(),
        restore: restore.map(|(it, name)| (name, it.state, it.finished_at.unwrap_or(it.requested_at))),
    };
    Ok((known, facts, location))
}

fn told(conn: &mut Conn, device: &Device, kind: CommandKind) -> Result<Option<Told>> {
    let command = store::lost::newest_command(conn, (device.id, device.generation), &[kind])?;
    Ok(command.map(|it| Told { state: it.state, asked_at: it.created_at, ended_at: it.finished_at }))
}

/// None once it answered that it ended it.
fn lost_mode(conn: &mut Conn, device: &Device) -> Result<Option<Told>> {
    let off = told(conn, device, CommandKind::LostModeOff)?.filter(|it| it.state == CommandState::Acknowledged);
    let on = told(conn, device, CommandKind::LostModeOn)?;
    Ok(on.filter(|on| off.is_none_or(|it| it.asked_at < on.asked_at)))
}

/// When it said that it is not in lost mode, after it had said that it went into it.
fn left_lost_mode(conn: &mut Conn, device: &Device, lost_mode: Option<Told>) -> Result<Option<Time>> {
    let Some(since) = lost_mode.and_then(|it| it.ended_at) else { return Ok(None) };
    let facts = store::device_status::find(conn, device.id)?.map(|it| it.facts()).transpose()?.unwrap_or_default();
    let said = facts.get(FactKind::LostMode).filter(|it| it.value == FactValue::Flag(false));
    Ok(said.map(|it| it.measured_at).filter(|at| *at > since))
}

fn location(conn: &mut Conn, device: &Device) -> Result<Option<Place>> {
    let Some(enrollment) = store::apple::enrollment::of_device(conn, device.id, device.generation)? else {
        return Ok(None);
    };
    let found = store::apple::report::inventories(conn, enrollment.id)?;
    Ok(found.into_iter().find_map(|(at, it)| match it {
        Inventory::Location(place) => Some((at, place)),
        Inventory::Profiles(_) | Inventory::Certificates(_) | Inventory::Applications(_) => None,
    }))
}
