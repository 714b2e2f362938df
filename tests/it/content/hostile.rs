//! Trees from a malicious device: each a clear error on the page, and the server goes on.
use super::World;
use crate::proof::craft::{Blob, Craft};
use crate::support::visit::text;
use repository::Id;
use secret::sha256;
use std::io::Read;

#[test]
fn a_bomb_for_a_folder_is_a_limit_and_not_a_dead_server() {
    let mut world = World::new();
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(1 << 30), 1).unwrap();
    for declared in [Some(1000), Some(u32::MAX), None] {
        let sealed = world.craft.seal(&bomb);
        let tree =
            Blob { id: Id(sha256(&declared.unwrap_or(0).to_le_bytes())), is_tree: true, sealed, plain: declared };
        let id = tree.id;
        world.craft.pack(&[tree]);
        let point = world.point(id);
        let page = world.lists(point, "");
        assert_eq!(page.status, 409, "{declared:?}: {}", text(&page));
    }
}

#[test]
fn folders_nested_deeper_than_any_path_end_in_an_error() {
    let mut world = World::new();
    let mut tree = world.craft.tree(&[]);
    let mut blobs = vec![tree.clone()];
    for _ in 0..5000 {
        tree = world.craft.tree(&[Craft::folder_node("d", tree.id)]);
        blobs.push(tree.clone());
    }
    world.craft.pack(&blobs);
    let point = world.point(tree.id);

    let deep = "/d".repeat(4000);
    let page = world.lists(point, &deep);
    assert!(matches!(page.status, 200 | 400 | 414), "{}", page.status);
    let got = world.takes(point, "");
    assert_eq!(got.status, 200, "it has begun");
    let read = &world.ended()[0];
    assert!(read.note.contains("nested deeper than the limit"), "{read:?}");
    assert_eq!(world.lists(point, "").status, 200);
}

#[test]
fn a_process_that_dies_is_an_error_on_the_page() {
    let mut world = World::with(|desk| desk.tools.runner.program = "/bin/false".into());
    let point = world.backup(&[]);
    let page = world.lists(point, "");
    assert_eq!(page.status, 503);
    assert!(text(&page).contains("ended unexpectedly"), "{}", text(&page));
    let mut world = World::with(|desk| desk.tools.runner.program = "/does/not/exist".into());
    let point = world.backup(&[]);
    assert_eq!(world.lists(point, "").status, 503);
}
