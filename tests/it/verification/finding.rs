//! What is found: every kind of damage, and nothing where there is none.
use super::{AMPLE, Seeded, World};
use crate::support::unreadable;
use domain::ground::AwayCause;
use domain::object::{Location, ObjectKind};
use domain::time::{hours, minutes};
use domain::verification::{Lag, Pace, WITHIN};
use holdfast::blob::{ReadFault, StoreFault};
use holdfast::store;
use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

/// Sizes at which a disk, a page or a piece ends, and some in between.
const SIZES: [usize; 9] = [1, 511, 512, 4_095, 4_096, 4_097, 100_001, 1 << 20, (1 << 20) + 1];

#[test]
fn each_of_many_flipped_bits_is_found_and_nothing_else() {
    let world = World::new();
    let mut seeded = Seeded(0x5eed);
    let kinds = [ObjectKind::Data, ObjectKind::Index, ObjectKind::Snapshots, ObjectKind::Manifests];
    let mut keys = Vec::new();
    for number in 0..144 {
        let size = SIZES[number % SIZES.len()];
        // A number in front, so that even a byte long they differ.
        let bytes = if size == 1 { vec![u8::try_from(number).unwrap()] } else { seeded.bytes(size) };
        keys.push((world.puts(kinds[number % kinds.len()], &bytes), size));
    }
    let mut flipped = BTreeSet::new();
    for (key, size) in keys.iter().filter(|(_, size)| *size > 0) {
        if seeded.below(2) == 0 {
            let (at, bit) = (seeded.below(*size), seeded.below(8));
            world.changes(key, |bytes| bytes[at] ^= 1 << bit);
            flipped.insert(key.to_string());
        }
    }
    assert!(flipped.len() > 50, "{}", flipped.len());

    let done = world.reads_all();

    let found: BTreeSet<_> =
        keys.iter().filter(|(key, _)| world.is_damaged(key)).map(|(key, _)| key.to_string()).collect();
    assert_eq!(found, flipped);
    assert_eq!((done.looked_at, done.damaged), (144, flipped.len()));
    for (key, _) in keys.iter().filter(|(key, _)| !flipped.contains(&key.to_string())) {
        assert_eq!(world.copy(key).verified_at, Some(world.now()), "{key}");
    }
    assert_eq!(world.reads_all().looked_at, 0, "once is enough");
}

#[test]
fn what_is_missing_cut_off_longer_or_unreadable_is_found_and_said() {
    let world = World::new();
    let put = |byte: u8| world.puts(ObjectKind::Data, &vec![byte; 70_000]);
    let [whole, lost, cut, longer, huge, bad, changed] = [1, 2, 3, 4, 5, 6, 7].map(put);
    fs::remove_file(world.path(&lost)).unwrap();
    world.changes(&cut, |bytes| bytes.truncate(69_999));
    world.changes(&longer, |bytes| bytes.push(0));
    // Longer than anybody would read.
    fs::OpenOptions::new().write(true).open(world.path(&huge)).unwrap().set_len(1 << 40).unwrap();
    unreadable(&world.path(&bad));
    world.changes(&changed, |bytes| bytes[69_999] ^= 1);

    let done = world.reads_all();

    assert_eq!((done.looked_at, done.damaged), (7, 6));
    assert!(!world.is_damaged(&whole));
    for key in [&lost, &cut, &longer, &huge, &bad, &changed] {
        assert!(world.is_damaged(key), "{key}");
        assert_eq!(world.copy(key).verified_at, None, "{key}");
    }
    let said: BTreeSet<String> = world.entries().into_iter().map(|(action, why)| format!("{action}: {why}")).collect();
    let expected = [
        "object_damaged: it has fewer bytes than the 70000 that were stored",
        "object_damaged: it has more bytes than the 70000 that were stored",
        "object_damaged: it is missing from the store",
        "object_damaged: its bytes have changed on the disk",
        "object_damaged: the disk cannot read it: Input/output error (os error 5)",
    ];
    assert_eq!(said.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn damage_takes_the_proof_and_queues_a_test_at_once() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    world.puts(ObjectKind::Snapshots, b"snapshot");
    let queued = || world.door.read(store::restore_test::open).len();
    world.door.write(|conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::restore_tests;
        diesel::update(restore_tests::table).set(restore_tests::state.eq("finished")).execute(conn)
    });
    world.changes(&pack, |bytes| bytes[0] ^= 1);
    assert_eq!(queued(), 0);

    world.reads_all();

    assert_eq!(world.door.read(store::attention::damage), (1, 1), "every page says so");
    assert_eq!(queued(), 1);
}

