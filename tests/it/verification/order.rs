//! When bytes are read back: in which order, how fast, and while devices send.
use super::{AMPLE, World};
use crate::support::device::SimDevice;
use crate::support::server::TestServer;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use diesel::prelude::*;
use domain::object::{Location, ObjectKind};
use domain::time::{days, hours, minutes};
use domain::verification::{Budget, Pace, Settings};
use holdfast::store;
use holdfast::store::schema::copies;
use secret::seal;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
fn what_leads_to_packs_is_read_before_them_and_what_waited_half_a_day_before_all() {
    use ObjectKind::{Config, Data, Index, Keys, Manifests, Snapshots};
    let world = World::new();
    let late = world.puts(Data, b"late");
    world.door.clock.advance(hours(11));
    let older = world.puts(Data, b"older");
    world.door.clock.advance(hours(1));
    let kinds = [Data, Manifests, Keys, Config, Index, Snapshots];
    let [newer, manifest, key, config, index, snapshot] = kinds.map(|it| world.puts(it, b"new"));

    world.reads_all();

    assert_eq!(world.blobs.read(), [late, snapshot, index, config, key, manifest, older, newer]);
}

#[test]
fn everything_is_read_once_in_each_cycle_the_oldest_read_back_first() {
    let world = World::new();
    let first = world.puts(ObjectKind::Data, b"first");
    world.reads_all();
    world.door.clock.advance(days(3));
    let second = world.puts(ObjectKind::Data, b"second");
    world.reads_all();
    world.blobs.read();
    let mut read = Vec::new();

    for day in 4..=60 {
        world.door.clock.advance(days(1));
        world.reads_all();
        read.extend(world.blobs.read().into_iter().map(|it| (day, it)));
    }

    let each = |day| [(day, first.clone()), (day + 3, second.clone())];
    assert_eq!(read, [each(24), each(48)].concat(), "each is read every 24 days, so that none is older than 30");
}

#[test]
fn a_new_object_comes_before_everything_that_was_read_before() {
    let world = World::new();
    let old: Vec<_> = (0..5_u8).map(|it| world.puts(ObjectKind::Snapshots, &[it; 100])).collect();
    world.reads_all();
    world.blobs.read();
    world.door.clock.advance(days(26));
    let new = world.puts(ObjectKind::Data, b"new");

    world.reads_all();

    let read = world.blobs.read();
    assert_eq!((read.len(), &read[0]), (6, &new));
    assert!(old.iter().all(|it| read.contains(it)));
}

#[test]
fn the_time_of_a_clock_that_was_ahead_counts_for_nothing() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    world.reads_all();
    world.door.clock.set(world.now() - days(400));

    assert_eq!(world.reads_all().looked_at, 1);

    assert_eq!(world.copy(&pack).verified_at, Some(world.now()));
    assert_eq!(world.reads_all().looked_at, 0);
}

#[test]
fn no_more_is_read_than_the_budget_allows() {
    let settings = Settings { budget: Budget { mib_per_second: 1 }, ..AMPLE };
    let world = World::with(settings);
    let size = 300 << 10;
    let packs: Vec<_> = (0..60_u8).map(|it| world.puts(ObjectKind::Data, &vec![it; size])).collect();
    let (mut read, mut turns) = (0, 0);

    while read < packs.len() {
        let looked_at = world.reads_all().looked_at;
        assert!(looked_at > 0, "it gets on in each turn");
        read += looked_at;
        // Five seconds of the budget, and an object that is begun within it.
        let allowed = (turns + 1) * 5 * (1 << 20) + size;
        assert!(read * size <= allowed, "{read} in {turns} turns");
        assert_eq!(world.reads_all().looked_at, 0, "no time has passed");
        world.door.clock.advance(Duration::from_secs(5));
        turns += 1;
    }

    assert_eq!(turns, 4, "18 MiB at 5 MiB a turn");
}

#[test]
fn a_budget_of_nothing_reads_nothing() {
    let world = World::with(Settings { budget: Budget { mib_per_second: 0 }, ..AMPLE });
    world.puts(ObjectKind::Data, b"pack");
    for _ in 0..3 {
        world.door.clock.advance(days(1));
        assert_eq!(world.reads_all().looked_at, 0);
    }
    assert!(world.blobs.read().is_empty());
    assert_eq!(world.verifier.pace(), Some(Pace::Off));
}

