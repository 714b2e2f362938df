//! Since when this server can be trusted to know what time it is and what it holds.
//!
//! After a start on an old database, a long stop or a jump of the clock, everything may look older than it is. Nothing
//! ends until three days have passed.
use crate::error::Result;
use crate::store::Conn;
use crate::store::setting::{STEADY, Steady};
use domain::time::{Time, hours, minutes};
use std::time::Duration;

/// A server that was not heard of for longer was stopped, restored, or its clock jumped.
const GAP: Duration = hours(1);

/// Smaller steps back are those of a time server.
const STEP: Duration = minutes(1);

/// Says that the server runs; called every minute or so. `has_jumped` is whether the clock was seen to jump since the
/// last time.
///
/// # Errors
/// When the database refuses.
pub fn beat(conn: &mut Conn, has_jumped: bool, now: Time) -> Result<()> {
    // What cannot be read says nothing about how long the server has run.
    let before = STEADY.find(conn)?;
    let goes_on = |it: &Steady| !has_jumped && now.since(it.seen_at) <= GAP && it.seen_at.since(now) <= STEP;
    let since = before.filter(goes_on).map_or(now, |it| it.since);
    Ok(STEADY.set(conn, &Steady { since, seen_at: now }, now)?)
}

/// Since when it has run without a gap; now if nobody knows.
///
/// # Errors
/// When the database does not answer.
pub fn steady_since(conn: &mut Conn, now: Time) -> Result<Time> {
    Ok(STEADY.find(conn)?.map_or(now, |it| if now.since(it.seen_at) <= GAP { it.since } else { now }))
}
