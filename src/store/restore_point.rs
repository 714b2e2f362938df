//! Restore points: the snapshots of a device's repositories.
use crate::store::Conn;
use crate::store::column::from_json;
use crate::store::schema::restore_points;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::id::{DeviceId, PruneId, RepositoryId, RestorePointId, RestoreTestId};
use domain::object::{ObjectName, TokenKind};
use domain::proof::{Grade, Retest};
use domain::restore_test::FailedRest;
use domain::time::Time;
use std::collections::HashSet;

/// A snapshot that the server received, or that a device reported. The names of its excluded files may take
/// megabytes: only [`excluded`] reads them.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = restore_points, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct RestorePoint {
    pub id: RestorePointId,
    pub repository_id: RepositoryId,
    pub device_id: DeviceId,
    pub snapshot_name: ObjectName,
    /// Whose token it came with; the agent's if that is not known.
    pub sent_by: TokenKind,
    /// The device's manifest, once it has been reported.
    pub manifest_name: Option<ObjectName>,
    /// By the server's clock at the time: when the snapshot arrived, or the report if no snapshot has arrived.
    pub received_at: Time,
    /// What the repository holds up to this belongs to the point: never earlier than what it needs, whatever a
    /// clock did.
    pub as_of: Time,
    /// The order in which the device's points arrived; [`insert`] assigns it.
    pub sequence: i64,
    /// By the device's clock: when the backup ended. A label, never evidence.
    pub claimed_at: Option<Time>,
    pub file_count: Option<i64>,
    pub size_bytes: Option<i64>,
    pub excluded_count: i64,
    pub reported_at: Option<Time>,
    /// When the snapshot object was received; none while it is only reported.
    pub stored_at: Option<Time>,
    pub verified_at: Option<Time>,
    /// Until when the test holds: fixed when it ended, and no setting makes it later.
    pub verified_until: Option<Time>,
    /// Part of it was compared and came back equal, but too much was not compared.
    pub partial_at: Option<Time>,
    pub partial_until: Option<Time>,
    pub proven_at: Option<Time>,
    pub proven_until: Option<Time>,
    pub failed_at: Option<Time>,
    /// What failed and cannot be listed file by file.
    pub failed_rest: Option<FailedRest>,
    /// Everything that failed came back in tests of later points.
    pub made_good_at: Option<Time>,
    /// The test that last showed something about it.
    pub test_id: Option<RestoreTestId>,
    pub retest: Option<Retest>,
    /// The prune that ended it: it is in the trash or erased, and counts for nothing.
    pub trashed_by: Option<PruneId>,
}

impl RestorePoint {
    /// A snapshot that arrived at `at`, about which nothing more is known.
    pub fn received(
        (repository, device): (RepositoryId, DeviceId),
        snapshot: &ObjectName,
        sent_by: TokenKind,
        at: Time,
    ) -> Self {
        Self {
            id: RestorePointId::generate(at),
            repository_id: repository,
            device_id: device,
            snapshot_name: snapshot.clone(),
            sent_by,
            manifest_name: None,
            received_at: at,
            as_of: at,
            sequence: 0,
            claimed_at: None,
            file_count: None,
            size_bytes: None,
            excluded_count: 0,
            reported_at: None,
            stored_at: Some(at),
            verified_at: None,
            verified_until: None,
            partial_at: None,
            partial_until: None,
            proven_at: None,
            proven_until: None,
            failed_at: None,
            failed_rest: None,
            made_good_at: None,
            test_id: None,
            retest: None,
            trashed_by: None,
        }
    }
}

impl RestorePoint {
    /// What is known now of a point that the server holds: no proof is good for longer than its time, and nothing is known
    /// while its store is away.
    pub fn grade(&self, now: Time, is_store_away: bool) -> Grade {
        let holds = |until: Option<Time>| until.is_some_and(|it| now < it);
        if is_store_away {
            Grade::Unknown
        } else if self.failed_at.is_some() {
            Grade::Failed
        } else if holds(self.proven_until) {
            Grade::Proven
        } else if holds(self.partial_until) {
            Grade::Partial
        } else if holds(self.verified_until) {
            Grade::Verified
        // As of a device: it was proven once, and no longer is.
        } else if self.proven_at.is_some() {
            Grade::OutOfDate
        } else {
            Grade::Stored
        }
    }
}

/// What a device said about a backup, in the columns it fills.
#[derive(Debug, Clone)]
pub struct Reported {
    pub manifest_name: ObjectName,
    pub claimed_at: Time,
    pub file_count: i64,
    pub size_bytes: i64,
    pub excluded_count: i64,
    /// A JSON list of names.
    pub excluded: String,
}

