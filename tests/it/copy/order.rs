//! What is copied, in which order, and where a stop may come.
use super::world::{Breaks, Recording, World, backs_up, content, put, runs};
use crate::support::NOW;
use crate::support::fleet::Random;
use diesel::Connection;
use diesel::connection::InstrumentationEvent;
use domain::copy::CopyStanding;
use domain::id::DeviceId;
use domain::object::{Location, ObjectKind};
use domain::time::{Time, hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::service::setting::COPY_SPEED;
use holdfast::store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The place of a kind in the order of copying.
fn place(kind: ObjectKind) -> usize {
    ObjectKind::COPIED.iter().position(|it| *it == kind).expect("a kind that is copied")
}

#[test]
fn everything_but_locks_is_copied_and_nothing_before_what_it_needs() {
    let world = World::new();
    let repository = world.door.repository();
    let config = world.puts_config(repository.id);
    let key = world.puts(repository.id, ObjectKind::Keys, b"key");
    let lock = world.puts(repository.id, ObjectKind::Locks, b"lock");
    let mut all = backs_up(&world, &repository, "first");
    world.door.clock.advance(hours(1));
    all.extend(backs_up(&world, &repository, "second"));
    all.extend([config, key]);
    let recording = Recording::over(&world.copy, Breaks::Never);

    let run = runs(&world.replicator_to(Arc::<Recording>::clone(&recording)), world.door.clock.now());

    assert_eq!((run.copied, run.failed), (all.len(), false));
    assert!(all.iter().all(|it| world.is_copied(it)) && !world.is_copied(&lock));
    let mut expected = content(&*world.door.blobs, repository.id);
    expected.remove(&lock.to_string());
    assert_eq!(content(&*world.copy, repository.id), expected, "byte for byte");
    // Snapshot by snapshot: what came after the first one did not keep it waiting.
    let kinds = recording.kinds();
    let first = kinds.iter().position(|it| *it == ObjectKind::Snapshots).unwrap();
    assert_eq!(first, 4, "{kinds:?}");
    assert!(kinds[..=first].is_sorted_by_key(|it| place(*it)), "{kinds:?}");
    assert!(kinds[first + 1..].is_sorted_by_key(|it| place(*it)), "{kinds:?}");
    assert_eq!(world.entries(), [], "copying is no act");
}

/// Whether each snapshot in the second store has everything there that was received up to it.
fn is_valid(world: &World, repository: &crate::support::door::TestRepository) -> Result<(), String> {
    let id = repository.id;
    let ledger = world.door.read(move |conn| store::object::all(conn, id, None));
    let there: Vec<BlobKey> = world.copy.list(id).unwrap().into_iter().map(|it| it.0).collect();
    let has = |it: &store::object::Object| there.contains(&BlobKey::new(id, it.kind, it.name.clone()));
    for object in ledger.iter().filter(|it| has(it)) {
        let needs: &[ObjectKind] = match object.kind {
            ObjectKind::Snapshots => &[ObjectKind::Data, ObjectKind::Index, ObjectKind::Manifests],
            ObjectKind::Index => &[ObjectKind::Data],
            ObjectKind::Config | ObjectKind::Keys | ObjectKind::Data | ObjectKind::Locks | ObjectKind::Manifests => &[],
        };
        let earlier = ledger.iter().filter(|it| needs.contains(&it.kind) && it.received_at <= object.received_at);
        if let Some(missing) = earlier.into_iter().find(|it| !has(it)) {
            return Err(format!("{} {} is there, {} {} is not", object.kind, object.name, missing.kind, missing.name));
        }
    }
    Ok(())
}

#[test]
fn wherever_a_stop_comes_the_copy_is_a_valid_repository_and_the_rest_follows() {
    for breaks in (0..13).flat_map(|it| [Breaks::Before(it), Breaks::After(it)]) {
        let world = World::new();
        let repository = world.door.repository();
        world.puts_config(repository.id);
        for word in ["one", "two"] {
            backs_up(&world, &repository, word);
            world.door.clock.advance(minutes(10));
        }
        let all = 11;
        let breaking = Recording::over(&world.copy, breaks);
        runs(&world.replicator_to(breaking), world.door.clock.now());
        is_valid(&world, &repository).unwrap_or_else(|why| panic!("{breaks:?}: {why}"));
        let half = world.copy.list(repository.id).unwrap().len();

        let recording = Recording::over(&world.copy, Breaks::Never);
        let run = runs(&world.replicator_to(Arc::<Recording>::clone(&recording)), world.door.clock.now());

        assert!(!run.failed, "{breaks:?}");
        assert_eq!(content(&*world.copy, repository.id), content(&*world.door.blobs, repository.id), "{breaks:?}");
        let sent = recording.put.lock().unwrap().clone();
        assert_eq!(sent.len(), all - half, "{breaks:?}: nothing is put twice");
        assert!(sent.iter().all(|(_, replaces)| !replaces), "{breaks:?}: and nothing is overwritten");
        let facts = world.facts(repository.device);
        assert_eq!((facts.waiting, facts.point), (0, facts.newest), "{breaks:?}");
    }
}

#[test]
fn a_device_that_never_stops_sending_packs_does_not_keep_its_snapshots_waiting() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    world.door.clock.advance(minutes(1));
    for number in 0..200_u32 {
        world.puts(repository.id, ObjectKind::Data, &number.to_le_bytes());
    }
    let recording = Recording::over(&world.copy, Breaks::Never);
    let to = world.replicator_to(Arc::<Recording>::clone(&recording));

    runs(&to, world.door.clock.now());

    let kinds = recording.kinds();
    assert_eq!(kinds.iter().position(|it| *it == ObjectKind::Snapshots), Some(backup.len() - 1), "{kinds:?}");
    assert_eq!(kinds.len(), backup.len() + 200);
}

