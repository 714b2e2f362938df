//! The push certificate: asked for and put in on its page, guarded, in use at once, and its end told in time.
use super::World;
use super::push::{Issuer, Service, Waker, issuer};
use crate::support::NOW;
use crate::support::device::apple::{SimApple, payload};
use crate::support::people::colleague;
use crate::support::server::Answer;
use crate::support::visit::{Visit, location, text};
use apple::plist::Read;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clock::Clock;
use domain::device::Ownership;
use domain::id::UserId;
use domain::role::Role;
use domain::time::{Time, days, minutes};
use holdfast::config::Options;
use holdfast::job;
use holdfast::protocol::apple::Pusher;
use holdfast::store::apple::push_certificate as stored;
use rcgen::{CertificateSigningRequestParams, DistinguishedName, DnType};
use std::time::Duration;

const TOPIC: &str = "com.apple.mgmt.External.test";
const USER_ID: [u64; 7] = [0, 9, 2342, 19_200_300, 100, 1, 1];
const LONG: Time = Time::from_millis(NOW.millis() + 50 * 365 * 86_400_000);

/// What Apple's portal gives for a request.
fn certified(issuer: &Issuer, request: &str, topic: Option<&str>, (from, until): (Time, Time)) -> String {
    let mut asked = CertificateSigningRequestParams::from_pem(request).unwrap();
    asked.params.distinguished_name = DistinguishedName::new();
    asked.params.distinguished_name.push(DnType::CommonName, "APSP:test");
    if let Some(topic) = topic {
        asked.params.distinguished_name.push(DnType::CustomDnType(USER_ID.to_vec()), topic);
    }
    let since_1970 = |at: Time| Duration::from_secs(u64::try_from(at.seconds()).unwrap());
    asked.params.not_before = std::time::SystemTime::UNIX_EPOCH.checked_add(since_1970(from)).unwrap().into();
    asked.params.not_after = std::time::SystemTime::UNIX_EPOCH.checked_add(since_1970(until)).unwrap().into();
    asked.signed_by(issuer).unwrap().pem()
}

/// Makes a request, and downloads it.
fn requests(owner: &Visit<'_>) -> String {
    assert_eq!(location(&owner.post("/push-certificate/requests", &[])), "/push-certificate");
    let file = owner.get("/push-certificate/request");
    assert_eq!((file.status, file.header("content-type")), (200, "application/pkcs10"));
    text(&file)
}

fn puts_in(owner: &Visit<'_>, certificate: &str) -> Answer {
    owner.post("/push-certificate", &[("certificate", certificate)])
}

/// Makes a request and puts in a certificate for it that is good for long.
fn renews(owner: &Visit<'_>, issuer: &Issuer, topic: &str, until: Time) {
    let request = requests(owner);
    let answer = puts_in(owner, &certified(issuer, &request, Some(topic), (NOW - days(1), until)));
    assert_eq!(answer.status, 303, "{}", text(&answer));
}

fn ada(world: &World) -> UserId {
    colleague(&world.server, "ada", Role::Owner)
}

/// What the history says of the certificate.
fn history(world: &World) -> Vec<(String, String)> {
    let all = world.server.read(|conn| Ok(holdfast::store::activity::all(conn)?));
    let all = all.into_iter().map(|it| (it.action.as_str().to_owned(), it.reason));
    all.filter(|it| it.0.starts_with("push_certificate")).collect()
}

#[test]
fn a_certificate_that_is_put_in_wakes_devices_at_once_and_so_does_the_next() {
    let service = Service::start();
    let world = World::with(Options { apple_push_certificate: None, ..service.options() });
    let owner = ada(&world);
    let owner = Visit::of(&world.server, owner);
    let pusher = Pusher::open(world.server.app.apple.as_ref().unwrap(), Some(service.root.as_bytes())).unwrap();
    world.phone(1);
    assert!(pusher.current().unwrap().is_none());

    renews(&owner, &service.authority, TOPIC, LONG);

    let apns = pusher.current().unwrap().expect("no restart");
    assert_eq!(Waker::with(apns).wakes(&world).done_count, 1);
    assert_eq!(service.seen.try_recv().unwrap().topic, TOPIC);
    // One that the service does not know takes its place.
    renews(&owner, &issuer(), TOPIC, LONG);
    world.server.app.clock.advance(minutes(1));
    assert_eq!(Waker::with(pusher.current().unwrap().unwrap()).wakes(&world).failed_count, 1);
}

