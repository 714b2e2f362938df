//! A ransomware rehearsal: whoever has a device's own credentials does their worst, and the moment before comes back.
use super::World;
use super::world::serde_urlencoded;
use crate::proof::craft::name_of;
use crate::support::people::{SINCE, act_as, person};
use crate::support::server::Answer;
use crate::support::skip;
use crate::support::visit::{Visit, text};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::id::UserId;
use domain::object::{ObjectKind, ObjectName};
use domain::role::Role;
use domain::time::{Time, hours, minutes};
use holdfast::service::backup;
use holdfast::service::repository::ClientDraft;
use holdfast::store::object::Object;
use holdfast::{blob, job, service, store};
use secret::seal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use wire::RepositoryCredentials;

/// At the door with some token.
struct Client<'a> {
    world: &'a World,
    token: String,
    password: String,
    cache: tempfile::TempDir,
}

impl<'a> Client<'a> {
    fn of_device(world: &'a World) -> Self {
        let enrolled = world.device.enrolled.as_ref().unwrap();
        let context = wire::credentials_context(enrolled.device_id, enrolled.generation);
        let plain = seal::open(&world.device.sealing, &context, &enrolled.sealed_credentials).unwrap();
        let RepositoryCredentials { token, password } = serde_json::from_slice(&plain).unwrap();
        Self { world, token, password, cache: tempfile::tempdir().unwrap() }
    }

    /// A person's own, which reads as of a moment.
    fn as_of(world: &'a World, user: UserId, at: Time) -> Self {
        let id = world.device.id();
        let repository = world.server.read(|conn| Ok(store::repository::active_of_device(conn, id)?)).unwrap();
        let added = world.server.app.proof_keys.as_ref().unwrap().add_password(&repository).unwrap();
        let kept = backup::keep(&*world.server.app.blobs, repository.id, ObjectKind::Keys, &added.object).unwrap();
        let reads = Some((hours(24), "the device was attacked".to_owned()));
        let draft = ClientDraft { name: "recovery".to_owned(), reads, as_of: Some(at) };
        let now = world.server.app.clock.now();
        let made = act_as(&world.server, user, move |conn, by| {
            service::repository::make_client_token(conn, by, (kept.key.repository, Some(&kept)), &draft, now)
        });
        Self { world, token: made.unwrap().1, password: added.password, cache: tempfile::tempdir().unwrap() }
    }

    fn request(&self, method: &str, rest: &str, body: &[u8]) -> Answer {
        let id = self.world.craft.repository;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{}", self.token)));
        self.world.server.request(method, &format!("/restic/{id}/{rest}"), &[("Authorization", &basic)], body)
    }

    fn sends(&self, kind: &str, body: &[u8]) -> (ObjectName, u16) {
        let name = name_of(body);
        let status = self.request("POST", &format!("{kind}/{name}"), body).status;
        (name, status)
    }

