//! A pass over all repositories: the names and sizes that a store lists are compared with the ledger, and counted.
use super::{Turn, Verifier, damage, key_of};
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault};
use crate::error::{Error, Result};
use crate::service::repository;
use crate::store;
use crate::store::verification::{self as sql, Expected, SizedCopy};
use domain::id::RepositoryId;
use domain::object::Location;
use domain::time::{Time, hours, minutes};
use domain::verification::{Pass, Tally, step_of};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long a list of one repository may take: each of its objects may be a seek of the disk.
const PATIENCE: Duration = minutes(30);

/// How often a pass begins at most: each call of a bucket costs.
const fn begins_every(location: Location) -> Duration {
    match location {
        Location::Primary => Duration::ZERO,
        Location::Copy => hours(1),
    }
}

/// How many repositories are taken from the database at once.
const SOME: i64 = 50;

/// How often the position of a long pass is kept, so that a restart does not begin anew.
const KEEP_EVERY: Duration = minutes(10);

/// How many findings are kept in one transaction.
const ACTS: usize = 100;

const MISSING: &str = "it is not there, or has another length";

/// The pass that is under way.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pass: Option<Pass>,
    kept_at: Option<Time>,
}

/// How a store's list of a repository differs from the ledger.
struct Compared {
    /// Those that are not there as they should be.
    missing: Vec<SizedCopy>,
    /// Why its folder could not be listed, although the store is there.
    unlisted: Option<String>,
}

impl Verifier {
    /// Makes a step of the pass: lists the next repositories, and keeps what it finds. A step is made every `period`.
    ///
    /// # Errors
    /// When the database refuses; then the same repositories are listed again.
    pub fn list(&self, period: Duration, now: Time) -> Result<Turn> {
        let mut turn = Turn::default();
        if self.is_away()? {
            return Ok(turn);
        }
        let Some(mut pass) = self.pass(now)? else { return Ok(turn) };
        let mut left = step_of(self.0.store.read_blocking(sql::object_count)?, period);
        while left > 0 && !self.0.store.wake().is_stopping() {
            let after = pass.after;
            let some = self.0.store.read_blocking(move |conn| sql::repositories_after(conn, after, SOME))?;
            if some.is_empty() {
                self.end(pass, now)?;
                return Ok(turn);
            }
            for repository in some {
                if left <= 0 || self.0.store.wake().is_stopping() {
                    break;
                }
                let before = turn.looked_at;
                if let Err(fault) = self.list_one(repository, &mut pass.tally, &mut turn, now)? {
                    self.note_away(&fault);
                    return Ok(turn);
                }
                pass.after = Some(repository);
                // An empty repository costs something, too.
                left -= i64::try_from(turn.looked_at - before).unwrap_or(i64::MAX).max(1);
            }
        }
        self.pause_pass(pass, now)?;
        Ok(turn)
    }

    /// The pass to go on with; none if the next one is not due yet.
    fn pass(&self, now: Time) -> Result<Option<Pass>> {
        let location = self.location();
        let known = self.listing().pass.clone();
        let (known, last) = self.0.store.read_blocking(move |conn| {
            let known = match known {
                Some(pass) => Some(pass),
                None => store::setting::pass(location).find(conn)?,
            };
            Ok::<_, Error>((known, store::setting::survey(location).find(conn)?))
        })?;
        // One that began after now was begun by a clock that was wrong.
        if let Some(pass) = known.filter(|it| it.began_at <= now) {
            return Ok(Some(pass));
        }
        // What was empty may have been filled in the meantime.
        let rests = last.is_some_and(|it| {
            it.tally.all.objects > 0 && it.began_at <= now && now < it.began_at + begins_every(location)
        });
        Ok((!rests).then(|| Pass::begin(now)))
    }

    fn end(&self, pass: Pass, now: Time) -> Result<()> {
        let (location, survey) = (self.location(), pass.end(now));
        self.0.store.write_blocking(move |conn| {
            store::setting::survey(location).set(conn, &survey, now)?;
            store::setting::pass(location).remove(conn)
        })?;
        *self.listing() = Listing::default();
        Ok(())
    }

    fn pause_pass(&self, pass: Pass, now: Time) -> Result<()> {
        let kept_at = self.listing().kept_at.unwrap_or(pass.began_at);
        self.listing().pass = Some(pass.clone());
        let is_recent = now >= kept_at && now < kept_at + KEEP_EVERY;
        if is_recent && !self.0.store.wake().is_stopping() {
            return Ok(());
        }
        let location = self.location();
        self.0.store.write_blocking(move |conn| store::setting::pass(location).set(conn, &pass, now))?;
        self.listing().kept_at = Some(now);
        Ok(())
    }

