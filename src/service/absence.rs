//! Reports backups that fail to arrive: nothing happens then, so nothing else would report it.
use crate::error::Result;
use crate::service::alert::{by_team, named, subject, tell_of_devices, url};
use crate::service::policy;
use crate::store::alert::Untold;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::id::{DeviceId, TeamId};
use domain::policy::Schedule;
use domain::time::{Time, hours, minutes};
use domain::words;
use std::time::Duration;

/// How many devices of a team one run reports.
const BATCH: i64 = 1_000;

const OVERDUE: &str = "backup_overdue";
const UNASKED: &str = "no_backup_policy";
const FAILING: &str = "backup_failing";
const ATTEMPTS: &str = "backup_attempts_failing";

/// How long after a device's enrolment nobody is told that no policy asks it for backups: somebody may be about
/// to write one.
const WRITING: Duration = hours(1);

/// How many ordered or scheduled backups in a row must fail.
const FAILURES: i64 = 2;

/// How late a backup may be beyond its span: a tenth of it, for the time a backup takes.
fn slack(span: Duration) -> Duration {
    (span / 10).clamp(minutes(5), hours(2))
}

#[derive(Template)]
#[template(path = "mail/backup_overdue.txt")]
struct BackupOverdue<'a> {
    devices: &'a [Untold],
    span: &'a str,
    more_count: usize,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/no_backup_policy.txt")]
struct NoBackupPolicy<'a> {
    devices: &'a [Untold],
    more_count: usize,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/backup_failing.txt")]
struct BackupFailing<'a> {
    devices: &'a [(Untold, String)],
    more_count: usize,
    url: String,
}

/// What is to be reported.
#[derive(Debug, Clone, Default)]
pub struct Found {
    overdue: Vec<(Option<TeamId>, Duration, Vec<Untold>)>,
    unasked: Vec<(Option<TeamId>, Vec<Untold>)>,
    failing: Vec<Untold>,
    attempts: Vec<Untold>,
    /// A policy asks these for backups again.
    asked_again: Vec<DeviceId>,
}

impl Found {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self { overdue, unasked, failing, attempts, asked_again } = self;
        let has_failing = !failing.is_empty() || !attempts.is_empty();
        !has_failing && overdue.is_empty() && unasked.is_empty() && asked_again.is_empty()
    }
}

/// Looks for devices whose backups are missing, if nobody was told about it. Only reads.
///
/// They check in but do not back up within the span of their policies, or no policy asks them for backups, or
/// their backups keep failing.
///
/// # Errors
/// When the database refuses.
pub fn look(conn: &mut Conn, now: Time) -> Result<Found> {
    let mut teams: Vec<Option<TeamId>> = vec![None];
    teams.extend(store::team::all(conn)?.into_iter().map(|it| Some(it.id)));
    let mut found = Found {
        failing: store::absence::failing_untold(conn, FAILING, FAILURES, BATCH)?,
        attempts: store::absence::attempts_untold(conn, ATTEMPTS, FAILURES, BATCH)?,
        ..Found::default()
    };
    for team in teams {
        let policies = policy::applied(&policy::applying_to_team(conn, team)?)?;
        if let Some(span) = Schedule::tightest(&policies).backup_every {
            found.asked_again.extend(store::absence::told_of(conn, UNASKED, team, BATCH)?);
            let overdue = store::absence::overdue_untold(conn, OVERDUE, team, span + slack(span), now, BATCH)?;
            if !overdue.is_empty() {
                found.overdue.push((team, span, overdue));
            }
        } else {
            let unasked = store::absence::unasked_untold(conn, UNASKED, team, now - WRITING, BATCH)?;
            if !unasked.is_empty() {
                found.unasked.push((team, unasked));
            }
        }
    }
    Ok(found)
}

/// Reports what was found, each once; returns how many devices were reported.
///
/// # Errors
/// When the database refuses; then nobody counts as told.
pub fn tell(conn: &mut Conn, found: &Found, now: Time) -> Result<usize> {
    store::absence::forget(conn, UNASKED, &found.asked_again)?;
    let mut count = failing(conn, FAILING, &found.failing, now)? + failing(conn, ATTEMPTS, &found.attempts, now)?;
    for (team, span, devices) in &found.overdue {
        count += overdue(conn, (*team, *span), devices, now)?;
    }
    for (team, devices) in &found.unasked {
        count += unasked(conn, *team, devices, now)?;
    }
    Ok(count)
}

fn overdue(conn: &mut Conn, (team, span): (Option<TeamId>, Duration), all: &[Untold], now: Time) -> Result<usize> {
    let (devices, more_count) = named(all);
    let url = url(conn, "/devices?sort=newest_backup")?;
    let body = BackupOverdue { devices, span: &words::span(span), more_count, url }.render();
    let subject = subject("No backup", all);
    tell_of_devices(conn, OVERDUE, team, subject, body.context("writing a mail")?, now)?;
    told(conn, OVERDUE, all, now)
}

fn unasked(conn: &mut Conn, team: Option<TeamId>, all: &[Untold], now: Time) -> Result<usize> {
    let (devices, more_count) = named(all);
    let url = url(conn, "/policies")?;
    let body = NoBackupPolicy { devices, more_count, url }.render();
    let subject = subject("No policy asks for backups", all);
    tell_of_devices(conn, UNASKED, team, subject, body.context("writing a mail")?, now)?;
    told(conn, UNASKED, all, now)
}

fn failing(conn: &mut Conn, kind: &'static str, all: &[Untold], now: Time) -> Result<usize> {
    for (team, devices) in by_team(all) {
        let mut reasons = Vec::with_capacity(devices.len());
        for device in &devices {
            let reason = if kind == ATTEMPTS {
                store::backup_attempt::find(conn, device.id)?.map(|it| it.reason)
            } else {
                store::absence::failure_of(conn, device.id)?
            };
            let reason = reason.unwrap_or_default();
            reasons.push((device.clone(), words::sentence(&reason)));
        }
        let (devices_named, more_count) = named(&reasons);
        let url = url(conn, "/devices?sort=newest_backup")?;
        let body = BackupFailing { devices: devices_named, more_count, url }.render();
        let subject = subject("Backups keep failing", &devices);
        tell_of_devices(conn, kind, team, subject, body.context("writing a mail")?, now)?;
    }
    told(conn, kind, all, now)
}

fn told(conn: &mut Conn, kind: &str, devices: &[Untold], now: Time) -> Result<usize> {
    for device in devices {
        store::alert::told(conn, kind, device, now)?;
    }
    Ok(devices.len())
}
