//! Which machine it is: two machines with one identity, an older state, and two devices with one serial.
use super::world::{World, ask, said};
use crate::support::device::{SimDevice, token};
use crate::support::people::{act_as, colleague};
use crate::support::visit::{Visit, text};
use domain::continuity::{Brought, Doubt};
use domain::device::{DeviceState, Encryption};
use domain::role::Role;
use domain::wipe::{EITHER, WipeState};
use holdfast::service::wipe;
use holdfast::store;
use wire::{CHECK_IN, CheckInAnswer};

/// One machine: what its disk holds of the shared identity.
#[derive(Clone, Default)]
struct Machine {
    baton: Option<String>,
}

impl Machine {
    fn checks_in(&mut self, world: &World) -> CheckInAnswer {
        let mut message = world.device.check_in_message(said(4, Encryption::On, world.now()), vec![]);
        let attempt = secret::generate("").unwrap();
        message.continuity = Some(Brought { baton: self.baton.clone(), attempt });
        let answer: CheckInAnswer = world.device.send(&world.server, CHECK_IN, &message).message();
        assert!(answer.baton.is_some() && answer.baton != self.baton);
        self.baton.clone_from(&answer.baton);
        answer
    }
}

fn doubt(world: &World) -> Doubt {
    let id = world.device.id();
    world.server.read(|conn| Ok(store::device_status::find(conn, id)?)).unwrap().doubt
}

/// A device that a machine reports as, and a copy of its disk.
fn cloned(world: &World) -> (Machine, Machine) {
    let mut one = Machine::default();
    one.checks_in(world);
    let two = one.clone();
    (one, two)
}

#[test]
fn two_machines_with_one_identity_are_noticed_shown_and_told() {
    let world = World::new();
    let (mut one, mut two) = cloned(&world);

    one.checks_in(&world);
    two.checks_in(&world);
    one.checks_in(&world);

    assert_eq!(doubt(&world), Doubt::TwoMachines);
    assert_eq!(world.told("Two machines report as one device: laptop-1"), 2);
    assert_eq!(world.history().iter().filter(|it| *it == "identity_doubted").count(), 2);
    let facts = world.facts();
    assert!(facts.loss().only_here.is_none(), "neither machine's count is that of the device");
    let visitor = Visit::of(&world.server, world.asker);
    for path in [format!("/devices/{}", world.device.id()), format!("/devices/{}/wipe", world.device.id())] {
        let page = text(&visitor.get(&path));
        assert!(page.contains("Two machines use this device’s identity"), "{page}");
        assert!(page.contains("Enroll again"), "{page}");
        assert!(!page.contains("keeps the data unreadable"), "of which machine was that said? {page}");
    }
    assert_eq!(facts.encryption, Encryption::Unknown);
    let json = text(&visitor.get(&format!("/devices/{}.json", world.device.id())));
    assert!(json.contains("\"encryption\":\"unknown\""), "one answer everywhere: {json}");
    let id = world.device.id();
    let status = world.server.read(move |conn| Ok(store::device_status::find(conn, id)?)).unwrap();
    assert!(status.facts().unwrap().encryption().is_none(), "no policy counts a word of either machine");
    let page = text(&visitor.get(&format!("/devices/{}", world.device.id())));
    assert!(page.contains("It is not clear which machine speaks for this device"), "{page}");
}

#[test]
fn a_wipe_is_held_while_two_machines_may_be_meant_and_continues_only_with_both_peoples_consent() {
    let world = World::new();
    let (mut first, mut second) = cloned(&world);
    first.checks_in(&world);
    // Approved and released before anybody knew of the second machine.
    let released = world.released();
    assert!(second.checks_in(&world).commands.is_empty(), "the copy gets no order");
    let held = world.find(released.id);
    assert_eq!(held.state, WipeState::Held, "{}", held.state_note);
    assert!(held.state_note.contains("two machines"), "{}", held.state_note);
    assert!(first.checks_in(&world).commands.is_empty());
    world.stops(released.id).unwrap();

    // A new request names it: without that consent it is refused; with it, it waits for the second person.
    let facts = world.facts();
    assert_eq!(facts.consent(), "unknown lost, 92 not proven, every machine with this identity");
    let without = wipe::Ask { consent: facts.loss().consent(), ..ask(&facts) };
    assert!(world.requests(without).is_err());
    let request_again = world.requests(world.ask()).unwrap();
    assert_eq!(request_again.state, WipeState::Held);
    assert!(world.approves_as(world.second, &request_again).is_err(), "nobody approves what is held");
    let (id, now) = (request_again.id, world.now());
    assert!(act_as(&world.server, world.asker, move |conn, by| wipe::lift(conn, by, id, now)).is_err());
    let lift =
        |consent| act_as(&world.server, world.second, move |conn, by| wipe::lift_agreed(conn, by, id, consent, now));
    assert!(lift("").is_err(), "the second person names it too");
    lift(EITHER).unwrap();
    world.approved(&world.find(id));
    world.cools();
    assert_eq!(world.state(id), WipeState::Released, "{}", world.find(id).state_note);
    assert_eq!(first.checks_in(&world).commands.len(), 1, "both people agreed to that by name");
}

