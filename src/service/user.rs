//! People: inviting them, giving and taking roles, and closing accounts.
use crate::error::{Error, FieldErrors, Result};
use crate::service::account::{end_everything, name_of, object, who};
use crate::service::activity::{self, Act};
use crate::service::alert::AccessChange;
use crate::service::link::make_invite_link;
use crate::service::mail::{self, Mail, Recipients};
use crate::service::{alert, freeze, installation, reach};
use crate::store::user::User;
use crate::store::{self, Conn};
use anyhow::Context;
use askama::Template;
use domain::account::{INVITE_LINK_LIFE, UserState};
use domain::activity::{Action, Object};
use domain::by::Author;
use domain::id::UserId;
use domain::name::{NO_ADDRESS, address, check_person};
use domain::object::TokenKind;
use domain::role::{Permission, Role, Scope};
use domain::time::{Time, hours};

/// A person to be invited.
#[derive(Debug, Clone)]
pub struct Invitation {
    pub email: String,
    pub name: String,
    pub roles: Vec<(Role, Scope)>,
}

/// Makes an account without a password, and the link with which the person sets one; returns its path.
///
/// # Errors
/// `Invalid` if the address is not valid or is taken, or no role is given.
pub fn invite(conn: &mut Conn, by: Author<'_>, invited: &Invitation, now: Time) -> Result<(User, String)> {
    let actor = reach::organisation(by, Permission::ManageUsers)?;
    admit(conn, by, now)?;
    let email = address(&invited.email).ok_or_else(|| Error::invalid("email", NO_ADDRESS))?;
    let mut errors = FieldErrors::new();
    check_person(&invited.name, &invited.email, &mut errors);
    errors.into_result()?;
    if store::user::find_by_email(conn, &email)?.is_some() {
        return Err(Error::invalid("email", "Someone already has an account with this address."));
    }
    if invited.roles.is_empty() {
        return Err(Error::invalid("roles", "Choose at least one role."));
    }
    let user = User {
        id: UserId::generate(now),
        email,
        name: invited.name.trim().to_owned(),
        password_hash: None,
        state: UserState::Invited,
        time_zone: "UTC".to_owned(),
        created_by: by.user(),
        created_at: now,
        password_changed_at: None,
    };
    let what = format!("invited {}. Roles: {}.", name_of(&user), describe_all(conn, &invited.roles)?);
    tell(conn, by, &user, (&what, &invited.roles), OVERSEERS, now)?;
    store::user::insert(conn, &user)?;
    activity::record(conn, actor, &Act::done(Action::UserAdded, object(&user)), now)?;
    for grant in &invited.roles {
        give(conn, by, &user, *grant, now)?;
    }
    let path = make_link(conn, by, &user, now)?;
    Ok((user, path))
}

/// Makes a new link for a person who lost their link or their password.
///
/// # Errors
/// `Refused` for a disabled account.
pub fn invite_again(conn: &mut Conn, by: Author<'_>, id: UserId, now: Time) -> Result<String> {
    let actor = reach::organisation(by, Permission::ManageUsers)?;
    admit(conn, by, now)?;
    let user = find(conn, id)?;
    if user.state == UserState::Disabled {
        return Err(Error::Refused("This account is disabled. Enable it first.".to_owned()));
    }
    tell_of_link(conn, by, &user, "", now)?;
    let path = make_link(conn, by, &user, now)?;
    activity::record(conn, actor, &Act::done(Action::LinkMade, object(&user)), now)?;
    Ok(path)
}

/// Sets a person's roles; if they change, all their sessions and tokens end.
///
/// # Errors
/// `Refused` if the organisation would have no owner left.
pub fn set_roles(conn: &mut Conn, by: Author<'_>, id: UserId, roles: &[(Role, Scope)], now: Time) -> Result<()> {
    let actor = reach::organisation(by, Permission::ManageUsers)?;
    admit(conn, by, now)?;
    let user = find(conn, id)?;
    let held = store::user::grants(conn, id)?;
    let owner = (Role::Owner, Scope::Organisation);
    if held.iter().any(|it| *it == owner) && !roles.contains(&owner) {
        keep_an_owner(conn, id)?;
    }
    if roles.is_empty() {
        return Err(Error::invalid("roles", "Choose at least one role, or disable the account."));
    }
    let taken: Vec<_> = held.iter().filter(|it| !roles.contains(it)).copied().collect();
    let given: Vec<_> = roles.iter().filter(|it| !held.iter().any(|had| had == *it)).copied().collect();
    if taken.is_empty() && given.is_empty() {
        return Ok(());
    }
    let mut parts = Vec::new();
    for (word, grants) in [("gave", &given), ("took", &taken)] {
        if !grants.is_empty() {
            parts.push(format!("{word} {}", describe_all(conn, grants)?));
        }
    }
    let what = format!("changed the roles of {}: {}.", name_of(&user), parts.join("; "));
    tell(conn, by, &user, (&what, &given), Recipients::Overseers(id), now)?;
    for grant in taken {
        store::user::revoke(conn, id, grant)?;
        let act = Act::done(Action::RoleRevoked, object(&user));
        let what = describe(conn, grant)?;
        activity::record(conn, actor, &act.because(&what), now)?;
    }
    for grant in given {
        give(conn, by, &user, grant, now)?;
    }
    // Except the open link of a person who has not signed in yet: it carries no role.
    if user.state != UserState::Invited {
        end_everything(conn, id, now)?;
    }
    Ok(())
}

