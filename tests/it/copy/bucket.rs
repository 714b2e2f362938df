//! The second store as a bucket of a real S3 server.
use super::world::{World, backs_up, content, put, runs};
use crate::restic_client::{enrolled, has_restic};
use crate::support::door::TestDoor;
use crate::support::s3::{self, Kind};
use crate::support::{NOW, TestDatabase};
use clock::Clock;
use domain::copy::CopyStanding;
use domain::failure_domain::SeenFolder;
use domain::ground::AwayCause;
use domain::object::{Location, ObjectKind};
use holdfast::app::App;
use holdfast::blob::bucket::Access;
use holdfast::blob::home::{Identity, Opening};
use holdfast::blob::system::{System, ThisMachine};
use holdfast::blob::{BlobKey, ReadFault, WriteFault};
use holdfast::config::{Config, Hidden, Options};
use holdfast::service;
use holdfast::store::setting::{COPY, COPY_AWAY};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use ureq::http::Method;

fn identity() -> Identity {
    Identity { server: "s".to_owned(), database: "d".to_owned(), copy: Some("c".to_owned()) }
}

/// A door with a bucket as its second store; none without a server.
fn world(kind: Kind) -> Option<(World, Access)> {
    let access = s3::bucket(kind)?;
    let blobs = s3::open(&access).open(&identity(), Opening::New).unwrap();
    Some((World::with(Arc::new(blobs)), access))
}

#[test]
fn a_backup_is_copied_to_a_real_bucket_and_is_there_byte_for_byte() {
    let Some((world, _)) = world(Kind::Plain) else { return };
    let repository = world.door.repository();
    world.puts_config(repository.id);
    let large = world.puts(repository.id, ObjectKind::Data, &vec![7; 5 << 20]);
    let backup = backs_up(&world, &repository, "backup");

    assert_eq!(world.runs().copied, 7);

    assert_eq!(content(&*world.copy, repository.id), content(&*world.door.blobs, repository.id));
    assert_eq!(world.copy.read(&large, (5 << 20) - 2, 100).unwrap(), [7, 7]);
    assert_eq!(world.copy.read(&large, 5 << 20, 100).unwrap(), Vec::<u8>::new());
    assert_eq!(world.facts(repository.device).standing(), CopyStanding::Complete);
    let missing = BlobKey::new(repository.id, ObjectKind::Index, backup[0].name.clone());
    assert_eq!((world.copy.size(&missing), world.copy.read(&missing, 0, 1)), (Ok(None), Err(ReadFault::Lost)));
    assert!(world.copy.remove(&large).is_err(), "nothing is ever removed there");
}

#[test]
fn a_real_bucket_is_never_overwritten_but_by_a_repair() {
    let Some((world, _)) = world(Kind::Plain) else { return };
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    put(&*world.copy, &backup[0], b"backup pack one");
    put(&*world.copy, &backup[1], b"something else");
    let mut upload = world.copy.begin(&backup[0]).unwrap();
    upload.write(b"backup pack one").unwrap();
    assert_eq!(upload.commit().map(drop), Err(WriteFault::Taken));

    assert_eq!(world.runs().copied, 5);
    assert!(backup.iter().all(|it| world.is_sound(Location::Copy, it)));
    assert_eq!(world.entries().len(), 1, "what was wrong was replaced, and that is recorded");

    world.spoils(Location::Primary, &backup[2], b"rot");
    world.finds_damage(Location::Primary, &backup[2]);
    world.spoils(Location::Copy, &backup[3], b"rot");
    world.finds_damage(Location::Copy, &backup[3]);
    let run = world.runs();
    assert_eq!((run.repaired, run.copied), (1, 1));
    assert!(Location::ALL.iter().all(|at| backup.iter().all(|it| world.is_sound(*at, it))));
}

#[test]
fn what_a_locked_bucket_keeps_cannot_be_taken_away_with_the_servers_own_key() {
    let Some((world, access)) = world(Kind::Locked) else { return };
    let repository = world.door.repository();
    let backup = backs_up(&world, &repository, "backup");
    world.runs();
    let bucket = s3::open(&access);
    assert_eq!(bucket.keeps_versions(), Ok(true));
    let path = format!("{}/{}/data/{}/{}", access.prefix, repository.id, &backup[0].name.as_str()[..2], backup[0].name);
    let version = s3::version(&access, &path);

    // Whoever has stolen the key overwrites it, and tries to delete what was there.
    world.spoils(Location::Copy, &backup[0], b"ransom");
    let deleted = s3::send(&access, Method::DELETE, &path, &s3::with("versionId", &version), b"");

    assert_eq!(deleted, 403);
    let kept = s3::send(&access, Method::GET, &path, &s3::with("versionId", &version), b"");
    assert_eq!(kept, 200, "it can still be read");
    world.finds_damage(Location::Copy, &backup[0]);
    assert_eq!(world.runs().copied, 1);
    assert!(world.is_sound(Location::Copy, &backup[0]));
}

