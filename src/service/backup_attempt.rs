//! What a device reports about its attempts to back up: failed ones are reported to people, with the reason.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::store::backup_attempt::BackupAttempt;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::activity::{Action, Object, Via};
use domain::backup::{Backup, FailedBackup, LeftOut, RootAway};
use domain::time::Time;

/// How much is kept of what a device says.
const LONGEST: usize = 1000;
/// A device that keeps failing for new reasons must not fill the history.
const TOLD: i64 = 10;
/// The most folders that a device may protect.
const MOST_AWAY: usize = 64;

/// Notes that a backup was made, and what is not in it.
///
/// # Errors
/// When the database refuses.
pub fn done(conn: &mut Conn, device: &Device, report: &Backup, now: Time) -> Result<()> {
    let away: Vec<_> = report.away.iter().take(MOST_AWAY).map(bounded).collect();
    let mut left_out = report.left_out.clone().bounded();
    for entry in &mut left_out.named {
        (entry.path, entry.reason) = (cut(&entry.path), cut(&entry.reason));
    }
    let row = BackupAttempt::done(device.id, &left_out, &away, now)?;
    Ok(store::backup_attempt::set(conn, &row)?)
}

/// Notes that a backup failed. The history gets an entry if the reason differs from the previous one.
///
/// # Errors
/// When the report is from an older enrolment, or the database refuses.
pub fn failed(conn: &mut Conn, device: &Device, attempt: &FailedBackup, now: Time) -> Result<()> {
    if attempt.generation != device.generation {
        return Err(Error::Conflict("this report is from an older enrolment of the device".to_owned()));
    }
    let reason = cut(&attempt.reason);
    let before = match store::backup_attempt::find(conn, device.id)? {
        Some(row) => row,
        None => BackupAttempt::done(device.id, &LeftOut::default(), &[], now)?,
    };
    let is_other = before.reason != reason && before.failed_count < TOLD;
    let is_news = before.failing_since.is_none() || is_other;
    let row = BackupAttempt {
        tried_at: now,
        failing_since: before.failing_since.or(Some(now)),
        failed_count: before.failed_count.saturating_add(1),
        reason: reason.clone(),
        ..before
    };
    store::backup_attempt::set(conn, &row)?;
    if is_news {
        let actor = device.actor(Via::Agent, "");
        let object = Object::new("device", device.id, device.name.clone());
        record(conn, &actor, &Act::done(Action::BackupFailed, object).on(device.id).because(&reason), now)?;
    }
    Ok(())
}

fn bounded(root: &RootAway) -> RootAway {
    RootAway { path: cut(&root.path), reason: cut(&root.reason) }
}

/// What a device says, without characters that would break a line or reverse its direction.
fn cut(text: &str) -> String {
    let plain = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    plain
        .filter(|it| !matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .take(LONGEST)
        .collect()
}
