//! Changes of what is kept: longer at once, shorter only after a second person agreed, and a week later.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::approval::{self, Matter, digest};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{account, freeze, guard, installation, reach, user};
use crate::store::retention::Change;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::consent::{Approval, Proposal, Terms};
use domain::guard::GuardedAct;
use domain::id::RetentionChangeId;
use domain::retention::{ChangeState, Keep, SHORTER_AFTER, Unreadable};
use domain::role::Permission;
use domain::time::{Time, days};
use serde::Serialize;
use std::time::Duration;

/// A change that nobody agreed to ends after this.
const WAITS_FOR: Duration = days(7);

/// What is kept, as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub keep: Keep,
    pub reason: String,
}

/// A change that has not come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub change: Change,
    /// What will be kept; the reason if that cannot be read, and then it never comes into force.
    pub keep: Result<Keep, Unreadable>,
    /// From when, once somebody agreed.
    pub in_force_at: Option<Time>,
}

/// What is kept now. What cannot be read is an error in the value: then nothing ends.
///
/// # Errors
/// When the database does not answer.
pub fn current(conn: &mut Conn) -> Result<Result<Keep, Unreadable>> {
    Ok(store::retention::in_force(conn)?.map_or(Ok(Keep::Everything), |it| Keep::read(&it.rule)))
}

/// Whether [`take_effect`] has anything to look at.
///
/// # Errors
/// When the database does not answer.
pub fn has_agreed(conn: &mut Conn) -> Result<bool> {
    Ok(!store::retention::agreed(conn)?.is_empty())
}

/// Lets what two people agreed to take effect once its time has come, and ends it if one of them may no longer do their
/// part. Returns how many it decided on. An act.
///
/// # Errors
/// When the database refuses.
pub fn take_effect(conn: &mut Conn, now: Time) -> Result<usize> {
    let (since, is_frozen) = (freeze::ended_at(conn)?, freeze::standing(conn)?.is_some());
    let (actor, mut count) = (Actor::system(), 0);
    for change in store::retention::agreed(conn)? {
        let approval = approval_of(conn, &change)?;
        let may = approval.is_some() && approval::is_backed(conn, &matter(&change), approval.as_ref())?;
        if !may {
            tell_ended(conn, &change, now)?;
            end(conn, &actor, change, "whoever asked for it or agreed to it may no longer do so", now)?;
            count += 1;
        } else if !is_frozen && in_force_at(&change, since).is_some_and(|at| at <= now) {
            // From now: its place among those that took effect is where it really did.
            let changed = Change { state: ChangeState::InForce, in_force_at: Some(now), ..change };
            update(conn, &changed, ChangeState::Agreed)?;
            write(conn, &actor, Action::RetentionChangeTookEffect, &changed, now)?;
            count += 1;
        }
    }
    Ok(count)
}

fn approval_of(conn: &mut Conn, change: &Change) -> Result<Option<Approval>> {
    let Some(made) = change.approved_by.zip(change.approved_at) else { return Ok(None) };
    let subject = (GuardedAct::ApproveShorterRetention, change.id.as_str());
    Ok(store::approval::find(conn, subject, made, &shown(change)?)?)
}

fn matter(change: &Change) -> Matter {
    Matter {
        what: "a shorter retention",
        act: GuardedAct::ShortenRetention,
        requester: change.requested_by,
        teams: vec![None],
    }
}

/// From when an agreed change counts. After a freeze, a shorter rule waits again: nobody could look at it meanwhile.
fn in_force_at(change: &Change, frozen_until: Option<Time>) -> Option<Time> {
    let at = change.in_force_at?;
    let waits = change.approved_at.is_some_and(|agreed| frozen_until.is_some_and(|it| it > agreed && it < at));
    Some(frozen_until.filter(|_| waits).map_or(at, |it| at.max(it + SHORTER_AFTER)))
}

/// Changes that wait: for a second person, or for their time.
///
/// # Errors
/// When the database does not answer.
pub fn waiting(conn: &mut Conn, now: Time) -> Result<Vec<Waiting>> {
    let since = freeze::ended_at(conn)?;
    let mut found = store::retention::requested(conn)?;
    found.retain(|it| it.expires_at > now);
    found.extend(store::retention::agreed(conn)?);
    let all = found.into_iter().map(|change| {
        let (keep, in_force_at) = (Keep::read(&change.rule), in_force_at(&change, since));
        Waiting { change, keep, in_force_at }
    });
    Ok(all.collect())
}

