//! What a check-in leaves and what it answers.
use crate::support::NOW;
use crate::support::device::{SimDevice, manifest_of, token};
use crate::support::http;
use crate::support::server::{TestServer, boss};
use diesel::prelude::*;
use domain::device::Encryption;
use domain::fact::{Changes, DEMO_SOURCE, EncryptionFact, FactKind};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::policy::Requirement;
use domain::time::{Time, days, minutes};
use holdfast::blob::BlobKey;
use holdfast::service::policy::Draft;
use holdfast::store::device_status::DeviceStatus;
use holdfast::store::repository::MAX_OBJECTS;
use holdfast::store::schema::repositories;
use holdfast::{service, store};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};
use wire::{DeviceFacts, Fact};

fn fact<T>(value: T, source: &str, measured_at: Time) -> Option<Fact<T>> {
    Some(Fact { value, source: source.to_owned(), measured_at })
}

fn encrypted(state: Encryption, source: &str, at: Time) -> DeviceFacts {
    let value = EncryptionFact { state, method: "LUKS2".to_owned() };
    DeviceFacts { encryption: fact(value, source, at), ..DeviceFacts::default() }
}

fn status(server: &TestServer, device: &SimDevice) -> DeviceStatus {
    server.read(|conn| Ok(store::device_status::find(conn, device.id())?)).unwrap()
}

#[test]
fn facts_are_kept_with_their_source_and_what_is_not_repeated_stays() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));
    server.app.clock.advance(minutes(15));
    let later = NOW + minutes(15);
    let changes = fact(Changes { files: 3, bytes: 4096 }, "walk", later);

    device.check_in(&server, DeviceFacts { changes, ..DeviceFacts::default() });

    let status = status(&server, &device);
    let facts = status.facts().unwrap();
    let encryption = facts.get(FactKind::Encryption).unwrap();
    assert_eq!((encryption.source.as_str(), encryption.measured_at), ("dm-crypt", NOW));
    assert_eq!(
        (status.changed_files, status.changed_bytes, status.changed_measured_at),
        (Some(3), Some(4096), Some(later))
    );
    assert_eq!((status.last_seen_at, status.encryption), (Some(later), Encryption::On));
    assert_eq!(status.address, "127.0.0.1");
}

#[test]
fn since_moves_only_when_the_value_does() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let at = |count| NOW + minutes(count);
    for (step, state, since) in [
        (0, Encryption::On, at(0)),
        (10, Encryption::On, at(0)),
        (20, Encryption::Off, at(20)),
        (30, Encryption::Off, at(20)),
        (40, Encryption::Unknown, at(40)),
        (50, Encryption::On, at(50)),
    ] {
        server.app.clock.set(at(step));
        let mut facts = encrypted(state, "dm-crypt", at(step));
        facts.passcode_set = fact(step >= 30, "pam", at(step));
        device.check_in(&server, facts);
        let status = status(&server, &device);
        let facts = status.facts().unwrap();
        assert_eq!(facts.get(FactKind::Encryption).unwrap().since, since, "after {step} min");
        let passcode = if step >= 30 { at(30) } else { at(0) };
        assert_eq!(facts.get(FactKind::PasscodeSet).unwrap().since, passcode, "after {step} min");
    }
    let id = device.id();
    let history = |kind| server.read(move |conn| Ok(store::fact::history(conn, id, kind)?));
    let since: Vec<_> = history(FactKind::Encryption).iter().map(|it| it.since).collect();
    assert_eq!(since, [at(0), at(20), at(40), at(50)], "a row for each change, and for nothing else");
    let said: Vec<_> = history(FactKind::PasscodeSet).into_iter().map(|it| it.value.unwrap()).collect();
    assert_eq!(said, ["false", "true"]);
}

#[test]
fn a_device_that_never_stands_still_fills_no_disk() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    for step in 0..60 {
        let state = if step % 2 == 0 { Encryption::On } else { Encryption::Off };
        device.check_in(&server, encrypted(state, "dm-crypt", NOW));
        server.app.clock.advance(Duration::from_millis(1));
    }
    let id = device.id();
    let count =
        |server: &TestServer| server.read(move |conn| Ok(store::fact::history(conn, id, FactKind::Encryption)?.len()));
    assert_eq!(count(&server), 50, "the first of a day");
    let last = server.read(move |conn| Ok(store::fact::history(conn, id, FactKind::Encryption)?)).pop().unwrap();
    assert!(last.value.unwrap().contains("off"), "the last row says what it says now");
    assert_eq!(status(&server, &device).encryption, Encryption::Off);

    server.app.clock.advance(days(1));
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));
    assert_eq!(count(&server), 51);
}

