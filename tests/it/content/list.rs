//! A folder, page by page.
use super::World;
use crate::proof::craft::Craft;
use crate::support::visit::text;
use domain::object::ObjectKind;
use domain::time::hours;
use serde_json::{Value, json};

#[test]
fn folders_are_walked_one_by_one() {
    let mut world = World::new();
    let (node, _) = world.file("photo.jpg", b"jpg");
    let inner = world.craft.tree(&[node]);
    let folder = Craft::folder_node("2026", inner.id);
    let link = json!({"name": "latest", "type": "symlink", "linktarget": "2026"});
    let pipe = json!({"name": "pipe", "type": "fifo"});
    world.craft.pack(&[inner]);
    let point = world.backup(&[folder, link, pipe]);

    let top = text(&world.lists(point, ""));
    assert!(top.contains(">data</a>"), "{top}");
    let data = text(&world.lists(point, "/data"));
    for part in [">2026</a>", "Link to", "Special: fifo", "3 entries"] {
        assert!(data.contains(part), "{part}: {data}");
    }
    let inner = text(&world.lists(point, "/data/2026"));
    assert!(inner.contains("photo.jpg") && inner.contains("path=%2Fdata%2F2026%2Fphoto.jpg"), "{inner}");
    let file = world.lists(point, "/data/2026/photo.jpg");
    assert!(file.status == 200 && text(&file).contains("Download this file"));
    for nothing in
        ["/data/none", "/data/2026/photo.jpg/below", "/dat", "relative", "/data/../data", "/data/%zz", "/data/"]
    {
        assert_eq!(world.lists(point, nothing).status, 404, "{nothing}");
    }
}

fn many(count: usize) -> Vec<Value> {
    (0..count).map(|it| json!({"name": format!("file-{it:07}"), "type": "file", "size": it, "content": []})).collect()
}

#[test]
fn a_large_folder_comes_in_pages_and_can_be_filtered() {
    let mut world = World::new();
    let point = world.backup(&many(450));
    let page = |query: &str| text(&world.visit().get(&format!("/restore-points/{point}/files?path=%2Fdata{query}")));

    let first = page("");
    assert!(first.contains("1 to 200 of 450 entries") && first.contains("file-0000199"), "{first}");
    assert!(!first.contains("file-0000200") && first.contains("&#38;from=200"));
    let last = page("&from=400");
    assert!(last.contains("401 to 450 of 450 entries") && last.contains("file-0000449") && !last.contains(">Next<"));
    let some = page("&q=E-00004");
    assert!(some.contains("50 entries") && some.contains("file-0000400") && !some.contains("file-0000399"), "{some}");
    assert!(page("&q=none").contains("No name in this folder contains “none”"));
    assert!(page("&from=9000").contains("The folder ends before this page"));
}

#[test]
fn what_cannot_be_restored_is_said_at_its_name() {
    let mut world = World::new();
    let (good, _) = world.file("good.txt", b"good");
    let missing = Craft::file_node("missing.txt", 4, &[repository::Id([9; 32])]);
    let gone = Craft::folder_node("gone", repository::Id([8; 32]));
    let up = Craft::file_node("../../up", 0, &[]);
    let twice = [Craft::file_node("twice", 0, &[]), Craft::file_node("twice", 0, &[])];
    let [one, two] = twice;
    let point = world.backup(&[good, missing, gone, up, one, two]);

    let page = text(&world.lists(point, "/data"));

    assert!(
        page.contains("good.txt") && page.contains("Parts are missing") && page.contains("Its list is missing"),
        "{page}"
    );
    assert!(page.contains("the name is not a valid file name") && page.contains("the folder has this name twice"));
    assert!(!page.contains("href=\"/restore-points/../"));
    let gone = world.lists(point, "/data/gone");
    assert!(gone.status == 409 && text(&gone).contains("is in no index"), "{}", text(&gone));
    assert_eq!(world.lists(point, "/data").status, 200, "the server goes on");
}

#[test]
fn a_folder_that_rotted_is_an_error_on_the_page() {
    let mut world = World::new();
    let data = world.craft.tree(&many(3));
    let top = world.craft.tree(&[Craft::folder_node("data", data.id)]);
    let id = top.id;
    let pack = world.craft.pack(&[data]);
    world.craft.pack(&[top]);
    let point = world.point(id);
    world.rots(ObjectKind::Data, &pack);

    let page = world.lists(point, "/data");

    assert_eq!(page.status, 409);
    assert!(text(&page).contains("was changed or made with another key"), "{}", text(&page));
    assert_eq!(world.lists(point, "").status, 200, "the folder above is in another pack");
}

#[test]
fn names_are_text_on_the_page() {
    let mut world = World::new();
    let name = "<script>alert(1)<script>\"' &amp; %41\\n\\xff";
    let point = world.backup(&[Craft::file_node(name, 0, &[])]);

    let page = text(&world.lists(point, "/data"));

    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)"), "{page}");
    let href = page.split("href=\"").find(|it| it.contains("script%3E")).unwrap().split('"').next().unwrap();
    let again = world.visit().get(&href.replace("&#38;", "&"));
    assert_eq!(again.status, 200, "its own address leads to it: {href}");
    assert!(text(&again).contains("About it"));
}

#[test]
fn what_arrived_after_a_point_does_not_exist_in_it() {
    let mut world = World::new();
    let (node, _) = world.file("a.txt", b"good content");
    let point = world.backup(std::slice::from_ref(&node));
    world.server.app.clock.advance(hours(1));
    // An index that leads the good chunk and the good folder nowhere.
    let good = repository::Id(secret::sha256(b"good content"));
    let fake = repository::Id([7; 32]);
    let entry = json!({"id": good.name(), "type": "data", "offset": 0, "length": 90});
    world.craft.index(&[json!({"id": fake.name(), "blobs": [entry]})]);
    let garbage = b"no index at all".to_vec();
    world.craft.keep(ObjectKind::Index, crate::proof::craft::name_of(&garbage), garbage);
    world.arrives();

    let got = world.takes(point, "/data/a.txt");

    assert_eq!((got.status, got.body.as_slice()), (200, &b"good content"[..]));
}
