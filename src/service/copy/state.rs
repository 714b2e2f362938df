//! How the second copy stands: of one device, and of all. The only place that says so.
use crate::error::Result;
use crate::store::setting::{
    COPY, COPY_FAILED, COPY_ID, COPY_LATE_TOLD, COPY_LOCK_FAILED, COPY_LOCKED_AT, COPY_PROTECTION,
};
use crate::store::{self, Conn};
use domain::copy::lock::{self, Locks, Protection, ProtectionStanding};
use domain::copy::{CopyFacts, LATE, SecondStore};
use domain::ground::Away;
use domain::id::DeviceId;
use domain::time::Time;

/// The second store as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyState {
    /// None if there is no second store.
    pub store: Option<SecondStore>,
    /// Since when it is this one; what came before has only waited since.
    pub since: Option<Time>,
    /// Since when it cannot be used.
    pub away: Option<Away>,
    /// What last went wrong with an object, and when; none since something was copied.
    pub failed: Option<(String, Time)>,
    /// What its bucket was found to allow; none if nobody has looked, or it is a folder.
    pub protection: Option<Protection>,
    /// What is known of the locks of what is there.
    pub locks: Locks,
    /// Objects that it has.
    pub copied: i64,
    /// Objects that it does not have, or has damaged.
    pub waiting: i64,
    /// When the oldest of them was received: the second copy of everything is that old.
    pub waiting_since: Option<Time>,
}

impl CopyState {
    /// How far it is, and what is wrong with it, in sentences; `when` writes a time.
    pub fn sentences(&self, now: Time, when: &dyn Fn(Time) -> String) -> Vec<String> {
        let Some(store) = &self.store else { return vec![domain::copy::NOT_SET_UP.to_owned()] };
        let failed = self.failed.as_ref().map(|(why, at)| (why.as_str(), when(*at)));
        let lag = self.waiting_since.map(|it| now.since(it));
        let away_since = self.away.as_ref().map(|it| when(it.since));
        let mut said = store.sentences((self.waiting, lag), away_since, failed);
        said.extend(self.protection_sentences(now, when));
        said
    }

    /// Since when something has waited for its second copy, if that is longer than it may.
    pub fn late_since(&self, now: Time) -> Option<Time> {
        // A store that is said to be there since a time that lies ahead excuses nothing.
        let store_since = self.since.filter(|it| *it <= now);
        let since = self.waiting_since.max(store_since).filter(|_| self.waiting_since.is_some())?;
        (now.since(since) >= LATE).then_some(since)
    }

    /// Whether anybody could delete what it has; unknown without a second store.
    pub fn protection(&self, now: Time) -> ProtectionStanding {
        if self.away.is_some() {
            return ProtectionStanding::Unknown;
        }
        let found = self.protection.as_ref();
        self.store.as_ref().map_or(ProtectionStanding::Unknown, |it| lock::standing(it, found, &self.locks, now))
    }

    /// The same in words; `when` writes a time.
    pub fn protection_sentences(&self, now: Time, when: &dyn Fn(Time) -> String) -> Vec<String> {
        let Some(store) = &self.store else { return Vec::new() };
        if self.away.is_some() {
            return vec![lock::CANNOT_LOOK.to_owned()];
        }
        lock::sentences(store, self.protection.as_ref(), &self.locks, now, when)
    }
}

/// The second store as a whole.
///
/// # Errors
/// When the database refuses.
pub fn state(conn: &mut Conn, now: Time) -> Result<CopyState> {
    let Some(store) = COPY.find(conn)? else { return Ok(CopyState::default()) };
    let waiting = store::uncopied::in_all(conn)?;
    let (failed, lock_failed) = (COPY_FAILED.entry(conn)?, COPY_LOCK_FAILED.entry(conn)?);
    Ok(CopyState {
        store: Some(store),
        away: store::ground::copy_away(conn, now)?,
        since: COPY_ID.entry(conn)?.map(|it| it.updated_at),
        failed: failed.and_then(|it| Some((it.value?, it.updated_at))),
        protection: COPY_PROTECTION.find(conn)?,
        locks: Locks {
            complete_at: COPY_LOCKED_AT.find(conn)?,
            failed: lock_failed.and_then(|it| Some((it.value?, it.updated_at))),
        },
        copied: store::uncopied::copied_count(conn)?,
        waiting: waiting.count,
        waiting_since: waiting.since,
    })
}

/// What somebody should look at, in one sentence: the second store is away, something could not be copied, or copying was
/// found to be late. Counts nothing, so that any page can ask it.
///
/// # Errors
/// When the database refuses.
pub fn worry(conn: &mut Conn, when: &dyn Fn(Time) -> String, now: Time) -> Result<Option<String>> {
    if COPY.entry(conn)?.is_none() {
        return Ok(None);
    }
    let away = store::ground::copy_away(conn, now)?;
    let failed = COPY_FAILED.entry(conn)?.and_then(|it| Some((it.value?, it.updated_at)));
    let failed = failed.as_ref().map(|(why, at)| (why.as_str(), *at));
    Ok(domain::copy::worry(away.as_ref(), failed, COPY_LATE_TOLD.find(conn)?, when))
}

/// What of [`of_device`] is the same for every device: whether there is a second store, and whether it can be used.
///
/// # Errors
/// When the database refuses.
pub fn of_any(conn: &mut Conn, now: Time) -> Result<CopyFacts> {
    let Some(store) = COPY.find(conn)? else { return Ok(CopyFacts::default()) };
    Ok(CopyFacts { store: Some(store), away: store::ground::copy_away(conn, now)?, ..CopyFacts::default() })
}

/// A device's backups in the second store: how far the copy is behind, and the point it could be recovered to.
///
/// # Errors
/// When the database refuses.
pub fn of_device(conn: &mut Conn, device: DeviceId, now: Time) -> Result<CopyFacts> {
    let mut facts = of_any(conn, now)?;
    if facts.store.is_none() {
        return Ok(facts);
    }
    facts.newest = store::uncopied::newest_point(conn, device)?;
    // Those of earlier enrolments too: their restore points are the device's.
    for repository in store::repository::of_device(conn, device)? {
        let waiting = store::uncopied::of_repository(conn, repository.id)?;
        facts.waiting += waiting.count;
        facts.waiting_since = earlier(facts.waiting_since, waiting.since);
        facts.damaged += store::uncopied::damaged(conn, repository.id)?;
        facts.point = facts.point.max(store::uncopied::recovery_point(conn, repository.id)?);
    }
    Ok(facts)
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
