//! What people are told by mail, and when.
//!
//! A wipe is reported in the transaction of its act. What happens by itself, such as a proof expiring or a
//! restore test failing, is found by asking which devices are in that state without anybody having been told.
use crate::error::Result;
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::alert::Untold;
use crate::store::device::Device;
use crate::store::device_status::DeviceStatus;
use crate::store::user::User;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::Via;
use domain::continuity::{self, Doubt, Line};
use domain::id::{TeamId, WipeRequestId};
use domain::role::{Permission, Role};
use domain::time::Time;
use domain::wipe::{WipeAction, WipeReason};
use domain::words;
use std::collections::BTreeMap;

/// How many devices or wipes one mail names; it says how many more there are.
const NAMED: usize = 50;

/// How many devices one run reports.
const BATCH: i64 = 1_000;

const PROOF_OUT_OF_DATE: &str = "proof_out_of_date";
const RESTORE_TEST_FAILED: &str = "restore_test_failed";

/// Who wants to know about a wipe: everyone who may read the history of that device.
const WIPE_READERS: Permission = Permission::ViewActivity;

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
    it: &'a WipeNotice<'a>,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_held.txt")]
struct WipeHeld<'a> {
    it: &'a WipeNotice<'a>,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_approved.txt")]
struct WipeApproved<'a> {
    it: &'a WipeNotice<'a>,
    release_at: String,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/wipe_stands.txt")]
struct WipeStands<'a> {
    it: &'a WipeNotice<'a>,
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
#[template(path = "mail/wipe_done.txt")]
struct WipeDone<'a> {
    it: &'a WipeNotice<'a>,
    complete: bool,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/guard_changed.txt")]
struct GuardChanged<'a> {
    by: &'a str,
    label: &'a str,
    what: &'a str,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/access_changed.txt")]
struct AccessChanged<'a> {
    act: &'a str,
    email: &'a str,
    what: &'a str,
    wipes: bool,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/host_acted.txt")]
struct HostActed<'a> {
    by: &'a str,
    what: &'a str,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/device_removed.txt")]
struct DeviceRemoved<'a> {
    by: &'a str,
    device: &'a Device,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/proof_out_of_date.txt")]
struct ProofOutOfDate<'a> {
    devices: &'a [Untold],
    more_count: usize,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/restore_test_failed.txt")]
struct RestoreTestFailed<'a> {
    devices: &'a [Untold],
    more_count: usize,
    url: String,
}

/// Reports that a wipe was requested and is waiting for approval.
///
/// # Errors
/// When the database refuses.
pub fn wipe_requested(conn: &mut Conn, it: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", it.request))?;
    let subject = it.subject("requested");
    tell_of_wipe(conn, it, "wipe_requested", subject, &WipeRequested { it, url }, now)
}

/// Reports that wipes are held because too many were requested; once an hour, however many there are.
///
/// # Errors
/// When the database refuses.
pub fn wipe_held(conn: &mut Conn, it: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, "/approvals")?;
    let body = WipeHeld { it, url }.render().context("writing a mail")?;
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, it.team),
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
pub fn wipe_approved(conn: &mut Conn, it: &WipeNotice<'_>, release_at: Time, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", it.request))?;
    let subject = it.subject("approved");
    tell_of_wipe(conn, it, "wipe_approved", subject, &WipeApproved { it, release_at: release_at.iso(), url }, now)
}

/// Reports that a wipe does not continue by itself, or ended before it was sent, and why.
///
/// # Errors
/// When the database refuses.
pub fn wipe_stands(conn: &mut Conn, it: &WipeNotice<'_>, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", it.request))?;
    let subject = it.subject("not sent");
    tell_of_wipe(conn, it, "wipe_stands", subject, &WipeStands { it, url }, now)
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
pub fn wipe_done(conn: &mut Conn, it: &WipeNotice<'_>, complete: bool, now: Time) -> Result<()> {
    let url = url(conn, &format!("/wipe-requests/{}", it.request))?;
    let subject = it.subject(if complete { "confirmed" } else { "failed" });
    tell_of_wipe(conn, it, "wipe_done", subject, &WipeDone { it, complete, url }, now)
}

fn tell_of_wipe(
    conn: &mut Conn,
    it: &WipeNotice<'_>,
    kind: &'static str,
    subject: String,
    body: &impl Template,
    now: Time,
) -> Result<()> {
    let mail = Mail {
        to: Recipients::Permission(WIPE_READERS, it.team),
        kind,
        // A request that was reviewed is reported again.
        dedupe_key: Some(format!("{}/{}", it.request, now.millis())),
        subject,
        body: body.render().context("writing a mail")?,
    };
    match kind {
        // What takes a wipe further must be reported or does not happen; for what ended or has happened, room
        // is reserved.
        "wipe_requested" | "wipe_approved" => mail::enqueue_or_refuse(conn, Via::Web, &mail, now),
        _ => mail::enqueue_guard(conn, &mail, now),
    }
}

/// Reports that a setting or a policy that guards data was changed, or will be. One that stays as it was is
/// reported if there is room.
///
/// # Errors
/// `Refused` if nobody can be told about the change.
pub fn guard_changed(conn: &mut Conn, by: &str, (label, what): (&str, &str), is_looser: bool, now: Time) -> Result<()> {
    let url = url(conn, "/settings")?;
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: "guard_changed",
        dedupe_key: None,
        subject: format!("Guard changed: {label}"),
        body: GuardChanged { by, label, what, url }.render().context("writing a mail")?,
    };
    if is_looser { mail::enqueue_or_refuse(conn, Via::Web, &mail, now) } else { mail::enqueue_guard(conn, &mail, now) }
}

