//! The mails about store and disks: to the people who manage the server's settings, who can do something about
//! it.
use crate::error::Result;
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Conn;
use anyhow::Context;
use askama::Template;
use domain::ground::{Away, Disk, Room, Stopped, Trouble};
use domain::role::Permission;
use domain::time::Time;
use domain::words::bytes;

#[derive(Template)]
#[template(path = "mail/store_away.txt")]
struct StoreAway<'a> {
    away: &'a Away,
    since: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/store_back.txt")]
struct StoreBack {
    since: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/backups_stopped.txt")]
struct BackupsStopped<'a> {
    stopped: &'a Stopped,
    since: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/database_trouble.txt")]
struct DatabaseTrouble<'a> {
    trouble: &'a Trouble,
    since: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/disk_filling.txt")]
struct DiskFilling {
    disk: String,
    free: String,
    total: String,
    trend: String,
    /// Whether it is the second store's.
    is_copy: bool,
    url: String,
}

/// Reports that the store cannot be read.
///
/// # Errors
/// When the database refuses.
pub fn away(conn: &mut Conn, away: &Away, now: Time) -> Result<()> {
    let body = StoreAway { away, since: away.since.iso(), url: url(conn)? };
    send(conn, "store_away", "Holdfast: the backup store cannot be read", &body, now)
}

/// Reports that the store can be read again.
///
/// # Errors
/// When the database refuses.
pub fn back(conn: &mut Conn, before: &Away, now: Time) -> Result<()> {
    let body = StoreBack { since: before.since.iso(), url: url(conn)? };
    send(conn, "store_back", "Holdfast: the backup store can be read again", &body, now)
}

/// Reports that no backups can be stored.
///
/// # Errors
/// When the database refuses.
pub fn stopped(conn: &mut Conn, stopped: &Stopped, now: Time) -> Result<()> {
    let body = BackupsStopped { stopped, since: stopped.since.iso(), url: url(conn)? };
    send(conn, "backups_stopped", "Holdfast: no backups can be stored", &body, now)
}

/// Reports that a disk is getting full.
///
/// # Errors
/// When the database refuses.
pub fn room(conn: &mut Conn, it: &Room, now: Time) -> Result<()> {
    let disk = it.disk.name().to_lowercase();
    let subject = format!("Holdfast: the disk of the {disk} is getting full");
    let body = DiskFilling {
        disk,
        free: bytes(it.now.free_bytes),
        total: bytes(it.now.total_bytes),
        trend: it.trend(),
        is_copy: it.disk == Disk::Copy,
        url: url(conn)?,
    };
    send(conn, "disk_filling", &subject, &body, now)
}

/// Reports that the database is damaged, or could not be checked.
///
/// # Errors
/// When the database refuses.
pub fn database(conn: &mut Conn, trouble: &Trouble, now: Time) -> Result<()> {
    let subject = format!("Holdfast: {}", trouble.headline().to_lowercase());
    let body = DatabaseTrouble { trouble, since: trouble.since.iso(), url: url(conn)? };
    send(conn, "database_trouble", &subject, &body, now)
}

fn send(conn: &mut Conn, kind: &'static str, subject: &str, body: &impl Template, now: Time) -> Result<()> {
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageSettings, None),
        kind,
        dedupe_key: None,
        subject: subject.to_owned(),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue(conn, &mail, now).map(drop)
}

fn url(conn: &mut Conn) -> Result<String> {
    Ok(format!("{}/", installation::public_url(conn)?.unwrap_or_default()))
}
