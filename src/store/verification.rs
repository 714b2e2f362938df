//! Whose bytes are read back next, what that showed, and what a pass over a repository compares.
use crate::store::schema::{copies, devices, objects, repositories};
use crate::store::{Conn, copy};
use diesel::prelude::*;
use domain::id::{DeviceId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::role::Reach;
use domain::time::Time;
use domain::verification::{KINDS, Known, Rank};
use std::collections::HashSet;

/// A copy with the size that the ledger says it has.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct SizedCopy {
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub size_bytes: i64,
    pub rank: Rank,
    pub added_at: Time,
    pub verified_at: Option<Time>,
    pub damaged_at: Option<Time>,
}

impl SizedCopy {
    /// The size, which is never negative.
    pub fn size(&self) -> u64 {
        u64::try_from(self.size_bytes).unwrap_or(0)
    }

    /// What the order of reading depends on.
    pub const fn known(&self) -> Known {
        Known { kind: self.kind, rank: self.rank, added_at: self.added_at, verified_at: self.verified_at }
    }
}

/// One of the places in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What of a kind was never read back, by its age.
    Unread(ObjectKind),
    /// What of a rank was read back up to then, the oldest read-back first.
    ReadBy(Rank, Time),
    /// What of a rank a wrong clock says was read back after now.
    ReadAfter(Rank, Time),
}

/// The first copies of a part, except damaged ones.
///
/// Each part is the beginning of an index: it takes as long with many millions of copies as with few.
pub fn next(conn: &mut Conn, location: Location, part: Part, limit: i64) -> QueryResult<Vec<SizedCopy>> {
    let is_its_object = objects::repository_id
        .eq(copies::repository_id)
        .and(objects::kind.eq(copies::kind))
        .and(objects::name.eq(copies::name));
    let query = copies::table
        .inner_join(objects::table.on(is_its_object))
        .filter(copies::location.eq(location).and(copies::damaged_at.is_null()))
        .select(SIZED)
        .limit(limit)
        .into_boxed();
    let query = match part {
        Part::Unread(kind) => {
            query.filter(copies::kind.eq(kind).and(copies::verified_at.is_null())).order(copies::added_at)
        }
        Part::ReadBy(rank, cut) => {
            query.filter(copies::rank.eq(rank).and(copies::verified_at.le(cut))).order(copies::verified_at)
        }
        Part::ReadAfter(rank, now) => {
            query.filter(copies::rank.eq(rank).and(copies::verified_at.gt(now))).order(copies::verified_at)
        }
    };
    query.load(conn)
}

/// What [`SizedCopy`] is read from.
const SIZED: (
    copies::repository_id,
    copies::kind,
    copies::name,
    objects::size_bytes,
    copies::rank,
    copies::added_at,
    copies::verified_at,
    copies::damaged_at,
) = (
    copies::repository_id,
    copies::kind,
    copies::name,
    objects::size_bytes,
    copies::rank,
    copies::added_at,
    copies::verified_at,
    copies::damaged_at,
);

