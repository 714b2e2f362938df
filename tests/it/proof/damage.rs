//! Stored bytes that are not what they were.
use super::craft::{Craft, Stored};
use crate::support::unreadable;
use domain::ground::AwayCause;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::proof::{Level, TestResult};
use domain::restore_test::Beyond;
use holdfast::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Upload, WriteFault};
use holdfast::proof::frame::TestJob;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn backup() -> (Craft, TestJob) {
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("a.txt", b"first"), ("b.txt", b"second"), ("c.txt", b"third")]);
    (craft, job)
}

fn damage(stored: &Stored, name: &ObjectName, change: impl FnOnce(&mut Vec<u8>)) {
    let path = stored.path(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

/// The pack of the files, which is the longer of the two.
fn data_pack(craft: &Craft) -> ObjectName {
    let packs = craft.names(ObjectKind::Data);
    let index = |name: &ObjectName| craft.bytes(ObjectKind::Data, name).len();
    // Three chunks of a few bytes against two folders of JSON.
    packs.into_iter().min_by_key(index).unwrap()
}

#[test]
fn one_flipped_byte_in_any_object_fails_and_names_it() {
    let (craft, job) = backup();
    for ((_, name), (kind, bytes)) in &craft.objects {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let stored = craft.stored();
            damage(&stored, name, |bytes| bytes[at] ^= 0x40);

            let report = stored.test(&job);

            assert_eq!(report.result, TestResult::Failed, "{kind} byte {at}: {report:?}");
            assert!(report.level != Level::Proven, "{kind}");
            let named = report.failures.objects.iter().find(|it| it.kind == *kind && it.name == *name);
            let named = named.unwrap_or_else(|| panic!("{kind} byte {at} is not named: {report:?}"));
            assert!(named.damaged, "{kind} byte {at}: {report:?}");
        }
    }
}

#[test]
fn a_damaged_chunk_names_its_file_and_no_other() {
    let (craft, job) = backup();
    let stored = craft.stored();
    damage(&stored, &data_pack(&craft), |bytes| bytes[3] ^= 1);

    let report = stored.test(&job);

    let names: Vec<_> = report.failures.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(names, ["/data/a.txt"], "{report:?}");
    assert_eq!((report.matched_count, report.failures.object_count), (2, 1));
    assert!(report.summary.contains("1 of 3 files") && report.summary.contains("/data/a.txt"), "{}", report.summary);
}

#[test]
fn a_pack_that_is_cut_short_has_grown_or_is_gone_fails() {
    let (craft, job) = backup();
    let pack = data_pack(&craft);
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("cut short", |bytes| bytes.truncate(bytes.len() / 2)),
        ("empty", Vec::clear),
        ("one byte short", |bytes| bytes.truncate(bytes.len() - 1)),
        ("grown", |bytes| bytes.push(0)),
    ];
    for (what, change) in changes {
        let stored = craft.stored();
        damage(&stored, &pack, change);
        let report = stored.test(&job);
        assert_eq!((report.result, report.level), (TestResult::Failed, Level::Stored), "{what}: {report:?}");
        assert!(report.failures.objects.iter().any(|it| it.name == pack && it.damaged), "{what}: {report:?}");
    }

    let stored = craft.stored();
    fs::remove_file(stored.path(&pack)).unwrap();
    let report = stored.test(&job);
    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Reported), "{report:?}");
    assert_eq!(report.failures.file_count, 3);
    assert!(report.failures.objects.iter().any(|it| it.name == pack && it.damaged), "{report:?}");
}

#[test]
fn a_pack_missing_from_the_ledger_is_not_stored() {
    let (craft, job) = backup();
    let pack = data_pack(&craft);
    let mut stored = craft.stored();
    stored.served.ledger.remove(&(ObjectKind::Data, pack.clone()));

    let report = stored.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Reported), "{report:?}");
    assert!(report.failures.objects.iter().any(|it| it.name == pack && !it.damaged), "{report:?}");
}

#[test]
fn a_store_that_is_away_is_unproven_and_damages_nothing() {
    let (craft, job) = backup();
    let stored = craft.stored();
    let folder = stored.folder.path();
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }

    let report = stored.test(&job);

    assert_eq!(report.result, TestResult::Unproven, "{report:?}");
    assert!(report.failures.objects.is_empty());
}

