//! From a lost iPhone to the last thing it says: through the same gate as every other device.
use super::{QUESTIONS, World};
use crate::support::device::apple::SimApple;
use crate::support::people::{act_as, colleague};
use crate::support::visit::{Visit, location, text};
use crate::wipe::ask;
use apple::plist::Read;
use domain::command::CommandState;
use domain::device::{DeviceState, Ownership};
use domain::role::Role;
use domain::time::minutes;
use domain::wipe::{Erasure, Obliteration, WipeAction, WipeState};
use holdfast::service::approval;
use holdfast::service::wipe::{self, Ask, Seen};
use holdfast::store::wipe::WipeRequest;
use holdfast::{job, store};

fn request(world: &World, phone: &SimApple, action: WipeAction) -> WipeRequest {
    let ((device, _), now) = (world.device(phone), world.now());
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let asker = colleague(&world.server, "asker", Role::Operator);
    let ask = Ask { action, ..ask(&facts) };
    act_as(&world.server, asker, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap()
}

fn approve(world: &World, phone: &SimApple, request: &WipeRequest) {
    let ((device, _), now) = (world.device(phone), world.now());
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let seen = Seen { agreed: request.facts_digest.clone(), current: approval::digest(&facts).unwrap() };
    let (second, id) = (colleague(&world.server, "second", Role::Approver), request.id);
    act_as(&world.server, second, move |conn, by| wipe::approve(conn, by, id, &seen, now)).unwrap();
    world.server.app.clock.advance(minutes(10));
    job::wipe::run_once(world.server.store(), &world.server.app.clock).unwrap();
}

fn find(world: &World, request: &WipeRequest) -> WipeRequest {
    let id = request.id;
    world.server.read(move |conn| Ok(store::wipe::find(conn, id)?)).unwrap()
}

#[test]
fn a_lost_iphone_is_erased_through_the_gate_and_enrolls_again_without_an_old_command() {
    let world = World::new();
    let mut phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);

    let asked = request(&world, &phone, WipeAction::Wipe);
    assert!(phone.idles().is_none(), "nothing goes out on a request");
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();
    assert_eq!(order.kind, "EraseDevice");
    assert_eq!(find(&world, &asked).state, WipeState::Delivered);
    assert!(phone.reports("Acknowledged", &order).is_none());

    let done = find(&world, &asked);
    assert_eq!(done.state, WipeState::Confirmed);
    assert_eq!(done.state_note, "the device answered that it erases itself, which is the last it can say");
    let id = device.id;
    let (erased, command) = world.server.read(move |conn| {
        let command = store::command::find(conn, done.command_id.unwrap())?.unwrap();
        Ok((store::device::find(conn, id)?.unwrap(), command))
    });
    assert_eq!((erased.state, command.state), (DeviceState::Wiped, CommandState::Acknowledged));
    let acts: Vec<_> = world.history(id).into_iter().filter(|it| it.starts_with("wipe_")).collect();
    assert_eq!(
        acts,
        ["wipe_requested", "wipe_approved", "wipe_released", "wipe_delivered", "wipe_acknowledged", "wipe_confirmed"]
    );
    assert_eq!(phone.says(phone.report("Idle", None, Default::default())).status, 403, "its enrolment is over");

    phone.enrolls(&world.token(Ownership::Company));
    let (again, _) = world.device(&phone);
    assert_ne!(again.id, id, "an erased phone comes back as another device");
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, QUESTIONS);
}