/// What two people agree to with a shorter rule.
#[derive(Serialize)]
struct Shorter<'a> {
    change: RetentionChangeId,
    before: &'a str,
    rule: &'a str,
    reason: &'a str,
}

impl Terms for Shorter<'_> {
    fn canonical(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// The digest of what somebody is shown of a change.
///
/// # Errors
/// When it cannot be written.
pub fn shown(change: &Change) -> Result<String> {
    let Change { id, before, rule, reason, .. } = change;
    digest(&Shorter { change: *id, before, rule, reason })
}

/// Changes what is kept: longer at once; shorter is only asked for. An act.
///
/// # Errors
/// When the rule is outside its limits or the same as before, no reason is given for a shorter one, or nobody can be
/// told.
pub fn request(conn: &mut Conn, by: &By, draft: &Draft, now: Time) -> Result<Change> {
    let actor = reach::organisation(by.into(), Permission::ManageSettings)?;
    user::admit(conn, by.into(), now)?;
    // What nobody can read may have kept everything.
    let before = current(conn)?.unwrap_or(Keep::Everything);
    check(&before, draft)?;
    let is_shorter = draft.keep.is_shorter_than(&before);
    let act = if is_shorter { GuardedAct::ShortenRetention } else { GuardedAct::LengthenRetention };
    if is_shorter {
        freeze::check(conn)?;
    }
    let reason = guard::reason(act, &draft.reason)?.to_owned();
    // One at a time: otherwise a shorter rule that still waits would end what this one lengthens.
    for it in waiting(conn, now)? {
        end(conn, actor, it.change, "another change took its place", now)?;
    }
    let change = Change {
        id: RetentionChangeId::generate(now),
        before: before.text(),
        rule: draft.keep.text(),
        state: if is_shorter { ChangeState::Requested } else { ChangeState::InForce },
        reason,
        requested_by: by.user,
        requested_at: now,
        approved_by: None,
        approved_at: None,
        in_force_at: (!is_shorter).then_some(now),
        expires_at: now + WAITS_FOR,
    };
    store::retention::insert(conn, &change)?;
    let (action, what) = if is_shorter {
        (Action::RetentionChangeRequested, "asked to keep less")
    } else {
        (Action::RetentionLengthened, "lengthened what is kept")
    };
    write(conn, actor, action, &change, now)?;
    tell(conn, actor, what, (&change, &before, &draft.keep), now)?;
    Ok(change)
}

fn check(before: &Keep, draft: &Draft) -> Result<()> {
    if let Keep::By(rule) = &draft.keep
        && let Some(limits) = rule.outside()
    {
        let text = format!("Enter a whole number from {} to {}.", limits.least, limits.most);
        return Err(Error::invalid(limits.field, text));
    }
    if draft.keep == *before {
        return Err(Error::Refused("this is what is kept already".to_owned()));
    }
    Ok(())
}

/// Agrees to keep less, as the second person: it counts a week later. `seen` is the digest of what the page showed. An
/// act.
///
/// # Errors
/// When it waits no longer, this person may not agree, the page showed something else, or nobody can be told.
pub fn approve(conn: &mut Conn, by: &By, id: RetentionChangeId, seen: &str, now: Time) -> Result<Change> {
    freeze::check(conn)?;
    let actor = reach::organisation(by.into(), Permission::ApproveRemoval)?;
    let change = store::retention::find(conn, id)?.ok_or(Error::NotFound("change"))?;
    approval::may_decide(conn, by, &matter(&change), now)?;
    let proposal = Proposal { by: change.requested_by, digest: shown(&change)?, expires_at: change.expires_at };
    if change.state != ChangeState::Requested || proposal.is_over(now) {
        return Err(no_longer());
    }
    let before = current(conn)?.unwrap_or(Keep::Everything);
    // What they were shown it would change from must still be so.
    if before.text() != change.before {
        return Err(Error::Conflict("what is kept has changed since this was asked for; ask again".to_owned()));
    }
    let keep = Keep::read(&change.rule).map_err(|why| Error::Refused(why.to_string()))?;
    let approval = proposal.approve(by.user, seen, now)?;
    store::approval::insert(conn, GuardedAct::ApproveShorterRetention, id.as_str(), &approval)?;
    let agreed = Change {
        state: ChangeState::Agreed,
        approved_by: Some(by.user),
        approved_at: Some(now),
        in_force_at: Some(now + SHORTER_AFTER),
        ..change
    };
    update(conn, &agreed, ChangeState::Requested)?;
    write(conn, actor, Action::RetentionChangeAgreed, &agreed, now)?;
    tell(conn, actor, "agreed to keep less", (&agreed, &before, &keep), now)?;
    Ok(agreed)
}

/// Refuses a change, or takes it back while it waits. An act.
///
/// # Errors
/// When it waits no longer.
pub fn cancel(conn: &mut Conn, by: &By, id: RetentionChangeId, now: Time) -> Result<()> {
    let actor = match reach::organisation(by.into(), Permission::ApproveRemoval) {
        Ok(actor) => actor,
        Err(_) => reach::organisation(by.into(), Permission::ManageSettings)?,
    };
    let waits = waiting(conn, now)?.into_iter().find(|it| it.change.id == id).ok_or_else(no_longer)?;
    end(conn, actor, waits.change, "", now)
}

fn end(conn: &mut Conn, actor: &Actor, change: Change, why: &str, now: Time) -> Result<()> {
    let from = change.state;
    let ended = Change { state: ChangeState::Cancelled, in_force_at: None, ..change };
    update(conn, &ended, from)?;
    let object = Object::new("retention_change", ended.id, "what is kept");
    record(conn, actor, &Act::done(Action::RetentionChangeCancelled, object).because(why), now)
}

fn update(conn: &mut Conn, change: &Change, from: ChangeState) -> Result<()> {
    if store::retention::update(conn, change, from)? { Ok(()) } else { Err(no_longer()) }
}

fn no_longer() -> Error {
    Error::Conflict("this change of what is kept waits no longer".to_owned())
}

fn write(conn: &mut Conn, actor: &Actor, action: Action, change: &Change, now: Time) -> Result<()> {
    let words = |text: &str| Keep::read(text).map_or_else(|why| why.to_string(), |it| it.words());
    let why = format!("from {} to {}. {}", words(&change.before), words(&change.rule), change.reason);
    let object = Object::new("retention_change", change.id, "what is kept");
    record(conn, actor, &Act::done(action, object).because(why.trim_end()), now)
}

#[derive(Template)]
#[template(path = "mail/retention_changed.txt")]
struct RetentionChanged<'a> {
    by: &'a str,
    what: &'a str,
    before: String,
    after: String,
    reason: &'a str,
    in_force_at: Option<String>,
    url: String,
}

