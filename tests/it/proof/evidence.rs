//! What a test changes: the point, its objects, the device's evidence, and the history.
use super::craft::{Craft, Stored, put, runner};
use crate::support::server::boss;
use crate::support::{NOW, TestDatabase, fleet};
use clock::Clock;
use diesel::prelude::*;
use domain::activity::Action;
use domain::id::{DeviceId, RestorePointId};
use domain::key_holder::KeyHolder;
use domain::object::{Location, ObjectKind, ObjectName, RepositoryState, TokenKind};
use domain::proof::{Grade, Retest, TestCause, TestResult};
use domain::restore_test::TestReport;
use domain::time::{Time, days, hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::proof::Prover;
use holdfast::proof::frame::TestJob;
use holdfast::proof::keys::ProofKeys;
use holdfast::proof::runner::Runner;
use holdfast::service;
use holdfast::store::device_proof::DeviceProof;
use holdfast::store::repository::{Repository, master_key_context};
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::schema::restore_points;
use holdfast::store::{self, Store};
use secret::seal;
use std::fs;
use std::sync::Arc;

pub struct World {
    _database: TestDatabase,
    pub store: Store,
    pub prover: Prover,
    pub craft: Craft,
    pub stored: Stored,
    pub clock: Clock,
    _keys: tempfile::TempDir,
}

impl World {
    /// A backup that lacked what its device had reported failed its test, an hour ago.
    pub fn failed() -> Self {
        let mut world = Self::new();
        let job = world.without_its_files(&[("/data/a", b"other")]);
        world.receive(&job);
        world.run();
        assert_eq!(world.grade(), Grade::Failed);
        world.clock.advance(hours(1));
        world
    }

    pub fn new() -> Self {
        let database = TestDatabase::new();
        let store = database.store();
        let keys_folder = tempfile::tempdir().unwrap();
        let keys = ProofKeys::of(&store, &keys_folder.path().join("proof.key"), true, NOW).unwrap().unwrap();
        let device = store
            .write_blocking(|conn| -> holdfast::error::Result<DeviceId> {
                let device = fleet::device("laptop");
                fleet::insert(conn, &device);
                Ok(device.0.id)
            })
            .unwrap();
        let craft = Craft { device, ..Craft::new(2) };
        let context = master_key_context(craft.repository);
        let repository = Repository {
            id: craft.repository,
            device_id: device,
            generation: 1,
            state: RepositoryState::Active,
            sealed_master_key: seal::seal(keys.public(), &context, craft.key.to_base64().as_bytes()).unwrap(),
            team_key_id: None,
            quota_bytes: 1 << 40,
            stored_bytes: 0,
            object_count: 0,
            newest_at: NOW,
            created_at: NOW,
            key_holder: KeyHolder::Server,
        };
        store.write_blocking(move |conn| store::repository::insert(conn, &repository)).unwrap();
        let stored = craft.stored();
        let clock = Clock::fixed(NOW);
        let prover = Prover {
            store: store.clone(),
            blobs: Arc::clone(&stored.served.blobs),
            keys,
            clock: clock.clone(),
            runner: runner(),
            name: "test".to_owned(),
            parallel: 1,
        };
        Self { _database: database, store, prover, craft, stored, clock, _keys: keys_folder }
    }

    /// What is new in the repository arrives, and with it a restore point.
    pub fn receive(&mut self, job: &TestJob) -> RestorePointId {
        self.receive_by(TokenKind::Agent, job)
    }

    fn receive_by(&mut self, sent_by: TokenKind, job: &TestJob) -> RestorePointId {
        let now = self.clock.now();
        for ((_, name), (kind, bytes)) in self.craft.objects.clone() {
            let object = store::object::Object {
                repository_id: self.craft.repository,
                kind,
                name: name.clone(),
                size_bytes: i64::try_from(bytes.len()).unwrap(),
                received_at: now,
            };
            if self.store.write_blocking(move |conn| store::object::insert(conn, &object, Location::Primary)).unwrap()
                && kind != ObjectKind::Config
            {
                put(&*self.stored.served.blobs, self.craft.repository, kind, &name, &bytes);
            }
        }
        let of = (self.craft.repository, self.craft.device);
        let repository = self.craft.repository;
        let ledger = self.store.read_blocking(move |conn| store::object::all(conn, repository, None)).unwrap();
        let point = RestorePoint {
            manifest_name: job.manifest.clone(),
            as_of: ledger.iter().map(|it| it.received_at).max().unwrap_or(now).max(now),
            ..RestorePoint::received(of, &job.snapshot, sent_by, now)
        };
        let id = point.id;
        let excluded = serde_json::to_string(&job.excluded).unwrap();
        self.store
            .write_blocking(move |conn| -> holdfast::error::Result<()> {
                store::restore_point::insert(conn, &point)?;
                let row = restore_points::table.find(point.id);
                diesel::update(row).set(restore_points::excluded.eq(excluded)).execute(conn)?;
                service::proof::queue(conn, point.id, TestCause::NewBackup, None, now)?;
                service::proof::learned(conn, point.device_id, now)
            })
            .unwrap();
        id
    }

    /// A backup with a manifest of `files` and none of them in it.
    pub fn without_its_files(&mut self, files: &[(&str, &[u8])]) -> TestJob {
        let manifest = self.craft.manifest(&self.craft.device.to_string(), files);
        let tree = self.craft.tree(&[]);
        let top = tree.id;
        self.craft.pack(&[tree]);
        let snapshot = self.craft.snapshot(top, [&manifest]);
        self.craft.job(snapshot, Some(manifest))
    }

    pub fn run(&self) -> usize {
        self.prover.run_once(None).unwrap().len()
    }

    pub fn proof(&self) -> DeviceProof {
        let device = self.craft.device;
        self.store.read_blocking(move |conn| store::device_proof::find(conn, device)).unwrap().unwrap()
    }

    pub fn grade(&self) -> Grade {
        self.proof().evidence().grade(self.clock.now())
    }

    /// What was written down, but for the key that the first look makes.
    pub fn actions(&self) -> Vec<String> {
        use holdfast::store::schema::activity;
        let load = |conn: &mut _| {
            let others = activity::table.filter(activity::action.ne(Action::TeamKeyMade));
            others.order(activity::seq).select(activity::action).load::<String>(conn)
        };
        self.store.read_blocking(load).unwrap()
    }

    pub fn flip(&self, name: &ObjectName) {
        let path = self.stored.path(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
    }

    fn door_finds_damage(&self, name: &ObjectName) {
        let key = BlobKey::new(self.craft.repository, ObjectKind::Data, name.clone());
        let now = self.clock.now();
        self.store.act_blocking(move |conn| service::backup::object_damaged(conn, &key, now)).unwrap();
    }

    /// As when the device uploads the object again.
    pub fn heals(&self, name: &ObjectName) {
        let key = BlobKey::new(self.craft.repository, ObjectKind::Data, name.clone());
        let now = self.clock.now();
        self.store.act_blocking(move |conn| service::backup::object_healed(conn, &key, now)).unwrap();
    }

    /// The pack of the file that was backed up first.
    fn oldest_pack(&self) -> ObjectName {
        let repository = self.craft.repository;
        let mut packs = self
            .store
            .read_blocking(move |conn| store::object::all(conn, repository, None))
            .unwrap()
            .into_iter()
            .filter(|it| it.kind == ObjectKind::Data)
            .collect::<Vec<_>>();
        packs.sort_by_key(|it| (it.received_at, it.size_bytes));
        packs.swap_remove(0).name
    }

    fn small_pack(&self) -> ObjectName {
        let packs = self.craft.names(ObjectKind::Data);
        packs.into_iter().min_by_key(|it| self.craft.bytes(ObjectKind::Data, it).len()).unwrap()
    }
}

#[test]
fn a_new_backup_becomes_proven_and_stays_so_for_its_time() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one"), ("b", b"two")]);
    let point = world.receive(&job);
    assert_eq!(world.grade(), Grade::Stored);

    assert_eq!(world.run(), 1);

    let proof = world.proof();
    assert_eq!((world.grade(), proof.rank), (Grade::Proven, 6));
    assert_eq!(
        (proof.proven_point_id, proof.proven_at, proof.proven_until),
        (Some(point), Some(NOW), Some(NOW + days(7)))
    );
    assert_eq!((proof.file_count, proof.matched_count, proof.not_proven_files), (2, 2, Some(0)));
    assert_eq!(world.actions(), ["restore_test_passed"]);
    world.clock.advance(days(7));
    assert_eq!(world.grade(), Grade::OutOfDate);
}

#[test]
fn a_proof_is_renewed_before_it_ends() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    assert_eq!(world.run(), 1);

    world.clock.advance(days(5));
    assert_eq!(world.run(), 0, "more than a quarter is left");
    world.clock.advance(hours(7));
    assert_eq!(world.run(), 1);

    assert_eq!(world.proof().proven_until, Some(NOW + days(5) + hours(7) + days(7)));
    assert_eq!(world.proof().proven_at, Some(NOW), "the point itself is as old as it was");
}

