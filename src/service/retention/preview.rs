//! What a rule would end, before anybody sets it: by the function that decides.
use super::facts::{of, points, state};
use crate::error::Result;
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::{self, Conn};
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::key_holder::KeyHolder;
use domain::retention::{Brake, Decision, Keep, MOST_PERCENT, WINDOW, brakes, decide};
use domain::time::Time;
use std::collections::BTreeSet;

/// How many repositories a preview looks at in one read of the database.
const AT_ONCE: i64 = 200;

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
    /// Repositories of which something would end: a device has one for each enrolment.
    pub row_count: usize,
    /// No more than this would be freed, in bytes.
    pub most_bytes: i64,
    /// Repositories of which nothing ends whatever the rule, because the customer keeps the key.
    pub customer_count: i64,
    counted: BTreeSet<DeviceId>,
    after: Option<RepositoryId>,
    /// Whether all repositories were looked at.
    pub is_whole: bool,
}

/// Adds the next repositories to what a rule would end: again and again until it is whole, so that no number of them is
/// in memory at once or keeps the database busy for long.
///
/// # Errors
/// When the database refuses.
pub fn preview(conn: &mut Conn, keep: &Keep, mut total: Total, now: Time) -> Result<Total> {
    let next = store::verification::repositories_after(conn, total.after, AT_ONCE)?;
    total.after = next.last().copied();
    total.is_whole = next.is_empty();
    for id in next {
        let (device, repository) = of(conn, id)?;
        let points = points(conn, &device, &repository)?;
        let ends = ends(keep, &repository, &points, now);
        total.point_count += points.len();
        total.customer_count += i64::from(repository.key_holder == KeyHolder::Customer);
        if ends.is_empty() {
            continue;
        }
        total.end_count += ends.len();
        total.row_count += 1;
        total.counted.insert(device.id);
        total.most_bytes += most_bytes(conn, &repository, now)?;
        let brakes = brakes(&state(conn, &device, &repository, now)?, now);
        total.devices.push(Outlook { device: device.id, name: device.name, point_count: points.len(), ends, brakes });
    }
    total.device_count = total.counted.len();
    total.devices.sort_by(|a, b| b.ends.len().cmp(&a.ends.len()).then_with(|| a.name.cmp(&b.name)));
    total.devices.truncate(NAMED);
    Ok(total)
}

/// The most that ending points of a repository can free, in bytes: of its packs, only whole ones go, none that is young,
/// none that the newest backup needs, and never more than the brake lets go at once.
fn most_bytes(conn: &mut Conn, repository: &Repository, now: Time) -> Result<i64> {
    let spare = store::object::spare_bytes(conn, repository.id, now - WINDOW)?;
    let at_once = repository.stored_bytes.saturating_mul(i64::from(MOST_PERCENT)) / 100;
    Ok(spare.min(at_once).saturating_add(store::object::record_bytes(conn, repository.id)?))
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
        let (point_count, ends) = (points.len(), ends(keep, &repository, &points, now));
        found.push(Outlook { device: device.id, name: device.name.clone(), point_count, ends, brakes });
    }
    Ok(found)
}

fn ends(
    keep: &Keep,
    repository: &Repository,
    points: &[domain::retention::Point],
    now: Time,
) -> Vec<(RestorePointId, Time)> {
    // It is stopped for good, so that no number may count it among what goes.
    if repository.key_holder == KeyHolder::Customer {
        return Vec::new();
    }
    let decided = decide(keep, points, now);
    points.iter().zip(decided).filter(|(_, it)| *it == Decision::Ends).map(|(it, _)| (it.id, it.received_at)).collect()
}
