//! Which machine reports as a device: doubt is recorded and reported, and other devices with the same serial
//! are named.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};
use domain::activity::{Action, Object, Outcome, Via};
use domain::continuity::Doubt;
use domain::id::DeviceId;
use domain::role::Reach;
use domain::time::Time;

/// Records and reports doubt about which machine reports as a device. Each kind of doubt comes once in an
/// enrolment, so a device that fakes it cannot flood anybody.
///
/// # Errors
/// When the database refuses.
pub fn doubted(conn: &mut Conn, device: &Device, status: &DeviceStatus, address: &str, now: Time) -> Result<()> {
    let act = Act::done(Action::IdentityDoubted, Object::new("device", device.id, device.name.clone()))
        .on(device.id)
        .because(status.doubt.sentence())
        .ended(Outcome::Refused);
    activity::record(conn, &device.actor(Via::Agent, address), &act, now)?;
    alert::identity_doubted(conn, device, status, now)
}

/// The doubt about which machine reports as a device.
///
/// # Errors
/// When the database refuses.
pub fn doubt(conn: &mut Conn, id: DeviceId) -> Result<Doubt> {
    Ok(store::device_status::find(conn, id)?.map_or(Doubt::None, |it| it.doubt))
}

/// Refuses what would be done to one machine while nobody can say which.
///
/// # Errors
/// While there is doubt.
pub fn require_one_machine(conn: &mut Conn, device: &Device) -> Result<()> {
    let doubt = doubt(conn, device.id)?;
    if !doubt.stands() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "{}: {} It is not known which machine this would reach. Choose \u{201c}Enroll again\u{2026}\u{201d} on the device's page first.",
        device.name,
        doubt.sentence()
    )))
}

/// Other enrolled devices with the same serial number, as far as somebody may see them.
#[derive(Debug, Clone, Default)]
pub struct Twins {
    /// Within reach.
    pub seen: Vec<Device>,
    /// Whether there are others.
    pub has_unseen: bool,
}

/// Which other devices have this device's serial number.
///
/// # Errors
/// When the database refuses.
pub fn twins(conn: &mut Conn, reach: &Reach, device: &Device) -> Result<Twins> {
    let all = store::device::with_serial_of(conn, device)?;
    let count = all.len();
    let seen: Vec<_> = all.into_iter().filter(|it| reach.covers(it.team_id)).collect();
    Ok(Twins { has_unseen: seen.len() < count, seen })
}