/// A restore point by its id.
pub fn find(conn: &mut Conn, id: RestorePointId) -> QueryResult<Option<RestorePoint>> {
    restore_points::table.find(id).select(RestorePoint::as_select()).first(conn).optional()
}

/// Whether any restore point was ever proven.
pub fn has_proven(conn: &mut Conn) -> QueryResult<bool> {
    diesel::select(exists(restore_points::table.filter(restore_points::proven_at.is_not_null()))).get_result(conn)
}

/// The files the device left out of a point's comparison because they changed or could not be read.
pub fn excluded(conn: &mut Conn, id: RestorePointId) -> QueryResult<Vec<String>> {
    let text: String = restore_points::table.find(id).select(restore_points::excluded).first(conn)?;
    from_json(&text)
}

/// The restore point of a snapshot, even one that has ended.
pub fn of_snapshot(
    conn: &mut Conn,
    repository: RepositoryId,
    snapshot: &ObjectName,
) -> QueryResult<Option<RestorePoint>> {
    restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::snapshot_name.eq(snapshot)))
        .select(RestorePoint::as_select())
        .first(conn)
        .optional()
}

/// The newest restore points of a device, newest first.
pub fn of_device(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<RestorePoint>> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::trashed_by.is_null()))
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .limit(limit)
        .select(RestorePoint::as_select())
        .load(conn)
}

/// The restore points of a device since `since`, newest first, at most `limit`; the newest one is included
/// however old it is.
pub fn of_device_since(conn: &mut Conn, device: DeviceId, since: Time, limit: i64) -> QueryResult<Vec<RestorePoint>> {
    let mut points = of_device(conn, device, limit)?;
    let newest = points.first().map(|it| it.id);
    points.retain(|it| it.received_at >= since || Some(it.id) == newest);
    Ok(points)
}

/// The restore points of a device that the server holds, newest first, `limit` of them after the first `skip`; with
/// `until` only those received up to it.
pub fn stored_until(
    conn: &mut Conn,
    device: DeviceId,
    until: Option<Time>,
    (skip, limit): (i64, i64),
) -> QueryResult<Vec<RestorePoint>> {
    let mut query = restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::stored_at.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .offset(skip)
        .limit(limit)
        .select(RestorePoint::as_select())
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(restore_points::received_at.le(until));
    }
    query.load(conn)
}

/// How many of them there are.
pub fn count_stored_until(conn: &mut Conn, device: DeviceId, until: Option<Time>) -> QueryResult<i64> {
    let mut query = restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::stored_at.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .into_boxed();
    if let Some(until) = until {
        query = query.filter(restore_points::received_at.le(until));
    }
    query.count().get_result(conn)
}

/// The newest restore point of a repository whose snapshot has arrived.
pub fn newest_stored(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Option<RestorePoint>> {
    restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::stored_at.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .select(RestorePoint::as_select())
        .first(conn)
        .optional()
}

/// Adds a restore point, as the newest of its device.
pub fn insert(conn: &mut Conn, point: &RestorePoint) -> QueryResult<()> {
    let sequence = next_sequence(conn, point.device_id)?;
    let point = RestorePoint { sequence, ..point.clone() };
    diesel::insert_into(restore_points::table).values(point).execute(conn).map(drop)
}

fn next_sequence(conn: &mut Conn, device: DeviceId) -> QueryResult<i64> {
    let newest: Option<i64> = restore_points::table
        .filter(restore_points::device_id.eq(device))
        .order(restore_points::sequence.desc())
        .select(restore_points::sequence)
        .first(conn)
        .optional()?;
    Ok(newest.unwrap_or(0) + 1)
}

/// Removes all but the newest `keep` of a repository's points that are only reported; returns how long the
/// names of their excluded files were.
pub fn remove_reported(conn: &mut Conn, repository: RepositoryId, keep: i64) -> QueryResult<i64> {
    let surplus = restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::stored_at.is_null()))
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .limit(i64::from(u16::MAX))
        .offset(keep)
        .select((restore_points::id, restore_points::excluded))
        .load::<(RestorePointId, String)>(conn)?;
    let (ids, names): (Vec<_>, Vec<_>) = surplus.into_iter().unzip();
    diesel::delete(restore_points::table.filter(restore_points::id.eq_any(ids))).execute(conn)?;
    Ok(names.iter().map(|it| charged(it)).sum())
}

/// What a list of excluded files counts as in its repository; nothing if it is empty.
pub fn charged(excluded: &str) -> i64 {
    if excluded == "[]" { 0 } else { i64::try_from(excluded.len()).unwrap_or(i64::MAX) }
}