/// When the oldest bytes came that are not known to be damaged and were never read back; none if there are none.
pub fn oldest_unread(conn: &mut Conn, location: Location) -> QueryResult<Option<Time>> {
    let mut oldest: Option<Time> = None;
    for kind in KINDS {
        let first = copies::table
            .filter(copies::location.eq(location).and(copies::kind.eq(kind)))
            .filter(copies::verified_at.is_null().and(copies::damaged_at.is_null()))
            .order(copies::added_at)
            .select(copies::added_at)
            .first::<Time>(conn)
            .optional()?;
        oldest = [oldest, first].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// The place of a copy in an order over all of them.
pub type Place = (RepositoryId, ObjectKind, ObjectName);

/// The damaged copies after a place, in order.
pub fn damaged(conn: &mut Conn, location: Location, after: Option<&Place>, limit: i64) -> QueryResult<Vec<SizedCopy>> {
    let is_its_object = objects::repository_id
        .eq(copies::repository_id)
        .and(objects::kind.eq(copies::kind))
        .and(objects::name.eq(copies::name));
    let mut query = copies::table
        .inner_join(objects::table.on(is_its_object))
        .filter(copies::location.eq(location).and(copies::damaged_at.is_not_null()))
        .filter(copies::kind.eq_any(KINDS.to_vec()))
        .order((copies::repository_id, copies::kind, copies::name))
        .select(SIZED)
        .limit(limit)
        .into_boxed();
    if let Some((repository, kind, name)) = after {
        let later_name = copies::kind.eq(*kind).and(copies::name.gt(name.clone()));
        let later_kind = copies::kind.gt(*kind).or(later_name);
        query = query
            .filter(copies::repository_id.gt(*repository).or(copies::repository_id.eq(*repository).and(later_kind)));
    }
    query.load(conn)
}

/// Notes that the bytes of a copy were read back by a read that began at `at`, and matched its name: from then on
/// it is not damaged.
///
/// False if it is no longer as it was `seen`: other bytes were put in its place, or somebody found it damaged.
pub fn mark_read_back(conn: &mut Conn, location: Location, seen: &SizedCopy, at: Time) -> QueryResult<bool> {
    let copy = copies::table.find((seen.repository_id, seen.kind, seen.name.clone(), location));
    let as_seen = diesel::update(copy).filter(copies::added_at.eq(seen.added_at)).into_boxed();
    let as_seen = match seen.damaged_at {
        Some(damaged_at) => as_seen.filter(copies::damaged_at.eq(damaged_at)),
        None => as_seen.filter(copies::damaged_at.is_null()),
    };
    let changed = as_seen.set((copies::verified_at.eq(Some(at)), copies::damaged_at.eq(None::<Time>))).execute(conn)?;
    Ok(changed == 1)
}

/// Whether a copy still has the bytes that were `seen`, and nobody knows yet that they are damaged.
pub fn is_as_seen(conn: &mut Conn, location: Location, seen: &SizedCopy) -> QueryResult<bool> {
    let found = copy::find(conn, location, seen.repository_id, seen.kind, &seen.name)?;
    Ok(found.is_some_and(|it| it.added_at == seen.added_at && it.damaged_at.is_none()))
}

/// What a location should hold of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub copies: Vec<SizedCopy>,
    /// Objects of which nobody noted a copy there: their kind, name, and when they were received.
    pub unnoted: Vec<(ObjectKind, ObjectName, Time)>,
}

/// What a location should hold of a repository, except locks.
pub fn expected(conn: &mut Conn, location: Location, repository: RepositoryId) -> QueryResult<Expected> {
    type Row = ((ObjectKind, ObjectName, i64, Time), Option<(Rank, Time, Option<Time>, Option<Time>)>);
    let is_its_copy = copies::repository_id
        .eq(objects::repository_id)
        .and(copies::kind.eq(objects::kind))
        .and(copies::name.eq(objects::name))
        .and(copies::location.eq(location));
    let rows: Vec<Row> = objects::table
        .left_join(copies::table.on(is_its_copy))
        .filter(objects::repository_id.eq(repository).and(objects::kind.ne(ObjectKind::Locks)))
        .select((
            (objects::kind, objects::name, objects::size_bytes, objects::received_at),
            (copies::rank, copies::added_at, copies::verified_at, copies::damaged_at).nullable(),
        ))
        .load(conn)?;
    let mut expected = Expected::default();
    for ((kind, name, size_bytes, received_at), copy) in rows {
        match copy {
            Some((rank, added_at, verified_at, damaged_at)) => expected.copies.push(SizedCopy {
                repository_id: repository,
                kind,
                name,
                size_bytes,
                rank,
                added_at,
                verified_at,
                damaged_at,
            }),
            None => expected.unnoted.push((kind, name, received_at)),
        }
    }
    Ok(expected)
}

/// Notes that a location has copies which nobody noted.
pub fn note_copies(
    conn: &mut Conn,
    location: Location,
    repository: RepositoryId,
    unnoted: &[(ObjectKind, ObjectName, Time)],
) -> QueryResult<()> {
    for (kind, name, received_at) in unnoted {
        // It may have been noted, or removed, since it was missed.
        let is_there = crate::store::object::find(conn, repository, *kind, name)?.is_some();
        if is_there && copy::find(conn, location, repository, *kind, name)?.is_none() {
            copy::insert(conn, location, repository, *kind, name, *received_at)?;
        }
    }
    Ok(())
}

/// Notes which packs the newest restore point of a repository needs, as its test has shown: they come first among what
/// is read again.
pub fn set_needed(conn: &mut Conn, repository: RepositoryId, packs: &[ObjectName]) -> QueryResult<()> {
    let known: HashSet<ObjectName> = copies::table
        .filter(copies::repository_id.eq(repository).and(copies::kind.eq(ObjectKind::Data)))
        .filter(copies::rank.eq(Rank::Needed))
        .select(copies::name)
        .load(conn)?
        .into_iter()
        .collect();
    let needed: HashSet<&ObjectName> = packs.iter().collect();
    let no_more: Vec<&ObjectName> = known.iter().filter(|it| !needed.contains(it)).collect();
    let new: Vec<&ObjectName> = packs.iter().filter(|it| !known.contains(it)).collect();
    for some in new.chunks(SOME) {
        set_rank(conn, repository, some, Rank::Needed)?;
    }
    for some in no_more.chunks(SOME) {
        set_rank(conn, repository, some, Rank::Spare)?;
        let is_uncopied = objects::table
            .filter(objects::repository_id.eq(repository).and(objects::kind.eq(ObjectKind::Data)))
            .filter(objects::uncopied.is_not_null())
            .filter(objects::name.eq_any(some.iter().map(|it| (*it).clone()).collect::<Vec<_>>()))
            .select(objects::name)
            .load::<ObjectName>(conn)?;
        set_rank(conn, repository, &is_uncopied.iter().collect::<Vec<_>>(), Rank::Only)?;
    }
    Ok(())
}

/// How many packs are updated in one statement.
const SOME: usize = 500;

fn set_rank(conn: &mut Conn, repository: RepositoryId, packs: &[&ObjectName], rank: Rank) -> QueryResult<()> {
    let names: Vec<ObjectName> = packs.iter().map(|it| (*it).clone()).collect();
    let some = copies::table
        .filter(copies::repository_id.eq(repository).and(copies::kind.eq(ObjectKind::Data)))
        .filter(copies::name.eq_any(names));
    match rank {
        // Only the backup store can have the only copy: the other has its own from it.
        Rank::Only => diesel::update(some.filter(copies::location.eq(Location::Primary)))
            .set(copies::rank.eq(rank))
            .execute(conn)
            .map(drop),
        Rank::Needed | Rank::Spare => diesel::update(some).set(copies::rank.eq(rank)).execute(conn).map(drop),
    }
}

/// The repositories after `after`, in order.
pub fn repositories_after(conn: &mut Conn, after: Option<RepositoryId>, limit: i64) -> QueryResult<Vec<RepositoryId>> {
    let mut query = repositories::table.select(repositories::id).order(repositories::id).limit(limit).into_boxed();
    if let Some(after) = after {
        query = query.filter(repositories::id.gt(after));
    }
    query.load(conn)
}

/// How many objects all repositories have together, as their own counters say.
pub fn object_count(conn: &mut Conn) -> QueryResult<i64> {
    let counts = repositories::table.select(repositories::object_count).load::<i64>(conn)?;
    Ok(counts.into_iter().fold(0, i64::saturating_add))
}

/// A damaged copy, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct DamagedCopy {
    pub device_id: DeviceId,
    pub device_name: String,
    pub repository_id: RepositoryId,
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub damaged_at: Option<Time>,
}