#[test]
fn one_flipped_byte_demotes_the_device_and_healing_it_brings_the_proof_back() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one"), ("b", b"two")]);
    let point = world.receive(&job);
    world.run();
    let pack = world.small_pack();
    world.flip(&pack);
    let now = world.clock.now();
    world.clock.advance(hours(1));

    world.store.write_blocking(move |conn| service::proof::queue(conn, point, TestCause::Asked, None, now)).unwrap();
    assert_eq!(world.run(), 1);

    let proof = world.proof();
    assert_eq!((world.grade(), proof.rank, proof.proven_at), (Grade::Failed, 0, None));
    let test = proof.failed_test_id.unwrap();
    let test = world.store.read_blocking(move |conn| store::restore_test::find(conn, test)).unwrap().unwrap();
    assert_eq!(test.result, Some(TestResult::Failed));
    assert_eq!(test.failures().unwrap().files[0].path, "/data/a");
    let history = world.store.read_blocking(store::activity::all).unwrap();
    let told = history.iter().find(|it| it.action.as_str() == "restore_test_failed").unwrap();
    assert_eq!(told.reason, "1 file came back different, 1 stored object cannot be used", "no file is named");
    let (repository, name) = (world.craft.repository, pack.clone());
    let find = move |conn: &mut _| store::copy::find(conn, Location::Primary, repository, ObjectKind::Data, &name);
    assert!(world.store.read_blocking(find).unwrap().unwrap().damaged_at.is_some());

    world.clock.advance(hours(1));
    assert_eq!(world.run(), 0, "nothing has changed, so nothing is tested again");
    world.flip(&pack);
    world.heals(&pack);
    assert_eq!(world.run(), 1);

    assert_eq!((world.grade(), world.proof().failed_at), (Grade::Proven, None));
    assert_eq!(world.actions(), ["restore_test_passed", "restore_test_failed", "object_healed", "restore_test_passed"]);
}

