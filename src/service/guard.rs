//! The table of guards in use: who is told about an act, and whether what an account made still counts.
use crate::error::{Error, FieldErrors, Result};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{account, installation};
use crate::store::device::Device;
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::Actor;
use domain::guard::{GuardedAct, Told};
use domain::id::{TeamId, UserId};
use domain::name::is_plain;
use domain::role::{Grants, Permission, Reach};
use domain::time::Time;
use domain::words;
use std::collections::BTreeMap;

/// The longest reason for a guarded act, in bytes.
const MAX_REASON: usize = 200;

/// A mail about a guarded act.
pub(super) struct News<'a> {
    pub act: GuardedAct,
    /// What is reported once, such as the id of a token.
    pub key: &'a str,
    pub subject: String,
    pub body: String,
}

/// Queues the mail about an act on a device for those named in the table of guards.
///
/// # Errors
/// When the database refuses; then the act in the same transaction is undone too.
pub(super) fn tell(conn: &mut Conn, news: News<'_>, device: &Device, now: Time) -> Result<()> {
    let told = news.act.guard().told;
    let mail = |to| Mail {
        to,
        kind: news.act.as_str(),
        dedupe_key: Some(news.key.to_owned()),
        subject: news.subject.clone(),
        body: news.body.clone(),
    };
    let mut to = Vec::new();
    match told {
        Told::Nobody | Told::Oneself => {}
        Told::Overseers => to.push(Recipients::Permission(Permission::ManageUsers, None)),
        Told::Watchers | Told::WatchersAndPerson => {
            to.push(Recipients::Permission(Permission::ViewActivity, device.team_id));
        }
    }
    if told == Told::WatchersAndPerson {
        let of_person = store::user::by_name_or_address(conn, &device.person)?;
        to.extend(of_person.into_iter().map(Recipients::Account));
        if let Some(address) = mail::outside(conn, &device.person)? {
            let mail = mail(Recipients::Permission(Permission::ViewActivity, None));
            mail::enqueue_to_address(conn, &address, &mail, now)?;
        }
    }
    // Somebody who is both notified and the device's person is told once: the key ensures it.
    for to in to {
        mail::enqueue_or_refuse(conn, &mail(to), now)?;
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "mail/wide_token_made.txt")]
struct WideTokenMade<'a> {
    by: &'a str,
    name: &'a str,
    use_limit: i64,
    expires_at: String,
    url: String,
}

/// Reports an enrolment token that admits many devices, alone or together with others of the same account.
///
/// # Errors
/// When the database refuses.
pub(super) fn tell_of_token(conn: &mut Conn, actor: &Actor, token: &EnrollmentToken, now: Time) -> Result<()> {
    let act = GuardedAct::MakeWideEnrollmentToken;
    let by = account::who(conn, actor)?;
    let url = format!("{}/enrollment", installation::public_url(conn)?.unwrap_or_default());
    let expires_at = token.expires_at.iso();
    let body = WideTokenMade { by: &by, name: &token.name, use_limit: token.use_limit, expires_at, url };
    let mail = Mail {
        to: Recipients::Permission(Permission::ViewActivity, token.team_id),
        kind: act.as_str(),
        dedupe_key: Some(token.id.to_string()),
        subject: format!("Enrolment token made: {}", token.name),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_or_refuse(conn, &mail, now)
}

#[derive(Template)]
#[template(path = "mail/many_devices.txt")]
struct ManyDevices<'a> {
    by: &'a str,
    what: &'a str,
    devices: &'a [&'a Device],
    more_count: usize,
    url: String,
}

/// How many devices a mail names; it says how many more there are.
const NAMED: usize = 200;

