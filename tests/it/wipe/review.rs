//! Facts that got worse go back to the people.
use super::world::{World, ask, said};
use crate::support::people::{act_as, disable};
use domain::command::CommandState;
use domain::device::Encryption;
use domain::wipe::WipeState;
use holdfast::error::Error;
use holdfast::service::wipe::{self, Decision, Seen};
use holdfast::store;
use holdfast::store::wipe::WipeRequest;

fn reviews(world: &World, request: &WipeRequest, who: domain::id::UserId) -> holdfast::error::Result<WipeRequest> {
    let (ask, id, now) = (ask(&world.facts()), request.id, world.now());
    act_as(&world.server, who, move |conn, by| wipe::review(conn, by, id, ask.agreement(), now))
}

#[test]
fn worse_facts_at_the_approval_are_not_approved() {
    let world = World::new();
    let request = world.requested();
    world.says(5);

    let decision = world.approves_as(world.second, &request).unwrap();

    let Decision::ReviewAgain(reviewed) = decision else { panic!("{decision:?}") };
    assert_eq!(reviewed.state_note, "the facts have got worse: files only on the device, their size");
    assert_eq!(world.state(request.id), WipeState::ReviewAgain);
    world.cools();
    assert!(world.fetches().is_empty());
}

#[test]
fn after_a_review_everything_begins_again() {
    let world = World::new();
    let request = world.requested();
    let old = world.seen(&request);
    world.says(5);
    world.approves_as(world.second, &request).unwrap();

    assert!(reviews(&world, &request, world.second).is_err(), "only the requester agrees to more");
    let reviewed = reviews(&world, &request, world.asker).unwrap();

    assert_eq!((reviewed.state, reviewed.approved_by), (WipeState::Requested, None));
    assert_ne!(reviewed.facts_digest, request.facts_digest);
    let (id, now) = (request.id, world.now());
    let stale = Seen { current: world.seen(&reviewed).current, ..old };
    let refused = act_as(&world.server, world.second, move |conn, by| wipe::approve(conn, by, id, &stale, now));
    assert!(matches!(refused, Err(Error::Conflict(_))), "what the approver saw was the older request: {refused:?}");
    world.approved(&reviewed);
    world.cools();
    assert_eq!(world.fetches().len(), 1);
}

#[test]
fn worse_facts_while_it_waits_release_nothing() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);
    world.says(400);

    world.cools();

    assert_eq!(world.state(request.id), WipeState::ReviewAgain);
    assert!(world.fetches().is_empty());
    assert!(world.history().contains(&"wipe_needs_review".to_owned()));
    assert_eq!(world.told("Wipe not sent: laptop-1"), 2);
}

#[test]
fn worse_facts_between_release_and_delivery_deliver_nothing() {
    type Worsen = fn(&World);
    let cases: &[(&str, Worsen)] = &[
        ("more files", |world| assert!(world.says(5).is_empty())),
        ("not encrypted", |world| {
            let said = said(4, Encryption::Off, world.now());
            assert!(world.device.check_in(&world.server, said).commands.is_empty());
        }),
        ("proof lost", |world| world.proves(None, 92)),
        ("more not proven", |world| world.proves(Some(20), 93)),
        ("proof older", |world| world.proves(Some(48), 92)),
    ];
    for (name, worsen) in cases {
        let world = World::new();
        let released = world.released();

        worsen(&world);

        assert!(world.fetches().is_empty(), "{name}");
        let request = world.find(released.id);
        assert_eq!(request.state, WipeState::ReviewAgain, "{name}");
        let order = world.server.read(|conn| Ok(store::command::find(conn, released.command_id.unwrap())?)).unwrap();
        assert_eq!(order.state, CommandState::Cancelled, "{name}");
    }
}

#[test]
fn an_order_is_not_handed_out_once_more_on_worse_facts() {
    let world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);

    assert!(world.says(5).is_empty());

    assert_eq!(world.state(released.id), WipeState::ReviewAgain);
    let order = world.server.read(|conn| Ok(store::command::find(conn, released.command_id.unwrap())?)).unwrap();
    assert_eq!(order.state, CommandState::Cancelled);
    let reviewed = reviews(&world, &released, world.asker).unwrap();
    world.approved(&reviewed);
    world.cools();
    assert_eq!(world.fetches().len(), 1, "agreed to anew, it goes out anew");
}

#[test]
fn an_order_is_not_handed_out_once_more_for_a_disabled_account() {
    let world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);

    disable(&world.server, world.second);

    assert!(world.fetches().is_empty());
    assert_eq!(world.state(released.id), WipeState::Held);
}

#[test]
fn better_facts_are_no_reason_to_ask_again() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);
    world.says(3);
    world.proves(Some(4), 0);

    world.cools();

    assert_eq!(world.fetches().len(), 1);
}

#[test]
fn an_approver_sees_what_is_approved() {
    let world = World::new();
    let request = world.requested();
    let seen = world.seen(&request);
    world.says(3);

    let (id, now) = (request.id, world.now());
    let refused = act_as(&world.server, world.second, move |conn, by| wipe::approve(conn, by, id, &seen, now));

    assert!(matches!(refused, Err(Error::Conflict(_))), "even better facts are shown first: {refused:?}");
    assert!(world.approves_as(world.second, &request).is_ok());
}