#[test]
fn a_review_under_doubt_is_held_until_the_second_person_accepts_it_by_name_too() {
    let world = World::new();
    let request = world.requested();
    let (mut one, mut two) = cloned(&world);
    one.checks_in(&world);
    two.checks_in(&world);
    one.checks_in(&world);
    assert_eq!(doubt(&world), Doubt::TwoMachines);
    world.approves_as(world.second, &request).unwrap();
    assert_eq!(world.state(request.id), WipeState::ReviewAgain, "a second machine is worse");

    let (agreed, id, now) = (ask(&world.facts()), request.id, world.now());
    let reviewed =
        act_as(&world.server, world.asker, move |conn, by| wipe::review(conn, by, id, agreed.agreement(), now))
            .unwrap();

    assert_eq!(reviewed.state, WipeState::Held, "the requester's tick is not the second person's");
    assert!(reviewed.state_note.contains("two machines"), "{}", reviewed.state_note);
    assert!(world.approves_as(world.second, &reviewed).is_err());
    let lift = |consent: &'static str| {
        act_as(&world.server, world.second, move |conn, by| wipe::lift_agreed(conn, by, id, consent, now))
    };
    assert!(lift("").is_err());
    lift(EITHER).unwrap();
    world.approved(&world.find(id));
}

#[test]
fn a_copy_that_asks_while_the_other_one_is_being_wiped_gets_no_order_and_the_report_counts() {
    let world = World::new();
    let (mut one, mut two) = cloned(&world);
    one.checks_in(&world);
    let released = world.released();
    assert_eq!(one.checks_in(&world).commands.len(), 1);

    assert!(two.checks_in(&world).commands.is_empty());

    assert_eq!(world.state(released.id), WipeState::Delivered);
    assert_eq!(world.sends(&world.report(&world.find(released.id), &[])).status, 200);
    assert_eq!(world.state(released.id), WipeState::Confirmed);
}

#[test]
fn enrolling_again_separates_two_machines_and_the_other_one_joins_as_its_own() {
    let mut world = World::new();
    let (mut one, mut two) = cloned(&world);
    one.checks_in(&world);
    two.checks_in(&world);
    assert!(doubt(&world).stands());
    let old = world.device.generation();
    let id = world.device.id();

    world.enrols_again();

    assert_eq!(doubt(&world), Doubt::None);
    let mut anew = Machine::default();
    anew.checks_in(&world);
    anew.checks_in(&world);
    assert_eq!(doubt(&world), Doubt::None);
    let other = SimDevice::new();
    let mut message = other.enroll_message(&token(&world.server, |_| {}));
    message.device_id = Some(id);
    assert_eq!(other.send_enroll(&world.server, &message).status, 403, "who says nothing of its enrolment is refused");
    message.device_generation = Some(old);
    let joined = other.send_enroll(&world.server, &message);
    assert_eq!(joined.status, 200);
    let joined: wire::Enrolled = joined.message();
    assert!(joined.device_id != id);
}

#[test]
fn two_devices_with_one_serial_name_each_other_and_the_serial_alone_wipes_neither() {
    let world = World::new();
    let twin = SimDevice::new();
    let mut message = twin.enroll_message(&token(&world.server, |_| {}));
    message.name = "laptop-2".to_owned();
    assert_eq!(twin.send_enroll(&world.server, &message).status, 200);

    let visitor = Visit::of(&world.server, world.asker);
    for path in [format!("/devices/{}", world.device.id()), format!("/devices/{}/wipe", world.device.id())] {
        let page = text(&visitor.get(&path));
        assert!(page.contains("same serial number") && page.contains("laptop-2"), "{page}");
    }
    let by_serial = wipe::Ask { serial: "SN-1".to_owned(), ..world.ask() };
    assert!(world.requests(by_serial).is_err());
    let both = wipe::Ask { serial: "SN-1 laptop-1".to_owned(), ..world.ask() };
    assert!(world.requests(both).is_ok());
}

#[test]
fn a_search_finds_a_wiped_device_and_says_so() {
    let world = World::new();
    let released = world.released();
    world.fetches();
    assert_eq!(world.sends(&world.report(&world.find(released.id), &[])).status, 200);
    let visitor = Visit::of(&world.server, colleague(&world.server, "auditor", Role::Auditor));

    let found = text(&visitor.get("/devices?q=SN-1"));
    assert!(found.contains("laptop-1") && found.contains(DeviceState::Wiped.name()), "{found}");
    assert!(!text(&visitor.get("/devices")).contains("laptop-1"), "the list itself is of enrolled devices");
}
