//! Team keys: which is in use, when the proof side looks, and how far it is.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::store::repository::Repository;
use crate::store::setting::{PROOF_PUBLIC_KEY, WRAP_AGAIN};
use crate::store::team_key::TeamKey;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::id::{DeviceId, RepositoryId, TeamId, TeamKeyId};
use domain::key_holder::KeyHolder;
use domain::team_key::Progress;
use domain::time::{Time, hours};
use domain::words::counted;
use secret::seal::PublicKey;
use std::time::Duration;

/// How many repositories are sealed in one transaction.
const BATCH: i64 = 100;

/// The proof side looks at all repositories this often even if nothing is known to have changed.
const AGAIN: Duration = hours(1);

/// The key of a team to which new master keys are sealed; none until the proof side has made one.
///
/// # Errors
/// When the database refuses.
pub fn recipient(conn: &mut Conn, team: Option<TeamId>) -> Result<Option<(TeamKeyId, PublicKey)>> {
    let key = store::team_key::current(conn, team)?;
    key.map(|it| Ok((it.id, PublicKey::parse(&it.public_key)?))).transpose()
}

/// Checks to which key a new repository of a device is sealed, in the transaction that adds it.
///
/// # Errors
/// `Busy` if that key is gone by now.
pub fn note(conn: &mut Conn, device: DeviceId, sealed_to: Option<TeamKeyId>, now: Time) -> Result<()> {
    if let Some(id) = sealed_to
        && store::team_key::find(conn, id)?.is_none()
    {
        return Err(Error::Busy(Duration::from_secs(1)));
    }
    let team = store::device::find(conn, device)?.and_then(|it| it.team_id);
    let current = store::team_key::current(conn, team)?.map(|it| it.id);
    if current.is_none() || current != sealed_to {
        wrap_again(conn, now)?;
    }
    Ok(())
}

/// Has the proof side look at all repositories.
///
/// # Errors
/// When the database refuses.
pub fn wrap_again(conn: &mut Conn, now: Time) -> Result<()> {
    Ok(WRAP_AGAIN.set(conn, &now, now)?)
}

/// Whether the proof side has to look, and the time by which [`looked`] knows that nothing came in between.
///
/// # Errors
/// When the database refuses.
pub fn is_due(conn: &mut Conn, now: Time) -> Result<Option<Option<Time>>> {
    let at = WRAP_AGAIN.find(conn)?;
    // A time far ahead is of a clock that was wrong.
    Ok(at.is_none_or(|it| it <= now || it > now + AGAIN).then_some(at))
}

/// Ends a look that began when [`is_due`] said `began`.
///
/// # Errors
/// When the database refuses.
pub fn looked(conn: &mut Conn, began: Option<Time>, now: Time) -> Result<()> {
    if WRAP_AGAIN.find(conn)? == began {
        WRAP_AGAIN.set(conn, &(now + AGAIN), now)?;
    }
    Ok(())
}

/// The teams without a key in use; none for the devices without a team.
///
/// # Errors
/// When the database refuses.
pub fn without_key(conn: &mut Conn) -> Result<Vec<Option<TeamId>>> {
    let mut found = Vec::new();
    for team in store::team_key::teams(conn)? {
        if store::team_key::current(conn, team)?.is_none() {
            found.push(team);
        }
    }
    Ok(found)
}

/// Adds a key that the proof side made, unless the team has one by now. An act.
///
/// # Errors
/// When the database refuses.
pub fn add(conn: &mut Conn, key: &TeamKey, now: Time) -> Result<()> {
    if store::team_key::current(conn, key.team_id)?.is_some() {
        return Ok(());
    }
    store::team_key::insert(conn, key)?;
    let object = object(conn, key)?;
    activity::record(conn, &Actor::system(), &Act::done(Action::TeamKeyMade, object), now)
}

/// The next repositories that are not sealed to the key of their team.
///
/// # Errors
/// When the database refuses.
pub fn elsewhere(conn: &mut Conn, key: &TeamKey, after: Option<RepositoryId>) -> Result<Vec<Repository>> {
    Ok(store::team_key::elsewhere(conn, key, after, BATCH)?)
}

/// Puts other sealings of master keys in place, each beside what it replaces. Nobody decides it, so there is no entry:
/// that is written when the key before is destroyed.
///
/// # Errors
/// When the database refuses.
pub fn rewrap(conn: &mut Conn, key: TeamKeyId, sealed: &[(Repository, String)]) -> Result<()> {
    for (old, text) in sealed {
        store::repository::rewrap(conn, old, text, key)?;
    }
    Ok(())
}

