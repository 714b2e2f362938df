//! Who is signed in, in which browser.
use crate::store::Conn;
use crate::store::schema::{known_browsers, sessions};
use crate::store::upsert::UpsertExt;
use diesel::prelude::*;
use domain::id::UserId;
use domain::time::Time;

/// A session, by the hash of its id: the id itself is only in the browser.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = sessions)]
pub struct Session {
    pub id_hash: String,
    pub user_id: UserId,
    pub created_at: Time,
    pub last_seen_at: Time,
    /// When the password was last entered in it.
    pub reauthenticated_at: Time,
    pub user_agent: String,
    pub address: String,
}

/// Opens a session.
pub fn insert(conn: &mut Conn, session: &Session) -> QueryResult<()> {
    diesel::insert_into(sessions::table).values(session).execute(conn).map(drop)
}

/// A session by the hash of its id.
pub fn find(conn: &mut Conn, id_hash: &str) -> QueryResult<Option<Session>> {
    sessions::table.find(id_hash).select(Session::as_select()).first(conn).optional()
}

/// A person's sessions, most recently used first.
pub fn of_user(conn: &mut Conn, user: UserId) -> QueryResult<Vec<Session>> {
    sessions::table
        .filter(sessions::user_id.eq(user))
        .order((sessions::last_seen_at.desc(), sessions::id_hash.asc()))
        .select(Session::as_select())
        .load(conn)
}

/// Notes that a session was used.
pub fn touch(conn: &mut Conn, id_hash: &str, now: Time) -> QueryResult<()> {
    diesel::update(sessions::table.find(id_hash)).set(sessions::last_seen_at.eq(now)).execute(conn).map(drop)
}

/// Ends one of a person's sessions; false if there is no such session.
pub fn delete(conn: &mut Conn, user: UserId, id_hash: &str) -> QueryResult<bool> {
    diesel::delete(sessions::table.find(id_hash).filter(sessions::user_id.eq(user)))
        .execute(conn)
        .map(|count| count == 1)
}

/// Ends all sessions of a person, and forgets the browsers if `forget` says so; returns how many ended.
pub fn delete_all(conn: &mut Conn, user: UserId, forget_browsers: bool) -> QueryResult<usize> {
    if forget_browsers {
        diesel::delete(known_browsers::table.filter(known_browsers::user_id.eq(user))).execute(conn)?;
    }
    diesel::delete(sessions::table.filter(sessions::user_id.eq(user))).execute(conn)
}

/// Removes sessions that began before `cut`.
pub fn delete_older(conn: &mut Conn, cut: Time) -> QueryResult<usize> {
    diesel::delete(sessions::table.filter(sessions::created_at.lt(cut))).execute(conn)
}

/// Whether a browser, by the hash of its token, has signed this person in before.
pub fn is_known_browser(conn: &mut Conn, user: UserId, token_hash: &str) -> QueryResult<bool> {
    let found: Option<UserId> =
        known_browsers::table.find(token_hash).select(known_browsers::user_id).first(conn).optional()?;
    Ok(found == Some(user))
}

/// Remembers a browser.
pub fn remember_browser(conn: &mut Conn, user: UserId, token_hash: &str, now: Time) -> QueryResult<()> {
    diesel::insert_into(known_browsers::table)
        .values((
            known_browsers::token_hash.eq(token_hash),
            known_browsers::user_id.eq(user),
            known_browsers::last_used_at.eq(now),
        ))
        .on_conflict_sql("(token_hash) DO UPDATE SET user_id = excluded.user_id, last_used_at = excluded.last_used_at")
        .execute(conn)
        .map(drop)
}
