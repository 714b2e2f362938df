//! Setting up: the first owner, and the policy a new organisation begins with.
use crate::error::{Error, Result};
use crate::service::account::{acting, check_name, object};
use crate::service::activity::{self, Act};
use crate::service::link::{Profile, make_link, open_link, use_up};
use crate::service::policy;
use crate::store::user::User;
use crate::store::{self, Conn};
use domain::account::{LinkPurpose, UserState};
use domain::activity::{Action, Actor, Object, Via};
use domain::by::Presence;
use domain::id::UserId;
use domain::name;
use domain::role::{Role, Scope};
use domain::time::Time;

/// Makes the link that creates the owner, and ends the previous one; returns its path. An act.
///
/// # Errors
/// `Refused` once there is an owner.
pub fn make_setup_link(conn: &mut Conn, by: &Actor, now: Time) -> Result<String> {
    check_ownerless(conn)?;
    store::one_time_link::close(conn, LinkPurpose::SetUp, None, now)?;
    let token = make_link(conn, LinkPurpose::SetUp, (None, None), now)?;
    let act = Act::done(Action::SetUpLinkMade, Object::new("one_time_link", "", "set-up link"));
    activity::record(conn, by, &act, now)?;
    Ok(format!("/set-up/{token}"))
}

/// Refuses a second first owner. Other people may have been invited before the first owner came.
fn check_ownerless(conn: &mut Conn) -> Result<()> {
    if store::user::has_owner(conn)? {
        return Err(Error::Refused("there is an owner already; an owner invites everyone else".to_owned()));
    }
    Ok(())
}

/// Creates the owner from a set-up link, and with `with_baseline` the policy that set-up offers.
///
/// # Errors
/// `LinkGone` if the link does not work, `Refused` if there already is an owner, `Conflict` if the address is
/// taken.
pub fn set_up(
    conn: &mut Conn,
    token: &str,
    owner: &Profile,
    with_baseline: bool,
    address: &str,
    now: Time,
) -> Result<User> {
    open_link(conn, token, LinkPurpose::SetUp, now)?;
    use_up(conn, token, now)?;
    check_ownerless(conn)?;
    let email = name::address(&owner.email).ok_or_else(|| Error::invalid("email", name::NO_ADDRESS))?;
    check_name(&owner.name, &email)?;
    if store::user::find_by_email(conn, &email)?.is_some() {
        return Err(Error::Conflict("someone was invited with this address; go back and enter your own".to_owned()));
    }
    let user = User {
        id: UserId::generate(now),
        email,
        name: owner.name.clone(),
        password_hash: Some(owner.password_hash.clone()),
        state: UserState::Active,
        time_zone: owner.time_zone.clone(),
        created_by: None,
        created_at: now,
        password_changed_at: Some(now),
    };
    store::user::insert(conn, &user)?;
    store::user::grant(conn, user.id, (Role::Owner, Scope::Organisation), None, now)?;
    let by = acting(conn, &user, Via::Web, Presence::Page, address)?;
    activity::record(conn, &by.actor, &Act::done(Action::SetUp, object(&user)), now)?;
    if with_baseline {
        policy::add_baseline(conn, &by, now)?;
    }
    Ok(user)
}
