//! Each store is repaired from the other; what both have damaged stays so, and is told.
use super::world::{World, backs_up, runs};
use crate::support::NOW;
use crate::support::door::{TestRepository, name};
use crate::support::fleet::Random;
use crate::support::people::{SINCE, insert_person};
use diesel::prelude::*;
use domain::activity::Action;
use domain::id::DeviceId;
use domain::object::{Location, ObjectKind};
use domain::proof::TestCause;
use domain::role::Role;
use domain::time::{Time, hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::mail::{Mailer, Message};
use holdfast::service::setting::COPY_SPEED;
use holdfast::store::schema::{restore_points, restore_tests};
use holdfast::{job, store};
use std::collections::BTreeSet;

/// A device whose backup is in both stores.
fn copied() -> (World, TestRepository, Vec<BlobKey>) {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    assert_eq!(world.runs().copied, backup.len());
    world.door.clock.advance(hours(1));
    (world, repository, backup)
}

/// The tests of restore points that wait, as far as the queue knows; those of new backups have run.
fn tests_of_new_backups_ran(world: &World) {
    world
        .door
        .write(|conn| diesel::update(restore_tests::table).set(restore_tests::state.eq("finished")).execute(conn));
}

fn waiting(world: &World) -> Vec<TestCause> {
    world.door.read(|conn| {
        restore_tests::table.filter(restore_tests::state.eq("queued")).select(restore_tests::cause).load(conn)
    })
}

#[test]
fn damage_in_the_backup_store_is_repaired_from_the_copy_and_the_points_are_tested_again() {
    let (world, repository, backup) = copied();
    for (spoil, key) in [(true, &backup[0]), (false, &backup[4])] {
        tests_of_new_backups_ran(&world);
        if spoil {
            world.spoils(Location::Primary, key, b"rot");
        } else {
            world.door.blobs.remove(key).unwrap();
        }
        world.finds_damage(Location::Primary, key);

        let run = world.runs();

        assert_eq!((run.repaired, run.copied, run.failed), (1, 0, false));
        assert!(world.is_sound(Location::Primary, key));
        assert_eq!(world.row(Location::Primary, key).unwrap().damaged_at, None);
        assert!(waiting(&world).contains(&TestCause::Damage));
    }
    let entries = world.entries();
    let healed = (Action::ObjectHealed, "it was restored from the second copy".to_owned());
    assert_eq!(entries, [healed.clone(), healed]);
    assert_eq!(world.facts(repository.device).waiting, 0);
}

#[test]
fn damage_in_the_second_store_is_repaired_from_the_first_and_takes_no_proof_from_it() {
    let (world, repository, backup) = copied();
    let device = repository.device;
    // As a restore test leaves a point that it has shown something about.
    let shown = (restore_points::proven_at.eq(Some(NOW)), restore_points::verified_at.eq(Some(NOW)));
    world.door.write(move |conn| diesel::update(restore_points::table).set(shown).execute(conn));
    tests_of_new_backups_ran(&world);
    let proven = |device: DeviceId| {
        world.door.read(move |conn| {
            restore_points::table
                .filter(restore_points::device_id.eq(device))
                .select((restore_points::proven_at, restore_points::retest.is_null()))
                .load::<(Option<Time>, bool)>(conn)
        })
    };
    world.spoils(Location::Copy, &backup[1], b"rot");

    world.finds_damage(Location::Copy, &backup[1]);
    assert_eq!(proven(device), [(Some(NOW), true)], "the proof is of the backup store");
    assert_eq!(world.row(Location::Primary, &backup[1]).unwrap().damaged_at, None);
    assert_eq!(world.facts(device).waiting, 1);
    assert_eq!(world.runs().copied, 1);

    assert!(world.is_sound(Location::Copy, &backup[1]) && world.is_copied(&backup[1]));
    assert_eq!((proven(device), waiting(&world)), (vec![(Some(NOW), true)], vec![]));
    let actions: Vec<_> = world.entries().into_iter().map(|it| it.0).collect();
    assert_eq!(actions, [Action::CopyDamaged, Action::ObjectHealed]);
}

#[test]
fn a_copy_that_is_missing_is_put_there_again() {
    let (world, _, backup) = copied();
    world.copy.remove(&backup[2]).unwrap();
    world.finds_damage(Location::Copy, &backup[2]);
    assert_eq!(world.runs().copied, 1);
    assert!(world.is_sound(Location::Copy, &backup[2]));
}

/// Sends the waiting mails.
fn mails(world: &World) -> Vec<Message> {
    let mailer = Mailer::memory();
    while job::mail::run_once(&world.door.store, Some(&mailer), &world.door.clock).unwrap().more {}
    mailer.sent().into_iter().filter(|it| it.subject.contains("Damaged, and intact in no store")).collect()
}

fn tells(world: &World) -> Vec<Message> {
    job::alert::run_once(&world.door.store, world.door.clock.now()).unwrap();
    mails(world)
}

#[test]
fn what_both_stores_have_damaged_stays_so_is_told_with_its_device_and_is_healed_by_sending_it_again() {
    let (world, repository, backup) = copied();
    world.door.write(|conn| insert_person(conn, "operator", &[Role::Operator], None, SINCE));
    let key = &backup[0];
    world.spoils(Location::Primary, key, b"rot");
    world.spoils(Location::Copy, key, b"other rot");
    world.finds_damage(Location::Primary, key);
    assert_eq!(tells(&world).len(), 0, "the copy may be good");

    let run = world.runs();

    assert_eq!((run.repaired, run.copied, run.failed), (0, 0, false));
    assert!(Location::ALL.iter().all(|it| world.row(*it, key).unwrap().damaged_at.is_some()));
    assert_eq!(world.door.blobs.read(key, 0, 99).unwrap(), b"rot", "rot is not replaced by rot");
    let sent = tells(&world);
    assert_eq!(sent.len(), 1);
    let device = world.door.read(move |conn| store::device::find(conn, repository.device)).unwrap();
    assert!(sent[0].body.contains(&device.name) && sent[0].body.contains(&device.serial), "{}", sent[0].body);
    assert_eq!(tells(&world).len(), 0, "once");
    assert_eq!(world.facts(repository.device).damaged, 1);

    assert_eq!(repository.put("data", b"backup pack one").status, 200);
    assert_eq!(world.runs().copied, 1);

    assert!(Location::ALL.iter().all(|it| world.is_sound(*it, key)));
    assert!(Location::ALL.iter().all(|it| world.row(*it, key).unwrap().damaged_at.is_none()));
    assert_eq!(world.facts(repository.device).damaged, 0);
}

#[test]
fn without_a_second_store_what_an_earlier_one_had_repairs_nothing_and_people_are_told() {
    let (world, _, backup) = copied();
    world.door.write(|conn| insert_person(conn, "operator", &[Role::Operator], None, SINCE));
    holdfast::service::copy::none(&world.door.store, world.door.clock.now()).unwrap();
    world.finds_damage(Location::Primary, &backup[0]);
    assert_eq!(tells(&world).len(), 1);
}

/// What a reader finds who reads all there is at both locations, and says so.
fn reads_everything(world: &World, keys: &[BlobKey]) -> BTreeSet<(Location, String)> {
    let mut found = BTreeSet::new();
    for key in keys {
        for location in Location::ALL {
            if !world.is_sound(*location, key) {
                world.finds_damage(*location, key);
                found.insert((*location, key.to_string()));
            }
        }
    }
    found
}

#[test]
fn of_a_thousand_flips_over_both_copies_all_are_found_and_all_with_a_good_other_copy_are_repaired() {
    let world = World::new();
    let repositories: Vec<_> = (0..10).map(|_| world.door.repository()).collect();
    world.door.write(|conn| COPY_SPEED.key.set(conn, &10_000, NOW));
    let mut random = Random::new(10);
    let mut objects = Vec::new();
    for (number, repository) in repositories.iter().enumerate() {
        for turn in 0..120_u64 {
            let len = usize::try_from(64 + random.below(2_000)).unwrap();
            let mut bytes = vec![u8::try_from(number).unwrap(); len];
            bytes[..8].copy_from_slice(&turn.to_le_bytes());
            let kind = *random.pick(&[ObjectKind::Data, ObjectKind::Index, ObjectKind::Manifests, ObjectKind::Keys]);
            objects.push((world.puts(repository.id, kind, &bytes), bytes));
        }
    }
    assert_eq!(world.runs().copied, objects.len());
    world.door.clock.advance(minutes(1));

    let mut flipped = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let location = *random.pick(Location::ALL);
        let number = usize::try_from(random.below(objects.len() as u64)).unwrap();
        let (key, bytes) = &objects[number];
        let spoilt = flipped.entry((location, number)).or_insert_with(|| bytes.clone());
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        spoilt[at] ^= 1 << random.below(8);
        world.spoils(location, key, spoilt);
    }
    // Two flips of the same bit make good bytes again.
    flipped.retain(|(_, number), spoilt| *spoilt != objects[*number].1);
    let damaged: BTreeSet<_> =
        flipped.keys().map(|(location, number)| (*location, objects[*number].0.to_string())).collect();
    let both = |key: &BlobKey| Location::ALL.iter().all(|it| damaged.contains(&(*it, key.to_string())));
    let keys: Vec<_> = objects.iter().map(|it| it.0.clone()).collect();
    assert!(damaged.len() > 700 && keys.iter().any(&both), "{}", damaged.len());

    assert_eq!(reads_everything(&world, &keys), damaged, "each is found, and nothing else");
    let run = runs(&world.replicator(), world.door.clock.now());

    assert!(!run.failed);
    for (key, bytes) in &objects {
        for location in Location::ALL {
            let is_repaired = !both(key);
            assert_eq!(world.is_sound(*location, key), is_repaired, "{location} {key}");
            let row = world.row(*location, key).unwrap();
            assert_eq!(row.damaged_at.is_none(), is_repaired, "{location} {key}");
        }
        if !both(key) {
            let all = world.blobs(Location::Primary).read(key, 0, 1 << 20).unwrap();
            assert_eq!((&all, name(bytes)), (bytes, key.name.clone()));
        }
    }
    let singles = keys.iter().filter(|it| !both(it) && damaged.iter().any(|(_, key)| *key == it.to_string())).count();
    assert_eq!(run.repaired + run.copied, singles);
    assert_eq!(world.entries().iter().filter(|it| it.0 == Action::ObjectHealed).count(), singles);
}
