//! Tokens with which scripts read, each in a person's name.
use crate::store::Conn;
use crate::store::schema::api_tokens;
use diesel::prelude::*;
use domain::id::{ApiTokenId, UserId};
use domain::time::Time;

/// A token, by its hash.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = api_tokens, treat_none_as_default_value = false)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub user_id: UserId,
    pub name: String,
    pub token_hash: String,
    pub created_at: Time,
    pub expires_at: Time,
    pub revoked_at: Option<Time>,
    pub last_used_at: Option<Time>,
}

impl ApiToken {
    /// Whether it may be used at `now`.
    pub fn is_open(&self, now: Time) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Adds a token.
pub fn insert(conn: &mut Conn, token: &ApiToken) -> QueryResult<()> {
    diesel::insert_into(api_tokens::table).values(token).execute(conn).map(drop)
}

/// A token by id.
pub fn find(conn: &mut Conn, id: ApiTokenId) -> QueryResult<Option<ApiToken>> {
    api_tokens::table.find(id).select(ApiToken::as_select()).first(conn).optional()
}

/// A token by its hash, open or not.
pub fn find_by_hash(conn: &mut Conn, hash: &str) -> QueryResult<Option<ApiToken>> {
    api_tokens::table.filter(api_tokens::token_hash.eq(hash)).select(ApiToken::as_select()).first(conn).optional()
}

/// Every token, newest first.
pub fn all(conn: &mut Conn) -> QueryResult<Vec<ApiToken>> {
    api_tokens::table.order(api_tokens::id.desc()).select(ApiToken::as_select()).load(conn)
}

/// Notes that a token was used.
pub fn touch(conn: &mut Conn, id: ApiTokenId, now: Time) -> QueryResult<()> {
    diesel::update(api_tokens::table.find(id)).set(api_tokens::last_used_at.eq(now)).execute(conn).map(drop)
}

/// Ends a token; false if it had already ended.
pub fn revoke(conn: &mut Conn, id: ApiTokenId, now: Time) -> QueryResult<bool> {
    diesel::update(api_tokens::table.find(id).filter(api_tokens::revoked_at.is_null()))
        .set(api_tokens::revoked_at.eq(now))
        .execute(conn)
        .map(|count| count == 1)
}

/// Ends all of a person's tokens; returns how many.
pub fn revoke_all(conn: &mut Conn, user: UserId, now: Time) -> QueryResult<usize> {
    diesel::update(api_tokens::table.filter(api_tokens::user_id.eq(user).and(api_tokens::revoked_at.is_null())))
        .set(api_tokens::revoked_at.eq(now))
        .execute(conn)
}
