//! What is told about wipes, in the transaction of their acts.
use super::{hour, named, url};
use crate::error::Result;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Conn;
use anyhow::Context;
use askama::Template;
use domain::id::{TeamId, WipeRequestId};
use domain::role::Permission;
use domain::time::Time;
use domain::wipe::{WipeAction, WipeReason};
use domain::words;

/// Who wants to know about a wipe: everyone who may read the history of that device.
pub(super) const WIPE_READERS: Permission = Permission::ViewActivity;

/// The wipe a mail is about.
#[derive(Debug, Clone, Copy)]
pub struct WipeNotice<'a> {
    pub request: WipeRequestId,
    pub device_name: &'a str,
    pub serial: &'a str,
    pub person: &'a str,
    pub team: Option<TeamId>,
    /// Who acted: the requester, the approver, or the device.
    pub by: &'a str,
    pub action: WipeAction,
    pub reason: WipeReason,
    /// What is lost, in one sentence with the real numbers.
    pub loss: &'a str,
    /// Why it is in its current state.
    pub note: &'a str,
}

impl WipeNotice<'_> {
    /// "Wipe requested: laptop-1".
    fn subject(&self, what: &str) -> String {
        format!("{} {what}: {}", words::capital(self.action.noun()), self.device_name)
    }
}

#[derive(Template)]
#[template(path = "mail/wipe_requested.txt")]
struct WipeRequested<'a> {
    wipe: &'a WipeNotice<'a>,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_held.txt")]
struct WipeHeld<'a> {
    wipe: &'a WipeNotice<'a>,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_approved.txt")]
struct WipeApproved<'a> {
    wipe: &'a WipeNotice<'a>,
    release_at: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_stands.txt")]
struct WipeStands<'a> {
    wipe: &'a WipeNotice<'a>,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipes_stopped.txt")]
struct WipesStopped<'a> {
    wipes: &'a [WipeNotice<'a>],
    by: &'a str,
    note: &'a str,
    more_count: usize,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_done.txt")]
struct WipeDone<'a> {
    wipe: &'a WipeNotice<'a>,
    complete: bool,
    url: String,
}

/// Reports that a wipe was requested and is waiting for approval.
///
/// # Errors
/// When the database refuses.
pub fn wipe_requested(conn: &mut Conn, wipe: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", wipe.request))?;
    let subject = wipe.subject("requested");
    tell_of_wipe(conn, wipe, "wipe_requested", subject, &WipeRequested { wipe, url }, now)
}

/// Reports that wipes are held because too many were requested; once an hour, however many there are.
///
/// # Errors
/// When the database refuses.
pub fn wipe_held(conn: &mut Conn, wipe: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, "/approvals")?;
    let body = WipeHeld { wipe, url }.render().context("writing a mail")?;
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, wipe.team),
        kind: "wipe_held",
        dedupe_key: Some(hour(now)),
        subject: "Wipes are held: more were requested than the limit allows".to_owned(),
        body,
    };
    mail::enqueue_guard(conn, &mail, now)
}

/// Reports that a wipe was approved, and until when anyone may stop it.
///
/// # Errors
/// When the database refuses.
pub fn wipe_approved(conn: &mut Conn, wipe: &WipeNotice<'_>, release_at: Time, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", wipe.request))?;
    let subject = wipe.subject("approved");
    tell_of_wipe(conn, wipe, "wipe_approved", subject, &WipeApproved { wipe, release_at: release_at.iso(), url }, now)
}

/// Reports that a wipe does not continue by itself, or ended before it was sent, and why.
///
/// # Errors
/// When the database refuses.
pub fn wipe_stands(conn: &mut Conn, wipe: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", wipe.request))?;
    let subject = wipe.subject("not sent");
    tell_of_wipe(conn, wipe, "wipe_stands", subject, &WipeStands { wipe, url }, now)
}

/// Reports in one mail that a person stopped these wipes of one team, and why; once an hour if nobody had been
/// told about any of them by name.
///
/// # Errors
/// When the database refuses.
pub fn wipes_stopped(
    conn: &mut Conn,
    team: Option<TeamId>,
    wipes: &[WipeNotice<'_>],
    were_told: bool,
    now: Time,
) -> Result<()> {
    let Some(first) = wipes.first() else { return Ok(()) };
    let (path, subject) = match wipes {
        [only] => (format!("/wipe-requests/{}", only.request), only.subject("stopped")),
        many => ("/wipe-requests".to_owned(), format!("Wipes stopped: {}", many.len())),
    };
    let url = url(conn, &path)?;
    let (shown, more_count) = named(wipes);
    let body = WipesStopped { wipes: shown, by: first.by, note: first.note, more_count, url };
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, team),
        kind: "wipes_stopped",
        dedupe_key: (!were_told).then(|| hour(now)),
        subject,
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_guard(conn, &mail, now)
}

/// Reports how a wipe ended on the device: everything gone, or something left.
///
/// # Errors
/// When the database refuses.
pub fn wipe_done(conn: &mut Conn, wipe: &WipeNotice<'_>, complete: bool, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", wipe.request))?;
    let subject = wipe.subject(if complete { "confirmed" } else { "failed" });
    tell_of_wipe(conn, wipe, "wipe_done", subject, &WipeDone { wipe, complete, url }, now)
}

fn tell_of_wipe(
    conn: &mut Conn,
    wipe: &WipeNotice<'_>,
    kind: &'static str,
    subject: String,
    body: &impl Template,
    now: Time,
) -> Result<()> {
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, wipe.team),
        kind,
        // A request that was reviewed is reported again.
        dedupe_key: Some(format!("{}/{}", wipe.request, now.millis())),
        subject,
        body: body.render().context("writing a mail")?,
    };
    match kind {
        // What takes a wipe further must be reported or does not happen; for what ended or has happened, room
        // is reserved.
        "wipe_requested" | "wipe_approved" => mail::enqueue_or_refuse(conn, &mail, now),
        _ => mail::enqueue_guard(conn, &mail, now),
    }
}
