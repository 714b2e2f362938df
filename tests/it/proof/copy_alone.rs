//! Restore tests from the second store alone, with a key that shares gave, and what takes their proof away again.
use super::craft::runner;
use super::evidence::World;
use crate::support::NOW;
use domain::activity::{Actor, ActorKind, Via};
use domain::copy::SecondStore;
use domain::copy_proof::{CopyGrade, HOLDS};
use domain::failure_domain::StoreKind;
use domain::ground::{Away, AwayCause};
use domain::id::RecoveryKeyId;
use domain::object::{Location, ObjectKind, ObjectName};
use domain::policy::{Compliance, Requirement};
use domain::proof::TestResult;
use domain::role::Reach;
use domain::time::{Time, days, hours};
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::{BlobKey, BlobStore};
use holdfast::error::Error;
use holdfast::proof::copy_alone::CopyAlone;
use holdfast::service::copy::Replicator;
use holdfast::service::copy_proof::{self, Ended};
use holdfast::service::{self, recovery_key};
use holdfast::store;
use holdfast::store::copy_test::CopyTest;
use holdfast::store::device_list::{self, Filter};
use holdfast::store::setting::{COPY, COPY_AWAY, COPY_ID, COPY_SEEN};
use secret::recovery::RecoveryKey;
use std::fs;
use std::sync::Arc;

/// A device with a proven backup, all of it in a second store, and a recovery key that opens it.
struct Alone {
    world: World,
    copy: Arc<dyn BlobStore>,
    folder: tempfile::TempDir,
    key: RecoveryKey,
}

fn host() -> Actor {
    let name = "command line".to_owned();
    Actor { kind: ActorKind::System, id: None, name, via: Via::CommandLine, address: String::new() }
}

fn second_store(now: Time) -> SecondStore {
    SecondStore {
        kind: StoreKind::Folder,
        place: "/mnt/copy".to_owned(),
        location: "Lyon".to_owned(),
        administration: "whoever administers nas".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: Some(now),
    }
}

impl Alone {
    fn new() -> Self {
        let world = World::new();
        let (folder, key, now) = (tempfile::tempdir().unwrap(), RecoveryKey::make().unwrap(), world.clock.now());
        service::copy::begin(&world.store, &second_store(now), false, now).unwrap();
        let voucher = world.prover.keys.vouch_for(key.public()).unwrap();
        let public = key.public().as_str().to_owned();
        world.store.act_blocking(move |conn| recovery_key::make(conn, &host(), &public, &voucher, now)).unwrap();
        let copy = Arc::new(FsBlobs::open(folder.path()).unwrap());
        // Nothing but the database says what a config has to be.
        let (repository, name) = (world.craft.repository, ObjectName::config());
        let config = world.craft.bytes(ObjectKind::Config, &name).to_vec();
        let keep = move |conn: &mut _| store::kept_object::keep(conn, repository, ObjectKind::Config, &name, &config);
        world.store.write_blocking(keep).unwrap();
        let mut alone = Self { world, copy, folder, key };
        alone.backs_up(&[("a", b"one"), ("b", b"two")]);
        alone
    }

    /// A backup arrives, is tested in the backup store, and is copied.
    fn backs_up(&mut self, files: &[(&str, &[u8])]) {
        let job = self.world.craft.backup(files);
        self.world.receive(&job);
        self.world.run();
        self.copies();
    }

    fn copies(&self) {
        let (store, primary) = (self.world.store.clone(), Arc::clone(&self.world.prover.blobs));
        let replicator = Replicator::new(store, primary, Arc::clone(&self.copy));
        loop {
            let run = replicator.run(self.world.clock.now()).unwrap();
            assert!(!run.failed, "{run:?}");
            if !run.more && run.copied + run.repaired == 0 {
                return;
            }
        }
    }

