//! What is compared with the device's list of files.
use super::craft::{Craft, name_of};
use domain::id::DeviceId;
use domain::manifest::{Entry, EntryKind, Header, Meta, Writer};
use domain::object::ObjectKind;
use domain::proof::{Level, TestResult};
use domain::restore_test::Beyond;
use secret::sha256;

use crate::support::NOW;

const FILES: &[(&str, &[u8])] = &[("a.txt", b"first"), ("b.txt", b"second"), ("empty", b"")];

#[test]
fn a_good_backup_is_proven_in_both_versions_of_the_format() {
    for version in [1, 2] {
        let mut craft = Craft::new(version);
        let job = craft.backup(&FILES[..2]);

        let report = craft.test(&job);

        assert_eq!((report.result, report.level), (TestResult::Passed, Level::Proven), "{report:?}");
        assert_eq!((report.file_count, report.matched_count, report.byte_count), (2, 2, 11));
        assert_eq!(report.verified.len(), 2);
        assert_eq!(report.summary, "All 2 files came back as the device had them.");
    }
}

#[test]
fn what_came_back_with_other_rights_is_said_apart_and_is_no_whole_proof() {
    let mut craft = Craft::new(2);
    let roots = vec!["/data".to_owned()];
    let device_id = craft.device.to_string();
    let header = Header { version: 2, device_id, roots, away: vec![], made_at: 0, file_count: 0 };
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    writer.entry(&Entry::bare("/data".to_owned(), EntryKind::Folder)).unwrap();
    let (mut nodes, mut chunks) = (Vec::new(), Vec::new());
    for (name, mode) in [("a", 0o644), ("b", 0o600), ("c", 0o4644)] {
        let content = name.as_bytes();
        let blob = craft.blob(false, content);
        let mut node = Craft::file_node(name, 1, &[blob.id]);
        node["uid"] = 1.into();
        node["gid"] = 2.into();
        node["mtime"] = "1969-12-31T23:59:59.5Z".into();
        nodes.push(node);
        chunks.push(blob);
        let meta = Meta { mode, uid: 1, gid: 2, mtime: (-1, 500_000_000), attributes: None, sparse: false };
        let sha256 = Some(hex::encode(sha256(content)));
        let entry = Entry::bare(format!("/data/{name}"), EntryKind::File);
        writer.entry(&Entry { size: 1, sha256, meta: Some(meta), ..entry }).unwrap();
    }
    craft.pack(&chunks);
    let bytes = writer.finish().unwrap().0;
    let manifest = craft.keep(ObjectKind::Manifests, name_of(&bytes), bytes);
    let job = craft.backup_listed(&nodes, manifest);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Partial), "{report:?}");
    assert_eq!((report.matched_count, report.failures.file_count, report.failures.metadata_count), (3, 0, 2));
    let said =
        "2 entries came back with the same content but otherwise different; the first is /data/b (has other rights).";
    assert!(
        report.summary.starts_with("3 of 3 files came back with the content that the device had."),
        "{}",
        report.summary
    );
    assert!(report.summary.ends_with(said), "{}", report.summary);
}

#[test]
fn a_file_of_many_chunks_and_an_empty_one_are_compared_whole() {
    let mut craft = Craft::new(2);
    let parts = [craft.blob(false, b"one "), craft.blob(false, b"two "), craft.blob(false, b"one ")];
    let ids: Vec<_> = parts.iter().map(|it| it.id).collect();
    craft.pack(&parts[..1]);
    craft.pack(&parts[1..2]);
    let nodes = [Craft::file_node("empty", 0, &[]), Craft::file_node("large", 12, &ids)];
    let job = craft.backup_of(&nodes, &[("large", b"one two one "), ("empty", b"")]);

    let report = craft.test(&job);

    assert_eq!((report.result, report.matched_count), (TestResult::Passed, 2), "{report:?}");
}

#[test]
fn a_folder_of_200_000_names_is_read_name_by_name() {
    let mut craft = Craft::new(2);
    let chunk = craft.blob(false, b"text");
    let long = "n".repeat(300);
    let mut nodes: Vec<_> = (0..200_000).map(|n| Craft::file_node(&format!("{long}{n:06}"), 0, &[])).collect();
    nodes.push(Craft::file_node("z", 4, &[chunk.id]));
    craft.pack(&[chunk]);
    let job = craft.backup_of(&nodes, &[("z", b"text")]);

    let report = craft.test(&job);

    assert_eq!((report.file_count, report.matched_count), (200_001, 1), "{report:?}");
    assert!(report.failures.is_empty(), "{report:?}");
}

