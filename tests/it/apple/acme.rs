//! Certificates with Apple's word for the device: one for each one-time password, for the device and the key that were attested.
use super::World;
use crate::support::device::acme::made::{Attester, curve_key, leaf};
use crate::support::device::acme::{Acme, Refused, hardware_key, identifier, refused_or};
use crate::support::device::apple::{Identity, SimApple, challenge};
use apple::plist::{Dictionary, Read};
use domain::device::Ownership;
use domain::time::{days, hours};
use holdfast::config::Options;
use holdfast::store;
use holdfast::store::apple::certificate::AppleCertificate;
use rcgen::date_time_ymd;
use serde_json::{Value, json};
use std::sync::Barrier;

/// A server that trusts an attester of the test's own.
fn world() -> (World, Attester) {
    let attester = Attester::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, attester.root_pem()).unwrap();
    let world = World::with(Options {
        apple_acme: Some(true),
        apple_attestation_root: Some(file.path().to_owned()),
        ..Options::default()
    });
    (world, attester)
}

fn profile(world: &World, phone: &SimApple) -> Dictionary {
    phone.attested_profile(&world.token(Ownership::Company))
}

fn kind<T: std::fmt::Debug>(done: Result<T, Refused>) -> (u16, String) {
    let refused = done.unwrap_err();
    (refused.status, refused.kind)
}

fn certificates(world: &World, phone: &SimApple) -> Vec<AppleCertificate> {
    let id = world.device(phone).1.id;
    world.server.read(move |conn| Ok(store::apple::certificate::of_enrollment(conn, id)?))
}

#[test]
fn a_phone_enrols_with_apples_word_for_it_and_checks_in() {
    let (world, attester) = world();
    let mut phone = SimApple::phone(world.door, 1);
    phone.enrolls_attested(&world.token(Ownership::Company), &attester);

    let (_, enrollment) = world.device(&phone);
    let identity = phone.identity.as_ref().unwrap();
    assert_eq!(identity.certificate.common_name(), Some(enrollment.id.as_str()), "not what the request asked for");
    assert_eq!(identity.certificate.public_key().as_ref(), Ok(identity.key.public()));
    let [certificate] = certificates(&world, &phone).try_into().unwrap();
    assert_eq!(certificate.attested_serial.as_deref(), Some("F2LX001"));
    assert_eq!(certificate.attested_udid, Some(phone.udid.clone()));
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, super::QUESTIONS);
}

#[test]
fn a_certificate_is_another_devices_if_that_says_who_it_is_and_it_is_written_down() {
    let (world, attester) = world();
    let enrolled_as = |phone: &mut SimApple, change: &dyn Fn(&mut SimApple)| {
        let profile = profile(&world, phone);
        phone.installs_attested(&profile, &attester);
        change(phone);
        phone.authenticates().status
    };
    let refused = || {
        let all = world.server.read(|conn| Ok(store::activity::all(conn)?));
        all.into_iter().filter(|it| it.action.as_str() == "identity_refused").map(|it| it.reason).collect::<Vec<_>>()
    };

    let mut phone = SimApple::phone(world.door, 1);
    assert_eq!(enrolled_as(&mut phone, &|it| it.serial = "STOLEN".to_owned()), 403);
    assert_eq!(phone.authenticates().status, 403, "again");
    let [reason] = refused().try_into().unwrap();
    assert!(reason.contains("serial STOLEN, but Apple attested the serial F2LX001"), "{reason}");
    phone.serial = "F2LX001".to_owned();
    assert_eq!(phone.authenticates().status, 200, "nothing was used up");

    assert_eq!(enrolled_as(&mut SimApple::phone(world.door, 2), &|it| it.udid = "00008030-STOLEN".to_owned()), 403);
    assert_eq!(refused().len(), 2);
    // Apple attests another identifier of a Mac than the one by which it calls itself.
    assert_eq!(enrolled_as(&mut SimApple::mac(world.door, 3), &|it| it.udid = "0F6A5C0E-ITS-OWN".to_owned()), 200);
    assert_eq!(enrolled_as(&mut SimApple::mac(world.door, 4), &|it| it.serial = "STOLEN".to_owned()), 403);
}