#[test]
fn the_certificate_says_the_topic_of_new_profiles_and_without_one_there_is_no_profile() {
    let world = World::without_topic(Clock::fixed(NOW), Options::default());
    let owner = ada(&world);
    let owner = Visit::of(&world.server, owner);
    let phone = SimApple::phone(world.door, 1);
    let address = format!("/apple/enroll/{}", world.token(Ownership::Company));
    let refused = phone.get(&address);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("this server needs a push certificate"), "{}", refused.text());
    let token = [("name", "Phones"), ("ownership", "company"), ("team", ""), ("use_limit", "1"), ("valid_hours", "24")];
    let code = "QR code with the address of the profile";
    assert!(!text(&owner.post("/enrollment-tokens", &token)).contains(code), "it would lead nowhere");

    renews(&owner, &issuer(), TOPIC, LONG);

    assert!(text(&owner.post("/enrollment-tokens", &token)).contains(code));
    let profile = phone.checked(&phone.get(&address).body);
    assert_eq!(payload(&profile, "com.apple.mdm").text("Topic"), Some(TOPIC));
    // Nobody has enrolled: another topic leaves nobody behind, and what was handed out ends.
    renews(&owner, &issuer(), "com.apple.mgmt.External.other", LONG);
    let mut late = SimApple::phone(world.door, 2);
    late.reads(&profile);
    let identity = crate::support::device::apple::Identity::generate().unwrap();
    assert!(late.certified(&identity, &crate::support::device::apple::challenge(&profile)).is_none());
    let profile = phone.checked(&phone.get(&address).body);
    assert_eq!(payload(&profile, "com.apple.mdm").text("Topic"), Some("com.apple.mgmt.External.other"));
}

#[test]
fn what_is_no_push_certificate_for_our_key_changes_nothing() {
    let world = World::new();
    let owner = ada(&world);
    let owner = Visit::of(&world.server, owner);
    let issuer = issuer();
    world.phone(1);
    let early = requests(&owner);
    assert_eq!(owner.get("/push-certificate").status, 200);
    let request = requests(&owner);
    let good = (NOW - days(1), LONG);
    let of_other_key = certified(&issuer, &early, Some(TOPIC), good);
    for (certificate, words) in [
        (String::new(), "not one certificate in PEM"),
        ("rubbish".to_owned(), "not one certificate in PEM"),
        (request.clone(), "not one certificate in PEM"),
        (of_other_key.clone(), "another key than that of the request"),
        (format!("{of_other_key}{of_other_key}"), "not one certificate in PEM"),
        (certified(&issuer, &request, None, good), "no push certificate for device management"),
        (certified(&issuer, &request, Some("org.example.app"), good), "no push certificate for device management"),
        (certified(&issuer, &request, Some(TOPIC), (NOW - days(9), NOW)), "ended on 2026-11-22"),
        (certified(&issuer, &request, Some(TOPIC), (NOW + days(1), LONG)), "good only from 2026-11-23"),
        (
            certified(&issuer, &request, Some("com.apple.mgmt.External.other"), good),
            "1 enrolled device: all of them would have to enroll again",
        ),
    ] {
        let answer = puts_in(&owner, &certificate);
        assert_eq!(answer.status, 422, "{words}");
        assert!(text(&answer).contains(words), "{words}: {}", text(&answer));
    }
    assert!(world.server.read(|conn| Ok(stored::find(conn)?)).is_none());
    assert_eq!(history(&world).len(), 2, "only the requests");

    assert_eq!(puts_in(&owner, &certified(&issuer, &request, Some(TOPIC), good)).status, 303);
    let again = puts_in(&owner, &certified(&issuer, &request, Some(TOPIC), good));
    assert!(text(&again).contains("Make a request first"), "its key is in use: {}", text(&again));
    assert_eq!(owner.get("/push-certificate/request").status, 404);
}