/// The copies of devices within reach that were found damaged last, at most `limit`.
pub fn last_damaged(conn: &mut Conn, location: Location, reach: &Reach, limit: i64) -> QueryResult<Vec<DamagedCopy>> {
    let mut query = copies::table
        .inner_join(repositories::table.on(repositories::id.eq(copies::repository_id)))
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .filter(copies::location.eq(location).and(copies::damaged_at.is_not_null()))
        .order((copies::damaged_at.desc(), copies::repository_id, copies::kind, copies::name))
        .select((devices::id, devices::name, copies::repository_id, copies::kind, copies::name, copies::damaged_at))
        .limit(limit)
        .into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(devices::team_id.eq_any(teams.clone()));
    }
    query.load(conn)
}

/// How many copies at a location are known to be damaged, and of how many devices.
pub fn damaged_count(conn: &mut Conn, location: Location) -> QueryResult<(i64, i64)> {
    copies::table
        .inner_join(repositories::table.on(repositories::id.eq(copies::repository_id)))
        .filter(copies::location.eq(location).and(copies::damaged_at.is_not_null()))
        .select((diesel::dsl::count_star(), diesel::dsl::count(repositories::device_id).aggregate_distinct()))
        .first(conn)
}

/// Since when the oldest damage at a location is known; none if there is none.
pub fn damaged_since(conn: &mut Conn, location: Location) -> QueryResult<Option<Time>> {
    copies::table
        .filter(copies::location.eq(location).and(copies::damaged_at.is_not_null()))
        .select(diesel::dsl::min(copies::damaged_at))
        .first(conn)
}