#[test]
fn damage_takes_the_proof_from_older_points_until_they_are_tested_again() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    let older = world.receive(&job);
    world.run();
    let intact = world.craft.objects.clone();
    world.clock.advance(hours(1));
    let job = world.craft.backup(&[("b", b"another file")]);
    world.receive(&job);
    let new: Vec<ObjectName> = world
        .craft
        .objects
        .iter()
        .filter(|(it, _)| !intact.contains_key(it))
        .filter(|(_, it)| it.0 == ObjectKind::Data)
        .map(|(it, _)| it.1.clone())
        .collect();
    world.flip(&new[0]);

    assert_eq!(world.run(), 2, "the new point, and the older one because of the damage");

    let proof = world.proof();
    assert_eq!(world.grade(), Grade::Failed);
    assert_eq!(proof.proven_point_id, Some(older), "whose objects are sound");
    assert_eq!((proof.not_proven_files, proof.not_proven_bytes), (Some(1), Some(12)));
}

#[test]
fn each_point_that_damage_demoted_is_tested_again_in_its_turn() {
    let mut world = World::new();
    let mut points = Vec::new();
    for n in 0..4u8 {
        let job = world.craft.backup(&[("a", &[n])]);
        points.insert(0, world.receive(&job));
        assert_eq!(world.run(), 1);
        world.clock.advance(minutes(1));
    }
    let device = world.craft.device;
    let levels = |world: &World| -> Vec<&str> {
        let now = world.store.read_blocking(move |conn| store::restore_point::of_device(conn, device, 9)).unwrap();
        assert_eq!(now.iter().map(|it| it.id).collect::<Vec<_>>(), points);
        let level = |it: &RestorePoint| match (it.failed_at, it.proven_at, it.retest) {
            (None, Some(_), None) => "proven",
            (Some(_), None, Some(Retest::OnceHealed)) => "failed",
            (None, None, Some(Retest::Due)) => "due",
            (Some(_), None, Some(Retest::Due)) => "healed",
            other => panic!("{other:?}"),
        };
        now.iter().map(level).collect()
    };
    let oldest = world.oldest_pack();
    world.flip(&oldest);
    world.door_finds_damage(&oldest);
    world.clock.advance(minutes(1));
    assert_eq!(levels(&world), ["due"; 4], "each may need what is damaged");

    for expected in
        [["proven", "due", "due", "due"], ["proven", "proven", "due", "due"], ["proven", "proven", "proven", "due"]]
    {
        assert_eq!((world.run(), levels(&world)), (1, expected.to_vec()), "one at a time, newest first");
    }
    assert_eq!(world.run(), 2, "what the oldest lost is looked for in the newest at once");
    assert_eq!(levels(&world), ["proven", "proven", "proven", "failed"]);
    assert_eq!(world.grade(), Grade::Proven, "the newest has it");
    assert_eq!(world.run(), 0, "nothing is tested in vain");

    world.flip(&oldest);
    world.heals(&oldest);
    assert_eq!(levels(&world), ["proven", "proven", "proven", "healed"]);
    assert_eq!((world.run(), world.run(), world.run()), (1, 1, 0), "the newest, then what had failed");
    assert_eq!(levels(&world), ["proven"; 4]);
}

