//! What restore tests show about restore points and objects.
use crate::store::Conn;
use crate::store::column::{from_json, to_json};
use crate::store::restore_point::RestorePoint;
use crate::store::schema::{copies, objects, restore_points};
use diesel::dsl::{exists, min};
use diesel::prelude::*;
use domain::id::{DeviceId, RepositoryId, RestorePointId};
use domain::object::{Location, ObjectKind, TokenKind};
use domain::proof::Retest;
use domain::restore_test::FailedRest;
use domain::time::Time;
use std::time::Duration;

/// One kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Anything,
    Stored,
    Verified,
    /// At least part of it was compared and came back equal.
    Compared,
    Proven,
}

/// The newest restore points of a device that have `shown`, newest first.
pub fn points(conn: &mut Conn, device: DeviceId, shown: Shown, limit: i64) -> QueryResult<Vec<RestorePoint>> {
    let of_device = restore_points::device_id.eq(device).and(restore_points::trashed_by.is_null());
    let mut query = restore_points::table.filter(of_device).into_boxed();
    query = match shown {
        Shown::Anything => query,
        Shown::Stored => query.filter(restore_points::stored_at.is_not_null()),
        Shown::Verified => query.filter(restore_points::verified_at.is_not_null()),
        Shown::Compared => {
            query.filter(restore_points::proven_at.is_not_null().or(restore_points::partial_at.is_not_null()))
        }
        Shown::Proven => query.filter(restore_points::proven_at.is_not_null()),
    };
    query
        // By receipt and not by time: a clock that was ahead for a while must not decide.
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .limit(limit)
        .select(RestorePoint::as_select())
        .load(conn)
}

/// The backup from which a device's own count of changes is made: its agent's newest, or, if that made none,
/// the newest of all.
///
/// What a person's own client sends beside the agent does not take files from the agent's backup, nor add any
/// to what the agent counts since then. A backup with the agent's token counts even before its report arrives:
/// the device's count may already be relative to it.
pub fn baseline(conn: &mut Conn, device: DeviceId) -> QueryResult<Option<RestorePoint>> {
    let by_agent = restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::trashed_by.is_null()))
        .filter(restore_points::sent_by.eq(TokenKind::Agent).or(restore_points::manifest_name.is_not_null()))
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .select(RestorePoint::as_select())
        .first(conn)
        .optional()?;
    match by_agent {
        Some(point) => Ok(Some(point)),
        None => Ok(points(conn, device, Shown::Anything, 1)?.pop()),
    }
}

/// How many restore points of a device hold a file, or may hold one: for undescribed ones that is not known.
pub fn count_filled(conn: &mut Conn, device: DeviceId) -> QueryResult<i64> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::trashed_by.is_null()))
        .filter(restore_points::file_count.is_null().or(restore_points::file_count.gt(0)))
        .count()
        .get_result(conn)
}

/// The restore points of a device that failed and whose failed files did not all come back since, newest first.
pub fn standing_failures(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<RestorePoint>> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::trashed_by.is_null()))
        .filter(restore_points::failed_at.is_not_null().and(restore_points::made_good_at.is_null()))
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .limit(limit)
        .select(RestorePoint::as_select())
        .load(conn)
}

/// The keys of the files of a point that failed and did not come back since.
pub fn failed_keys(conn: &mut Conn, point: RestorePointId) -> QueryResult<Vec<String>> {
    let text: String = restore_points::table.find(point).select(restore_points::failed_keys).first(conn)?;
    from_json(&text)
}

/// Records what of a point still has to come back, and since when nothing has to any more.
pub fn set_failed(
    conn: &mut Conn,
    point: RestorePointId,
    keys: &[String],
    rest: Option<FailedRest>,
    made_good_at: Option<Time>,
) -> QueryResult<()> {
    diesel::update(restore_points::table.find(point))
        .set((
            restore_points::failed_keys.eq(to_json(&keys)?),
            restore_points::failed_rest.eq(rest),
            restore_points::made_good_at.eq(made_good_at),
        ))
        .execute(conn)
        .map(drop)
}

/// Ends evidence of a level after `validity` from its test if it would hold longer: a shortened validity
/// applies to earlier tests too.
pub fn shorten(conn: &mut Conn, is_proof: bool, validity: Duration) -> QueryResult<()> {
    let millis = i64::try_from(validity.as_millis()).unwrap_or(i64::MAX);
    let columns: &[(&str, &str, &str)] = if is_proof {
        &[
            ("restore_points", "proven_until", "proven_at"),
            ("restore_points", "partial_until", "partial_at"),
            ("device_proof", "proven_until", "proven_tested_at"),
            ("device_proof", "partial_until", "partial_tested_at"),
        ]
    } else {
        &[("restore_points", "verified_until", "verified_at"), ("device_proof", "verified_until", "verified_tested_at")]
    };
    for (table, until, tested) in columns {
        let statement = format!("UPDATE {table} SET {until} = {tested} + {millis} WHERE {until} > {tested} + {millis}");
        diesel::sql_query(statement).execute(conn)?;
    }
    Ok(())
}

