//! The facts a request is about, and their digest.
use crate::error::{Error, Result};
use crate::service::loss;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use anyhow::Context;
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
        encryption: status.encryption_now(device.state, now)?.relied_on(),
        encryption_method: encryption.map(|(it, _)| it.method.clone()).unwrap_or_default(),
        encryption_measured_at: encryption.map(|(_, it)| it.measured_at),
        known: loss::facts(&listed, &moment),
        doubt: status.doubt,
        shares_serial: !store::device::with_serial_of(conn, device)?.is_empty(),
    })
}

/// A digest of the part of the facts that is agreed to.
///
/// # Errors
/// None in practice.
pub fn digest(facts: &Facts) -> Result<String> {
    Ok(secret::hash(&facts.canonical().context("writing a device's facts")?))
}
