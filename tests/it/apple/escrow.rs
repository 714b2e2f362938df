//! Keys and PINs of Macs: they come here, somebody with a reason reads one, and what was read is replaced.
use super::World;
use crate::support::device::apple::SimApple;
use crate::support::device::token;
use crate::support::people::colleague;
use crate::support::server::admin;
use crate::support::visit::{Visit, text};
use apple::plist::{Read, Value};
use domain::device::Ownership;
use domain::device_secret::SecretKind;
use domain::fact::{FactKind, FactValue};
use domain::inventory::InventoryKind;
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::store::device_secret::DeviceSecret;
use holdfast::{service, store};

const KEY: &str = "ABCD-EFGH-IJKL-MNOP-QRST-UVWX";

fn mac(world: &World) -> SimApple {
    let mut mac = SimApple::mac(world.door, 1);
    mac.enrolls(&world.token(Ownership::Company));
    mac
}

fn secrets(world: &World, mac: &SimApple) -> Vec<DeviceSecret> {
    let (device, _) = world.device(mac);
    world.server.read(move |conn| Ok(store::device_secret::of_device(conn, device.id)?))
}

fn current(world: &World, mac: &SimApple, kind: SecretKind) -> DeviceSecret {
    let of_kind = |it: &DeviceSecret| it.kind == kind && it.ended_at.is_none();
    secrets(world, mac).into_iter().find(of_kind).expect("a secret")
}

#[test]
fn a_recovery_key_is_escrowed_read_with_a_reason_and_replaced() {
    let world = World::new();
    let mac = mac(&world);
    *mac.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    mac.talks();
    let (device, _) = world.device(&mac);
    let kept = current(&world, &mac, SecretKind::RecoveryKey);
    assert!(!kept.sealed.contains(KEY));
    world.server.app.clock.advance(hours(6));
    mac.talks();
    assert_eq!(secrets(&world, &mac).len(), 1, "the same key again is no other key");

    let address = format!("/device-secrets/{}/readings", kept.id);
    let operator = Visit::of(&world.server, colleague(&world.server, "bob", Role::Operator));
    colleague(&world.server, "watcher", Role::Auditor);
    assert_eq!(operator.post(&address, &[("reason", "x")]).status, 403);
    let owner = colleague(&world.server, "grace", Role::Owner);
    assert_eq!(Visit::stale(&world.server, owner).post(&address, &[("reason", "x")]).status, 422);
    let reader = Visit::of(&world.server, owner);
    assert_eq!(reader.post(&address, &[]).status, 422, "without a reason");
    let page = reader.post(&address, &[("reason", "the Mac does not start")]);
    assert_eq!(page.status, 200);
    assert!(text(&page).contains(KEY));
    let list = text(&reader.get(&format!("/devices/{}/secrets", device.id)));
    assert!(!list.contains(KEY) && list.contains("Current, by the device’s word"), "{list}");

    let order = mac.idles().unwrap();
    assert_eq!(order.kind, "RotateFileVaultKey", "whoever read it is not to have it for ever");
    let next = mac.answers(&order, mac.words(&order));
    assert_eq!(next.unwrap().kind, "SecurityInfo");
    let rotated = current(&world, &mac, SecretKind::RecoveryKey);
    assert_ne!(rotated.id, kept.id);
    let again = reader.post(&format!("/device-secrets/{}/readings", rotated.id), &[("reason", "again")]);
    assert!(text(&again).contains(&format!("NEXT-{KEY}")));
    let old = text(&reader.post(&address, &[("reason", "the old one")]));
    assert!(old.contains(KEY) && old.contains("may open nothing on it any more"), "an older disk image may need it");

    let acts = world.history(device.id);
    let count = |action: &str| acts.iter().filter(|it| *it == action).count();
    assert_eq!((count("device_secret_kept"), count("device_secret_revealed")), (2, 3));
    let mails = world.server.mails();
    let told: Vec<_> = mails.iter().filter(|it| it.subject.starts_with("Read the FileVault recovery key")).collect();
    assert!(told.iter().any(|it| it.body.contains("the Mac does not start")), "{told:?}");
    assert!(mails.iter().all(|it| !it.body.contains(KEY)));
    let log = text(&reader.get(&format!("/devices/{}/messages", device.id)));
    assert!(!log.contains(KEY), "a protocol log keeps no key");
}

