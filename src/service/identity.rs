//! Who speaks for a device: doubt is written down and told, and other devices of the same serial are named.
use crate::domain::activity::{Action, Object, Outcome};
use crate::domain::continuity::Doubt;
use crate::domain::id::DeviceId;
use crate::domain::role::Reach;
use crate::domain::time::Time;
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::service::check_in::actor;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::{self, Conn};

/// Writes down and tells that it is doubtful which machine speaks for a device. Each kind of doubt comes once in an
/// enrolment, so a device that makes it up cannot flood anybody.
///
/// # Errors
/// When the database refuses.
pub fn doubted(conn: &mut Conn, device: &Device, status: &DeviceStatus, address: &str, now: Time) -> Result<()> {
    let act = Act::done(Action::IdentityDoubted, Object::new("device", device.id, device.name.clone()))
        .on(device.id)
        .because(status.doubt.sentence())
        .ended(Outcome::Refused);
    activity::record(conn, &actor(device, address), &act, now)?;
    alert::identity_doubted(conn, device, status, now)
}

/// What is doubtful about who speaks for a device.
///
/// # Errors
/// When the database refuses.
pub fn doubt(conn: &mut Conn, id: DeviceId) -> Result<Doubt> {
    Ok(store::device_status::find(conn, id)?.map_or(Doubt::None, |it| it.doubt))
}

/// Refuses what would be done to one machine while nobody can say to which.
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

/// Other enrolled devices with the serial number of one, as far as somebody may see them.
#[derive(Debug, Clone, Default)]
pub struct Twins {
    /// Within reach.
    pub seen: Vec<Device>,
    /// Whether there are others.
    pub has_unseen: bool,
}

/// Who else has this device's serial number.
///
/// # Errors
/// When the database refuses.
pub fn twins(conn: &mut Conn, reach: &Reach, device: &Device) -> Result<Twins> {
    let all = store::device::with_serial_of(conn, device)?;
    let count = all.len();
    let seen: Vec<_> = all.into_iter().filter(|it| reach.covers(it.team_id)).collect();
    Ok(Twins { has_unseen: seen.len() < count, seen })
}
