//! Damage in the second store, and what repairs either store from the other.
use crate::blob::BlobKey;
use crate::error::{Error, Result};
use crate::service::activity::{Act, record_often};
use crate::service::proof;
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::object::Location;
use domain::time::Time;

/// Marks the copy of an object in the second store as missing or changed, for a reason in words; true if that is news.
///
/// It is copied again. No proof is taken from the backup store: what a restore test read there is still there. What was
/// proven from the second store alone no longer counts.
///
/// # Errors
/// When the database refuses.
pub fn object_damaged(conn: &mut Conn, key: &BlobKey, why: &str, now: Time) -> Result<bool> {
    if !store::copy::mark_damaged(conn, Location::Copy, key.repository, key.kind, &key.name, now)? {
        return Ok(false);
    }
    // Copied again, it is the same bytes; but nobody has restored anything from these.
    store::copy_test::withdraw(conn, key.repository, now)?;
    tracing::error!(%key, why, "an object is missing or changed in the second store; it is copied again");
    record_object(conn, key, (Action::CopyDamaged, Outcome::Failed), why, now)?;
    Ok(true)
}

/// Notes that good bytes from one store replaced damaged ones at `location`. In the backup store, the points that lost
/// their proof are tested again.
///
/// # Errors
/// When the database refuses.
pub fn object_healed(conn: &mut Conn, location: Location, key: &BlobKey, now: Time) -> Result<()> {
    store::copy::mark_healed(conn, location, key.repository, key.kind, &key.name, now)?;
    match location {
        Location::Primary => {
            let why = "it was restored from the second copy";
            record_object(conn, key, (Action::ObjectHealed, Outcome::Done), why, now)?;
            proof::object_healed(conn, key.repository, now)
        }
        Location::Copy => {
            let why = "its copy in the second store was replaced from the backup store";
            record_object(conn, key, (Action::ObjectHealed, Outcome::Done), why, now)
        }
    }
}

/// Notes that bytes of the second store that were missing or changed are there again, as verification has read them.
///
/// # Errors
/// When the database refuses.
pub fn object_intact_again(conn: &mut Conn, key: &BlobKey, now: Time) -> Result<()> {
    let why = "it was read back from the second store, and is as it was copied";
    record_object(conn, key, (Action::ObjectHealed, Outcome::Done), why, now)
}

fn record_object(
    conn: &mut Conn,
    key: &BlobKey,
    (action, outcome): (Action, Outcome),
    why: &str,
    now: Time,
) -> Result<()> {
    let repository = store::repository::find(conn, key.repository)?.ok_or(Error::NotFound("repository"))?;
    let object = Object::new("object", key, format!("{}/{}", key.kind, key.name));
    let act = Act::done(action, object).on(repository.device_id).because(why).ended(outcome);
    // A store that lost everything would otherwise make an entry for each of its objects.
    record_often(conn, &Actor::system(), &act, now)
}
