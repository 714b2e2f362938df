//! Accounts: who somebody is, signing in, sessions and passwords.
use crate::error::{Error, FieldErrors, Result};
use crate::service::activity::{self, Act};
use crate::store::session::Session;
use crate::store::throttle::Throttle;
use crate::store::user::User;
use crate::store::{self, Conn};
use domain::account::{self, LinkPurpose, UserState};
use domain::activity::{Action, Actor, ActorKind, Object, Outcome, Via};
use domain::by::{By, Presence};
use domain::id::UserId;
use domain::name;
use domain::object::TokenKind;
use domain::role::Grants;
use domain::time::{Time, days};

/// A person who may sign in, with their roles; none for a disabled or unknown account.
///
/// # Errors
/// When the database does not answer.
pub fn active(conn: &mut Conn, id: UserId) -> Result<Option<(User, Grants)>> {
    let Some(user) = store::user::find(conn, id)? else { return Ok(None) };
    if user.state != UserState::Active {
        return Ok(None);
    }
    let grants = store::user::grants(conn, id)?;
    Ok(Some((user, grants)))
}

/// A person as the actor of an act.
pub(super) fn actor(user: &User, via: Via, address: &str) -> Actor {
    Actor {
        kind: ActorKind::User,
        id: Some(user.id.to_string()),
        name: user.name.clone(),
        via,
        address: address.to_owned(),
    }
}

/// A person who acts, with the roles they have now.
///
/// # Errors
/// When the database does not answer.
pub fn acting(conn: &mut Conn, user: &User, via: Via, presence: Presence, address: &str) -> Result<By> {
    let (actor, grants) = (actor(user, via, address), store::user::grants(conn, user.id)?);
    Ok(By { actor, user: user.id, grants, presence })
}

/// Who acts, as named in mails: with the address, because people choose their own names.
///
/// # Errors
/// When the database does not answer.
pub(super) fn who(conn: &mut Conn, by: &Actor) -> Result<String> {
    let id = by.id.as_deref().filter(|_| by.kind == ActorKind::User).and_then(UserId::parse);
    person(conn, id, &by.name)
}

/// The same for a row's `created_by`, which is a user's id or the name of whatever did it.
pub(super) fn maker(conn: &mut Conn, created_by: &str) -> Result<String> {
    person(conn, UserId::parse(created_by), created_by)
}

fn person(conn: &mut Conn, id: Option<UserId>, otherwise: &str) -> Result<String> {
    let user = id.map(|it| store::user::find(conn, it)).transpose()?.flatten();
    Ok(user.as_ref().map_or_else(|| otherwise.to_owned(), name_of))
}

/// "bob@example.org (Bob)": the address first, because nobody can choose that freely.
pub(super) fn name_of(user: &User) -> String {
    format!("{} ({})", user.email, user.name)
}

/// One try to sign in that the account's delay let through.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub email: String,
    /// None for an unknown account, and for one that may not sign in.
    pub user: Option<User>,
    throttle: String,
    browser_hash: Option<String>,
}

/// Whether somebody with this address has signed in from this browser before.
///
/// # Errors
/// When the database does not answer.
pub fn knows_browser(conn: &mut Conn, email: &str, browser: &str) -> Result<bool> {
    let user = find_active(conn, &name::lookup(email))?;
    is_known(conn, user.as_ref(), Some(&secret::hash(browser)))
}

fn find_active(conn: &mut Conn, email: &str) -> Result<Option<User>> {
    Ok(store::user::find_by_email(conn, email)?.filter(|it| it.state == UserState::Active))
}

fn is_known(conn: &mut Conn, user: Option<&User>, browser_hash: Option<&str>) -> Result<bool> {
    match (user, browser_hash) {
        (Some(user), Some(hash)) => Ok(store::session::is_known_browser(conn, user.id, hash)?),
        _ => Ok(false),
    }
}