#[test]
fn an_object_that_is_lost_or_that_the_disk_cannot_read_fails_and_is_named() {
    let (craft, job) = backup();
    for ((_, name), (kind, _)) in &craft.objects {
        for lose in [unreadable, |path: &Path| fs::remove_file(path).unwrap()] {
            let stored = craft.stored();
            lose(&stored.path(name));

            let report = stored.test(&job);

            assert_eq!(report.result, TestResult::Failed, "{kind}: {report:?}");
            let named = report.failures.objects.iter().find(|it| it.kind == *kind && it.name == *name);
            assert!(named.is_some_and(|it| it.damaged), "{kind}: {report:?}");
        }
    }
}

#[test]
fn a_disk_that_can_read_nothing_is_unproven() {
    let (craft, job) = backup();
    let stored = craft.stored();
    for (_, name) in craft.objects.keys() {
        unreadable(&stored.path(name));
    }

    let report = stored.test(&job);

    assert_eq!(report.result, TestResult::Unproven, "{report:?}");
    assert!(report.failures.objects.is_empty());
}

/// A store that can be read a number of times, and then goes away.
struct GoesAway {
    store: Arc<dyn BlobStore>,
    reads_left: AtomicU64,
}

impl BlobStore for GoesAway {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        self.store.begin(key)
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        let left = self.reads_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.store.read(key, offset, len),
            Err(_) => Err(StoreFault { cause: AwayCause::Away, why: "the disk was pulled out".to_owned() }.into()),
        }
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.store.size(key)
    }

    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.store.remove(key)
    }

    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.store.list(repository)
    }

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.store.make_durable(key)
    }

    fn unsettled(&self) -> Result<Vec<(BlobKey, holdfast::blob::Stored)>, ReadFault> {
        self.store.unsettled()
    }
}

#[test]
fn a_store_that_goes_away_at_any_read_leaves_the_test_unproven_and_names_nothing() {
    let (mut craft, mut job) = backup();
    let device = craft.device.to_string();
    let older = craft.manifest(&device, &[("/data/a.txt", b"first")]);
    job.base_manifest = Some(older.clone());
    job.failed_before.manifests = vec![craft.manifest(&device, &[("/data/b.txt", b"second")])];
    for reads in 0.. {
        let mut stored = craft.stored();
        let store = Arc::clone(&stored.served.blobs);
        stored.served.blobs = Arc::new(GoesAway { store, reads_left: AtomicU64::new(reads) });

        let report = stored.test(&job);

        if report.result == TestResult::Passed {
            assert!(reads > 6, "the manifests, the snapshot, the index, folders and files were read");
            assert_eq!(report.beyond, Some(Beyond { files: 2, bytes: 11 }));
            assert_eq!(report.made_good.manifests, job.failed_before.manifests);
            break;
        }
        assert_eq!(report.result, TestResult::Unproven, "after {reads} reads: {report:?}");
        assert!(report.failures.is_empty(), "after {reads} reads: {report:?}");
    }
}

#[test]
fn a_list_that_cannot_be_read_ends_no_test_of_what_is_stored() {
    let (mut craft, mut job) = backup();
    let device = craft.device.to_string();
    let older = craft.manifest(&device, &[("/data/a.txt", b"first")]);
    job.base_manifest = Some(older.clone());
    job.failed_before.manifests = vec![older.clone()];

    // The list of another point says nothing about this one.
    let stored = craft.stored();
    damage(&stored, &older, |bytes| bytes[0] ^= 1);
    let report = stored.test(&job);
    assert_eq!((report.result, report.matched_count, report.beyond), (TestResult::Passed, 3, None), "{report:?}");
    assert!(report.made_good.manifests.is_empty());

    // Without its own, files are still read back, and the object is named.
    let own = job.manifest.clone().unwrap();
    let stored = craft.stored();
    damage(&stored, &own, |bytes| bytes[0] ^= 1);
    let report = stored.test(&job);
    assert_eq!((report.result, report.file_count, report.byte_count), (TestResult::Failed, 3, 16), "{report:?}");
    assert!(report.failures.notes.iter().any(|it| it.contains("list of files cannot be read")), "{report:?}");
}