#[test]
fn changing_it_asks_for_the_password_is_written_down_and_told() {
    let world = World::new();
    let (owner, bob) = (ada(&world), colleague(&world.server, "bob", Role::Owner));
    let (stale, fresh) = (Visit::stale(&world.server, owner), Visit::of(&world.server, owner));
    for path in ["/push-certificate/requests", "/push-certificate"] {
        let answer = stale.post(path, &[("certificate", "")]);
        assert_eq!(answer.status, 422);
        assert!(text(&answer).contains("Enter your password"), "{}", text(&answer));
    }
    assert!(history(&world).is_empty() && world.server.mails().is_empty());

    renews(&fresh, &issuer(), TOPIC, LONG);

    let said = history(&world);
    let actions: Vec<_> = said.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(actions, ["push_certificate_requested", "push_certificate_put_in"]);
    assert!(said.last().unwrap().1.contains(TOPIC), "{said:?}");
    let mails = world.server.mails();
    assert_eq!(mails.iter().filter(|it| it.to == "bob@example.org").count(), 2, "{mails:?}");
    let page = text(&Visit::of(&world.server, bob).get("/push-certificate"));
    assert!(page.contains(TOPIC) && page.contains("In date") && page.contains("MDM vendor certificate"), "{page}");
}

#[test]
fn its_key_is_in_the_database_only_encrypted_and_goes_with_the_request() {
    let world = World::new();
    let owner = ada(&world);
    let owner = Visit::of(&world.server, owner);
    let request = requests(&owner);
    let kept = world.server.read(|conn| Ok(stored::find_request(conn)?)).unwrap();
    let key = BASE64_STANDARD.decode(&kept.key).unwrap();
    assert!(apple::certificate::PrivateKey::from_pkcs8(&key).is_err());
    let door = world.server.app.apple.as_ref().unwrap();
    let opened = door.unseal("push key", &kept.key).unwrap();
    assert!(apple::certificate::PrivateKey::from_pkcs8(&opened).is_ok());
    assert!(door.unseal("bootstrap token", &kept.key).is_err(), "it is nothing else");
    assert!(!text(&owner.get("/push-certificate")).contains(&kept.key) && !request.contains("PRIVATE"));

    let answer = puts_in(&owner, &certified(&issuer(), &request, Some(TOPIC), (NOW - days(1), LONG)));
    assert_eq!(answer.status, 303);
    assert!(world.server.read(|conn| Ok(stored::find_request(conn)?)).is_none());
    assert_eq!(world.server.read(|conn| Ok(stored::find(conn)?)).unwrap().key, kept.key);
}

#[test]
fn its_end_is_told_from_sixty_days_before_by_mail_and_where_people_look() {
    let world = World::new();
    let owner = ada(&world);
    colleague(&world.server, "olga", Role::Operator);
    renews(&Visit::of(&world.server, owner), &issuer(), TOPIC, NOW + days(365));
    world.server.mails();
    let given = world.server.app.apple.as_ref().unwrap().given().clone();
    let looks = || {
        job::push_certificate::run_once(world.server.store(), &given, world.now()).unwrap();
        let told = world.server.mails();
        assert!(told.iter().all(|it| it.to == "ada@example.org"), "{told:?}");
        told.len()
    };
    let sees = |path: &str, words: &str| {
        let page = text(&Visit::of(&world.server, owner).get(path));
        assert_eq!(
            page.contains(words),
            path == "/push-certificate" || words.contains("ends"),
            "{path} {words}: {page}"
        );
    };
    assert_eq!(looks(), 0);
    sees("/", "The push certificate for Apple devices is good");
    sees("/push-certificate", "The push certificate for Apple devices is good until");

    world.server.app.clock.advance(days(304));
    assert_eq!(looks(), 0, "61 days");
    world.server.app.clock.advance(days(1));
    assert_eq!((looks(), looks()), (1, 0), "once");
    sees("/", "The push certificate for Apple devices ends in 60 days");
    sees("/push-certificate", "The push certificate for Apple devices ends in 60 days");
    let mut told = 0;
    for _ in 0..60 {
        world.server.app.clock.advance(days(1));
        told += looks();
    }
    assert_eq!(told, 10, "30, 14, 7 to 1, and the end");
    sees("/push-certificate", "ended on");

    renews(&Visit::of(&world.server, owner), &issuer(), TOPIC, world.now() + days(365));
    assert!(!text(&Visit::of(&world.server, owner).get("/")).contains("push certificate"));
}

#[test]
fn without_a_listener_for_apple_devices_the_page_says_so_and_nothing_is_told() {
    let server = crate::support::server::TestServer::start();
    let owner = colleague(&server, "ada", Role::Owner);
    let owner = Visit::of(&server, owner);
    let page = text(&owner.get("/push-certificate"));
    assert!(page.contains("Apple devices are not served") && !page.contains("Make a request"), "{page}");
    assert!(text(&owner.post("/push-certificate/requests", &[])).contains("not served"));
    assert!(!text(&owner.get("/")).contains("push certificate"));
}