/// Lets one try through, and counts it as wrong until it turns out right, so that simultaneous tries gain
/// nothing. Belongs in its own act, committed before the password is checked.
///
/// A browser this person has signed in from before has its own delay: someone guessing elsewhere cannot lock
/// out the real owner.
///
/// # Errors
/// `TooMany` while the delay lasts.
pub fn admit(conn: &mut Conn, email: &str, browser: Option<&str>, now: Time) -> Result<Attempt> {
    let email = name::lookup(email);
    let user = find_active(conn, &email)?;
    let browser_hash = browser.map(secret::hash);
    let is_known = is_known(conn, user.as_ref(), browser_hash.as_deref())?;
    let throttle = match &browser_hash {
        Some(hash) if is_known => format!("browser/{hash}"),
        // Hashed, so that whatever people mistype into the field is not stored anywhere.
        _ => format!("account/{}", secret::hash(&email)),
    };
    count_try(conn, &throttle, now)?;
    Ok(Attempt { email, user, throttle, browser_hash: browser_hash.filter(|_| is_known) })
}

/// Lets a signed-in person enter their own password again, with a separate delay.
///
/// # Errors
/// `TooMany` while the delay lasts.
pub fn admit_again(conn: &mut Conn, user: UserId, now: Time) -> Result<()> {
    count_try(conn, &again(user), now)
}

/// Forgets a signed-in person's tries after the right password.
///
/// # Errors
/// When the database refuses.
pub fn admitted_again(conn: &mut Conn, user: UserId) -> Result<()> {
    Ok(store::throttle::clear(conn, &again(user))?)
}

fn again(user: UserId) -> String {
    format!("again/{user}")
}

fn count_try(conn: &mut Conn, account: &str, now: Time) -> Result<()> {
    let before = store::throttle::find(conn, account)?;
    if let Some(it) = &before
        && let Some(wait) = account::still_waits(it.failure_count, it.not_before_at, now)
    {
        return Err(Error::TooMany(wait));
    }
    let failure_count = before.map_or(0, |it| it.failure_count) + 1;
    let not_before_at = now + account::delay_after(failure_count);
    Ok(store::throttle::set(conn, &Throttle { account: account.to_owned(), failure_count, not_before_at })?)
}

/// Where a person comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub address: String,
    pub user_agent: String,
}

/// A session that was opened; both values exist only in the browser.
#[derive(Debug)]
pub struct Opened {
    pub session: String,
    /// New if this person had not signed in from this browser before.
    pub browser: Option<String>,
}

/// Opens a session after the right password.
///
/// # Errors
/// When the database refuses.
pub fn sign_in(conn: &mut Conn, attempt: &Attempt, user: &User, origin: &Origin, now: Time) -> Result<Opened> {
    // The password was checked outside of this transaction; the account may have been closed meanwhile.
    if active(conn, user.id)?.is_none() {
        return Err(Error::Forbidden);
    }
    store::throttle::clear(conn, &attempt.throttle)?;
    store::throttle::delete_older(conn, now - days(1))?;
    let opened = open_session(conn, user, origin, attempt.browser_hash.as_deref(), now)?;
    let by = actor(user, Via::Web, &origin.address);
    activity::record(conn, &by, &Act::done(Action::SignedIn, object(user)), now)?;
    Ok(opened)
}

/// Opens a session for a person who has just shown who they are.
///
/// # Errors
/// When the database refuses.
pub fn open_session(
    conn: &mut Conn,
    user: &User,
    origin: &Origin,
    browser_hash: Option<&str>,
    now: Time,
) -> Result<Opened> {
    store::session::delete_older(conn, now - account::SESSION_LIFE)?;
    let id = secret::generate("")?;
    store::session::insert(
        conn,
        &Session {
            id_hash: secret::hash(&id),
            user_id: user.id,
            created_at: now,
            last_seen_at: now,
            reauthenticated_at: now,
            user_agent: origin.user_agent.clone(),
            address: origin.address.clone(),
        },
    )?;
    let browser = match browser_hash {
        Some(hash) => {
            store::session::remember_browser(conn, user.id, hash, now)?;
            None
        }
        None => {
            let token = secret::generate("")?;
            store::session::remember_browser(conn, user.id, &secret::hash(&token), now)?;
            Some(token)
        }
    };
    Ok(Opened { session: id, browser })
}

