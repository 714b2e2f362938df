//! The space that a team's devices share for their backups.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::user::team_object;
use crate::service::{installation, reach};
use crate::store::team::Team;
use crate::store::team_quota::TeamQuota;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Outcome};
use domain::by::By;
use domain::id::TeamId;
use domain::role::Permission;
use domain::space::Room;
use domain::time::Time;
use domain::words::bytes;

/// The unit of the form: a gigabyte.
pub const UNIT: i64 = 1_000_000_000;
/// How often a team is told that it is nearly full, in seconds.
const WEEK: i64 = 7 * 86_400;
/// The most, in that unit.
pub const MOST: i64 = 1_000_000;

/// Sets the space of a team in units of [`UNIT`]; none for no limit but that of each device. An act.
///
/// # Errors
/// `Invalid` outside the limits; `Forbidden` for somebody who does not manage people.
pub fn set(conn: &mut Conn, by: &By, id: TeamId, wanted: Option<i64>, now: Time) -> Result<Team> {
    let actor = reach::organisation(by.into(), Permission::ManageUsers)?;
    let team = store::team::find(conn, id)?.ok_or(Error::NotFound("team"))?;
    if wanted.is_some_and(|it| !(1..=MOST).contains(&it)) {
        return Err(Error::invalid("quota", "Enter a whole number from 1 to 1,000,000, or nothing."));
    }
    let before = store::team_quota::find(conn, id)?;
    match wanted {
        Some(wanted) => {
            let full_at = before.as_ref().and_then(|it| it.full_at);
            let quota = TeamQuota { team_id: id, quota_bytes: wanted * UNIT, stored_bytes: 0, full_at };
            sum_up_one(conn, quota, now)?;
        }
        None => store::team_quota::remove(conn, id)?,
    }
    let words = |it: Option<i64>| it.map_or_else(|| "no limit".to_owned(), bytes);
    let why = format!(
        "space for its backups: from {} to {}",
        words(before.map(|it| it.quota_bytes)),
        words(wanted.map(|it| it * UNIT))
    );
    activity::record(conn, actor, &Act::done(Action::TeamQuotaChanged, team_object(&team)).because(&why), now)?;
    Ok(team)
}

/// Adds up what each team with a quota takes; one that became full, or is nearly full, is told. Returns how many were.
///
/// # Errors
/// When the database refuses.
pub fn sum_up(conn: &mut Conn, now: Time) -> Result<usize> {
    let mut count = 0;
    for quota in store::team_quota::all(conn)? {
        count += usize::from(sum_up_one(conn, quota, now)?);
    }
    Ok(count)
}

/// Whether a sum would change anything that is kept.
///
/// # Errors
/// When the database does not answer.
pub fn is_settled(conn: &mut Conn) -> Result<bool> {
    for quota in store::team_quota::all(conn)? {
        if store::team_quota::sum(conn, quota.team_id)? != quota.stored_bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

fn sum_up_one(conn: &mut Conn, quota: TeamQuota, now: Time) -> Result<bool> {
    let stored_bytes = store::team_quota::sum(conn, quota.team_id)?;
    let is_full = stored_bytes >= quota.quota_bytes;
    let is_news = is_full && quota.full_at.is_none();
    let full_at = is_full.then(|| quota.full_at.unwrap_or(now));
    let summed = TeamQuota { stored_bytes, full_at, ..quota };
    store::team_quota::set(conn, &summed)?;
    match summed.space().room() {
        Room::None if is_news => {
            let team = store::team::find(conn, summed.team_id)?.ok_or(Error::NotFound("team"))?;
            let act = Act::done(Action::TeamFull, team_object(&team)).ended(Outcome::Failed);
            activity::record(conn, &Actor::system(), &act, now)?;
            tell(conn, &team, &summed, now)?;
            Ok(true)
        }
        Room::Little => {
            let team = store::team::find(conn, summed.team_id)?.ok_or(Error::NotFound("team"))?;
            Ok(tell(conn, &team, &summed, now)? > 0)
        }
        Room::None | Room::Enough => Ok(false),
    }
}

#[derive(Template)]
#[template(path = "mail/team_full.txt")]
struct TeamFull<'a> {
    team: &'a Team,
    space: String,
    is_full: bool,
    url: String,
}

/// Tells who manages people, and who runs the team's backups; while there is a little room, once a week.
fn tell(conn: &mut Conn, team: &Team, quota: &TeamQuota, now: Time) -> Result<usize> {
    let url = installation::public_url(conn)?.unwrap_or_default();
    let is_full = quota.full_at.is_some();
    let (kind, subject, time) = match is_full {
        true => ("team_full", format!("No space for backups of {}", team.name), now.millis()),
        false => ("team_nearly_full", format!("Little space for backups of {}", team.name), now.seconds() / WEEK),
    };
    let body = TeamFull { team, space: quota.space().words(), is_full, url }.render().context("writing a mail")?;
    // Who does both has it once.
    let dedupe_key = Some(format!("{}/{}/{time}", team.id, quota.quota_bytes));
    let mut count = 0;
    for (permission, of) in [(Permission::ManageUsers, None), (Permission::RunBackups, Some(team.id))] {
        let to = Recipients::Permission(permission, of);
        let (dedupe_key, subject, body) = (dedupe_key.clone(), subject.clone(), body.clone());
        count += mail::enqueue(conn, &Mail { to, kind, dedupe_key, subject, body }, now)?;
    }
    Ok(count)
}