/// Records what a test showed about a restore point: each level it has and since when that is known.
pub fn set_point(conn: &mut Conn, point: &RestorePoint) -> QueryResult<()> {
    diesel::update(restore_points::table.find(point.id))
        .set((
            restore_points::stored_at.eq(point.stored_at),
            restore_points::verified_at.eq(point.verified_at),
            restore_points::verified_until.eq(point.verified_until),
            restore_points::partial_at.eq(point.partial_at),
            restore_points::partial_until.eq(point.partial_until),
            restore_points::proven_at.eq(point.proven_at),
            restore_points::proven_until.eq(point.proven_until),
            restore_points::failed_at.eq(point.failed_at),
            restore_points::test_id.eq(point.test_id),
            restore_points::retest.eq(point.retest),
        ))
        .execute(conn)
        .map(drop)
}

/// Withdraws the verified and proven levels of every point of a repository that may need what came at `since`,
/// except `but`; those that had any are to be tested again, and are returned, newest first.
pub fn demote_since(
    conn: &mut Conn,
    repository: RepositoryId,
    since: Time,
    but: &[RestorePointId],
) -> QueryResult<Vec<RestorePointId>> {
    // Also of points in the trash: what comes back from there shows no more than it did.
    let others = restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::as_of.ge(since)))
        .filter(restore_points::id.ne_all(but.to_vec()))
        .filter(
            restore_points::verified_at
                .is_not_null()
                .or(restore_points::partial_at.is_not_null())
                .or(restore_points::proven_at.is_not_null()),
        );
    let demoted = others
        .clone()
        .filter(restore_points::trashed_by.is_null())
        .order(restore_points::sequence.desc())
        .select(restore_points::id)
        .load::<RestorePointId>(conn)?;
    diesel::update(others)
        .set((
            restore_points::verified_at.eq(None::<Time>),
            restore_points::verified_until.eq(None::<Time>),
            restore_points::partial_at.eq(None::<Time>),
            restore_points::partial_until.eq(None::<Time>),
            restore_points::proven_at.eq(None::<Time>),
            restore_points::proven_until.eq(None::<Time>),
            restore_points::retest.eq(Retest::Due),
        ))
        .execute(conn)?;
    Ok(demoted)
}

/// What of a repository was read back, where nobody can say which objects a restore point needs: all it may need count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBack {
    /// When the first object came that is damaged, or was not read back yet; none if there is none.
    pub unread_since: Option<Time>,
    /// When the one of those before it that was read back longest ago was; none if there is none.
    pub oldest: Option<Time>,
}

/// How far the backup store's copies of a repository's objects were read back.
pub fn read_back(conn: &mut Conn, repository: RepositoryId) -> QueryResult<ReadBack> {
    let its_copy = copies::repository_id
        .eq(objects::repository_id)
        .and(copies::kind.eq(objects::kind))
        .and(copies::name.eq(objects::name))
        .and(copies::location.eq(Location::Primary));
    let of_repository = objects::repository_id.eq(repository).and(objects::kind.eq_any(ObjectKind::NEEDED.to_vec()));
    let unread_since: Option<Time> = objects::table
        .left_join(copies::table.on(its_copy))
        .filter(of_repository.clone())
        .filter(copies::verified_at.nullable().is_null().or(copies::damaged_at.nullable().is_not_null()))
        .select(min(objects::received_at))
        .first(conn)?;
    let mut read = objects::table
        .inner_join(copies::table.on(its_copy))
        .filter(of_repository)
        .select(min(copies::verified_at))
        .into_boxed();
    if let Some(since) = unread_since {
        read = read.filter(objects::received_at.lt(since));
    }
    let oldest: Option<Time> = read.first(conn)?;
    Ok(ReadBack { unread_since, oldest })
}

/// Whether restore points hold nothing but what was read back, as of `oldest`, and do not say so.
pub fn has_read_back_news(
    conn: &mut Conn,
    repository: RepositoryId,
    (found, oldest): (&ReadBack, Time),
) -> QueryResult<bool> {
    diesel::select(exists(read_back_news(repository, found, oldest))).get_result(conn)
}

/// Has them say so, for `validity` from then. Returns how many there were.
pub fn note_read_back(
    conn: &mut Conn,
    repository: RepositoryId,
    (found, oldest): (&ReadBack, Time),
    validity: Duration,
) -> QueryResult<usize> {
    diesel::update(read_back_news(repository, found, oldest))
        .set((
            restore_points::verified_at.eq(oldest),
            restore_points::verified_until.eq(oldest + validity),
            restore_points::retest.eq(None::<Retest>),
        ))
        .execute(conn)
}

