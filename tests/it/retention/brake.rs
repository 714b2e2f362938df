//! What stops points from ending: every brake by itself, and D8 and D9 of the incidents.
use super::world::{SHORTEST, World, has_restic};
use domain::copy::SecondStore;
use domain::failure_domain::StoreKind;
use domain::object::ObjectKind;
use domain::retention::{Brake, Keep, PruneState, QUIET};
use domain::time::{Time, days, hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::blob::fs::FsBlobs;
use holdfast::service::copy::Replicator;
use holdfast::service::retention::{self, Verdict};
use holdfast::store::setting::{AWAY, FROZEN_SINCE, STEADY};
use holdfast::{service, store};
use std::sync::Arc;
use std::time::Duration;

fn stopped(world: &World) -> Vec<Brake> {
    match world.plan() {
        Verdict::Stopped(why) => why,
        Verdict::Go(_) => Vec::new(),
        other @ (Verdict::Nothing | Verdict::Unreadable(_)) => panic!("{other:?}"),
    }
}

#[test]
fn nothing_ends_before_the_second_copy_has_the_newest_backup() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert_eq!(stopped(&world), []);
    let second = SecondStore {
        kind: StoreKind::Folder,
        place: "/mnt/second".to_owned(),
        location: "elsewhere".to_owned(),
        administration: "somebody else".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: Some(world.now()),
    };
    service::copy::begin(&world.server.app.store, &second, false, world.now()).unwrap();
    assert_eq!(stopped(&world), [Brake::NotCopied]);
    let folder = tempfile::tempdir().unwrap();
    let copy = Arc::new(FsBlobs::open(folder.path()).unwrap());
    let (store, primary) = (world.server.app.store.clone(), Arc::clone(&world.server.app.blobs));
    let copies = Replicator::new(store, primary, copy);
    for second in 1..100 {
        copies.run(world.now() + Duration::from_secs(second)).unwrap();
    }
    assert_eq!(stopped(&world), []);
}

#[test]
fn d8_nothing_ends_for_72_hours_after_a_start_a_restore_or_a_clock_that_jumped() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert_eq!(stopped(&world), []);
    let beat = |jumped: bool| {
        let now = world.now();
        world.server.act(move |conn| retention::beat(conn, jumped, now));
    };
    let quiet = |since: Time| vec![Brake::Quiet(since + QUIET)];
    // A database that was restored, or a server that was down, was last seen long ago.
    for gap in [hours(2), days(400)] {
        world.server.app.clock.advance(gap);
        assert_eq!(stopped(&world), quiet(world.now()), "nobody has said since that it runs");
        let since = world.now();
        beat(false);
        assert_eq!(stopped(&world), quiet(since));
        for _ in 0..72 * 4 {
            assert!(!world.pruner.prune(world.repository).unwrap());
            world.server.app.clock.advance(minutes(15));
            beat(false);
        }
        assert_eq!(stopped(&world), [], "three days later");
    }
    // A clock that jumps while it runs, in either direction.
    beat(true);
    assert_eq!(stopped(&world), quiet(world.now()));
    world.pass(minutes(1));
    assert_eq!(stopped(&world), []);
    let back = world.now() - hours(3);
    world.server.app.clock.set(back);
    beat(false);
    assert_eq!(stopped(&world), quiet(back));
    // The pruner sees it by itself.
    world.pass(hours(4));
    world.keep("everything");
    world.pruner.run_once().unwrap();
    world.pass(minutes(1));
    world.keep_least();
    let ahead = world.now() + days(3_000);
    world.server.app.clock.set(ahead);
    world.pruner.run_once().unwrap();
    assert_eq!(world.points().len(), 6, "everything looks old, and nothing ends");
    // A setting that nobody can read says nothing.
    let now = world.now();
    world.server.act(move |conn| {
        let row = store::setting::Setting {
            name: STEADY.name.to_owned(),
            value: "{\"since\":0}".to_owned(),
            updated_at: now,
            next_value: None,
            next_at: None,
        };
        Ok(store::setting::write(conn, &row)?)
    });
    assert_eq!(stopped(&world), quiet(now));
}

#[test]
fn d8_what_is_in_the_trash_is_not_erased_after_a_restart_on_an_old_database() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    world.server.app.clock.advance(days(60));
    for _ in 0..3 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, PruneState::Trashed, "its time has passed, but nobody looked");
}

