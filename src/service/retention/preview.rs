//! What a rule would end, before anybody sets it: by the function that decides.
use super::facts::{of, points, state};
use crate::error::Result;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RestorePointId};
use domain::retention::{Brake, Decision, Keep, brakes, decide};
use domain::time::Time;

/// How many repositories a preview looks at.
const MOST: usize = 1_000;

/// How many devices it names.
pub const NAMED: usize = 100;

/// What a rule would end of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    pub device: DeviceId,
    pub name: String,
    pub point_count: usize,
    /// Oldest first.
    pub ends: Vec<(RestorePointId, Time)>,
    /// What stops them from ending now.
    pub brakes: Vec<Brake>,
}

/// What a rule would end of all devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// Those of which something ends, those that lose most first; at most [`NAMED`].
    pub devices: Vec<Outlook>,
    pub device_count: usize,
    pub point_count: usize,
    pub end_count: usize,
    /// Repositories that were not looked at.
    pub left_out: usize,
}

/// What a rule would end of all devices that have backups.
///
/// # Errors
/// When the database refuses.
pub fn preview(conn: &mut Conn, keep: &Keep, now: Time) -> Result<Total> {
    let all = store::ground::repositories(conn)?;
    let mut total = Total { left_out: all.len().saturating_sub(MOST), ..Total::default() };
    for id in all.into_iter().take(MOST) {
        let (device, repository) = of(conn, id)?;
        let points = points(conn, &device, &repository)?;
        let ends = ends(keep, &points, now);
        total.point_count += points.len();
        if ends.is_empty() {
            continue;
        }
        (total.end_count, total.device_count) = (total.end_count + ends.len(), total.device_count + 1);
        let brakes = brakes(&state(conn, &device, &repository, now)?, now);
        total.devices.push(Outlook { device: device.id, name: device.name, point_count: points.len(), ends, brakes });
    }
    total.devices.sort_by(|a, b| b.ends.len().cmp(&a.ends.len()).then_with(|| a.name.cmp(&b.name)));
    total.devices.truncate(NAMED);
    Ok(total)
}

/// What a rule would end of each repository of a device, newest enrolment first.
///
/// # Errors
/// When the database refuses.
pub fn outlook(conn: &mut Conn, keep: &Keep, device: &Device, now: Time) -> Result<Vec<Outlook>> {
    let mut found = Vec::new();
    for repository in store::repository::of_device(conn, device.id)? {
        let points = points(conn, device, &repository)?;
        let brakes = brakes(&state(conn, device, &repository, now)?, now);
        let (point_count, ends) = (points.len(), ends(keep, &points, now));
        found.push(Outlook { device: device.id, name: device.name.clone(), point_count, ends, brakes });
    }
    Ok(found)
}

fn ends(keep: &Keep, points: &[domain::retention::Point], now: Time) -> Vec<(RestorePointId, Time)> {
    let decided = decide(keep, points, now);
    points.iter().zip(decided).filter(|(_, it)| *it == Decision::Ends).map(|(it, _)| (it.id, it.received_at)).collect()
}
