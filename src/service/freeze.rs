//! The freeze: while it is in force, nothing is erased, removed, restored or loosened.
//!
//! It is set and ended only on the server's own machine, so that no console session can undo it.
use crate::error::{Error, Result};
use crate::store::Conn;
use crate::store::setting::{FROZEN_SINCE, FROZEN_UNTIL, RESTORED_AT};
use domain::activity::Object;
use domain::time::{Time, hours};
use std::time::Duration;

/// Since when everything is frozen; none if it is not.
///
/// # Errors
/// When the database does not answer.
pub fn standing(conn: &mut Conn) -> Result<Option<Time>> {
    // A time that cannot be read still says that all is frozen.
    Ok(FROZEN_SINCE.entry(conn)?.map(|it| it.value.unwrap_or(it.updated_at)))
}

/// When the last freeze ended: whatever was waiting starts its wait again from then.
///
/// # Errors
/// When the database does not answer.
pub fn ended_at(conn: &mut Conn) -> Result<Option<Time>> {
    // As above: what was waiting would leave at once.
    Ok(FROZEN_UNTIL.entry(conn)?.map(|it| it.value.unwrap_or(it.updated_at)))
}

/// Refuses what a freeze stops. What the server's own machine does goes ahead, and does not ask.
///
/// # Errors
/// `Refused` while it is in force.
pub fn check(conn: &mut Conn) -> Result<()> {
    if standing(conn)?.is_some() {
        return Err(Error::Refused(
            "everything that erases, removes, restores or loosens a guard is frozen. To end that, run holdfast admin \
             unfreeze on the server’s own machine"
                .to_owned(),
        ));
    }
    Ok(())
}

/// How long nothing is erased after the console was brought back from the second store.
pub const CALM: Duration = hours(72);

/// Until when nothing is erased because the console was brought back; none if it may be.
///
/// Whoever decided on an erasure did so on what was lost since, and does not see what else was.
///
/// # Errors
/// When the database does not answer.
pub fn calm_until(conn: &mut Conn, now: Time) -> Result<Option<Time>> {
    let Some(entry) = RESTORED_AT.entry(conn)? else { return Ok(None) };
    let restored = entry.value.unwrap_or(entry.updated_at);
    let until = restored + CALM;
    // A clock that was set back makes it no shorter.
    Ok((now < until).then_some(until))
}

/// Refuses what erases: while it is in force, and for a while after the console was brought back.
///
/// # Errors
/// `Refused`, with the time from which it is allowed.
pub fn check_erasing(conn: &mut Conn, now: Time) -> Result<()> {
    check(conn)?;
    match calm_until(conn, now)? {
        None => Ok(()),
        Some(until) => Err(Error::Refused(format!(
            "this console was brought back from its second store: nothing is erased before {}. Lock the device meanwhile",
            until.iso()
        ))),
    }
}

/// Whether what erases waits.
///
/// # Errors
/// When the database does not answer.
pub fn holds_erasing(conn: &mut Conn, now: Time) -> Result<bool> {
    Ok(standing(conn)?.is_some() || calm_until(conn, now)?.is_some())
}

/// Begins it.
pub(super) fn begin(conn: &mut Conn, now: Time) -> Result<()> {
    Ok(FROZEN_SINCE.set(conn, &now, now)?)
}

/// Ends it.
pub(super) fn end(conn: &mut Conn, now: Time) -> Result<()> {
    FROZEN_SINCE.remove(conn)?;
    Ok(FROZEN_UNTIL.set(conn, &now, now)?)
}

/// It as what an act is done to.
pub(super) fn object() -> Object {
    Object::new("setting", FROZEN_SINCE.name, "freeze")
}