    fn read<T: Send + 'static>(&self, work: impl FnOnce(&mut store::Conn) -> Result<T, Error> + Send + 'static) -> T {
        self.world.store.read_blocking(work).unwrap()
    }

    /// Runs the test, as `dr prove` does.
    fn tests(&self) -> Ended {
        let candidate = self.read(copy_proof::candidates).pop().expect("a device");
        let id = self.read(|conn| Ok(COPY_ID.find(conn)?)).unwrap();
        let tests = CopyAlone {
            store: &self.world.store,
            copy: (Arc::clone(&self.copy), id),
            key: &self.key,
            runner: runner(),
            name: "a machine".to_owned(),
            clock: self.world.clock.clone(),
        };
        tests.test(candidate.point.expect("a complete point").id).unwrap()
    }

    fn records(&self, ended: Ended) -> Result<CopyTest, Error> {
        let now = self.world.clock.now();
        self.world.store.act_blocking(move |conn| copy_proof::finish(conn, &host(), &ended, now))
    }

    fn proves(&self) -> CopyTest {
        self.records(self.tests()).unwrap()
    }

    fn grade(&self) -> CopyGrade {
        let (device, now) = (self.world.craft.device, self.world.clock.now());
        // As a server that runs does each minute.
        self.write(move |conn| Ok(COPY_SEEN.set(conn, &now, now)?));
        self.read(move |conn| copy_proof::known(conn, &[device], now)).remove(&device).unwrap().grade
    }

    fn write(&self, work: impl FnOnce(&mut store::Conn) -> Result<(), Error> + Send + 'static) {
        self.world.store.act_blocking(work).unwrap();
    }

    fn pack(&self) -> ObjectName {
        self.world.craft.names(ObjectKind::Data).pop().unwrap()
    }

    fn key_id(&self) -> RecoveryKeyId {
        let public = self.key.public().as_str().to_owned();
        self.read(move |conn| Ok(store::recovery_key::find_by_public(conn, &public)?)).unwrap().id
    }
}

#[test]
fn a_device_is_copy_proven_with_nothing_but_the_second_store_and_the_shares() {
    let alone = Alone::new();
    assert_eq!(alone.grade(), CopyGrade::Never, "a copy is no proof");
    // Neither the backup store nor the server's own key is of any use now.
    for kind in ObjectKind::ALL {
        for name in alone.world.craft.names(*kind) {
            let path = alone.world.stored.path(&name);
            fs::remove_file(path).unwrap();
        }
    }
    let repository = alone.world.craft.repository;
    alone.write(move |conn| Ok(store::repository::reseal(conn, repository, "not a key")?));

    let test = alone.proves();

    assert_eq!((test.result, test.matched_count, test.file_count), (TestResult::Passed, 2, 2), "{}", test.summary);
    assert_eq!(alone.grade(), CopyGrade::Proven);
    assert_eq!(test.valid_until, Some(alone.world.clock.now() + HOLDS));
    assert_eq!((test.runner.as_str(), test.recovery_key_id), ("a machine", alone.key_id()));
    assert_eq!(alone.world.actions().last().unwrap(), "copy_test_passed");
}

