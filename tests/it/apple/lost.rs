//! A lost iPhone: lost mode, where it is, and what whoever asks has to say.
use super::World;
use crate::support::device::apple::SimApple;
use crate::support::people::colleague;
use crate::support::visit::{Visit, location, text};
use apple::plist::Read;
use domain::device::Ownership;
use domain::inventory::InventoryKind;
use domain::role::Role;
use holdfast::store;

fn supervised(world: &World) -> SimApple {
    let mut phone = SimApple::phone(world.door, 1);
    phone.is_supervised = true;
    phone.enrolls(&world.token(Ownership::Company));
    phone.talks();
    phone
}

#[test]
fn a_lost_iphone_shows_a_note_says_where_it_is_and_is_found() {
    let world = World::new();
    let phone = supervised(&world);
    let (device, enrollment) = world.device(&phone);
    let operator = Visit::of(&world.server, colleague(&world.server, "ada", Role::Operator));
    colleague(&world.server, "watcher", Role::Auditor);
    let address = |kind: &str| format!("/devices/{}/orders/{kind}", device.id);

    let refused = operator.post(&address("lost_mode_on"), &[("footnote", "thanks")]);
    assert_eq!(refused.status, 422, "whoever finds it has to be told something");
    let note = [("message", "Please call"), ("phone_number", "+43 1 234"), ("request_key", "k")];
    assert_eq!(location(&operator.post(&address("lost_mode_on"), &note)), format!("/devices/{}", device.id));
    assert_eq!(operator.post(&address("lost_mode_on"), &note).status, 303, "twice is once");
    let order = phone.idles().unwrap();
    assert_eq!(order.kind, "EnableLostMode");
    assert_eq!(order.command.text("Message"), Some("Please call"));
    assert_eq!(order.command.text("PhoneNumber"), Some("+43 1 234"));
    let information = phone.answers(&order, phone.words(&order)).unwrap();
    assert_eq!(information.kind, "DeviceInformation", "what it said is old now");
    assert!(phone.answers(&information, phone.words(&information)).is_none());

    assert_eq!(operator.post(&address("locate"), &[]).status, 422, "without a reason nobody is told where it is");
    operator.post(&address("locate"), &[("reason", "reported lost")]);
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["DeviceLocation"]);
    let places = || {
        let all = world.server.read(move |conn| Ok(store::apple::report::inventories(conn, enrollment.id)?));
        all.into_iter().filter(|(_, it)| it.kind() == InventoryKind::Location).count()
    };
    assert_eq!(places(), 1);
    let page = text(&operator.get(&format!("/devices/{}/lost", device.id)));
    assert!(page.contains("48.20000, 16.37000, within 12 m"), "{page}");
    assert!(page.contains("It went into lost mode, by its own word"), "{page}");
    assert!(page.contains("nobody here can test it"), "{page}");
    let mails = world.server.mails();
    let told = mails.iter().find(|it| it.subject.starts_with("Locate: ")).expect("a mail");
    assert!(told.body.contains("reported lost"), "{}", told.body);

    operator.post(&address("lost_mode_off"), &[]);
    phone.talks();
    assert_eq!(places(), 0, "where it was is forgotten once it is found");
    let acts = world.history(device.id);
    assert_eq!(acts.iter().filter(|it| *it == "command_queued").count(), 3);
}

#[test]
fn what_a_phone_cannot_do_is_not_offered_and_the_page_says_why() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let operator = Visit::of(&world.server, colleague(&world.server, "ada", Role::Operator));
    let page = text(&operator.get(&format!("/devices/{}/orders", device.id)));
    assert!(page.contains("only a supervised device takes it"), "{page}");
    assert!(!page.contains("/orders/lost_mode_on\""), "{page}");
    assert!(!page.contains("New recovery key"), "no phone ever has one: {page}");
    let refused = operator.post(&format!("/devices/{}/orders/lost_mode_on", device.id), &[("message", "call")]);
    assert_eq!(refused.status, 409);
    assert!(phone.talks().is_empty());
}

#[test]
fn a_phone_that_becomes_supervised_is_offered_more_and_one_that_ceases_less() {
    let world = World::new();
    let mut phone = supervised(&world);
    let (device, _) = world.device(&phone);
    let operator = Visit::of(&world.server, colleague(&world.server, "ada", Role::Operator));
    let offers = || text(&operator.get(&format!("/devices/{}/orders", device.id))).contains("/orders/lost_mode_on\"");
    assert!(offers());
    phone.is_supervised = false;
    world.server.app.clock.advance(domain::time::hours(6));
    phone.talks();
    assert!(!offers());
}

#[test]
fn whoever_clears_a_passcode_may_read_contents_has_a_reason_and_the_token_is_the_phones() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let address = format!("/devices/{}/passcode-clearings", device.id);
    let viewer = Visit::of(&world.server, colleague(&world.server, "bob", Role::Observer));
    assert_eq!(viewer.post(&address, &[("reason", "forgot it")]).status, 403);
    let owner = colleague(&world.server, "grace", Role::Owner);
    let stale = Visit::stale(&world.server, owner);
    assert_eq!(stale.post(&address, &[("reason", "forgot it")]).status, 422, "the password is asked for again");
    let reader = Visit::of(&world.server, owner);
    assert_eq!(reader.post(&address, &[]).status, 422, "without a reason");
    assert_eq!(reader.post(&address, &[("reason", "forgot it")]).status, 303);
    let order = phone.idles().unwrap();
    assert_eq!((order.kind.as_str(), order.command.data("UnlockToken")), ("ClearPasscode", Some(&b"unlock me"[..])));
    assert_eq!(phone.answers(&order, phone.words(&order)).unwrap().kind, "SecurityInfo", "it is asked again");
    let log = text(&reader.get(&format!("/devices/{}/messages", device.id)));
    assert!(log.contains("ClearPasscode") && !log.contains("dW5sb2NrIG1l"), "the token is not in the log");
}
