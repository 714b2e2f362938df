//! Requesting a wipe, and agreeing to newer facts.
use super::notice::{News, tell};
use super::{EXPIRES_AFTER, WINDOW, What, facts, find, limits, record, write};
use crate::error::{Error, Result};
use crate::service::account::who;
use crate::service::approval::digest;
use crate::service::{command, freeze, ground, reach};
use crate::store::device::Device;
use crate::store::wipe::WipeRequest;
use crate::store::{self, Conn};
use anyhow::Context;
use domain::activity::{Action, Outcome};
use domain::by::By;
use domain::consent::as_shown;
use domain::id::{DeviceId, WipeRequestId};
use domain::role::Permission;
use domain::time::Time;
use domain::wipe::{self, Asked, Erasure, Facts, Hold, WipeAction, WipeReason, WipeRefusal, WipeState};

/// What is requested, with what was shown and typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub device: DeviceId,
    pub action: WipeAction,
    pub reason: WipeReason,
    pub ticket: String,
    /// The [`digest`] of the facts that were shown.
    pub facts_token: String,
    pub serial: String,
    /// The value of the consent box; empty if it was not ticked.
    pub consent: String,
    /// The same key again means the same request.
    pub request_key: Option<String>,
    /// What was chosen of how the device erases itself.
    pub erasure: Erasure,
}

/// Facts that somebody agrees to, with what was typed and ticked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// The [`digest`] of the facts that were shown.
    pub facts_token: &'a str,
    pub serial: &'a str,
    /// The value of the consent box; empty if it was not ticked.
    pub consent: &'a str,
}

impl Ask {
    /// What is agreed to with it.
    pub fn agreement(&self) -> Agreement<'_> {
        Agreement { facts_token: &self.facts_token, serial: &self.serial, consent: &self.consent }
    }
}

/// Requests a wipe. Nothing is sent to the device until somebody else approves.
///
/// # Errors
/// When the device cannot be wiped this way, the facts are not those that were shown, or something was typed or
/// ticked wrong.
pub fn request(conn: &mut Conn, by: &By, ask: &Ask, now: Time) -> Result<WipeRequest> {
    // Before anything is refused: a form that is sent twice gets the same answer.
    if let Some(key) = &ask.request_key
        && let Some(earlier) = store::wipe::find_by_request_key(conn, key)?
    {
        return if earlier.device_id == ask.device && earlier.requested_by == by.user {
            Ok(earlier)
        } else {
            Err(Error::Conflict("this form was already used for another request; reload the page".to_owned()))
        };
    }
    freeze::check_erasing(conn, now)?;
    ground::refuse_while_away(conn)?;
    let device = reach::acted_on(conn, by, Permission::RequestWipe, ask.device)?;
    let agreed = agree(conn, &device, (ask.action, &ask.ticket), ask.agreement(), now)?;
    check_erasure(&device, &ask.erasure)?;
    if store::wipe::open_of_device(conn, device.id)?.is_some() {
        return Err(WipeRefusal::AlreadyOpen.into());
    }
    let hold = hold_of(conn, by, &device, &agreed, ask.action, now)?;
    let is_held = hold.is_some();
    let request = WipeRequest {
        id: WipeRequestId::generate(now),
        device_id: device.id,
        generation: device.generation,
        state: if is_held { WipeState::Held } else { WipeState::Requested },
        action: ask.action,
        reason: ask.reason,
        ticket: ask.ticket.trim().to_owned(),
        facts: serde_json::to_string(&agreed).context("writing a device's facts")?,
        facts_digest: digest(&agreed)?,
        request_key: ask.request_key.clone(),
        requested_by: by.user,
        requested_at: now,
        passed_at: (!is_held).then_some(now),
        approved_by: None,
        approved_at: None,
        release_at: None,
        command_id: None,
        delivered_at: None,
        acknowledged_at: None,
        finished_at: None,
        stopped_by: None,
        state_note: hold.map(|it| it.reason().to_owned()).unwrap_or_default(),
        report: None,
        expires_at: now + EXPIRES_AFTER,
        erasure: serde_json::to_string(&ask.erasure).context("writing how a device erases itself")?,
    };
    store::wipe::insert(conn, &request)?;
    record(conn, &by.actor, &request, &What::done(Action::WipeRequested, &why(&request, &agreed)), now)?;
    if let Some(hold) = hold {
        let what = What { action: Action::WipeHeld, outcome: Outcome::Refused, reason: hold.reason() };
        record(conn, &by.actor, &request, &what, now)?;
    }
    // Holds caused by one person's many requests are reported once an hour; damage is reported for each device.
    let news = if hold == Some(Hold::Limit) { News::Held } else { News::Requested };
    let name = who(conn, &by.actor)?;
    tell(conn, (&request, &device), &name, news, now)?;
    Ok(request)
}

