//! Asks devices to send again what no store has intact.
use crate::error::Result;
use crate::service::command::{self, Ask};
use crate::store::{self, Conn, Store};
use domain::activity::Actor;
use domain::command::{CommandKind, Order};
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::time::{Time, minutes};
use std::time::Duration;

/// How long damage stands before a device is asked: until then another store may repair it, and a restore test says which
/// files are affected.
const GRACE: Duration = minutes(15);

/// How many devices are looked at in one run.
const BATCH: i64 = 1_000;

/// Has each device with damage that no store has repaired back up now, once for each time that it happens; returns how
/// many were asked.
///
/// A backup that begins while the newest one counts on damage reads everything anew, so that whatever
/// the device still has is sent.
///
/// # Errors
/// When the database refuses.
pub fn ask_again(store: &Store, now: Time) -> Result<usize> {
    let to_ask = store.read_blocking(move |conn| {
        let mut to_ask = Vec::new();
        for (device, since) in store::uncopied::lost(conn, BATCH)? {
            // Also when the clock was set back.
            let has_stood = now < since || since + GRACE <= now;
            if has_stood && may_be_asked(conn, device, since)? {
                to_ask.push((device, since));
            }
        }
        Ok::<_, crate::error::Error>(to_ask)
    })?;
    let mut asked = 0;
    for (id, since) in to_ask {
        asked += usize::from(store.act_blocking(move |conn| ask(conn, id, since, now))?);
    }
    Ok(asked)
}

/// The same damage asks once.
fn request_key(device: DeviceId, since: Time) -> String {
    format!("damage/{device}/{}", since.millis())
}

fn may_be_asked(conn: &mut Conn, id: DeviceId, since: Time) -> Result<bool> {
    let Some(device) = store::device::find(conn, id)?.filter(|it| it.state == DeviceState::Enrolled) else {
        return Ok(false);
    };
    if store::command::find_by_request_key(conn, &request_key(id, since))?.is_some() {
        return Ok(false);
    }
    // One that does not take it cannot be asked through this channel.
    Ok(command::require_order(conn, &device, CommandKind::BackUpNow).is_ok())
}

fn ask(conn: &mut Conn, id: DeviceId, since: Time, now: Time) -> Result<bool> {
    // Removed, wiped or repaired meanwhile.
    if !may_be_asked(conn, id, since)? || store::uncopied::lost_of(conn, id)? != Some(since) {
        return Ok(false);
    }
    let Some(device) = store::device::find(conn, id)? else { return Ok(false) };
    let key = request_key(id, since);
    let ask = Ask { order: &Order::BackUpNow, request_key: Some(&key) };
    command::queue(conn, &Actor::system(), &device, ask, now)?;
    Ok(true)
}
