//! Escrow records beside the repositories on the second store, and what is left with nothing else.
use super::world::{World, backs_up, put};
use crate::support::door::TestRepository;
use crate::support::{NOW, TestDatabase};
use domain::console_copy::{Holder, HolderKey};
use domain::escrow::READ_EVERY;
use domain::id::{RecoveryKeyId, RepositoryId};
use domain::object::{Location, ObjectKind, ObjectName};
use domain::time::{Time, minutes};
use holdfast::blob::BlobKey;
use holdfast::proof::escrow as sealing;
use holdfast::service::console_copy::{holder_key, set_holder};
use holdfast::service::copy::begin;
use holdfast::service::escrow::{self, Found, Record, find, keep};
use holdfast::store::escrow::Escrow;
use holdfast::store::recovery_key::RecoveryKey as Row;
use holdfast::store::{self, Store};
use repository::MasterKey;
use secret::recovery::RecoveryKey;

/// A recovery key that stands, whose holders open states.
fn stands(world: &World) -> (RecoveryKey, HolderKey, RecoveryKeyId) {
    let key = RecoveryKey::make().unwrap();
    let holder = holder_key(Holder::Recovery, key.public().as_str(), key.private()).unwrap();
    let row = Row {
        id: RecoveryKeyId::generate(NOW),
        name: key.name(),
        public_key: key.public().as_str().to_owned(),
        voucher: String::new(),
        made_at: NOW,
        made_by: "test".to_owned(),
        confirmed_at: Some(NOW),
        confirmed_by: Some("test".to_owned()),
        retired_at: None,
        seal_again_at: None,
    };
    let (id, known) = (row.id, holder.clone());
    world.door.write(move |conn| {
        store::recovery_key::insert(conn, &row)?;
        set_holder(conn, &known, NOW)
    });
    (key, holder, id)
}

fn master_key(byte: u8) -> MasterKey {
    use base64::Engine;
    MasterKey::from_base64(&base64::prelude::BASE64_STANDARD.encode([byte; 64])).unwrap()
}

fn seals(world: &World, id: RepositoryId, key: &(RecoveryKey, HolderKey, RecoveryKeyId)) {
    let sealed_master_key = sealing::seal(key.0.public(), id, &master_key(7)).unwrap();
    let row = Escrow { repository_id: id, recovery_key_id: key.2, sealed_master_key, sealed_at: NOW };
    world.door.write(move |conn| store::escrow::insert(conn, &row));
}

/// A repository with a backup that the second store has.
fn is_copied(world: &World, key: &(RecoveryKey, HolderKey, RecoveryKeyId), word: &str) -> TestRepository {
    let repository = world.door.repository();
    backs_up(world, &repository, word);
    world.puts_config(repository.id);
    seals(world, repository.id, key);
    world.runs();
    repository
}

fn area() -> RepositoryId {
    RepositoryId::parse("00000000-0000-7000-9000-000000000000").unwrap()
}

fn records(world: &World) -> Vec<BlobKey> {
    world.copy.list(area()).unwrap().into_iter().map(|it| it.0).collect()
}

fn bytes(world: &World, key: &BlobKey) -> Vec<u8> {
    holdfast::blob::read_all(&*world.copy, key, 1 << 20).unwrap()
}

fn kept(world: &World, now: Time) -> (usize, usize) {
    let kept = keep(&world.door.store, &*world.copy, now).unwrap();
    assert!(!kept.failed);
    (kept.made, kept.lost)
}

#[test]
fn a_repository_gets_its_record_once_it_is_there_and_each_recovery_key_another() {
    let world = World::new();
    let first = stands(&world);
    let repository = world.door.repository();
    backs_up(&world, &repository, "one");
    world.puts_config(repository.id);
    seals(&world, repository.id, &first);

    assert_eq!(kept(&world, NOW), (0, 0), "nothing of it is on the second store");
    world.runs();
    assert_eq!(kept(&world, NOW), (1, 0));
    assert_eq!(kept(&world, NOW), (0, 0));
    let before: Vec<_> = records(&world).into_iter().map(|it| (bytes(&world, &it), it)).collect();
    assert_eq!(before.len(), 1);
    let second = stands(&world);
    seals(&world, repository.id, &second);
    assert_eq!(kept(&world, NOW), (1, 0));

    assert_eq!(records(&world).len(), 2, "another one, beside the first");
    assert!(before.iter().all(|(was, key)| bytes(&world, key) == *was), "nothing was overwritten");
    for (key, holder, _) in [&first, &second] {
        let found = find(&*world.copy, holder).unwrap();
        let [(record, secret)] = found.opened.as_slice() else { panic!("{found:?}") };
        assert_eq!((record.repository, record.key.as_str()), (repository.id, key.name().as_str()));
        let opened = sealing::open(key.private(), repository.id, &secret.master_key).unwrap();
        assert_eq!(*opened.to_base64(), *master_key(7).to_base64());
    }
    let coverage = world.door.read(escrow::coverage);
    assert!(coverage.is_good(NOW + minutes(1)), "{coverage:?}");
}