/// Closes an account: nobody can sign in to it, and everything open ends.
///
/// # Errors
/// `Refused` for the last owner.
pub fn disable(conn: &mut Conn, by: Author<'_>, id: UserId, now: Time) -> Result<()> {
    let actor = reach::organisation(by, Permission::ManageUsers)?;
    admit(conn, by, now)?;
    let user = find(conn, id)?;
    let held: Vec<_> = store::user::grants(conn, id)?.iter().copied().collect();
    if held.contains(&(Role::Owner, Scope::Organisation)) {
        keep_an_owner(conn, id)?;
    }
    let roles = describe_all(conn, &held)?;
    let what = format!("disabled the account of {}. Roles: {roles}.", name_of(&user));
    // Told before the account is closed, so that its own person gets the mail too.
    tell(conn, by, &user, (&what, &[]), Recipients::Overseers(id), now)?;
    // An update from disabled to disabled finds its row, so that is asked too.
    if !store::user::set_state(conn, id, user.state, UserState::Disabled)? || user.state == UserState::Disabled {
        return Err(Error::Conflict("This account has been disabled in the meantime.".to_owned()));
    }
    close(conn, id, now)?;
    activity::record(conn, actor, &Act::done(Action::UserDisabled, object(&user)), now)
}

/// Ends all that an account opened, also what reopening it later must not bring back to life.
pub(super) fn close(conn: &mut Conn, id: UserId, now: Time) -> Result<()> {
    end_everything(conn, id, now)?;
    store::repository::revoke_of_user(conn, id, TokenKind::AppendClient, now)?;
    store::enrollment_token::revoke_of(conn, id.as_str(), now)?;
    Ok(())
}

/// Opens a closed account again; the person sets a new password with the link whose path this returns.
///
/// # Errors
/// `Conflict` if it is not disabled.
pub fn enable(conn: &mut Conn, by: Author<'_>, id: UserId, now: Time) -> Result<String> {
    let actor = reach::organisation(by, Permission::ManageUsers)?;
    admit(conn, by, now)?;
    let user = find(conn, id)?;
    if store::user::host_said(conn, id)?.locked_at.is_some() {
        return Err(Error::Refused(
            "This account was locked on the server’s own machine. To open it, run holdfast admin user unlock there."
                .to_owned(),
        ));
    }
    tell_of_link(conn, by, &user, "enabled the account and ", now)?;
    // Not active: the old password opens nothing any more.
    if !store::user::set_state(conn, id, UserState::Disabled, UserState::Invited)? {
        return Err(Error::Conflict("This account is not disabled.".to_owned()));
    }
    activity::record(conn, actor, &Act::done(Action::UserChanged, object(&user)).because("enabled"), now)?;
    activity::record(conn, actor, &Act::done(Action::LinkMade, object(&user)), now)?;
    make_link(conn, by, &user, now)
}

/// A link with which a person sets a password, and a mail that says who has it: the link itself would be
/// readable in the outbox and in mailboxes, while we keep only its hash.
fn make_link(conn: &mut Conn, by: Author<'_>, user: &User, now: Time) -> Result<String> {
    let path = make_invite_link(conn, user.id, by.user(), now)?;
    let who = who(conn, by.actor())?;
    let body = Invited {
        by: &who,
        is_new: user.password_hash.is_none(),
        url: installation::public_url(conn)?.unwrap_or_default(),
        expires_at: (now + INVITE_LINK_LIFE).iso(),
    };
    let mail = Mail {
        to: Recipients::Account(user.id),
        kind: "invited",
        // At most once an hour to a stranger's mailbox, however many links are made.
        dedupe_key: Some((now.seconds() / 3600).to_string()),
        subject: format!("Link for {}", user.email),
        body: body.render().context("writing a mail")?,
    };
    mail::enqueue(conn, &mail, now)?;
    Ok(path)
}

