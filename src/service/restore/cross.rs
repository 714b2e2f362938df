//! A restore whose data leaves its device: reported, approved by a second person, and checked again when it is
//! delivered.
use super::{VALID_FOR, changed_meanwhile, end, find, record, write};
use crate::error::{Error, Result};
use crate::service::approval::{self, Matter, digest};
use crate::service::command::{self, Ask};
use crate::service::guard::{self, News};
use crate::service::{account, freeze, installation, reach};
use crate::store::device::Device;
use crate::store::repository::Repository;
use crate::store::restore::Restore;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Outcome};
use domain::by::By;
use domain::command::Order;
use domain::consent::{Approval, Proposal};
use domain::crossing::{Crossing, Side, act};
use domain::guard::GuardedAct;
use domain::id::{RestoreId, TeamId};
use domain::restore::{Conflict, RestoreRefusal, RestoreState};
use domain::role::Permission;
use domain::time::{Time, days};
use domain::words;
use std::time::Duration;

/// A restore that nobody approved ends after this.
pub const WAITS_FOR: Duration = days(7);

/// A device as one side of a restore.
pub fn side(device: &Device) -> Side {
    Side {
        id: device.id,
        name: device.name.clone(),
        serial: device.serial.clone(),
        person: device.person.clone(),
        ownership: device.ownership,
        team: device.team_id,
        state: device.state,
        generation: device.generation,
    }
}

/// The row of the table of guards for a restore from one device's repository to a device.
pub fn act_of(source: &Device, repository: &Repository, target: &Device) -> GuardedAct {
    act(&side(source), repository.generation, &side(target))
}

/// Whether the person who asks may read what the source backed up, if it belongs to another person.
pub(super) fn may_ask(conn: &mut Conn, by: &By, act: GuardedAct, teams: [&Device; 2]) -> Result<()> {
    let Some(permission) = act.guard().permission else { return Ok(()) };
    for device in teams {
        if !guard::still_holds(conn, by.user, permission, device.team_id)? {
            return Err(RestoreRefusal::MayNotRead.into());
        }
    }
    Ok(())
}

/// What a restore would do now, in the words that were agreed to.
///
/// # Errors
/// When one of its rows is gone, or the database refuses.
pub fn current(conn: &mut Conn, restore: &Restore) -> Result<Crossing> {
    let source = store::device::find(conn, restore.device_id)?.ok_or(Error::NotFound("device"))?;
    let target = store::device::find(conn, restore.target_device_id)?.ok_or(Error::NotFound("device"))?;
    let repository = store::repository::find(conn, restore.repository_id)?.ok_or(Error::NotFound("repository"))?;
    Ok(Crossing {
        source: side(&source),
        target: side(&target),
        repository: repository.id,
        repository_generation: repository.generation,
        point: restore.restore_point_id,
        selection_digest: hex::encode(secret::sha256(restore.selection.as_bytes())),
        file_count: restore.file_count,
        byte_count: restore.byte_count,
    })
}

/// What became of an approval.
#[derive(Debug, Clone)]
pub enum Decision {
    Approved(Restore),
    /// Something has changed since it was requested: it ended, and has to be requested again.
    Ended(Restore),
}

/// Whether the person acting is a second person to the restore, for both devices.
///
/// # Errors
/// When they are not, or act through something other than a person at the console.
pub fn may_decide(conn: &mut Conn, by: &By, restore: &Restore, now: Time) -> Result<()> {
    let agreed = restore.crossing()?.ok_or(RestoreRefusal::NotWaiting(restore.state))?;
    let mut teams = Vec::new();
    for id in [restore.device_id, restore.target_device_id] {
        teams.push(reach::acted_on(conn, by, Permission::ApproveRestore, id)?.team_id);
    }
    approval::may_decide(conn, by, &matter(restore, agreed.act(), teams), now)
}

/// What two people agree to with a restore.
fn matter(restore: &Restore, act: GuardedAct, teams: Vec<Option<TeamId>>) -> Matter {
    Matter { what: "a restore", act, requester: restore.requested_by, teams }
}

