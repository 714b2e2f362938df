//! Holds: what nobody and no rule removes until two people lift the hold. A device is never told of one.
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::approval::{self, Matter, digest};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{account, freeze, guard, installation, reach};
use crate::store::device::Device;
use crate::store::hold::Hold;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::consent::{Proposal, Terms};
use domain::guard::GuardedAct;
use domain::id::{DeviceId, HoldId, RestorePointId};
use domain::retention::{Held, HoldCause, HoldScope, LIFT_WAITS};
use domain::role::{Permission, Reach};
use domain::time::Time;
use serde::Serialize;

/// The name that the history gives a rule.
const RULE: &str = "Holdfast";

/// A hold as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub device: DeviceId,
    pub scope: HoldScope,
    /// Of a hold on one point.
    pub point: Option<RestorePointId>,
    pub reason: String,
}

/// The holds that stand and cover something of a device.
///
/// # Errors
/// When the database refuses.
pub fn of_device(conn: &mut Conn, device: &Device) -> Result<Vec<Hold>> {
    Ok(covering(conn, device)?.into_iter().map(|it| it.0).collect())
}

/// The same, each with what it covers of this device.
///
/// # Errors
/// When the database refuses.
pub fn covering(conn: &mut Conn, device: &Device) -> Result<Vec<(Hold, Held)>> {
    let carried = store::hold::carried(conn, device.id)?;
    let mut found = Vec::new();
    for hold in store::hold::standing(conn, device.id)? {
        let held = match hold.held() {
            Some(held) if held.covers_device(device.id, &device.person) => held,
            // Whoever has the device now: it was held when it was given to them.
            Some(_) if carried.contains(&hold.id) => Held::Device(device.id),
            Some(held) if hold.device_id == Some(device.id) => held,
            Some(_) | None => continue,
        };
        let held = if matches!(held, Held::Person(_)) { Held::Device(device.id) } else { held };
        found.push((hold, held));
    }
    Ok(found)
}

/// Before a device gets another person: what held it as that of the old one holds it still.
///
/// # Errors
/// When the database refuses.
pub(super) fn carry(conn: &mut Conn, old: &Device) -> Result<()> {
    for hold in of_device(conn, old)?.into_iter().filter(|it| it.scope == HoldScope::Person) {
        store::hold::carry(conn, hold.id, old.id)?;
    }
    Ok(())
}

/// Refuses to remove a device that is held, or of which something is.
///
/// # Errors
/// `Refused` while a hold stands.
pub fn refuse_if_held(conn: &mut Conn, device: &Device) -> Result<()> {
    if of_device(conn, device)?.is_empty() {
        return Ok(());
    }
    Err(Error::Refused("this device or something of it is on hold; two people have to lift the hold first".to_owned()))
}

/// Makes a hold; it counts at once. An act.
///
/// # Errors
/// When the device is out of reach, there is no such point, no reason is given, or nobody can be told.
pub fn make(conn: &mut Conn, by: &By, draft: &Draft, now: Time) -> Result<Hold> {
    let device = reach::acted_on(conn, by, Permission::Hold, draft.device)?;
    let reason = guard::reason(GuardedAct::MakeHold, &draft.reason)?.to_owned();
    let mut hold = Hold {
        id: HoldId::generate(now),
        scope: draft.scope,
        cause: HoldCause::Person,
        device_id: None,
        person: None,
        point_id: None,
        reason,
        made_by: Some(by.user),
        made_name: by.actor.name.clone(),
        made_at: now,
        lift_reason: None,
        lift_asked_by: None,
        lift_asked_at: None,
        lifted_by: None,
        lifted_at: None,
    };
    match draft.scope {
        HoldScope::Device => hold.device_id = Some(device.id),
        HoldScope::Person => hold.person = Some(person_of(&device)?),
        HoldScope::Point => {
            let point = draft.point.ok_or(Error::NotFound("restore point"))?;
            require_point(conn, &device, point)?;
            (hold.device_id, hold.point_id) = (Some(device.id), Some(point));
        }
    }
    enter(conn, &by.actor, &device, &hold, now)?;
    tell(conn, &by.actor, (GuardedAct::MakeHold, "made"), (Some(&device), &hold), now)?;
    Ok(hold)
}

/// A hold on everything of a person, entered on the page of one of their devices.
fn person_of(device: &Device) -> Result<String> {
    let person = device.person.trim();
    if person.is_empty() {
        return Err(Error::invalid("scope", "This device has no person: hold the device instead."));
    }
    Ok(person.to_owned())
}

fn require_point(conn: &mut Conn, device: &Device, point: RestorePointId) -> Result<()> {
    store::restore_point::find(conn, point)?
        .filter(|it| it.device_id == device.id && it.trashed_by.is_none())
        .map(drop)
        .ok_or(Error::NotFound("restore point"))
}

