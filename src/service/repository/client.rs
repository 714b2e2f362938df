//! Tokens of people's own restic clients. Each belongs to the account that made it, and dies with it.
use super::TOKEN_PREFIX;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record};
use crate::service::backup::{self, Kept};
use crate::service::guard::{self, News};
use crate::service::{account, freeze, installation, reach};
use crate::store::repository::{Repository, RepositoryToken};
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::activity::{Action, Actor, Object};
use domain::by::By;
use domain::guard::GuardedAct;
use domain::id::{DeviceId, RepositoryId, RepositoryTokenId, UserId};
use domain::key_holder::{KeyHolder, KeyedAct};
use domain::name::is_plain;
use domain::object::{ObjectKind, RepositoryState, TokenKind};
use domain::role::Permission;
use domain::time::{Time, days, hours};
use std::time::Duration;

/// How long a token can read unless another time is chosen.
pub const READING: Duration = hours(24);

/// The longest time a token can read.
pub const MAX_READING: Duration = days(90);

/// A token for an own client, as entered in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientDraft {
    /// Where it will be used.
    pub name: String,
    /// How long it can read, and why; none for one that only appends.
    pub reads: Option<(Duration, String)>,
    /// What is received after this does not exist for it, and it appends nothing; only for one that reads.
    pub as_of: Option<Time>,
}

impl ClientDraft {
    /// The row of the table of guards for making it.
    pub const fn act(&self) -> GuardedAct {
        if self.reads.is_some() { GuardedAct::MakeReadingToken } else { GuardedAct::MakeAppendingToken }
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// `Invalid` in `name`, `reason` or `hours`.
    pub fn check(&self) -> Result<()> {
        own_client_name(&self.name)?;
        if let Some((valid_for, reason)) = &self.reads {
            guard::reason(self.act(), reason)?;
            if *valid_for < hours(1) || *valid_for > MAX_READING {
                return Err(Error::invalid("hours", "Enter a whole number of hours from 1 to 2,160 (90 days)."));
            }
        }
        Ok(())
    }
}

/// The name of a token of an own client, as it is kept.
///
/// # Errors
/// When it is empty or too long.
pub fn own_client_name(text: &str) -> Result<&str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || !is_plain(name) {
        return Err(Error::invalid("name", "Enter where you will use it: 1 to 100 characters, on one line."));
    }
    Ok(name)
}

/// What an account needs for a token of this kind; none for the agent's own.
const fn needed(kind: TokenKind) -> Option<Permission> {
    match kind {
        TokenKind::Agent => None,
        TokenKind::AppendClient => Some(Permission::RunBackups),
        TokenKind::OwnClient => Some(Permission::ReadContents),
    }
}

/// Makes a token for a person's own restic or rustic. It is shown once.
///
/// `key` is the key object of the password that goes with it, stored beforehand with [`backup::keep`]; none where the customer
/// keeps the key, and the password with it.
///
/// # Errors
/// When the draft is wrong, the person may not do this, or the repository accepts no more backups.
pub fn make_client_token(
    conn: &mut Conn,
    by: &By,
    (repository, key): (RepositoryId, Option<&Kept>),
    draft: &ClientDraft,
    now: Time,
) -> Result<(RepositoryTokenId, String)> {
    freeze::check(conn)?;
    draft.check()?;
    let name = own_client_name(&draft.name)?;
    let repository = store::repository::find(conn, repository)?.ok_or(Error::NotFound("repository"))?;
    reach::acted_on(conn, by, Permission::RunBackups, repository.device_id)?;
    let kind = if draft.reads.is_some() { TokenKind::OwnClient } else { TokenKind::AppendClient };
    if !may_hold(conn, kind, by.user, repository.device_id)? {
        return Err(Error::Forbidden);
    }
    add_password(conn, &repository, key, kind, now)?;
    let token = secret::generate(TOKEN_PREFIX)?;
    let (expires_at, reason) = match &draft.reads {
        Some((valid_for, reason)) => (Some(now + *valid_for), reason.trim()),
        None => (None, ""),
    };
    let row = RepositoryToken {
        id: RepositoryTokenId::generate(now),
        repository_id: repository.id,
        kind,
        token_hash: secret::hash(&token),
        name: name.to_owned(),
        created_by: Some(by.actor.name.clone()),
        user_id: Some(by.user),
        reason: reason.to_owned(),
        created_at: now,
        expires_at,
        revoked_at: None,
        as_of: draft.as_of.filter(|_| draft.reads.is_some()),
    };
    store::repository::insert_token(conn, &row)?;
    let what = match expires_at {
        Some(at) => match row.as_of {
            Some(as_of) => format!("reads as of {} until {}: {reason}", as_of.iso(), at.iso()),
            None => format!("reads until {}: {reason}", at.iso()),
        },
        None => "appends, and cannot read".to_owned(),
    };
    let act = Act::done(Action::RepositoryTokenMade, Object::new("repository_token", row.id, name));
    record(conn, &by.actor, &act.on(repository.device_id).because(&what), now)?;
    if let Some(until) = expires_at {
        tell(conn, &by.actor, (&row, repository.device_id), until, now)?;
    }
    Ok((row.id, token))
}

