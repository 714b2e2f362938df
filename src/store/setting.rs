//! Settings that are kept in the database, by name.
use crate::store::Conn;
use crate::store::schema::settings;
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::time::Time;

/// A setting, and what it becomes if that is not in force yet.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = settings, treat_none_as_default_value = false)]
pub struct Setting {
    pub name: String,
    pub value: String,
    pub updated_at: Time,
    pub next_value: Option<String>,
    pub next_at: Option<Time>,
}

/// The value of a setting, whatever it becomes later.
pub fn find(conn: &mut Conn, name: &str) -> QueryResult<Option<String>> {
    Ok(find_whole(conn, name)?.map(|it| it.value))
}

/// A setting with what it becomes.
pub fn find_whole(conn: &mut Conn, name: &str) -> QueryResult<Option<Setting>> {
    settings::table.find(name).select(Setting::as_select()).first(conn).optional()
}

/// Sets a setting; any waiting change is dropped.
pub fn set(conn: &mut Conn, name: &str, value: &str, now: Time) -> QueryResult<()> {
    let (name, value) = (name.to_owned(), value.to_owned());
    write(conn, &Setting { name, value, updated_at: now, next_value: None, next_at: None })
}

/// Removes a setting.
pub fn remove(conn: &mut Conn, name: &str) -> QueryResult<()> {
    diesel::delete(settings::table.find(name)).execute(conn).map(drop)
}

/// Writes a setting with what it becomes.
pub fn write(conn: &mut Conn, setting: &Setting) -> QueryResult<()> {
    diesel::insert_into(settings::table)
        .values(setting)
        .on_conflict_sql(
            "(name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, \
             next_value = excluded.next_value, next_at = excluded.next_at",
        )
        .execute(conn)
        .map(drop)
}
