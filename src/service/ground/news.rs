//! What changed on the ground: kept, recorded and told.
use super::notice;
use crate::error::Result;
use crate::service::activity::{Act, record};
use crate::store::{self, Conn};
use domain::activity::{Action, Actor, Object, Outcome};
use domain::ground::{Alarm, Away, Disk, Room, Sample, Stopped};
use domain::time::{Time, days};
use std::time::Duration;

/// The trend covers the last week.
const TREND: Duration = days(7);

fn object() -> Object {
    Object::new("store", "backups", "backup store")
}

pub(super) fn went(conn: &mut Conn, away: &Away, now: Time) -> Result<()> {
    store::ground::set_away(conn, Some(away), now)?;
    let act = Act::done(Action::StoreAway, object()).because(&away.why).ended(Outcome::Failed);
    record(conn, &Actor::system(), &act, now)?;
    notice::away(conn, away, now)
}

pub(super) fn came_back(conn: &mut Conn, before: &Away, now: Time) -> Result<()> {
    store::ground::set_away(conn, None, now)?;
    let why = format!("it had been unreadable since {}", before.since.iso());
    record(conn, &Actor::system(), &Act::done(Action::StoreBack, object()).because(&why), now)?;
    notice::back(conn, before, now)
}

pub(super) fn stop(conn: &mut Conn, stopped: &Stopped, now: Time) -> Result<()> {
    store::ground::set_stopped(conn, Some(stopped), now)?;
    let act = Act::done(Action::BackupsStopped, object()).because(&stopped.why).ended(Outcome::Failed);
    record(conn, &Actor::system(), &act, now)?;
    notice::stopped(conn, stopped, now)
}

pub(super) fn go_on(conn: &mut Conn, before: &Stopped, now: Time) -> Result<()> {
    store::ground::set_stopped(conn, None, now)?;
    let why = format!("none could be stored since {}", before.since.iso());
    record(conn, &Actor::system(), &Act::done(Action::BackupsTakenAgain, object()).because(&why), now)
}

/// Keeps what was found about a disk; reports, once for each step, that it is getting full. True if that was
/// reported.
pub(super) fn note_room(conn: &mut Conn, disk: Disk, sample: Sample) -> Result<bool> {
    let now = sample.at;
    store::ground::add_sample(conn, disk, sample, now - TREND)?;
    let Some(room) = Room::of(disk, &store::ground::samples(conn, disk)?) else { return Ok(false) };
    let key = store::setting::told(disk);
    let told = key.find(conn)?.unwrap_or(Alarm::None);
    let alarm = room.alarm();
    if alarm == told {
        return Ok(false);
    }
    key.set(conn, &alarm, now)?;
    // A step down is kept, so that the next step up is reported again, but is no news itself.
    if alarm < told {
        return Ok(false);
    }
    notice::room(conn, &room, now)?;
    Ok(true)
}