/// What its requester agreed to.
fn proposal(restore: &Restore, agreed: &Crossing) -> Result<Proposal> {
    Ok(Proposal { by: restore.requested_by, digest: digest(agreed)?, expires_at: restore.expires_at })
}

/// The stored approval of exactly what was agreed to; none if there is none.
fn approval_of(conn: &mut Conn, restore: &Restore, agreed: &Crossing) -> Result<Option<Approval>> {
    let Some(given) = restore.approved_by.zip(restore.approved_at) else { return Ok(None) };
    let (proposal, subject) = (proposal(restore, agreed)?, (GuardedAct::ApproveRestore, restore.id.as_str()));
    let stored = store::approval::find(conn, subject, given, &proposal.digest)?;
    Ok(stored.filter(|it| proposal.is_met_by(it)))
}

/// Approves a restore to another device, as the second person. An act.
///
/// `seen` is the digest of what the page showed.
///
/// # Errors
/// When this person may not, it is not waiting for approval, or the page showed something else.
pub fn approve(conn: &mut Conn, by: &By, id: RestoreId, seen: &str, now: Time) -> Result<Decision> {
    freeze::check(conn)?;
    let restore = waiting(conn, by, id)?;
    may_decide(conn, by, &restore, now)?;
    let (Some(agreed), Some(order)) = (restore.crossing()?, restore.waiting_order.clone()) else {
        return Err(RestoreRefusal::NotWaiting(restore.state).into());
    };
    let proposal = proposal(&restore, &agreed)?;
    let approval = proposal.approve(by.user, seen, now)?;
    if proposal.is_over(now) {
        return Err(RestoreRefusal::NotWaiting(RestoreState::Expired).into());
    }
    let changes = agreed.changes(&current(conn, &restore)?);
    if !changes.is_empty() {
        return cut(conn, &Actor::system(), restore, &changes.join(", "), now).map(Decision::Ended);
    }
    let target = reach::acted_on(conn, by, Permission::ApproveRestore, restore.target_device_id)?;
    let order: Order = serde_json::from_str(&order).context("reading a restore's order")?;
    let ask = Ask { order: &order, request_key: None };
    let queued = command::queue(conn, &by.actor, &target, ask, now)?;
    let approved = Restore {
        state: RestoreState::Queued,
        waiting_order: None,
        approved_by: Some(approval.by),
        approved_at: Some(approval.at),
        // The ticket opened nothing until now, so its time begins now.
        expires_at: now + VALID_FOR,
        command_id: Some(queued.id),
        ..restore
    };
    store::approval::insert(conn, GuardedAct::ApproveRestore, approved.id.as_str(), &approval)?;
    write(conn, &approved, RestoreState::Requested)?;
    record(conn, &by.actor, &approved, Action::RestoreApproved, (Outcome::Done, ""), now)?;
    tell(conn, &by.actor, (&approved, &agreed), "approved", now)?;
    Ok(Decision::Approved(approved))
}

/// Refuses a waiting restore, as somebody who may approve it. An act.
///
/// # Errors
/// When it is not waiting, or a device is out of reach.
pub fn refuse(conn: &mut Conn, by: &By, id: RestoreId, now: Time) -> Result<Restore> {
    let restore = waiting(conn, by, id)?;
    let note = format!("refused by {}", by.actor.name);
    end(conn, &by.actor, restore, (RestoreState::Cancelled, Action::RestoreRefused, Outcome::Refused), &note, now)
}

fn waiting(conn: &mut Conn, by: &By, id: RestoreId) -> Result<Restore> {
    let both = |it: &Restore| vec![it.device_id, it.target_device_id];
    let restore = find(conn, by, (Permission::ApproveRestore, both), id)?;
    if restore.state == RestoreState::Requested {
        Ok(restore)
    } else {
        Err(RestoreRefusal::NotWaiting(restore.state).into())
    }
}

/// Ends a restore in which `what` differs from what was agreed.
fn cut(conn: &mut Conn, by: &Actor, restore: Restore, what: &str, now: Time) -> Result<Restore> {
    let note = format!("not sent: {what} changed since it was requested. Request it again");
    end(conn, by, restore, (RestoreState::Cancelled, Action::RestoreCancelled, Outcome::Refused), &note, now)
}

