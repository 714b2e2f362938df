//! Repositories from a malicious device: each ends in a clean "failed".
use super::craft::{Blob, Craft, name_of};
use domain::object::ObjectKind;
use domain::proof::{Level, TestResult};
use domain::restore_test::TestReport;
use holdfast::proof::frame::TestJob;
use repository::Id;
use secret::sha256;
use serde_json::json;
use std::io::Read;

/// Far above what a small repository needs, far below what a bomb wants.
const MEMORY: u64 = 256 << 20;

fn failed(craft: &Craft, job: &TestJob) -> TestReport {
    let (report, used) = craft.stored().measured(job);
    assert_eq!(report.result, TestResult::Failed, "{report:?}");
    assert!(report.level != Level::Proven);
    assert!(used.peak_memory_bytes < MEMORY, "{used:?}");
    report
}

#[test]
fn names_that_lead_out_of_their_folder_are_refused() {
    for name in ["../../x", "/abs/x", "..", ".", "", "a/b", "nul\\x00", "bad\\q", "\\x2e\\x2e", "\\u002e\\u002e"] {
        let mut craft = Craft::new(2);
        let blob = craft.blob(false, b"x");
        let nodes = [Craft::file_node(name, 1, &[blob.id])];
        craft.pack(&[blob]);
        let job = craft.backup_of(&nodes, &[]);

        let report = failed(&craft, &job);

        assert_eq!((report.level, report.matched_count), (Level::Stored, 0), "{name:?} {report:?}");
        assert!(report.failures.notes[0].contains("the name is not a valid file name"), "{report:?}");
    }
    let mut craft = Craft::new(2);
    let tree = craft.tree(&[]);
    let nodes = [Craft::folder_node("..", tree.id)];
    craft.pack(&[tree]);
    let job = craft.backup_of(&nodes, &[]);
    failed(&craft, &job);
}

#[test]
fn the_same_name_twice_is_refused() {
    let mut craft = Craft::new(2);
    let (a, b) = (craft.blob(false, b"a"), craft.blob(false, b"b"));
    let nodes = [Craft::file_node("x", 1, &[a.id]), Craft::file_node("\\x78", 1, &[b.id])];
    craft.pack(&[a, b]);
    let job = craft.backup_of(&nodes, &[("x", b"a")]);
    assert!(failed(&craft, &job).failures.notes[0].contains("this name twice"));
}

fn with_chunk(craft: &mut Craft, chunk: Blob) -> TestJob {
    let nodes = [Craft::file_node("x", 4, &[chunk.id])];
    craft.pack(&[chunk]);
    craft.backup_of(&nodes, &[("x", b"text")])
}

#[test]
fn a_decompression_bomb_writes_no_byte_more_than_declared() {
    let bomb = zstd::encode_all(std::io::repeat(0).take(1 << 30), 1).unwrap();
    for declared in [Some(1000), Some(31 << 20), Some(u32::MAX), Some(0), None] {
        let mut craft = Craft::new(2);
        let chunk = Blob { id: Id(sha256(b"text")), is_tree: false, sealed: craft.seal(&bomb), plain: declared };
        let job = with_chunk(&mut craft, chunk);
        let report = failed(&craft, &job);
        assert_eq!(report.failures.files[0].path, "/data/x", "{declared:?}");
    }
    // The same as an index: it does not say its size.
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let sealed = craft.seal(&[&[2][..], &bomb].concat());
    craft.keep(ObjectKind::Index, name_of(&sealed), sealed);
    failed(&craft, &job);
    // And as a list of files.
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let tree = craft.tree(&[]);
    let top = tree.id;
    craft.pack(&[tree]);
    let bomb = craft.keep(ObjectKind::Manifests, name_of(&bomb), bomb);
    let snapshot = craft.snapshot(top, Some(&bomb));
    failed(&craft, &TestJob { snapshot, manifest: Some(bomb), ..job });
}

#[test]
fn invalid_compression_in_an_authentic_chunk_fails_cleanly() {
    let mut craft = Craft::new(2);
    let chunk =
        Blob { id: Id(sha256(b"text")), is_tree: false, sealed: craft.seal(b"this is no zstd"), plain: Some(4) };
    let job = with_chunk(&mut craft, chunk);
    assert!(failed(&craft, &job).failures.files[0].reason.contains("cannot be decompressed"));
}

#[test]
fn a_chunk_with_another_content_than_its_id_says_fails() {
    for version in [1, 2] {
        let mut craft = Craft::new(version);
        let chunk = Blob { id: Id(sha256(b"text")), ..craft.blob(false, b"tExt") };
        let job = with_chunk(&mut craft, chunk);
        assert!(failed(&craft, &job).failures.files[0].reason.contains("does not match its id"));
    }
}

#[test]
fn a_hostile_key_file_is_never_opened() {
    let mut craft = Craft::new(2);
    let job = craft.backup(&[("x", b"text")]);
    let key = json!({"kdf": "scrypt", "N": 1u64 << 26, "r": 64, "p": 1, "salt": "AAAA", "data": "AAAA"}).to_string();
    craft.keep(ObjectKind::Keys, name_of(key.as_bytes()), key.into_bytes());
    assert_eq!(craft.test(&job).result, TestResult::Passed);
}