#[test]
fn a_changed_and_a_missing_file_fail_by_name() {
    let mut craft = Craft::new(2);
    let mut job = craft.backup(FILES);
    let device = craft.device.to_string();
    let other = craft.manifest(
        &device,
        &[("/data/a.txt", b"first"), ("/data/b.txt", b"sec0nd"), ("/data/c", b"x"), ("/data/empty", b"1")],
    );
    let nodes = [("a.txt", b"first".as_slice()), ("b.txt", b"second"), ("empty", b"")].map(|(name, content)| {
        let id = craft.blob(false, content).id;
        Craft::file_node(name, content.len(), if content.is_empty() { &[] } else { std::slice::from_ref(&id) })
    });
    let data = craft.tree(&nodes);
    let tree = craft.tree(&[Craft::folder_node("data", data.id)]).id;
    job.snapshot = craft.snapshot(tree, Some(&other));
    job.manifest = Some(other);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Verified), "{report:?}");
    let mut names: Vec<_> = report.failures.files.iter().map(|it| (it.path.as_str(), it.reason.as_str())).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            ("/data/b.txt", "has different content from what the device had"),
            ("/data/c", "is not in the backup"),
            ("/data/empty", "has 0 bytes instead of 1"),
        ]
    );
    assert_eq!((report.matched_count, report.file_count), (1, 4));
}

#[test]
fn files_that_are_not_compared_count_against_the_coverage() {
    let mut craft = Craft::new(2);
    let mut job = craft.backup(FILES);
    job.excluded = vec!["/data/b.txt".to_owned(), "/data/never".to_owned()];

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Partial), "{report:?}");
    // The one the device could not read exists only on the device, and counts too.
    assert_eq!((report.file_count, report.matched_count, report.excluded_count), (4, 2, 2));
    assert_eq!(report.excluded_bytes, 6);
    assert_eq!(report.failures.not_compared, ["/data/b.txt", "/data/never"]);
}

#[test]
fn a_file_missing_from_the_list_is_not_proven() {
    let mut craft = Craft::new(2);
    let extra = craft.blob(false, b"extra");
    let nodes = [Craft::file_node("extra", 5, &[extra.id])];
    craft.pack(&[extra]);
    let job = craft.backup_of(&nodes, &[]);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Verified), "{report:?}");
    assert_eq!(report.failures.not_compared, ["/data/extra"]);
}

#[test]
fn without_a_list_of_files_a_test_stops_at_verified_and_says_why() {
    let mut craft = Craft::new(2);
    let mut job = craft.backup(FILES);
    job.manifest = None;

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Partial, Level::Verified));
    assert!(report.summary.contains("sent no list of its files"), "{}", report.summary);
}

#[test]
fn a_list_that_is_bound_to_something_else_proves_nothing() {
    let mut craft = Craft::new(2);
    let good = craft.backup(FILES);
    let foreign = craft.manifest(&DeviceId::generate(NOW).to_string(), &[("/data/a.txt", b"first")]);
    let rubbish = craft.keep(ObjectKind::Manifests, name_of(b"rubbish"), b"rubbish".to_vec());
    let tree = craft.tree(&[]);
    let top = tree.id;
    craft.pack(&[tree]);

    for (tag, manifest, why) in [
        (None, good.manifest.clone(), "does not name the list"),
        (Some(foreign.clone()), good.manifest.clone(), "names a different list"),
        (Some(foreign.clone()), Some(foreign), "belongs to another device"),
        (Some(rubbish.clone()), Some(rubbish.clone()), "cannot be used"),
    ] {
        let snapshot = craft.snapshot(top, tag.as_ref());
        let report = craft.test(&craft.job(snapshot, manifest));
        assert_eq!((report.result, report.level), (TestResult::Failed, Level::Verified), "{why}: {report:?}");
        assert!(report.failures.notes.iter().any(|it| it.contains(why)), "{why}: {report:?}");
    }

    let snapshot = craft.snapshot(top, good.manifest.iter().chain([&rubbish]));
    let report = craft.test(&craft.job(snapshot, good.manifest.clone()));
    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Verified), "{report:?}");
    assert_eq!(report.failures.notes, ["the backup names more than one list of files"]);
}

#[test]
fn what_a_point_holds_beyond_the_proven_one_is_counted() {
    let mut craft = Craft::new(2);
    let mut job = craft.backup(FILES);
    let device = craft.device.to_string();
    job.base_manifest = Some(craft.manifest(&device, &[("/data/a.txt", b"first"), ("/data/b.txt", b"older")]));

    assert_eq!(craft.test(&job).beyond, Some(Beyond { files: 2, bytes: 6 }));
}