/// Notes that the snapshot of a reported point has arrived, with everything up to `as_of`; false if it already
/// had.
pub fn mark_stored(conn: &mut Conn, point: &RestorePoint, as_of: Time, at: Time) -> QueryResult<bool> {
    // A new number: the server has had it only since now, however early it was reported.
    let sequence = next_sequence(conn, point.device_id)?;
    let changed = diesel::update(restore_points::table.find(point.id))
        .filter(restore_points::stored_at.is_null())
        .set((
            restore_points::stored_at.eq(at),
            restore_points::received_at.eq(at),
            restore_points::as_of.eq(as_of),
            restore_points::sequence.eq(sequence),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Makes a point whose snapshot came again, after it had ended, a new one about which nothing is known.
pub fn begin_again(conn: &mut Conn, point: &RestorePoint, as_of: Time, at: Time) -> QueryResult<()> {
    let sequence = next_sequence(conn, point.device_id)?;
    let again = RestorePoint {
        id: point.id,
        manifest_name: point.manifest_name.clone(),
        claimed_at: point.claimed_at,
        file_count: point.file_count,
        size_bytes: point.size_bytes,
        excluded_count: point.excluded_count,
        reported_at: point.reported_at,
        as_of,
        sequence,
        ..RestorePoint::received((point.repository_id, point.device_id), &point.snapshot_name, point.sent_by, at)
    };
    diesel::update(restore_points::table.find(point.id)).set(again).execute(conn).map(drop)
}

/// Ends points for a prune.
pub fn trash(conn: &mut Conn, ids: &[RestorePointId], prune: PruneId) -> QueryResult<usize> {
    let mut count = 0;
    for some in ids.chunks(500) {
        count += diesel::update(restore_points::table.filter(restore_points::id.eq_any(some.to_vec())))
            .filter(restore_points::trashed_by.is_null())
            .set(restore_points::trashed_by.eq(prune))
            .execute(conn)?;
    }
    Ok(count)
}

/// The points that a prune ended, oldest first.
pub fn of_prune(conn: &mut Conn, prune: PruneId) -> QueryResult<Vec<RestorePoint>> {
    restore_points::table
        .filter(restore_points::trashed_by.eq(prune))
        .order((restore_points::sequence, restore_points::id))
        .select(RestorePoint::as_select())
        .load(conn)
}

/// What a prune ended counts again.
pub fn put_back(conn: &mut Conn, prune: PruneId) -> QueryResult<usize> {
    diesel::update(restore_points::table.filter(restore_points::trashed_by.eq(prune)))
        .set(restore_points::trashed_by.eq(None::<PruneId>))
        .execute(conn)
}

/// Every stored point of a repository that has not ended, in the order in which they came.
pub fn stored_of_repository(conn: &mut Conn, repository: RepositoryId) -> QueryResult<Vec<RestorePoint>> {
    restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::stored_at.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::sequence, restore_points::id))
        .select(RestorePoint::as_select())
        .load(conn)
}

/// The manifests that points of a repository name and that have not ended.
pub fn manifests(conn: &mut Conn, repository: RepositoryId) -> QueryResult<HashSet<ObjectName>> {
    let names = restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::trashed_by.is_null()))
        .select(restore_points::manifest_name)
        .load::<Option<ObjectName>>(conn)?;
    Ok(names.into_iter().flatten().collect())
}

/// Forgets the names of the excluded files of what a prune ended; returns how long they were.
pub fn forget_excluded(conn: &mut Conn, prune: PruneId) -> QueryResult<i64> {
    let which = restore_points::table.filter(restore_points::trashed_by.eq(prune));
    let names = which.select(restore_points::excluded).load::<String>(conn)?;
    diesel::update(which).set(restore_points::excluded.eq("[]")).execute(conn)?;
    Ok(names.iter().map(|it| charged(it)).sum())
}

/// Records what the device said about a backup.
pub fn set_reported(conn: &mut Conn, id: RestorePointId, report: &Reported, now: Time) -> QueryResult<()> {
    diesel::update(restore_points::table.find(id))
        .set((
            restore_points::manifest_name.eq(&report.manifest_name),
            restore_points::claimed_at.eq(report.claimed_at),
            restore_points::file_count.eq(report.file_count),
            restore_points::size_bytes.eq(report.size_bytes),
            restore_points::excluded_count.eq(report.excluded_count),
            restore_points::excluded.eq(&report.excluded),
            restore_points::reported_at.eq(now),
        ))
        .execute(conn)
        .map(drop)
}
