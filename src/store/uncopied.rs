//! What the second store does not have yet, or has damaged: the ledger itself says so, in `objects.uncopied`.
use crate::store::Conn;
use crate::store::ground::copy_away;
use crate::store::object;
use crate::store::restore_point::RestorePoint;
use crate::store::schema::{copies, device_proof, devices, objects, repositories, restore_points};
use crate::store::setting::COPY;
use diesel::dsl::{count_star, exists, max, min, not};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use domain::device::DeviceState;
use domain::id::{DeviceId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::role::Reach;
use domain::time::Time;

/// An object that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq, Queryable)]
pub struct Uncopied {
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub size_bytes: i64,
}

impl Uncopied {
    /// The size, which is never negative.
    pub fn size(&self) -> u64 {
        u64::try_from(self.size_bytes).unwrap_or(0)
    }
}

/// Whether the backup store has an object damaged: then there is nothing to copy. A macro, because diesel knows each
/// place it is used in as a type of its own.
macro_rules! is_damaged {
    () => {
        exists(
            copies::table
                .filter(copies::repository_id.eq(objects::repository_id))
                .filter(copies::kind.eq(objects::kind).and(copies::name.eq(objects::name)))
                .filter(copies::location.eq(Location::Primary).and(copies::damaged_at.is_not_null())),
        )
    };
}

/// The first repository after `after` of which something is to be copied.
pub fn next_repository(conn: &mut Conn, after: Option<RepositoryId>) -> QueryResult<Option<RepositoryId>> {
    let mut next = objects::table
        .filter(objects::uncopied.is_not_null().and(objects::kind.ne(ObjectKind::Locks)))
        .order(objects::repository_id)
        .select(objects::repository_id)
        .into_boxed();
    if let Some(after) = after {
        next = next.filter(objects::repository_id.gt(after));
    }
    next.first(conn).optional()
}

/// At most `limit` objects of a kind that can be copied, the ones received first before others; with `until` only
/// those received up to it.
pub fn of_kind(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: ObjectKind,
    until: Option<Time>,
    limit: i64,
) -> QueryResult<Vec<Uncopied>> {
    let mut found = objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(kind)))
        .filter(objects::uncopied.is_not_null().and(not(is_damaged!())))
        .order((objects::received_at, objects::name))
        .limit(limit)
        .select((objects::kind, objects::name, objects::size_bytes))
        .into_boxed();
    if let Some(until) = until {
        found = found.filter(objects::received_at.le(until));
    }
    found.load(conn)
}

/// When the snapshot that can be copied next was received; none if none waits.
pub fn next_snapshot(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<Time>> {
    objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.eq(ObjectKind::Snapshots)))
        .filter(objects::uncopied.is_not_null().and(not(is_damaged!())))
        .select(min(objects::received_at))
        .first(conn)
}

#[derive(QueryableByName)]
struct Behind {
    #[diesel(sql_type = Text)]
    device_id: DeviceId,
    #[diesel(sql_type = Nullable<BigInt>)]
    point: Option<Time>,
}

/// The devices of which something is not in the second store, each with its recovery point there: the newest
/// [`recovery_point`] of its repositories, those of earlier enrolments too.
///
/// One statement, however many they are: within a repository snapshots are received in the order of their sequence, so that
/// the first that fits is the newest.
pub fn behind(conn: &mut Conn) -> QueryResult<Vec<(DeviceId, Option<Time>)>> {
    let (locks, snapshots) = (ObjectKind::Locks, ObjectKind::Snapshots);
    let statement = format!(
        "WITH w AS (SELECT repository_id, MIN(received_at) AS oldest FROM objects \
             WHERE uncopied IS NOT NULL AND kind <> '{locks}' GROUP BY repository_id), \
         d AS (SELECT DISTINCT r.device_id FROM w JOIN repositories r ON r.id = w.repository_id), \
         p AS (SELECT r.device_id, \
             (SELECT p.received_at FROM restore_points p \
              JOIN objects o ON o.repository_id = p.repository_id AND o.kind = '{snapshots}' AND o.name = p.snapshot_name \
              WHERE p.device_id = r.device_id AND p.repository_id = r.id AND p.stored_at IS NOT NULL \
                  AND o.uncopied IS NULL AND (w.oldest IS NULL OR o.received_at < w.oldest) \
              ORDER BY p.sequence DESC, p.id DESC LIMIT 1) AS point \
             FROM d JOIN repositories r ON r.device_id = d.device_id LEFT JOIN w ON w.repository_id = r.id) \
         SELECT device_id, MAX(point) AS point FROM p GROUP BY device_id"
    );
    let found: Vec<Behind> = diesel::sql_query(statement).load(conn)?;
    Ok(found.into_iter().map(|it| (it.device_id, it.point)).collect())
}

/// How much of something waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    pub count: i64,
    /// When the oldest was received.
    pub since: Option<Time>,
}

