//! The listing: what is not there is found at once, and everything is counted.
use super::{AMPLE, World};
use crate::support::door::TestDoor;
use crate::support::{NOW, TestDatabase};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::{days, minutes};
use domain::verification::{Amount, Survey};
use holdfast::error::Error;
use holdfast::store;
use holdfast::store::object::Object;
use std::fs;

fn survey(world: &World) -> Survey {
    let found = world.door.read(|conn| store::setting::survey(Location::Primary).find(conn));
    found.expect("a pass that has ended")
}

#[test]
fn what_is_missing_or_has_another_length_is_found_without_reading_a_byte() {
    let world = World::new();
    let put = |byte: u8| world.puts(ObjectKind::Data, &vec![byte; 50_000]);
    let [whole, lost, cut, longer] = [1, 2, 3, 4].map(put);
    let [index, snapshot] = [ObjectKind::Index, ObjectKind::Snapshots].map(|it| world.puts(it, b"bytes"));
    for key in [&lost, &index, &snapshot] {
        fs::remove_file(world.path(key)).unwrap();
    }
    world.changes(&cut, |bytes| bytes.truncate(1));
    world.changes(&longer, |bytes| bytes.push(1));

    let done = world.lists();

    assert_eq!((done.looked_at, done.damaged), (6, 5));
    assert!(!world.is_damaged(&whole));
    assert!([&lost, &cut, &longer, &index, &snapshot].iter().all(|it| world.is_damaged(it)));
    assert!(world.blobs.read().is_empty());
    assert_eq!(world.lists().damaged, 0, "it is news once");
    let entries = world.entries();
    assert_eq!(entries.len(), 5);
    assert!(entries.iter().all(|it| it.1 == "it is not there, or has another length"), "{entries:?}");
}

#[test]
fn a_whole_folder_that_went_is_found_and_what_opens_the_repository_is_put_back() {
    let world = World::new();
    let config = world.puts(ObjectKind::Config, b"{}");
    let packs: Vec<_> = (0..250_u8).map(|it| world.puts(ObjectKind::Data, &[it; 10])).collect();
    fs::remove_dir_all(world.door.folder.join(world.repository.id.as_str())).unwrap();

    let done = world.lists();

    assert_eq!((done.looked_at, done.damaged), (251, 251));
    assert!(packs.iter().all(|it| world.is_damaged(it)));
    assert!(!world.is_damaged(&config));
    assert_eq!(fs::read(world.path(&config)).unwrap(), b"{}");
}

#[test]
fn each_object_of_each_repository_is_counted_once() {
    let world = World::new();
    let other = world.door.repository();
    for number in 0..3_u8 {
        world.puts(ObjectKind::Data, &[number; 100]);
    }
    world.reads_all();
    let never = world.puts_into(other.id, ObjectKind::Data, &[9; 1_000]);
    let lost = world.puts_into(other.id, ObjectKind::Data, &[8; 7]);
    fs::remove_file(world.path(&lost)).unwrap();
    world.repository.put("locks", b"lock");

    world.lists();

    let found = survey(&world);
    let amount = |objects, bytes| Amount { objects, bytes };
    let tally = &found.tally;
    assert_eq!((tally.all, tally.never, tally.damaged), (amount(5, 1_307), amount(1, 1_000), amount(1, 7)));
    let share = found.share(world.now());
    assert_eq!((share.intact, share.percent()), (amount(3, 300), Some(22)));
    assert_eq!((found.began_at, found.ended_at), (world.now(), world.now()));
    assert!(!world.is_damaged(&never));
}

#[test]
fn a_pass_that_a_stop_interrupts_goes_on_where_it_was() {
    let (database, folder) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let world = World::at(TestDoor::on(&database, folder.path()), AMPLE);
    for number in 0..6_u8 {
        let repository = world.door.repository();
        world.puts_into(repository.id, ObjectKind::Data, &[number; 10]);
    }
    let (wake, mut count) = (world.door.store.wake().clone(), 0);
    world.blobs.when_listed(move || {
        count += 1;
        if count == 4 {
            wake.stop();
        }
    });
    let began_at = world.now();

    let first = world.lists();
    drop(world);
    // The next process, with one more repository that is empty.
    let world = World::at(TestDoor::on(&database, folder.path()), AMPLE);
    assert!(world.door.read(|conn| store::setting::survey(Location::Primary).find(conn)).is_none());
    world.door.clock.advance(minutes(1));
    let second = world.lists();

    let found = survey(&world);
    assert!(first.looked_at > 0 && second.looked_at > 0);
    assert_eq!((first.looked_at + second.looked_at, found.tally.all.objects), (6, 6));
    assert_eq!((found.began_at, found.ended_at), (began_at, world.now()));
    let kept = world.door.read(|conn| store::setting::pass(Location::Primary).find(conn));
    assert_eq!(kept, None, "the next begins anew");
}

#[test]
fn a_step_ends_after_its_share_of_what_there_is() {
    let world = World::new();
    let others: Vec<_> = (0..3).map(|_| world.door.repository()).collect();
    // Rows alone.
    for it in &others {
        let id = it.id;
        world.door.write(move |conn| {
            for number in 0..1_500_u32 {
                let name = ObjectName::from_hash(&secret::sha256(&number.to_le_bytes()));
                let (kind, received_at) = (ObjectKind::Data, NOW);
                let object = Object { repository_id: id, kind, name, size_bytes: 1, received_at };
                store::object::insert(conn, &object, Location::Primary)?;
                // Known already, so that no step has anything to note.
                store::copy::mark_damaged(conn, Location::Primary, id, kind, &object.name, NOW)?;
            }
            Ok::<_, Error>(())
        });
    }

    let steps = [world.lists(), world.lists()].map(|it| (it.looked_at, it.damaged));

    assert_eq!(steps, [(3_000, 0), (1_500, 0)]);
    assert_eq!(survey(&world).tally.damaged, Amount { objects: 4_500, bytes: 4_500 });
}

#[test]
fn a_folder_that_cannot_be_listed_is_said_and_hides_no_other() {
    let world = World::new();
    let other = world.door.repository();
    let here = world.puts(ObjectKind::Snapshots, b"here");
    let [first, lost] = [1, 2].map(|it| world.puts_into(other.id, ObjectKind::Data, &[it; 10]));
    fs::remove_file(world.path(&lost)).unwrap();
    // A file that stands where a folder is looked for.
    fs::write(world.door.folder.join(world.repository.id.as_str()).join("index"), b"").unwrap();

    world.lists();

    assert_eq!(survey(&world).tally.unlisted, 1);
    assert!(!world.is_damaged(&here) && !world.is_damaged(&first) && world.is_damaged(&lost));
    assert_eq!(world.door.read(store::ground::away), None);
}

#[test]
fn what_was_counted_goes_out_of_date_by_the_clock_alone() {
    let world = World::new();
    world.puts(ObjectKind::Data, b"pack");
    world.reads_all();
    world.lists();
    let found = survey(&world);

    assert_eq!(found.share(world.now()).percent(), Some(100));
    assert_eq!(found.share(world.now() + days(31)).percent(), Some(0));
    assert!(found.is_old(world.now() + days(2)));
}