    fn restic(&self, arguments: &[&str]) -> String {
        let (id, address) = (self.world.craft.repository, self.world.server.address);
        let output = Command::new("restic")
            .env("RESTIC_REPOSITORY", format!("rest:http://{id}:{}@{address}/restic/{id}/", self.token))
            .env("RESTIC_PASSWORD", &self.password)
            .env("RESTIC_CACHE_DIR", self.cache.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

fn make_tree(folder: &Path) {
    for number in 0..60_u32 {
        let below = folder.join(format!("folder {}", number % 5)).join("ünïcode");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join(format!("{number}.txt")), format!("content of {number} ").repeat(50)).unwrap();
    }
    let large: Vec<u8> = (0..1_000_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(folder.join("large.bin"), large).unwrap();
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut rest = vec![folder.to_owned()];
    while let Some(at) = rest.pop() {
        for entry in fs::read_dir(&at).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                rest.push(entry.path());
            } else {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                all.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    all
}

fn ledger(world: &World) -> Vec<Object> {
    let repository = world.craft.repository;
    world.server.read(move |conn| Ok(store::object::all(conn, repository, None)?))
}

/// Indexes that lead every good blob to fake packs or to packs that are not there, and much besides.
fn poison(world: &mut World, blobs: &[(String, String)]) {
    let mut fake = vec![0u8; 100_000];
    fake[7] = 1;
    let listed: Vec<_> = blobs
        .iter()
        .enumerate()
        .map(|(at, (kind, id))| json!({"id": id, "type": kind, "offset": at * 64, "length": 64, "uncompressed_length": 40}))
        .collect();
    let gone = ObjectName::from_hash(&[6; 32]);
    world.craft.index(&[json!({"id": name_of(&fake), "blobs": listed})]);
    world.craft.index(&[json!({"id": gone, "blobs": listed})]);
    let indexes: Vec<Vec<u8>> = std::mem::take(&mut world.craft.objects).into_values().map(|it| it.1).collect();
    let snapshots: Vec<Vec<u8>> = ["2001-01-01T00:00:00Z", "2026-11-22T14:00:00Z", "2099-01-01T00:00:00Z"]
        .map(|time| {
            let json = json!({"time": time, "tree": ObjectName::from_hash(&[5; 32]), "paths": ["/"], "hostname": "x"});
            world.craft.seal(json.to_string().as_bytes())
        })
        .to_vec();
    let evil = Client::of_device(world);
    assert_eq!(evil.sends("data", &fake).1, 200);
    for index in &indexes {
        assert_eq!(evil.sends("index", index).1, 200);
    }
    for snapshot in snapshots.iter().map(Vec::as_slice).chain([&b"no snapshot at all"[..]]) {
        assert_eq!(evil.sends("snapshots", snapshot).1, 200);
    }
    let locks: Vec<u16> = (0..200u32).map(|it| evil.sends("locks", &it.to_le_bytes()).1).collect();
    assert!(locks.iter().filter(|it| **it == 200).count() < 50, "a flood of locks is bounded");
    assert_eq!(evil.sends("keys", b"my own key").1, 403);
    for object in ledger(world).iter().filter(|it| it.kind != ObjectKind::Locks && it.kind != ObjectKind::Config) {
        assert_eq!(evil.request("DELETE", &format!("{}/{}", object.kind, object.name), b"").status, 403, "{object:?}");
        let other = evil.request("POST", &format!("{}/{}", object.kind, object.name), b"other bytes");
        assert_ne!(other.status, 200, "nothing is replaced: {object:?}");
    }
}

#[test]
fn what_a_devices_own_credentials_do_after_a_moment_takes_nothing_from_a_restore_as_of_before_it() {
    if !Command::new("restic").arg("version").output().is_ok_and(|it| it.status.success()) && skip("restic") {
        return;
    }
    let (source, mut world) = (tempfile::tempdir().unwrap(), World::new());
    make_tree(source.path());
    let path = source.path().to_str().unwrap().to_owned();
    let device = Client::of_device(&world);
    device.restic(&["backup", &path]);
    let listed = device.restic(&["list", "blobs"]);
    drop(device);
    let blobs: Vec<_> =
        listed.lines().filter_map(|it| it.split_once(' ')).map(|(kind, id)| (kind.to_owned(), id.to_owned())).collect();
    assert!(blobs.len() > 60, "{listed}");
    let owner = person(&world.server, "owner", &[Role::Owner], None, SINCE);
    tests_what_came(&world);
    assert_eq!(told(&world), Vec::<String>::new(), "all is well");
    let before = ledger(&world);
    world.server.app.clock.advance(hours(1));
    let moment = world.server.app.clock.now();
    world.server.app.clock.advance(minutes(1));

    poison(&mut world, &blobs);

    let after = ledger(&world);
    for good in before.iter().filter(|it| it.kind != ObjectKind::Locks) {
        assert!(after.contains(good), "{good:?}");
        let key = blob::BlobKey::new(good.repository_id, good.kind, good.name.clone());
        let hash = blob::sha256_of(&*world.server.app.blobs, &key).unwrap();
        assert!(good.kind == ObjectKind::Config || good.name.hash() == Some(hash), "{good:?}");
    }
    // People hear of it, and see it.
    tests_what_came(&world);
    assert!(told(&world).iter().any(|it| it.starts_with("Restore test failed")), "{:?}", told(&world));
    let id = world.device.id();
    let device_page = text(&Visit::of(&world.server, owner).get(&format!("/devices/{id}")));
    assert!(device_page.contains("What failed"), "{device_page}");
    let client = Client::as_of(&world, owner, moment);
    assert_eq!(client.restic(&["--no-lock", "snapshots"]).matches(&path).count(), 1, "forged ones do not exist");
    let target = tempfile::tempdir().unwrap();
    client.restic(&["--no-lock", "restore", "latest", "--target", target.path().to_str().unwrap()]);
    let restored = target.path().join(path.trim_start_matches('/'));
    assert!(files(&restored) == files(source.path()), "byte for byte, by a restic as of before");
    assert_eq!(client.sends("locks", b"a lock").1, 403, "it only reads");
    assert_eq!(client.request("GET", "locks/", b"").body, b"[]");

    let points =
        world.server.read(move |conn| Ok(store::restore_point::stored_until(conn, id, Some(moment), (0, 99))?));
    assert_eq!(points.len(), 1);
    assert!(points[0].failed_at.is_none() && points[0].verified_at.is_some(), "the good one is good: {:?}", points[0]);
    let all = world.server.read(move |conn| Ok(store::restore_point::count_stored_until(conn, id, None)?));
    assert_eq!(all, 5, "the forged ones are there, and lose nobody anything");
    let page = text(&world.visit().get(&format!("/devices/{id}/restore-points?as_of=2026-11-22T15:06")));
    assert!(page.contains("1 restore point</h2>"), "{page}");
    let got = world.takes(points[0].id, &path);
    assert_eq!(got.status, 200);
    assert!(untarred(&got.body) == files(source.path()), "byte for byte, through the console");
    let query = serde_urlencoded(&[("q", "large.bin"), ("as_of", "2026-11-22T15:06")]);
    let found = text(&world.visit().get(&format!("/devices/{id}/restore-points/search?{query}")));
    assert!(found.contains("1 path") && found.contains("Still there in the newest searched"), "{found}");
}

/// Restore tests of what came, and what looks at them afterwards.
fn tests_what_came(world: &World) {
    let app = &world.server.app;
    // A test waits a moment for a report that restic does not make.
    app.clock.advance(minutes(1));
    crate::agent::prover(&world.server).run_once(None).unwrap();
    crate::retention::pruner_on(&world.server, Arc::clone(&app.blobs)).run_once().unwrap();
    job::alert::run_once(&app.store, app.clock.now()).unwrap();
}

/// The subjects of the mails about it.
fn told(world: &World) -> Vec<String> {
    let mails = world.server.mails().into_iter().map(|it| it.subject);
    mails.filter(|it| it.starts_with("Restore test failed") || it.starts_with("Something unusual")).collect()
}

fn untarred(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    use std::io::Read;
    let mut archive = tar::Archive::new(bytes);
    let mut all = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type() == tar::EntryType::Regular {
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            all.insert(path.split_once('/').unwrap().1.to_owned(), content);
        }
    }
    all
}