#[test]
fn a_record_that_is_gone_or_damaged_is_made_anew_within_a_day_under_another_name() {
    let world = World::new();
    let key = stands(&world);
    is_copied(&world, &key, "one");
    is_copied(&world, &key, "two");
    assert_eq!(kept(&world, NOW), (2, 0));
    let before = records(&world);
    world.spoils(Location::Copy, &before[0], b"rot");
    assert!(world.copy.remove(&before[1]).unwrap());

    assert_eq!(kept(&world, NOW + minutes(1)), (0, 0), "each is read once a day");
    assert_eq!(kept(&world, NOW + READ_EVERY), (2, 2));

    assert_eq!(bytes(&world, &before[0]), b"rot", "what is there is never overwritten");
    let found = find(&*world.copy, &key.1).unwrap();
    assert_eq!((found.opened.len(), found.closed.len(), found.empty.len()), (2, 0, 0));
}

#[test]
fn a_record_that_cannot_be_made_is_told_and_keeps_no_other_waiting() {
    let world = World::new();
    let key = stands(&world);
    let broken = is_copied(&world, &key, "one");
    is_copied(&world, &key, "two");
    let id = broken.id;
    world.door.write(move |conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::kept_objects;
        diesel::delete(kept_objects::table.filter(kept_objects::repository_id.eq(id))).execute(conn)
    });
    let done = keep(&world.door.store, &*world.copy, NOW).unwrap();
    assert_eq!((done.made, done.failed), (1, true));
    let coverage = world.door.read(escrow::coverage);
    assert!(coverage.failed.is_some_and(|it| it.contains(id.as_str())));
}

#[test]
fn another_second_store_gets_all_records_anew() {
    let world = World::new();
    let key = stands(&world);
    is_copied(&world, &key, "one");
    assert_eq!(kept(&world, NOW), (1, 0));
    begin(&world.door.store, &super::world::second_store(), true, NOW).unwrap();
    assert_eq!(kept(&world, NOW), (0, 0), "nothing is there yet");
    world.runs();
    assert_eq!(kept(&world, NOW), (1, 0));
}

#[test]
fn what_others_put_there_is_no_record_and_no_record_stands_for_another_repository() {
    let world = World::new();
    let key = stands(&world);
    let ours = is_copied(&world, &key, "one");
    assert_eq!(kept(&world, NOW), (1, 0));
    let (record, secret) = find(&*world.copy, &key.1).unwrap().opened.remove(0);
    // Whoever can write to the store knows the public half of the recovery key, and seals a master key of their own.
    let forged = escrow::Secret {
        master_key: sealing::seal(key.0.public(), ours.id, &master_key(9)).unwrap(),
        made_at: NOW + minutes(1),
        ..secret.clone()
    };
    let (public, private) = secret::seal::generate().unwrap();
    let theirs = holder_key(Holder::Recovery, public.as_str(), &private).unwrap();
    let theirs = HolderKey { public: key.1.public.clone(), ..theirs };
    let posing = Record::seal(&theirs, (ours.id, ours.device, 1), &key.0.name(), &forged).unwrap();
    let mut elsewhere = record.clone();
    elsewhere.repository = RepositoryId::generate(NOW);
    for bytes in [posing.bytes().unwrap(), elsewhere.bytes().unwrap(), b"{}".to_vec(), vec![b'['; 300 << 10]] {
        let name = ObjectName::from_hash(&secret::sha256(&bytes));
        put(&*world.copy, &BlobKey::new(area(), ObjectKind::Snapshots, name), &bytes);
    }
    let alone = world.door.repository();
    put(&*world.copy, &BlobKey::new(alone.id, ObjectKind::Data, ObjectName::from_hash(&[1; 32])), b"pack");

    let found = find(&*world.copy, &key.1).unwrap();
    let [(opened, of)] = found.opened.as_slice() else { panic!("{found:?}") };
    assert_eq!((opened, of), (&record, &secret));
    assert_eq!(found.closed, [alone.id], "it is said that it is there and stays closed");
}

