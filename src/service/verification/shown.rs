//! What pages, the API and metrics say of a location.
use super::{Verifier, ground};
use crate::error::Result;
use crate::service::ground::rooms;
use crate::store::verification::{self as sql, DamagedCopy};
use crate::store::{self, Conn};
use domain::ground::{Disk, Ground, Room};
use domain::object::Location;
use domain::role::Reach;
use domain::time::Time;
use domain::verification::{Budget, Facts, Lag, Pace, Settings, Share, Standing, Survey};

/// How many damaged copies are named.
const NAMED: i64 = 100;

/// What is known of a location.
#[derive(Debug, Clone)]
pub struct Shown {
    pub location: Location,
    pub ground: Ground,
    /// The room on its disk, as last sampled; none where there is no disk, or nobody has looked.
    pub room: Option<Room>,
    pub standing: Standing,
    /// What the last complete pass counted.
    pub survey: Option<Survey>,
    /// Whether not everything was listed in the last day.
    pub is_listing_old: bool,
    /// How much of that was read back in the last 30 days.
    pub share: Option<Share>,
    /// When the oldest bytes came that were never read back.
    pub oldest_unread: Option<Time>,
    pub lag: Lag,
    /// Objects known to be missing or changed, and of how many devices.
    pub damaged: (i64, i64),
    /// Those of them that were found last and belong to devices within reach.
    pub named: Vec<DamagedCopy>,
    pub settings: Settings,
    /// None before the first turn since the start.
    pub pace: Option<Pace>,
    /// The budget that would suffice, if this one does not.
    pub needed: Option<Budget>,
}

/// What is known of a verifier's location.
///
/// # Errors
/// When the database refuses.
pub fn shown(conn: &mut Conn, verifier: &Verifier, reach: &Reach, now: Time) -> Result<Shown> {
    let (location, settings) = (verifier.location(), verifier.settings());
    let ground = ground(conn, location)?;
    let survey = store::setting::survey(location).find(conn)?;
    let oldest_unread = sql::oldest_unread(conn, location)?;
    let lag = Lag::of(oldest_unread, now);
    let damaged = sql::damaged_count(conn, location)?;
    let facts = Facts {
        is_away: ground.away.is_some(),
        is_off: settings.budget.is_off(),
        damaged: damaged.0,
        lag,
        survey: survey.as_ref(),
    };
    let standing = Standing::of(&facts, now);
    let stored = survey.as_ref().map_or(0, |it| u64::try_from(it.tally.all.bytes).unwrap_or(0));
    Ok(Shown {
        location,
        ground,
        room: room(conn, location)?,
        standing,
        is_listing_old: survey.as_ref().is_some_and(|it| it.is_old(now)),
        share: survey.as_ref().map(|it| it.share(now)),
        survey,
        oldest_unread,
        lag,
        damaged,
        named: sql::last_damaged(conn, location, reach, NAMED)?,
        settings,
        pace: verifier.pace(),
        needed: settings.budget.too_small_for(stored, settings.cycle),
    })
}

fn room(conn: &mut Conn, location: Location) -> Result<Option<Room>> {
    match location {
        Location::Primary => Ok(rooms(conn)?.into_iter().find(|it| it.disk == Disk::Backups)),
    }
}