#[test]
fn it_waits_while_devices_send_but_not_longer_than_half_a_day() {
    let world = World::new();
    let old = world.puts(ObjectKind::Data, b"read before");
    world.reads_all();
    world.door.clock.advance(days(30));
    let new = world.puts(ObjectKind::Data, b"new");
    world.is_busy.store(true, Ordering::SeqCst);
    world.blobs.read();

    assert_eq!((world.reads_all().looked_at, world.verifier.pace()), (0, Some(Pace::Paused)));
    world.door.clock.advance(hours(12) - minutes(1));
    assert_eq!(world.reads_all().looked_at, 0);
    world.door.clock.advance(minutes(1));
    assert_eq!(world.reads_all().looked_at, 1);
    assert_eq!(world.blobs.read(), [new], "what was never read; the rest can wait");
    assert_eq!(world.verifier.pace(), Some(Pace::Paused));

    world.is_busy.store(false, Ordering::SeqCst);
    assert_eq!(world.reads_all().looked_at, 1);
    assert_eq!(world.blobs.read(), [old]);
    world.reads_all();
    assert_eq!(world.verifier.pace(), Some(Pace::Resting));
}

#[test]
fn a_device_that_begins_to_send_stops_it_after_the_object_under_way() {
    let world = World::new();
    (0..5_u8).for_each(|it| drop(world.puts(ObjectKind::Data, &[it; 1_000])));
    let is_busy = std::sync::Arc::clone(&world.is_busy);
    world.blobs.when_read(move |_| {
        is_busy.store(true, Ordering::SeqCst);
        None
    });

    assert_eq!(world.reads().looked_at, 1);
    assert_eq!(world.verifier.pace(), Some(Pace::Paused));
}

#[test]
fn the_door_says_that_a_device_is_sending() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let enrolled = device.enrolled.as_ref().unwrap();
    let context = wire::credentials_context(device.id(), device.generation());
    let plain = seal::open(&device.sealing, &context, &enrolled.sealed_credentials).unwrap();
    let token = serde_json::from_slice::<wire::RepositoryCredentials>(&plain).unwrap().token;
    let (repository, body) = (enrolled.repository_id, vec![7; 200_000]);
    let basic = BASE64_STANDARD.encode(format!("{repository}:{token}"));
    let name = hex::encode(secret::sha256(&body));
    let head = format!(
        "POST /restic/{repository}/data/{name} HTTP/1.1\r\nHost: test\r\nAuthorization: Basic {basic}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert!(!server.app.door.is_receiving());

    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body[..100_000]).unwrap();

    wait_until("the upload has begun", || server.app.door.is_receiving());
    let turn = server.app.verifiers.0[0].read_back(server.app.clock.now()).unwrap();
    assert_eq!((turn.looked_at, server.app.verifiers.0[0].pace()), (0, Some(Pace::Paused)));
    stream.write_all(&body[100_000..]).unwrap();
    wait_until("the upload has ended", || !server.app.door.is_receiving());
    let turn = server.app.verifiers.0[0].read_back(server.app.clock.now()).unwrap();
    assert_eq!(turn.looked_at, 3, "config, key and the pack");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn locks_are_not_read() {
    let world = World::new();
    assert_eq!(world.repository.put("locks", b"lock").status, 200);

    assert_eq!((world.reads_all().looked_at, world.lists().looked_at), (0, 0));
    let oldest = world.door.read(|conn| store::verification::oldest_unread(conn, Location::Primary));
    assert_eq!(oldest, None);
}

#[test]
fn a_copy_that_nobody_noted_is_noted_and_read() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    world.door.write(|conn| diesel::delete(copies::table).execute(conn));
    assert_eq!(world.reads_all().looked_at, 0);

    world.lists();

    assert_eq!(world.reads_all().looked_at, 1);
    assert_eq!(world.copy(&pack).verified_at, Some(world.now()));
}