#[test]
fn a_mac_is_erased_as_was_chosen_and_its_error_does_not_say_that_nothing_was_erased() {
    for (chosen, word, may_have_erased) in [
        (None, None, true),
        (Some(Obliteration::Default), Some("Default"), true),
        (Some(Obliteration::DoNotObliterate), Some("DoNotObliterate"), false),
    ] {
        let world = World::new();
        let mut mac = SimApple::mac(world.door, 1);
        mac.enrolls(&world.token(Ownership::Company));
        mac.talks();
        let ((device, _), now) = (world.device(&mac), world.now());
        let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
        let asker = colleague(&world.server, "asker", Role::Operator);
        let ask = Ask { erasure: Erasure { obliteration: chosen, ..Erasure::default() }, ..ask(&facts) };
        let asked = act_as(&world.server, asker, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap();
        approve(&world, &mac, &asked);

        let order = mac.idles().unwrap();
        assert_eq!((order.kind.as_str(), order.command.text("ObliterationBehavior")), ("EraseDevice", word));
        assert_eq!(order.command.text("PIN").map(str::len), Some(6));
        assert!(mac.reports("Error", &order).is_none());

        let failed = find(&world, &asked);
        assert_eq!(failed.state, WipeState::Failed);
        assert_eq!(failed.state_note.contains("may have erased itself"), may_have_erased, "{}", failed.state_note);
    }
}

#[test]
fn the_page_of_a_phones_wipe_offers_what_the_phone_has_and_keeps_what_was_chosen() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let operator = Visit::of(&world.server, colleague(&world.server, "asker", Role::Operator));
    let page = text(&operator.get(&format!("/devices/{}/wipe", device.id)));
    assert!(page.contains("keeps its mobile data plan") && page.contains("everything on the device"), "{page}");
    for absent in ["protected folders", "Back up", "macOS"] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    let now = world.now();
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let (token, consent, serial) = (approval::digest(&facts).unwrap(), facts.consent(), facts.typed_name());
    let answer = operator.post(
        &format!("/devices/{}/wipe-requests", device.id),
        &[
            ("action", "wipe"),
            ("reason", "lost_or_stolen"),
            ("facts_token", token.as_str()),
            ("serial", serial.as_str()),
            ("consent", consent.as_str()),
            ("keeps_data_plan", "yes"),
            ("returns_to_service", "yes"),
        ],
    );
    assert_eq!(answer.status, 303, "{}", text(&answer));
    let shown = text(&operator.get(&location(&answer)));
    assert!(shown.contains("Erased how") && shown.contains("keeps its mobile data plan"), "{shown}");
    let asked = world.server.read(move |conn| Ok(store::lost::newest_wipe(conn, device.id)?)).unwrap();
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();
    assert_eq!(order.command.flag("PreserveDataPlan"), Some(true));
    assert_eq!(order.command.flag("DisallowProximitySetup"), None, "what was not chosen is not sent");
    assert_eq!(order.command.dictionary("ReturnToService").and_then(|it| it.flag("Enabled")), Some(true));
}

#[test]
fn an_error_says_that_the_phone_did_not_do_it_and_it_stays_ours() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let asked = request(&world, &phone, WipeAction::Wipe);
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();

    assert!(phone.reports("Error", &order).is_none());

    let failed = find(&world, &asked);
    assert_eq!(failed.state, WipeState::Failed);
    assert!(failed.state_note.contains("the device gave no reason"), "{}", failed.state_note);
    assert_eq!(world.device(&phone).0.state, DeviceState::Enrolled);
}

#[test]
fn a_personal_phone_is_never_erased_but_its_management_removed() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    phone.enrolls(&world.token(Ownership::Personal));
    phone.talks();
    let (device, _) = world.device(&phone);
    let now = world.now();
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let asker = colleague(&world.server, "somebody", Role::Operator);
    let whole = ask(&facts);
    assert!(act_as(&world.server, asker, move |conn, by| wipe::request(conn, by, &whole, now)).is_err());

    let asked = request(&world, &phone, WipeAction::RemoveCompanyData);
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();
    assert_eq!(order.kind, "RemoveProfile");
    assert!(phone.reports("Acknowledged", &order).is_none());
    assert_eq!(find(&world, &asked).state, WipeState::Confirmed);
}

#[test]
fn an_order_to_erase_that_no_request_released_never_becomes_a_command() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let now = world.now();
    world.server.act(move |conn| {
        let order = domain::command::Order::wipe(vec![]);
        let ask = holdfast::service::command::Ask { order: &order, request_key: None };
        holdfast::service::command::queue(conn, &crate::support::server::admin(), &device, ask, now)
    });
    assert!(phone.talks().is_empty());
}