/// Destroys a retired key to which nothing is sealed any more; false if something is. An act.
///
/// # Errors
/// When the database refuses.
pub fn destroy(conn: &mut Conn, key: &TeamKey, now: Time) -> Result<bool> {
    let object = object(conn, key)?;
    if key.retired_at.is_none() || !store::team_key::remove(conn, key.id)? {
        return Ok(false);
    }
    activity::record(conn, &Actor::system(), &Act::done(Action::TeamKeyDestroyed, object), now)?;
    Ok(true)
}

/// Retires the keys in use, of one team or of all, so that the proof side makes others and seals everything to them. An
/// act; returns how many it retired.
///
/// # Errors
/// `NotFound` if there is no such team.
pub fn rotate(conn: &mut Conn, by: &Actor, team: Option<&str>, now: Time) -> Result<usize> {
    let only = match team {
        Some(name) => Some(store::team::find_by_name(conn, name)?.ok_or(Error::NotFound("team"))?.id),
        None => None,
    };
    let keys = store::team_key::all(conn)?.into_iter().filter(|it| it.retired_at.is_none());
    let keys: Vec<_> = keys.filter(|it| only.is_none() || it.team_id == only).collect();
    for key in &keys {
        store::team_key::retire(conn, key.id, now)?;
        let object = object(conn, key)?;
        activity::record(conn, by, &Act::done(Action::TeamKeyRetired, object), now)?;
    }
    wrap_again(conn, now)?;
    Ok(keys.len())
}

/// How far the repositories are sealed to keys in use.
///
/// # Errors
/// When the database refuses.
pub fn progress(conn: &mut Conn) -> Result<Progress> {
    let total = store::repository::count_of(conn, KeyHolder::Server)?;
    Ok(Progress { wrapped: store::team_key::wrapped(conn)?, total })
}

/// What is sealed to the proof key, sealed to another one.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The public half of the key that is replaced, and of the new one.
    pub old: String,
    pub new: String,
    /// Each team key with its private half sealed to the new key, and the new key's word for it.
    pub team_keys: Vec<(TeamKeyId, String, String)>,
    /// Each recovery key with the new key's word for it.
    pub recovery_keys: Vec<(domain::id::RecoveryKeyId, String)>,
    /// The key of the authority for Apple devices, sealed to the new key; none if there is none.
    pub apple_key: Option<String>,
}

/// Replaces the proof key: from this commit on, the new one opens everything and the old one nothing. An act; everyone
/// is told.
///
/// # Errors
/// `Refused` while a repository is sealed to the old key itself, `Conflict` if a key came in between.
pub fn replace_proof_key(conn: &mut Conn, by: &Actor, it: &Replacement, now: Time) -> Result<()> {
    let left = store::team_key::sealed_to_root(conn)?;
    if left > 0 {
        return Err(Error::Refused(format!(
            "{} could not be sealed to a team's key, and would be lost with the old proof key",
            counted(left, "repository", "repositories")
        )));
    }
    let is_whole = store::team_key::all(conn)?.iter().all(|key| it.team_keys.iter().any(|(id, ..)| *id == key.id));
    if !is_whole || PROOF_PUBLIC_KEY.find(conn)?.as_ref() != Some(&it.old) {
        return Err(Error::Conflict("the keys changed in the meantime: run it again".to_owned()));
    }
    for (id, sealed, voucher) in &it.team_keys {
        store::team_key::reseal(conn, *id, sealed, voucher)?;
    }
    for (id, voucher) in &it.recovery_keys {
        store::recovery_key::set_voucher(conn, *id, voucher)?;
    }
    if let Some(sealed) = &it.apple_key {
        store::apple::authority::reseal(conn, sealed)?;
    }
    PROOF_PUBLIC_KEY.set(conn, &it.new, now)?;
    let object = Object::new("server", "", "the proof key");
    activity::record(conn, by, &Act::done(Action::ProofKeyReplaced, object), now)?;
    let what =
        "The proof key was replaced: copies of the old one open nothing. Make a copy of the new one, and check it.";
    alert::host_acted(conn, &by.name, "Proof key replaced", what, now)
}

fn object(conn: &mut Conn, key: &TeamKey) -> Result<Object> {
    let team = match key.team_id {
        Some(id) => store::team::find(conn, id)?.map(|it| it.name).unwrap_or_default(),
        None => return Ok(Object::new("team_key", key.id, "the key of devices without a team")),
    };
    Ok(Object::new("team_key", key.id, format!("the key of the team {team}")))
}
