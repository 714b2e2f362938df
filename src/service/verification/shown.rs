//! What pages, the API and metrics say of a location.
use super::{Verifier, Verifiers, ground};
use crate::error::Result;
use crate::service;
use crate::service::copy::CopyState;
use crate::service::ground::rooms;
use crate::store::verification::{self as sql, DamagedCopy};
use crate::store::{self, Conn};
use domain::ground::{Disk, Ground, Room};
use domain::id::{DeviceId, RestoreTestId};
use domain::object::Location;
use domain::role::Reach;
use domain::time::Time;
use domain::verification::{Budget, Facts, Lag, Pace, Settings, Share, Standing, Survey};

/// How many damaged copies, and how many devices, are named.
const NAMED: i64 = 100;

/// How many affected restore points of each.
const POINTS: i64 = 10;

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
    pub named: Vec<Named>,
    /// The devices within reach of which something is intact in no store.
    pub affected: Vec<Affected>,
    /// How far the copy is; none unless this is the second store.
    pub copy: Option<CopyState>,
    pub settings: Settings,
    /// None before the first turn since the start.
    pub pace: Option<Pace>,
    /// The budget that would suffice, if this one does not.
    pub needed: Option<Budget>,
}

/// A damaged copy, and whether it can be repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub copy: DamagedCopy,
    /// The other store has it intact.
    pub is_elsewhere: bool,
}

/// A device whose files are affected by damage that no store can repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    pub device_id: DeviceId,
    pub device_name: String,
    /// Its restore points whose test met the damage, newest first.
    pub points: Vec<AffectedPoint>,
    /// How many of its restore points are to be tested again.
    pub to_test: i64,
}

/// A restore point with files that no later backup holds intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedPoint {
    pub received_at: Time,
    /// How many files failed; none if the point failed as a whole, so that any file may have.
    pub files: Option<i64>,
    /// Names the files, to those who may see them.
    pub test_id: Option<RestoreTestId>,
}

/// The standing of each location in which damage is looked for.
///
/// # Errors
/// When the database refuses.
pub fn standings(conn: &mut Conn, verifiers: &Verifiers, now: Time) -> Result<Vec<(Location, Standing)>> {
    let of = |it: &Verifier| {
        let location = it.location();
        let survey = store::setting::survey(location).find(conn)?;
        let facts = Facts {
            is_away: ground(conn, location, now)?.away.is_some(),
            is_off: it.settings().budget.is_off(),
            damaged: sql::damaged_count(conn, location)?.0,
            lag: Lag::of(sql::oldest_unread(conn, location)?, now),
            survey: survey.as_ref(),
        };
        Ok((location, Standing::of(&facts, now)))
    };
    verifiers.0.iter().map(of).collect()
}

/// What is known of a verifier's location.
///
/// # Errors
/// When the database refuses.
pub fn shown(conn: &mut Conn, verifier: &Verifier, reach: &Reach, now: Time) -> Result<Shown> {
    let (location, settings) = (verifier.location(), verifier.settings());
    let ground = ground(conn, location, now)?;
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
        named: named(conn, location, reach)?,
        affected: match location {
            Location::Primary => affected(conn, reach)?,
            Location::Copy => Vec::new(),
        },
        copy: match location {
            Location::Primary => None,
            Location::Copy => Some(service::copy::state(conn, now)?),
        },
        settings,
        pace: verifier.pace(),
        needed: settings.budget.too_small_for(stored, settings.cycle),
    })
}

fn named(conn: &mut Conn, location: Location, reach: &Reach) -> Result<Vec<Named>> {
    let mut named = Vec::new();
    // If there is no second store now, what an earlier one had helps nobody.
    let has_other = location == Location::Copy || store::setting::COPY.entry(conn)?.is_some();
    for copy in sql::last_damaged(conn, location, reach, NAMED)? {
        let is_elsewhere =
            has_other && store::copy::is_intact(conn, location.other(), copy.repository_id, copy.kind, &copy.name)?;
        named.push(Named { copy, is_elsewhere });
    }
    Ok(named)
}

fn affected(conn: &mut Conn, reach: &Reach) -> Result<Vec<Affected>> {
    let mut affected = Vec::new();
    for (device_id, device_name) in store::uncopied::lost_within(conn, reach, NAMED)? {
        let mut points = Vec::new();
        for point in store::evidence::standing_failures(conn, device_id, POINTS)? {
            let keys = store::evidence::failed_keys(conn, point.id)?.len();
            let files = point.failed_rest.is_none().then(|| i64::try_from(keys).unwrap_or(i64::MAX));
            points.push(AffectedPoint { received_at: point.received_at, files, test_id: point.test_id });
        }
        let to_test = store::evidence::count_to_retest(conn, device_id)?;
        affected.push(Affected { device_id, device_name, points, to_test });
    }
    Ok(affected)
}

fn room(conn: &mut Conn, location: Location) -> Result<Option<Room>> {
    let disk = match location {
        Location::Primary => Disk::Backups,
        Location::Copy => Disk::Copy,
    };
    Ok(rooms(conn)?.into_iter().find(|it| it.disk == disk))
}
