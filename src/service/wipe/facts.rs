//! The facts a request is about.
use crate::error::{Error, Result};
use crate::service::loss;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use domain::time::Time;
use domain::wipe::Facts;

/// What is known of a device now.
///
/// # Errors
/// When the database refuses.
pub fn facts(conn: &mut Conn, device: &Device, now: Time) -> Result<Facts> {
    let listed = store::device_list::of_ids(conn, &[device.id])?.pop().ok_or(Error::NotFound("device"))?;
    let moment = loss::moment(conn, now)?;
    let status = store::device_status::find(conn, device.id)?.unwrap_or_else(|| DeviceStatus::new(device.id));
    let said = status.facts()?;
    let encryption = said.encryption();
    Ok(Facts {
        device_id: device.id,
        name: device.name.clone(),
        serial: device.serial.clone(),
        generation: device.generation,
        ownership: device.ownership,
        // Not the last word alone: an old "yes" no longer counts, while a "no" is no less true.
        encryption: status.encryption_now(device.state, now)?.relied_on(),
        encryption_method: encryption.map(|(it, _)| it.method.clone()).unwrap_or_default(),
        encryption_measured_at: encryption.map(|(_, it)| it.measured_at),
        known: loss::facts(&listed, &moment),
        doubt: status.doubt,
        shares_serial: !store::device::with_serial_of(conn, device)?.is_empty(),
        is_damaged: store::uncopied::is_lost(conn, device.id, now)?,
    })
}