#[test]
fn d9_a_rule_with_a_field_missing_ends_nothing() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    let whole: serde_json::Value = serde_json::from_str(&Keep::By(SHORTEST).text()).unwrap();
    let fields: Vec<String> = whole.as_object().unwrap().keys().cloned().collect();
    let mut broken: Vec<String> = fields
        .iter()
        .map(|field| {
            let mut rule = whole.clone();
            rule.as_object_mut().unwrap().remove(field);
            rule.to_string()
        })
        .collect();
    broken.extend(["", "{}", "null", "0", "nothing", "{\"last\":0,"].map(str::to_owned));
    broken.push(whole.to_string().replace(":14", ":1"));
    broken.push(whole.to_string().replace(":3", ":0"));
    for rule in broken {
        world.pass(minutes(1));
        world.keep(&rule);
        assert!(matches!(world.plan(), Verdict::Unreadable(_)), "{rule}: {:?}", world.plan());
        assert!(!world.pruner.prune(world.repository).unwrap(), "{rule}");
        world.pruner.run_once().unwrap();
        assert_eq!(world.points().len(), 6, "{rule}");
    }
    world.pass(minutes(1));
    world.keep_least();
    assert!(matches!(world.plan(), Verdict::Go(_)), "the same rule as a whole");
}

#[expect(clippy::too_many_lines, reason = "one brake after the other, on one world that is slow to make")]
#[test]
fn each_brake_stops_a_prune_even_if_it_comes_during_the_walk() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    let Verdict::Go(made) = world.plan() else { panic!("points end") };
    let newest = world.points().pop().unwrap();
    let (repository, device, now) = (world.repository, world.device, world.now());
    let commit = |made: &retention::Plan| {
        let (plan, now) = (clone(&world, made), world.now());
        world.server.act(move |conn| retention::commit(conn, &plan, &retention::Found::default(), now))
    };
    type Change = Box<dyn FnOnce(&mut store::Conn) -> holdfast::error::Result<()> + Send>;
    let changes: Vec<(&str, Brake, Change, Change)> = vec![
        (
            "frozen",
            Brake::Frozen,
            Box::new(move |conn| Ok(FROZEN_SINCE.set(conn, &now, now)?)),
            Box::new(|conn| Ok(FROZEN_SINCE.remove(conn)?)),
        ),
        (
            "away",
            Brake::StoreAway,
            Box::new(move |conn| {
                let cause = domain::ground::AwayCause::Away;
                let away = domain::ground::Away { cause, why: "gone".to_owned(), since: now };
                Ok(AWAY.set(conn, &away, now)?)
            }),
            Box::new(|conn| Ok(AWAY.remove(conn)?)),
        ),
        (
            "in use",
            Brake::InUse,
            Box::new(move |conn| {
                let key = BlobKey::new(repository, ObjectKind::Locks, crate::support::door::name(b"lock"));
                service::backup::received(conn, &key, 4, domain::object::TokenKind::Agent, now).map(drop)
            }),
            Box::new(move |conn| {
                let key = BlobKey::new(repository, ObjectKind::Locks, crate::support::door::name(b"lock"));
                service::backup::unlocked(conn, &key).map(drop)
            }),
        ),
        (
            "anomaly",
            Brake::Anomaly,
            Box::new(move |conn| {
                let row = store::device::find(conn, device)?.unwrap();
                service::hold::make_by_rule(conn, &row, newest.id, "odd", now).map(drop)
            }),
            Box::new(move |conn| {
                for hold in store::hold::standing(conn, device)? {
                    store::hold::update(
                        conn,
                        &store::hold::Hold { lifted_at: Some(now), lifted_by: hold.made_by, ..hold },
                    )?;
                }
                Ok(())
            }),
        ),
    ];
    for (name, brake, set, unset) in changes {
        world.server.act(set);
        assert!(stopped(&world).contains(&brake), "{name}: {:?}", stopped(&world));
        let done = commit(&made);
        assert!(matches!(done, Verdict::Stopped(_)), "{name}: {done:?}");
        if name == "anomaly" {
            continue;
        }
        world.server.act(unset);
        // The lock, too, was something that arrived.
        world.pass(if name == "in use" { hours(25) } else { minutes(1) });
        assert_eq!(stopped(&world), [], "{name}");
    }
    assert_eq!(world.points().len(), 6);
}