/// Reports that somebody may do more or less than before, or that somebody else may sign in as them. `what` is
/// a sentence, `roles` what it grants.
///
/// Called before the change, so that the change itself cannot leave anybody out.
///
/// # Errors
/// `Refused` if nobody can be told, unless it is done on the server's own machine.
pub fn access_changed(conn: &mut Conn, by: Via, user: &User, it: &AccessChange<'_>, now: Time) -> Result<()> {
    let wipes = it.roles.iter().any(|role| role.has_part_in_wipes());
    let act = if wipes { "Access to wipes granted" } else { "Access changed" };
    let subject = format!("{act}: {}", user.email);
    let url = url(conn, &format!("/users/{}", user.id))?;
    let body = AccessChanged { act, email: &user.email, what: it.what, wipes, url }.render();
    let body = body.context("writing a mail")?;
    let dedupe_key = it.once_an_hour.then(|| format!("{}/{}/{}", user.id, hour(now), secret::hash(it.what)));
    mail::enqueue_or_refuse(conn, by, &Mail { to: it.to, kind: "access_changed", dedupe_key, subject, body }, now)
}

/// What is reported about a change to somebody's access.
#[derive(Debug, Clone, Copy)]
pub struct AccessChange<'a> {
    /// A sentence.
    pub what: &'a str,
    /// What it grants.
    pub roles: &'a [Role],
    pub to: Recipients,
    /// Whether a repetition within an hour is reported only once.
    pub once_an_hour: bool,
}

/// Tells everyone what was done on the server's own machine.
///
/// # Errors
/// When the database refuses.
pub fn host_acted(conn: &mut Conn, by: &str, subject: &str, what: &str, now: Time) -> Result<()> {
    let url = url(conn, "/activity")?;
    let body = HostActed { by, what, url }.render().context("writing a mail")?;
    let subject = subject.to_owned();
    let mail = Mail { to: Recipients::Everyone, kind: "host_acted", dedupe_key: None, subject, body };
    mail::enqueue_guard(conn, &mail, now)
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

/// For what is reported once an hour.
fn hour(now: Time) -> String {
    (now.seconds() / 3600).to_string()
}

/// Reports proofs that expired and restore tests that failed, each once; returns how many devices were
/// reported.
///
/// # Errors
/// When the database refuses; then nobody counts as told.
pub fn tell(conn: &mut Conn, now: Time) -> Result<usize> {
    let failed = store::alert::failed_untold(conn, RESTORE_TEST_FAILED, BATCH)?;
    let lapsed = store::alert::lapsed_untold(conn, PROOF_OUT_OF_DATE, now, BATCH)?;
    for (team, devices) in by_team(&failed) {
        let (devices_named, more_count) = named(&devices);
        let url = url(conn, "/devices?grade=failed")?;
        let body = RestoreTestFailed { devices: devices_named, more_count, url }.render();
        let subject = subject("Restore test failed", &devices);
        tell_of_devices(conn, RESTORE_TEST_FAILED, team, subject, body.context("writing a mail")?, now)?;
    }
    for (team, devices) in by_team(&lapsed) {
        let (devices_named, more_count) = named(&devices);
        let url = url(conn, "/devices?grade=out_of_date")?;
        let body = ProofOutOfDate { devices: devices_named, more_count, url }.render();
        let subject = subject("Proof out of date", &devices);
        tell_of_devices(conn, PROOF_OUT_OF_DATE, team, subject, body.context("writing a mail")?, now)?;
    }
    for device in &failed {
        store::alert::told(conn, RESTORE_TEST_FAILED, device, now)?;
    }
    for device in &lapsed {
        store::alert::told(conn, PROOF_OUT_OF_DATE, device, now)?;
    }
    Ok(failed.len() + lapsed.len())
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
