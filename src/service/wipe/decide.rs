//! What a second person decides, and what anyone may stop.
use super::notice::{News, tell, tell_stopped};
use super::release::settle;
use super::{WINDOW, What, device, facts, find, hold, limits, matter, record, write};
use crate::error::{Error, Result};
use crate::service::account::who;
use crate::service::approval::{self, digest};
use crate::service::{command, freeze, identity, reach};
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use domain::activity::Action;
use domain::by::By;
use domain::consent::as_shown;
use domain::guard::GuardedAct;
use domain::id::WipeRequestId;
use domain::name;
use domain::role::Permission;
use domain::time::Time;
use domain::wipe::{BEFORE_DELIVERY, EITHER, Verdict, WipeRefusal, WipeState};

/// How many requests are stopped at once.
const ALL: i64 = 10_000;

/// The longest reason for a stop.
const MAX_WHY: usize = 200;

/// What the approver saw, so that nobody approves what they were not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The digest that the requester agreed to.
    pub agreed: String,
    /// The digest of the facts as they were when the page was shown.
    pub current: String,
}

/// What became of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Approved(WipeRequest),
    /// The facts have got worse since the request: nothing is approved, and the requester must look again.
    ReviewAgain(WipeRequest),
}

/// Approves a request, as the second person; the hold begins.
///
/// # Errors
/// When this person may not, the request is not waiting for approval, or other facts were shown.
pub fn approve(conn: &mut Conn, by: &By, id: WipeRequestId, seen: &Seen, now: Time) -> Result<Decision> {
    freeze::check_erasing(conn, now)?;
    let (request, device) = find(conn, by, Permission::ApproveWipe, id)?;
    may_decide(conn, by, &request, now)?;
    let progress = request.progress(conn)?;
    if progress.state != WipeState::Requested {
        return Err(WipeRefusal::NotWaiting(progress.state).into());
    }
    let current = facts(conn, &device, now)?;
    // Before what the page showed is compared: whoever saw it, the requester has to agree to what got worse.
    if request.agreed()?.is_worse(&current) {
        return Ok(Decision::ReviewAgain(settle(conn, &request, Verdict::Review, now)?));
    }
    as_shown(&seen.current, &digest(&current)?)?;
    let next = progress.approve(by.user, &seen.agreed, hold(conn, now)?, now)?;
    let release_at = next.release_at.unwrap_or(next.proposal.expires_at);
    let approved = WipeRequest {
        state: next.state,
        approved_by: Some(by.user),
        approved_at: Some(now),
        release_at: Some(release_at),
        state_note: String::new(),
        ..request
    };
    if let Some(approval) = &next.approval {
        store::approval::insert(conn, GuardedAct::ApproveWipe, approved.id.as_str(), approval)?;
    }
    write(conn, &approved, progress.state)?;
    let note = format!("released at {} unless it is stopped", release_at.iso());
    record(conn, &by.actor, &approved, &What::done(Action::WipeApproved, &note), now)?;
    let name = who(conn, &by.actor)?;
    tell(conn, (&approved, &device), &name, News::Approved { release_at }, now)?;
    Ok(Decision::Approved(approved))
}

/// Ends a hold, as the second person; the request then waits for approval.
///
/// # Errors
/// When this person may not, it is not held, or the limit is still reached.
pub fn lift(conn: &mut Conn, by: &By, id: WipeRequestId, now: Time) -> Result<WipeRequest> {
    lift_agreed(conn, by, id, "", now)
}

/// Ends a hold as [`lift`] does, with what the second person ticked: while two machines may have the device's
/// identity, that either may be erased.
///
/// # Errors
/// As [`lift`], and without that consent while there is such doubt.
pub fn lift_agreed(conn: &mut Conn, by: &By, id: WipeRequestId, consent: &str, now: Time) -> Result<WipeRequest> {
    lift_accepting(conn, by, id, (consent, consent), now)
}

