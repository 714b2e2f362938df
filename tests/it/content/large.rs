//! Very many files: pages, a search, a comparison and an archive, each in little memory. In each run of the tests they are
//! 120,000, which would not fit either if they were held at once; `tests/run campaign` has a million.
use crate::proof::craft::{Craft, Stored, runner};
use domain::object::ObjectName;
use holdfast::content::message::{Bounds, End, Found, Job, RowKind, Seen, Task};
use holdfast::content::{Heard, Work, run};
use holdfast::proof::runner::Used;
use std::fmt::Write;

/// Far below what a million files take if they are held at once.
const MEMORY: u64 = 256 << 20;

fn files() -> usize {
    if std::env::var_os("HOLDFAST_CAMPAIGN").is_some() { 1_000_000 } else { 120_000 }
}

fn does(stored: &Stored, task: Task) -> (End, u64, Used) {
    within(stored, task, 600)
}

fn within(stored: &Stored, task: Task, cpu_seconds: u64) -> (End, u64, Used) {
    let job = Job { task, cpu_seconds };
    let mut bytes = 0;
    let work = Work { served: &stored.served, key: &stored.key, job: &job, watcher: &() };
    let (end, used) = run(&runner(), &work, &mut |heard| {
        if let Heard::Part(part) = heard {
            bytes += part.len() as u64;
        }
        true
    });
    let end = end.unwrap();
    assert!(used.peak_memory_bytes > 0 && used.peak_memory_bytes < MEMORY, "{used:?}");
    (end, bytes, used)
}

/// Longer than anybody waits: it is about memory.
const LONG: Bounds = Bounds { millis: 600_000, folders: 1_000_000 };

fn find(points: Vec<Seen>, text: &str, from: &str, bounds: Bounds) -> Task {
    Task::Find { points, text: text.to_owned(), from: from.to_owned(), bounds }
}

/// As of the only moment there is.
fn seen(snapshot: &ObjectName) -> Seen {
    Seen { snapshot: snapshot.clone(), view: 0 }
}

/// A snapshot whose only folder has `count` empty files, the last of them another if `other`.
fn one_folder(craft: &mut Craft, count: usize, other: bool) -> ObjectName {
    let mut json = String::from("{\"nodes\":[");
    for at in 0..count {
        let size = usize::from(other && at + 1 == count);
        write!(
            json,
            "{}{{\"name\":\"file-{at:07}\",\"type\":\"file\",\"size\":{size}}}",
            if at == 0 { "" } else { "," }
        )
        .unwrap();
    }
    json.push_str("]}");
    let folder = craft.blob(true, json.as_bytes());
    let top = craft.tree(&[Craft::folder_node("data", folder.id)]);
    let id = top.id;
    craft.pack(&[folder, top]);
    craft.snapshot(id, None)
}

#[test]
fn very_many_files_in_one_folder_are_listed_searched_and_compared_in_little_memory() {
    let count = files();
    let last_name = format!("file-{:07}", count - 1);
    let mut craft = Craft::new(2);
    let old = one_folder(&mut craft, count, false);
    let new = one_folder(&mut craft, count, true);
    let stored = craft.stored();

    let list = |from| Task::List { snapshot: old.clone(), path: "/data".to_owned(), filter: String::new(), from };
    let (end, ..) = does(&stored, list(0));
    let End::Found(Found::Folder(first)) = end else { panic!("{end:?}") };
    assert_eq!((first.rows.len(), first.has_more, first.count), (200, true, None), "too many to count for one page");
    let (end, ..) = does(&stored, list(count as u64 - 100));
    let End::Found(Found::Folder(last)) = end else { panic!("{end:?}") };
    assert_eq!((last.rows.len(), last.has_more, last.count), (100, false, Some(count as u64)));
    assert_eq!(last.rows[99].name, last_name);

    let find = find(vec![seen(&new), seen(&old)], &last_name[5..], "", LONG);
    let (end, ..) = does(&stored, find);
    let End::Hits(hits) = end else { panic!("{end:?}") };
    assert_eq!((hits.rows.len(), hits.searched, hits.rows[0].versions), (1, 2, 2));

    let (end, ..) = does(&stored, Task::Compare { old: seen(&old), new: seen(&new), from: 0, seconds: 600 });
    let End::Changes(changes) = end else { panic!("{end:?}") };
    assert_eq!((changes.rows.len(), changes.changed.files, changes.is_whole), (1, 1, true));

    let (end, bytes, _) = does(&stored, Task::Take { snapshot: new, path: "/data".to_owned(), leaves_out: true });
    let End::Taken(taken) = end else { panic!("{end:?}") };
    assert_eq!((taken.files, taken.left_out), (count as u64 - 1, 1), "one has a size without content");
    assert!(bytes > 512 * (count as u64 - 1));
}