/// The name of the device whose a repository is.
pub fn device_name(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<String>> {
    repositories::table
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .filter(repositories::id.eq(repository))
        .select(devices::name)
        .first(conn)
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Database, Store};
    use diesel::connection::InstrumentationEvent;
    use diesel::sql_types::Text;
    use std::sync::{Arc, Mutex};

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    /// How SQLite finds what `query` asks for: the plans of the statements that it really sends.
    fn plans(conn: &mut Conn, query: impl FnOnce(&mut Conn)) -> Vec<String> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&sent);
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                noted.lock().unwrap().push(query.to_string());
            }
        });
        query(conn);
        conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
        let sent = std::mem::take(&mut *sent.lock().unwrap());
        let mut plans = Vec::new();
        for statement in sent {
            let statement = statement.split(" -- binds").next().unwrap();
            let steps: Vec<Step> =
                diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(conn).expect("a plan");
            plans.push(steps.into_iter().map(|it| it.detail).collect::<Vec<_>>().join("; "));
        }
        plans
    }

    fn plan(query: impl FnOnce(&mut Conn) + Send + 'static) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().join("holdfast.db"))).unwrap();
        store.read_blocking(move |conn| Ok::<_, crate::error::Error>(plans(conn, query))).unwrap()
    }

    /// What the planner may not do where there are many millions of copies.
    fn looks_at_all(plan: &str) -> bool {
        plan.contains("SCAN") || plan.contains("TEMP B-TREE")
    }

    #[test]
    fn the_next_batch_is_the_beginning_of_an_index() {
        let now = Time::from_millis(1_795_356_371_000);
        let by_age = "SEARCH copies USING INDEX copies_by_age (location=? AND rank=? AND verified_at";
        for (part, index) in [
            (
                Part::Unread(ObjectKind::Data),
                "SEARCH copies USING INDEX copies_unread (location=? AND kind=?)".to_owned(),
            ),
            (Part::ReadBy(Rank::Only, now), format!("{by_age}<?)")),
            (Part::ReadAfter(Rank::Only, now), format!("{by_age}>?)")),
        ] {
            let found = plan(move |conn| drop(next(conn, Location::Primary, part, 128).unwrap()));
            assert_eq!(found.len(), 1, "{part:?}");
            assert!(found[0].starts_with(&index), "{part:?}: {}", found[0]);
            assert!(!looks_at_all(&found[0]), "{part:?}: {}", found[0]);
        }
    }

    #[test]
    fn the_lag_is_the_beginning_of_an_index() {
        let found = plan(|conn| assert_eq!(oldest_unread(conn, Location::Primary).unwrap(), None));
        assert_eq!(found.len(), KINDS.len());
        for it in found {
            assert!(it.contains("INDEX copies_unread (location=? AND kind=?)") && !looks_at_all(&it), "{it}");
        }
    }

    #[test]
    fn what_one_object_or_repository_needs_is_found_by_its_key() {
        let seen = SizedCopy {
            repository_id: RepositoryId::generate(Time::from_millis(1)),
            kind: ObjectKind::Data,
            name: ObjectName::from_hash(&[7; 32]),
            size_bytes: 1,
            rank: Rank::Only,
            added_at: Time::from_millis(1),
            verified_at: None,
            damaged_at: None,
        };
        let id = seen.repository_id;
        let found = plan(move |conn| {
            assert!(!mark_read_back(conn, Location::Primary, &seen, Time::from_millis(2)).unwrap());
            expected(conn, Location::Primary, id).unwrap();
        });
        assert_eq!(found.len(), 2);
        for it in found {
            assert!(it.contains("USING") && it.contains("repository_id=?") && !looks_at_all(&it), "{it}");
        }
    }
}