/// An empty console, and what the records of `world` make of it.
fn rebuilt(world: &World, key: &(RecoveryKey, HolderKey, RecoveryKeyId), now: Time) -> (TestDatabase, Store, Found) {
    let found = find(&*world.copy, &key.1).unwrap();
    let database = TestDatabase::new();
    let store = database.store();
    let (opened, public) = (found.opened.clone(), key.0.public().clone());
    store.write_blocking(move |conn| escrow::rebuild(conn, &opened, &public, now)).unwrap();
    (database, store, found)
}

#[test]
fn with_the_records_alone_devices_and_restore_points_are_back_and_the_past_stays_as_it_was() {
    let world = World::new();
    let key = stands(&world);
    let repository = is_copied(&world, &key, "one");
    assert_eq!(kept(&world, NOW), (1, 0));
    let now = Time::from_millis(4_000_000_000_000);

    let (_database, store, found) = rebuilt(&world, &key, now);
    let one = &found.opened[0];
    assert!(escrow::take_config(&store, &*world.copy, one).unwrap());
    escrow::take_in(&store, (&*world.copy, &*world.copy), one, true, now).unwrap();

    let (id, device) = (repository.id, repository.device);
    let was = world.door.read(move |conn| store::device::find(conn, device)).unwrap();
    let is = store.read_blocking(move |conn| store::device::find(conn, device)).unwrap().unwrap();
    assert_eq!((is.name, is.serial, is.ownership), (was.name, was.serial, was.ownership));
    let ledger = |store: &Store| {
        let all = store.read_blocking(move |conn| store::object::all(conn, id, None)).unwrap();
        let mut all: Vec<_> = all.into_iter().map(|it| (it.kind, it.name, it.size_bytes)).collect();
        all.sort();
        all
    };
    let mut copied = ledger(&world.door.store);
    copied.retain(|it| it.0 != ObjectKind::Locks);
    assert_eq!(ledger(&store), copied);
    let points = store.read_blocking(move |conn| store::restore_point::of_device(conn, device, 10)).unwrap();
    let [point] = points.as_slice() else { panic!("{points:?}") };
    assert!(point.received_at < now, "it is as old as its file");
    assert!(point.manifest_name.is_none() && point.proven_at.is_none(), "nothing is proven that nobody tested");
    let as_of = point.as_of;
    let seen = store.read_blocking(move |conn| store::object::all(conn, id, Some(as_of))).unwrap();
    assert_eq!(seen.len(), copied.len(), "a view of that moment has all that the point needs");
    let row = store.read_blocking(move |conn| store::repository::find(conn, id)).unwrap().unwrap();
    assert!(row.quota_bytes < i64::MAX, "it may not grow without end");
}

#[test]
fn a_config_that_is_not_the_one_of_the_record_is_not_taken() {
    let world = World::new();
    let key = stands(&world);
    let repository = is_copied(&world, &key, "one");
    assert_eq!(kept(&world, NOW), (1, 0));
    world.spoils(
        Location::Copy,
        &BlobKey::new(repository.id, ObjectKind::Config, ObjectName::config()),
        b"another config",
    );
    let (_database, store, found) = rebuilt(&world, &key, NOW);
    assert!(!escrow::take_config(&store, &*world.copy, &found.opened[0]).unwrap());
}

#[test]
fn nothing_is_rebuilt_over_something() {
    let world = World::new();
    let key = stands(&world);
    is_copied(&world, &key, "one");
    assert_eq!(kept(&world, NOW), (1, 0));
    let found = find(&*world.copy, &key.1).unwrap();
    let public = key.0.public().clone();
    let again = world.door.store.write_blocking(move |conn| escrow::rebuild(conn, &found.opened, &public, NOW));
    assert!(again.unwrap_err().to_string().contains("not empty"));
}