#[test]
fn folders_nested_to_the_longest_path_are_walked_in_little_memory() {
    let mut craft = Craft::new(2);
    let mut tree = craft.tree(&[Craft::file_node("bottom", 0, &[])]);
    let mut blobs = vec![tree.clone()];
    for _ in 0..4000 {
        tree = craft.tree(&[Craft::folder_node("d", tree.id), Craft::file_node("f", 0, &[])]);
        blobs.push(tree.clone());
    }
    craft.pack(&blobs);
    let snapshot = craft.snapshot(tree.id, None);
    let stored = craft.stored();
    let bottom = format!("{}/bottom", "/d".repeat(4000));

    let (end, ..) =
        does(&stored, Task::List { snapshot: snapshot.clone(), path: bottom, filter: String::new(), from: 0 });
    let End::Found(Found::Single(row)) = end else { panic!("{end:?}") };
    assert_eq!((row.name.as_str(), row.kind), ("bottom", RowKind::File { size: 0, is_whole: true }));
    let find = find(vec![seen(&snapshot)], "bottom", "", LONG);
    let (end, ..) = does(&stored, find);
    assert!(matches!(&end, End::Hits(hits) if hits.rows.len() == 1), "{end:?}");
    let (end, ..) = does(&stored, Task::Take { snapshot, path: String::new(), leaves_out: false });
    assert!(matches!(&end, End::Taken(taken) if taken.files == 4001), "{end:?}");
}

#[test]
fn huge_names_and_huge_entries_are_lines_of_a_page() {
    let mut craft = Craft::new(2);
    let name = "n".repeat(10 << 20);
    let mut json = format!(
        "{{\"nodes\":[{{\"name\":\"{name}\",\"type\":\"file\"}},{{\"name\":\"large\",\"type\":\"file\",\"content\":["
    );
    let id = ObjectName::from_hash(&[9; 32]);
    for at in 0..500_000 {
        write!(json, "{}\"{id}\"", if at == 0 { "" } else { "," }).unwrap();
    }
    json.push_str("]},{\"name\":\"small\",\"type\":\"file\"}]}");
    let folder = craft.blob(true, json.as_bytes());
    let top = folder.id;
    craft.pack(&[folder]);
    let snapshot = craft.snapshot(top, None);
    let stored = craft.stored();

    let (end, ..) = does(&stored, Task::List { snapshot, path: String::new(), filter: String::new(), from: 0 });

    let End::Found(Found::Folder(listed)) = end else { panic!("{end:?}") };
    assert_eq!(listed.count, Some(3));
    assert!(matches!(&listed.rows[0].kind, RowKind::Unusable { .. }) && listed.rows[0].name.len() < 1000);
    assert_eq!(listed.rows[1].kind, RowKind::File { size: 0, is_whole: false });
    assert_eq!(listed.rows[2].name, "small");
}

/// Ten files in each of very many folders, 500 folders in each of those above; every 1,000th file is a needle.
fn many_folders(craft: &mut Craft, count: usize) -> ObjectName {
    let mut tops = Vec::new();
    for top in 0..count / 5_000 {
        let (mut blobs, mut nodes) = (Vec::new(), Vec::new());
        for folder in 0..500 {
            let first = (top * 500 + folder) * 10;
            let name = |at: usize| if at.is_multiple_of(1000) { format!("needle-{at}") } else { format!("file-{at}") };
            let files: Vec<_> = (first..first + 10).map(|at| Craft::file_node(&name(at), 0, &[])).collect();
            let tree = craft.tree(&files);
            nodes.push(Craft::folder_node(&format!("folder-{folder:03}"), tree.id));
            blobs.push(tree);
        }
        let above = craft.tree(&nodes);
        tops.push(Craft::folder_node(&format!("top-{top:03}"), above.id));
        blobs.push(above);
        craft.pack(&blobs);
    }
    let top = craft.tree(&tops);
    let id = top.id;
    craft.pack(&[top]);
    craft.snapshot(id, None)
}

#[test]
fn very_many_files_in_many_folders_are_searched_to_their_end_under_the_products_own_limits() {
    let count = files();
    let mut craft = Craft::new(2);
    let snapshot = many_folders(&mut craft, count);
    let stored = craft.stored();
    // A million files have 20 seconds, and 30 of processor time, at once; fewer have less.
    let share = count as u64 * 20_000 / 1_000_000;
    let bounds = Bounds { millis: share, folders: 1_000_000 * count / 1_000_000 };
    let (mut from, mut found, mut searches) = (String::new(), 0, 0);
    loop {
        let (end, ..) = within(&stored, find(vec![seen(&snapshot)], "NEEDLE", &from, bounds), 30);
        let End::Hits(hits) = end else { panic!("{end:?}") };
        assert!(!hits.has_more && hits.unreadable_folders == 0 && hits.unreadable_points == 0, "{hits:?}");
        (found, searches) = (found + hits.rows.len(), searches + 1);
        let Some(next) = hits.goes_on else { break };
        assert!(next.from != from, "it stands still at {next:?}");
        from = next.from;
    }
    assert_eq!(found, count / 1000, "in {searches} searches");
    println!("{count} files in {} folders: {searches} searches", count / 10);
}