    /// Lists a repository; the inner error is that the store is away.
    fn list_one(
        &self,
        id: RepositoryId,
        tally: &mut Tally,
        turn: &mut Turn,
        now: Time,
    ) -> Result<std::result::Result<(), StoreFault>> {
        let location = self.location();
        // Before the list: what comes while it is made is not missed.
        let mut expected = self.0.store.read_blocking(move |conn| sql::expected(conn, location, id))?;
        if self.note_unnoted(id, &expected)? {
            expected = self.0.store.read_blocking(move |conn| sql::expected(conn, location, id))?;
        }
        let copies = expected.copies;
        let (asked, wake) = (copies.clone(), self.0.store.wake().clone());
        let stop = move || wake.is_stopping();
        let listed = self.0.lists.run(&self.0.place.blobs, PATIENCE, &stop, move |blobs, _| compare(blobs, id, asked));
        let Compared { missing, unlisted } = match listed.and_then(|it| it) {
            Ok(compared) => compared,
            Err(fault) => return Ok(Err(fault)),
        };
        if let Some(why) = unlisted {
            tracing::error!(repository = %id, why, "the objects of a repository cannot be listed");
            tally.unlisted += 1;
        }
        let names: HashSet<_> = missing.iter().map(|it| (it.kind, &it.name)).collect();
        for copy in &copies {
            let is_damaged = copy.damaged_at.is_some() || names.contains(&(copy.kind, &copy.name));
            tally.add(copy.size_bytes, copy.verified_at, is_damaged, now);
        }
        turn.looked_at += copies.len();
        for some in missing.chunks(ACTS) {
            turn.damaged += self.note_missing(some, now)?;
        }
        Ok(Ok(()))
    }

    /// Where devices upload to must have everything that was received; true if something had to be noted.
    fn note_unnoted(&self, id: RepositoryId, expected: &Expected) -> Result<bool> {
        match self.location() {
            // What it does not have is still to be copied.
            Location::Copy => Ok(false),
            Location::Primary if expected.unnoted.is_empty() => Ok(false),
            Location::Primary => {
                let unnoted = expected.unnoted.clone();
                let note = move |conn: &mut _| sql::note_copies(conn, Location::Primary, id, &unnoted);
                self.0.store.write_blocking(note)?;
                Ok(true)
            }
        }
    }

    /// Returns how many were news.
    fn note_missing(&self, missing: &[SizedCopy], now: Time) -> Result<usize> {
        let location = self.location();
        let is_put_back = |key: &BlobKey| match location {
            // What the database has a copy of is put back, and nothing has to be doubted.
            Location::Primary => {
                matches!(repository::heal_one(&self.0.store, &*self.0.place.blobs, key, now), Ok(true))
            }
            // It is copied again.
            Location::Copy => false,
        };
        let (put_back, lost): (Vec<_>, Vec<_>) =
            missing.iter().map(|it| (key_of(it), it.clone())).partition(|(key, _)| is_put_back(key));
        let noted = self.0.store.act_blocking(move |conn| {
            let mut noted = 0;
            for (key, copy) in lost {
                if sql::is_as_seen(conn, location, &copy)? {
                    noted += usize::from(damage::found(conn, location, &key, MISSING, now)?);
                }
            }
            Ok::<usize, Error>(noted)
        })?;
        Ok(noted + put_back.len())
    }
}

/// Finds those copies that are not there with their length, and were not known to be damaged.
fn compare(
    blobs: &dyn BlobStore,
    id: RepositoryId,
    copies: Vec<SizedCopy>,
) -> std::result::Result<Compared, StoreFault> {
    let listed = match blobs.list(id) {
        Ok(listed) => Ok(listed),
        // A store that comes late is there only once somebody has looked; and of one that is away nothing is said.
        Err(_) => blobs.check().map(|()| blobs.list(id))?,
    };
    let (there, unlisted) = match listed {
        Ok(listed) => (listed.into_iter().collect(), None),
        // Each is then looked for by its name, which shows whether the store as a whole can be read.
        Err(fault) => (HashMap::new(), Some(fault.to_string())),
    };
    let mut missing = Vec::new();
    for copy in copies.into_iter().filter(|it| it.damaged_at.is_none()) {
        let key = key_of(&copy);
        // Looked for by its name too: it may have been put in place while the list was made.
        if there.get(&key) != Some(&copy.size()) && !is_there(blobs, &key, copy.size())? {
            missing.push(copy);
        }
    }
    if !missing.is_empty() || unlisted.is_some() {
        blobs.check()?;
    }
    Ok(Compared { missing, unlisted })
}

fn is_there(blobs: &dyn BlobStore, key: &BlobKey, size: u64) -> std::result::Result<bool, StoreFault> {
    match blobs.size(key) {
        Ok(found) => Ok(found == Some(size)),
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(false),
        Err(ReadFault::Away(fault)) => Err(fault),
    }
}
