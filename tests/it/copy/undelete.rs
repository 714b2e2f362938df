//! A bucket that somebody emptied with the server's own key, and everything back from its older versions.
use super::world::{World, backs_up, content, put};
use crate::support::s3::{self, Kind};
use domain::object::{Location, ObjectKind};
use holdfast::blob::bucket::{Bucket, Undeleted};
use holdfast::blob::home::{Identity, Opening};
use holdfast::blob::{BlobKey, StoreFault};
use std::sync::Arc;

fn identity() -> Identity {
    Identity { server: "s".to_owned(), database: "d".to_owned(), copy: Some("c".to_owned()) }
}

fn world() -> Option<(World, Bucket)> {
    let access = s3::bucket(Kind::Locked)?;
    let bucket = s3::open(&access);
    let blobs = bucket.open(&identity(), Opening::New).unwrap();
    Some((World::with(Arc::new(blobs)), bucket))
}

/// Deletes everything, as far as the bucket lets anybody.
fn delete_all(bucket: &Bucket) -> usize {
    let mut keys = Vec::new();
    let listed = bucket.histories(&mut |it| {
        keys.push(it.key().to_owned());
        Ok::<_, StoreFault>(())
    });
    listed.unwrap();
    for key in &keys {
        bucket.send("DELETE", key, &[], "").unwrap();
    }
    keys.len()
}

fn undelete(bucket: &Bucket, is_trial: bool) -> Undeleted {
    bucket.undelete(is_trial, &|_| {}).unwrap()
}

#[test]
fn d10_what_was_deleted_and_overwritten_comes_back_and_a_look_changes_nothing() {
    let Some((world, bucket)) = world() else { return };
    let repository = world.door.repository();
    world.puts_config(repository.id);
    let backup = backs_up(&world, &repository, "backup");
    world.runs();
    let before = content(&*world.copy, repository.id);
    // One was rotten, and was replaced by right bytes: the newest is the right one.
    world.spoils(Location::Copy, &backup[2], b"rot");
    world.spoils(Location::Copy, &backup[2], b"backup index");
    for bytes in [&b"ransom"[..], b"another ransom"] {
        world.spoils(Location::Copy, &backup[0], bytes);
    }
    let config = BlobKey::new(repository.id, ObjectKind::Config, domain::object::ObjectName::config());
    world.spoils(Location::Copy, &config, b"another repository");
    // Something of nobody's, which is nobody's business here.
    let looked = undelete(&bucket, true);
    assert_eq!((looked.keys, looked.hidden, looked.overwritten, looked.mended), (7, 0, 2, 0), "{looked:?}");

    assert_eq!(delete_all(&bucket), 7);
    delete_all(&bucket);
    assert!(world.copy.list(repository.id).is_err(), "not even its marker is there");
    let looked = undelete(&bucket, true);
    assert_eq!((looked.hidden, looked.hopeless, looked.mended), (7, 0, 0), "{looked:?}");
    assert!(world.copy.list(repository.id).is_err(), "a look changes nothing");

    let done = undelete(&bucket, false);

    assert!(done.is_whole() && done.mended == 7, "{done:?}");
    assert_eq!(content(&*world.copy, repository.id), before);
    assert!(world.copy.check().is_ok(), "the marker is the server’s");
    let again = undelete(&bucket, false);
    assert_eq!((again.hidden, again.overwritten, again.mended), (0, 0, 0), "{again:?}");
}

#[test]
fn what_never_had_the_right_bytes_is_named_and_stops_nothing() {
    let Some((world, bucket)) = world() else { return };
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    put(&*world.copy, &backup[0], b"wrong from the first");
    world.spoils(Location::Copy, &backup[0], b"and wrong again");
    put(&*world.copy, &backup[1], b"backup pack two");
    delete_all(&bucket);

    let done = undelete(&bucket, false);

    assert_eq!((done.hopeless, done.mended, done.is_whole()), (1, 2, false), "{done:?}");
    assert!(done.named[0].contains(backup[0].name.as_str()), "{done:?}");
    assert_eq!(world.copy.read(&backup[1], 0, 99).unwrap(), b"backup pack two");
}

#[test]
fn more_versions_than_a_page_has_are_all_seen() {
    let Some((world, bucket)) = world() else { return };
    let repository = world.door.repository();
    let all: Vec<BlobKey> = (0..700)
        .map(|at| BlobKey::new(repository.id, ObjectKind::Data, crate::support::door::name(format!("{at}").as_bytes())))
        .collect();
    std::thread::scope(|scope| {
        for some in all.chunks(100) {
            let copy = Arc::clone(&world.copy);
            scope.spawn(move || some.iter().for_each(|it| put(&*copy, it, b"whatever")));
        }
    });

    // A version and a marker of each are more than one page.
    assert_eq!(delete_all(&bucket), 701);

    let looked = undelete(&bucket, true);
    assert_eq!((looked.keys, looked.hidden, looked.hopeless), (701, 701, 0), "{looked:?}");
}