#[test]
fn rot_is_not_copied_and_keeps_nothing_else_waiting() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    let (rotten, lost) = (&backup[0], &backup[1]);
    world.spoils(Location::Primary, rotten, b"not what its name says");
    world.door.blobs.remove(lost).unwrap();

    let run = world.runs();

    assert_eq!((run.copied, run.failed), (3, false));
    for damaged in [rotten, lost] {
        assert_eq!(world.copy.size(damaged).unwrap(), None);
        assert_eq!(world.row(Location::Copy, damaged), None);
        assert_eq!(world.row(Location::Primary, damaged).unwrap().damaged_at, Some(NOW), "it is damage, and is known");
    }
    let facts = world.facts(repository.device);
    assert_eq!((facts.waiting, facts.damaged, facts.waiting_since), (2, 2, Some(NOW)));
    assert_eq!((facts.standing(), facts.point), (CopyStanding::Missing, None), "the snapshot lacks what it needs");
    assert_eq!(world.runs().copied, 0, "and it does not try again and again");

    // Sent again, as a device does that still has it.
    assert_eq!(repository.put("data", b"backup pack one").status, 200);
    assert_eq!(repository.put("data", b"backup pack two").status, 200);
    world.door.clock.advance(minutes(1));
    assert_eq!(world.runs().copied, 2);
    assert_eq!(world.facts(repository.device).standing(), CopyStanding::Complete);
}

#[test]
fn what_opens_a_repository_is_put_right_from_the_database_before_it_is_copied() {
    let world = World::new();
    let repository = world.door.repository();
    let config = world.puts_config(repository.id);
    world.spoils(Location::Primary, &config, b"other!");

    world.runs();
    world.runs();

    assert_eq!(world.copy.read(&config, 0, 99).unwrap(), b"config");
    assert!(world.is_copied(&config));
}

#[test]
fn it_goes_no_faster_than_it_is_told_and_goes_on_where_it_was() {
    let world = World::new();
    let repository = world.door.repository();
    world.door.write(|conn| COPY_SPEED.key.set(conn, &1, NOW));
    let half = 512 << 10;
    for number in 0..12 {
        world.puts(repository.id, ObjectKind::Data, &vec![number; half]);
    }
    let begun = world.replicator();
    let (mut copied, mut seconds) = (runs(&begun, NOW).copied, 0);
    assert_eq!(copied, 4, "two seconds are saved up");
    drop(begun);
    // A new process knows nothing of the old one's pace, and saves up as much again.
    let again = world.replicator();
    copied += runs(&again, NOW).copied;
    assert_eq!(copied, 8);

    while copied < 12 {
        world.door.clock.advance(Duration::from_secs(1));
        seconds += 1;
        copied += runs(&again, world.door.clock.now()).copied;
    }

    assert_eq!(seconds, 2, "four more at two a second");
    assert_eq!(world.facts(repository.device).waiting, 0);
}

#[test]
fn what_was_there_already_is_read_back_and_not_sent_again() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    for (key, bytes) in backup.iter().zip(["pack one", "pack two", "index", "manifest", "snapshot"]) {
        put(&*world.copy, key, format!("backup {bytes}").as_bytes());
    }
    let recording = Recording::over(&world.copy, Breaks::Never);

    let run = runs(&world.replicator_to(Arc::<Recording>::clone(&recording)), NOW);

    assert_eq!((run.copied, recording.kinds()), (5, vec![]));
    assert!(backup.iter().all(|it| world.is_copied(it)));
    assert_eq!(world.entries(), []);
}

#[test]
fn wrong_bytes_that_were_there_already_are_replaced_and_that_is_recorded() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    put(&*world.copy, &backup[0], b"something else under its name");

    assert_eq!(world.runs().copied, 5);

    assert_eq!(world.copy.read(&backup[0], 0, 99).unwrap(), b"backup pack one");
    let entries = world.entries();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].1.contains("was replaced from the backup store"), "{entries:?}");
}

