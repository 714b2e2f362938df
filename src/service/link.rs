//! One-time links: with one, a person sets their password, or the first owner is made.
use crate::error::{Error, Result};
use crate::service::account::{actor, check_name, end_everything, object};
use crate::service::activity::{self, Act};
use crate::service::guard;
use crate::store::one_time_link::OneTimeLink;
use crate::store::user::User;
use crate::store::{self, Conn};
use domain::account::{INVITE_LINK_LIFE, LinkPurpose, SET_UP_LINK_LIFE, UserState};
use domain::activity::{Action, Via};
use domain::id::UserId;
use domain::role::Permission;
use domain::time::Time;

/// Makes the link with which a person sets their password, and ends earlier ones; returns its path.
///
/// `by` is the account that makes it, and the link dies with that account; none if the host makes it.
pub(super) fn make_invite_link(conn: &mut Conn, user: UserId, by: Option<UserId>, now: Time) -> Result<String> {
    store::one_time_link::close(conn, LinkPurpose::Invite, Some(user), now)?;
    let token = make_link(conn, LinkPurpose::Invite, (Some(user), by), now)?;
    Ok(format!("/invite/{token}"))
}

pub(super) fn make_link(
    conn: &mut Conn,
    purpose: LinkPurpose,
    (user_id, created_by): (Option<UserId>, Option<UserId>),
    now: Time,
) -> Result<String> {
    let token = secret::generate("")?;
    let life = match purpose {
        LinkPurpose::SetUp => SET_UP_LINK_LIFE,
        LinkPurpose::Invite => INVITE_LINK_LIFE,
    };
    let token_hash = secret::hash(&token);
    let expires_at = now + life;
    let link = OneTimeLink { token_hash, purpose, user_id, created_by, created_at: now, expires_at, used_at: None };
    store::one_time_link::insert(conn, &link)?;
    Ok(token)
}

/// Whether a link may still be used, and for whom.
///
/// # Errors
/// `LinkGone` if it was used, has expired or never existed, or if whoever made it no longer manages people.
pub fn open_link(conn: &mut Conn, token: &str, purpose: LinkPurpose, now: Time) -> Result<Option<User>> {
    let link = store::one_time_link::find_open(conn, &secret::hash(token), purpose, now)?.ok_or(Error::LinkGone)?;
    // Whoever made it may have lost access since: then it lets nobody in.
    if let Some(maker) = link.created_by
        && !guard::still_holds_everywhere(conn, maker, Permission::ManageUsers)?
    {
        return Err(Error::LinkGone);
    }
    Ok(match link.user_id {
        Some(id) => store::user::find(conn, id)?,
        None => None,
    })
}

/// What people say about themselves when they first sign in.
#[derive(Debug, Clone)]
pub struct Profile {
    pub email: String,
    pub name: String,
    pub time_zone: String,
    /// Already hashed: hashing is too slow for a transaction.
    pub password_hash: String,
}

/// Sets an invited person's password through their link.
///
/// # Errors
/// `LinkGone` if the link does not work, `NotFound` if the account is disabled.
pub fn accept_invite(conn: &mut Conn, token: &str, profile: &Profile, address: &str, now: Time) -> Result<User> {
    let user = open_link(conn, token, LinkPurpose::Invite, now)?.ok_or(Error::LinkGone)?;
    check_name(&profile.name, &user.email)?;
    // Of two tries at once, the update lets one through.
    use_up(conn, token, now)?;
    if !store::user::set_password(conn, user.id, &profile.password_hash, now)? {
        return Err(Error::NotFound("active account"));
    }
    store::user::set_profile(conn, user.id, &profile.name, &profile.time_zone)?;
    // Whoever comes in by a link may be another person than before.
    end_everything(conn, user.id, now)?;
    let user = User { name: profile.name.clone(), state: UserState::Active, ..user };
    let by = actor(&user, Via::Web, address);
    activity::record(conn, &by, &Act::done(Action::PasswordChanged, object(&user)).because("by an invitation"), now)?;
    Ok(user)
}

pub(super) fn use_up(conn: &mut Conn, token: &str, now: Time) -> Result<()> {
    if store::one_time_link::use_up(conn, &secret::hash(token), now)? { Ok(()) } else { Err(Error::LinkGone) }
}