/// Also those in the trash: what comes back from there says what is known of it.
#[diesel::dsl::auto_type]
fn read_back_news(repository: RepositoryId, found: &ReadBack, oldest: Time) -> _ {
    let before: Time = found.unread_since.unwrap_or(Time::from_millis(i64::MAX));
    // Also what a clock that was ahead has written.
    let is_news = restore_points::verified_at.is_null().or(restore_points::verified_at.ne(oldest));
    restore_points::table
        .filter(restore_points::repository_id.eq(repository))
        .filter(restore_points::stored_at.is_not_null())
        .filter(restore_points::as_of.lt(before))
        .filter(is_news)
}

/// What was waiting for damage to a repository to be healed no longer waits.
pub fn end_wait_for_healing(conn: &mut Conn, repository: RepositoryId) -> QueryResult<()> {
    diesel::update(restore_points::table)
        .filter(restore_points::repository_id.eq(repository).and(restore_points::retest.eq(Retest::OnceHealed)))
        .set(restore_points::retest.eq(Retest::Due))
        .execute(conn)
        .map(drop)
}

/// No point of a repository waits for a test any more.
pub fn end_retests(conn: &mut Conn, repository: RepositoryId) -> QueryResult<()> {
    diesel::update(restore_points::table.filter(restore_points::repository_id.eq(repository)))
        .filter(restore_points::retest.is_not_null())
        .set(restore_points::retest.eq(None::<Retest>))
        .execute(conn)
        .map(drop)
}

/// Whether a repository's newest backup by the agent relies on something that was found damaged: its test
/// failed because of it, or the damage was found after the backup arrived.
pub fn counts_on_damage(conn: &mut Conn, repository: RepositoryId) -> QueryResult<bool> {
    let newest = restore_points::table
        .filter(restore_points::repository_id.eq(repository).and(restore_points::manifest_name.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .select((restore_points::retest, restore_points::received_at))
        .first::<(Option<Retest>, Time)>(conn)
        .optional()?;
    let Some((retest, received_at)) = newest else { return Ok(false) };
    if retest == Some(Retest::OnceHealed) {
        return Ok(true);
    }
    diesel::select(exists(
        copies::table
            .filter(copies::repository_id.eq(repository).and(copies::damaged_at.ge(received_at)))
            .filter(copies::location.eq(Location::Primary))
            .filter(copies::kind.eq_any([ObjectKind::Data, ObjectKind::Index])),
    ))
    .get_result(conn)
}

/// Devices with a restore point that is to be tested again.
pub fn devices_to_retest(conn: &mut Conn, limit: i64) -> QueryResult<Vec<DeviceId>> {
    restore_points::table
        .filter(restore_points::retest.eq(Retest::Due).and(restore_points::trashed_by.is_null()))
        .select(restore_points::device_id)
        .distinct()
        .order(restore_points::device_id)
        .limit(limit)
        .load(conn)
}

/// A device's restore points that are to be tested again, newest first, at most `limit`.
pub fn to_retest(conn: &mut Conn, device: DeviceId, limit: i64) -> QueryResult<Vec<RestorePointId>> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::retest.eq(Retest::Due)))
        .filter(restore_points::trashed_by.is_null())
        .order((restore_points::sequence.desc(), restore_points::id.desc()))
        .limit(limit)
        .select(restore_points::id)
        .load(conn)
}

/// How many restore points of a device are to be tested again, now or once they are healed.
pub fn count_to_retest(conn: &mut Conn, device: DeviceId) -> QueryResult<i64> {
    restore_points::table
        .filter(restore_points::device_id.eq(device).and(restore_points::retest.is_not_null()))
        .filter(restore_points::trashed_by.is_null())
        .count()
        .get_result(conn)
}

/// Whether anything that a point as of `point_at` may need was found damaged at or after `since`, and still is.
pub fn is_in_doubt(conn: &mut Conn, repository: RepositoryId, point_at: Time, since: Time) -> QueryResult<bool> {
    let is_its_object = objects::repository_id
        .eq(copies::repository_id)
        .and(objects::kind.eq(copies::kind))
        .and(objects::name.eq(copies::name));
    diesel::select(exists(
        copies::table
            .inner_join(objects::table.on(is_its_object))
            .filter(copies::repository_id.eq(repository).and(copies::damaged_at.ge(since)))
            .filter(copies::location.eq(Location::Primary))
            .filter(copies::kind.eq_any(ObjectKind::NEEDED.to_vec()))
            .filter(objects::received_at.le(point_at)),
    ))
    .get_result(conn)
}
