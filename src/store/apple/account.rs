//! Which Managed Apple Account an enrolment token is for, and who signed in with it; only hashes are stored.
use crate::store::Conn;
use crate::store::schema::apple_accounts;
use diesel::prelude::*;
use domain::id::EnrollmentTokenId;
use domain::time::Time;

/// Keeps which account a token is for.
pub fn insert(conn: &mut Conn, token: EnrollmentTokenId, account: &str) -> QueryResult<()> {
    diesel::insert_into(apple_accounts::table)
        .values((apple_accounts::token_id.eq(token), apple_accounts::account.eq(account)))
        .execute(conn)
        .map(drop)
}

/// The account that a token is for; none if it is for any device.
pub fn of_token(conn: &mut Conn, token: EnrollmentTokenId) -> QueryResult<Option<String>> {
    apple_accounts::table.find(token).select(apple_accounts::account).first(conn).optional()
}

/// Somebody signed in with a token: what they were given before ends.
pub fn let_in(conn: &mut Conn, token: EnrollmentTokenId, hash: &str, until: Time) -> QueryResult<()> {
    diesel::update(apple_accounts::table.find(token))
        .set((apple_accounts::access_hash.eq(Some(hash)), apple_accounts::access_until.eq(Some(until))))
        .execute(conn)
        .map(drop)
}

/// Uses up what somebody was given when they signed in; the token and the account, or none if it is unknown, has expired or
/// was used. Of two that come at once, one gets it.
pub fn take(conn: &mut Conn, hash: &str, now: Time) -> QueryResult<Option<(EnrollmentTokenId, String)>> {
    let open =
        apple_accounts::table.filter(apple_accounts::access_hash.eq(hash)).filter(apple_accounts::access_until.gt(now));
    let found = open.select((apple_accounts::token_id, apple_accounts::account)).first(conn).optional()?;
    let nothing = (apple_accounts::access_hash.eq(None::<String>), apple_accounts::access_until.eq(None::<Time>));
    let taken = diesel::update(open).set(nothing).execute(conn)?;
    Ok(found.filter(|_| taken == 1))
}