#[test]
fn a_folder_that_cannot_be_read_takes_only_what_is_below_it_along() {
    let mut craft = Craft::new(2);
    let chunks = [craft.blob(false, b"above"), craft.blob(false, b"below")];
    let below = craft.tree(&[Craft::file_node("b", 5, &[chunks[1].id])]);
    let nodes = [Craft::file_node("a", 5, &[chunks[0].id]), Craft::folder_node("sub", below.id)];
    craft.pack(&chunks);
    let pack = craft.pack(&[below]);
    let job = craft.backup_of(&nodes, &[("a", b"above"), ("sub/b", b"below")]);
    assert_eq!(craft.test(&job).result, TestResult::Passed);
    let stored = craft.stored();
    damage(&stored, &pack, |bytes| bytes[3] ^= 1);

    let report = stored.test(&job);

    assert_eq!((report.result, report.level, report.matched_count), (TestResult::Failed, Level::Stored, 1));
    let named: Vec<_> = report.failures.files.iter().map(|it| (it.path.as_str(), it.reason.as_str())).collect();
    assert_eq!(named, [("/data/sub/b", "cannot be reached: a folder cannot be read")], "{report:?}");
    assert!(report.failures.notes.iter().any(|it| it.starts_with("/data/sub: ")), "{report:?}");
}

#[test]
fn a_file_whose_chunk_is_in_no_index_fails_and_the_others_are_compared() {
    let mut craft = Craft::new(2);
    let chunks = [b"gone 1", b"gone 2", b"intact"].map(|it| craft.blob(false, it));
    let ids = chunks.clone().map(|it| it.id);
    craft.pack(&chunks[2..]);
    let nodes = [("g1", 0), ("g2", 1), ("ok", 2)].map(|(name, at)| Craft::file_node(name, 6, &ids[at..=at]));
    let job = craft.backup_of(&nodes, &[("g1", b"gone 1"), ("g2", b"gone 2"), ("ok", b"intact")]);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level, report.matched_count), (TestResult::Failed, Level::Stored, 1));
    let named: Vec<_> = report.failures.files.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(named, ["/data/g1", "/data/g2"], "{report:?}");
    assert!(report.failures.files.iter().all(|it| it.reason.contains("is in no index")), "{report:?}");
    assert_eq!((report.file_count, report.failures.file_count), (3, 2), "{report:?}");

    // Not even if the device had left it out of the comparison.
    let report = craft.test(&TestJob { excluded: vec!["/data/g1".to_owned()], ..job });
    assert_eq!((report.file_count, report.failures.file_count, report.excluded_count), (3, 2, 0), "{report:?}");
}

#[test]
fn every_pack_that_is_not_stored_is_named_also_behind_one_that_is_damaged() {
    let mut craft = Craft::new(2);
    let chunks = [craft.blob(false, b"first "), craft.blob(false, b"second")];
    let ids = chunks.clone().map(|it| it.id);
    let packs = chunks.map(|it| craft.pack(&[it]));
    let job = craft.backup_of(&[Craft::file_node("large", 12, &ids)], &[("large", b"first second")]);
    let mut stored = craft.stored();
    damage(&stored, &packs[0], |bytes| bytes[3] ^= 1);
    stored.served.ledger.remove(&(ObjectKind::Data, packs[1].clone()));

    let report = stored.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Reported), "{report:?}");
    let mut named: Vec<_> = report.failures.objects.iter().map(|it| (it.name.clone(), it.damaged)).collect();
    named.sort();
    let mut expected = vec![(packs[0].clone(), true), (packs[1].clone(), false)];
    expected.sort();
    assert_eq!(named, expected, "{report:?}");
}

#[test]
fn what_failed_before_is_only_read_where_there_is_no_list_to_compare_it_with() {
    let (craft, mut job) = backup();
    let key = hex::encode(&secret::sha256(b"/data/b.txt")[..16]);
    job.failed_before.keys = vec![key.clone()];

    let report = craft.test(&job);
    assert_eq!((report.made_good.proven, report.made_good.read), (vec![key.clone()], vec![]));

    job.manifest = None;
    let report = craft.test(&job);
    assert_eq!((report.made_good.proven, report.made_good.read), (vec![], vec![key]));
}