#[test]
fn several_repositories_take_turns_and_one_that_is_damaged_does_not_stop_the_others() {
    let world = World::new();
    let repositories: Vec<_> = (0..5).map(|_| world.door.repository()).collect();
    for (number, repository) in repositories.iter().enumerate() {
        let backup = backs_up(&world, repository, &format!("device {number}"));
        if number % 2 == 0 {
            world.door.blobs.remove(&backup[0]).unwrap();
        }
    }

    let run = world.runs();

    assert_eq!((run.copied, run.failed), (5 * 5 - 3, false));
    let standings: Vec<_> = repositories.iter().map(|it| world.facts(it.device).standing()).collect();
    assert_eq!(standings.iter().filter(|it| **it == CopyStanding::Complete).count(), 2, "{standings:?}");
}

#[test]
fn the_recovery_point_of_the_copy_is_the_newest_point_of_which_it_has_everything() {
    let world = World::new();
    let repository = world.door.repository();
    let facts = || world.facts(repository.device);
    assert_eq!(facts().point, None);
    backs_up(&world, &repository, "first");
    assert_eq!((facts().newest, facts().waiting_since, facts().point), (Some(NOW), Some(NOW), None));
    world.runs();
    assert_eq!((facts().standing(), facts().point, facts().lag(NOW)), (CopyStanding::Complete, Some(NOW), None));

    world.door.clock.advance(hours(2));
    let second = backs_up(&world, &repository, "second");
    let now = world.door.clock.now();
    world.looks();
    assert_eq!((facts().standing(), facts().point), (CopyStanding::Behind, Some(NOW)));
    assert_eq!(facts().lag(now + hours(3)), Some(hours(3)));
    world.runs();
    assert_eq!(facts().point, Some(now));

    // What the second store lost takes back no more than what needs it.
    world.finds_damage(Location::Copy, &second[0]);
    assert_eq!((facts().standing(), facts().point), (CopyStanding::Behind, Some(NOW)));
    assert_eq!(facts().waiting_since, Some(now));
}

#[test]
fn a_clock_that_is_set_back_leaves_no_snapshot_without_its_packs() {
    let world = World::new();
    let repository = world.door.repository();
    world.door.clock.advance(hours(5));
    world.puts(repository.id, ObjectKind::Data, b"pack of the future");
    world.door.clock.set(NOW);
    world.puts(repository.id, ObjectKind::Index, b"index");
    let snapshot = world.puts(repository.id, ObjectKind::Snapshots, b"snapshot");
    let recording = Recording::over(&world.copy, Breaks::Never);

    runs(&world.replicator_to(Arc::<Recording>::clone(&recording)), NOW);

    assert_eq!(recording.kinds(), [ObjectKind::Data, ObjectKind::Index, ObjectKind::Snapshots]);
    assert!(world.is_copied(&snapshot));
}

#[test]
fn the_recovery_points_of_all_devices_behind_are_those_of_each_in_a_number_of_statements_that_does_not_grow() {
    let world = World::new();
    let mut random = Random::new(11);
    let repositories: Vec<_> = (0..12).map(|_| world.door.repository()).collect();
    // Some have several backups, some of which were copied; one has none, and one is complete.
    for round in 0..4 {
        for (number, repository) in repositories.iter().enumerate().skip(1) {
            if number == 1 && round > 0 || random.chance(30) {
                continue;
            }
            backs_up(&world, repository, &format!("{number} {round}"));
            world.door.clock.advance(minutes(1));
        }
        if round < 2 {
            world.runs();
        }
    }
    let of_each = || -> BTreeMap<DeviceId, Option<Time>> {
        let mut found = BTreeMap::new();
        for it in &repositories {
            let id = it.id;
            let (waiting, point) = world.door.read(move |conn| {
                let waiting = store::uncopied::of_repository(conn, id)?.count;
                Ok::<_, holdfast::error::Error>((waiting, store::uncopied::recovery_point(conn, id)?))
            });
            if waiting > 0 {
                found.insert(it.device, point);
            }
        }
        found
    };
    let of_all = || {
        world.door.read(|conn| {
            let sent = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&sent);
            conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { .. } = event {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
            let found: BTreeMap<_, _> = store::uncopied::behind(conn)?.into_iter().collect();
            conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
            Ok::<_, holdfast::error::Error>((found, sent.load(Ordering::SeqCst)))
        })
    };
    let (found, sent) = of_all();
    assert_eq!(found, of_each());
    assert!(found.len() > 5 && found.len() < 12, "some are behind, and some are not: {}", found.len());
    assert!(found.values().any(Option::is_some) && found.values().any(Option::is_none), "{found:?}");
    assert_eq!(sent, 1);
    // A device of which nothing was ever copied, and one of which a pack is damaged there.
    world.runs();
    assert_eq!(of_all().0, BTreeMap::new());
    let pack = world.puts(repositories[0].id, ObjectKind::Data, b"alone");
    world.runs();
    world.finds_damage(Location::Copy, &pack);
    assert_eq!(of_all(), (of_each(), 1));
}