/// The requester agrees to the facts as they are now; a second person decides again.
///
/// # Errors
/// As [`request`], and when the request waits for no review or is somebody else's.
pub fn review(conn: &mut Conn, by: &By, id: WipeRequestId, said: Agreement<'_>, now: Time) -> Result<WipeRequest> {
    freeze::check_erasing(conn, now)?;
    ground::refuse_while_away(conn)?;
    let (old, device) = find(conn, by, Permission::RequestWipe, id)?;
    let from = old.state;
    // Before the form is checked: there may be nothing to review.
    old.progress(conn)?.review(by.user, &old.facts_digest, now + EXPIRES_AFTER)?;
    let agreed = agree(conn, &device, (old.action, &old.ticket), said, now)?;
    let token = digest(&agreed)?;
    let next = old.progress(conn)?.review(by.user, &token, now + EXPIRES_AFTER)?;
    let hold = hold_for(&agreed, old.action);
    let request = WipeRequest {
        state: if hold.is_some() { WipeState::Held } else { next.state },
        generation: device.generation,
        facts: serde_json::to_string(&agreed).context("writing a device's facts")?,
        facts_digest: token,
        approved_by: None,
        approved_at: None,
        release_at: None,
        // An order from before was taken back with the facts it was for.
        command_id: None,
        state_note: hold.map_or("the requester agreed to the facts as they are now", Hold::reason).to_owned(),
        expires_at: next.proposal.expires_at,
        ..old
    };
    write(conn, &request, from)?;
    record(conn, &by.actor, &request, &What::done(Action::WipeRequested, &why(&request, &agreed)), now)?;
    let name = who(conn, &by.actor)?;
    tell(conn, (&request, &device), &name, News::Requested, now)?;
    Ok(request)
}

/// A second person agrees to these words, so the device has to know them.
fn check_erasure(device: &Device, erasure: &Erasure) -> Result<()> {
    match erasure.refusal(device.platform, &device.os_version) {
        Some(why) => Err(Error::invalid("action", why)),
        None => Ok(()),
    }
}

/// The current facts, if they are those that were shown and everything was typed and ticked correctly.
fn agree(
    conn: &mut Conn,
    device: &Device,
    (action, ticket): (WipeAction, &str),
    said: Agreement<'_>,
    now: Time,
) -> Result<Facts> {
    let current = facts(conn, device, now)?;
    wipe::may_request(&current, device.state, action)?;
    command::require_order(conn, device, action.command())?;
    as_shown(said.facts_token, &digest(&current)?)?;
    let asked = Asked { action, ticket, serial: said.serial, consent: said.consent };
    wipe::check_form(&current, &asked).into_result()?;
    Ok(current)
}

/// Why a request is held from the start.
fn hold_of(
    conn: &mut Conn,
    by: &By,
    device: &Device,
    agreed: &Facts,
    action: WipeAction,
    now: Time,
) -> Result<Option<Hold>> {
    if let Some(hold) = hold_for(agreed, action) {
        return Ok(Some(hold));
    }
    // Those in the future too: setting the clock back must not make room.
    let whose = (by.user, device.team_id);
    let recent = store::wipe::recent(conn, whose, now - WINDOW, Time::from_millis(i64::MAX))?;
    Ok(limits(conn, now)?.reached(recent).map(|_| Hold::Limit))
}

/// What about the facts themselves a second person has to accept by name, however the request came to them.
fn hold_for(agreed: &Facts, action: WipeAction) -> Option<Hold> {
    if agreed.doubt.stands() {
        Some(Hold::Identity)
    } else {
        agreed.needs_damage_accepted(action).then_some(Hold::Damaged)
    }
}

fn why(request: &WipeRequest, agreed: &Facts) -> String {
    let ticket = if request.ticket.is_empty() { String::new() } else { format!(" ({})", request.ticket) };
    let loss = agreed.loss_sentence(request.action, &Time::iso);
    format!("{}: {}{ticket}. {loss}", request.action.name(), request.reason.name())
}
