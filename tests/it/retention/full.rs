//! A disk without a byte left is emptied through the server alone.
use super::world::{World, has_restic};
use crate::support::disk::Mount;
use crate::support::server::TestServer;
use domain::ground::StopCause;
use domain::retention::PruneState;
use domain::time::{days, hours};
use holdfast::blob::BlobStore;
use holdfast::blob::fs::FsBlobs;
use holdfast::config::Options;
use holdfast::store;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A disk of 96 MiB, if one may be mounted.
fn small_disk(home: &Path) -> Option<Mount> {
    let disk = try_small_disk(home);
    if disk.is_none() {
        // Not `skip`: under CI, too, the kernel or the account may not allow a mount.
        let _ = std::io::stderr().write_all(b"skipped: a small file system cannot be mounted here\n");
    }
    disk
}

fn try_small_disk(home: &Path) -> Option<Mount> {
    let image = home.join("image");
    File::create(&image).unwrap().set_len(96 << 20).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-J", "size=4"]).arg(&image).output();
    if !made.is_ok_and(|it| it.status.success()) {
        return None;
    }
    Mount::new(&image, &home.join("disk")).ok()
}

/// Takes every byte that is left.
fn fill(path: &Path) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

fn stop(world: &World) -> Option<StopCause> {
    world.server.app.watch.look(world.now()).unwrap();
    world.server.read(|conn| Ok(store::ground::find(conn)?)).stopped.map(|it| it.cause)
}

#[test]
fn a_disk_without_a_byte_left_is_freed_by_a_rule_and_then_takes_uploads_again() {
    if !has_restic() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(home.path()) else { return };
    let blobs = disk.folder.join("blobs");
    let world = World::on(TestServer::with(Options { blobs: Some(blobs.clone()), ..Options::default() }));
    world.back_up_six_times(20_000_000, 8_000_000);
    fill(&disk.folder.join("of somebody else"));

    // However small, nothing of a device comes: what is kept back is not for that.
    for len in [10_000_000, 10] {
        assert_eq!(world.send("data", &vec![1; len]), 507);
    }
    assert_eq!(stop(&world), Some(StopCause::Full));
    std::fs::write(disk.folder.join("log of a database"), vec![1; 1 << 20]).unwrap();
    world.keep_least();
    world.pass(hours(25));
    assert!(world.pruner.prune(world.repository).unwrap());
    assert_eq!((world.points().len(), world.send("data", b"small")), (3, 507), "the trash takes up as much");

    world.pass(days(14));
    for _ in 0..3 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, PruneState::Erased);
    assert_eq!(stop(&world), None);
    assert_eq!(world.send("data", b"small"), 200);
    assert!(std::fs::metadata(blobs.join("holdfast/reserve")).unwrap().len() > 0, "it is kept back again");
    world.is_sound();
}

#[test]
fn a_start_on_a_disk_that_is_still_full_keeps_what_is_left_for_making_room() {
    let home = tempfile::tempdir().unwrap();
    let Some(disk) = small_disk(home.path()) else { return };
    let open = || {
        let blobs = FsBlobs::open(&disk.folder.join("blobs")).unwrap();
        blobs.keep_reserve().unwrap();
        blobs
    };
    let reserve = disk.folder.join("blobs/holdfast/reserve");
    std::fs::create_dir_all(reserve.parent().unwrap()).unwrap();
    let filler = disk.folder.join("filler");
    let blobs = open();
    fill(&filler);
    assert!(matches!(blobs.check_writes(), Some((StopCause::Full, _))));
    drop(blobs);
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 0);

    let blobs = open();
    assert!(matches!(blobs.check_writes(), Some((StopCause::Full, _))), "after a start too");

    std::fs::remove_file(filler).unwrap();
    assert_eq!(blobs.check_writes(), None);
    assert!(std::fs::metadata(&reserve).unwrap().len() > 0);
}
