//! API tokens: a script reads in a person's name, for a limited time.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::service::{freeze, reach};
use crate::store::api_token::ApiToken;
use crate::store::{self, Conn};
use domain::account::{MAX_API_TOKEN_DAYS, UserState};
use domain::activity::{Action, Object};
use domain::by::Author;
use domain::id::{ApiTokenId, UserId};
use domain::name;
use domain::role::Permission;
use domain::time::{Time, days};

/// Makes a token; the second value is the token itself, which is not stored.
///
/// # Errors
/// `Invalid` if it would live too long or its name is not valid, `Refused` for an account that nobody can sign
/// in to.
pub fn make(
    conn: &mut Conn,
    by: Author<'_>,
    user: UserId,
    called: &str,
    life_days: i64,
    now: Time,
) -> Result<(ApiToken, String)> {
    if let Author::Person(_) = by {
        freeze::check(conn)?;
    }
    let by = reach::organisation(by, Permission::ManageUsers)?;
    let life = u64::try_from(life_days).ok().filter(|_| (1..=MAX_API_TOKEN_DAYS).contains(&life_days));
    let Some(life) = life else {
        return Err(Error::invalid("days", format!("Enter 1 to {MAX_API_TOKEN_DAYS} days.")));
    };
    let mut errors = FieldErrors::new();
    name::check(called, "name", 60, &mut errors);
    errors.into_result()?;
    let owner = store::user::find(conn, user)?.ok_or(Error::NotFound("user"))?;
    match owner.state {
        UserState::Active => {}
        UserState::Invited => {
            return Err(Error::Refused(format!(
                "{} is invited and has no password yet; a token can read only in the name of somebody who can sign in",
                owner.email
            )));
        }
        UserState::Disabled => return Err(Error::Refused(format!("the account of {} is closed", owner.email))),
    }
    let secret = secret::generate("hf_api_")?;
    let token = ApiToken {
        id: ApiTokenId::generate(now),
        user_id: user,
        name: called.trim().to_owned(),
        token_hash: secret::hash(&secret),
        created_at: now,
        expires_at: now + days(life),
        revoked_at: None,
        last_used_at: None,
    };
    store::api_token::insert(conn, &token)?;
    activity::record(conn, by, &Act::done(Action::ApiTokenMade, object(&token)), now)?;
    Ok((token, secret))
}

/// Ends a token.
///
/// # Errors
/// `NotFound` if there is none, `Conflict` if it had already ended.
pub fn revoke(conn: &mut Conn, by: Author<'_>, id: ApiTokenId, now: Time) -> Result<()> {
    let by = reach::organisation(by, Permission::ManageUsers)?;
    let token = store::api_token::find(conn, id)?.ok_or(Error::NotFound("API token"))?;
    if !store::api_token::revoke(conn, id, now)? {
        return Err(Error::Conflict("This token has been revoked in the meantime.".to_owned()));
    }
    activity::record(conn, by, &Act::done(Action::ApiTokenRevoked, object(&token)), now)
}

fn object(token: &ApiToken) -> Object {
    Object::new("api_token", token.id, &*token.name)
}
