//! People with accounts, made without the pages.
use super::NOW;
use super::server::TestServer;
use diesel::prelude::*;
use domain::account::LinkPurpose;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::{By, Presence};
use domain::id::UserId;
use domain::role::{Grants, Reach, Role, Scope};
use domain::time::{Time, days};
use holdfast::error::Result;
use holdfast::store::one_time_link::OneTimeLink;
use holdfast::store::schema::{user_roles, users};
use holdfast::store::{self, Conn};

/// When the organisation of a test began.
pub const SINCE: Time = Time::from_millis(NOW.millis() - 400 * 86_400_000);

/// An active account, with roles in the whole organisation.
pub fn person(server: &TestServer, name: &str, roles: &[Role], created_by: Option<UserId>, at: Time) -> UserId {
    let (name, roles) = (name.to_owned(), roles.to_vec());
    server.act(move |conn| insert_person(conn, &name, &roles, created_by, at))
}

/// [`person`] where there is no server.
pub fn insert_person(
    conn: &mut Conn,
    name: &str,
    roles: &[Role],
    created_by: Option<UserId>,
    at: Time,
) -> Result<UserId> {
    // Not by `at`: many people begin at the same moment.
    let id = UserId::generate(at);
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id),
            users::email.eq(format!("{name}@example.org")),
            users::name.eq(name),
            users::state.eq("active"),
            users::time_zone.eq("UTC"),
            users::created_by.eq(created_by.map(|it| it.to_string())),
            users::created_at.eq(at),
        ))
        .execute(conn)?;
    for role in roles {
        diesel::insert_into(user_roles::table)
            .values((
                user_roles::user_id.eq(id),
                user_roles::role.eq(role),
                user_roles::scope.eq("organisation"),
                user_roles::granted_at.eq(at),
            ))
            .execute(conn)?;
    }
    Ok(id)
}

/// Somebody as the actor of an act at the console.
pub fn actor(user: UserId) -> Actor {
    Actor {
        kind: ActorKind::User,
        id: Some(user.to_string()),
        name: user.to_string(),
        via: Via::Web,
        address: "192.0.2.7".to_owned(),
    }
}

/// An account that has been in use for a year, made by nobody.
pub fn colleague(server: &TestServer, name: &str, role: Role) -> UserId {
    person(server, name, &[role], None, SINCE + days(1))
}

/// Disables an account.
pub fn disable(server: &TestServer, id: UserId) {
    server.act(move |conn| {
        diesel::update(users::table.find(id)).set(users::state.eq("disabled")).execute(conn)?;
        Ok(())
    });
}

/// Takes every role of an account.
pub fn take_roles(server: &TestServer, id: UserId) {
    server.act(move |conn| {
        diesel::delete(user_roles::table.filter(user_roles::user_id.eq(id))).execute(conn)?;
        Ok(())
    });
}

/// Somebody signs in with a one-time link of this account.
pub fn comes_by_link(server: &TestServer, id: UserId, now: Time) {
    server.act(move |conn| {
        let link = OneTimeLink {
            token_hash: format!("{id}-{}", now.millis()),
            purpose: LinkPurpose::Invite,
            user_id: Some(id),
            created_by: None,
            created_at: now,
            expires_at: now + days(3),
            used_at: Some(now),
        };
        store::one_time_link::insert(conn, &link)?;
        Ok(())
    });
}

/// Runs an act as a person at the console whose permission reaches all devices.
pub fn act_as<T: Send + 'static>(
    server: &TestServer,
    user: UserId,
    work: impl FnOnce(&mut Conn, &By) -> Result<T> + Send + 'static,
) -> Result<T> {
    act_by(server, user, Presence::Page, Reach::All, work)
}

/// [`act_as`] by a script in their name, or with every permission only as far as `reach`.
pub fn act_by<T: Send + 'static>(
    server: &TestServer,
    user: UserId,
    presence: Presence,
    reach: Reach,
    work: impl FnOnce(&mut Conn, &By) -> Result<T> + Send + 'static,
) -> Result<T> {
    let by = By { presence, ..by(user, &reach) };
    server.app.store.act_blocking(move |conn| work(conn, &by))
}

/// Somebody at the console who may do everything as far as `reach`.
pub fn by(user: UserId, reach: &Reach) -> By {
    By { actor: actor(user), user, grants: everything(reach), presence: Presence::Page }
}

/// Every permission, as far as `reach`.
fn everything(reach: &Reach) -> Grants {
    match reach {
        Reach::All => Grants::new(vec![(Role::Owner, Scope::Organisation)]),
        Reach::Teams(teams) => Grants::new(teams.iter().map(|it| (Role::Owner, Scope::Team(*it))).collect()),
    }
}