#[test]
fn what_opens_a_repository_is_compared_with_the_copy_in_the_database_and_put_back() {
    let world = World::new();
    let config = world.puts(ObjectKind::Config, b"{\"config\": 1}");
    let key = world.puts(ObjectKind::Keys, b"{\"key\": 1}");
    world.reads_all();
    assert!([&config, &key].iter().all(|it| world.copy(it).verified_at == Some(world.now())));
    world.door.clock.advance(hours(24) * 25);
    // As long as before.
    world.changes(&config, |bytes| bytes[2] ^= 1);
    fs::remove_file(world.path(&key)).unwrap();

    let done = world.reads_all();

    assert_eq!((done.looked_at, done.damaged), (2, 2));
    assert_eq!(fs::read(world.path(&config)).unwrap(), b"{\"config\": 1}");
    assert_eq!(fs::read(world.path(&key)).unwrap(), b"{\"key\": 1}");
    let copies = [&config, &key].map(|it| world.copy(it));
    assert!(copies.iter().all(|it| it.damaged_at.is_none() && it.verified_at.is_none()), "still to be read back");
    assert_eq!(world.reads_all().looked_at, 2);
    assert!([&config, &key].iter().all(|it| world.copy(it).verified_at == Some(world.now())));
}

#[test]
fn a_config_that_nothing_can_be_compared_with_is_neither_good_nor_bad_and_holds_up_nothing() {
    let world = World::new();
    let config = world.puts(ObjectKind::Config, b"{}");
    world.door.write(|conn| {
        use diesel::prelude::*;
        diesel::delete(store::schema::kept_objects::table).execute(conn)
    });
    let pack = world.puts(ObjectKind::Data, b"pack");

    for _ in 0..3 {
        world.reads_all();
    }

    let copy = world.copy(&config);
    assert_eq!((copy.verified_at, copy.damaged_at), (None, None));
    assert_eq!(world.copy(&pack).verified_at, Some(world.now()));
    let reads = world.blobs.read().into_iter().filter(|it| *it == config).count();
    assert_eq!(reads, 1, "nobody reads it again and again");
}

#[test]
fn a_store_that_is_away_proves_nothing() {
    let world = World::new();
    let packs = [1, 2, 3].map(|it| world.puts(ObjectKind::Data, &vec![it; 5_000]));
    let aside = world.door.folder.with_extension("aside");
    let is_untouched =
        || packs.iter().all(|it| (world.copy(it).verified_at, world.copy(it).damaged_at) == (None, None));

    for empty in [false, true] {
        fs::rename(&world.door.folder, &aside).unwrap();
        if empty {
            fs::create_dir(&world.door.folder).unwrap();
        }
        let (read, listed) = (world.reads_all(), world.lists());
        if empty {
            fs::remove_dir(&world.door.folder).unwrap();
        }
        fs::rename(&aside, &world.door.folder).unwrap();

        assert_eq!((read.looked_at, listed.looked_at), (0, 0));
        assert_eq!(world.verifier.pace(), Some(Pace::Away));
        assert!(is_untouched(), "nothing is noted");
        assert_eq!(world.door.read(|conn| store::setting::survey(Location::Primary).find(conn)), None);
    }
    assert!(world.entries().is_empty());
    assert_eq!(world.reads_all().looked_at, 3, "it goes on by itself");
}

#[test]
fn a_store_that_goes_in_the_middle_of_a_turn_leaves_no_mark_good_or_bad() {
    let world = World::new();
    let packs: Vec<_> = (1..=6).map(|it| world.puts(ObjectKind::Data, &vec![it; 5_000])).collect();
    fs::remove_file(world.path(&packs[1])).unwrap();
    let mut count = 0;
    world.blobs.when_read(move |_| {
        count += 1;
        let gone = || StoreFault { cause: AwayCause::Unreadable, why: "gone".to_owned() };
        // The one that is missing is read twice: this is the last read of the turn.
        (count == 7).then(|| ReadFault::Away(gone()))
    });

    assert_eq!(world.reads().looked_at, 0);

    assert!(packs.iter().all(|it| (world.copy(it).verified_at, world.copy(it).damaged_at) == (None, None)));
    world.blobs.as_usual();
    let done = world.reads_all();
    assert_eq!((done.looked_at, done.damaged), (6, 1), "and then it is all there is");
}

