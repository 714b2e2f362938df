//! Opening master keys by hand: only on the server's own machine, with a reason, and everyone is told.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::fields::FieldErrors;
use domain::id::DeviceId;
use domain::name;
use domain::time::Time;

/// The longest reason, in characters.
const MAX_REASON: usize = 500;

/// Records that the master keys of a device's repositories are shown to somebody, before they are. An act.
///
/// # Errors
/// When there is no such device, or no reason.
pub fn unseal(conn: &mut Conn, by: &Actor, id: DeviceId, reason: &str, now: Time) -> Result<()> {
    let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
    let mut errors = FieldErrors::new();
    name::check(reason, "reason", MAX_REASON, &mut errors);
    errors.into_result()?;
    let reason = reason.trim();
    let act = Act::done(Action::MasterKeyUnsealed, Object::new("device", id, &*device.name)).on(id).because(reason);
    activity::record(conn, by, &act, now)?;
    let what = format!(
        "The master keys of the backups of {} were shown: whoever has them can read all of that device's backups, also \
         those to come. Reason: {reason}",
        device.name
    );
    alert::host_acted(conn, &by.name, &format!("Backups opened by hand: {}", device.name), &what, now)
}
