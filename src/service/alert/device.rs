//! What is told about one device: that it was removed, replaced, or is doubted.
use super::wipe::WIPE_READERS;
use super::{hour, url};
use crate::error::Result;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Conn;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use anyhow::Context;
use askama::Template;
use domain::continuity::{self, Doubt, Line};
use domain::role::Permission;
use domain::time::Time;

#[derive(Template)]
#[template(path = "mail/device_reenrolled.txt")]
struct DeviceReenrolled<'a> {
    device: &'a Device,
    by: &'a str,
    address: &'a str,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/identity_doubted.txt")]
struct IdentityDoubted<'a> {
    device: &'a Device,
    doubt: Doubt,
    lines: &'a [Line],
    way_out: &'static str,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/device_removed.txt")]
struct DeviceRemoved<'a> {
    by: &'a str,
    device: &'a Device,
    url: String,
}

/// Reports that a device was removed, which nothing else would: a removed device has no proof that can expire.
/// One mail each: the hourly limit on removals bounds them.
///
/// # Errors
/// When the database refuses.
pub fn device_removed(conn: &mut Conn, by: &str, device: &Device, now: Time) -> Result<()> {
    let url = url(conn, "/activity")?;
    let mail = Mail {
        to: Recipients::Permission(Permission::ViewActivity, device.team_id),
        kind: "device_removed",
        dedupe_key: Some(format!("{}/{}", device.id, device.generation)),
        subject: format!("Device removed: {}", device.name),
        body: DeviceRemoved { by, device, url }.render().context("writing a mail")?,
    };
    mail::enqueue_guard(conn, &mail, now)
}

/// Reports that a machine has taken a device's place with its own keys: whoever has the token and the name
/// could. Once an hour for each device.
///
/// # Errors
/// When the database refuses.
pub fn device_reenrolled(conn: &mut Conn, by: &str, device: &Device, address: &str, now: Time) -> Result<()> {
    let url = url(conn, &format!("/devices/{}", device.id))?;
    let mail = Mail {
        to: Recipients::Permission(Permission::ViewActivity, device.team_id),
        kind: "device_reenrolled",
        dedupe_key: Some(format!("{}/{}", device.id, hour(now))),
        subject: format!("Device enrolled again: {}", device.name),
        body: DeviceReenrolled { device, by, address, url }.render().context("writing a mail")?,
    };
    mail::enqueue_guard(conn, &mail, now)
}

/// Reports that nobody can say which machine reports as a device. Not deduplicated: it happens at most twice in
/// an enrolment.
///
/// # Errors
/// When the database refuses.
pub fn identity_doubted(conn: &mut Conn, device: &Device, status: &DeviceStatus, now: Time) -> Result<()> {
    let url = url(conn, &format!("/devices/{}", device.id))?;
    let (doubt, lines) = (status.doubt, status.continuity()?.lines);
    let body = IdentityDoubted { device, doubt, lines: &lines, way_out: continuity::WAY_OUT, url };
    let what = match doubt {
        Doubt::TwoMachines => "Two machines report as one device",
        Doubt::OlderState | Doubt::None => "Device came back with an older state",
    };
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, device.team_id),
        kind: "identity_doubted",
        dedupe_key: None,
        subject: format!("{what}: {}", device.name),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_guard(conn, &mail, now)
}
