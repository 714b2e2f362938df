//! What people change about a device by hand: its name, person, team and backup space, and its removal.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::guard::{self, News};
use crate::service::setting::QUOTA;
use crate::service::{account, alert, command, freeze, hold, installation, reach, restore, team_key};
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::device::DeviceState;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, TeamId};
use domain::key_holder::NO_CROSSING;
use domain::name;
use domain::role::Permission;
use domain::space::Space;
use domain::time::Time;
use domain::words::{bytes, sentence};

/// A device as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub person: String,
    pub team_id: Option<TeamId>,
    /// The space of its backups in units of [`QUOTA`]; none leaves it as it is.
    pub quota: Option<i64>,
}

/// Changes name, person, team and space; an act. Returns the space of its backups as it is now; none if it
/// cannot be backed up.
///
/// # Errors
/// When a field is wrong, or the device or its new team is not within the person's reach.
pub fn change(conn: &mut Conn, by: &By, id: DeviceId, draft: &Draft, now: Time) -> Result<Option<Space>> {
    let reach = reach::of(by, Permission::EnrollDevices)?;
    let old = reach::device(conn, &reach, id)?;
    if !reach.covers(draft.team_id) {
        return Err(Error::invalid("team", "Your roles do not reach this team."));
    }
    check(draft)?;
    if store::team::is_apart(conn, old.team_id, draft.team_id)? {
        return Err(Error::invalid("team", sentence(NO_CROSSING)));
    }
    let (name, person) = (draft.name.trim(), draft.person.trim());
    let mut what = difference(&old, name, person, draft.team_id);
    if let Some(act) = act_of(&old, draft) {
        tell_of_change(conn, &by.actor, act, (&old, &what.join("; ")), now)?;
    }
    hold::carry(conn, &old)?;
    store::device::set_names(conn, id, name, person, draft.team_id)?;
    if old.team_id != draft.team_id {
        team_key::wrap_again(conn, now)?;
    }
    let mut space = store::repository::active_of_device(conn, id)?.map(|it| (it.id, it.space()));
    if let (Some((repository, space)), Some(quota)) = (&mut space, draft.quota)
        && space.quota_bytes / QUOTA.unit != quota
    {
        what.push(format!("space for backups was {}", bytes(space.quota_bytes)));
        space.quota_bytes = quota * QUOTA.unit;
        store::repository::set_quota(conn, *repository, space.quota_bytes)?;
    }
    let act = Act::done(Action::DeviceChanged, Object::new("device", id, name)).on(id);
    activity::record(conn, &by.actor, &act.because(&what.join("; ")), now)?;
    Ok(space.map(|(_, space)| space))
}

/// The row of the table of guards for a change; none if nobody needs to be told.
pub fn act_of(old: &Device, draft: &Draft) -> Option<GuardedAct> {
    let is_other_person = !old.person.is_empty() && old.person != draft.person.trim();
    (is_other_person || old.team_id != draft.team_id).then_some(GuardedAct::ChangePerson)
}

#[derive(Template)]
#[template(path = "mail/person_changed.txt")]
struct PersonChanged<'a> {
    by: &'a str,
    device: &'a Device,
    what: &'a str,
    url: String,
}

/// Tells those who were notified about the device until now, and the person it belonged to.
fn tell_of_change(
    conn: &mut Conn,
    actor: &Actor,
    act: GuardedAct,
    (old, what): (&Device, &str),
    now: Time,
) -> Result<()> {
    let by = account::who(conn, actor)?;
    let url = format!("{}/devices/{}", installation::public_url(conn)?.unwrap_or_default(), old.id);
    let body = PersonChanged { by: &by, device: old, what, url }.render().context("writing a mail")?;
    let key = format!("{}/{}", old.id, now.millis());
    let subject = format!("Device changed: {}", old.name);
    guard::tell(conn, News { act, key: &key, subject, body }, old, now)
}

fn check(draft: &Draft) -> Result<()> {
    let mut errors = FieldErrors::new();
    for (field, text, least) in [("name", &draft.name, 1), ("person", &draft.person, 0)] {
        let text = text.trim();
        if text.len() < least || text.len() > 200 || !name::is_plain(text) {
            errors.add(
                field,
                format!("{least} to 200 bytes, without control characters, line breaks or direction marks"),
            );
        }
    }
    if draft.quota.is_some_and(|it| !(QUOTA.least..=QUOTA.most).contains(&it)) {
        errors.add(QUOTA.field, format!("Enter a whole number from {} to {}.", QUOTA.least, QUOTA.most));
    }
    Ok(errors.into_result()?)
}

fn difference(old: &Device, name: &str, person: &str, team: Option<TeamId>) -> Vec<String> {
    let mut parts = Vec::new();
    if old.name != name {
        parts.push(format!("name was {}", old.name));
    }
    if old.person != person {
        parts.push(format!("person was {}", old.person));
    }
    if old.team_id != team {
        parts.push("team changed".to_owned());
    }
    parts
}

/// The device to be removed, if it may be.
///
/// # Errors
/// When the typed name is different, a wipe of it is open, it was already removed, or something of it is on hold.
pub(super) fn removable(conn: &mut Conn, id: DeviceId, typed_name: &str, now: Time) -> Result<Device> {
    let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
    if typed_name.trim() != device.name {
        return Err(Error::invalid("confirm", "type the name of the device as shown above"));
    }
    let open = store::command::open(conn, id, device.generation, now)?;
    if store::wipe::open_of_device(conn, id)?.is_some() || open.iter().any(|it| it.kind.erases()) {
        return Err(Error::Refused(
            "a wipe of this device is under way: stop it, or wait until it has \
         ended"
                .to_owned(),
        ));
    }
    if device.state == DeviceState::Removed {
        return Err(Error::Conflict("this device was already removed".to_owned()));
    }
    hold::refuse_if_held(conn, &device)?;
    Ok(device)
}

/// Removes a device from the lists: it cannot come back without a new enrolment, and its tokens no longer open
/// anything. Its backups and its history stay. An act, once `removal` has found that it may be.
///
/// # Errors
/// When the typed name is different, a wipe of it is open, or it was already removed.
pub(super) fn remove(conn: &mut Conn, actor: &Actor, id: DeviceId, typed_name: &str, now: Time) -> Result<()> {
    freeze::check(conn)?;
    let device = removable(conn, id, typed_name, now)?;
    let from = device.state;
    if !store::device::set_state(conn, id, device.generation, (from, DeviceState::Removed), now)? {
        return Err(Error::Conflict("this device was already removed".to_owned()));
    }
    store::enrollment::end(conn, id, now)?;
    for command in store::command::open(conn, id, device.generation, now)? {
        command::withdraw(conn, command.id, "the device was removed", now)?;
    }
    restore::cancel_to(conn, id, "the device was removed", now)?;
    store::repository::revoke_all(conn, id, now)?;
    let act = Act::done(Action::DeviceRemoved, Object::new("device", id, device.name.clone())).on(id);
    activity::record(conn, actor, &act, now)?;
    let who = account::who(conn, actor)?;
    alert::device_removed(conn, &who, &device, now)
}