fn tell(
    conn: &mut Conn,
    actor: &Actor,
    what: &str,
    (change, before, after): (&Change, &Keep, &Keep),
    now: Time,
) -> Result<()> {
    let by = account::who(conn, actor)?;
    let url = format!("{}/retention", installation::public_url(conn)?.unwrap_or_default());
    let in_force_at = change.in_force_at.map(Time::iso);
    let (before, after, reason) = (before.words(), after.words(), change.reason.as_str());
    let body = RetentionChanged { by: &by, what, before, after, reason, in_force_at, url };
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: "retention_changed",
        dedupe_key: None,
        subject: format!("Retention: {by} {what}"),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_or_refuse(conn, &mail, now)
}

#[derive(Template)]
#[template(path = "mail/retention_change_ended.txt")]
struct RetentionChangeEnded {
    rule: String,
    url: String,
}

fn tell_ended(conn: &mut Conn, change: &Change, now: Time) -> Result<()> {
    let rule = Keep::read(&change.rule).map_or_else(|why| why.to_string(), |it| it.words());
    let url = format!("{}/retention", installation::public_url(conn)?.unwrap_or_default());
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: "retention_change_ended",
        dedupe_key: Some(change.id.to_string()),
        subject: "Retention: a change that two people agreed to will not take effect".to_owned(),
        body: RetentionChangeEnded { rule, url }.render().context("writing a mail")?,
    };
    mail::enqueue_guard(conn, &mail, now)
}
