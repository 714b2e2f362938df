//! Both stores are verified, each is repaired from the other, and what neither has is told and asked for.
use super::{AMPLE, Seeded};
use crate::copy::world::{World, backs_up, runs};
use crate::support::NOW;
use crate::support::people::{SINCE, colleague, insert_person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use diesel::prelude::*;
use domain::command::CommandKind;
use domain::ground::{Away, AwayCause};
use domain::object::{Location, ObjectKind};
use domain::role::Role;
use domain::time::{days, hours, minutes};
use domain::verification::{Pace, Rank};
use holdfast::blob::BlobKey;
use holdfast::mail::{Mailer, Message};
use holdfast::service;
use holdfast::service::setting::COPY_SPEED;
use holdfast::service::verification::{Place, Turn, Verifier, ask_again};
use holdfast::store::schema::{commands, copies, restore_points};
use holdfast::store::setting::COPY_AWAY;
use holdfast::{job, store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn verifier(world: &World, location: Location) -> Verifier {
    let blobs = match location {
        Location::Primary => Arc::clone(&world.door.blobs),
        Location::Copy => Arc::clone(&world.copy),
    };
    Verifier::new(world.door.store.clone(), Place { location, blobs }, AMPLE, Arc::new(|| false))
}

/// Reads back all that is due at a location.
fn reads(world: &World, location: Location) -> Turn {
    let (verifier, mut all) = (verifier(world, location), Turn::default());
    loop {
        let turn = verifier.read_back(world.door.clock.now()).unwrap();
        all.looked_at += turn.looked_at;
        all.damaged += turn.damaged;
        if !turn.more {
            return all;
        }
    }
}

/// What is known to be damaged.
fn damaged(world: &World) -> BTreeSet<(Location, String)> {
    let rows: Vec<(Location, domain::id::RepositoryId, ObjectKind, domain::object::ObjectName)> =
        world.door.read(|conn| {
            copies::table
                .filter(copies::damaged_at.is_not_null())
                .select((copies::location, copies::repository_id, copies::kind, copies::name))
                .load(conn)
        });
    rows.into_iter()
        .map(|(at, repository, kind, name)| (at, BlobKey::new(repository, kind, name).to_string()))
        .collect()
}

#[test]
fn two_hundred_seeded_byte_flips_over_both_copies_are_all_found_and_each_with_a_good_other_copy_is_repaired() {
    let world = World::new();
    let repositories = [world.door.repository(), world.door.repository()];
    world.door.write(|conn| COPY_SPEED.key.set(conn, &10_000, NOW));
    let (mut seeded, mut objects) = (Seeded(0xf11b), Vec::new());
    let kinds = [ObjectKind::Data, ObjectKind::Index, ObjectKind::Manifests];
    for number in 0..160 {
        let len = 64 + seeded.below(20_000);
        let bytes = seeded.bytes(len);
        objects.push((world.puts(repositories[number % 2].id, kinds[number % kinds.len()], &bytes), bytes));
    }
    assert_eq!(world.runs().copied, objects.len());
    world.door.clock.advance(minutes(1));
    let mut flipped: BTreeMap<(Location, usize), Vec<u8>> = BTreeMap::new();
    for _ in 0..200 {
        let (location, number) = (Location::ALL[seeded.below(2)], seeded.below(objects.len()));
        let bytes = flipped.entry((location, number)).or_insert_with(|| objects[number].1.clone());
        let at = seeded.below(bytes.len());
        bytes[at] ^= 1 << seeded.below(8);
    }
    // Two flips of the same bit make good bytes again.
    flipped.retain(|(_, number), bytes| *bytes != objects[*number].1);
    for ((location, number), bytes) in &flipped {
        world.spoils(*location, &objects[*number].0, bytes);
    }
    let is_both = |number: usize| Location::ALL.iter().all(|it| flipped.contains_key(&(*it, number)));
    let expected: BTreeSet<_> = flipped.keys().map(|(at, number)| (*at, objects[*number].0.to_string())).collect();
    assert!(expected.len() > 130 && (0..objects.len()).any(is_both), "{}", expected.len());

    let found = Location::ALL.iter().map(|it| reads(&world, *it)).collect::<Vec<_>>();

    assert!(found.iter().all(|it| it.looked_at == objects.len()), "{found:?}");
    assert_eq!(damaged(&world), expected, "each is found, and nothing else");
    assert_eq!(found.iter().map(|it| it.damaged).sum::<usize>(), expected.len());
    assert!(!runs(&world.replicator(), world.door.clock.now()).failed);
    for (number, (key, _)) in objects.iter().enumerate() {
        for location in Location::ALL {
            assert_eq!(world.is_sound(*location, key), !is_both(number), "{location} {key}");
            assert_eq!(world.row(*location, key).unwrap().damaged_at.is_none(), !is_both(number), "{location} {key}");
        }
    }
    // What was repaired is read back like anything that came.
    let again = Location::ALL.iter().map(|it| reads(&world, *it).damaged).sum::<usize>();
    assert_eq!(again, 0);
    let never = world.door.read(|conn| {
        copies::table
            .filter(copies::verified_at.is_null().and(copies::damaged_at.is_null()))
            .count()
            .get_result::<i64>(conn)
    });
    assert_eq!(never, 0);
}

#[test]
fn a_second_store_that_is_away_proves_nothing_and_is_not_read() {
    let world = World::new();
    let backup = backs_up(&world, &world.door.repository(), "backup");
    world.runs();
    world.copy.remove(&backup[0]).unwrap();
    let away = Away { cause: AwayCause::Silent, why: "it does not answer".to_owned(), since: NOW };
    world.door.write(move |conn| COPY_AWAY.set(conn, &away, NOW));
    let verifier = verifier(&world, Location::Copy);

    let (read, listed) = (verifier.read_back(NOW).unwrap(), verifier.list(minutes(1), NOW).unwrap());

    assert_eq!((read.looked_at, listed.looked_at, verifier.pace()), (0, 0, Some(Pace::Away)));
    assert!(damaged(&world).is_empty());
    assert_eq!(reads(&world, Location::Primary).looked_at, backup.len(), "the other goes on");
    world.door.write(|conn| COPY_AWAY.remove(conn));
    assert_eq!(verifier.read_back(NOW).unwrap().damaged, 1);
}

#[test]
fn what_the_second_store_lost_is_found_by_its_list_and_copied_again() {
    let world = World::new();
    let backup = backs_up(&world, &world.door.repository(), "backup");
    world.runs();
    backup[..2].iter().for_each(|it| assert!(world.copy.remove(it).unwrap()));
    // Still to be copied: the list does not miss it.
    world.puts(backup[0].repository, ObjectKind::Data, b"new");

    let listed = verifier(&world, Location::Copy).list(minutes(1), NOW).unwrap();

    assert_eq!((listed.looked_at, listed.damaged), (5, 2));
    let later = |time| verifier(&world, Location::Copy).list(minutes(1), NOW + time).unwrap().looked_at;
    assert_eq!((later(minutes(59)), later(hours(1))), (0, 5), "each call of a bucket costs");
    assert_eq!(world.runs().copied, 3);
    assert!(backup.iter().all(|it| world.is_sound(Location::Copy, it)) && damaged(&world).is_empty());
}

/// The waiting mails about damage in a store.
fn mails(world: &World) -> Vec<Message> {
    let mailer = Mailer::memory();
    while job::mail::run_once(&world.door.store, Some(&mailer), &world.door.clock).unwrap().more {}
    mailer.sent().into_iter().filter(|it| it.subject.contains("damage was found")).collect()
}

#[test]
fn damage_is_told_at_once_with_what_to_do_and_each_store_at_most_once_a_day() {
    let world = World::new();
    world.door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, SINCE));
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    world.runs();
    for key in &backup[..2] {
        world.spoils(Location::Primary, key, b"rot");
    }

    reads(&world, Location::Primary);

    let sent = mails(&world);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].subject, "Holdfast: damage was found in the backup store");
    let device = world.door.read(move |conn| store::device::find(conn, repository.device)).unwrap();
    for part in [device.name.as_str(), "it has fewer bytes than the 15 that were stored", "intact, and it is replaced"]
    {
        assert!(sent[0].body.contains(part), "{part} in {}", sent[0].body);
    }
    world.spoils(Location::Copy, &backup[3], b"rot");
    reads(&world, Location::Copy);
    assert_eq!(mails(&world)[0].subject, "Holdfast: damage was found in the second store");
    assert_eq!(world.runs().repaired, 2);
    world.door.clock.advance(hours(23));
    world.spoils(Location::Primary, &backup[0], b"rot");
    assert_eq!((reads(&world, Location::Primary).damaged, mails(&world).len()), (1, 0), "within a day");
    world.runs();
    world.door.clock.advance(hours(1));
    world.spoils(Location::Primary, &backup[0], b"rot");
    world.finds_damage(Location::Copy, &backup[0]);
    reads(&world, Location::Primary);
    let bodies: Vec<_> = mails(&world).into_iter().map(|it| it.body).collect();
    assert!(bodies.iter().any(|it| it.contains("No other store has it intact")), "{bodies:?}");
}