#[test]
fn a_renewed_certificate_keeps_the_escrow() {
    let world = World::new();
    let mut mac = mac(&world);
    *mac.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    mac.talks();
    let kept = current(&world, &mac, SecretKind::RecoveryKey);
    let mut next = crate::support::device::apple::Identity::generate().unwrap();
    next.certificate = mac.renewed(&next).expect("a certificate");
    mac.identity = Some(next);
    world.server.app.clock.advance(hours(6));
    mac.talks();
    assert_eq!(secrets(&world, &mac), [kept]);
}

#[test]
fn what_nobody_here_can_read_is_no_recovery_key() {
    let world = World::new();
    let mac = mac(&world);
    let asked = mac.idles().unwrap();
    let security = mac.answers(&asked, mac.words(&asked)).unwrap();
    assert_eq!(security.kind, "SecurityInfo");
    let inside = "<key>SecurityInfo</key><dict><key>FDE_PersonalRecoveryKeyCMS</key><data>AAAA</data></dict>";
    let said = apple::plist::read(format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>").as_bytes()).unwrap();
    mac.answers(&security, said);
    assert!(secrets(&world, &mac).is_empty());
}

#[test]
fn a_mac_is_locked_with_a_pin_that_counts_once_it_answered() {
    let world = World::new();
    let mac = mac(&world);
    mac.talks();
    let (device, _) = world.device(&mac);
    let owner = Visit::of(&world.server, colleague(&world.server, "grace", Role::Owner));
    owner.post(&format!("/devices/{}/orders/lock", device.id), &[("message", "Call us")]);
    let order = mac.idles().unwrap();
    let pin = order.command.text("PIN").unwrap().to_owned();
    assert!(pin.len() == 6 && pin.chars().all(|it| it.is_ascii_digit()), "{pin}");
    assert_eq!(mac.idles().unwrap().command.text("PIN"), Some(pin.as_str()), "handed out again, it is the same");
    let sent = current(&world, &mac, SecretKind::LockPin);
    assert_eq!(sent.confirmed_at, None);
    mac.answers(&order, mac.words(&order));
    assert!(current(&world, &mac, SecretKind::LockPin).confirmed_at.is_some());
    let page = owner.post(&format!("/device-secrets/{}/readings", sent.id), &[("reason", "found it")]);
    assert!(text(&page).contains(&pin));

    // Of two of the same moment nobody can say which is the newer.
    world.server.app.clock.advance(minutes(1));
    owner.post(&format!("/devices/{}/orders/lock", device.id), &[]);
    let refused = mac.idles().unwrap();
    mac.reports("Error", &refused);
    let uncertain = current(&world, &mac, SecretKind::LockPin);
    assert!(
        uncertain.id != sent.id && uncertain.doubted_at.is_some(),
        "it may have taken it before its answer was lost"
    );
    let list = text(&owner.get(&format!("/devices/{}/secrets", device.id)));
    assert!(list.contains("Uncertain") && list.contains("Current, by the device’s word"), "{list}");
}

#[test]
fn a_key_that_is_not_here_is_not_rotated_and_a_code_is_kept() {
    let world = World::new();
    let mac = mac(&world);
    mac.talks();
    let (device, _) = world.device(&mac);
    let owner = Visit::of(&world.server, colleague(&world.server, "grace", Role::Owner));
    owner.post(&format!("/devices/{}/orders/rotate_recovery_key", device.id), &[]);
    let kinds: Vec<_> = mac.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["SecurityInfo"], "it was not sent, and the Mac is asked what it has");
    let commands = world.server.read(move |conn| Ok(store::command::of_device(conn, device.id, 5)?));
    assert!(commands[0].result.as_deref().unwrap().contains("no recovery key"), "{commands:?}");

    owner.post(&format!("/devices/{}/orders/fetch_bypass_code", device.id), &[]);
    owner.post(&format!("/devices/{}/orders/set_recovery_lock", device.id), &[]);
    let kinds: Vec<_> = mac.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert!(current(&world, &mac, SecretKind::BypassCode).confirmed_at.is_some());
    assert!(current(&world, &mac, SecretKind::RecoveryLock).confirmed_at.is_some());
}