#[test]
fn a_backup_whose_content_has_a_sound_copy_elsewhere_is_proven() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    let pack = world.small_pack();
    world.flip(&pack);
    world.run();
    assert_eq!(world.grade(), Grade::Failed);
    assert_eq!(world.store.read_blocking(store::attention::damage).unwrap(), (1, 1));
    world.clock.advance(hours(1));
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);

    assert_eq!((world.run(), world.run()), (1, 0));
    assert_eq!(world.grade(), Grade::Proven);
    let repository = world.craft.repository;
    let find = move |conn: &mut _| store::copy::find(conn, Location::Primary, repository, ObjectKind::Data, &pack);
    let copy = world.store.read_blocking(find).unwrap().unwrap();
    assert!(copy.damaged_at.is_some(), "it stays known as damaged");
    assert_eq!(world.store.read_blocking(store::attention::damage).unwrap(), (0, 0), "and no page warns of it");
}

#[test]
fn a_test_that_finds_damage_gone_ends_the_wait_of_what_had_failed() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    let older = world.receive(&job);
    let pack = world.small_pack();
    world.flip(&pack);
    world.run();
    world.clock.advance(hours(1));
    let job = world.craft.backup(&[("b", b"2")]);
    world.receive(&job);
    let newer = world.small_pack();
    world.flip(&newer);
    world.run();
    assert_eq!(world.grade(), Grade::Failed);
    world.flip(&pack);
    world.flip(&newer);
    world.clock.advance(hours(1));
    let now = world.clock.now();
    let device = world.craft.device;
    world.store.act_blocking(move |conn| service::proof::ask(conn, &boss(), device, now)).unwrap();

    assert_eq!((world.run(), world.run(), world.run()), (1, 1, 0));

    let older = world.store.read_blocking(move |conn| store::restore_point::find(conn, older)).unwrap().unwrap();
    assert_eq!((older.proven_at, older.failed_at, older.retest), (Some(now), None, None));
}

