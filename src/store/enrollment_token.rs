//! Enrolment tokens; only their hash is stored.
use crate::store::Conn;
use crate::store::schema::enrollment_tokens;
use diesel::prelude::*;
use domain::device::Ownership;
use domain::id::{DeviceId, EnrollmentTokenId, TeamId};
use domain::role::Reach;
use domain::time::Time;

/// A token that lets a number of devices enroll.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, Identifiable)]
#[diesel(table_name = enrollment_tokens, treat_none_as_default_value = false)]
pub struct EnrollmentToken {
    pub id: EnrollmentTokenId,
    pub token_hash: String,
    pub name: String,
    pub team_id: Option<TeamId>,
    /// The one device that may enroll again with it; none for new devices.
    pub device_id: Option<DeviceId>,
    pub ownership: Ownership,
    pub use_limit: i64,
    pub use_count: i64,
    /// Who made it: a user's id, or the name of whatever did.
    pub created_by: String,
    pub created_at: Time,
    pub expires_at: Time,
    pub revoked_at: Option<Time>,
}

/// A token by its id.
pub fn find(conn: &mut Conn, id: EnrollmentTokenId) -> QueryResult<Option<EnrollmentToken>> {
    enrollment_tokens::table.find(id).select(EnrollmentToken::as_select()).first(conn).optional()
}

/// The token with this hash.
pub fn find_by_hash(conn: &mut Conn, hash: &str) -> QueryResult<Option<EnrollmentToken>> {
    enrollment_tokens::table
        .filter(enrollment_tokens::token_hash.eq(hash))
        .select(EnrollmentToken::as_select())
        .first(conn)
        .optional()
}

/// The newest tokens within reach first, at most `limit`.
pub fn newest(conn: &mut Conn, reach: &Reach, limit: i64) -> QueryResult<Vec<EnrollmentToken>> {
    let mut query = enrollment_tokens::table.into_boxed();
    if let Reach::Teams(teams) = reach {
        query = query.filter(enrollment_tokens::team_id.eq_any(teams.clone()));
    }
    query.order(enrollment_tokens::id.desc()).limit(limit).select(EnrollmentToken::as_select()).load(conn)
}

/// Adds a token.
pub fn insert(conn: &mut Conn, token: &EnrollmentToken) -> QueryResult<()> {
    diesel::insert_into(enrollment_tokens::table).values(token).execute(conn).map(drop)
}

/// Counts one use; false if the token is used up, has expired or was revoked.
pub fn take_use(conn: &mut Conn, id: EnrollmentTokenId, now: Time) -> QueryResult<bool> {
    let usable = enrollment_tokens::table
        .find(id)
        .filter(enrollment_tokens::use_count.lt(enrollment_tokens::use_limit))
        .filter(enrollment_tokens::expires_at.gt(now))
        .filter(enrollment_tokens::revoked_at.is_null());
    let changed =
        diesel::update(usable).set(enrollment_tokens::use_count.eq(enrollment_tokens::use_count + 1)).execute(conn)?;
    Ok(changed == 1)
}

/// How many devices in total could still enroll with the open tokens for new devices that somebody made.
pub fn open_uses(conn: &mut Conn, created_by: &str, now: Time) -> QueryResult<i64> {
    let open: Vec<(i64, i64)> = enrollment_tokens::table
        .filter(enrollment_tokens::created_by.eq(created_by).and(enrollment_tokens::device_id.is_null()))
        .filter(enrollment_tokens::expires_at.gt(now).and(enrollment_tokens::revoked_at.is_null()))
        .select((enrollment_tokens::use_limit, enrollment_tokens::use_count))
        .load(conn)?;
    Ok(open.iter().map(|(limit, count)| limit - count).sum())
}

/// How many tokens for a device to enroll again somebody made after `since` and up to `until`.
pub fn count_again(conn: &mut Conn, created_by: &str, since: Time, until: Time) -> QueryResult<i64> {
    enrollment_tokens::table
        .filter(enrollment_tokens::created_by.eq(created_by).and(enrollment_tokens::device_id.is_not_null()))
        .filter(enrollment_tokens::created_at.gt(since).and(enrollment_tokens::created_at.le(until)))
        .count()
        .get_result(conn)
}

/// Revokes every token that somebody made.
pub fn revoke_of(conn: &mut Conn, created_by: &str, now: Time) -> QueryResult<usize> {
    diesel::update(enrollment_tokens::table)
        .filter(enrollment_tokens::created_by.eq(created_by).and(enrollment_tokens::revoked_at.is_null()))
        .set(enrollment_tokens::revoked_at.eq(Some(now)))
        .execute(conn)
}

/// Revokes a token; false when it was revoked before.
pub fn revoke(conn: &mut Conn, id: EnrollmentTokenId, now: Time) -> QueryResult<bool> {
    let which = enrollment_tokens::table.find(id).filter(enrollment_tokens::revoked_at.is_null());
    let changed = diesel::update(which).set(enrollment_tokens::revoked_at.eq(Some(now))).execute(conn)?;
    Ok(changed == 1)
}
