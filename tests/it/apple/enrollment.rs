//! From the profile to a device of ours, and what does not become one.
use super::{QUESTIONS, World};
use crate::support::device::apple::{SimApple, payload};
use crate::support::device::token;
use apple::plist::{Read, Value};
use apple::target::Rights;
use domain::channel::Channel;
use domain::command::{CommandState, Order};
use domain::device::{DeviceState, Ownership, Platform};
use domain::time::days;
use holdfast::config::Options;
use holdfast::service::command::{self, Ask};
use holdfast::store;
use rcgen::{CertificateParams, DnType, KeyPair};
use std::collections::BTreeSet;

use crate::support::server::admin;

#[test]
fn an_iphone_enrolls_with_a_profile_and_says_what_it_is() {
    let world = World::new();
    let phone = world.phone(1);

    let (device, enrollment) = world.device(&phone);
    assert_eq!((device.platform, device.serial.as_str()), (Platform::Ios, "F2LX001"));
    assert_eq!((device.name.as_str(), device.os_version.as_str()), ("Grace’s device", "iOS 17.5"));
    assert_eq!((device.state, device.generation), (DeviceState::Enrolled, 1));
    assert_eq!(enrollment.push_token.as_deref(), Some("ab".repeat(32).as_str()));
    let unlock = enrollment.unlock_token.unwrap();
    assert!(!unlock.contains("unlock me"), "kept encrypted");
    assert_eq!(world.history(device.id), ["device_enrolled"]);
    let channel = world.server.read(move |conn| command::channel(conn, &device)).unwrap();
    assert_eq!(channel.name, Channel::APPLE);
}

#[test]
fn a_profile_brings_the_certificates_that_vouch_for_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    let make = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    };
    let (one, two) = (make("Office root"), make("Other root"));
    std::fs::write(&file, format!("{}{}", one.pem(), two.pem())).unwrap();
    let world = World::with(Options { apple_root: Some(file), ..Options::default() });

    let profile = SimApple::phone(world.door, 1).profile(&world.token(Ownership::Company));

    let payloads = profile.list("PayloadContent").iter().filter_map(Value::as_dictionary);
    let roots: Vec<_> = payloads.filter(|it| it.text("PayloadType") == Some("com.apple.security.root")).collect();
    let expected = [("Office root", one.der().as_ref()), ("Other root", two.der().as_ref())];
    let found: Vec<_> =
        roots.iter().map(|it| (it.text("PayloadDisplayName").unwrap(), it.data("PayloadContent").unwrap())).collect();
    assert_eq!(found, expected);
    let names: BTreeSet<_> =
        roots.iter().flat_map(|it| [it.text("PayloadUUID"), it.text("PayloadIdentifier")]).collect();
    assert_eq!(names.len(), 4, "each its own");
}

#[test]
fn a_device_is_ours_only_once_it_says_where_it_is_reached() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    let profile = phone.profile(&world.token(Ownership::Company));
    phone.installs(&profile);
    assert!(world.find(&phone).is_none());
    assert_eq!(phone.authenticates().status, 200);
    assert!(world.find(&phone).is_none());
    assert_eq!(phone.says_where().status, 200);
    assert!(world.find(&phone).is_some());
}

#[test]
fn a_token_admits_as_many_devices_as_it_says() {
    let world = World::new();
    let token = world.token(Ownership::Company);
    let (mut one, mut two) = (SimApple::phone(world.door, 1), SimApple::phone(world.door, 2));
    let late = two.profile(&token);
    one.enrolls(&token);

    assert_eq!(two.get(&format!("/apple/enroll/{token}")).status, 403, "no further profile");
    two.installs(&late);
    let refused = two.authenticates();
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("already used"), "{}", refused.text());
    assert!(world.find(&two).is_none());
}

#[test]
fn an_unknown_token_gives_no_profile() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    assert_eq!(phone.get("/apple/enroll/hf_enroll_x").status, 403);
    assert_eq!(phone.get("/apple/enroll/").status, 404);
    assert_eq!(phone.get("/").status, 404);
}

#[test]
fn the_profile_of_a_personal_device_gives_no_right_to_erase_it() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    let profile = phone.profile(&world.token(Ownership::Personal));
    let rights = Rights(u32::try_from(payload(&profile, "com.apple.mdm").number("AccessRights").unwrap()).unwrap());
    assert!(!rights.has(Rights::ERASE) && !rights.has(Rights::QUERY_APPLICATIONS), "{rights:?}");
    phone.enrolls(&world.token(Ownership::Personal));
    let asked: Vec<_> = phone.talks();
    let queries = asked[0].command.list("Queries").to_vec();
    assert!(!queries.contains(&Value::String("LastCloudBackupDate".to_owned())), "less is asked of it");
}

#[test]
fn what_is_no_phone_tablet_or_mac_is_refused_when_it_first_speaks() {
    let world = World::new();
    let mut television = SimApple { product: "AppleTV11,1", ..SimApple::phone(world.door, 1) };
    let profile = television.profile(&world.token(Ownership::Company));
    television.installs(&profile);
    let mut message = television.message("MessageType", "Authenticate");
    for (key, text) in [("Topic", television.topic.clone()), ("Model", "AppleTV".to_owned())] {
        message.insert(key.to_owned(), Value::String(text));
    }
    assert_eq!(television.says(message).status, 403);
}

#[test]
fn an_enrolled_device_enrolls_again_only_with_a_token_for_it_and_gets_no_old_command() {
    let world = World::new();
    let mut phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let of = device.clone();
    let now = world.now();
    let old = world
        .server
        .act(move |conn| command::queue(conn, &admin(), &of, Ask { order: &Order::lock(), request_key: None }, now));

    let profile = phone.profile(&world.token(Ownership::Company));
    let before = phone.identity.take();
    phone.installs(&profile);
    let refused = phone.authenticates();
    assert_eq!(refused.status, 403, "any token would let somebody else take its place");
    assert!(refused.text().contains("Enroll again"), "{}", refused.text());

    let id = device.id;
    phone.enrolls(&token(&world.server, |it| it.device_id = Some(id)));
    let (again, _) = world.device(&phone);
    assert_eq!((again.id, again.generation), (id, 2));
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, QUESTIONS);
    let old = world.server.read(move |conn| Ok(store::command::find(conn, old.id)?)).unwrap();
    assert_eq!(old.state, CommandState::Expired);
    phone.identity = before;
    let late = phone.says(phone.report("Idle", None, Default::default()));
    assert_eq!(late.status, 403, "the older enrolment speaks no more");
}

#[test]
fn a_device_that_leaves_is_told_nothing_more() {
    let world = World::new();
    let phone = world.phone(1);
    let (device, _) = world.device(&phone);
    assert_eq!(phone.leaves().status, 200);
    assert_eq!(phone.says(phone.report("Idle", None, Default::default())).status, 403);
    assert_eq!(world.history(device.id), ["device_enrolled", "device_left_management"]);
}

#[test]
fn profiles_that_no_device_comes_with_are_bounded_and_end() {
    let world = World::new();
    let phone = SimApple::phone(world.door, 1);
    let token = token(&world.server, |it| it.valid_for = days(30));
    for _ in 0..20 {
        assert_eq!(phone.get(&format!("/apple/enroll/{token}")).status, 200);
    }
    assert_eq!(phone.get(&format!("/apple/enroll/{token}")).status, 429);
    world.server.app.clock.advance(days(8));
    holdfast::job::expiry::run_once(world.server.store(), world.now()).unwrap();
    assert_eq!(phone.get(&format!("/apple/enroll/{token}")).status, 200);
}