/// Holds the last good point of a device because something unusual came; nothing while such a hold stands, which has the
/// last point from before. `why` is what is unusual, in sentences.
///
/// # Errors
/// When the database refuses.
pub fn make_by_rule(
    conn: &mut Conn,
    device: &Device,
    point: RestorePointId,
    why: &str,
    now: Time,
) -> Result<Option<Hold>> {
    let standing = store::hold::standing(conn, device.id)?;
    if standing.iter().any(|it| it.cause == HoldCause::Anomaly) {
        return Ok(None);
    }
    let hold = Hold {
        id: HoldId::generate(now),
        scope: HoldScope::Point,
        cause: HoldCause::Anomaly,
        device_id: Some(device.id),
        person: None,
        point_id: Some(point),
        reason: why.to_owned(),
        made_by: None,
        made_name: RULE.to_owned(),
        made_at: now,
        lift_reason: None,
        lift_asked_by: None,
        lift_asked_at: None,
        lifted_by: None,
        lifted_at: None,
    };
    enter(conn, &Actor::system(), device, &hold, now)?;
    Ok(Some(hold))
}

fn enter(conn: &mut Conn, actor: &Actor, device: &Device, hold: &Hold, now: Time) -> Result<()> {
    store::hold::insert(conn, hold)?;
    write(conn, actor, Action::HoldMade, (Some(device), hold), &hold.reason, now)
}

fn write(
    conn: &mut Conn,
    actor: &Actor,
    action: Action,
    (device, hold): (Option<&Device>, &Hold),
    why: &str,
    now: Time,
) -> Result<()> {
    let act = Act::done(action, Object::new("hold", hold.id, name(hold))).because(why);
    record(conn, actor, &device.map_or(act.clone(), |it| act.on(it.id)), now)
}

/// What a hold is called in the history.
fn name(hold: &Hold) -> String {
    match (hold.scope, &hold.person) {
        (HoldScope::Person, Some(person)) => format!("{} on everything of {person}", hold.cause.name()),
        (HoldScope::Device | HoldScope::Person, _) => format!("{} on the device", hold.cause.name()),
        (HoldScope::Point, _) => format!("{} on a restore point", hold.cause.name()),
    }
}

/// What two people agree to when a hold is lifted.
#[derive(Serialize)]
struct Lift<'a> {
    hold: HoldId,
    reason: &'a str,
    lift_reason: &'a str,
    asked_at: Time,
}

