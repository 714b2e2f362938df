//! Evidence cannot be stretched: not by a setting, a part, other files, or a clock.
use super::craft::Craft;
use super::evidence::World;
use crate::support::NOW;
use crate::support::server::boss;
use domain::fact::Facts;
use domain::id::PolicyId;
use domain::policy::{Applied, Compliance, Known, Requirement, evaluate};
use domain::proof::{Grade, Level, TestResult};
use domain::time::{days, hours, minutes};
use holdfast::proof::frame::TestJob;
use holdfast::service::setting::PROOF_VALIDITY;
use holdfast::{service, store};
use std::fs;

fn ask(world: &World) {
    let (device, now) = (world.craft.device, world.clock.now());
    world.store.act_blocking(move |conn| service::proof::ask(conn, &boss(), device, now)).unwrap();
}

fn set_validity_hours(world: &World, hours: i64) {
    let now = world.clock.now();
    let set = move |conn: &mut _| service::setting::set_numbers(conn, &boss(), &[(PROOF_VALIDITY, hours)], now);
    world.store.act_blocking(set).unwrap();
}

#[test]
fn a_longer_validity_and_a_test_that_could_not_run_make_no_old_proof_hold_again() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    world.run();
    let proven_until = world.proof().proven_until;
    world.clock.advance(days(40));
    assert_eq!(world.grade(), Grade::OutOfDate);

    let now = world.clock.now();
    let raise = move |conn: &mut _| PROOF_VALIDITY.key.set(conn, &31_536_000, now);
    world.store.write_blocking(raise).unwrap();
    let folder = world.stored.folder.path().to_owned();
    let aside = folder.with_extension("aside");
    fs::rename(&folder, &aside).unwrap();
    ask(&world);
    assert_eq!(world.run(), 1);

    assert_eq!(world.actions().last().unwrap(), "restore_test_unproven");
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::OutOfDate, proven_until));
    fs::rename(&aside, &folder).unwrap();
    ask(&world);
    assert_eq!(world.run(), 1);
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::Proven, Some(now + days(365))));
}

#[test]
fn a_shorter_validity_ends_what_would_hold_longer_and_setting_it_back_brings_nothing_back() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    world.run();
    world.clock.advance(hours(30));
    assert_eq!(world.grade(), Grade::Proven);

    set_validity_hours(&world, 24);
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::OutOfDate, Some(NOW + hours(24))));

    set_validity_hours(&world, 168);
    world.clock.advance(hours(73));
    let device = world.craft.device;
    world.store.write_blocking(move |conn| service::proof::refresh(conn, device)).unwrap();
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::OutOfDate, Some(NOW + hours(24))));
}

/// 201 files: their names, and what is in each.
fn many() -> Vec<(String, Vec<u8>)> {
    (0..201).map(|it| (format!("f{it:03}"), format!("file {it}").into_bytes())).collect()
}

#[test]
fn one_file_of_201_compared_is_a_part_and_no_proof() {
    let mut world = World::new();
    let files = many();
    let files: Vec<(&str, &[u8])> = files.iter().map(|it| (it.0.as_str(), it.1.as_slice())).collect();
    let mut job = world.craft.backup(&files);
    job.excluded = files.iter().skip(1).map(|it| format!("/data/{}", it.0)).collect();
    world.receive(&job);
    world.run();

    let (proof, now) = (world.proof(), world.clock.now());
    assert_eq!((world.grade(), proof.rank, proof.proven_at), (Grade::Partial, 5, None));
    assert_eq!(proof.part(now).as_deref(), Some("1 of 201 files proven"));
    assert_eq!((proof.not_proven_files, proof.evidence().level(now)), (Some(200), Level::Partial));
    assert_eq!(world.actions(), ["restore_test_partial"]);
    let requirements = vec![Requirement::ProvenRestorePoint { within_minutes: 60 * 24 }];
    let policy = Applied { id: PolicyId::generate(now), name: "Proven".to_owned(), requirements };
    let (facts, enrolled_at) = (Facts::default(), NOW - days(30));
    let device = Known {
        facts: &facts,
        evidence: proof.evidence(),
        copy: domain::policy::CopyKnown::NOTHING,
        last_seen_at: Some(now),
        enrolled_at,
    };
    let found = evaluate(&[policy], &device, now).remove(0);
    assert_eq!(found.outcome, Compliance::NotCompliant, "a part is no proof to a policy: {found:?}");
    world.clock.advance(days(7));
    assert_ne!(world.grade(), Grade::Partial, "it holds no longer than a proof");
}

#[test]
fn files_missing_from_the_list_make_a_part_of_what_looks_whole() {
    let mut craft = Craft::new(2);
    let (mut nodes, mut chunks) = (Vec::new(), Vec::new());
    for (name, content) in many() {
        let blob = craft.blob(false, &content);
        nodes.push(Craft::file_node(&name, content.len(), &[blob.id]));
        chunks.push(blob);
    }
    craft.pack(&chunks);
    let job = craft.backup_of(&nodes, &[("f000", b"file 0")]);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Partial), "{report:?}");
    assert!(report.summary.starts_with("1 of 201 files proven. The others, 200 with"), "{}", report.summary);
}

