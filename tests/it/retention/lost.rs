//! What no store has intact is sent again by any client, because no index that it is shown names it.
use super::world::{World, has_restic};
use diesel::prelude::*;
use domain::activity::Action;
use domain::object::{ObjectKind, ObjectName};
use domain::time::minutes;
use holdfast::blob::{self, BlobKey, BlobStore};
use holdfast::store::schema::copies;
use holdfast::{service, store};

/// Spoils every pack there is, as a disk may; gives what they were.
fn spoil_packs(world: &World) -> Vec<(BlobKey, Vec<u8>)> {
    let blobs: &dyn BlobStore = &*world.server.app.blobs;
    let packs = world.ledger().into_iter().filter(|it| it.kind == ObjectKind::Data);
    let mut spoilt = Vec::new();
    for it in packs {
        let key = BlobKey::new(it.repository_id, it.kind, it.name);
        let good = blob::read_all(blobs, &key, 64 << 20).unwrap();
        let mut bad = good.clone();
        bad[40] ^= 1;
        let mut upload = blobs.begin(&key).unwrap();
        upload.write(&bad).unwrap();
        upload.replace().unwrap().settle();
        let (lost, now) = (key.clone(), world.now());
        world.server.act(move |conn| service::backup::object_found_damaged(conn, &lost, "it rotted", now));
        spoilt.push((key, good));
    }
    spoilt
}

fn shown_indexes(world: &World) -> Vec<ObjectName> {
    let id = world.repository;
    let shown = world.server.read(move |conn| Ok(store::object::list(conn, id, ObjectKind::Index, None)?));
    shown.into_iter().map(|it| it.0).collect()
}

fn avoided(world: &World) -> usize {
    let device = world.device;
    let all = world.server.read(move |conn| Ok(store::activity::of_device(conn, device, 200)?));
    all.iter().filter(|it| it.action == Action::PacksAvoided).count()
}

#[test]
fn what_no_store_has_is_sent_again_by_restic_once_no_index_names_it() {
    if !has_restic() {
        return;
    }
    let world = World::new();
    std::fs::write(world.source.path().join("letters"), "dear all, ".repeat(9_000)).unwrap();
    std::fs::write(
        world.source.path().join("photo"),
        (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>(),
    )
    .unwrap();
    world.back_up();
    let before = shown_indexes(&world);
    let spoilt = spoil_packs(&world);
    assert!(!spoilt.is_empty());
    // As long as an index names them, a backup relies on what is rotten.
    world.back_up();
    assert!(world.points().pop().unwrap().failed_at.is_some(), "it sent nothing again");

    world.pruner.run_once().unwrap();

    let after = shown_indexes(&world);
    assert!(before.iter().all(|it| !after.contains(it)), "they are not shown");
    let kept = world.ledger();
    assert!(before.iter().all(|it| kept.iter().any(|row| row.name == *it)), "and not erased");
    world.ledger_is_true();
    assert_eq!(avoided(&world), 1);
    world.server.app.clock.advance(minutes(11));
    world.pruner.run_once().unwrap();
    assert_eq!(avoided(&world), 1, "once is enough");

    // Without it, restic says that its last snapshot is damaged: it sends everything as well, and ends with a warning.
    world.restic(&["backup", "--force", world.source.path().to_str().unwrap()]);
    world.prove();

    let healed = world.points().pop().unwrap();
    assert!(healed.verified_at.is_some() && healed.failed_at.is_none(), "{healed:?}");
    // Restic finds all of it. What is not on the device any more, such as an older top folder, stays lost.
    let (target, path) = (tempfile::tempdir().unwrap(), world.source.path());
    world.restic(&["restore", "latest", "--target", target.path().to_str().unwrap()]);
    let back = target.path().join(path.to_str().unwrap().trim_start_matches('/'));
    for name in ["letters", "photo"] {
        assert!(std::fs::read(back.join(name)).unwrap() == std::fs::read(path.join(name)).unwrap(), "{name}");
    }

    come_back(&world, spoilt);

    assert!(before.iter().all(|it| shown_indexes(&world).contains(it)));
    world.is_sound();
}

/// The rotten ones come back, as from a disk that was away: then what names them is shown again. One of them first: the
/// index that names it names the other one too, and is hidden on account of that.
fn come_back(world: &World, spoilt: Vec<(BlobKey, Vec<u8>)>) {
    let mut spoilt = spoilt.into_iter();
    let (first, good) = spoilt.next().unwrap();
    let back = first.name.clone();
    let heal = |key: BlobKey, good: Vec<u8>| {
        let mut upload = world.server.app.blobs.begin(&key).unwrap();
        upload.write(&good).unwrap();
        upload.replace().unwrap().settle();
        let now = world.now();
        world.server.act(move |conn| service::backup::object_healed(conn, &key, now));
    };
    heal(first, good);
    world.pruner.run_once().unwrap();
    let id = world.repository;
    let kept_from = world.server.read(move |conn| Ok(store::avoided_pack::avoided(conn, id)?));
    assert!(!kept_from.is_empty() && !kept_from.contains(&back), "only what is still lost: {kept_from:?}");
    assert_eq!(avoided(world), 2, "other indexes name what came back");
    for (key, good) in spoilt {
        heal(key, good);
    }
    world.pruner.run_once().unwrap();
    let damaged: Vec<(ObjectKind, ObjectName)> = world.server.read(move |conn| {
        let damaged = copies::table.filter(copies::repository_id.eq(id)).filter(copies::damaged_at.is_not_null());
        Ok(damaged.select((copies::kind, copies::name)).load(conn)?)
    });
    assert_eq!(damaged, []);
}