impl Terms for Lift<'_> {
    fn canonical(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// What its requester agreed to; none if nobody asks to lift it, or nobody agreed in time.
///
/// # Errors
/// When it cannot be written.
pub fn lift_asked(hold: &Hold, now: Time) -> Result<Option<Proposal>> {
    let (Some(by), Some(at), Some(why)) = (hold.lift_asked_by, hold.lift_asked_at, &hold.lift_reason) else {
        return Ok(None);
    };
    let lift = Lift { hold: hold.id, reason: &hold.reason, lift_reason: why, asked_at: at };
    let proposal = Proposal { by, digest: digest(&lift)?, expires_at: at + LIFT_WAITS };
    Ok((!proposal.is_over(now)).then_some(proposal))
}

/// Holds that somebody asks to lift, within `reach`, each with its device; of one on everything of a person, with any of
/// that person's. At most `limit`.
///
/// # Errors
/// When the database refuses.
pub fn lifts_waiting(conn: &mut Conn, reach: &Reach, limit: i64, now: Time) -> Result<Vec<(Hold, Option<Device>)>> {
    let mut found = Vec::new();
    for hold in store::hold::lifts_asked(conn, now - LIFT_WAITS, limit)? {
        let device = match (hold.device_id, &hold.person) {
            (Some(id), _) => store::device::find(conn, id)?,
            (None, Some(person)) => store::device::any_of(conn, person)?,
            (None, None) => None,
        };
        let is_seen = match (hold.device_id, &device) {
            (Some(_), Some(device)) => reach.covers(device.team_id),
            (None, _) | (_, None) => *reach == Reach::All,
        };
        if is_seen {
            found.push((hold, device));
        }
    }
    Ok(found)
}

/// A hold that stands within the reach of whoever acts, and its device; none for one on everything of a person.
fn found(conn: &mut Conn, by: &By, permission: Permission, id: HoldId) -> Result<(Option<Device>, Hold)> {
    let hold = store::hold::find(conn, id)?.filter(|it| it.lifted_at.is_none()).ok_or(Error::NotFound("hold"))?;
    // A person's devices may belong to several teams: whoever lifts a hold on all of them reaches all of them.
    let Some(device) = hold.device_id else {
        reach::organisation(by.into(), permission)?;
        return Ok((None, hold));
    };
    match reach::acted_on(conn, by, permission, device) {
        Err(Error::NotFound(_)) => Err(Error::NotFound("hold")),
        found => Ok((Some(found?), hold)),
    }
}

/// Asks to lift a hold; nothing happens until a second person agrees. An act.
///
/// # Errors
/// When there is none within reach, no reason is given, or somebody has asked already.
pub fn ask_lift(conn: &mut Conn, by: &By, id: HoldId, why: &str, now: Time) -> Result<Hold> {
    freeze::check(conn)?;
    let (device, hold) = found(conn, by, Permission::Hold, id)?;
    let why = guard::reason(GuardedAct::LiftHold, why)?;
    if lift_asked(&hold, now)?.is_some() {
        return Err(Error::Conflict("somebody has already asked to lift this hold".to_owned()));
    }
    let hold =
        Hold { lift_reason: Some(why.to_owned()), lift_asked_by: Some(by.user), lift_asked_at: Some(now), ..hold };
    update(conn, &hold)?;
    write(conn, &by.actor, Action::HoldLiftAsked, (device.as_ref(), &hold), why, now)?;
    tell(conn, &by.actor, (GuardedAct::LiftHold, "asked to lift"), (device.as_ref(), &hold), now)?;
    Ok(hold)
}

/// Lifts a hold, as the second person; `seen` is the digest of what the page showed. An act.
///
/// # Errors
/// When nobody asks for it, this person may not agree, or the page showed something else.
pub fn lift(conn: &mut Conn, by: &By, id: HoldId, seen: &str, now: Time) -> Result<Hold> {
    freeze::check(conn)?;
    let (device, hold) = found(conn, by, Permission::ApproveRemoval, id)?;
    let asked =
        lift_asked(&hold, now)?.ok_or_else(|| Error::Conflict("nobody asks to lift this hold any more".to_owned()))?;
    let teams = vec![device.as_ref().and_then(|it| it.team_id)];
    let matter = Matter { what: "lifting a hold", act: GuardedAct::LiftHold, requester: asked.by, teams };
    approval::may_decide(conn, by, &matter, now)?;
    // Whoever made it wants it to stand: that they ask for its end needs somebody else too, which the rule of two
    // people ensures.
    let approval = asked.approve(by.user, seen, now)?;
    store::approval::insert(conn, GuardedAct::ApproveHoldLift, hold.id.as_str(), &approval)?;
    let hold = Hold { lifted_by: Some(by.user), lifted_at: Some(now), ..hold };
    update(conn, &hold)?;
    let why = hold.lift_reason.clone().unwrap_or_default();
    write(conn, &by.actor, Action::HoldLifted, (device.as_ref(), &hold), &why, now)?;
    tell(conn, &by.actor, (GuardedAct::ApproveHoldLift, "lifted"), (device.as_ref(), &hold), now)?;
    Ok(hold)
}

/// Refuses or takes back a request to lift a hold. An act.
///
/// # Errors
/// When there is none within reach.
pub fn keep(conn: &mut Conn, by: &By, id: HoldId, now: Time) -> Result<Hold> {
    let (device, hold) = found(conn, by, Permission::Hold, id)?;
    if lift_asked(&hold, now)?.is_none() {
        return Err(Error::Conflict("nobody asks to lift this hold any more".to_owned()));
    }
    let hold = Hold { lift_reason: None, lift_asked_by: None, lift_asked_at: None, ..hold };
    update(conn, &hold)?;
    write(conn, &by.actor, Action::HoldStays, (device.as_ref(), &hold), "", now)?;
    Ok(hold)
}

fn update(conn: &mut Conn, hold: &Hold) -> Result<()> {
    if store::hold::update(conn, hold)? { Ok(()) } else { Err(Error::Conflict("this hold was lifted".to_owned())) }
}

#[derive(Template)]
#[template(path = "mail/hold.txt")]
struct HoldMail<'a> {
    by: &'a str,
    what: &'a str,
    device: Option<&'a Device>,
    name: &'a str,
    reason: &'a str,
    lift_reason: &'a str,
    url: String,
}

fn tell(
    conn: &mut Conn,
    by: &Actor,
    (act, what): (GuardedAct, &str),
    (device, hold): (Option<&Device>, &Hold),
    now: Time,
) -> Result<()> {
    let by = account::who(conn, by)?;
    let path = device.map_or_else(|| "/retention".to_owned(), |it| format!("/devices/{}/holds", it.id));
    let url = format!("{}{path}", installation::public_url(conn)?.unwrap_or_default());
    let (name, lift_reason) = (name(hold), hold.lift_reason.as_deref().unwrap_or_default());
    let body = HoldMail { by: &by, what, device, name: &name, reason: &hold.reason, lift_reason, url };
    let mail = Mail {
        // Never its person: they are not told of a hold.
        to: Recipients::Permission(Permission::ViewActivity, device.and_then(|it| it.team_id)),
        kind: act.as_str(),
        dedupe_key: Some(format!("{}/{what}/{}", hold.id, now.millis())),
        subject: device.map_or_else(|| format!("Hold {what}"), |it| format!("Hold {what}: {}", it.name)),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_or_refuse(conn, &mail, now)
}