#[test]
fn one_flipped_byte_in_the_second_store_fails_and_is_told_and_copied_again() {
    let alone = Alone::new();
    alone.proves();
    let pack = alone.pack();
    let path = super::craft::find(alone.folder.path(), pack.as_str()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(&path, bytes).unwrap();

    let test = alone.proves();

    assert_eq!(test.result, TestResult::Failed, "{}", test.summary);
    assert_eq!((alone.grade(), test.valid_until), (CopyGrade::Failed, None));
    assert_eq!(alone.world.grade(), domain::proof::Grade::Proven, "what the backup store has is as good as before");
    let (repository, name) = (alone.world.craft.repository, pack);
    let damaged = alone
        .read(move |conn| Ok(store::copy::find(conn, Location::Copy, repository, ObjectKind::Data, &name)?))
        .unwrap();
    assert!(damaged.damaged_at.is_some(), "it is to be copied again");
    assert!(alone.world.actions().contains(&"copy_test_failed".to_owned()));
    alone.copies();
    assert_eq!(alone.grade(), CopyGrade::Failed, "to copy is not to restore");
    assert_eq!((alone.proves().result, alone.grade()), (TestResult::Passed, CopyGrade::Proven));
}

/// What happens afterwards, and how the device stands then.
type Later = (&'static str, fn(&mut Alone), CopyGrade);

#[expect(clippy::too_many_lines, reason = "a table of ten ways")]
#[test]
fn nothing_that_takes_the_copy_away_leaves_the_badge_green() {
    let cases: [Later; 10] = [
        ("a newer backup", |it| it.backs_up(&[("c", b"three")]), CopyGrade::Behind),
        (
            "damage there",
            |it| {
                let (key, now) = (BlobKey::new(it.world.craft.repository, ObjectKind::Data, it.pack()), NOW);
                it.write(move |conn| service::copy::object_damaged(conn, &key, "it changed", now).map(drop));
            },
            CopyGrade::OutOfDate,
        ),
        (
            "damage there that was healed",
            |it| {
                let (key, now) = (BlobKey::new(it.world.craft.repository, ObjectKind::Data, it.pack()), NOW);
                it.write(move |conn| service::copy::object_damaged(conn, &key, "it changed", now).map(drop));
                it.copies();
            },
            CopyGrade::OutOfDate,
        ),
        (
            "its key is retired",
            |it| {
                let id = it.key_id();
                it.write(move |conn| Ok(store::recovery_key::retire(conn, id, NOW)?));
            },
            CopyGrade::OutOfDate,
        ),
        (
            "the store is away",
            |it| {
                let away = Away { cause: AwayCause::Away, why: "it is not there".to_owned(), since: NOW };
                it.write(move |conn| Ok(COPY_AWAY.set(conn, &away, NOW)?));
            },
            CopyGrade::Unknown,
        ),
        (
            "nobody can read whether it is away",
            |it| {
                it.write(|conn| {
                    let (name, value) = ("copy.away".to_owned(), "?".to_owned());
                    let row = store::setting::Setting { name, value, updated_at: NOW, next_value: None, next_at: None };
                    Ok(store::setting::write(conn, &row)?)
                });
            },
            CopyGrade::Unknown,
        ),
        ("there is none", |it| service::copy::none(&it.world.store, NOW).unwrap(), CopyGrade::Unknown),
        (
            "another one took its place",
            |it| drop(service::copy::begin(&it.world.store, &second_store(NOW), true, NOW).unwrap()),
            CopyGrade::OutOfDate,
        ),
        (
            "it turns out to share a disk",
            |it| {
                let spare = SecondStore { shares: vec!["one disk".to_owned()], ..second_store(NOW) };
                it.write(move |conn| Ok(COPY.set(conn, &spare, NOW)?));
            },
            CopyGrade::Unknown,
        ),
        ("its time", |it| it.world.clock.advance(HOLDS), CopyGrade::OutOfDate),
    ];
    for (what, happens, expected) in cases {
        let mut alone = Alone::new();
        alone.proves();
        assert_eq!(alone.grade(), CopyGrade::Proven, "before: {what}");
        happens(&mut alone);
        assert_eq!(alone.grade(), expected, "{what}");
    }
}

#[test]
fn a_result_counts_only_of_this_servers_second_store_and_a_key_that_opens_it() {
    let alone = Alone::new();
    let good = alone.tests();
    let other = RecoveryKey::make().unwrap().public().as_str().to_owned();
    for wrong in [
        Ended { store: "another".to_owned(), ..good.clone() },
        Ended { public: other, ..good.clone() },
        Ended { point: domain::id::RestorePointId::generate(NOW), ..good.clone() },
    ] {
        assert!(alone.records(wrong.clone()).is_err(), "{wrong:?}");
        assert_eq!(alone.grade(), CopyGrade::Never);
    }
    // It was found damaged while the test ran.
    let key = BlobKey::new(alone.world.craft.repository, ObjectKind::Data, alone.pack());
    alone.write(move |conn| service::copy::object_damaged(conn, &key, "it changed", NOW).map(drop));
    alone.records(good.clone()).unwrap();
    assert_eq!(alone.grade(), CopyGrade::OutOfDate);
    // While the store is away or no second copy, nothing is taken, nor is anybody asked for shares.
    let spare = SecondStore { shares: vec!["one disk".to_owned()], ..second_store(NOW) };
    alone.write(move |conn| Ok(COPY.set(conn, &spare, NOW)?));
    assert!(alone.records(good).is_err());
    assert!(alone.world.store.read_blocking(copy_proof::candidates).is_err());
}

#[test]
fn a_test_that_could_not_be_run_takes_nothing_away_and_gives_nothing() {
    let mut alone = Alone::new();
    let right = std::mem::replace(&mut alone.key, RecoveryKey::make().unwrap());
    let ended = alone.tests();
    assert_eq!(ended.report.result, TestResult::Unproven, "{}", ended.report.summary);
    alone.key = right;
    alone.proves();
    let unproven = Ended { public: alone.key.public().as_str().to_owned(), ..ended };
    let test = alone.records(unproven).unwrap();
    assert_eq!((test.valid_until, alone.grade()), (None, CopyGrade::Proven));
}

#[test]
fn lists_policies_and_the_sum_tell_the_same_devices() {
    let alone = Alone::new();
    let now = alone.world.clock.now();
    let counted = |grade: CopyGrade| {
        alone.read(move |conn| {
            let among = vec![copy_proof::among(conn, grade, &Reach::All, now)?];
            Ok(device_list::count(conn, &Filter { among, ..Filter::default() }, &Reach::All, now)?)
        })
    };
    let asked = |within_minutes: u32, at: Time| {
        let device = alone.world.craft.device;
        // As a server that runs does each minute.
        alone.write(move |conn| Ok(COPY_SEEN.set(conn, &at, at)?));
        alone.read(move |conn| {
            let copy = copy_proof::known(conn, &[device], at)?.remove(&device).unwrap();
            let applied = domain::policy::Applied {
                id: domain::id::PolicyId::generate(NOW),
                name: "laptops".to_owned(),
                requirements: vec![Requirement::CopyProven { within_minutes }],
            };
            let facts = domain::fact::Facts::default();
            let evidence = domain::proof::Evidence::default();
            let known = domain::policy::Known { facts: &facts, evidence, copy, last_seen_at: None, enrolled_at: NOW };
            Ok(domain::policy::evaluate(&[applied], &known, at).pop().unwrap().outcome)
        })
    };
    assert_eq!((counted(CopyGrade::Never), counted(CopyGrade::Proven)), (1, 0));
    assert_eq!(asked(60, now), Compliance::NotCompliant);
    alone.proves();
    for grade in CopyGrade::ALL {
        assert_eq!(counted(*grade), i64::from(*grade == CopyGrade::Proven), "{grade:?}");
    }
    assert_eq!(asked(60, now), Compliance::Compliant);
    assert_eq!(asked(60, now + hours(2)), Compliance::NotCompliant, "the data is older than that");
    assert_eq!(asked(366 * 24 * 60, now + HOLDS + days(1)), Compliance::NotCompliant, "the proof has ended");
    let all = alone.read(move |conn| copy_proof::all(conn, &Reach::All, now));
    assert_eq!((all.devices, all.proven, all.is_due()), (1, 1, false));
    alone.write(|conn| {
        let away = Away { cause: AwayCause::Away, why: "it is not there".to_owned(), since: NOW };
        Ok(COPY_AWAY.set(conn, &away, NOW)?)
    });
    assert_eq!(asked(60, now), Compliance::Unknown);
}