#[test]
fn a_store_that_is_known_to_be_away_is_not_read_at_all() {
    let world = World::new();
    world.puts(ObjectKind::Data, b"pack");
    let away = domain::ground::Away { cause: AwayCause::Silent, why: "silent".to_owned(), since: world.now() };
    let now = world.now();
    world.door.write(move |conn| store::ground::set_away(conn, Some(&away), now));

    assert_eq!((world.reads().looked_at, world.lists().looked_at), (0, 0));
    assert!(world.blobs.read().is_empty());

    world.door.write(move |conn| store::ground::set_away(conn, None, now));
    assert_eq!(world.reads().looked_at, 1);
}

#[test]
fn a_read_that_differs_once_is_not_called_damage() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    let mut is_first = true;
    world.blobs.when_read(move |_| {
        let fault = is_first.then(|| ReadFault::Unreadable("a cable".to_owned()));
        is_first = false;
        fault
    });

    world.reads_all();

    assert_eq!(world.copy(&pack).verified_at, Some(world.now()));
    assert_eq!(world.blobs.read().len(), 2);
}

#[test]
fn what_a_device_sends_again_while_it_is_read_is_neither_marked_good_nor_bad_by_the_old_bytes() {
    let world = World::new();
    let [good, bad] = [1, 2].map(|it| world.puts(ObjectKind::Data, &vec![it; 5_000]));
    world.changes(&bad, |bytes| bytes[0] ^= 1);
    world.door.clock.advance(minutes(1));
    let (store, now) = (world.door.store.clone(), world.now());
    // Each is sent again after it was read, before that is kept.
    world.blobs.when_read(move |key| {
        let key = key.clone();
        store
            .write_blocking(move |conn| {
                store::copy::mark_healed(conn, Location::Primary, key.repository, key.kind, &key.name, now)
            })
            .unwrap();
        None
    });

    let done = world.reads();

    assert_eq!(done.damaged, 0);
    for key in [&good, &bad] {
        let copy = world.copy(key);
        assert_eq!((copy.added_at, copy.verified_at, copy.damaged_at), (now, None, None), "{key}");
    }
    world.blobs.as_usual();
    world.reads_all();
    assert_eq!(world.copy(&good).verified_at, Some(now), "the new bytes are read for themselves");
    assert!(world.is_damaged(&bad));
}

#[test]
fn what_is_removed_while_it_is_read_is_not_missed() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    let (store, removed, path) = (world.door.store.clone(), pack.clone(), world.path(&pack));
    world.blobs.when_read(move |_| {
        let key = removed.clone();
        store.write_blocking(move |conn| store::object::remove(conn, key.repository, key.kind, &key.name)).unwrap();
        let _ = fs::remove_file(&path);
        None
    });

    let done = world.reads_all();

    assert_eq!(done.damaged, 0);
    assert!(world.entries().is_empty());
}

#[test]
fn what_was_damaged_and_is_put_back_by_hand_is_healed_and_tested() {
    let world = World::new();
    let bytes = vec![7; 50_000];
    let pack = world.puts(ObjectKind::Data, &bytes);
    world.puts(ObjectKind::Snapshots, b"snapshot");
    fs::remove_file(world.path(&pack)).unwrap();
    world.reads_all();
    assert!(world.is_damaged(&pack));
    fs::write(world.path(&pack), &bytes).unwrap();
    world.blobs.read();

    world.door.clock.advance(hours(23));
    world.reads_all();
    assert!(world.is_damaged(&pack) && !world.blobs.read().contains(&pack), "it is looked at once a day");
    world.door.clock.advance(hours(1));
    let done = world.reads_all();

    assert_eq!(done.healed, 1);
    let copy = world.copy(&pack);
    assert_eq!((copy.damaged_at, copy.verified_at), (None, Some(world.now())));
    let actions: Vec<_> = world.entries().into_iter().map(|it| it.0).collect();
    assert_eq!(actions, ["object_damaged", "object_healed"]);
}

#[test]
fn what_is_damaged_is_looked_at_again_at_once_when_the_store_was_away() {
    let world = World::new();
    let pack = world.puts(ObjectKind::Data, b"pack");
    fs::remove_file(world.path(&pack)).unwrap();
    world.reads_all();
    let aside = world.door.folder.with_extension("aside");
    fs::rename(&world.door.folder, &aside).unwrap();
    let now = world.now();
    let away = domain::ground::Away { cause: AwayCause::Away, why: "gone".to_owned(), since: now };
    world.door.write(move |conn| store::ground::set_away(conn, Some(&away), now));
    world.reads();
    fs::rename(&aside, &world.door.folder).unwrap();
    fs::write(world.path(&pack), b"pack").unwrap();
    world.door.write(move |conn| store::ground::set_away(conn, None, now));

    assert_eq!(world.reads_all().healed, 1);
}