/// Records a wrong password.
///
/// # Errors
/// When the database refuses.
pub fn sign_in_failed(conn: &mut Conn, attempt: &Attempt, address: &str, now: Time) -> Result<()> {
    let (object, name) = match &attempt.user {
        Some(user) => (object(user), user.name.clone()),
        // Not what was typed: people mistype their password into this field.
        None => (Object::new("user", "", "unknown account"), "Visitor".to_owned()),
    };
    // Without an id: nobody has shown that they are this person.
    let by = Actor { kind: ActorKind::User, id: None, name, via: Via::Web, address: address.to_owned() };
    let act = Act::done(Action::SignInFailed, object).ended(Outcome::Refused);
    activity::record(conn, &by, &act, now)
}

/// Records that a signed-in person entered a wrong password.
///
/// # Errors
/// When the database refuses.
pub fn confirm_failed(conn: &mut Conn, by: &By, now: Time) -> Result<()> {
    let act = Act::done(Action::SignInFailed, own(by)).because("password asked again").ended(Outcome::Refused);
    activity::record(conn, &by.actor, &act, now)
}

/// Ends one of a person's own sessions.
///
/// # Errors
/// `NotFound` if it has ended in the meantime.
pub fn end_session(conn: &mut Conn, by: &By, session: &str, now: Time) -> Result<()> {
    if !store::session::delete(conn, by.user, session)? {
        return Err(Error::NotFound("session"));
    }
    activity::record(conn, &by.actor, &Act::done(Action::SignedOut, own(by)), now)
}

/// Ends every session of a person, who asks for it, and forgets their browsers.
///
/// # Errors
/// When the database refuses.
pub fn sign_out_everywhere(conn: &mut Conn, by: &By, now: Time) -> Result<()> {
    store::session::delete_all(conn, by.user, true)?;
    activity::record(conn, &by.actor, &Act::done(Action::SignedOutEverywhere, own(by)), now)
}

/// Changes a person's own password; all their sessions and API tokens end.
///
/// # Errors
/// When the database refuses.
pub fn change_password(conn: &mut Conn, by: &By, hash: &str, now: Time) -> Result<()> {
    store::user::set_password(conn, by.user, hash, now)?;
    end_everything(conn, by.user, now)?;
    activity::record(conn, &by.actor, &Act::done(Action::PasswordChanged, own(by)), now)
}

/// Changes what a person says about themselves.
///
/// # Errors
/// `Invalid` if the name is not valid, or when the database refuses.
pub fn change_profile(conn: &mut Conn, by: &By, name: &str, zone: &str, now: Time) -> Result<()> {
    let user = store::user::find(conn, by.user)?.ok_or(Error::NotFound("user"))?;
    check_name(name, &user.email)?;
    store::user::set_profile(conn, user.id, name, zone)?;
    let act = Act::done(Action::UserChanged, object(&user)).because("name or time zone");
    activity::record(conn, &by.actor, &act, now)
}

/// Ends everything that lets someone act as this person, after their password or roles changed.
pub(super) fn end_everything(conn: &mut Conn, user: UserId, now: Time) -> Result<()> {
    store::session::delete_all(conn, user, true)?;
    store::api_token::revoke_all(conn, user, now)?;
    store::repository::revoke_of_user(conn, user, TokenKind::OwnClient, now)?;
    store::one_time_link::close(conn, LinkPurpose::Invite, Some(user), now)?;
    Ok(())
}

/// A person's own account as the object of an act.
fn own(by: &By) -> Object {
    Object::new("user", by.user, &*by.actor.name)
}

pub(super) fn object(user: &User) -> Object {
    Object::new("user", user.id, &*user.name)
}

pub(super) fn check_name(name: &str, email: &str) -> Result<()> {
    let mut errors = FieldErrors::new();
    name::check_person(name, email, &mut errors);
    Ok(errors.into_result()?)
}