/// What waits of one repository.
pub fn of_repository(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Waiting> {
    let (count, since) = objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.ne(ObjectKind::Locks)))
        .filter(objects::uncopied.is_not_null())
        .select((count_star(), min(objects::received_at)))
        .first(conn)?;
    Ok(Waiting { count, since })
}

/// How many objects of one repository are damaged in the backup store and not intact in the second one.
pub fn damaged(conn: &mut Conn, repository: RepositoryId) -> QueryResult<i64> {
    let its_object = objects::repository_id
        .eq(copies::repository_id)
        .and(objects::kind.eq(copies::kind))
        .and(objects::name.eq(copies::name));
    copies::table
        .inner_join(objects::table.on(its_object))
        .filter(copies::repository_id.eq(repository).and(copies::location.eq(Location::Primary)))
        .filter(copies::damaged_at.is_not_null())
        .filter(objects::uncopied.is_not_null().and(objects::kind.ne(ObjectKind::Locks)))
        .count()
        .get_result(conn)
}

/// What waits of all repositories.
pub fn in_all(conn: &mut Conn) -> QueryResult<Waiting> {
    let (count, since) = objects::table
        .filter(objects::uncopied.is_not_null().and(objects::kind.ne(ObjectKind::Locks)))
        .select((count_star(), min(objects::received_at)))
        .first(conn)?;
    Ok(Waiting { count, since })
}

/// How many objects the second store has intact.
pub fn copied_count(conn: &mut Conn) -> QueryResult<i64> {
    // All less the others: the others are few, and counting millions of rows takes seconds.
    let others: i64 = objects::table.filter(objects::uncopied.is_not_null()).count().get_result(conn)?;
    let all: Vec<i64> = repositories::table.select(repositories::object_count).load(conn)?;
    Ok((all.iter().sum::<i64>() - others).max(0))
}

/// The newest restore point of a repository of which the second store has the snapshot and everything that was
/// received before it.
pub fn recovery_point(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<Time>> {
    Ok(complete_point(conn, repository)?.map(|it| it.received_at))
}

/// As [`recovery_point`]: the restore point itself.
pub fn complete_point(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<RestorePoint>> {
    let oldest: Option<Time> = objects::table
        .filter(objects::repository_id.eq(repository).and(objects::kind.ne(ObjectKind::Locks)))
        .filter(objects::uncopied.is_not_null())
        .select(min(objects::received_at))
        .first(conn)?;
    let its_snapshot = objects::repository_id
        .eq(restore_points::repository_id)
        .and(objects::kind.eq(ObjectKind::Snapshots))
        .and(objects::name.eq(restore_points::snapshot_name));
    let mut complete = restore_points::table
        .inner_join(objects::table.on(its_snapshot))
        .filter(restore_points::repository_id.eq(repository).and(restore_points::stored_at.is_not_null()))
        .filter(objects::uncopied.is_null())
        .order((objects::received_at.desc(), restore_points::id.desc()))
        .select(RestorePoint::as_select())
        .into_boxed();
    if let Some(oldest) = oldest {
        complete = complete.filter(objects::received_at.lt(oldest));
    }
    complete.first(conn).optional()
}

/// The newest restore point of a device that the backup store has.
pub fn newest_point(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<Time>> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::stored_at.is_not_null()))
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .select(restore_points::received_at)
        .first(conn)
        .optional()
}

/// What is damaged in the backup store and not intact in the second one; with `$has_none` there is no second one, and what
/// an earlier one had helps nobody. A macro, because diesel knows each place it is used in as a type of its own.
macro_rules! lost_objects {
    ($has_none:expr) => {
        copies::table
            .inner_join(
                objects::table.on(objects::repository_id
                    .eq(copies::repository_id)
                    .and(objects::kind.eq(copies::kind))
                    .and(objects::name.eq(copies::name))),
            )
            .inner_join(repositories::table.on(repositories::id.eq(copies::repository_id)))
            .filter(copies::location.eq(Location::Primary).and(copies::damaged_at.is_not_null()))
            .filter(objects::uncopied.is_not_null().or($has_none.into_sql::<Bool>()))
            .filter(objects::kind.ne(ObjectKind::Locks))
    };
}

/// The devices of which something is damaged in the backup store and not intact in the second one, and since when that is
/// known.
pub fn lost(conn: &mut Conn, limit: i64) -> QueryResult<Vec<(DeviceId, Time)>> {
    let has_none = COPY.entry(conn)?.is_none();
    lost_objects!(has_none)
        .group_by(repositories::device_id)
        .select((repositories::device_id, min(copies::damaged_at).assume_not_null()))
        .order(repositories::device_id)
        .limit(limit)
        .load(conn)
}

