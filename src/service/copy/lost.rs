//! What no store has intact: the devices are named, once for each time that it happens.
use crate::error::Result;
use crate::service::alert::{by_team, named, subject, tell_of_devices, url};
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::time::Time;

/// How many devices one run reports.
const BATCH: i64 = 1_000;

const COPY_LOST: &str = "copy_lost";

#[derive(Template)]
#[template(path = "mail/copy_lost.txt")]
struct CopyLost<'a> {
    devices: &'a [store::alert::Untold],
    more_count: usize,
    url: String,
}

/// Reports devices of which something is damaged in the backup store and not intact in a second one; returns how many.
///
/// # Errors
/// When the database refuses; then nobody counts as told.
pub fn tell(conn: &mut Conn, now: Time) -> Result<usize> {
    let mut devices = Vec::new();
    for (device, at) in store::uncopied::lost(conn, BATCH)? {
        devices.extend(store::alert::untold(conn, COPY_LOST, device, at)?);
    }
    for (team, devices) in by_team(&devices) {
        let (devices_named, more_count) = named(&devices);
        let url = url(conn, "/stores")?;
        let body = CopyLost { devices: devices_named, more_count, url }.render().context("writing a mail")?;
        let subject = subject("Damaged, and intact in no store", &devices);
        tell_of_devices(conn, COPY_LOST, team, subject, body, now)?;
    }
    for device in &devices {
        store::alert::told(conn, COPY_LOST, device, now)?;
    }
    Ok(devices.len())
}
