//! What people and programs read about the second copy of a device.
use crate::support::NOW;
use crate::support::people::colleague;
use crate::support::visit::{Visit, text};
use crate::wipe::World;
use domain::copy::{NOT_SET_UP, SecondStore};
use domain::failure_domain::StoreKind;
use domain::object::{ObjectKind, TokenKind};
use domain::role::Role;
use holdfast::blob::fs::FsBlobs;
use holdfast::service::copy::Replicator;
use holdfast::service::{self, backup};
use holdfast::store;
use std::sync::Arc;

fn pages(visit: &Visit<'_>, path: &str) -> (String, serde_json::Value) {
    (text(&visit.get(path)), visit.get(&format!("{path}.json")).json()["second_copy"].clone())
}

#[test]
fn the_recovery_point_of_the_copy_is_the_same_on_the_page_and_in_json() {
    let world = World::new();
    let server = &world.server;
    let visit = Visit::of(server, colleague(server, "owner", Role::Owner));
    let path = format!("/devices/{}", world.device.id());
    let (html, json) = pages(&visit, &path);
    assert!(html.contains(NOT_SET_UP), "{html}");
    assert_eq!((&json["standing"], &json["sentence"]), (&"not_set_up".into(), &NOT_SET_UP.into()));

    let second = SecondStore {
        kind: StoreKind::Folder,
        place: "/mnt/copy".to_owned(),
        location: "Genève".to_owned(),
        administration: "whoever administers nas".to_owned(),
        shares: Vec::new(),
        versions: None,
        opened_at: None,
    };
    service::copy::begin(server.store(), &second, false, NOW).unwrap();
    let (html, json) = pages(&visit, &path);
    assert!(html.contains("The second store (Genève) was not reached since the server started."), "{html}");
    assert_eq!((&json["standing"], &json["recovery_point"]), (&"unknown".into(), &serde_json::Value::Null));

    let folder = tempfile::tempdir().unwrap();
    let copy = Arc::new(FsBlobs::open(folder.path()).unwrap());
    let copies = Replicator::new(server.store().clone(), Arc::clone(&server.app.blobs), copy);
    super::world::runs(&copies, server.app.clock.now());
    let (id, now) = (world.device.id(), server.app.clock.now());
    let repository = server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap().id;
    let kept = backup::keep(&*server.app.blobs, repository, ObjectKind::Snapshots, b"snapshot").unwrap();
    let (key, size) = (kept.key.clone(), kept.size);
    server.act(move |conn| backup::received(conn, &key, size, TokenKind::Agent, now));
    kept.settle();
    let (html, json) = pages(&visit, &path);
    assert_eq!((&json["standing"], &json["waiting_objects"]), (&"missing".into(), &1.into()), "{json}");
    assert!(
        html.contains("The second store (Genève) has no complete backup of this device yet; 1 object waits"),
        "{html}"
    );

    super::world::runs(&copies, now);

    let (html, json) = pages(&visit, &path);
    assert_eq!((&json["standing"], &json["recovery_point"]), (&"complete".into(), &now.iso().into()), "{json}");
    assert!(
        html.contains("The second store (Genève) has everything, up to the backup of 22 Nov 2026 14:06 UTC."),
        "{html}"
    );
    let known = json["sentence"].as_str().unwrap();
    assert_eq!(known, format!("The second store (Genève) has everything, up to the backup of {}.", now.iso()));
}
