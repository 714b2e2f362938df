//! What people are told by mail, and when.
//!
//! A wipe is reported in the transaction of its act. What happens by itself, such as a proof expiring or a
//! restore test failing, is found by asking which devices are in that state without anybody having been told.
mod device;
mod evidence;
mod power;
mod wipe;

pub use device::{device_reenrolled, device_removed, identity_doubted};
pub use evidence::tell;
pub use power::{AccessChange, access_changed, guard_changed, host_acted};
pub use wipe::{WipeNotice, wipe_approved, wipe_done, wipe_held, wipe_requested, wipe_stands, wipes_stopped};

use crate::error::Result;
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Conn;
use crate::store::alert::Untold;
use domain::id::TeamId;
use domain::role::Permission;
use domain::time::Time;
use domain::words;
use std::collections::BTreeMap;

/// How many devices or wipes one mail names; it says how many more there are.
const NAMED: usize = 50;

/// For what is reported once an hour.
fn hour(now: Time) -> String {
    (now.seconds() / 3600).to_string()
}

pub(super) fn tell_of_devices(
    conn: &mut Conn,
    kind: &'static str,
    team: Option<TeamId>,
    subject: String,
    body: String,
    now: Time,
) -> Result<()> {
    let to = Recipients::Permission(Permission::RunBackups, team);
    mail::enqueue(conn, &Mail { to, kind, dedupe_key: None, subject, body }, now).map(drop)
}

/// Devices by team: each team's people are told only about their own.
pub(super) fn by_team(devices: &[Untold]) -> BTreeMap<Option<TeamId>, Vec<Untold>> {
    let mut teams: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for device in devices {
        teams.entry(device.team_id).or_default().push(device.clone());
    }
    teams
}

pub(super) fn named<T>(all: &[T]) -> (&[T], usize) {
    let shown = all.get(..NAMED).unwrap_or(all);
    (shown, all.len() - shown.len())
}

pub(super) fn subject(what: &str, devices: &[Untold]) -> String {
    match devices {
        [only] => format!("{what}: {}", only.name),
        many => format!("{what}: {}", words::counted(many.len(), "device", "devices")),
    }
}

/// A page's address, or its path if the server does not know its own address.
pub(super) fn url(conn: &mut Conn, path: &str) -> Result<String> {
    Ok(format!("{}{path}", installation::public_url(conn)?.unwrap_or_default()))
}
