//! One-time passwords with which a device gets its certificate; only their hash is stored.
use crate::store::Conn;
use crate::store::schema::apple_challenges;
use diesel::prelude::*;
use domain::id::AppleEnrollmentId;
use domain::time::Time;

/// Adds one.
pub fn insert(conn: &mut Conn, hash: &str, enrollment: AppleEnrollmentId, expires_at: Time) -> QueryResult<()> {
    diesel::insert_into(apple_challenges::table)
        .values((
            apple_challenges::hash.eq(hash),
            apple_challenges::enrollment_id.eq(enrollment),
            apple_challenges::expires_at.eq(expires_at),
        ))
        .execute(conn)
        .map(drop)
}

/// The enrolment one is for; none if it is unknown, has expired or was used.
pub fn open(conn: &mut Conn, hash: &str, now: Time) -> QueryResult<Option<AppleEnrollmentId>> {
    apple_challenges::table
        .find(hash)
        .filter(apple_challenges::used_at.is_null())
        .filter(apple_challenges::expires_at.gt(now))
        .select(apple_challenges::enrollment_id)
        .first(conn)
        .optional()
}

/// Uses one up; false if it is not open any more. Of two that come at once, one gets it.
pub fn take(conn: &mut Conn, hash: &str, now: Time) -> QueryResult<bool> {
    let open = apple_challenges::table
        .find(hash)
        .filter(apple_challenges::used_at.is_null())
        .filter(apple_challenges::expires_at.gt(now));
    Ok(diesel::update(open).set(apple_challenges::used_at.eq(Some(now))).execute(conn)? == 1)
}

/// Ends those of an enrolment that nobody used.
pub fn close(conn: &mut Conn, enrollment: AppleEnrollmentId, now: Time) -> QueryResult<()> {
    diesel::update(apple_challenges::table)
        .filter(apple_challenges::enrollment_id.eq(enrollment).and(apple_challenges::used_at.is_null()))
        .set(apple_challenges::used_at.eq(Some(now)))
        .execute(conn)
        .map(drop)
}
