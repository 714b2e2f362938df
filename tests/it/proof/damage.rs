//! Stored bytes that are not what they were.
use super::craft::{Craft, Stored};
use crate::support::unreadable;
use domain::object::{ObjectKind, ObjectName};
use domain::proof::{Level, TestResult};
use holdfast::proof::frame::TestJob;
use std::fs;
use std::path::Path;

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