#[test]
fn damage_that_the_door_finds_demotes_the_device_at_once() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    let older = world.receive(&job);
    world.run();
    world.clock.advance(hours(1));
    let intact = world.craft.objects.clone();
    let job = world.craft.backup(&[("b", b"two")]);
    world.receive(&job);
    world.run();
    assert_eq!(world.grade(), Grade::Proven);
    let newer: Vec<_> = world.craft.objects.iter().filter(|(key, _)| !intact.contains_key(*key)).collect();
    let pack = newer.into_iter().find(|(_, it)| it.0 == ObjectKind::Data).unwrap().0.1.clone();
    fs::remove_file(world.stored.path(&pack)).unwrap();

    world.door_finds_damage(&pack);

    let proof = world.proof();
    assert_eq!(proof.proven_point_id, Some(older), "it was received before what is damaged");
    assert_eq!((proof.verified_at, proof.proven_at), (Some(NOW), Some(NOW)));
    assert_eq!(world.run(), 1, "the older one cannot need it");
    assert_eq!(world.grade(), Grade::Failed);
}

#[test]
fn a_test_that_read_an_object_before_it_was_found_damaged_proves_nothing() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    let point = world.receive(&job);
    let now = world.clock.now();
    let claim = move |conn: &mut _| service::proof::claim(conn, "runner", None, minutes(10), now);
    let claimed = world.store.write_blocking(claim).unwrap().unwrap();
    let pack = world.small_pack();
    let report = TestReport { verified: vec![pack.clone()], ..world.craft.test(&job) };
    assert_eq!(report.result, TestResult::Passed);
    world.clock.advance(minutes(1));
    world.door_finds_damage(&pack);

    let now = world.clock.now();
    let finish = move |conn: &mut _| service::proof::finish(conn, &claimed.test, None, &report, now);
    assert!(world.store.act_blocking(finish).unwrap());

    assert_eq!(world.grade(), Grade::Stored);
    let queued = world.store.read_blocking(move |conn| store::restore_test::find_queued(conn, point)).unwrap();
    assert!(queued.is_some());
    let repository = world.craft.repository;
    let find = move |conn: &mut _| store::copy::find(conn, Location::Primary, repository, ObjectKind::Data, &pack);
    assert!(world.store.read_blocking(find).unwrap().unwrap().damaged_at.is_some());
}

#[test]
fn a_later_good_backup_makes_up_for_a_failed_one() {
    let mut world = World::failed();

    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    assert_eq!(world.grade(), Grade::Failed, "until it is tested");
    world.run();

    assert_eq!(world.grade(), Grade::Proven);
}

#[test]
fn a_later_backup_that_compares_nothing_makes_up_for_no_failed_comparison() {
    let mut world = World::failed();

    let job = TestJob { manifest: None, ..world.craft.backup(&[("b", b"two")]) };
    world.receive(&job);
    world.clock.advance(hours(1));
    world.run();

    assert_eq!(world.actions(), ["restore_test_failed", "restore_test_partial"]);
    assert_eq!(world.grade(), Grade::Failed);
}

#[test]
fn what_the_proven_point_did_not_compare_stays_not_proven_beside_a_newer_backup() {
    let mut world = World::new();
    let names: Vec<String> = (0..20).map(|it| format!("f{it}")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|it| (it.as_str(), &b"of ten bytes"[..])).collect();
    files.push(("b", b"two"));
    let mut job = world.craft.backup(&files);
    job.excluded = vec!["/data/b".to_owned()];
    world.receive(&job);
    world.run();
    assert_eq!((world.grade(), world.proof().not_proven_files), (Grade::Proven, Some(1)));

    world.clock.advance(hours(1));
    files.push(("c", b"three"));
    let paths: Vec<(String, &[u8])> = files.iter().map(|it| (format!("/data/{}", it.0), it.1)).collect();
    let mut listed: Vec<(&str, &[u8])> = paths.iter().map(|it| (it.0.as_str(), it.1)).collect();
    listed.sort_unstable();
    let job = world.without_its_files(&listed);
    world.receive(&job);
    world.run();

    let proof = world.proof();
    assert_eq!((proof.not_proven_files, proof.not_proven_bytes), (Some(2), Some(8)));
}