#[test]
fn what_another_machine_said_is_no_longer_known_after_it_enrolled_again() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));
    server.app.clock.advance(minutes(1));

    let mut again = SimDevice::new();
    let answer = again.enroll(&server, &token(&server, |it| it.device_id = Some(device.id())));
    again.enrolled = Some(answer.message());

    assert_eq!(again.id(), device.id());
    assert!(status(&server, &again).facts().unwrap().encryption().is_none());
    let history = server.read(move |conn| Ok(store::fact::history(conn, again.id(), FactKind::Encryption)?));
    let said: Vec<_> = history.into_iter().map(|it| (it.since, it.value.is_some())).collect();
    assert_eq!(said, [(NOW, true), (NOW + minutes(1), false)]);
}

#[test]
fn versions_that_a_check_in_brings_are_the_devices() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let facts = DeviceFacts {
        os_version: fact("Debian GNU/Linux 13.1".to_owned(), "os-release", NOW),
        ..DeviceFacts::default()
    };
    let mut message = device.check_in_message(facts, vec![]);
    message.agent_version = "0.2.0".to_owned();

    assert_eq!(device.send(&server, wire::CHECK_IN, &message).status, 200);

    let row = server.read(|conn| Ok(store::device::find(conn, device.id())?)).unwrap();
    let agent = server.read(|conn| Ok(store::agent_enrollment::find(conn, device.id(), 1)?)).unwrap();
    assert_eq!((row.os_version.as_str(), agent.version.as_str()), ("Debian GNU/Linux 13.1", "0.2.0"));

    // Whatever the server remembers: back to the one before, forward again, and the same twice.
    for version in ["0.1.0", "0.2.0", "0.2.0", "0.1.0"] {
        let mut message = device.check_in_message(DeviceFacts::default(), vec![]);
        message.agent_version = version.to_owned();
        assert_eq!(device.send(&server, wire::CHECK_IN, &message).status, 200);
        let agent = server.read(|conn| Ok(store::agent_enrollment::find(conn, device.id(), 1)?)).unwrap();
        assert_eq!(agent.version, version);
    }
}

#[test]
fn a_wrong_type_or_value_is_refused_and_named_and_nothing_is_kept() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let good = serde_json::to_value(device.check_in_message(DeviceFacts::default(), vec![])).unwrap();
    let dated = |at| json!({"free_bytes": {"value": 1, "source": "", "measured_at": at}});
    for (path, value, field) in [
        ("/generation", json!("1"), "generation"),
        ("/generation", json!(null), "generation"),
        ("/facts", json!([]), "facts"),
        (
            "/facts",
            json!({"encryption": {"value": {"state": "maybe", "method": ""}, "source": "", "measured_at": NOW.millis()}}),
            "facts.encryption.value.state",
        ),
        (
            "/facts",
            json!({"passcode_set": {"value": "yes", "source": "", "measured_at": NOW.millis()}}),
            "facts.passcode_set.value",
        ),
        (
            "/facts",
            json!({"battery_percent": {"value": 101, "source": "", "measured_at": NOW.millis()}}),
            "facts.battery_percent.value",
        ),
        (
            "/facts",
            json!({"changes": {"value": {"files": -1, "bytes": 0}, "source": "", "measured_at": NOW.millis()}}),
            "facts.changes.value",
        ),
        (
            "/facts",
            json!({"os_version": {"value": "x".repeat(300), "source": "", "measured_at": NOW.millis()}}),
            "facts.os_version.value",
        ),
        (
            "/facts",
            json!({"os_version": {"value": "a\u{0}b", "source": "", "measured_at": NOW.millis()}}),
            "facts.os_version.value",
        ),
        (
            "/facts",
            json!({"free_bytes": {"value": 1, "source": "", "measured_at": "now"}}),
            "facts.free_bytes.measured_at",
        ),
        ("/facts", dated(NOW + minutes(2)), "facts.free_bytes.measured_at"),
        ("/facts", dated(Time::from_millis(0)), "facts.free_bytes.measured_at"),
        ("/facts", dated(Time::from_millis(i64::MIN)), "facts.free_bytes.measured_at"),
        ("/facts", dated(Time::from_millis(32_503_680_000_000)), "facts.free_bytes.measured_at"),
        ("/results", json!([{"id": "x", "done": true, "detail": "", "finished_at": 1}]), "results[0].id"),
    ] {
        let mut message = good.clone();
        *message.pointer_mut(path).unwrap() = value;
        let answer = device.send(&server, wire::CHECK_IN, &message);
        assert_eq!((answer.status, answer.json()["field"].clone()), (400, json!(field)), "{}", answer.json());
    }
    for body in ["", "{", "nul", "[1]", "\u{0}", &"[".repeat(100_000)] {
        let answer = device.post(&server, wire::CHECK_IN, body.as_bytes());
        assert_eq!((answer.status, answer.json()["error"].clone()), (400, json!("bad_message")), "{:.20}", body);
    }
    assert_eq!(status(&server, &device).last_seen_at, None);
}

