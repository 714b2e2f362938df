//! Removing devices: the first at once, further ones within the hour after the same hold as wipes.
//!
//! Limited like wipes: one stolen session cannot remove the devices from the lists before somebody can notice.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::guard::{self, News};
use crate::service::{account, device, freeze, installation, reach, wipe};
use crate::store::device::Device;
use crate::store::removal::Removal;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object, Outcome};
use domain::by::By;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, UserId};
use domain::role::Permission;
use domain::time::{Time, hours};
use domain::wipe::Recent;

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Removed,
    /// It is on hold until then; anyone who sees the device may stop it.
    Held(Time),
}

/// Removes a device, or puts its removal on hold if the same person removed another within the hour. An act.
///
/// # Errors
/// When the typed name is different, a wipe of it is open, it was already removed, or the person may not enroll
/// devices of its team; `Refused` if the hour's limit is reached, `Conflict` if it is already on hold.
pub fn request(conn: &mut Conn, by: &By, id: DeviceId, typed_name: &str, now: Time) -> Result<Asked> {
    reach::acted_on(conn, by, Permission::EnrollDevices, id)?;
    freeze::check_erasing(conn, now)?;
    let (by_actor, by_all) = recent(conn, by.user, now)?;
    // The share for each team applies only to wipes: a device may have left its team before.
    if wipe::limits(conn, now)?.reached(Recent { by_actor, by_team: 0, by_all }).is_some() {
        return Err(Error::Refused(
            "the hourly limit on wipes also applies to removals, and it has been reached; remove the next device \
             later"
                .to_owned(),
        ));
    }
    if by_actor == 0 {
        device::remove(conn, &by.actor, id, typed_name, now)?;
        // One on hold for the same device has nothing left to do.
        store::removal::delete(conn, id)?;
        return Ok(Asked::Removed);
    }
    let found = device::removable(conn, id, typed_name, now)?;
    if store::removal::find(conn, id)?.is_some() {
        return Err(Error::Conflict("the removal of this device is already on hold; stop it, or wait".to_owned()));
    }
    let due_at = now + wipe::hold(conn, now)?;
    store::removal::insert(
        conn,
        &Removal {
            device_id: id,
            generation: found.generation,
            requested_by: by.user.to_string(),
            requested_name: by.actor.name.clone(),
            requested_at: now,
            due_at,
        },
    )?;
    let why = format!("removed at {} unless it is stopped", due_at.iso());
    activity::record(conn, &by.actor, &act(Action::DeviceRemovalHeld, &found).because(&why), now)?;
    tell(conn, &by.actor, &found, due_at, now)?;
    Ok(Asked::Held(due_at))
}

/// How many devices were removed, or put on hold for removal, within the hour: by this person, and by everyone.
fn recent(conn: &mut Conn, user: UserId, now: Time) -> Result<(i64, i64)> {
    let user = user.to_string();
    let mut sum = (0, 0);
    for action in [Action::DeviceRemoved, Action::DeviceRemovalHeld] {
        // Not those in the future: otherwise a clock that was ahead and then corrected would block every
        // removal until that time.
        let (by_actor, by_all) = store::activity::count_done(conn, action, Some(&user), now - hours(1), now)?;
        sum = (sum.0 + by_actor, sum.1 + by_all);
    }
    Ok(sum)
}

/// Stops a removal that is on hold. An act.
///
/// # Errors
/// When none is, or the person may not see the device.
pub fn stop(conn: &mut Conn, by: &By, id: DeviceId, now: Time) -> Result<()> {
    let found = reach::acted_on(conn, by, Permission::StopWipe, id)?;
    if !store::removal::delete(conn, id)? {
        return Err(Error::Conflict("no removal of this device is on hold".to_owned()));
    }
    activity::record(conn, &by.actor, &act(Action::DeviceRemovalStopped, &found), now)
}

/// After a freeze the hold of each removal begins again: nobody could look at it meanwhile.
///
/// # Errors
/// When the database refuses.
pub(super) fn wait_again(conn: &mut Conn, now: Time) -> Result<()> {
    let due_at = now + wipe::hold(conn, now)?;
    for it in store::removal::all(conn)? {
        // Never sooner: the hold may have been longer when it was asked for.
        store::removal::put_off(conn, it.device_id, due_at.max(it.due_at))?;
    }
    Ok(())
}

/// Carries out the removals whose hold is over; one that can no longer be carried out ends and says why.
/// Returns how many were looked at.
///
/// # Errors
/// When the database refuses.
pub fn release_due(conn: &mut Conn, limit: i64, now: Time) -> Result<usize> {
    if freeze::holds_erasing(conn, now)? {
        return Ok(0);
    }
    let due = store::removal::due(conn, now, limit)?;
    let count = due.len();
    for it in due {
        // First: whatever comes of it, it is not tried again.
        store::removal::delete(conn, it.device_id)?;
        let Some(found) = store::device::find(conn, it.device_id)? else { continue };
        let is_same = found.generation == it.generation;
        let done = if is_same {
            device::remove(conn, &Actor::system(), found.id, &found.name, now)
        } else {
            Err(Error::Refused("the device enrolled again".to_owned()))
        };
        match done {
            Ok(()) => {}
            // As an error it would undo the other removals of this run.
            Err(Error::Refused(why) | Error::Conflict(why)) => {
                let act = act(Action::DeviceRemovalStopped, &found).because(&why).ended(Outcome::Refused);
                activity::record(conn, &Actor::system(), &act, now)?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok(count)
}

fn act(action: Action, device: &Device) -> Act<'static> {
    Act::done(action, Object::new("device", device.id, device.name.clone())).on(device.id)
}

#[derive(Template)]
#[template(path = "mail/removal_held.txt")]
struct RemovalHeld<'a> {
    by: &'a str,
    device: &'a Device,
    due_at: String,
    url: String,
}

fn tell(conn: &mut Conn, actor: &Actor, device: &Device, due_at: Time, now: Time) -> Result<()> {
    let by = account::who(conn, actor)?;
    let url = format!("{}/devices/{}", installation::public_url(conn)?.unwrap_or_default(), device.id);
    let body = RemovalHeld { by: &by, device, due_at: due_at.iso(), url }.render().context("writing a mail")?;
    let key = format!("{}/{}", device.id, now.millis());
    let subject = format!("Device will be removed: {}", device.name);
    guard::tell(conn, News { act: GuardedAct::RemoveDevice, key: &key, subject, body }, device, now)
}
