//! How often an account was tried with a wrong password, and when it may be tried again.
use crate::store::Conn;
use crate::store::schema::sign_in_throttles;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::time::Time;

/// Tries for one account, whether or not it exists.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sign_in_throttles)]
pub struct Throttle {
    pub account: String,
    pub failure_count: i64,
    pub not_before_at: Time,
}

/// The tries of an account.
pub fn find(conn: &mut Conn, account: &str) -> QueryResult<Option<Throttle>> {
    sign_in_throttles::table.find(account).select(Throttle::as_select()).first(conn).optional()
}

/// Sets the tries of an account.
pub fn set(conn: &mut Conn, throttle: &Throttle) -> QueryResult<()> {
    diesel::insert_into(sign_in_throttles::table)
        .values(throttle)
        .on_conflict_sql(
            "(account) DO UPDATE SET failure_count = excluded.failure_count, not_before_at = excluded.not_before_at",
        )
        .execute(conn)
        .map(drop)
}

/// Forgets the tries of an account.
pub fn clear(conn: &mut Conn, account: &str) -> QueryResult<()> {
    diesel::delete(sign_in_throttles::table.find(account)).execute(conn).map(drop)
}

/// Forgets tries whose wait ended before `cut`.
pub fn delete_older(conn: &mut Conn, cut: Time) -> QueryResult<usize> {
    diesel::delete(sign_in_throttles::table.filter(sign_in_throttles::not_before_at.lt(cut))).execute(conn)
}
