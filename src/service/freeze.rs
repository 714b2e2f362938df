//! The freeze: while it is in force, nothing is erased, removed, restored or loosened.
//!
//! It is set and ended only on the server's own machine, so that no console session can undo it.
use crate::error::{Error, Result};
use crate::store::{self, Conn};
use domain::activity::{Actor, Object, Via};
use domain::time::Time;

const SINCE: &str = "freeze.since";
const UNTIL: &str = "freeze.until";

/// Since when everything is frozen; none if it is not.
///
/// # Errors
/// When the database does not answer.
pub fn standing(conn: &mut Conn) -> Result<Option<Time>> {
    time(conn, SINCE)
}

/// When the last freeze ended: whatever was waiting starts its wait again from then.
///
/// # Errors
/// When the database does not answer.
pub fn ended_at(conn: &mut Conn) -> Result<Option<Time>> {
    time(conn, UNTIL)
}

fn time(conn: &mut Conn, name: &str) -> Result<Option<Time>> {
    Ok(store::setting::find(conn, name)?.and_then(|it| it.parse().ok()).map(Time::from_millis))
}

/// Refuses what a freeze stops, unless it is done on the server's own machine.
///
/// # Errors
/// `Refused` while it is in force.
pub fn check(conn: &mut Conn, by: &Actor) -> Result<()> {
    if by.via != Via::CommandLine && standing(conn)?.is_some() {
        return Err(Error::Refused(
            "everything that erases, removes, restores or loosens a guard is frozen. To end that, run holdfast admin \
             unfreeze on the server’s own machine"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Begins it.
pub(super) fn begin(conn: &mut Conn, now: Time) -> Result<()> {
    Ok(store::setting::set(conn, SINCE, &now.millis().to_string(), now)?)
}

/// Ends it.
pub(super) fn end(conn: &mut Conn, now: Time) -> Result<()> {
    store::setting::set(conn, SINCE, "", now)?;
    Ok(store::setting::set(conn, UNTIL, &now.millis().to_string(), now)?)
}

/// It as what an act is done to.
pub(super) fn object() -> Object {
    Object::new("setting", SINCE, "freeze")
}
