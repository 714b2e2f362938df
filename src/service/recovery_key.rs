//! Recovery keys: made, typed back and retired on the server's own machine, and what is sealed to them.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::alert;
use crate::store::escrow::Escrow;
use crate::store::recovery_key::RecoveryKey;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::id::{RecoveryKeyId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::recovery_key::{Facts, Key, MOST_STANDING, Recoverability};
use domain::time::{Time, hours};
use domain::words::{counted, number};
use secret::recovery::key_name;
use secret::seal::PublicKey;
use std::time::Duration;

/// How many repositories are sealed, or records forgotten, in one transaction.
const BATCH: i64 = 100;

/// When the proof side looks again after it could not open each repository.
const AGAIN: Duration = hours(1);

/// Makes a key known, to which everything is sealed from now on; everyone is told. An act.
///
/// `voucher` is the word of whoever has the proof key for `public`; only the proof side can check it.
///
/// # Errors
/// `Refused` while another one waits to be typed back, or two stand already.
pub fn make(conn: &mut Conn, by: &Actor, public: &str, voucher: &str, now: Time) -> Result<RecoveryKey> {
    let name = key_name(&PublicKey::parse(public)?);
    let standing = store::recovery_key::standing(conn)?;
    if let Some(other) = standing.iter().find(|it| it.confirmed_at.is_none()) {
        return Err(Error::Refused(format!(
            "the recovery key {0} was made on {1} and its shares were never typed back: do that with `holdfast \
             recovery-key confirm`, or give it up with `holdfast recovery-key retire {0}`",
            other.name,
            other.made_at.iso()
        )));
    }
    if standing.len() >= MOST_STANDING {
        let names: Vec<_> = standing.iter().map(|it| it.name.as_str()).collect();
        return Err(Error::Refused(format!(
            "there are two recovery keys, {}: retire the older one first, with `holdfast recovery-key retire NAME`",
            names.join(" and ")
        )));
    }
    if store::recovery_key::find_by_name(conn, &name)?.is_some() {
        return Err(Error::Conflict(format!("there was a recovery key called {name} before: make another one")));
    }
    let key = RecoveryKey {
        id: RecoveryKeyId::generate(now),
        name,
        public_key: public.to_owned(),
        voucher: voucher.to_owned(),
        made_at: now,
        made_by: by.name.clone(),
        confirmed_at: None,
        confirmed_by: None,
        retired_at: None,
        seal_again_at: Some(now),
    };
    store::recovery_key::insert(conn, &key)?;
    activity::record(conn, by, &Act::done(Action::RecoveryKeyMade, object(&key)), now)?;
    let what = format!("The recovery key {} was made: any three of its five shares open every backup.", key.name);
    alert::host_acted(conn, &by.name, &format!("Recovery key made: {}", key.name), &what, now)?;
    Ok(key)
}

/// Records that three shares of a key were typed back and gave it. An act; done again, it says that the papers are
/// still there.
///
/// # Errors
/// `Refused` if this server does not know the key, or it is retired.
pub fn confirm(conn: &mut Conn, by: &Actor, public: &str, now: Time) -> Result<RecoveryKey> {
    let key = store::recovery_key::find_by_public(conn, public)?.ok_or_else(|| {
        let name = PublicKey::parse(public).map(|it| key_name(&it)).unwrap_or_default();
        Error::Refused(format!("the shares give the key {name}, which this server does not know: it is another's"))
    })?;
    if let Some(at) = key.retired_at {
        let name = key.name;
        return Err(Error::Refused(format!("the recovery key {name} was retired on {}: it opens nothing", at.iso())));
    }
    store::recovery_key::confirm(conn, key.id, &by.name, now)?;
    activity::record(conn, by, &Act::done(Action::RecoveryKeyConfirmed, object(&key)), now)?;
    Ok(RecoveryKey { confirmed_at: Some(now), confirmed_by: Some(by.name.clone()), ..key })
}

/// Gives a key up: nothing is sealed to it any more, and its records are forgotten; everyone is told. An act.
///
/// # Errors
/// `Refused` while it is confirmed and another confirmed key does not open every backup.
pub fn retire(conn: &mut Conn, by: &Actor, name: &str, now: Time) -> Result<RecoveryKey> {
    let key = store::recovery_key::find_by_name(conn, name)?
        .ok_or(Error::NotFound("recovery key; `holdfast recovery-key list` shows them"))?;
    if key.retired_at.is_some() {
        return Err(Error::Conflict(format!("the recovery key {name} is retired already")));
    }
    let left = store::repository::count_of(conn, KeyHolder::Server)? - store::escrow::covered(conn, Some(key.id))?;
    if key.confirmed_at.is_some() && left > 0 {
        return Err(Error::Refused(format!(
            "{} would no longer be recoverable by shares: make another recovery key and type its shares back first",
            counted(left, "repository", "repositories")
        )));
    }
    store::recovery_key::retire(conn, key.id, now)?;
    store::recovery_key::seal_again(conn, key.id, Some(now))?;
    activity::record(conn, by, &Act::done(Action::RecoveryKeyRetired, object(&key)), now)?;
    let what = format!("The recovery key {name} was retired: destroy its shares.");
    alert::host_acted(conn, &by.name, &format!("Recovery key retired: {name}"), &what, now)?;
    Ok(key)
}

/// How the backups stand to being opened with shares.
///
/// # Errors
/// When the database refuses.
pub fn recoverability(conn: &mut Conn, now: Time) -> Result<Recoverability> {
    let standing = store::recovery_key::standing(conn)?;
    let keys = standing.into_iter().map(|it| Key { name: it.name, made_at: it.made_at, confirmed_at: it.confirmed_at });
    let total = store::repository::count_of(conn, KeyHolder::Server)?;
    let covered = store::escrow::covered(conn, None)?;
    Ok(Recoverability::of(&Facts { keys: keys.collect(), covered, total }, now))
}

/// The recovery keys that a new repository is sealed to.
///
/// # Errors
/// When the database refuses.
pub fn recipients(conn: &mut Conn) -> Result<Vec<(RecoveryKeyId, PublicKey)>> {
    let standing = store::recovery_key::standing(conn)?;
    standing.into_iter().map(|it| Ok((it.id, PublicKey::parse(&it.public_key)?))).collect()
}

/// Keeps the records of a new repository, in the transaction that adds it.
///
/// # Errors
/// When the database refuses.
pub fn keep(conn: &mut Conn, repository: RepositoryId, sealed: &[(RecoveryKeyId, String)], now: Time) -> Result<()> {
    for key in store::recovery_key::standing(conn)? {
        match sealed.iter().find(|(of, _)| *of == key.id) {
            Some((_, text)) => {
                let sealed_master_key = text.clone();
                let record =
                    Escrow { repository_id: repository, recovery_key_id: key.id, sealed_master_key, sealed_at: now };
                store::escrow::insert(conn, &record)?;
            }
            // It was made while the repository was: the proof side adds the record.
            None => store::recovery_key::seal_again(conn, key.id, Some(now))?,
        }
    }
    Ok(())
}

/// The keys for which the proof side has something to do: records to add, or of a retired key to forget.
///
/// # Errors
/// When the database refuses.
pub fn waiting(conn: &mut Conn, now: Time) -> Result<Vec<RecoveryKey>> {
    // A time far ahead is of a clock that was wrong.
    let is_due = |at: Time| at <= now || at > now + AGAIN;
    Ok(store::recovery_key::all(conn)?.into_iter().filter(|it| it.seal_again_at.is_some_and(is_due)).collect())
}

/// The next repositories without a record of a key.
///
/// # Errors
/// When the database refuses.
pub fn missing(
    conn: &mut Conn,
    key: RecoveryKeyId,
    after: Option<RepositoryId>,
) -> Result<Vec<store::repository::Repository>> {
    Ok(store::escrow::missing(conn, key, after, BATCH)?)
}

/// Adds records that were missing. Nobody decides it, so there is no entry: the one is written by [`sealed`].
///
/// # Errors
/// When the database refuses.
pub fn add(conn: &mut Conn, records: &[Escrow]) -> Result<()> {
    for record in records {
        store::escrow::insert(conn, record)?;
    }
    Ok(())
}

/// Ends a look at all repositories, in which `added` records were added and `failed` could not be. An act.
///
/// # Errors
/// When the database refuses.
pub fn sealed(conn: &mut Conn, key: &RecoveryKey, added: usize, failed: usize, now: Time) -> Result<()> {
    // Something may have come while this looked: then the time is another one, and there is a next look.
    let current = store::recovery_key::find_by_public(conn, &key.public_key)?;
    if current.is_some_and(|it| it.seal_again_at == key.seal_again_at && it.retired_at == key.retired_at) {
        store::recovery_key::seal_again(conn, key.id, (failed > 0).then(|| now + AGAIN))?;
    }
    if added == 0 {
        return Ok(());
    }
    let mut reason = counted(added, "repository", "repositories");
    if failed > 0 {
        reason = format!("{reason}; {} could not be opened", number(failed));
    }
    let act = Act::done(Action::RecoveryKeySealedTo, object(key)).because(&reason);
    activity::record(conn, &Actor::system(), &act, now)
}

/// Forgets some records of a retired key; true once there is none left.
///
/// # Errors
/// When the database refuses.
pub fn forget(conn: &mut Conn, key: RecoveryKeyId) -> Result<bool> {
    if store::escrow::forget(conn, key, BATCH)? > 0 {
        return Ok(false);
    }
    store::recovery_key::seal_again(conn, key, None)?;
    Ok(true)
}

fn object(key: &RecoveryKey) -> Object {
    Object::new("recovery_key", key.id, format!("recovery key {}", key.name))
}