#[test]
fn a_bucket_that_keeps_no_versions_is_known_for_it() {
    let Some(access) = s3::bucket(Kind::Plain) else { return };
    let bucket = s3::open(&access);
    bucket.open(&identity(), Opening::New).unwrap();
    assert_eq!(bucket.keeps_versions(), Ok(false));
}

#[test]
fn a_key_that_is_not_let_in_and_a_bucket_that_is_not_there_are_away() {
    let Some(access) = s3::bucket(Kind::Plain) else { return };
    let wrong = Access { secret_key: "wrong".to_owned(), ..access.clone() };
    let fault = s3::open(&wrong).open(&identity(), Opening::New).unwrap_err();
    assert_eq!(fault.cause, AwayCause::Unreadable, "{fault}");
    let gone = Access { bucket: "no-such-bucket".to_owned(), ..access };
    let fault = s3::open(&gone).open(&identity(), Opening::Known).unwrap_err();
    assert!(matches!(fault.cause, AwayCause::Away | AwayCause::Unreadable), "{fault}");
}

#[test]
fn restic_opens_the_copy_in_the_bucket_without_this_server() {
    let Some((world, access)) = world(Kind::Plain) else { return };
    if !has_restic() {
        return;
    }
    let (repository, password) = enrolled(&world.door);
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("canary"), b"alive").unwrap();
    let restic = |url: String, words: &[&str]| {
        let done = Command::new("restic")
            .args(["--no-cache", "-r", &url])
            .args(words)
            .env("RESTIC_PASSWORD", &password)
            .env("AWS_ACCESS_KEY_ID", &access.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &access.secret_key)
            .output()
            .unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let (id, token, address) = (repository.id, &repository.token, repository.address);
    let door = format!("rest:http://{id}:{token}@{address}/restic/{id}/");
    restic(door, &["backup", source.path().to_str().unwrap()]);
    runs(&world.replicator(), NOW);
    let copy = || format!("s3:{}/{}/{}/{}", access.endpoint, access.bucket, access.prefix, repository.id);

    assert!(restic(copy(), &["--no-lock", "check", "--read-data"]).contains("no errors were found"));
    let canary = source.path().join("canary");
    assert_eq!(restic(copy(), &["--no-lock", "dump", "latest", canary.to_str().unwrap()]), "alive");
}

/// A system that takes the bucket's machine for another one.
struct FarAway;

impl System for FarAway {
    fn folder(&self, path: &Path) -> std::io::Result<SeenFolder> {
        ThisMachine.folder(path)
    }
    fn hosts(&self, _: &str) -> BTreeSet<String> {
        BTreeSet::from(["far-away".to_owned()])
    }
}

#[test]
fn a_server_copies_to_the_bucket_of_its_settings() {
    let Some(access) = s3::bucket(Kind::Plain) else { return };
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
    let options = Options {
        data: Some(folder.path().join("data")),
        database: Some(database.url()),
        location: Some("Zürich".to_owned()),
        copy: Some(format!("s3://{}/{}", access.bucket, access.prefix)),
        copy_location: Some("Genève".to_owned()),
        copy_endpoint: Some(access.endpoint.clone()),
        copy_access_key: Some(access.access_key.clone()),
        copy_secret_key: Some(Hidden(access.secret_key.clone())),
        ..Options::default()
    };
    let opens = || App::open_on(Config::new(options.clone()).unwrap(), Clock::fixed(NOW), Arc::new(FarAway)).unwrap();
    drop(opens());
    let door = TestDoor::on(&database, &folder.path().join("data/blobs"));
    let repository = door.repository();
    for (kind, bytes) in [("data", &b"pack"[..]), ("index", b"index"), ("snapshots", b"snapshot")] {
        assert_eq!(repository.put(kind, bytes).status, 200);
    }

    let app = opens();
    let run = runs(app.copy.as_ref().unwrap(), NOW);

    assert_eq!((run.copied, run.failed), (3, false));
    let second = app.store.read_blocking(|conn| COPY.find(conn)).unwrap().unwrap();
    assert!(second.counts() && second.opened_at == Some(NOW), "{second:?}");
    assert_eq!(second.versions, Some(false));
    assert_eq!(app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap(), None);
    let device = repository.device;
    let now = app.clock.now();
    let facts = app.store.read_blocking(move |conn| service::copy::of_device(conn, device, now)).unwrap();
    assert_eq!(facts.standing(), CopyStanding::Complete);
    let there: Vec<BlobKey> =
        app.copy.as_ref().unwrap().copy().list(repository.id).unwrap().into_iter().map(|it| it.0).collect();
    assert_eq!(there.len(), 3);
}