#[test]
fn an_own_clients_backup_takes_nothing_from_what_the_agents_shows() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    let by_agent = world.receive(&job);
    world.run();
    let not_proven = |world: &World| world.proof().not_proven_files;
    assert_eq!(not_proven(&world), Some(0));

    world.clock.advance(hours(1));
    let job = TestJob { manifest: None, ..world.craft.backup(&[("b", b"two")]) };
    let own = world.receive_by(TokenKind::OwnClient, &job);
    assert_eq!(not_proven(&world), Some(0), "before its test");
    world.clock.advance(minutes(1));
    assert_eq!(world.run(), 1);

    let proof = world.proof();
    assert_eq!((proof.newest_point_id, proof.proven_point_id), (Some(own), Some(by_agent)));
    assert_eq!((world.grade(), proof.not_proven_files), (Grade::Proven, Some(0)));

    // With the agent's token: its report may be on its way, and the device's count may already be relative to
    // this one.
    world.clock.advance(hours(1));
    let job = TestJob { manifest: None, ..world.craft.backup(&[("c", b"three")]) };
    world.receive(&job);
    assert_eq!(not_proven(&world), None);
    world.clock.advance(minutes(1));
    world.run();
    assert_eq!(not_proven(&world), None, "nor does a test without a manifest show it");

    let job = TestJob { manifest: None, ..world.craft.backup(&[("d", b"four")]) };
    world.clock.advance(hours(1));
    world.receive_by(TokenKind::OwnClient, &job);
    assert_eq!(not_proven(&world), None, "a later one by an own client hides nothing");
}

#[test]
fn where_only_an_own_client_backs_up_its_backups_count_and_prove_nothing() {
    let mut world = World::new();
    let job = TestJob { manifest: None, ..world.craft.backup(&[("a", b"one")]) };
    let own = world.receive_by(TokenKind::OwnClient, &job);
    world.clock.advance(minutes(1));
    assert_eq!(world.run(), 1);

    let device = world.craft.device;
    let baseline = world.store.read_blocking(move |conn| store::evidence::baseline(conn, device)).unwrap();
    assert_eq!(baseline.map(|it| it.id), Some(own));
    assert_eq!((world.grade(), world.proof().not_proven_files), (Grade::Verified, None));
}

#[test]
fn a_store_that_is_away_changes_no_evidence_and_is_tried_again() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    let folder = world.stored.folder.path().to_owned();
    let aside = folder.with_extension("aside");
    fs::rename(&folder, &aside).unwrap();

    assert_eq!(world.run(), 1);
    assert_eq!(world.grade(), Grade::Stored);
    assert_eq!(world.actions(), ["restore_test_unproven"]);

    fs::rename(&aside, &folder).unwrap();
    assert_eq!(world.run(), 0);
    world.clock.advance(minutes(10));
    assert_eq!(world.run(), 1);
    assert_eq!(world.grade(), Grade::Proven);
}

#[test]
fn a_new_backup_waits_a_little_for_the_devices_report() {
    let mut world = World::new();
    let mut job = world.craft.backup(&[("a", b"one")]);
    job.manifest = None;
    world.receive(&job);
    assert_eq!(world.run(), 0);

    world.clock.advance(minutes(1));
    assert_eq!(world.run(), 1);
    assert_eq!(world.grade(), Grade::Verified);
    assert_eq!(world.actions(), ["restore_test_partial"]);
}

#[test]
fn evidence_of_a_clock_that_was_ahead_is_unknown_and_tested_again() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    world.clock.advance(days(3650));
    world.run();
    assert_eq!(world.grade(), Grade::Proven, "by a clock that is ten years ahead");

    world.clock.set(NOW + hours(1));
    assert_eq!(world.grade(), Grade::Unknown);
    assert_eq!(world.run(), 1);
    assert_eq!((world.grade(), world.proof().proven_until), (Grade::Proven, Some(NOW + hours(1) + days(7))));
    assert_eq!(world.run(), 0);
}

