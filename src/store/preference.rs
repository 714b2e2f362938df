//! How one person likes a page to look.
use crate::store::Conn;
use crate::store::schema::preferences;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::UserId;

/// What a person chose; none if they never did.
pub fn find(conn: &mut Conn, user: UserId, name: &str) -> QueryResult<Option<String>> {
    preferences::table.find((user, name)).select(preferences::value).first(conn).optional()
}

/// Stores what a person chose.
pub fn set(conn: &mut Conn, user: UserId, name: &str, value: &str) -> QueryResult<()> {
    diesel::insert_into(preferences::table)
        .values((preferences::user_id.eq(user), preferences::name.eq(name), preferences::value.eq(value)))
        .on_conflict_sql("(user_id, name) DO UPDATE SET value = excluded.value")
        .execute(conn)
        .map(drop)
}
