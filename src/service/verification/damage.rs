//! What verification found at a location, kept and told.
use super::key_of;
use crate::blob::BlobKey;
use crate::error::Result;
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{backup, copy, installation};
use crate::store::verification::SizedCopy;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::object::Location;
use domain::role::Permission;
use domain::time::{Time, hours};
use std::time::Duration;

/// How often people are told of a location: a disk that fails does not fill anybody's mailbox.
const TELL_EVERY: Duration = hours(24);

#[derive(Template)]
#[template(path = "mail/store_damaged.txt")]
struct StoreDamaged<'a> {
    store: String,
    key: String,
    why: &'a str,
    device: String,
    is_elsewhere: bool,
    url: String,
}

/// Marks a copy as missing or changed, for a reason in words; false if that was known.
pub(super) fn found(conn: &mut Conn, location: Location, key: &BlobKey, why: &str, now: Time) -> Result<bool> {
    let is_news = match location {
        Location::Primary => backup::object_found_damaged(conn, key, why, now)?,
        Location::Copy => copy::object_damaged(conn, key, why, now)?,
    };
    if is_news {
        tell(conn, location, key, why, now)?;
    }
    Ok(is_news)
}

/// Marks a copy that was damaged as intact, if it is still as it was `seen` when the read began at `at`.
pub(super) fn intact_again(conn: &mut Conn, location: Location, seen: &SizedCopy, at: Time) -> Result<bool> {
    if !store::verification::mark_read_back(conn, location, seen, at)? {
        return Ok(false);
    }
    match location {
        Location::Primary => backup::object_intact_again(conn, &key_of(seen), at)?,
        Location::Copy => copy::object_intact_again(conn, &key_of(seen), at)?,
    }
    Ok(true)
}

/// Tells those who can look after the disk of the first damage in a day. Who is affected, if no other store can repair
/// it, others are told (`service::copy::tell_lost`).
fn tell(conn: &mut Conn, location: Location, key: &BlobKey, why: &str, now: Time) -> Result<()> {
    let told = store::setting::damage_told(location);
    // Also when the clock was set back.
    if told.find(conn)?.is_some_and(|at| at <= now && now < at + TELL_EVERY) {
        return Ok(());
    }
    told.set(conn, &now, now)?;
    let has_other = location == Location::Copy || store::setting::COPY.entry(conn)?.is_some();
    let body = StoreDamaged {
        store: location.name().to_lowercase(),
        key: format!("{}/{}", key.kind, key.name),
        why,
        device: store::verification::device_name(conn, key.repository)?.unwrap_or_default(),
        is_elsewhere: has_other && store::copy::is_intact(conn, location.other(), key.repository, key.kind, &key.name)?,
        url: format!("{}/stores", installation::public_url(conn)?.unwrap_or_default()),
    };
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageSettings, None),
        kind: "store_damaged",
        dedupe_key: None,
        subject: format!("Holdfast: damage was found in the {}", body.store),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue(conn, &mail, now).map(drop)
}
