//! What a device reports about its backups.
use crate::support::NOW;
use crate::support::device::{SimDevice, manifest_of};
use crate::support::door::name;
use crate::support::server::{Answer, TestServer};
use diesel::prelude::*;
use domain::backup::LeftOut;
use domain::object::{ObjectKind, ObjectName, TokenKind};
use domain::time::{hours, minutes};
use holdfast::blob::BlobKey;
use holdfast::service::backup::{self, ONLY_REPORTED};
use holdfast::service::proof;
use holdfast::store;
use holdfast::store::repository::Repository;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::schema::repositories;
use wire::{BACKUPS, BackupReport, MANIFESTS, ManifestStored};

struct World {
    server: TestServer,
    device: SimDevice,
    manifest: ObjectName,
}

impl World {
    /// A device that has uploaded a manifest.
    fn new() -> Self {
        let server = TestServer::start();
        let device = SimDevice::join(&server);
        let stored = manifest_of(&device, vec![]);
        let answer: ManifestStored = device.post(&server, MANIFESTS, &stored).message();
        Self { server, device, manifest: answer.name }
    }

    fn reports(&self, snapshot: &[u8], excluded: &[&str]) -> Answer {
        let report = BackupReport {
            generation: 1,
            snapshot: name(snapshot),
            manifest: self.manifest.clone(),
            file_count: 3,
            size_bytes: 30,
            excluded: excluded.iter().map(|it| (*it).to_owned()).collect(),
            left_out: LeftOut::default(),
            away: vec![],
            started_at: NOW,
            finished_at: NOW,
        };
        self.server.app.clock.advance(minutes(1));
        self.device.send(&self.server, BACKUPS, &report)
    }

    fn receives(&self, snapshot: &[u8]) {
        let (repository, snapshot, now) = (self.repository(), name(snapshot), self.server.app.clock.now());
        self.server.act(move |conn| backup::snapshot_received(conn, &repository, &snapshot, TokenKind::Agent, now));
    }

    fn repository(&self) -> Repository {
        let id = self.device.id();
        self.server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap()
    }

    fn points(&self) -> Vec<RestorePoint> {
        let id = self.device.id();
        self.server.read(|conn| Ok(store::restore_point::of_device(conn, id, 100)?))
    }
}

#[test]
fn of_the_backups_that_never_come_the_ones_reported_first_are_forgotten() {
    let world = World::new();
    let before = world.repository().stored_bytes;
    let snapshots: Vec<_> = (0..14u8).map(|it| [it]).collect();
    assert_eq!(world.reports(&snapshots[0], &["/home/grace/of the one that came"]).status, 200);
    world.receives(&snapshots[0]);
    let came = world.repository().stored_bytes;
    assert!(came > before);

    for snapshot in &snapshots[1..] {
        assert_eq!(world.reports(snapshot, &["/home/grace/b"]).status, 200);
    }

    let names: Vec<_> = world.points().into_iter().map(|it| it.snapshot_name).collect();
    let kept = snapshots[4..].iter().rev().chain([&snapshots[0]]).map(|it| name(it));
    assert_eq!(names, kept.collect::<Vec<_>>());
    let each = i64::try_from(r#"["/home/grace/b"]"#.len()).unwrap();
    assert_eq!(world.repository().stored_bytes, came + ONLY_REPORTED * each, "what has gone counts no more");
}

#[test]
fn names_of_excluded_files_need_room_as_all_that_is_kept() {
    let world = World::new();
    let used = world.repository().stored_bytes;
    let set_room = |bytes: i64| {
        let quota = repositories::quota_bytes.eq(used + bytes);
        world.server.act(move |conn| Ok(diesel::update(repositories::table).set(quota).execute(conn)?));
    };
    let taken = i64::try_from(r#"["/home/grace/a"]"#.len()).unwrap();

    set_room(taken - 1);
    let answer = world.reports(b"one", &["/home/grace/a"]);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some("refused")), "not one to try again");
    assert_eq!((world.points().len(), world.repository().stored_bytes), (0, used));
    assert_eq!(world.reports(b"two", &[]).status, 200, "no name needs no room");

    set_room(taken);
    assert_eq!(world.reports(b"one", &["/home/grace/a"]).status, 200);
    assert_eq!(world.repository().stored_bytes, used + taken);
    assert_eq!(world.reports(b"one", &["/home/grace/a"]).status, 200);
    assert_eq!(world.repository().stored_bytes, used + taken, "the same report again counts once");
}

#[test]
fn damage_has_a_backup_tested_that_came_and_not_one_that_was_only_reported() {
    let world = World::new();
    assert_eq!(world.reports(b"came", &[]).status, 200);
    world.receives(b"came");
    assert_eq!(world.reports(b"never", &[]).status, 200);
    let (repository, now) = (world.repository().id, world.server.app.clock.now());

    world.server.act(move |conn| proof::test_newest(conn, repository, now));

    let waits = |point: &RestorePoint| {
        world.server.read(|conn| Ok(store::restore_test::find_queued(conn, point.id)?.is_some()))
    };
    let points = world.points();
    assert_eq!(points.iter().map(waits).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn what_came_last_is_the_newest_where_times_are_equal_or_lie_ahead() {
    let world = World::new();
    let (clock, id, repository) = (&world.server.app.clock, world.device.id(), world.repository().id);
    let ahead = NOW + hours(2);
    clock.set(ahead);
    let pack = BlobKey::new(repository, ObjectKind::Data, name(b"pack"));
    world.server.act(move |conn| backup::received(conn, &pack, 4, TokenKind::Agent, ahead).map(drop));
    world.receives(b"ahead");
    world.reports(b"reported", &[]);

    for snapshot in [&b"back"[..], b"in the same moment", b"reported"] {
        clock.set(NOW);
        world.receives(snapshot);

        let (newest, stored, baseline) = world.server.read(|conn| {
            let newest = store::restore_point::of_device(conn, id, 1)?.remove(0);
            let stored = store::restore_point::newest_stored(conn, repository)?.unwrap();
            Ok((newest, stored, store::evidence::baseline(conn, id)?.unwrap()))
        });
        for (it, by) in [(newest, "all"), (stored, "what is stored"), (baseline, "what a device counts from")] {
            assert_eq!((it.snapshot_name, it.received_at), (name(snapshot), NOW), "{by}");
            assert!(it.as_of >= ahead, "it may need all that came before it: {by}");
        }
    }
}
