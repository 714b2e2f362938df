//! A second store that fills up, and copying that is late: both are told before they matter.
use super::world::{World, backs_up};
use crate::support::NOW;
use crate::support::people::{SINCE, insert_person};
use domain::ground::{Disk, Sample};
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::mail::Mailer;
use holdfast::service::ground::Guarded;
use holdfast::store::setting::COPY_SEEN;
use holdfast::{job, service, store};

fn with_owner() -> World {
    let world = World::new();
    world.door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, SINCE));
    world
}

fn look(world: &World) {
    // Whoever copies finds it there, and fails all the same.
    let now = world.door.clock.now();
    world.door.write(move |conn| COPY_SEEN.set(conn, &now, now));
    job::copy::look(&world.door.store, &world.copy, &Guarded::default(), world.door.clock.now()).unwrap();
}

/// The mails since the last time whose subject has these words.
fn told(world: &World, words: &str) -> Vec<String> {
    let mailer = Mailer::memory();
    while job::mail::run_once(&world.door.store, Some(&mailer), &world.door.clock).unwrap().more {}
    mailer.sent().into_iter().filter(|it| it.subject.contains(words)).map(|it| it.body).collect()
}

#[test]
fn the_room_of_a_second_store_is_sampled_and_told_before_it_ends() {
    let world = with_owner();
    look(&world);
    let room = || world.door.read(service::ground::rooms).into_iter().find(|it| it.disk == Disk::Copy).unwrap();
    let now = room().now;
    assert!(now.total_bytes > 0 && now.at == NOW);

    // Seven hours earlier there was twice as much: at this rate any disk is full within a day.
    let before = Sample { at: NOW - hours(7), free_bytes: now.free_bytes.saturating_mul(2), ..now };
    world.door.write(move |conn| {
        store::ground::add_sample(conn, Disk::Copy, before, before.at)?;
        // The disk below the tests may be nearly full in earnest.
        store::setting::told(Disk::Copy).remove(conn)
    });
    told(&world, "");
    world.door.clock.advance(minutes(1));
    look(&world);

    assert_eq!(room().trend(), "full within a day at this rate");
    let mails = told(&world, "the disk of the second store is getting full");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("only grows") && mails[0].contains("--new-copy"), "{}", mails[0]);
    world.door.clock.advance(minutes(1));
    look(&world);
    assert_eq!(told(&world, "getting full"), [""; 0], "once");
}

#[test]
fn what_waits_for_its_second_copy_for_a_day_is_told_once() {
    let world = with_owner();
    let repository = world.door.repository();
    backs_up(&world, &repository, "first");
    let late = || told(&world, "copying to the second store is late");
    world.door.clock.advance(hours(23));
    look(&world);
    assert_eq!(late(), [""; 0]);

    for count in [1, 0] {
        world.door.clock.advance(hours(1));
        look(&world);
        let mails = late();
        assert_eq!(mails.len(), count);
        assert!(mails.iter().all(|it| it.contains("objects wait") && it.contains("/mnt/copy")), "{mails:?}");
    }

    world.runs();
    look(&world);
    backs_up(&world, &repository, "second");
    world.door.clock.advance(hours(25));
    look(&world);
    assert_eq!(late().len(), 1, "again, after it had caught up");
}
