//! What is told about who may do what: guards, accounts, and acts on the server's own machine.
use super::{hour, url};
use crate::error::Result;
use crate::service::mail::{self, Mail, Recipients};
use crate::store::Conn;
use crate::store::user::User;
use anyhow::Context;
use askama::Template;
use domain::by::Author;
use domain::role::{Permission, Role};
use domain::time::Time;

#[derive(Template)]
#[template(path = "mail/guard_changed.txt")]
struct GuardChanged<'a> {
    by: &'a str,
    label: &'a str,
    what: &'a str,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/access_changed.txt")]
struct AccessChanged<'a> {
    act: &'a str,
    email: &'a str,
    what: &'a str,
    wipes: bool,
    url: String,
}

#[derive(Template)]
#[template(path = "mail/host_acted.txt")]
struct HostActed<'a> {
    by: &'a str,
    what: &'a str,
    url: String,
}

/// Reports that a setting or a policy that guards data was changed, or will be. One that stays as it was is
/// reported if there is room.
///
/// # Errors
/// `Refused` if nobody can be told about the change.
pub fn guard_changed(conn: &mut Conn, by: &str, (label, what): (&str, &str), is_looser: bool, now: Time) -> Result<()> {
    let url = url(conn, "/settings")?;
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: "guard_changed",
        dedupe_key: None,
        subject: format!("Guard changed: {label}"),
        body: GuardChanged { by, label, what, url }.render().context("writing a mail")?,
    };
    if is_looser { mail::enqueue_or_refuse(conn, &mail, now) } else { mail::enqueue_guard(conn, &mail, now) }
}

/// Reports that somebody may do more or less than before, or that somebody else may sign in as them. `what` is
/// a sentence, `roles` what it grants.
///
/// Called before the change, so that the change itself cannot leave anybody out.
///
/// # Errors
/// `Refused` if nobody can be told, unless it is done on the server's own machine.
pub fn access_changed(conn: &mut Conn, by: Author<'_>, user: &User, it: &AccessChange<'_>, now: Time) -> Result<()> {
    let wipes = it.roles.iter().any(|role| role.has_part_in_wipes());
    let act = if wipes { "Access to wipes granted" } else { "Access changed" };
    let subject = format!("{act}: {}", user.email);
    let url = url(conn, &format!("/users/{}", user.id))?;
    let body = AccessChanged { act, email: &user.email, what: it.what, wipes, url }.render();
    let body = body.context("writing a mail")?;
    let dedupe_key = it.once_an_hour.then(|| format!("{}/{}/{}", user.id, hour(now), secret::hash(it.what)));
    let mail = Mail { to: it.to, kind: "access_changed", dedupe_key, subject, body };
    match by {
        Author::Person(_) => mail::enqueue_or_refuse(conn, &mail, now),
        Author::Host(_) => mail::enqueue_guard(conn, &mail, now),
    }
}

/// What is reported about a change to somebody's access.
#[derive(Debug, Clone, Copy)]
pub struct AccessChange<'a> {
    /// A sentence.
    pub what: &'a str,
    /// What it grants.
    pub roles: &'a [Role],
    pub to: Recipients,
    /// Whether a repetition within an hour is reported only once.
    pub once_an_hour: bool,
}

/// Tells everyone what was done on the server's own machine.
///
/// # Errors
/// When the database refuses.
pub fn host_acted(conn: &mut Conn, by: &str, subject: &str, what: &str, now: Time) -> Result<()> {
    let url = url(conn, "/activity")?;
    let body = HostActed { by, what, url }.render().context("writing a mail")?;
    let subject = subject.to_owned();
    let mail = Mail { to: Recipients::Everyone, kind: "host_acted", dedupe_key: None, subject, body };
    mail::enqueue_guard(conn, &mail, now)
}