#[test]
fn damage_that_verification_finds_keeps_every_point_of_that_device_and_all_of_its_trash_until_it_is_repaired() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    let prune = world.prunes().pop().unwrap();
    // Its time has come, and nothing else stops it: the server ran all the time.
    while world.now() < prune.erase_at {
        world.pass(hours(25));
    }
    let now = world.now();
    let is_due = || world.server.read(move |conn| Ok(!retention::due_to_erase(conn, now)?.is_empty()));
    assert!(is_due());
    world.back_up();
    world.pass(hours(25));
    let pack = world.ledger().into_iter().find(|it| it.kind == ObjectKind::Data).unwrap();
    let key = BlobKey::new(world.repository, pack.kind, pack.name);
    let path = world.server.app.config.blobs.join(world.repository.as_str()).join("data");
    let path = path.join(&key.name.as_str()[..2]).join(key.name.as_str());
    let good = std::fs::read(&path).unwrap();
    let reads = || {
        for it in &world.server.app.verifiers.0 {
            while it.read_back(world.now()).unwrap().more {}
        }
    };
    reads();
    assert_eq!(world.server.read(|conn| Ok(store::attention::damage(conn)?)), (0, 0));
    let rotten: Vec<u8> = good.iter().map(|it| it ^ 1).collect();
    write_over(&path, &rotten);
    // The next cycle.
    world.pass(days(31));
    reads();

    // As the next prune asks: there is none while one is in the trash.
    let (id, device) = (world.repository, world.device);
    let found = || {
        let now = world.now();
        world.server.read(move |conn| {
            let (device, repository) = (store::device::find(conn, device)?, store::repository::find(conn, id)?);
            let facts = retention::state(conn, &device.unwrap(), &repository.unwrap(), now)?;
            Ok(domain::retention::brakes(&facts, now))
        })
    };
    assert!(found().contains(&Brake::Damaged), "{:?}", found());
    let due = world.server.read(|conn| retention::due_to_erase(conn, world.now()));
    assert!(due.is_empty(), "what is in the trash may be all that is good");

    write_over(&path, &good);
    world.pass(days(2));
    reads();
    assert!(!found().contains(&Brake::Damaged), "{:?}", found());
    assert!(!world.server.read(|conn| retention::due_to_erase(conn, world.now())).is_empty());
}

fn write_over(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    // Only what was written is forgotten by the cache.
    std::fs::File::open(path).unwrap().sync_all().unwrap();
}

#[test]
fn nothing_is_erased_while_a_client_is_at_work_however_long_it_was_away() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    world.pass(days(15));
    // A laptop that was suspended since before the prune goes on: packs, and its snapshot at the end.
    assert_eq!(world.send("data", b"a pack"), 200);
    world.pass(hours(1));
    for _ in 0..3 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, PruneState::Trashed);

    world.pass(hours(25));
    for _ in 0..3 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, PruneState::Erased, "it came to no end within a day");
}

/// The plan once more: it cannot be copied, and must be as it was.
fn clone(world: &World, made: &retention::Plan) -> retention::Plan {
    retention::Plan {
        device: made.device.clone(),
        repository: made.repository.clone(),
        ends: made.ends.clone(),
        snapshots: made.snapshots.clone(),
        may_go: made.may_go.clone(),
        ledger: world.ledger(),
        keep: made.keep,
    }
}

#[test]
fn no_more_than_a_part_of_a_devices_bytes_goes_at_once() {
    if !has_restic() {
        return;
    }
    let world = World::new();
    for number in 0..6_u8 {
        let bytes: Vec<u8> =
            (0..400_000_u32).map(|it| (it.wrapping_mul(2_654_435_761 + u32::from(number)) >> 24) as u8).collect();
        std::fs::write(world.source.path().join("all"), bytes).unwrap();
        world.back_up();
        world.pass(days(5));
    }
    world.keep_least();
    assert!(matches!(world.plan(), Verdict::Go(_)));
    assert!(!world.pruner.prune(world.repository).unwrap(), "each backup has nothing of the one before");
    assert_eq!(world.points().len(), 6);
    world.ledger_is_true();
}
