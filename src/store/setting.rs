//! Settings that are kept in the database, by name.
use crate::domain::time::Time;
use crate::store::Conn;
use crate::store::schema::settings;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;

/// The value of a setting.
pub fn find(conn: &mut Conn, name: &str) -> QueryResult<Option<String>> {
    settings::table.find(name).select(settings::value).first(conn).optional()
}

/// Sets a setting.
pub fn set(conn: &mut Conn, name: &str, value: &str, now: Time) -> QueryResult<()> {
    diesel::insert_into(settings::table)
        .values((settings::name.eq(name), settings::value.eq(value), settings::updated_at.eq(now)))
        .on_conflict_sql("(name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at")
        .execute(conn)
        .map(drop)
}