/// The same with what was ticked about the identity, and about files that are damaged in the store: the second
/// person accepts their loss by number, as the requester did.
///
/// # Errors
/// As [`lift_agreed`], and when the consent is not to the numbers as they are.
pub fn lift_accepting(
    conn: &mut Conn,
    by: &By,
    id: WipeRequestId,
    (consent, damage): (&str, &str),
    now: Time,
) -> Result<WipeRequest> {
    freeze::check_erasing(conn, now)?;
    let (request, device) = find(conn, by, Permission::ApproveWipe, id)?;
    may_decide(conn, by, &request, now)?;
    let from = request.state;
    let next = request.progress(conn)?.lift(by.user)?;
    if identity::doubt(conn, request.device_id)?.stands() && consent != EITHER {
        return Err(Error::invalid("consent", "Tick this box if every machine with this identity may be erased."));
    }
    let current = facts(conn, &device, now)?;
    if current.needs_damage_accepted(request.action) && damage != current.loss().consent() {
        return Err(Error::invalid("damage", "Tick this box if you accept this loss."));
    }
    // Not those in the future: otherwise a clock that was ahead and then corrected would block every wipe until
    // that time.
    let recent = store::wipe::recent(conn, (request.requested_by, device.team_id), now - WINDOW, now)?;
    if let Some(refusal) = limits(conn, now)?.reached(recent) {
        return Err(refusal.into());
    }
    let lifted = WipeRequest {
        state: next.state,
        // It counts by the limit from now on: while it was held, it had not passed.
        passed_at: Some(now),
        approved_by: None,
        approved_at: None,
        release_at: None,
        state_note: String::new(),
        ..request
    };
    write(conn, &lifted, from)?;
    record(conn, &by.actor, &lifted, &What::done(Action::WipeHoldEnded, ""), now)?;
    Ok(lifted)
}

/// Stops a request for good. Anyone who may see the device can do so, as long as the device has not received
/// the order.
///
/// Those who were told about the request are told who stopped it, and why.
///
/// # Errors
/// When the order was delivered, the request has ended, or the reason is too long.
pub fn stop(conn: &mut Conn, by: &By, id: WipeRequestId, why: &str, now: Time) -> Result<WipeRequest> {
    // Under a freeze too: a stop only keeps data safe.
    let (request, device) = find(conn, by, Permission::StopWipe, id)?;
    let why = why.trim();
    if why.len() > MAX_WHY || !name::is_plain(why) {
        return Err(Error::invalid("why", format!("Use at most {MAX_WHY} bytes, on one line.")));
    }
    let stopped = stop_one(conn, by, request, why, now)?;
    let name = who(conn, &by.actor)?;
    tell_stopped(conn, std::slice::from_ref(&(stopped.clone(), device)), &name, now)?;
    Ok(stopped)
}

/// Stops every request within reach that can still be stopped; returns how many.
///
/// # Errors
/// When the database refuses; then none was stopped.
pub fn stop_all(conn: &mut Conn, by: &By, now: Time) -> Result<usize> {
    let reach = reach::of(by, Permission::StopWipe)?;
    let open = store::wipe::list(conn, &BEFORE_DELIVERY, &reach, None, ALL)?;
    let mut stopped = Vec::with_capacity(open.len());
    for it in open {
        let device = device(conn, it.request.device_id)?;
        stopped.push((stop_one(conn, by, it.request, "all wipes were stopped at once", now)?, device));
    }
    let name = who(conn, &by.actor)?;
    tell_stopped(conn, &stopped, &name, now)?;
    Ok(stopped.len())
}

fn stop_one(conn: &mut Conn, by: &By, request: WipeRequest, why: &str, now: Time) -> Result<WipeRequest> {
    let from = request.state;
    let next = request.progress(conn)?.stop()?;
    if let Some(id) = request.command_id
        && from == WipeState::Released
        && !command::withdraw(conn, id, "the wipe was stopped", now)?
    {
        // No longer queued: either the device has it, or it ended by itself and reached nobody.
        let is_gone = store::command::find(conn, id)?.is_none_or(|it| it.state.is_final());
        if !is_gone {
            return Err(WipeRefusal::TooLate(WipeState::Delivered).into());
        }
    }
    let stopped = WipeRequest {
        state: next.state,
        finished_at: Some(now),
        stopped_by: Some(by.actor.name.clone()),
        state_note: if why.is_empty() { "no reason was given".to_owned() } else { why.to_owned() },
        ..request
    };
    write(conn, &stopped, from)?;
    record(conn, &by.actor, &stopped, &What::done(Action::WipeStopped, why), now)?;
    Ok(stopped)
}

/// Whether the person acting is a second person to the request.
///
/// # Errors
/// When they are not, or act through something other than a person at the console.
pub fn may_decide(conn: &mut Conn, by: &By, request: &WipeRequest, now: Time) -> Result<()> {
    let device = device(conn, request.device_id)?;
    approval::may_decide(conn, by, &matter(request, &device), now)
}
