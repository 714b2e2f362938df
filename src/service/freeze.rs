//! The freeze: while it is in force, nothing is erased, removed, restored or loosened.
//!
//! It is set and ended only on the server's own machine, so that no console session can undo it.
use crate::error::{Error, Result};
use crate::service::activity::{self, Act};
use crate::service::{alert, setting};
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Via};
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

/// Freezes; everyone is told. An act. A second one changes nothing.
///
/// # Errors
/// When the database refuses.
pub fn begin(conn: &mut Conn, by: &Actor, now: Time) -> Result<()> {
    if standing(conn)?.is_some() {
        return Ok(());
    }
    store::setting::set(conn, SINCE, &now.millis().to_string(), now)?;
    activity::record(conn, by, &Act::done(Action::Frozen, object()), now)?;
    let what = "No wipe, removal or restore is sent, and no guard can be loosened, until `holdfast admin \
     unfreeze` is run on the server’s own machine.";
    alert::host_acted(conn, &by.name, "Frozen: nothing is wiped, removed or restored", what, now)
}

/// Ends the freeze; everyone is told. An act. Whatever was waiting starts its wait again.
///
/// # Errors
/// When the database refuses.
pub fn end(conn: &mut Conn, by: &Actor, now: Time) -> Result<()> {
    if standing(conn)?.is_none() {
        return Ok(());
    }
    store::setting::set(conn, SINCE, "", now)?;
    store::setting::set(conn, UNTIL, &now.millis().to_string(), now)?;
    setting::wait_again(conn, now)?;
    activity::record(conn, by, &Act::done(Action::Unfrozen, object()), now)?;
    let what = "Wipes, removals and restores continue. The hold of each approved wipe, and the 72 hours of each \
     looser guard, start again now: look at them, and stop what was not intended.";
    alert::host_acted(conn, &by.name, "Unfrozen: wipes, removals and restores continue", what, now)
}

fn object() -> Object {
    Object::new("setting", SINCE, "freeze")
}