#[test]
fn many_damaged_objects_are_all_looked_at_again_and_each_only_once_a_day() {
    let world = World::new();
    let packs: Vec<_> = (0..50_u8).map(|it| world.puts(ObjectKind::Data, &[it; 100])).collect();
    packs.iter().for_each(|it| fs::remove_file(world.path(it)).unwrap());
    for _ in 0..10 {
        world.reads_all();
    }
    assert!(packs.iter().all(|it| world.is_damaged(it)));
    for (byte, pack) in (0..50_u8).zip(&packs) {
        fs::write(world.path(pack), [byte; 100]).unwrap();
    }
    world.blobs.read();
    world.door.clock.advance(hours(24));

    for _ in 0..10 {
        world.reads_all();
    }

    assert!(packs.iter().all(|it| !world.is_damaged(it)));
    assert_eq!(world.blobs.read().len(), 50);
}

#[test]
fn a_device_that_sends_a_damaged_object_again_heals_it_and_the_new_bytes_are_read_back_too() {
    let world = World::new();
    let bytes = vec![9; 50_000];
    let pack = world.puts(ObjectKind::Data, &bytes);
    world.changes(&pack, |bytes| bytes[100] ^= 1);
    world.reads_all();
    assert!(world.is_damaged(&pack));
    world.door.clock.advance(hours(1));

    assert_eq!(world.repository.put("data", &bytes).status, 200);

    let copy = world.copy(&pack);
    assert_eq!((copy.added_at, copy.verified_at, copy.damaged_at), (world.now(), None, None));
    assert_eq!(world.reads_all().looked_at, 1);
    assert_eq!(world.copy(&pack).verified_at, Some(world.now()));
}

#[test]
fn a_kill_forgets_at_most_one_turn_and_nothing_is_left_out() {
    let mut world = World::new();
    let packs: Vec<_> = (0..200_u8).map(|it| world.puts(ObjectKind::Data, &[it; 3_000])).collect();
    world.changes(&packs[150], |bytes| bytes[0] ^= 1);
    let first = world.reads();
    assert!(first.more && first.looked_at == 128);
    // In the middle of the second turn.
    let mut left = 10;
    world.blobs.when_read(move |_| {
        left -= 1;
        assert!(left > 0, "planted: the process ends here");
        None
    });
    assert_eq!(world.reads().looked_at, 0);
    world.blobs.as_usual();

    world.restarts(AMPLE);
    let done = world.reads_all();

    assert_eq!(done.looked_at, 200 - 128, "what was kept is not read again");
    assert!(packs.iter().enumerate().all(|(at, it)| match at {
        150 => world.is_damaged(it),
        _ => world.copy(it).verified_at == Some(world.now()),
    }));
}

#[test]
fn a_server_that_stops_keeps_what_it_has_read_and_reads_no_more() {
    let world = World::new();
    let packs: Vec<_> = (0..20_u8).map(|it| world.puts(ObjectKind::Data, &[it; 3_000])).collect();
    let (wake, count) = (world.door.store.wake().clone(), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&count);
    world.blobs.when_read(move |_| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        if *count == 5 {
            wake.stop();
        }
        None
    });

    let done = world.reads();

    assert_eq!((done.looked_at, done.more), (4, false), "the fifth was under way");
    assert_eq!(*count.lock().unwrap(), 5);
    let kept = packs.iter().filter(|it| world.copy(it).verified_at.is_some()).count();
    assert_eq!(kept, 4);
}

#[test]
fn a_read_back_is_late_after_a_day_and_not_before() {
    let world = World::new();
    let lag = || {
        let now = world.now();
        Lag::of(world.door.read(|conn| store::verification::oldest_unread(conn, Location::Primary)), now)
    };
    assert_eq!(lag(), Lag::None);
    world.puts(ObjectKind::Data, b"one");
    world.door.clock.advance(WITHIN);
    world.puts(ObjectKind::Index, b"two");
    assert_eq!(lag(), Lag::Waiting(WITHIN));
    world.door.clock.advance(minutes(1));
    assert_eq!(lag(), Lag::Late(WITHIN + minutes(1)));

    world.reads_all();

    assert_eq!(lag(), Lag::None);
}