#[test]
fn an_attestation_that_is_not_believed_gives_no_certificate_but_the_device_may_try_again() {
    let (world, attester) = world();
    let phone = SimApple::phone(world.door, 1);
    let identifier = identifier(&profile(&world, &phone));
    let (acme, key) = (Acme::new(&phone), hardware_key());
    let bad = (400, "badAttestationStatement".to_owned());
    let attest = |object: &dyn Fn(&str) -> Vec<u8>| {
        let order = acme.order(&identifier).unwrap();
        let refused = acme.attest(&order, &object(&order.token));
        let after = acme.done(&order.url, "").unwrap();
        assert_eq!((&after["status"], after["certificate"].is_null()), (&json!("invalid"), true));
        let again = acme.attest(&order, &attester.object(&key, &phone.attested(&order.token))).unwrap();
        assert_eq!((&again["status"], &again["error"]["status"]), (&json!("invalid"), &json!(400)), "it has ended");
        assert_eq!(kind(acme.finalize(&order, &key)), (403, "orderNotReady".to_owned()));
        kind(refused)
    };
    let other = Attester::new();

    assert_eq!(attest(&|token| other.object(&key, &phone.attested(token))), bad, "a foreign chain");
    assert_eq!(attest(&|_| attester.object(&key, &phone.attested("another token"))), bad, "another challenge");
    let old = |token: &str| {
        let mut leaf = phone.attested(token);
        leaf.not_after = date_time_ymd(2026, 1, 1);
        attester.object(&key, &leaf)
    };
    assert_eq!(attest(&old), bad, "expired");
    assert_eq!(attest(&|token| attester.object(&key, &leaf("", "", token))), bad, "no device");
    assert_eq!(attest(&|_| vec![0x81; 30_000]), bad, "a bomb");

    let order = acme.order(&identifier).unwrap();
    assert_eq!(kind(acme.done(&order.challenge, "{}")), bad, "without an attestation");
    let said = |token: &str| phone.attested(token);
    assert!(acme.certified(&key, &identifier, (&attester, &said)).is_ok());
}

#[test]
fn a_certificate_is_only_for_the_key_that_was_attested() {
    let (world, attester) = world();
    let phone = SimApple::phone(world.door, 1);
    let identifier = identifier(&profile(&world, &phone));
    let (acme, key) = (Acme::new(&phone), hardware_key());
    let order = acme.order(&identifier).unwrap();
    assert_eq!(kind(acme.finalize(&order, &key)), (403, "orderNotReady".to_owned()), "nothing was shown");
    acme.attest(&order, &attester.object(&key, &phone.attested(&order.token))).unwrap();

    assert_eq!(kind(acme.finalize(&order, &hardware_key())), (400, "badCSR".to_owned()));
    assert_eq!(kind(acme.done(&order.finalize, "{\"csr\":\"AAAA\"}")), (400, "badCSR".to_owned()));
    assert_eq!(acme.finalize(&order, &key).unwrap()["status"], "valid");
    assert_eq!(kind(acme.finalize(&order, &key)), (403, "orderNotReady".to_owned()), "again");
}

#[test]
fn a_one_time_password_is_good_for_one_certificate_an_hour_and_one_way() {
    let (world, attester) = world();
    let phone = SimApple::phone(world.door, 1);
    let (one, late) = (identifier(&profile(&world, &phone)), identifier(&profile(&world, &phone)));
    let acme = Acme::new(&phone);
    let said = |token: &str| phone.attested(token);
    let rejected = (400, "rejectedIdentifier".to_owned());

    assert!(phone.certified(&Identity::generate().unwrap(), &one).is_none(), "without an attestation, by SCEP");
    assert!(acme.certified(&hardware_key(), &one, (&attester, &said)).is_ok());
    assert_eq!(kind(acme.order(&one).map(|it| it.url)), rejected, "replayed");
    assert_eq!(kind(acme.order("made up").map(|it| it.url)), rejected);
    let of_scep = challenge(&phone.profile(&world.token(Ownership::Company)));
    assert_eq!(kind(acme.order(&of_scep).map(|it| it.url)), rejected, "its profile says SCEP");
    assert!(phone.certified(&Identity::generate().unwrap(), &of_scep).is_some(), "nothing was used up");

    let order = acme.order(&late).unwrap();
    world.server.app.clock.advance(hours(1));
    let acme = Acme::new(&phone);
    assert_eq!(kind(acme.order(&late).map(|it| it.url)), rejected, "expired");
    assert_eq!(kind(acme.done(&order.url, "")).0, 404);
}

#[test]
fn of_two_that_race_with_one_identifier_one_gets_a_certificate() {
    let (world, attester) = world();
    let phone = SimApple::phone(world.door, 1);
    let identifier = identifier(&profile(&world, &phone));
    let ready = Barrier::new(4);
    let race = || {
        let (acme, key) = (Acme::new(&phone), hardware_key());
        let order = acme.order(&identifier).unwrap();
        acme.attest(&order, &attester.object(&key, &phone.attested(&order.token))).unwrap();
        ready.wait();
        acme.finalize(&order, &key).map(drop)
    };

    let ends: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });

    let refused: Vec<_> = ends.into_iter().filter_map(Result::err).map(|it| it.kind).collect();
    assert_eq!(refused, ["unauthorized"; 3]);
}

