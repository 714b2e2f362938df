//! Files that are damaged in the store are certain to be lost: both people name their number, or nothing
//! happens.
use super::World;
use crate::support::NOW;
use crate::support::door::name;
use crate::support::people::act_as;
use crate::support::visit::{Visit, text};
use domain::object::{Location, ObjectKind, TokenKind};
use domain::role::Reach;
use domain::time::minutes;
use domain::wipe::WipeState;
use holdfast::blob::BlobKey;
use holdfast::error::Error;
use holdfast::service::{backup, wipe};
use holdfast::store;
use holdfast::store::device_proof::{DeviceProof, More};

/// Three of the device's files failed their restore test, and no later one found them intact.
fn damages(world: &World) {
    let id = world.device.id();
    world.server.act(move |conn| {
        let row = store::device_proof::find(conn, id)?.unwrap();
        let damaged_names = r#"["/home/grace/thesis.odt"]"#.to_owned();
        let row = DeviceProof {
            rank: 0,
            failed_at: Some(NOW),
            damaged_files: 3,
            more: More { damaged_names, is_of_customer: false },
            ..row
        };
        store::device_proof::set(conn, &row)?;
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        let pack = BlobKey::new(repository.id, ObjectKind::Data, name(b"pack"));
        backup::received(conn, &pack, 4, TokenKind::Agent, NOW)?;
        let (location, at) = (Location::Primary, NOW + minutes(1));
        assert!(store::copy::mark_damaged(conn, location, pack.repository, pack.kind, &pack.name, at)?);
        Ok(())
    });
}

/// Whether the red bar of each page speaks of a damaged store.
fn bar(world: &World) -> bool {
    text(&Visit::of(&world.server, world.asker).get("/account")).contains("The backup store is damaged.")
}

#[test]
fn damage_is_certain_loss_and_holds_a_wipe_until_both_people_accept_it_by_number() {
    let world = World::new();
    damages(&world);
    assert!(bar(&world));
    let facts = world.facts();
    assert!(!facts.loss().is_nothing());
    assert!(facts.loss().consent().contains("(3 damaged)"), "{}", facts.loss().consent());
    assert_eq!(facts.known.damaged.names, ["/home/grace/thesis.odt"]);
    let blind = wipe::Ask { consent: String::new(), ..world.ask() };
    assert!(matches!(world.requests(blind), Err(Error::Invalid(_))), "the requester has to accept it");

    let request = world.requested();
    assert_eq!(request.state, WipeState::Held);
    assert!(request.state_note.contains("damaged in the store"), "{}", request.state_note);
    assert!(world.approves_as(world.second, &request).is_err(), "nobody approves what is held");
    let (id, now, consent) = (request.id, world.now(), facts.loss().consent());
    let blind = act_as(&world.server, world.second, move |conn, by| wipe::lift(conn, by, id, now));
    assert!(matches!(blind, Err(Error::Invalid(_))), "the second person has to accept it too");
    assert_eq!(world.state(id), WipeState::Held);

    let lifted =
        act_as(&world.server, world.second, move |conn, by| wipe::lift_agreed(conn, by, id, &consent, now)).unwrap();
    assert_eq!(lifted.state, WipeState::Requested);
    assert_eq!(world.approved(&lifted).state, WipeState::Cooling);
    assert_eq!(world.server.read(|conn| Ok(store::attention::lost(conn, &Reach::All)?)), (0, 0));
    world.cools();
    world.fetches();
    let report = world.report(&world.find(id), &[]);
    world.sends(&report);
    assert_eq!(world.state(id), WipeState::Confirmed);
    assert_eq!(world.server.read(|conn| Ok(store::attention::lost(conn, &Reach::All)?)), (3, 1));
    assert!(!bar(&world), "it speaks of devices that can still be saved");
}

#[test]
fn damage_that_is_found_after_a_request_sends_it_back_and_holds_it() {
    let world = World::new();
    let request = world.requested();
    assert_eq!(request.state, WipeState::Requested);

    damages(&world);
    assert!(matches!(world.approves_as(world.second, &request), Ok(wipe::Decision::ReviewAgain(_))));
    let (id, now, ask) = (request.id, world.now(), world.ask());
    let again =
        act_as(&world.server, world.asker, move |conn, by| wipe::review(conn, by, id, ask.agreement(), now)).unwrap();
    assert_eq!(again.state, WipeState::Held);
}

/// A pack of the device rots, verification finds it, and no restore test has met it yet.
fn rots(world: &World) {
    let (id, now) = (world.device.id(), world.now());
    world.server.act(move |conn| {
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        let pack = BlobKey::new(repository.id, ObjectKind::Data, name(b"rots"));
        backup::received(conn, &pack, 4, TokenKind::Agent, now)?;
        assert!(backup::object_found_damaged(conn, &pack, "its bytes changed", now + minutes(1))?);
        Ok(())
    });
}

#[test]
fn damage_of_which_no_test_has_named_a_file_holds_a_wipe_too() {
    let world = World::new();
    rots(&world);
    let facts = world.facts();
    assert_eq!(facts.known.damaged.amount.files, 0, "nobody knows which files");
    let request = world.requested();
    assert_eq!(request.state, WipeState::Held, "{}", request.state_note);

    let page = text(&Visit::of(&world.server, world.second).get(&format!("/wipe-requests/{}", request.id)));
    assert!(page.contains("Which files that is nobody can say yet."), "{page}");
    let (id, now, consent) = (request.id, world.now(), facts.loss().consent());
    let blind = act_as(&world.server, world.second, move |conn, by| wipe::lift(conn, by, id, now));
    assert!(matches!(blind, Err(Error::Invalid(_))), "the second person has to accept it too");
    let lifted =
        act_as(&world.server, world.second, move |conn, by| wipe::lift_agreed(conn, by, id, &consent, now)).unwrap();
    assert_eq!(lifted.state, WipeState::Requested);
}

#[test]
fn damage_that_is_found_while_an_approved_wipe_waits_sends_it_back() {
    let world = World::new();
    let request = world.requested();
    assert_eq!(world.approved(&request).state, WipeState::Cooling);
    rots(&world);
    world.cools();
    assert_eq!(world.state(request.id), WipeState::ReviewAgain);
    let note = world.find(request.id).state_note;
    assert!(note.contains("backups intact in a store"), "{note}");
}
