//! Entries besides files, which manifests of version 2 list.
use super::craft::{Craft, name_of};
use domain::manifest::{Entry, EntryKind, Header, Meta, Writer};
use domain::object::{ObjectKind, ObjectName};
use domain::proof::{Level, TestResult};
use secret::sha256;
use serde_json::{Value, json};

/// Keeps a manifest of `/data` with these entries.
fn listed(craft: &mut Craft, entries: &[Entry]) -> ObjectName {
    let roots = vec!["/data".to_owned()];
    let header =
        Header { version: 2, device_id: craft.device.to_string(), roots, away: vec![], made_at: 0, file_count: 0 };
    let mut writer = Writer::new(Vec::new(), &header).unwrap();
    writer.entry(&Entry::bare("/data".to_owned(), EntryKind::Folder)).unwrap();
    for entry in entries {
        writer.entry(entry).unwrap();
    }
    let bytes = writer.finish().unwrap().0;
    craft.keep(ObjectKind::Manifests, name_of(&bytes), bytes)
}

fn file(path: &str, content: &[u8]) -> Entry {
    let sha256 = Some(hex::encode(sha256(content)));
    Entry { size: content.len() as u64, sha256, ..Entry::bare(path.to_owned(), EntryKind::File) }
}

fn link(path: &str, target: &str) -> Entry {
    Entry { target: Some(target.to_owned()), ..Entry::bare(path.to_owned(), EntryKind::Symlink) }
}

fn link_node(name: &str, target: &str) -> Value {
    json!({"name": name, "type": "symlink", "mode": 134_218_239_u32, "linktarget": target})
}

/// What a path is found by.
fn key(path: &str) -> String {
    hex::encode(&sha256(path.as_bytes())[..16])
}

fn paths(failures: &[domain::restore_test::FileFailure]) -> Vec<&str> {
    failures.iter().map(|it| it.path.as_str()).collect()
}

#[test]
fn an_entry_that_no_list_has_is_named_as_not_compared() {
    let mut craft = Craft::new(2);
    let chunk = craft.blob(false, b"text");
    let nodes = [link_node("link", "a"), Craft::file_node("z", 4, &[chunk.id])];
    craft.pack(&[chunk]);
    let manifest = listed(&mut craft, &[file("/data/z", b"text")]);
    let job = craft.backup_listed(&nodes, manifest);

    let report = craft.test(&job);

    assert_eq!(report.failures.not_compared, ["/data/link"], "{report:?}");
    assert_eq!((report.file_count, report.matched_count, report.excluded_count), (1, 1, 0));
}

#[test]
fn what_comes_back_as_something_else_fails_and_counts_once() {
    let mut craft = Craft::new(2);
    let chunks = [craft.blob(false, b"good"), craft.blob(false, b"odd")];
    let nodes = [
        Craft::file_node("good", 4, &[chunks[0].id]),
        link_node("was-folder", "a"),
        link_node("was-folder-too", "a"),
        Craft::file_node("was-link", 3, &[chunks[1].id]),
    ];
    craft.pack(&chunks);
    let entries = [
        file("/data/good", b"good"),
        Entry::bare("/data/was-folder".to_owned(), EntryKind::Folder),
        Entry::bare("/data/was-folder-too".to_owned(), EntryKind::Folder),
        link("/data/was-link", "a"),
    ];
    let manifest = listed(&mut craft, &entries);
    let job = craft.backup_listed(&nodes, manifest);

    let report = craft.test(&job);

    assert_eq!((report.result, report.level), (TestResult::Failed, Level::Verified), "{report:?}");
    assert_eq!(paths(&report.failures.files), ["/data/was-folder", "/data/was-folder-too", "/data/was-link"]);
    assert_eq!((report.file_count, report.matched_count), (4, 1), "{report:?}");
    let reason = &report.failures.files[0].reason;
    assert!(reason.contains("was a folder and came back as"), "{reason}");
}

#[test]
fn what_the_device_left_out_is_named_once_however_it_came_back() {
    let mut craft = Craft::new(2);
    let chunks = [craft.blob(false, b"moving"), craft.blob(false, b"still")];
    let nodes = [
        link_node("link", "elsewhere"),
        Craft::file_node("moving", 6, &[chunks[0].id]),
        Craft::file_node("still", 5, &[chunks[1].id]),
    ];
    craft.pack(&chunks);
    let meta = Meta { mode: 0o600, uid: 1, gid: 2, mtime: (0, 0), attributes: None, sparse: false };
    let entries = [
        link("/data/link", "a"),
        Entry { meta: Some(meta), ..file("/data/moving", b"moving") },
        file("/data/still", b"still"),
    ];
    let manifest = listed(&mut craft, &entries);
    let mut job = craft.backup_listed(&nodes, manifest);
    job.excluded = vec!["/data/link".to_owned(), "/data/moving".to_owned()];

    let report = craft.test(&job);

    let mut named = report.failures.not_compared.clone();
    named.sort();
    assert_eq!(named, ["/data/link", "/data/moving"], "{report:?}");
    assert_eq!((report.file_count, report.matched_count, report.excluded_count), (2, 1, 1), "{report:?}");
    assert_eq!(report.failures.metadata_count, 0, "{report:?}");
}

#[test]
fn what_failed_before_is_made_good_once_by_each_entry_that_came_back() {
    let mut craft = Craft::new(2);
    let chunk = craft.blob(false, b"text");
    let nodes = [Craft::file_node("file", 4, &[chunk.id]), link_node("link", "a"), link_node("other", "b")];
    craft.pack(&[chunk]);
    let entries = [file("/data/file", b"text"), link("/data/link", "a"), link("/data/other", "b")];
    let manifest = listed(&mut craft, &entries);
    let mut job = craft.backup_listed(&nodes, manifest);
    job.failed_before.keys = ["/data/file", "/data/link", "/data/nowhere"].map(key).to_vec();

    let report = craft.test(&job);

    assert_eq!(report.result, TestResult::Passed, "{report:?}");
    let mut good = report.made_good.proven.clone();
    good.sort();
    let mut expected = ["/data/file", "/data/link"].map(key);
    expected.sort();
    assert_eq!(good, expected, "{report:?}");
}

#[test]
fn a_missing_entry_counts_and_one_that_the_device_left_out_is_only_named() {
    let mut craft = Craft::new(2);
    let chunk = craft.blob(false, b"text");
    let nodes = [Craft::file_node("file", 4, &[chunk.id])];
    craft.pack(&[chunk]);
    let entries = [
        file("/data/file", b"text"),
        link("/data/gone", "a"),
        link("/data/left", "b"),
        Entry::bare("/data/odd".to_owned(), EntryKind::Unknown),
    ];
    let manifest = listed(&mut craft, &entries);
    let mut job = craft.backup_listed(&nodes, manifest);
    job.excluded = vec!["/data/left".to_owned()];

    let report = craft.test(&job);

    assert_eq!(report.result, TestResult::Failed, "{report:?}");
    assert_eq!(paths(&report.failures.files), ["/data/gone"], "{report:?}");
    assert_eq!(report.failures.not_compared, ["/data/left"], "{report:?}");
    assert_eq!((report.file_count, report.matched_count), (2, 1), "{report:?}");
}
