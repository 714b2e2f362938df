//! The server's own machine has the last word, and nobody is exempt from the 72 hours except those it names.
use super::world::World;
use crate::setting;
use crate::support::NOW;
use crate::support::people::{act_as, colleague, comes_by_link, person, take_roles};
use crate::support::visit::{Visit, text};
use domain::activity::Actor;
use domain::by::Author;
use domain::id::UserId;
use domain::role::{Role, Scope};
use domain::time::{Time, minutes};
use domain::wipe::WipeState;
use holdfast::cli::control;
use holdfast::error::Result;
use holdfast::service::{self, api_token, enrollment, host, wipe};
use holdfast::store::{self, Conn};
use std::time::Duration;

/// Runs an act as `holdfast admin` does.
fn on_host<T: Send + 'static>(
    world: &World,
    act: impl FnOnce(&mut Conn, &Actor, Time) -> Result<T> + Send + 'static,
) -> T {
    let now = world.now();
    world.server.act(move |conn| act(conn, &control::actor(0), now))
}

#[test]
fn nothing_leaves_while_it_is_frozen_and_holds_begin_again_afterwards() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);

    on_host(&world, host::freeze);
    world.cools();
    assert_eq!(world.state(request.id), WipeState::Cooling, "its hold is over, and it stays");
    on_host(&world, host::unfreeze);
    world.job();
    assert_eq!(world.state(request.id), WipeState::Cooling, "nobody could look at it meanwhile");
    world.says(4);
    world.cools();
    assert_eq!(world.state(request.id), WipeState::Released);

    on_host(&world, host::freeze);
    assert!(world.fetches().is_empty(), "an order that was released is not handed out either");
    on_host(&world, host::unfreeze);
    assert_eq!(world.fetches().len(), 1);
}

#[test]
fn no_session_at_the_console_gets_around_a_freeze_or_ends_it() {
    let world = World::new();
    let server = &world.server;
    let ada = colleague(server, "ada", Role::Owner);
    let bob = colleague(server, "bob", Role::Observer);
    let request = world.requested();
    let device = world.device.id();

    on_host(&world, host::freeze);

    let owner = Visit::of(server, ada);
    let own_client = [("name", "my restic"), ("reads", ""), ("hours", "24"), ("reason", ""), ("password", "")];
    let new = [("email", "eve@example.org"), ("name", "Eve"), ("roles", "operator@organisation")];
    for (path, fields) in [
        ("/users".to_owned(), &new[..]),
        (format!("/users/{bob}/roles"), &[("roles", "approver@organisation")]),
        (format!("/users/{bob}/links"), &[]),
        (format!("/users/{bob}/disable"), &[]),
        (format!("/devices/{device}/removals"), &[("confirm", "laptop-1")]),
        (format!("/devices/{device}/repository-tokens"), &own_client[..]),
    ] {
        let answer = owner.post(&path, fields);
        assert_eq!(answer.status, 409, "{path}: {}", text(&answer));
        assert!(text(&answer).contains("holdfast admin unfreeze"), "{path}: {}", text(&answer));
    }
    assert_eq!(setting::sends(&owner, "1", "50").status, 409);
    let now = world.now();
    let again = act_as(server, ada, move |conn, by| enrollment::make_token_again(conn, by, device, now));
    assert!(again.is_err(), "an enrolment over another is a removal");
    let script = act_as(server, ada, move |conn, by| api_token::make(conn, by.into(), ada, "script", 1, now));
    assert!(script.is_err(), "access for a script");
    assert!(world.approves_as(world.second, &request).is_err());
    assert!(world.stops(request.id).is_ok(), "what keeps data safe goes on");
    assert!(world.requests(world.ask()).is_err());
    assert!(text(&owner.get("/devices")).contains("Frozen since"), "every page says so");
    let told = server.mails();
    let everyone = told.iter().filter(|it| it.subject.starts_with("Frozen: ")).count();
    assert_eq!(everyone, 4, "everyone is told: {told:?}");
}

#[test]
fn a_role_that_was_taken_away_and_given_back_revives_no_approval() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);

    take_roles(&world.server, world.second);
    world.server.app.clock.advance(minutes(1));
    let (second, roles) = (world.second, [(Role::Approver, Scope::Organisation)]);
    on_host(&world, move |conn, by, now| service::user::set_roles(conn, Author::Host(by), second, &roles, now));
    world.cools();

    assert_eq!(world.state(request.id), WipeState::Held);
}

#[test]
fn a_looser_guard_does_not_come_into_force_under_a_freeze() {
    let world = World::new();
    let owner = Visit::of(&world.server, colleague(&world.server, "ada", Role::Owner));
    setting::sends(&owner, "1", "5");
    let hold = |world: &World| {
        let now = world.now();
        world.server.read(move |conn| wipe::hold(conn, now))
    };

    on_host(&world, host::freeze);
    world.server.app.clock.advance(domain::consent::SETTLED);
    assert_eq!(hold(&world), minutes(10));
    on_host(&world, host::unfreeze);
    assert_eq!(hold(&world), minutes(10), "the 72 hours begin again");
    world.server.app.clock.advance(domain::consent::SETTLED);
    assert_eq!(hold(&world), minutes(1));
}

