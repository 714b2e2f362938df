//! Objects that are found damaged, and good bytes that replace them.
use super::ledger::{device_actor, received};
use crate::blob::BlobKey;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record, record_often};
use crate::service::proof;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::object::{Location, TokenKind};
use domain::time::Time;

/// Marks an object whose bytes are missing or changed; points that may need it are no longer proven. False if that
/// was known.
///
/// # Errors
/// When the database refuses.
pub fn object_damaged(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<bool> {
    // Each reader that meets the same damage would otherwise have everything tested anew.
    if !store::copy::mark_damaged(conn, Location::Primary, key.repository, key.kind, &key.name, now)? {
        return Ok(false);
    }
    tracing::error!(%key, "a stored object is missing or changed; sending it again heals it");
    let object = store::object::find(conn, key.repository, key.kind, &key.name)?.ok_or(Error::NotFound("object"))?;
    proof::object_damaged(conn, &object, now)?;
    Ok(true)
}

/// [`object_damaged`] as verification finds it, which records why.
///
/// # Errors
/// When the database refuses.
pub fn object_found_damaged(conn: &mut Conn, key: &BlobKey, why: &str, now: Time) -> Result<bool> {
    let is_news = object_damaged(conn, key, now)?;
    if is_news {
        let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
        let act = Act::done(Action::ObjectDamaged, named(key)).on(repository.device_id).ended(Outcome::Failed);
        // A disk that fails would fill the history.
        record_often(conn, &Actor::system(), &act.because(why), now)?;
    }
    Ok(is_news)
}

/// Notes that bytes that were missing or changed are there again, as verification has read them, and has whatever
/// waited for them tested.
///
/// # Errors
/// When the database refuses.
pub fn object_intact_again(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<()> {
    let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
    let act = Act::done(Action::ObjectHealed, named(key)).on(repository.device_id);
    record_often(conn, &Actor::system(), &act.because("it was read back, and is as it was stored"), now)?;
    proof::object_healed(conn, key.repository, now)
}

pub(super) fn named(key: &BlobKey) -> Object {
    Object::new("object", key, format!("{}/{}", key.kind, key.name))
}

/// Notes that good bytes replaced damaged ones, and has the points that lost their proof tested.
///
/// # Errors
/// When the database refuses.
pub fn object_healed(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<()> {
    store::copy::mark_healed(conn, Location::Primary, key.repository, key.kind, &key.name, now)?;
    let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
    let device = device_actor(conn, repository.device_id)?;
    let act = Act::done(Action::ObjectHealed, named(key)).on(repository.device_id);
    record(conn, &device, &act.because("the device sent the object again"), now)?;
    proof::object_healed(conn, key.repository, now)
}

/// Notes that one of the files that open a repository was restored from its copy, and has whatever waited for
/// it tested.
///
/// # Errors
/// When the database refuses.
pub fn object_put_back(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<()> {
    store::copy::mark_healed(conn, Location::Primary, key.repository, key.kind, &key.name, now)?;
    let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
    let act = Act::done(Action::ObjectHealed, named(key)).on(repository.device_id);
    record(conn, &Actor::system(), &act.because("it was restored from the copy in the database"), now)?;
    proof::object_healed(conn, key.repository, now)
}

/// Records a manifest whose bytes are in place: they healed a damaged one, are new, or were there already.
///
/// # Errors
/// As [`received`].
pub fn manifest_received(conn: &mut Conn, key: &BlobKey, size: i64, now: Time) -> Result<()> {
    match store::copy::find(conn, Location::Primary, key.repository, key.kind, &key.name)? {
        Some(copy) if copy.damaged_at.is_some() => object_healed(conn, key, now),
        Some(_) => Ok(()),
        None => received(conn, key, size, TokenKind::Agent, now).map(drop),
    }
}
