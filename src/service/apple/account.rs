//! Personal devices whose person signs in with a Managed Apple Account (User Enrolment): they show neither their serial number
//! nor what is theirs.
use crate::error::{Error, Result};
use crate::service::apple::enrollment::{Begun, Bound, Rights, begin_with};
use crate::service::enrollment::{self, TokenDraft, TokenRefusal, check_open, check_open_token};
use crate::store::enrollment_token::EnrollmentToken;
use crate::store::{self, Conn};
use domain::by::By;
use domain::device::Ownership;
use domain::name;
use domain::time::{Time, minutes};
use std::time::Duration;

/// How long a device may take from its person’s sign-in to its profile.
const ACCESS_LIFE: Duration = minutes(10);

/// The longest account, in bytes: as long as an address of mail.
const MAX_ACCOUNT: usize = 254;

/// Makes an enrolment token for one person’s Managed Apple Account; an act. The text is shown once.
///
/// # Errors
/// As [`enrollment::make_token`]; `Invalid` if it is no account, or the token is for devices of the company.
pub fn make_token(
    conn: &mut Conn,
    by: &By,
    (draft, account): (&TokenDraft, &str),
    now: Time,
) -> Result<(EnrollmentToken, String)> {
    let Some(account) = written(account) else {
        return Err(Error::invalid("account", "An account looks like grace@example.org."));
    };
    if draft.ownership != Ownership::Personal {
        return Err(Error::invalid("account", "Only personal devices are enrolled with their person’s account."));
    }
    let made = enrollment::make_token(conn, by, draft, now)?;
    store::apple::account::insert(conn, made.0.id, &account)?;
    Ok(made)
}

/// An account as it is compared: without regard to case. None if it is none.
fn written(account: &str) -> Option<String> {
    let account = account.trim();
    let (user, place) = account.rsplit_once('@')?;
    let is_one = !user.is_empty()
        && place.contains('.')
        && account.len() <= MAX_ACCOUNT
        && name::is_plain(account)
        && !account.contains(char::is_whitespace);
    is_one.then(|| account.to_lowercase())
}

/// Why somebody cannot sign in on their device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error("this enrolment token is for another account, or for none")]
    OtherAccount,
    #[error("nobody signed in, or too long ago")]
    NotSignedIn,
}

/// The person signs in with their account and the token that was made for it: their device gets what it then shows, once,
/// within ten minutes. The token is used only once the device comes.
///
/// # Errors
/// When the database refuses. A refusal is a value.
pub fn sign_in(
    conn: &mut Conn,
    (account, token): (&str, &str),
    now: Time,
) -> Result<std::result::Result<String, SignInRefusal>> {
    if let Err(refusal) = check_open(conn, token, now)? {
        return Ok(Err(refusal.into()));
    }
    let found = store::enrollment_token::find_by_hash(conn, &secret::hash(token))?;
    let token = found.ok_or(Error::NotFound("enrolment token"))?;
    let is_for = store::apple::account::of_token(conn, token.id)?;
    if is_for.is_none() || is_for != written(account) {
        return Ok(Err(SignInRefusal::OtherAccount));
    }
    let access = secret::generate("")?;
    store::apple::account::let_in(conn, token.id, &secret::hash(&access), now + ACCESS_LIFE)?;
    Ok(Ok(access))
}

/// Begins the enrolment of a device whose person signed in.
///
/// # Errors
/// As [`begin_with`]. A refusal is a value.
pub fn begin(
    conn: &mut Conn,
    access: &str,
    (topic, rights): (&str, &dyn Rights),
    now: Time,
) -> Result<std::result::Result<Begun, SignInRefusal>> {
    let Some((id, account)) = store::apple::account::take(conn, &secret::hash(access), now)? else {
        return Ok(Err(SignInRefusal::NotSignedIn));
    };
    let token = store::enrollment_token::find(conn, id)?.ok_or(Error::NotFound("enrolment token"))?;
    if let Err(refusal) = check_open_token(conn, &token, now)? {
        return Ok(Err(refusal.into()));
    }
    let bound = Bound { account: Some(account), serial: None };
    begin_with(conn, &token, bound, (topic, rights), now).map(Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_compared_without_regard_to_case_and_what_is_none_is_none() {
        assert_eq!(written(" Grace@Example.org ").as_deref(), Some("grace@example.org"));
        for none in ["", "grace", "@example.org", "grace@", "grace@example", "gr ace@example.org", "a@b.c\u{202e}"] {
            assert_eq!(written(none), None, "{none}");
        }
        assert_eq!(written(&format!("{}@example.org", "a".repeat(300))), None);
    }
}