#[test]
fn the_host_locks_the_only_owner_and_nobody_at_the_console_opens_the_account() {
    let world = World::new();
    let server = &world.server;
    let (ada, other) = (colleague(server, "ada", Role::Owner), Role::Owner);
    let visit = Visit::of(server, ada);
    assert_eq!(visit.post(&format!("/users/{ada}/disable"), &[]).status, 409, "she is the only owner");

    let device = world.device.id();
    let (_, token) = act_as(server, ada, move |conn, by| enrollment::make_token_again(conn, by, device, NOW)).unwrap();

    on_host(&world, move |conn, by, now| host::lock(conn, by, ada, now));

    assert_eq!(visit.get("/account").status, 303, "her sessions ended");
    let cleo = Visit::of(server, colleague(server, "cleo", other));
    let refused = cleo.post(&format!("/users/{ada}/enable"), &[]);
    assert_eq!(refused.status, 409);
    assert!(text(&refused).contains("holdfast admin user unlock"), "{}", text(&refused));
    assert_eq!(cleo.post(&format!("/users/{ada}/links"), &[]).status, 409);
    let page = text(&cleo.get(&format!("/users/{ada}")));
    assert!(page.contains("<dt>Locked</dt>") && !page.contains("Enable account"), "no button that cannot work: {page}");
    let (_, path) = on_host(&world, move |conn, by, now| host::unlock(conn, by, ada, now));
    assert_eq!(server.request("GET", &path, &[], b"").status, 200);
    let hash = secret::hash(&token);
    let kept = server.read(move |conn| Ok(store::enrollment_token::find_by_hash(conn, &hash)?)).unwrap();
    assert!(kept.revoked_at.is_some(), "what she made before does not come back with her");
    let told = server.mails();
    assert!(
        told.iter().any(|it| it.to == "ada@example.org" && it.subject == "Account locked: ada@example.org"),
        "{told:?}"
    );
}

#[test]
fn the_host_ends_the_sessions_of_one_and_of_all() {
    let world = World::new();
    let server = &world.server;
    let (ada, bob) = (colleague(server, "ada", Role::Owner), colleague(server, "bob", Role::Owner));
    let (first, second) = (Visit::of(server, ada), Visit::of(server, bob));

    assert_eq!(on_host(&world, move |conn, by, now| host::end_sessions(conn, by, Some(ada), now)), 1);
    assert_eq!((first.get("/account").status, second.get("/account").status), (303, 200));
    assert_eq!(on_host(&world, |conn, by, now| host::end_sessions(conn, by, None, now)), 1);
    assert_eq!(second.get("/account").status, 303);
}

/// An owner who has just begun, and two people whom she invited.
fn beginners(world: &World) -> [UserId; 2] {
    let owner = person(&world.server, "owner", &[Role::Owner], None, NOW);
    let asker = person(&world.server, "new-asker", &[Role::Operator], Some(owner), NOW);
    [asker, person(&world.server, "new-second", &[Role::Approver], Some(owner), NOW)]
}

fn asks(world: &World, user: UserId) -> store::wipe::WipeRequest {
    let (ask, now) = (world.ask(), world.now());
    act_as(&world.server, user, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap()
}

#[test]
fn a_young_organisation_exempts_nobody_but_the_founders_whom_the_host_names() {
    let world = World::new();
    // Everyone is new: no account is older than this minute.
    let (old_asker, old_second) = (world.asker, world.second);
    world.server.act(move |conn| {
        for id in [old_asker, old_second] {
            let gone = domain::account::UserState::Disabled;
            store::user::set_state(conn, id, domain::account::UserState::Active, gone)?;
        }
        Ok(())
    });
    let [asker, second] = beginners(&world);
    let request = asks(&world, asker);

    let refused = world.approves_as(second, &request).unwrap_err();
    assert!(refused.to_string().contains("has not held this account and role for 72 hours"), "{refused}");
    assert!(refused.to_string().contains("holdfast admin founder add"), "{refused}");

    for id in [asker, second] {
        on_host(&world, move |conn, by, now| host::add_founder(conn, by, id, now));
    }
    let told = world.server.mails();
    assert_eq!(told.iter().filter(|it| it.subject.starts_with("Founder named: ")).count(), 6, "all are told: {told:?}");
    world.server.app.clock.advance(Duration::from_secs(1));
    comes_by_link(&world.server, second, world.now());
    assert!(world.approves_as(second, &request).is_err(), "whoever came in by a link since is somebody else");
    on_host(&world, move |conn, by, now| host::add_founder(conn, by, second, now));
    assert!(world.approves_as(second, &request).is_ok(), "takes effect at once");
}

#[test]
fn a_founder_who_is_given_another_role_later_waits_like_everyone() {
    let world = World::new();
    let [asker, _] = beginners(&world);
    let third = person(&world.server, "third", &[Role::Observer], None, NOW);
    for id in [asker, third] {
        on_host(&world, move |conn, by, now| host::add_founder(conn, by, id, now));
    }
    let request = asks(&world, asker);
    world.server.app.clock.advance(Duration::from_secs(1));
    let now = world.now();
    let roles = [(Role::Approver, Scope::Organisation)];
    world.server.act(move |conn| {
        service::user::set_roles(conn, Author::Host(&crate::support::server::admin()), third, &roles, now)
    });

    let refused = world.approves_as(third, &request).unwrap_err();

    assert!(refused.to_string().contains("for 72 hours"), "{refused}");
}
