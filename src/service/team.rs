//! Teams.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::mail::{self, Mail, Recipients};
use crate::service::user::team_object;
use crate::service::{account, installation, reach};
use crate::store::team::Team;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor};
use domain::by::By;
use domain::guard::GuardedAct;
use domain::id::TeamId;
use domain::key_holder::{COSTS, HAS_DEVICES, KeyHolder};
use domain::name;
use domain::role::Permission;
use domain::time::Time;
use domain::words::is_same_name;

/// Adds a team.
///
/// # Errors
/// `Invalid` if the name is not valid, or is taken, ignoring case; `Forbidden` for somebody who does not manage people.
pub fn add(conn: &mut Conn, by: &By, wanted: &str, now: Time) -> Result<Team> {
    let actor = reach::organisation(by.into(), Permission::ManageUsers)?;
    let mut errors = FieldErrors::new();
    name::check(wanted, "name", 60, &mut errors);
    errors.into_result()?;
    // Not in SQL: SQLite folds case only for ASCII letters.
    if store::team::all(conn)?.iter().any(|it| is_same_name(&it.name, wanted)) {
        return Err(taken());
    }
    let team = Team { id: TeamId::generate(now), name: wanted.trim().to_owned(), created_at: now };
    store::team::insert(conn, &team).map_err(|error| Error::or_taken(error, taken()))?;
    activity::record(conn, actor, &Act::done(Action::TeamAdded, team_object(&team)), now)?;
    Ok(team)
}

fn taken() -> Error {
    Error::invalid("name", "There already is a team with this name.")
}

/// Leaves the keys to the backups of a team to the customer, for good. An act; everyone who manages people is told.
///
/// # Errors
/// `Refused` if the team has devices, or had some; `Conflict` if that was done before; `Forbidden` for somebody who does
/// not manage people.
pub fn hand_over_keys(conn: &mut Conn, by: &By, id: TeamId, now: Time) -> Result<Team> {
    let actor = reach::organisation(by.into(), Permission::ManageUsers)?;
    let team = store::team::find(conn, id)?.ok_or(Error::NotFound("team"))?;
    if store::team::key_holder(conn, Some(id))? == KeyHolder::Customer {
        return Err(Error::Conflict(format!("the customer keeps the keys of {} already", team.name)));
    }
    // Also those that were removed: what they backed up is sealed to keys of this server.
    if store::team::device_counts(conn)?.iter().any(|(of, count)| *of == id && *count > 0) {
        return Err(Error::Refused(HAS_DEVICES.to_owned()));
    }
    store::team::hand_over(conn, id)?;
    activity::record(conn, actor, &Act::done(Action::TeamKeyHandedOver, team_object(&team)), now)?;
    tell(conn, actor, &team, now)?;
    Ok(team)
}

#[derive(Template)]
#[template(path = "mail/keys_handed_over.txt")]
struct KeysHandedOver<'a> {
    by: &'a str,
    team: &'a str,
    costs: &'a [&'a str],
    url: String,
}

fn tell(conn: &mut Conn, actor: &Actor, team: &Team, now: Time) -> Result<()> {
    let by = account::who(conn, actor)?;
    let url = format!("{}/teams", installation::public_url(conn)?.unwrap_or_default());
    let body = KeysHandedOver { by: &by, team: &team.name, costs: COSTS, url };
    let mail = Mail {
        to: Recipients::Permission(Permission::ManageUsers, None),
        kind: GuardedAct::HandOverKeys.as_str(),
        dedupe_key: Some(team.id.to_string()),
        subject: format!("The customer keeps the keys of {}", team.name),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue_or_refuse(conn, &mail, now)
}