/// Reports one act on many devices, to each team about its own. `what` is what was done, such as "Lock".
///
/// # Errors
/// When the database refuses.
pub(super) fn tell_of_many(
    conn: &mut Conn,
    actor: &Actor,
    (act, what): (GuardedAct, &str),
    (devices, key): (&[Device], &str),
    now: Time,
) -> Result<()> {
    if act.guard().told == Told::Nobody {
        return Ok(());
    }
    let by = account::who(conn, actor)?;
    let query = serde_urlencoded::to_string([("batch", key)]).context("writing an address")?;
    let url = format!("{}/commands?{query}", installation::public_url(conn)?.unwrap_or_default());
    let mut teams: BTreeMap<Option<TeamId>, Vec<&Device>> = BTreeMap::new();
    for device in devices {
        teams.entry(device.team_id).or_default().push(device);
    }
    for (team, devices) in teams {
        let named = devices.get(..NAMED).unwrap_or(&devices);
        let more_count = devices.len() - named.len();
        let body = ManyDevices { by: &by, what, devices: named, more_count, url: url.clone() };
        let mail = Mail {
            to: Recipients::Permission(Permission::ViewActivity, team),
            kind: act.as_str(),
            // With the team: somebody in two of them gets the mails about both.
            dedupe_key: Some(format!("{key}/{}", team.map(|it| it.to_string()).unwrap_or_default())),
            subject: format!("{what} queued for {}", words::counted(devices.len(), "device", "devices")),
            body: body.render().context("writing a mail")?,
        };
        mail::enqueue_or_refuse(conn, &mail, now)?;
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "mail/device_act.txt")]
struct DeviceAct<'a> {
    by: &'a str,
    what: &'a str,
    device_name: &'a str,
    serial: &'a str,
    person: &'a str,
    reason: &'a str,
    url: String,
}

/// Reports an act on one device that has no words of its own. `what` is what was done, such as "Locate"; `key` is what is
/// reported once.
///
/// # Errors
/// When the database refuses.
pub(super) fn tell_of_device(
    conn: &mut Conn,
    actor: &Actor,
    (act, what, reason): (GuardedAct, &str, &str),
    (device, key): (&Device, &str),
    now: Time,
) -> Result<()> {
    let by = account::who(conn, actor)?;
    let url = format!("{}/devices/{}", installation::public_url(conn)?.unwrap_or_default(), device.id);
    let Device { name, serial, person, .. } = device;
    let body = DeviceAct { by: &by, what, device_name: name, serial, person, reason, url };
    let body = body.render().context("writing a mail")?;
    let news = News { act, key, subject: format!("{what}: {name}"), body };
    tell(conn, news, device, now)
}

/// Whether somebody who made something may still do what it does.
///
/// Their account is open, and holds `permission` for devices of `team`. Asked on each use, so that what they
/// made dies with the account or the role.
///
/// # Errors
/// When the database refuses.
pub fn still_holds(conn: &mut Conn, user: UserId, permission: Permission, team: Option<TeamId>) -> Result<bool> {
    let reach = |grants: Grants| grants.reach(permission).is_some_and(|it| it.covers(team));
    Ok(account::active(conn, user)?.is_some_and(|(_, grants)| reach(grants)))
}

/// The same for what concerns the whole organisation.
///
/// # Errors
/// When the database refuses.
pub fn still_holds_everywhere(conn: &mut Conn, user: UserId, permission: Permission) -> Result<bool> {
    Ok(account::active(conn, user)?.is_some_and(|(_, grants)| grants.reach(permission) == Some(Reach::All)))
}

/// The reason for a guarded act, as it is kept and reported.
///
/// # Errors
/// `Invalid` in the field `reason` if the table asks for one and there is none, or it is not a line of text.
pub fn reason(act: GuardedAct, text: &str) -> Result<&str> {
    let text = text.trim();
    let mut errors = FieldErrors::new();
    if act.guard().reason && text.is_empty() {
        errors.add("reason", "Give a reason: everyone who is told about this will read it.");
    }
    if text.len() > MAX_REASON || !is_plain(text) {
        errors.add("reason", format!("Use at most {MAX_REASON} bytes, on one line."));
    }
    errors.into_result().map_err(Error::from)?;
    Ok(text)
}
