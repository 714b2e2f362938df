//! Certificates: one for each one-time password, and the next one for whoever has one.
use super::World;
use crate::support::device::apple::{Identity, SimApple, challenge};
use apple::plist::{Dictionary, Read};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::command::Order;
use domain::device::Ownership;
use domain::time::{days, hours};
use holdfast::config::Options;
use holdfast::service::command::{self, Ask};
use holdfast::store;

use crate::support::server::admin;

#[test]
fn a_one_time_password_gives_one_certificate_with_our_name_in_it() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let password = challenge(&phone.profile(&world.token(Ownership::Company)));

    let certificate = phone.certified(&Identity::generate().unwrap(), &password).unwrap();

    let name = certificate.common_name().unwrap().to_owned();
    assert!(domain::id::AppleEnrollmentId::parse(&name).is_some(), "{name}: the request asked for another");
    assert!(phone.certified(&Identity::generate().unwrap(), &password).is_none(), "replayed");
    assert!(phone.certified(&Identity::generate().unwrap(), "made up").is_none());
}

#[test]
fn a_request_in_an_address_of_more_than_8_kib_gets_a_certificate() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let password = challenge(&phone.profile(&world.token(Ownership::Company)));
    let identity = Identity::generate().unwrap();
    let message = phone.request(&identity, Some(&password));
    // Some clients escape every sign.
    let escaped: String = BASE64_STANDARD.encode(message).bytes().map(|it| format!("%{it:02X}")).collect();
    assert!(escaped.len() > 8 << 10, "{}", escaped.len());

    let answer = phone.get(&format!("/apple/scep?operation=PKIOperation&message={escaped}"));

    let certificate = phone.certificate_in(&answer, &identity).unwrap();
    assert_eq!(certificate.public_key().as_ref(), Ok(identity.key.public()));
    // A line without end is none, and holds nothing for long.
    let endless = phone.get(&format!("/apple/scep?operation=PKIOperation&message={}", "A".repeat(100 << 10)));
    assert_eq!(endless.status, 400);
}

#[test]
fn of_two_that_race_for_a_one_time_password_one_gets_a_certificate() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let password = challenge(&phone.profile(&world.token(Ownership::Company)));
    let keys: Vec<_> = (0..4).map(|_| Identity::generate().unwrap()).collect();

    let got: usize = std::thread::scope(|scope| {
        let ask = |key| phone.certified(key, &password).is_some();
        let all: Vec<_> = keys.iter().map(|key| scope.spawn(move || ask(key))).collect();
        all.into_iter().map(|it| usize::from(it.join().unwrap())).sum()
    });

    assert_eq!(got, 1);
}

#[test]
fn a_one_time_password_expires() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let password = challenge(&phone.profile(&world.token(Ownership::Company)));
    world.server.app.clock.advance(hours(1));
    assert!(phone.certified(&Identity::generate().unwrap(), &password).is_none());
}

#[test]
fn a_renewed_certificate_keeps_the_queue_and_ends_the_one_before_it() {
    let world = World::new();
    let mut phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let (of, now) = (device.clone(), world.now());
    world
        .server
        .act(move |conn| command::queue(conn, &admin(), &of, Ask { order: &Order::lock(), request_key: None }, now));

    let mut next = Identity::generate().unwrap();
    next.certificate = phone.renewed(&next).unwrap();
    assert_eq!(phone.idles().unwrap().kind, "DeviceLock", "the one it has still counts: nobody used the next");
    let before = phone.identity.replace(next);
    assert_eq!(phone.idles().unwrap().kind, "DeviceLock");
    phone.identity = before;
    assert_eq!(phone.says(phone.report("Idle", None, Dictionary::new())).status, 403);
    assert!(phone.renewed(&Identity::generate().unwrap()).is_none(), "nor does it give another");
    let (again, _) = world.device(&phone);
    assert_eq!((again.id, again.generation), (device.id, 1));
}

#[test]
fn a_stranger_or_a_certificate_of_its_own_renews_nothing() {
    let world = World::new();
    let phone = world.phone(1);
    let stranger = Identity::generate().unwrap();
    assert!(phone.renewed_by(&stranger, &Identity::generate().unwrap()).is_none());
    assert!(phone.sends(&phone.request(&stranger, None), &stranger).is_none());
}

#[test]
fn a_device_is_given_its_next_certificate_before_the_current_one_ends() {
    let world = World::new();
    let mut phone = world.phone(1);
    assert!(!phone.talks().iter().any(|it| it.kind == "InstallProfile"));

    world.server.app.clock.advance(days(350));
    let asked = phone.talks();

    let next = asked.iter().find(|it| it.kind == "InstallProfile").expect("its profile again");
    let profile = phone.checked(next.command.data("Payload").unwrap());
    let before = world.device(&phone).1;
    phone.installs(&profile);
    assert!(phone.talks().is_empty());
    assert_eq!(world.device(&phone).1, before, "the same enrolment");
    let id = before.id;
    let all = world.server.read(move |conn| Ok(store::apple::certificate::of_enrollment(conn, id)?));
    assert_eq!(all.iter().filter(|it| it.revoked_at.is_none()).count(), 1);
}

#[test]
fn weak_algorithms_are_announced_only_where_they_are_taken() {
    let capabilities = |options| {
        let world = World::with(options);
        SimApple::phone(world.door, 1).get("/apple/scep?operation=GetCACaps").text()
    };
    assert!(capabilities(Options::default()).lines().any(|it| it == "SHA-1"));
    let strict = capabilities(Options { apple_weak_scep: Some(false), ..Options::default() });
    assert!(strict.contains("SHA-256") && !strict.lines().any(|it| it == "SHA-1"), "{strict}");
}

#[test]
fn a_device_whose_next_certificate_was_lost_on_its_way_is_given_another() {
    let world = World::new();
    let mut phone = world.phone(1);
    phone.talks();
    world.server.app.clock.advance(days(340));
    phone.at = jiff::Timestamp::from_millisecond(world.now().millis()).unwrap();
    let asked = |phone: &SimApple| phone.talks().iter().filter(|it| it.kind == "InstallProfile").count();
    assert_eq!(asked(&phone), 1);
    let lost = Identity::generate().unwrap();
    assert!(phone.renewed(&lost).is_some(), "made, and never shown");
    world.server.app.clock.advance(days(1));
    phone.at = jiff::Timestamp::from_millisecond(world.now().millis()).unwrap();
    assert_eq!(asked(&phone), 1, "it is given its profile again");
}

#[test]
fn a_device_gets_some_certificates_with_its_current_one_and_not_any_number() {
    let world = World::new();
    let phone = world.phone(1);
    let next = Identity::generate().unwrap();
    let given = (0..10).filter(|_| phone.renewed(&next).is_some()).count();
    assert_eq!(given, 3);
}

#[test]
fn what_is_no_request_is_refused() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    assert_eq!(phone.get("/apple/scep").status, 400);
    assert_eq!(phone.get("/apple/scep?operation=Other").status, 400);
    assert_eq!(phone.send("POST", "/apple/scep?operation=PKIOperation", &[], b"rubbish").status, 400);
}