#[test]
fn a_machine_that_took_a_macs_place_is_not_told_its_secrets() {
    let world = World::new();
    let first = mac(&world);
    *first.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    first.talks();
    let (device, _) = world.device(&first);
    let owner = Visit::of(&world.server, colleague(&world.server, "grace", Role::Owner));
    owner.post(&format!("/devices/{}/orders/set_recovery_lock", device.id), &[]);
    first.talks();

    let mut other = SimApple::mac(world.door, 1);
    let id = device.id;
    other.enrolls(&token(&world.server, |it| it.device_id = Some(id)));
    other.talks();
    assert_eq!(world.device(&other).0.generation, 2);
    owner.post(&format!("/devices/{}/orders/rotate_recovery_key", device.id), &[]);
    owner.post(&format!("/devices/{}/orders/set_recovery_lock", device.id), &[]);
    let asked = other.talks();
    assert!(asked.iter().all(|it| it.kind != "RotateFileVaultKey"), "{asked:?}");
    let lock = asked.iter().find(|it| it.kind == "SetRecoveryLock").unwrap();
    assert_eq!(lock.command.text("CurrentPassword"), None);
    let kept = current(&world, &other, SecretKind::RecoveryKey);
    let page = owner.post(&format!("/device-secrets/{}/readings", kept.id), &[("reason", "for the old machine")]);
    assert!(text(&page).contains(KEY), "whoever has a reason still reads it");
}

#[test]
fn a_key_that_another_device_brought_is_not_kept_and_that_is_written_down() {
    let world = World::new();
    let first = mac(&world);
    *first.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    first.talks();
    let mut thief = SimApple::mac(world.door, 2);
    thief.enrolls(&world.token(Ownership::Company));
    *thief.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    thief.talks();
    assert!(secrets(&world, &thief).is_empty());
    let (device, _) = world.device(&thief);
    assert!(world.history(device.id).contains(&"device_secret_kept".to_owned()), "with its refusal");
}

#[test]
fn what_nobody_asked_is_not_kept_whatever_a_device_sends() {
    let world = World::new();
    let mac = mac(&world);
    mac.talks();
    let (device, enrollment) = world.device(&mac);
    let before = world.history(device.id).len();
    let inside = "<key>ActivationLockBypassCode</key><string>forged</string><key>Latitude</key><real>1</real>\
        <key>Longitude</key><real>1</real><key>QueryResponses</key><dict><key>BatteryLevel</key><real>0.1</real></dict>";
    let said =
        || apple::plist::read(format!("<plist version=\"1.0\"><dict>{inside}</dict></plist>").as_bytes()).unwrap();
    for status in ["Acknowledged", "Error"] {
        let mut report = mac.report(status, None, said());
        report.insert("CommandUUID".to_owned(), Value::String("never-asked".to_owned()));
        assert!(mac.asked(&mac.says(report)).is_none());
    }
    for number in 0..5 {
        let mut report = mac.report("NotNow", None, Default::default());
        report.insert("CommandUUID".to_owned(), Value::String(format!("made-up-{number}")));
        mac.says(report);
    }
    assert!(secrets(&world, &mac).is_empty());
    let (lists, put_off, battery) = world.server.read(move |conn| {
        let status = store::device_status::find(conn, device.id)?.unwrap().facts()?;
        let lists = store::apple::report::inventories(conn, enrollment.id)?;
        let put_off = store::apple::query::deferred(conn, enrollment.id)?;
        Ok((lists, put_off, status.get(FactKind::BatteryPercent).map(|it| it.value.clone())))
    });
    assert!(
        lists.iter().all(|(_, it)| it.kind() != InventoryKind::Location) && put_off.is_empty(),
        "{lists:?} {put_off:?}"
    );
    assert_eq!(battery, Some(FactValue::Number(50)), "what was asked for before");
    assert_eq!(world.history(device.id).len(), before);
}

#[test]
fn a_freeze_stops_what_opens_a_device_or_tells_its_secrets() {
    let world = World::new();
    let mac = mac(&world);
    *mac.recovery_key.lock().unwrap() = Some(KEY.to_owned());
    mac.talks();
    let (device, _) = world.device(&mac);
    let kept = current(&world, &mac, SecretKind::RecoveryKey);
    let owner = Visit::of(&world.server, colleague(&world.server, "grace", Role::Owner));
    owner.post(&format!("/devices/{}/orders/rotate_recovery_key", device.id), &[]);
    let now = world.now();
    world.server.act(move |conn| service::host::freeze(conn, &admin(), now));
    assert!(mac.talks().is_empty(), "what was queued before waits");
    let reading = owner.post(&format!("/device-secrets/{}/readings", kept.id), &[("reason", "now")]);
    assert!(reading.status != 200 && !text(&reading).contains(KEY), "{}", reading.status);
    let asked = owner.post(&format!("/devices/{}/orders/set_recovery_lock", device.id), &[]);
    assert_ne!(asked.status, 303);
}