#[test]
fn a_poisoned_index_hides_no_good_copy_and_passes_no_bad_one() {
    let mut craft = Craft::new(2);
    let chunk = craft.blob(false, b"text");
    // Three packs that claim to have the chunk but have something else.
    for n in 0..3u8 {
        let fake = Blob { id: chunk.id, ..craft.blob(false, &[n]) };
        craft.pack(&[fake]);
    }
    // And one without any pack.
    craft.index(&[
        json!({"id": name_of(b"none"), "blobs": [{"id": chunk.id.name(), "type": "data", "offset": 0, "length": 50}]}),
    ]);
    let nodes = [Craft::file_node("x", 4, &[chunk.id])];

    let mut without = Craft { objects: craft.objects.clone(), ..Craft::new(2) };
    let job = without.backup_of(&nodes, &[("x", b"text")]);
    failed(&without, &job);

    craft.pack(&[chunk]);
    let job = craft.backup_of(&nodes, &[("x", b"text")]);
    let report = craft.test(&job);
    assert_eq!((report.result, report.level), (TestResult::Passed, Level::Proven), "{report:?}");
}

#[test]
fn an_index_that_points_elsewhere_in_a_pack_is_not_believed() {
    for (offset, length) in [(0, 10), (10, 40), (0, u32::MAX), (u32::MAX, u32::MAX), (0, 0)] {
        let mut craft = Craft::new(2);
        let chunk = craft.blob(false, b"text");
        let id = chunk.id;
        let (pack, _) = craft.pack_only(&[chunk]);
        craft.index(&[json!({"id": pack, "blobs": [
            {"id": id.name(), "type": "data", "offset": offset, "length": length, "uncompressed_length": 4}]})]);
        let job = craft.backup_of(&[Craft::file_node("x", 4, &[id])], &[("x", b"text")]);
        failed(&craft, &job);
    }
}

#[test]
fn a_folder_that_contains_itself_cannot_be_made_and_is_not_followed() {
    let mut craft = Craft::new(2);
    // The id of a folder that names this very id is not known; the index may only lie about it.
    let id = Id([5; 32]);
    let cycle = Blob { id, ..craft.tree(&[Craft::folder_node("again", id)]) };
    craft.pack(&[cycle]);
    let job = craft.backup_of(&[Craft::folder_node("again", id)], &[]);
    assert!(failed(&craft, &job).failures.notes[0].contains("does not match its id"));
}

#[test]
fn folders_nested_without_end_stop_at_a_limit() {
    let mut craft = Craft::new(2);
    let mut blobs = vec![craft.tree(&[])];
    for _ in 0..4100 {
        let inner = blobs.last().unwrap().id;
        blobs.push(craft.tree(&[Craft::folder_node("d", inner)]));
    }
    let top = blobs.last().unwrap().id;
    craft.pack(&blobs);
    let snapshot = craft.snapshot(top, []);
    let report = failed(&craft, &craft.job(snapshot, None));
    assert!(report.summary.contains("nested deeper"), "{report:?}");
}

#[test]
fn a_few_folders_that_unfold_into_billions_stop_at_a_limit() {
    let mut craft = Craft::new(2);
    let mut blobs = vec![craft.tree(&[])];
    for _ in 0..12 {
        let inner = blobs.last().unwrap().id;
        let nodes: Vec<_> = (0..100).map(|n| Craft::folder_node(&n.to_string(), inner)).collect();
        blobs.push(craft.tree(&nodes));
    }
    let top = blobs.last().unwrap().id;
    craft.pack(&blobs);
    let snapshot = craft.snapshot(top, []);
    let mut job = craft.job(snapshot, None);
    job.cpu_seconds = 2;
    let report = failed(&craft, &job);
    assert!(report.summary.contains("resource limit"), "{report:?}");
}

#[test]
fn sizes_that_lie_are_found() {
    for size in [0, 3, 5, usize::MAX] {
        let mut craft = Craft::new(2);
        let chunk = craft.blob(false, b"text");
        let nodes = [Craft::file_node("x", size, &[chunk.id])];
        craft.pack(&[chunk]);
        let job = craft.backup_of(&nodes, &[("x", b"text")]);
        failed(&craft, &job);
    }
}

#[test]
fn rubbish_in_place_of_json_fails_cleanly() {
    for text in ["", "{", "[]", "{\"packs\":[{\"id\":5}]}", "{\"tree\":\"\"}", "null"] {
        for kind in [ObjectKind::Index, ObjectKind::Snapshots, ObjectKind::Config] {
            let mut craft = Craft::new(1);
            let mut job = craft.backup(&[("x", b"text")]);
            let sealed = craft.seal(text.as_bytes());
            if kind == ObjectKind::Config {
                craft.keep(kind, domain::object::ObjectName::config(), sealed);
            } else {
                let name = craft.keep(kind, name_of(&sealed), sealed);
                if kind == ObjectKind::Snapshots {
                    job.snapshot = name;
                }
            }
            // An index without packs is an index.
            if kind == ObjectKind::Index && ["[]", "{\"tree\":\"\"}"].contains(&text) {
                continue;
            }
            failed(&craft, &job);
        }
    }
}