/// Adds the key object of the password to the ledger, where there is one.
fn add_password(
    conn: &mut Conn,
    repository: &Repository,
    key: Option<&Kept>,
    kind: TokenKind,
    now: Time,
) -> Result<()> {
    let key = match (repository.key_holder, key) {
        (KeyHolder::Server, Some(key)) => key,
        (KeyHolder::Customer, None) if repository.state == RepositoryState::Active => return Ok(()),
        (KeyHolder::Customer, None) => return Err(Error::Refused(backup::READ_ONLY.to_owned())),
        (KeyHolder::Customer, Some(_)) => {
            let why = KeyHolder::Customer.refusal(KeyedAct::AddPassword).unwrap_or_default();
            return Err(Error::Refused(why.to_owned()));
        }
        (KeyHolder::Server, None) => return Err(anyhow::anyhow!("no password was made for {}", repository.id).into()),
    };
    if key.key.kind != ObjectKind::Keys || key.key.repository != repository.id {
        return Err(anyhow::anyhow!("{} is not a key object of {}", key.key, repository.id).into());
    }
    backup::received(conn, &key.key, key.size, kind, now)?;
    if let Some(copy) = &key.copy {
        store::kept_object::keep(conn, key.key.repository, key.key.kind, &key.key.name, copy)?;
    }
    Ok(())
}

/// Whether a token is accepted now: it has not expired, the account that made it may still do what it does, and one that
/// reads is not stopped by a freeze.
///
/// # Errors
/// When the database refuses.
pub fn may_use(conn: &mut Conn, token: &RepositoryToken, repository: &Repository, now: Time) -> Result<bool> {
    // It belongs to no account: it dies with its enrolment.
    if token.kind == TokenKind::Agent {
        return Ok(true);
    }
    // Setting the clock back does not make a token live longer.
    if token.expires_at.is_some_and(|it| now >= it || it > now + MAX_READING) {
        return Ok(false);
    }
    // Reading is what a stolen account is after; while all is frozen nobody reads on, and backups still arrive.
    if token.kind == TokenKind::OwnClient && freeze::standing(conn)?.is_some() {
        return Ok(false);
    }
    match token.user_id {
        Some(user) => may_hold(conn, token.kind, user, repository.device_id),
        None => Ok(false),
    }
}

fn may_hold(conn: &mut Conn, kind: TokenKind, user: UserId, device: DeviceId) -> Result<bool> {
    let Some(permission) = needed(kind) else { return Ok(true) };
    let Some(device) = store::device::find(conn, device)? else { return Ok(false) };
    guard::still_holds(conn, user, permission, device.team_id)
}

#[derive(Template)]
#[template(path = "mail/contents_read.txt")]
struct ContentsRead<'a> {
    by: &'a str,
    device_name: &'a str,
    serial: &'a str,
    person: &'a str,
    name: &'a str,
    reason: &'a str,
    until: String,
    url: String,
}

fn tell(
    conn: &mut Conn,
    actor: &Actor,
    (token, device): (&RepositoryToken, DeviceId),
    until: Time,
    now: Time,
) -> Result<()> {
    let device = store::device::find(conn, device)?.ok_or(Error::NotFound("device"))?;
    let by = account::who(conn, actor)?;
    let url = installation::public_url(conn)?.unwrap_or_default();
    let body = ContentsRead {
        by: &by,
        device_name: &device.name,
        serial: &device.serial,
        person: &device.person,
        name: &token.name,
        reason: &token.reason,
        until: until.iso(),
        url: format!("{url}/devices/{}", device.id),
    };
    let body = body.render().context("writing a mail")?;
    let subject = format!("Backups of {} can be read until {}", device.name, until.iso());
    let key = token.id.to_string();
    guard::tell(conn, News { act: GuardedAct::MakeReadingToken, key: &key, subject, body }, &device, now)
}