#[test]
fn only_a_demo_takes_the_source_of_its_scenario() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let says = || {
        let facts = encrypted(Encryption::On, DEMO_SOURCE, NOW);
        device.send(&server, wire::CHECK_IN, &device.check_in_message(facts, vec![]))
    };

    let refused = says();
    assert_eq!((refused.status, refused.json()["field"].clone()), (400, json!("facts.encryption.source")));
    assert_eq!(status(&server, &device).last_seen_at, None, "nothing is kept");

    server.act(|conn| service::installation::become_demo(conn, NOW));
    assert_eq!(says().status, 200);
}

#[test]
fn unknown_fields_are_ignored() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let mut message = serde_json::to_value(device.check_in_message(DeviceFacts::default(), vec![])).unwrap();
    message["colour"] = json!({"deep": [1, 2, 3]});
    message["facts"]["taste"] = json!("sweet");

    assert_eq!(device.send(&server, wire::CHECK_IN, &message).status, 200);
}

#[test]
fn the_policy_comes_when_it_differs_from_what_the_device_holds() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let first = device.check_in(&server, DeviceFacts::default()).policy.expect("the device holds none");
    assert_eq!((first.backup_every_seconds, first.check_in_every_seconds), (None, 900));
    assert_eq!(first.protected_roots, ["/home/grace"]);
    let mut message = device.check_in_message(DeviceFacts::default(), vec![]);
    message.policy_version = first.version.clone();
    let answer: wire::CheckInAnswer = device.send(&server, wire::CHECK_IN, &message).message();
    assert_eq!(answer.policy, None);

    server.act(|conn| {
        let draft = Draft {
            name: "All".to_owned(),
            team_id: None,
            requirements: vec![Requirement::BackupEvery { minutes: 60 }, Requirement::CheckInWithin { minutes: 10 }],
        };
        service::policy::add(conn, &boss(), &draft, NOW)
    });

    let answer: wire::CheckInAnswer = device.send(&server, wire::CHECK_IN, &message).message();
    let policy = answer.policy.expect("it differs now");
    assert_eq!((policy.backup_every_seconds, policy.check_in_every_seconds), (Some(3600), 300));
    assert_eq!(policy.policies[0].name, "All");
    assert!((150..=450).contains(&answer.next_check_in_seconds), "{}", answer.next_check_in_seconds);
}

#[test]
fn next_check_ins_are_spread_over_half_to_one_and_a_half_of_the_interval() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);

    let next: Vec<u32> =
        (0..40).map(|_| device.check_in(&server, DeviceFacts::default()).next_check_in_seconds).collect();

    assert!(next.iter().all(|it| (450..=1350).contains(it)), "{next:?}");
    assert!(next.iter().max().unwrap() - next.iter().min().unwrap() > 300, "{next:?}");
    let status = status(&server, &device);
    assert_eq!(status.next_check_in_at.unwrap().seconds() - NOW.seconds(), i64::from(*next.last().unwrap()));
}

#[test]
fn a_server_clock_set_back_by_a_year_loses_nothing_and_makes_nothing_fresh() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    server.act(|conn| {
        let requirements = vec![Requirement::CheckInWithin { minutes: 60 }, Requirement::StorageEncrypted];
        service::policy::add(conn, &boss(), &Draft { name: "All".to_owned(), team_id: None, requirements }, NOW)
    });
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));
    let back = NOW - days(365);
    server.app.clock.set(back);

    let findings = server.read(|conn| {
        let row = store::device::find(conn, device.id())?.unwrap();
        service::policy::findings(conn, &row, back)
    });
    assert!(findings.iter().all(|it| it.outcome.as_str() == "unknown"), "{findings:?}");
    // The device signs with the server's time and continues.
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", back));
    assert_eq!(status(&server, &device).last_seen_at, Some(back));
}

