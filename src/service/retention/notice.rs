//! Says what is in the trash while it can still be put back: when it gets there, before it is erased, and once it was.
//!
//! One mail a day for each person, with what they run backups of. A server that was stopped erases nothing for 72 hours
//! after its start, so the mail before comes before in any case.
use crate::error::Result;
use crate::service::installation;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::prune::Prune;
use crate::store::setting::TRASH_TOLD;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::id::TeamId;
use domain::retention::{PruneState, WARNED_BEFORE};
use domain::role::{Permission, Reach};
use domain::time::{Time, days};
use domain::words::{bytes, counted};
use std::time::Duration;

/// At most one mail in this time.
const EVERY: Duration = days(1);

/// How many prunes one mail names.
const NAMED: usize = 50;

/// What moved to the trash of one device at once.
struct Line {
    prune: Prune,
    name: String,
    person: String,
    team: Option<TeamId>,
}

impl Line {
    /// "laptop-1 (Ada): 3 restore points, 12 MB".
    fn words(&self) -> String {
        let whose = if self.person.is_empty() { String::new() } else { format!(" ({})", self.person) };
        let points = counted(self.prune.point_count, "restore point", "restore points");
        format!("{}{whose}: {points}, {}", self.name, bytes(self.prune.byte_count))
    }
}

/// Lines with the same thing to say about them.
struct Part<'a> {
    lines: Vec<&'a Line>,
    more_count: usize,
    /// "7 restore points of 3 devices, 12 MB".
    sum: String,
}

#[derive(Template)]
#[template(path = "mail/trash.txt")]
struct TrashMail<'a> {
    trashed: Part<'a>,
    soon: Part<'a>,
    erased: Part<'a>,
    url: String,
}

/// Tells those who run backups what moved to the trash, what is erased in three days, and what was erased, since they were
/// last told; nothing within a day after that. Returns how many mails that made.
///
/// # Errors
/// When the database refuses.
pub fn tell(conn: &mut Conn, now: Time) -> Result<usize> {
    let Some((news, lines)) = look(conn, now)? else { return Ok(0) };
    TRASH_TOLD.set(conn, &now, now)?;
    let url = format!("{}/retention", installation::public_url(conn)?.unwrap_or_default());
    let mut count = 0;
    for person in store::mail::recipients(conn)? {
        let Some(reach) = person.grants.reach(Permission::RunBackups) else { continue };
        let Some((subject, body)) = news.mail(&lines, &reach, &url)? else { continue };
        let to = Recipients::User(person.id);
        count += mail::enqueue(conn, &Mail { to, kind: "trash", dedupe_key: None, subject, body }, now)?;
    }
    Ok(count)
}

/// Whether there is anything to tell.
///
/// # Errors
/// When the database refuses.
pub fn has_news(conn: &mut Conn, now: Time) -> Result<bool> {
    Ok(look(conn, now)?.is_some())
}

/// What people were not told of yet; none within a day after they were told, and if there is nothing.
fn look(conn: &mut Conn, now: Time) -> Result<Option<(News, Vec<Line>)>> {
    // A clock that was ahead must not keep anybody from being told until then.
    let told = TRASH_TOLD.find(conn)?.filter(|it| *it <= now);
    if told.is_some_and(|it| now.since(it) < EVERY) {
        return Ok(None);
    }
    let since = told.unwrap_or(now - EVERY);
    let news = News { since, now };
    let mut lines = Vec::new();
    for prune in store::prune::changed_since(conn, since, (news.soon_after(), news.soon_until()))? {
        // A device that was deleted has nobody who could do anything.
        let Some(device) = store::device::find(conn, prune.device_id)? else { continue };
        lines.push(Line { prune, name: device.name, person: device.person, team: device.team_id });
    }
    Ok((!lines.is_empty()).then_some((news, lines)))
}

/// The time that a mail is about.
struct News {
    since: Time,
    now: Time,
}

impl News {
    /// The next mail may be a day away, and would be too late.
    fn soon_until(&self) -> Time {
        self.now + WARNED_BEFORE + EVERY
    }

    fn soon_after(&self) -> Time {
        self.since + WARNED_BEFORE + EVERY
    }

    fn mail(&self, lines: &[Line], reach: &Reach, url: &str) -> Result<Option<(String, String)>> {
        let of = |is: &dyn Fn(&Prune) -> bool| -> Vec<&Line> {
            lines.iter().filter(|it| reach.covers(it.team) && is(&it.prune)).collect()
        };
        let is_trashed = |it: &Prune| it.state == PruneState::Trashed;
        let trashed = part(of(&|it| is_trashed(it) && it.trashed_at > self.since));
        let soon =
            part(of(&|it| is_trashed(it) && it.erase_at > self.soon_after() && it.erase_at <= self.soon_until()));
        let erased = part(of(&|it| it.state == PruneState::Erased && it.ended_at.is_some_and(|at| at > self.since)));
        let said = [("moved to the trash", &trashed), ("erased soon", &soon), ("erased", &erased)];
        let said: Vec<_> = said.into_iter().filter(|it| !it.1.lines.is_empty()).map(|it| it.0).collect();
        if said.is_empty() {
            return Ok(None);
        }
        let subject = format!("Restore points: {}", said.join(", "));
        let body = TrashMail { trashed, soon, erased, url: url.to_owned() }.render().context("writing a mail")?;
        Ok(Some((subject, body)))
    }
}

fn part(lines: Vec<&Line>) -> Part<'_> {
    let points = lines.iter().map(|it| it.prune.point_count).sum::<i64>();
    let size = lines.iter().map(|it| it.prune.byte_count).sum::<i64>();
    let mut devices: Vec<_> = lines.iter().map(|it| it.prune.device_id).collect();
    devices.sort_unstable();
    devices.dedup();
    let sum = format!(
        "{} of {}, {}",
        counted(points, "restore point", "restore points"),
        counted(devices.len(), "device", "devices"),
        bytes(size)
    );
    let more_count = lines.len().saturating_sub(NAMED);
    let lines = lines.into_iter().take(NAMED).collect();
    Part { lines, more_count, sum }
}