#[test]
fn a_device_is_asked_once_to_send_again_what_no_store_has_and_not_what_can_be_repaired() {
    let world = World::new();
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    world.runs();
    let asked =
        || world.door.read(|conn| commands::table.select((commands::device_id, commands::kind)).load::<(_, _)>(conn));
    world.finds_damage(Location::Primary, &backup[0]);
    let later = NOW + hours(1);
    assert_eq!((ask_again(&world.door.store, later).unwrap(), asked()), (0, vec![]), "the copy is good");

    world.finds_damage(Location::Copy, &backup[0]);
    world.door.clock.advance(minutes(14));
    assert_eq!(ask_again(&world.door.store, world.door.clock.now()).unwrap(), 0, "it may still be repaired");
    world.door.clock.advance(minutes(1));
    for expected in [1, 0] {
        assert_eq!(ask_again(&world.door.store, world.door.clock.now()).unwrap(), expected);
        assert_eq!(asked(), [(repository.device, CommandKind::BackUpNow)]);
    }
    assert_eq!(repository.put("data", b"backup pack one").status, 200);
    world.runs();
    assert!(damaged(&world).is_empty());
    world.door.clock.advance(hours(1));
    Location::ALL.iter().for_each(|it| world.finds_damage(*it, &backup[1]));
    world.door.clock.advance(minutes(15));
    assert_eq!(ask_again(&world.door.store, world.door.clock.now()).unwrap(), 1, "of another damage, again");
}