#[test]
fn a_check_in_that_is_sent_twice_leaves_what_one_leaves() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));
    let mut once = status(&server, &device);

    device.check_in(&server, encrypted(Encryption::On, "dm-crypt", NOW));

    let twice = status(&server, &device);
    once.next_check_in_at = twice.next_check_in_at;
    // Each answer hands out another value to bring.
    once.continuity.clone_from(&twice.continuity);
    once.continuity_version = twice.continuity_version;
    assert_eq!(once, twice);
}

fn set_repository(server: &TestServer, quota_bytes: i64, object_count: i64) {
    server.act(move |conn| {
        let counts = (repositories::quota_bytes.eq(quota_bytes), repositories::object_count.eq(object_count));
        diesel::update(repositories::table).set(counts).execute(conn)?;
        Ok(())
    });
}

#[test]
fn a_manifest_that_is_refused_leaves_no_byte_behind() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let manifest = manifest_of(&device, vec![]);
    let other = manifest_of(&SimDevice::join(&server), vec![]);
    let stored = || {
        let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, device.id())?)).unwrap();
        let key = |bytes: &[u8]| {
            let name = ObjectName::from_hash(&secret::sha256(bytes));
            BlobKey::new(repository.id, ObjectKind::Manifests, name)
        };
        [&manifest, &other].map(|it| server.app.blobs.size(&key(it)).unwrap().is_some())
    };
    let post = |bytes: &[u8]| device.post(&server, "/agent/v1/manifests", bytes).status;

    set_repository(&server, 10, 0);
    assert_eq!(post(&manifest), 507, "its length says that it does not fit");
    set_repository(&server, 1 << 30, MAX_OBJECTS);
    assert_eq!(post(&manifest), 507);
    set_repository(&server, 1 << 30, 0);
    assert_eq!(post(&other), 400, "the list of another device");
    assert_eq!(stored(), [false, false]);

    assert_eq!(post(&manifest), 200);
    assert_eq!(post(&manifest), 200, "the same list again");
    assert_eq!(stored(), [true, false]);
}

#[test]
fn a_repeated_manifest_heals_a_damaged_one() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let manifest = manifest_of(&device, vec![]);
    let name = ObjectName::from_hash(&secret::sha256(&manifest));
    let post = || device.post(&server, "/agent/v1/manifests", &manifest).status;
    assert_eq!(post(), 200);
    let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, device.id())?)).unwrap().id;
    let damaged = name.clone();
    server.act(move |conn| {
        let (location, kind) = (Location::Primary, ObjectKind::Manifests);
        Ok(store::copy::mark_damaged(conn, location, repository, kind, &damaged, NOW).map(drop)?)
    });

    assert_eq!(post(), 200);

    let (location, kind) = (Location::Primary, ObjectKind::Manifests);
    assert!(server.read(|conn| Ok(store::copy::is_intact(conn, location, repository, kind, &name)?)));
}

#[test]
fn a_second_manifest_waits_for_the_first_of_its_device() {
    let server = TestServer::start();
    let (device, other) = (SimDevice::join(&server), SimDevice::join(&server));
    let (path, manifest) = ("/agent/v1/manifests", manifest_of(&device, vec![]));
    let (begun, rest) = manifest.split_at(4);
    let token = device.token(NOW, "POST", path, &manifest);
    let mut first = http::connect(server.address);
    let length = manifest.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n");
    write!(first, "{head}Authorization: Bearer {token}\r\n\r\n").unwrap();
    first.write_all(begun).unwrap();
    let uploads = server.app.config.blobs.join("tmp");
    let until = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(&uploads).unwrap().next().is_none() {
        assert!(Instant::now() < until, "the first is never under way");
        std::thread::yield_now();
    }

    assert_eq!(device.post(&server, path, &manifest).status, 503);
    assert_eq!(other.post(&server, path, &manifest_of(&other, vec![])).status, 200, "another device does not wait");

    first.write_all(rest).unwrap();
    assert_eq!(http::finish(first).status, 200);
    assert_eq!(device.post(&server, path, &manifest).status, 200);
}