#[test]
fn a_healed_point_whose_test_cannot_run_is_not_tested_all_the_time() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one"), ("b", b"two")]);
    world.receive(&job);
    let pack = world.small_pack();
    world.flip(&pack);
    world.run();
    assert_eq!(world.grade(), Grade::Failed);
    world.heals(&pack);
    world.prover.runner = Runner::of("/nonexistent/holdfast".into());
    world.clock.advance(minutes(1));

    assert_eq!(world.run(), 1);
    assert_eq!(world.actions(), ["restore_test_failed", "object_healed", "restore_test_unproven"]);
    world.clock.advance(minutes(1));
    assert_eq!(world.run(), 0);
    world.clock.advance(minutes(10));
    assert_eq!(world.run(), 1);
}

#[test]
fn a_prover_whose_clock_is_not_the_databases_dates_no_test() {
    let database = TestDatabase::new();
    let store = database.store();
    let check = |at: Time| store.read_blocking(move |conn| service::proof::check_clock(conn, at)).is_ok();
    // SQLite has no clock of its own.
    assert_eq!(check(NOW - days(3650)), !store.is_shared());
    assert!(check(Clock::System.now()));
}

#[test]
fn two_provers_never_take_the_same_test() {
    let mut world = World::new();
    for n in 0..6u8 {
        let job = world.craft.backup(&[("a", &[n])]);
        world.receive(&job);
    }
    let other = Prover { name: "other".to_owned(), ..world.prover.clone() };

    let ended: usize = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| world.run()), scope.spawn(|| other.run_once(None).unwrap().len())];
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });

    assert_eq!(ended, 6);
    assert_eq!(world.actions().len(), 6);
}

#[test]
fn a_device_with_many_new_backups_keeps_no_other_waiting() {
    let mut world = World::new();
    for n in 0..25u8 {
        let job = world.craft.backup(&[("a", &[n])]);
        world.receive(&job);
        world.clock.advance(minutes(1));
    }
    let other = world
        .store
        .write_blocking(move |conn| -> holdfast::error::Result<DeviceId> {
            let device = fleet::device("other");
            fleet::insert(conn, &device);
            Ok(device.0.id)
        })
        .unwrap();
    let job = world.craft.backup(&[("a", b"of the other")]);
    let first = std::mem::replace(&mut world.craft.device, other);
    world.receive(&job);

    let now = world.clock.now();
    let mut turns = Vec::new();
    while let Some(claimed) = world
        .store
        .write_blocking(move |conn| service::proof::claim(conn, "runner", None, minutes(10), now + minutes(1)))
        .unwrap()
    {
        turns.push(claimed.test.device_id);
        assert!(turns.len() <= 26, "a claimed test was given out again: {turns:?}");
    }

    assert_eq!(turns.iter().filter(|it| **it == first).count(), 20);
    assert!(turns.iter().position(|it| *it == other).unwrap() < 2, "{turns:?}");
}

#[test]
fn a_claim_that_ran_out_is_taken_by_another_and_the_first_changes_nothing() {
    let mut world = World::new();
    let job = world.craft.backup(&[("a", b"one")]);
    world.receive(&job);
    let now: Time = world.clock.now();
    let claim = |name: &'static str, at: Time| {
        world.store.write_blocking(move |conn| service::proof::claim(conn, name, None, minutes(10), at)).unwrap()
    };

    let first = claim("first", now).unwrap();
    assert!(claim("second", now).is_none());
    let second = claim("second", now + minutes(10)).unwrap();

    assert_eq!(first.test.id, second.test.id);
    let report = TestReport::unproven("late");
    let kept = world
        .store
        .act_blocking(move |conn| service::proof::finish(conn, &first.test, None, &report, now + minutes(11)))
        .unwrap();
    assert!(!kept);
    assert!(world.actions().is_empty());
}
