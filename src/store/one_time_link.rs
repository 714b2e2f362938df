//! Links that work once: the set-up of the owner, and invitations.
use crate::store::Conn;
use crate::store::schema::one_time_links;
use diesel::prelude::*;
use domain::account::LinkPurpose;
use domain::id::UserId;
use domain::time::Time;

/// A link, by the hash of its token.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = one_time_links, treat_none_as_default_value = false)]
pub struct OneTimeLink {
    pub token_hash: String,
    pub purpose: LinkPurpose,
    pub user_id: Option<UserId>,
    /// The account that made it, and with which it dies; none if it came from the host.
    pub created_by: Option<UserId>,
    pub created_at: Time,
    pub expires_at: Time,
    pub used_at: Option<Time>,
}

/// Adds a link.
pub fn insert(conn: &mut Conn, link: &OneTimeLink) -> QueryResult<()> {
    diesel::insert_into(one_time_links::table).values(link).execute(conn).map(drop)
}

/// A link that may still be used.
pub fn find_open(
    conn: &mut Conn,
    token_hash: &str,
    purpose: LinkPurpose,
    now: Time,
) -> QueryResult<Option<OneTimeLink>> {
    one_time_links::table
        .find(token_hash)
        .filter(one_time_links::purpose.eq(purpose).and(one_time_links::used_at.is_null()))
        .filter(one_time_links::expires_at.gt(now))
        .select(OneTimeLink::as_select())
        .first(conn)
        .optional()
}

/// Uses a link; false if it has been used in the meantime or has expired.
pub fn use_up(conn: &mut Conn, token_hash: &str, now: Time) -> QueryResult<bool> {
    diesel::update(
        one_time_links::table
            .find(token_hash)
            .filter(one_time_links::used_at.is_null().and(one_time_links::expires_at.gt(now))),
    )
    .set(one_time_links::used_at.eq(now))
    .execute(conn)
    .map(|count| count == 1)
}

/// Ends all open links for a purpose, for one person or, without one, those not tied to an account yet.
///
/// They expire instead of counting as used, because an account counts as in use since its last used link.
pub fn close(conn: &mut Conn, purpose: LinkPurpose, user: Option<UserId>, now: Time) -> QueryResult<usize> {
    let unused = one_time_links::purpose.eq(purpose).and(one_time_links::used_at.is_null());
    let open = unused.and(one_time_links::expires_at.gt(now));
    match user {
        Some(user) => diesel::update(one_time_links::table.filter(open.and(one_time_links::user_id.eq(user))))
            .set(one_time_links::expires_at.eq(now))
            .execute(conn),
        None => diesel::update(one_time_links::table.filter(open.and(one_time_links::user_id.is_null())))
            .set(one_time_links::expires_at.eq(now))
            .execute(conn),
    }
}