/// The packs of a repository that are damaged in the backup store and not intact in the second one, by name.
pub fn lost_packs(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Vec<ObjectName>> {
    let has_none = COPY.entry(conn)?.is_none();
    lost_objects!(has_none)
        .filter(copies::repository_id.eq(repository).and(copies::kind.eq(ObjectKind::Data)))
        .order(copies::name)
        .select(copies::name)
        .load(conn)
}

/// The repositories that have any damaged pack in the backup store.
pub fn repositories_with_lost_packs(conn: &mut Conn) -> QueryResult<Vec<RepositoryId>> {
    copies::table
        .filter(copies::kind.eq(ObjectKind::Data).and(copies::damaged_at.is_not_null()))
        .filter(copies::location.eq(Location::Primary))
        .select(copies::repository_id)
        .distinct()
        .order(copies::repository_id)
        .load(conn)
}

/// Those of [`lost`] that are enrolled and within reach, in the order of their names.
pub fn lost_within(conn: &mut Conn, reach: &Reach, limit: i64) -> QueryResult<Vec<(DeviceId, String)>> {
    let lost: Vec<DeviceId> = lost(conn, i64::MAX)?.into_iter().map(|it| it.0).collect();
    let mut named = Vec::new();
    for some in lost.chunks(SOME) {
        let mut query = devices::table
            .filter(devices::state.eq(DeviceState::Enrolled).and(devices::id.eq_any(some.to_vec())))
            .select((devices::id, devices::name))
            .into_boxed();
        if let Reach::Teams(teams) = reach {
            query = query.filter(devices::team_id.eq_any(teams.clone()));
        }
        named.extend(query.load::<(DeviceId, String)>(conn)?);
    }
    named.sort_by(|(id, name), (other_id, other)| (name, id).cmp(&(other, other_id)));
    named.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(named)
}

/// How many bytes of one device are damaged in the backup store and not intact in the second one: what it would send
/// again at most.
pub fn lost_bytes(conn: &mut Conn, device: DeviceId) -> QueryResult<i64> {
    let has_none = COPY.entry(conn)?.is_none();
    lost_objects!(has_none).filter(repositories::device_id.eq(device)).select(object::sum()).first(conn)
}

/// Those of [`lost_objects`] without which no later proof came: devices and objects that a proof from afterwards shows
/// not to be needed are left out, as in the bar of each page.
macro_rules! lost_and_needed {
    ($has_none:expr) => {
        lost_objects!($has_none)
            .left_join(device_proof::table.on(device_proof::device_id.eq(repositories::device_id)))
            .filter(
                device_proof::proven_tested_at
                    .nullable()
                    .is_null()
                    .or(device_proof::proven_tested_at.nullable().lt(copies::damaged_at)),
            )
            // Nothing is proven where the customer keeps the key: what came since and was read back whole does without.
            .filter(
                repositories::key_holder
                    .eq(KeyHolder::Server)
                    .or(device_proof::verified_at.nullable().is_null())
                    .or(device_proof::verified_at.nullable().le(copies::damaged_at)),
            )
    };
}

/// Whether no second store can be said to have anything now.
fn has_no_other(conn: &mut Conn, now: Time) -> QueryResult<bool> {
    Ok(COPY.entry(conn)?.is_none() || copy_away(conn, now)?.is_some())
}

/// Whether something of a device's backups is intact in no store, and no later proof did without it.
///
/// What is only in a second store that cannot be used is not known to be anywhere.
pub fn is_lost(conn: &mut Conn, device: DeviceId, now: Time) -> QueryResult<bool> {
    let has_none = has_no_other(conn, now)?;
    let any: Option<ObjectName> = lost_and_needed!(has_none)
        .filter(repositories::device_id.eq(device))
        .select(copies::name)
        .first(conn)
        .optional()?;
    Ok(any.is_some())
}

/// The enrolled devices within reach of which [`is_lost`] holds, in the order of their names.
pub fn last_copies(conn: &mut Conn, reach: &Reach, now: Time) -> QueryResult<Vec<DeviceId>> {
    let has_none = has_no_other(conn, now)?;
    let lost = lost_and_needed!(has_none)
        .inner_join(devices::table.on(devices::id.eq(repositories::device_id)))
        .filter(devices::state.eq(DeviceState::Enrolled));
    let named = (devices::name, devices::id);
    let found: Vec<(String, DeviceId)> = match reach {
        Reach::All => lost.select(named).distinct().order(named).load(conn)?,
        Reach::Teams(teams) => {
            lost.filter(devices::team_id.eq_any(teams.clone())).select(named).distinct().order(named).load(conn)?
        }
    };
    Ok(found.into_iter().map(|it| it.1).collect())
}

/// How many devices are asked for in one statement.
const SOME: usize = 500;

/// Since when something of one device is damaged in the backup store and not intact in the second one.
pub fn lost_of(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<Time>> {
    let has_none = COPY.entry(conn)?.is_none();
    lost_objects!(has_none).filter(repositories::device_id.eq(device)).select(min(copies::damaged_at)).first(conn)
}

/// When damage to a device's backups was found last, whatever a second store has of it.
pub fn damaged_until(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<Time>> {
    let has_none = true;
    lost_objects!(has_none).filter(repositories::device_id.eq(device)).select(max(copies::damaged_at)).first(conn)
}
