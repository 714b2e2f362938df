//! What is different in a console that was brought back.
use crate::blob::seen::Seen;
use crate::error::Result;
use crate::service::activity::{Act, record};
use crate::service::epoch;
use crate::store::setting::{AWAY, CONSOLE_KEPT, DATABASE_ID, RESTORED_AT, STEADY, STOPPED};
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object};
use domain::console_copy::Kept;
use domain::time::Time;

/// More states than are kept in a year.
const NEWER: i64 = 1_000_000;

/// Makes a console that was brought back known as one, in its own history. An act.
///
/// Everybody signs in again, all that erases, removes or restores is frozen until somebody has looked, and nothing is
/// erased for a while after that.
///
/// # Errors
/// When the database refuses.
pub fn restored(conn: &mut Conn, by: &Actor, taken_at: Time, now: Time) -> Result<()> {
    brought_back(conn, by, &format!("everything until {} is there", taken_at.iso()), now)
}

/// [`restored`] of a console of which no state was there, or none was used. An act.
///
/// `newest` is the number and the time that the next state must be newer than: those of whatever states are there all the
/// same.
///
/// # Errors
/// When the database refuses.
pub fn rebuilt(conn: &mut Conn, by: &Actor, newest: Option<(i64, Time)>, now: Time) -> Result<()> {
    if let Some((sequence, taken_at)) = newest {
        CONSOLE_KEPT.set(conn, &Kept { sequence, taken_at, by_shares: false }, now)?;
    }
    brought_back(conn, by, "from escrow records alone: nothing of the console itself is there", now)
}

/// [`restored`] of a database that was put back in time beside a backup store that went on, if it was.
///
/// `seen` is what the store had seen of it. Gives whether it was put back, and is an act only then.
///
/// # Errors
/// When the database refuses.
pub fn put_back(conn: &mut Conn, seen: &Seen, now: Time) -> Result<bool> {
    let is_another = DATABASE_ID.find(conn)?.is_none_or(|it| it != seen.database);
    if is_another || store::activity::id_at(conn, seen.seq)?.is_some_and(|it| it.to_string() == seen.entry) {
        return Ok(false);
    }
    let reason = format!("the backup store has seen entry {} of the activity, which is not in the database", seen.seq);
    brought_back(conn, &Actor::system(), &reason, now)?;
    Ok(true)
}

fn brought_back(conn: &mut Conn, by: &Actor, reason: &str, now: Time) -> Result<()> {
    RESTORED_AT.set(conn, &now, now)?;
    // Newer than any state that did not come back, whatever number that had.
    if let Some(kept) = CONSOLE_KEPT.find(conn)? {
        CONSOLE_KEPT.set(conn, &Kept { sequence: kept.sequence + NEWER, ..kept }, now)?;
    }
    // It has not run without a gap, whatever its last heartbeat says.
    STEADY.remove(conn)?;
    // Both were said of stores that are gone.
    store::ground::set_away(conn, None, now)?;
    AWAY.remove(conn)?;
    STOPPED.remove(conn)?;
    // A session that was ended since would be open again.
    store::session::delete_older(conn, Time::from_millis(i64::MAX))?;
    // Devices hear of it, and nothing that was ordered before goes on by itself.
    epoch::begin(conn, by, now)?;
    let object = Object::new("store", "console", "console’s own state");
    record(conn, by, &Act::done(Action::ConsoleRestored, object).because(reason), now)
}