#[test]
fn what_changed_while_it_was_read_is_listed_and_not_proven_beside_a_proof() {
    let mut craft = Craft::new(2);
    let files = many();
    let files: Vec<(&str, &[u8])> = files.iter().map(|it| (it.0.as_str(), it.1.as_slice())).collect();
    let mut job = craft.backup(&files);
    let some = |count: usize| files.iter().take(count).map(|it| format!("/data/{}", it.0)).collect::<Vec<_>>();

    job.excluded = some(10);
    let report = craft.test(&job);
    assert_eq!((report.result, report.level), (TestResult::Passed, Level::Proven), "{report:?}");
    assert_eq!((report.matched_count, report.excluded_count), (191, 10));
    assert_eq!(report.failures.not_compared.len(), 10);
    job.excluded = some(11);
    let report = craft.test(&job);
    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Partial), "above 5 %");
}

#[test]
fn a_failure_ends_only_when_the_files_that_failed_are_proven() {
    let mut world = World::failed();

    let damaged = |world: &World| (world.proof().damaged_files, world.proof().damaged().unwrap());
    assert_eq!(damaged(&world), (1, vec!["/data/a".to_owned()]));

    let other = world.craft.backup(&[("b", b"two"), ("c", b"three")]);
    world.receive(&other);
    assert_eq!(world.run(), 1);
    assert_eq!(world.actions(), ["restore_test_failed", "restore_test_passed"]);
    assert_eq!(world.grade(), Grade::Failed, "it holds other files");

    world.clock.advance(hours(1));
    let mut unread = world.craft.backup(&[("a", b"one"), ("b", b"two")]);
    unread.excluded = vec!["/data/a".to_owned()];
    world.receive(&unread);
    assert_eq!(world.run(), 1);
    assert_eq!(world.grade(), Grade::Failed, "it was not compared");

    world.clock.advance(hours(1));
    let same = world.craft.backup(&[("a", b"one")]);
    world.receive(&same);
    assert_eq!(world.run(), 1);
    assert_eq!((world.grade(), world.proof().failed_at), (Grade::Proven, None));
    assert_eq!(damaged(&world), (0, vec![]));
}

#[test]
fn a_backup_that_failed_whole_is_made_good_by_one_that_has_all_its_files() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one"), ("b", b"two")]);
    world.receive(&job);
    let path = world.stored.path(&job.snapshot);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!((world.run(), world.grade()), (1, Grade::Failed));

    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let rounds: [(Files<'_>, Grade); 3] = [
        (&[("c", b"three")], Grade::Failed),
        (&[("a", b"one"), ("c", b"three")], Grade::Failed),
        (&[("a", b"changed"), ("b", b"two")], Grade::Proven),
    ];
    for (files, expected) in rounds {
        world.clock.advance(hours(1));
        let job: TestJob = world.craft.backup(files);
        world.receive(&job);
        assert_eq!((world.run(), world.grade()), (1, expected), "{files:?}");
    }
}

#[test]
fn a_clock_that_was_ahead_for_an_hour_blinds_no_device() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    world.run();
    world.clock.set(NOW + hours(2));
    let job = world.craft.backup(&[("b", b"two")]);
    let ahead = world.receive(&job);
    world.run();

    world.clock.set(NOW + hours(1));
    assert_eq!(world.grade(), Grade::Unknown, "it may be this clock that is wrong");
    assert_eq!(world.run(), 1, "it is tested again at once");
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::Proven, Some(NOW + hours(1) + days(7))));
    assert_eq!(world.proof().proven_point_id, Some(ahead));

    world.clock.advance(minutes(5));
    let now = world.clock.now();
    let job = world.craft.backup(&[("c", b"three")]);
    let newer = world.receive(&job);
    let proof = world.proof();
    assert_eq!((proof.newest_point_id, proof.stored_at), (Some(newer), Some(now)), "what came last is the newest");
    assert_eq!(world.grade(), Grade::Proven);
    assert_eq!(world.run(), 1);
    let proof = world.proof();
    assert_eq!((proof.proven_point_id, proof.proven_at), (Some(newer), Some(now)), "and its proof counts at once");
    assert_eq!((world.grade(), proof.not_proven_files), (Grade::Proven, Some(0)));
}

#[test]
fn a_failure_of_a_clock_that_was_ahead_is_made_good_by_the_right_one() {
    let mut world = World::new();
    world.clock.set(NOW + days(400));
    let job = world.without_its_files(&[("/data/a", b"other")]);
    world.receive(&job);
    world.run();
    world.clock.set(NOW + hours(1));
    assert_eq!(world.grade(), Grade::Failed);

    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    assert_eq!((world.run(), world.grade()), (1, Grade::Proven));
}

#[test]
fn what_was_received_earlier_is_earlier_though_its_time_lies_ahead() {
    let mut world = World::new();
    world.clock.set(NOW + hours(2));
    let job = world.craft.backup(&[("a", b"one")]);
    let ahead = world.receive(&job);
    world.run();
    let lost = world.without_its_files(&[("/data/b", b"two")]);
    world.receive(&lost);
    world.clock.set(NOW + hours(1));
    let job = world.craft.backup(&[("b", b"two")]);
    let newer = world.receive(&job);

    // It is tested before the one that fails, and once more when it can make that good.
    assert_eq!(world.run(), 3);

    let device = world.craft.device;
    let tests = world.store.read_blocking(move |conn| store::restore_test::of_device(conn, device, 9)).unwrap();
    let of_newer: Vec<_> = tests.iter().filter(|it| it.restore_point_id == newer).collect();
    assert_eq!(of_newer.len(), 2, "{tests:?}");
    assert!(of_newer.iter().all(|it| it.base_point_id == Some(ahead)), "what came before is what it adds to");
    let proof = world.proof();
    assert_eq!((proof.failed_at, proof.proven_point_id), (None, Some(newer)));
}