#[test]
fn a_request_that_was_changed_sent_elsewhere_or_sent_twice_is_refused() {
    let (world, _) = world();
    let phone = SimApple::phone(world.door, 1);
    let (acme, other) = (Acme::new(&phone), Acme::new(&phone));
    let order = acme.order(&identifier(&profile(&world, &phone))).unwrap();
    let malformed = (400, "malformed".to_owned());
    let header = || acme.client.header(Some(&acme.account), &order.url, &acme.nonce());
    let send = |request: &Value| refused_or(acme.send(&order.url, request)).map(drop);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = header();
        change(&mut header);
        kind(send(&acme.client.request(&header, "")))
    };

    assert_eq!(with(&|it| it["alg"] = "none".into()), (400, "badSignatureAlgorithm".to_owned()));
    assert_eq!(with(&|it| it["url"] = acme.at("newOrder").into()), (403, "unauthorized".to_owned()));
    assert_eq!(with(&|it| it["nonce"] = "made up".into()), (400, "badNonce".to_owned()));
    assert_eq!(with(&|it| it["kid"] = "https://elsewhere.test/1".into()), (400, "accountDoesNotExist".to_owned()));
    assert_eq!(with(&|it| it["kid"] = other.account.clone().into()), malformed, "another’s account");
    let with_key = acme.client.header(None, &order.url, &acme.nonce());
    assert_eq!(kind(send(&acme.client.request(&with_key, ""))), malformed, "a key where an account is asked for");

    let request = acme.client.request(&header(), "");
    assert_eq!(send(&request), Ok(()));
    assert_eq!(kind(send(&request)), (400, "badNonce".to_owned()), "twice");
    let mut changed = acme.client.request(&header(), "");
    changed["payload"] = "e30".into();
    assert_eq!(kind(send(&changed)), malformed);
    assert_eq!(kind(send(&json!([]))), malformed);

    assert_eq!(kind(other.done(&order.url, "")).0, 404, "another’s order");
    assert_eq!(kind(other.attest(&order, b"")).0, 404);
    assert_eq!(kind(other.finalize(&order, &hardware_key())).0, 404);
    assert_eq!(acme.done(&order.url, "").unwrap()["status"], "pending", "and nothing became of it");
    assert_eq!(phone.send("POST", "/apple/acme/order", &[], &[b' '; 70_000]).status, 413);
    assert_eq!(
        kind(refused_or(phone.send("POST", "/apple/acme/elsewhere", &[], b"{}"))),
        (404, "malformed".to_owned())
    );
}

#[test]
fn an_enrolment_has_only_so_many_orders_at_once() {
    let (world, _) = world();
    let phone = SimApple::phone(world.door, 1);
    let identifier = identifier(&profile(&world, &phone));
    let acme = Acme::new(&phone);
    for _ in 0..10 {
        assert!(acme.order(&identifier).is_ok());
    }
    assert_eq!(kind(acme.order(&identifier).map(|it| it.url)), (429, "rateLimited".to_owned()));
}

#[test]
fn an_attested_device_gets_its_next_certificate_the_same_way_and_no_other() {
    let (world, attester) = world();
    let mut phone = SimApple::phone(world.door, 1);
    phone.enrolls_attested(&world.token(Ownership::Company), &attester);
    assert!(phone.renewed(&Identity::generate().unwrap()).is_none(), "without an attestation");

    world.server.app.clock.advance(days(350));
    let asked = phone.talks();
    let next = asked.iter().find(|it| it.kind == "InstallProfile").expect("its profile again");
    let profile = phone.checked(next.command.data("Payload").unwrap());
    let before = world.device(&phone).1;
    let said = |token: &str| leaf("ANOTHER", &phone.udid, token);
    let stolen = Acme::new(&phone).certified(&hardware_key(), &identifier(&profile), (&attester, &said));
    assert_eq!(kind(stolen), (403, "unauthorized".to_owned()), "another device’s");

    phone.installs_attested(&profile, &attester);
    assert!(phone.talks().is_empty());
    assert_eq!(world.device(&phone).1, before, "the same enrolment");
    assert_eq!(certificates(&world, &phone).iter().filter(|it| it.revoked_at.is_none()).count(), 1);
}

#[test]
fn profiles_with_attestation_are_handed_out_only_where_they_are_offered() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let token = world.token(Ownership::Company);
    assert_eq!(phone.get(&format!("/apple/enroll/{token}?by=acme")).status, 403);
    assert_eq!(phone.get(&format!("/apple/enroll/{token}?by=other")).status, 400);
    assert_eq!(phone.get(&format!("/apple/enroll/{token}?by=scep")).status, 200);
}

#[test]
fn nobody_but_apple_attests_unless_the_settings_name_somebody() {
    let world = World::with(Options { apple_acme: Some(true), ..Options::default() });
    let phone = SimApple::phone(world.door, 1);
    let acme = Acme::new(&phone);
    let order = acme.order(&identifier(&profile(&world, &phone))).unwrap();
    let object = Attester::new().object(&curve_key(), &phone.attested(&order.token));
    assert_eq!(kind(acme.attest(&order, &object)), (400, "badAttestationStatement".to_owned()));
}
