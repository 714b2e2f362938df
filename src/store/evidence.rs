//! What restore tests show of restore points and objects.
use crate::domain::id::{DeviceId, RepositoryId, RestorePointId, RestoreTestId};
use crate::domain::object::{ObjectKind, ObjectName};
use crate::domain::proof::{TestResult, TestState};
use crate::domain::time::Time;
use crate::store::Conn;
use crate::store::restore_point::RestorePoint;
use crate::store::schema::{objects, restore_points, restore_tests};
use diesel::prelude::*;

/// One kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Anything,
    Stored,
    Verified,
    Proven,
}

/// The newest restore points of a device that have `shown`, newest first.
pub fn points(conn: &mut Conn, device: DeviceId, shown: Shown, limit: i64) -> QueryResult<Vec<RestorePoint>> {
    let mut query = restore_points::table.filter(restore_points::device_id.eq(device)).into_boxed();
    query = match shown {
        Shown::Anything => query,
        Shown::Stored => query.filter(restore_points::stored_at.is_not_null()),
        Shown::Verified => query.filter(restore_points::verified_at.is_not_null()),
        Shown::Proven => query.filter(restore_points::proven_at.is_not_null()),
    };
    query
        .order((restore_points::received_at.desc(), restore_points::id.desc()))
        .limit(limit)
        .select(RestorePoint::as_select())
        .load(conn)
}

/// The newest restore point of a device that failed and was not made up for by a later good test
/// of the same or a newer point.
pub fn standing_failure(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<RestorePoint>> {
    let failed = restore_points::table
        .filter(restore_points::device_id.eq(device))
        .filter(restore_points::failed_at.is_not_null())
        .order((restore_points::received_at.desc(), restore_points::id.desc()))
        .limit(50)
        .select(RestorePoint::as_select())
        .load::<RestorePoint>(conn)?;
    for point in failed {
        let later = restore_points::table
            .filter(restore_points::device_id.eq(device))
            .filter(restore_points::received_at.ge(point.received_at))
            .filter(restore_points::failed_at.is_null())
            .select(restore_points::id)
            .into_boxed();
        // What was compared is made up for only by what was compared.
        let good = match point.manifest_name {
            Some(_) => later.filter(restore_points::proven_at.gt(point.failed_at)),
            None => later.filter(restore_points::verified_at.gt(point.failed_at)),
        };
        if good.first::<RestorePointId>(conn).optional()?.is_none() {
            return Ok(Some(point));
        }
    }
    Ok(None)
}

/// The newest failed test of a restore point.
pub fn failed_test(conn: &mut Conn, point: RestorePointId) -> QueryResult<Option<RestoreTestId>> {
    restore_tests::table
        .filter(restore_tests::restore_point_id.eq(point))
        .filter(restore_tests::state.eq(TestState::Finished))
        .filter(restore_tests::result.eq(TestResult::Failed))
        .order((restore_tests::finished_at.desc(), restore_tests::id.desc()))
        .select(restore_tests::id)
        .first(conn)
        .optional()
}

/// Writes what a test showed of a restore point: each level that it has and since when it is known.
pub fn set_point(conn: &mut Conn, point: &RestorePoint) -> QueryResult<()> {
    diesel::update(restore_points::table.find(point.id))
        .set((
            restore_points::stored_at.eq(point.stored_at),
            restore_points::verified_at.eq(point.verified_at),
            restore_points::proven_at.eq(point.proven_at),
            restore_points::failed_at.eq(point.failed_at),
        ))
        .execute(conn)
        .map(drop)
}

/// Takes the verified and proven levels from every point of a repository that was received at or after `since`, but
/// from `but`; gives those that had any, newest first.
pub fn demote_since(
    conn: &mut Conn,
    repository: RepositoryId,
    since: Time,
    but: &[RestorePointId],
) -> QueryResult<Vec<RestorePointId>> {
    let others = restore_points::table
        .filter(restore_points::repository_id.eq(repository))
        .filter(restore_points::received_at.ge(since))
        .filter(restore_points::id.ne_all(but.to_vec()))
        .filter(restore_points::verified_at.is_not_null().or(restore_points::proven_at.is_not_null()));
    let demoted = others
        .clone()
        .order(restore_points::received_at.desc())
        .select(restore_points::id)
        .load::<RestorePointId>(conn)?;
    diesel::update(others)
        .set((restore_points::verified_at.eq(None::<Time>), restore_points::proven_at.eq(None::<Time>)))
        .execute(conn)?;
    Ok(demoted)
}

/// Marks packs as read back and right by a test that began at `started`; what was damaged before was healed. What was
/// found damaged since then may have been read before, and stays so.
pub fn set_verified(
    conn: &mut Conn,
    repository: RepositoryId,
    names: &[ObjectName],
    started: Time,
    now: Time,
) -> QueryResult<()> {
    for some in names.chunks(500) {
        diesel::update(objects::table)
            .filter(objects::repository_id.eq(repository))
            .filter(objects::kind.eq(ObjectKind::Data))
            .filter(objects::name.eq_any(some.to_vec()))
            .filter(objects::damaged_at.is_null().or(objects::damaged_at.lt(started)))
            .set((objects::verified_at.eq(now), objects::damaged_at.eq(None::<Time>)))
            .execute(conn)?;
    }
    Ok(())
}

/// Whether anything that a point received at `point_at` may need was found damaged at or after `since`, and is.
pub fn is_in_doubt(conn: &mut Conn, repository: RepositoryId, point_at: Time, since: Time) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(
        objects::table
            .filter(objects::repository_id.eq(repository))
            .filter(objects::received_at.le(point_at))
            .filter(objects::damaged_at.ge(since))
            .filter(objects::kind.eq_any(ObjectKind::NEEDED.to_vec())),
    ))
    .get_result(conn)
}