/// Checks again before an order is handed out: both devices are as agreed, and both people may still do their
/// part. Otherwise the restore ends, and that is recorded.
///
/// # Errors
/// When the database refuses.
pub(super) fn still_stands(conn: &mut Conn, restore: Restore, now: Time) -> Result<bool> {
    let is_to_itself = current(conn, &restore)?.act() == GuardedAct::RestoreToItself;
    let why = match restore.crossing()? {
        // Nobody agreed to another destination, so it goes back to where it came from or nowhere.
        None if is_to_itself => changed_since_shown(conn, &restore)?,
        None => "its destination".to_owned(),
        Some(agreed) if approval_of(conn, &restore, &agreed)?.is_none() => "its approval".to_owned(),
        Some(agreed) => agreed.changes(&current(conn, &restore)?).join(", "),
    };
    if !why.is_empty() {
        cut(conn, &Actor::system(), restore, &why, now)?;
        return Ok(false);
    }
    if !is_backed(conn, &restore)? {
        cut(conn, &Actor::system(), restore, "what its requester or approver may do", now)?;
        return Ok(false);
    }
    Ok(true)
}

/// What is no longer as it was shown to whoever ordered that files be replaced; empty if nothing is.
fn changed_since_shown(conn: &mut Conn, restore: &Restore) -> Result<String> {
    if restore.conflict != Conflict::Replace {
        return Ok(String::new());
    }
    let Some(shown) = restore.seen()? else { return Ok("what was shown of it".to_owned()) };
    let mut changes = shown.changes(&current(conn, restore)?);
    let point = store::restore_point::find(conn, restore.restore_point_id)?;
    if point.is_none_or(|it| it.trashed_by.is_some() || it.failed_at.is_some_and(|at| at >= restore.requested_at)) {
        changes.push("what is known of its restore point");
    }
    Ok(changes.join(", "))
}

/// Whether whoever ordered a restore, and whoever approved it, may still do so for both devices. Asked each
/// time its ticket is used, so that it dies with either account.
///
/// # Errors
/// When the database refuses.
pub fn is_backed(conn: &mut Conn, restore: &Restore) -> Result<bool> {
    let agreed = restore.crossing()?;
    let approval = match &agreed {
        Some(agreed) => approval_of(conn, restore, agreed)?,
        None => None,
    };
    if agreed.is_some() && approval.is_none() {
        return Ok(false);
    }
    let mut teams = Vec::new();
    for id in [restore.device_id, restore.target_device_id] {
        let Some(device) = store::device::find(conn, id)? else { return Ok(false) };
        teams.push(device.team_id);
    }
    let act = agreed.as_ref().map_or(GuardedAct::RestoreToItself, Crossing::act);
    approval::is_backed(conn, &matter(restore, act, teams), approval.as_ref())
}

#[derive(Template)]
#[template(path = "mail/restore_crosses.txt")]
struct RestoreCrosses<'a> {
    by: &'a str,
    what: &'a str,
    agreed: &'a Crossing,
    files: String,
    reason: &'a str,
    url: String,
}

/// Tells everyone who is notified about either device, and the people of both. `what` is "requested" or
/// "approved".
pub(super) fn tell(
    conn: &mut Conn,
    by: &Actor,
    (restore, agreed): (&Restore, &Crossing),
    what: &str,
    now: Time,
) -> Result<()> {
    let by = account::who(conn, by)?;
    let url = format!("{}/restores/{}", installation::public_url(conn)?.unwrap_or_default(), restore.id);
    let files = words::files(restore.file_count);
    let body = RestoreCrosses { by: &by, what, agreed, files, reason: &restore.reason, url };
    let body = body.render().context("writing a mail")?;
    let subject = format!("Restore {what}: {} to {}", agreed.source.name, agreed.target.name);
    // One key for both devices: somebody notified about both is told once.
    let key = format!("{}/{what}", restore.id);
    for id in [restore.device_id, restore.target_device_id] {
        let device = store::device::find(conn, id)?.ok_or_else(changed_meanwhile)?;
        let news = News { act: agreed.act(), key: &key, subject: subject.clone(), body: body.clone() };
        guard::tell(conn, news, &device, now)?;
    }
    Ok(())
}