#[derive(Template)]
#[template(path = "mail/invited.txt")]
struct Invited<'a> {
    by: &'a str,
    is_new: bool,
    url: String,
    expires_at: String,
}

fn give(conn: &mut Conn, by: Author<'_>, user: &User, grant: (Role, Scope), now: Time) -> Result<()> {
    store::user::grant(conn, user.id, grant, by.user(), now)?;
    let what = describe(conn, grant)?;
    activity::record(conn, by.actor(), &Act::done(Action::RoleGranted, object(user)).because(&what), now)
}

/// Reports a link: whoever opens it signs in as this person.
fn tell_of_link(conn: &mut Conn, by: Author<'_>, user: &User, first: &str, now: Time) -> Result<()> {
    let held: Vec<_> = store::user::grants(conn, user.id)?.iter().copied().collect();
    let (roles, whom) = (describe_all(conn, &held)?, name_of(user));
    let what = format!(
        "{} {first}made a one-time link for {whom}: whoever opens it can sign in as them. Roles: {roles}.",
        who(conn, by.actor())?
    );
    let roles: Vec<_> = held.iter().map(|(role, _)| *role).collect();
    let change = AccessChange { what: &what, roles: &roles, to: OVERSEERS, once_an_hour: true };
    alert::access_changed(conn, by, user, &change, now)
}

/// How many accounts, links, roles and settings one person may make or change in an hour: more would bury what matters.
const PER_HOUR: i64 = 30;

/// Lets one more change of access through, unless one person makes too many, or everything is frozen. On the server's
/// own machine there is no limit.
pub(super) fn admit(conn: &mut Conn, by: Author<'_>, now: Time) -> Result<()> {
    let Some(id) = by.user() else { return Ok(()) };
    freeze::check(conn)?;
    use Action as A;
    let acts = [A::UserAdded, A::LinkMade, A::RoleGranted, A::RoleRevoked, A::UserDisabled, A::SettingChanged];
    if store::activity::count_by(conn, id.as_str(), &acts, now - hours(1))? < PER_HOUR {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "You made {PER_HOUR} changes to accounts, links, roles and settings within an hour, which is the most for one \
         person. Wait, or use `holdfast admin user` on the server’s own machine."
    )))
}

/// If the person has a mail of their own.
const OVERSEERS: Recipients = Recipients::Permission(Permission::ManageUsers, None);

/// Reports what `by` is about to do; `given` is what somebody may then do.
fn tell(
    conn: &mut Conn,
    by: Author<'_>,
    user: &User,
    (what, given): (&str, &[(Role, Scope)]),
    to: Recipients,
    now: Time,
) -> Result<()> {
    let roles: Vec<_> = given.iter().map(|(role, _)| *role).collect();
    let what = format!("{} {what}", who(conn, by.actor())?);
    let change = AccessChange { what: &what, roles: &roles, to, once_an_hour: false };
    alert::access_changed(conn, by, user, &change, now)
}

/// "Operator in team Berlin, Auditor".
fn describe_all(conn: &mut Conn, grants: &[(Role, Scope)]) -> Result<String> {
    let names: Vec<_> = grants.iter().map(|it| describe(conn, *it)).collect::<Result<_>>()?;
    Ok(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

/// "Operator in team Berlin", or "Operator".
fn describe(conn: &mut Conn, (role, scope): (Role, Scope)) -> Result<String> {
    Ok(match scope {
        Scope::Organisation => role.name().to_owned(),
        Scope::Team(id) => {
            let team = store::team::find(conn, id)?.ok_or(Error::NotFound("team"))?;
            format!("{} in team {}", role.name(), team.name)
        }
    })
}

fn keep_an_owner(conn: &mut Conn, id: UserId) -> Result<()> {
    if store::user::other_owner_count(conn, id)? > 0 {
        return Ok(());
    }
    Err(Error::Refused(
        "This is the last owner. Make someone else an owner first, or use `holdfast admin user lock` on the server’s own \
         machine."
            .to_owned(),
    ))
}

fn find(conn: &mut Conn, id: UserId) -> Result<User> {
    store::user::find(conn, id)?.ok_or(Error::NotFound("user"))
}

/// A team as the object of an act.
pub(super) fn team_object(team: &store::team::Team) -> Object {
    Object::new("team", team.id, &*team.name)
}