#[test]
fn what_the_newest_point_needs_is_read_first_then_what_has_no_other_copy_then_the_rest() {
    let world = World::new();
    let repository = world.door.repository();
    let puts = |byte: u8| world.puts(repository.id, ObjectKind::Data, &[byte; 9]);
    let ranks =
        |key: &BlobKey| Location::ALL.iter().map(|it| world.row(*it, key).map(|it| it.rank)).collect::<Vec<_>>();
    let [needed, spare] = [1, 2].map(puts);
    assert_eq!(ranks(&spare), [Some(Rank::Only), None], "not copied yet");
    world.runs();
    assert_eq!(ranks(&spare), [Some(Rank::Spare), Some(Rank::Spare)]);
    let only = puts(3);
    let of = |packs: &[&BlobKey]| packs.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    let set = |packs: Vec<_>| {
        let id = repository.id;
        world.door.write(move |conn| store::verification::set_needed(conn, id, &packs));
    };
    set(of(&[&needed, &only]));
    assert_eq!(ranks(&needed), [Some(Rank::Needed), Some(Rank::Needed)]);
    set(of(&[&needed]));
    assert_eq!((ranks(&only), ranks(&spare)), (vec![Some(Rank::Only), None], vec![Some(Rank::Spare); 2]));
    reads(&world, Location::Primary);
    world.door.clock.advance(days(25));
    let next = |part| world.door.read(move |conn| store::verification::next(conn, Location::Primary, part, 10));
    let by = |rank| {
        let found = next(store::verification::Part::ReadBy(rank, world.door.clock.now()));
        found.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    assert_eq!(
        [Rank::Needed, Rank::Only, Rank::Spare].map(by),
        [&needed, &only, &spare].map(|it| vec![it.name.clone()])
    );

    // Lost there, it is the only copy again; and so is everything of a second store that was forgotten.
    world.finds_damage(Location::Copy, &spare);
    assert_eq!(ranks(&spare)[0], Some(Rank::Only));
    world.runs();
    assert_eq!(ranks(&spare)[0], Some(Rank::Spare));
    let id = repository.id;
    world.door.write(move |conn| store::copy::forget(conn, id));
    assert_eq!((ranks(&spare)[0], ranks(&needed)[0]), (Some(Rank::Only), Some(Rank::Needed)));
}

#[test]
fn the_page_names_whose_files_no_store_has_by_device_and_restore_point() {
    let server = TestServer::start();
    let owner = colleague(&server, "owner", Role::Owner);
    let device = crate::support::device::SimDevice::join(&server);
    let (id, now) = (device.enrolled.as_ref().unwrap().repository_id, server.app.clock.now());
    for (kind, bytes) in [(ObjectKind::Data, b"pack".as_slice()), (ObjectKind::Snapshots, b"snapshot")] {
        let kept = service::backup::keep(&*server.app.blobs, id, kind, bytes).unwrap();
        let (key, size) = (kept.key.clone(), kept.size);
        let token = domain::object::TokenKind::Agent;
        server.act(move |conn| service::backup::received(conn, &key, size, token, now));
        if kind == ObjectKind::Data {
            let key = kept.key.clone();
            server.act(move |conn| service::backup::object_damaged(conn, &key, now));
        }
        kept.settle();
    }
    let page = || text(&Visit::of(&server, owner).get("/stores"));
    let html = page();
    assert!(html.contains("Whose files are affected") && html.contains("None known yet"), "{html}");
    assert!(html.contains("No store has it intact. It is put right if its device sends it again."), "{html}");

    // As a restore test that met the damage leaves it.
    server.act(move |conn| {
        let failed = (
            restore_points::failed_at.eq(Some(now)),
            restore_points::failed_keys
                .eq("[\"0123456789abcdef0123456789abcdef\",\"1123456789abcdef0123456789abcdef\"]"),
        );
        Ok(diesel::update(restore_points::table).set(failed).execute(conn)?)
    });
    let html = page();
    assert!(html.contains("2 files") && !html.contains("None known yet"), "{html}");
    assert!(html.contains("Do not wipe, reset or re-enroll these devices"), "{html}");
    assert!(html.contains("nothing of their backups ends or is erased"), "{html}");

    // Who may hold the last copy, and the button that asks all of them, is a page of its own.
    assert!(html.contains("<a href=\"/incident\">Have all of them back up now</a>"), "{html}");

    let hit = &Visit::of(&server, owner).get("/stores.json").json()["stores"][0]["affected_points"][0];
    assert_eq!((&hit["device_id"], &hit["files"]), (&device.id().to_string().into(), &2.into()));
    assert_eq!(hit["received_at"], now.iso());
}
