//! The backup door, byte by byte.
use crate::support::door::{TestDoor, TestRepository, name};
use crate::support::people::{SINCE, insert_person};
use crate::support::server::boss;
use crate::support::{NOW, http, unreadable};
use diesel::prelude::*;
use domain::activity::Action;
use domain::ground::StopCause;
use domain::id::{CommandId, RepositoryId, RestoreId};
use domain::object::{Location, ObjectKind, TokenKind};
use domain::proof::TestCause;
use domain::role::Role;
use domain::time::{Time, days, hours, minutes};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, Stored, Upload, WriteFault, piece};
use holdfast::store::schema::{activity, repositories, restore_tests, restores};
use holdfast::{service, store};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn path_of(door: &TestDoor, repository: &TestRepository, bytes: &[u8]) -> PathBuf {
    let name = name(bytes);
    door.folder.join(repository.id.as_str()).join("data").join(&name.as_str()[..2]).join(name.as_str())
}

fn data_key(repository: &TestRepository, bytes: &[u8]) -> BlobKey {
    BlobKey::new(repository.id, ObjectKind::Data, name(bytes))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Looks until it is true: an upload begins, and its mark goes, a moment before or after anybody is told.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

fn row(door: &TestDoor, key: &BlobKey) -> Option<store::object::Object> {
    let key = key.clone();
    door.read(move |conn| store::object::find(conn, key.repository, key.kind, &key.name))
}

fn copy(door: &TestDoor, key: &BlobKey) -> store::copy::StoredCopy {
    let key = key.clone();
    door.read(move |conn| store::copy::find(conn, Location::Primary, key.repository, key.kind, &key.name)).unwrap()
}

fn actions(door: &TestDoor) -> Vec<Action> {
    door.read(|conn| activity::table.order(activity::seq).select(activity::action).load(conn))
}

fn causes(door: &TestDoor) -> Vec<TestCause> {
    door.read(|conn| restore_tests::table.order(restore_tests::id).select(restore_tests::cause).load(conn))
}

#[test]
fn without_the_right_token_nothing_is_told() {
    let door = TestDoor::start();
    let repository = door.repository();
    let wrong = door.with_token(&repository, "hf_repo_wrong");

    for rest in ["", "config", "keys/", "data/x", "../../etc/passwd"] {
        for method in ["GET", "HEAD", "POST", "DELETE", "PUT"] {
            assert_eq!(wrong.send(method, rest, "").status, 401, "{method} {rest}");
        }
    }
    let bare = format!("GET /restic/{}/config HTTP/1.1\r\nHost: test\r\n", repository.id);
    let answer = http::exchange(door.address, &bare, b"");
    assert_eq!(answer.status, 401);
    assert!(answer.header("WWW-Authenticate").starts_with("Basic"));
    for broken in ["Basic", "Basic ???", "Bearer abc", "Basic Og==", "Basic eDp5"] {
        let answer = http::exchange(door.address, &format!("{bare}Authorization: {broken}\r\n"), b"");
        assert_eq!(answer.status, 401, "{broken}");
    }
}

#[test]
fn a_token_opens_one_repository() {
    let door = TestDoor::start();
    let (mine, other) = (door.repository(), door.repository());
    other.put("data", b"secret");

    let head = mine.head("GET", "keys/", "").replace(&format!("/restic/{}", mine.id), &format!("/restic/{}", other.id));
    assert_eq!(http::exchange(door.address, &head, b"").status, 403);
    let unknown = mine
        .head("GET", "keys/", "")
        .replace(&format!("/restic/{}", mine.id), &format!("/restic/{}", RepositoryId::generate(NOW)));
    assert_eq!(http::exchange(door.address, &unknown, b"").status, 403);
    let as_other = TestRepository { id: other.id, ..mine.clone() };
    assert_eq!(as_other.get("keys/").status, 401);
    assert_eq!(mine.get(&format!("data/{}", name(b"secret"))).status, 404);
}

#[test]
fn a_revoked_token_opens_nothing() {
    let door = TestDoor::start();
    let repository = door.repository();
    assert_eq!(repository.get("keys/").status, 200);

    let id = repository.token_id;
    door.write(move |conn| service::repository::revoke_token(conn, &boss(), id, NOW).map(drop));

    assert_eq!(repository.get("keys/").status, 401);
    assert_eq!(actions(&door), [Action::RepositoryTokenRevoked]);
}

#[test]
fn an_object_that_was_posted_is_listed_and_read() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let object = format!("data/{}", name(&bytes));

    assert_eq!(repository.put("data", &bytes).status, 200);

    let head = repository.send("HEAD", &object, "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "4000000", 0));
    let all = repository.get(&object);
    assert_eq!(all.status, 200);
    assert!(all.body == bytes);
    let part = repository.send("GET", &object, "Range: bytes=300000-2999999\r\n");
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 300000-2999999/4000000"));
    assert!(part.body == bytes[300_000..3_000_000]);
    assert_eq!(repository.send("GET", &object, "Range: bytes=3999999-\r\n").body, bytes[3_999_999..]);
    let past = repository.send("GET", &object, "Range: bytes=4000000-\r\n");
    assert_eq!((past.status, past.header("content-range")), (416, "bytes */4000000"));
    let v1 = repository.get("data/");
    assert_eq!((v1.status, v1.header("content-type")), (200, "application/vnd.x.restic.rest.v1"));
    assert_eq!(v1.text(), format!("[\"{}\"]", name(&bytes)));
    let v2 = repository.send("GET", "data/", "Accept: application/vnd.x.restic.rest.v2\r\n");
    assert_eq!(v2.header("content-type"), "application/vnd.x.restic.rest.v2");
    assert_eq!(v2.text(), format!("[{{\"name\":\"{}\",\"size\":4000000}}]", name(&bytes)));
    assert_eq!(repository.get("snapshots/").text(), "[]");
}

#[test]
fn a_post_may_be_repeated() {
    let door = TestDoor::start();
    let repository = door.repository();
    assert_eq!(repository.put("data", b"pack").status, 200);
    door.clock.advance(hours(1));

    assert_eq!(repository.put("data", b"pack").status, 200);

    let id = repository.id;
    let after = door.read(move |conn| store::repository::find(conn, id)).unwrap();
    assert_eq!((after.object_count, after.stored_bytes), (1, 4));
    assert_eq!(row(&door, &data_key(&repository, b"pack")).unwrap().received_at, NOW);
    assert_eq!(repository.post("?create=true", b"").status, 200);
    assert_eq!(repository.post("", b"").status, 400);
}

#[test]
fn a_body_that_is_not_its_name_leaves_nothing() {
    let door = TestDoor::start();
    let repository = door.repository();
    let object = format!("data/{}", name(b"right"));

    let answer = repository.post(&object, b"wrong");

    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("SHA-256"), "{}", answer.text());
    assert_eq!(repository.get(&object).status, 404);
    assert_eq!(repository.get("data/").text(), "[]");
    assert!(files_below(&door.folder).is_empty());
    assert_eq!(repository.post(&object, b"right").status, 200);
    assert_eq!(repository.post(&object, b"wrong").status, 400, "what is there is not overwritten");
    assert_eq!(repository.get(&object).body, b"right");
}

#[test]
fn a_body_that_breaks_off_leaves_nothing_and_may_be_sent_again() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes = vec![7; 600_000];
    let object = format!("data/{}", name(&bytes));
    let mut stream = http::connect(door.address);
    stream.write_all(repository.head("POST", &object, "Content-Length: 600000\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&bytes[..500_000]).unwrap();
    drop(stream);

    wait_until("the second try is taken", || repository.put("data", &bytes).status == 200);
    wait_until("nothing is left in tmp", || files_below(&door.folder.join("tmp")).is_empty());
    assert!(repository.get(&object).body == bytes);
}

#[test]
fn a_device_adds_no_key_and_no_config_and_removes_nothing_but_locks() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"pack");
    repository.put("locks", b"lock");

    assert_eq!(repository.put("keys", b"my own key").status, 403);
    assert_eq!(repository.post("config", b"my own config").status, 403);
    for rest in ["config".to_owned(), String::new(), format!("data/{}", name(b"pack")), format!("keys/{}", name(b"k"))]
    {
        assert_eq!(repository.send("DELETE", &rest, "").status, 403, "{rest}");
    }
    let lock = format!("locks/{}", name(b"lock"));
    assert_eq!(repository.get(&lock).body, b"lock");
    assert_eq!(repository.send("DELETE", &lock, "").status, 200);
    assert_eq!(repository.send("DELETE", &lock, "").status, 200, "also when it is gone");
    assert_eq!(repository.get(&lock).status, 404);
    assert_eq!(repository.get("locks/").text(), "[]");
    assert_eq!(files_below(&door.folder.join(repository.id.as_str())), [path_of(&door, &repository, b"pack")]);
}

#[test]
fn other_methods_are_405_and_other_names_404() {
    let door = TestDoor::start();
    let repository = door.repository();
    let object = format!("data/{}", name(b"x"));

    for (method, rest, allowed) in [
        ("PUT", object.as_str(), "GET, HEAD, POST, DELETE"),
        ("PATCH", "config", "GET, HEAD, POST, DELETE"),
        ("DELETE", "keys/", "GET"),
        ("POST", "keys/", "GET"),
        ("GET", "", "POST"),
    ] {
        let answer = repository.send(method, rest, "Content-Length: 0\r\n");
        assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {rest}");
    }
    for rest in ["data", "manifests/", "tmp/", "data/abc", "x/", "config/", "keys/..", "keys/%2e%2e"] {
        assert_eq!(repository.get(rest).status, 404, "{rest}");
    }
    for rest in [format!("manifests/{}", name(b"m")), format!("tmp/{}", name(b"m"))] {
        assert_eq!(repository.post(&rest, b"m").status, 404, "{rest}");
    }
}

#[test]
fn hostile_paths_never_write_and_never_read() {
    let door = TestDoor::start();
    let repository = door.repository();
    let object = name(b"body");
    std::fs::write(door.folder.join("bait"), b"bait").unwrap();
    let mut spellings = Vec::new();
    for up in ["..", "%2e%2e", "..%2f", "%2e%2e%2f", "..%5c", ".%2e", "%252e%252e", "..;", "%c0%ae%c0%ae", "..%00"] {
        for base in ["", "data/", "locks/", "keys/"] {
            spellings.push(format!("{base}{up}/bait"));
            spellings.push(format!("{base}{up}/{up}/bait"));
            spellings.push(format!("{base}{up}/data/{object}"));
            spellings.push(format!("{base}{up}{object}"));
        }
    }
    for odd in ["data//", "data/./", "/data/", "data/ab/", "DATA/", "data\\"] {
        spellings.push(format!("{odd}{object}"));
    }
    for rest in spellings {
        for (method, body) in [("GET", &b""[..]), ("HEAD", b""), ("DELETE", b""), ("POST", b"body")] {
            let head = repository.head(method, &rest, &format!("Content-Length: {}\r\n", body.len()));
            let status = http::exchange(door.address, &head, body).status;
            assert!((400..500).contains(&status), "{method} {rest}: {status}");
        }
    }
    assert_eq!(files_below(&door.folder), [door.folder.join("bait")]);
}

#[test]
fn too_large_is_refused_before_the_body() {
    let door = TestDoor::start();
    let repository = door.repository();
    for (kind, most) in [("data", 132_u64 << 20), ("index", 64 << 20), ("snapshots", 1 << 20), ("locks", 1 << 20)] {
        let rest = format!("{kind}/{}", name(b"x"));
        let head = repository.head("POST", &rest, &format!("Content-Length: {}\r\n", most + 1));
        assert_eq!(http::exchange(door.address, &head, b"").status, 413, "{kind}");
    }
}

#[test]
fn a_body_in_chunks_is_taken_within_the_same_limits() {
    let door = TestDoor::start();
    let repository = door.repository_with_quota(4 << 20);
    let send = |kind: &str, bytes: &[u8], end: &[u8]| {
        let head = repository.head("POST", &format!("{kind}/{}", name(bytes)), "Transfer-Encoding: chunked\r\n");
        let mut body = Vec::new();
        for chunk in bytes.chunks(100_000) {
            body.extend(format!("{:x}\r\n", chunk.len()).bytes());
            body.extend(chunk);
            body.extend(b"\r\n");
        }
        body.extend(end);
        let mut stream = http::connect(door.address);
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(&body);
        stream
    };
    let post = |kind: &str, bytes: &[u8]| http::finish(send(kind, bytes, b"0\r\n\r\n")).status;
    let (fits, large) = (vec![1; 3 << 20], vec![2; (1 << 20) + 1]);

    assert_eq!(post("locks", &large), 413, "over the limit of its kind");
    drop(send("data", &fits, b""));
    wait_until("what broke off is given up, and a second try is taken", || post("data", &fits) == 200);
    assert!(repository.get(&format!("data/{}", name(&fits))).body == fits);
    assert_eq!(post("data", &large), 507, "over the quota");
    assert_eq!(post("data", &fits), 200, "what is there may still be sent again");
    assert_eq!(files_below(&door.folder.join(repository.id.as_str())), [path_of(&door, &repository, &fits)]);
    wait_until("nothing is left in tmp", || files_below(&door.folder.join("tmp")).is_empty());
}

#[test]
fn a_full_quota_is_507_and_leaves_what_is_there() {
    let door = TestDoor::start();
    let repository = door.repository_with_quota(10);
    assert_eq!(repository.put("data", b"12345678").status, 200);

    let answer = repository.put("data", b"abc");

    assert_eq!(answer.status, 507);
    assert!(answer.text().contains("quota"), "{}", answer.text());
    assert_eq!(repository.put("data", b"ab").status, 200);
    assert_eq!(repository.put("data", b"12345678").status, 200, "what is there may still be sent again");
    assert_eq!(files_below(&door.folder.join(repository.id.as_str())).len(), 2);
}

#[test]
fn a_ninth_lock_waits_until_one_is_stale() {
    let door = TestDoor::start();
    let repository = door.repository();
    for number in 0..8_u8 {
        assert_eq!(repository.put("locks", &[number]).status, 200);
    }
    assert_eq!(repository.put("locks", b"ninth").status, 507);
    assert_eq!(repository.put("locks", &[3]).status, 200, "a repeated one is no ninth");

    door.clock.advance(minutes(61));

    assert_eq!(repository.put("locks", b"ninth").status, 200);
    assert_eq!(repository.get("locks/").text(), format!("[\"{}\"]", name(b"ninth")));
}

#[test]
fn twelve_uploads_at_once_and_no_device_takes_the_place_of_another() {
    const LEN: usize = piece::SIZE + 50_000;
    let door = TestDoor::start();
    let (busy, other) = (door.repository(), door.repository());
    let start = |number: u8| {
        let mut stream = http::connect(door.address);
        let bytes = vec![number; LEN];
        let head = busy.head("POST", &format!("data/{}", name(&bytes)), &format!("Content-Length: {LEN}\r\n"));
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        // Enough that some of it is on disk.
        stream.write_all(&bytes[..LEN - 10_000]).unwrap();
        stream
    };
    let under_way = || files_below(&door.folder.join("tmp")).len();
    let streams: Vec<_> = (0..12).map(start).collect();
    wait_until("twelve are under way", || under_way() == 12);

    let refused = busy.put("data", b"thirteenth");
    assert!(refused.text().contains("too many"), "{}", refused.text());
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(other.put("data", b"mine").status, 200);
    assert_eq!(busy.get("data/").status, 200, "reading goes on");

    for (number, mut stream) in (0..12_u8).zip(streams) {
        stream.write_all(&[number; 10_000]).unwrap();
        assert_eq!(http::finish(stream).status, 200);
    }
    assert_eq!(busy.put("data", b"thirteenth").status, 200);
}

#[test]
fn an_upload_that_trickles_keeps_no_second_try_waiting_and_ends_well_itself() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes = vec![7; 100_000];
    let head = repository.head("POST", &format!("data/{}", name(&bytes)), "Content-Length: 100000\r\n");
    let mut slow = http::connect(door.address);
    slow.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    slow.write_all(&bytes[..60_000]).unwrap();

    assert_eq!(repository.put("data", &bytes).status, 200);
    slow.write_all(&bytes[60_000..]).unwrap();
    assert_eq!(http::finish(slow).status, 200);

    assert_eq!(std::fs::read(path_of(&door, &repository, &bytes)).unwrap(), bytes);
    assert_eq!(copy(&door, &data_key(&repository, &bytes)).damaged_at, None);
    let id = repository.id;
    let row = door.read(move |conn| store::repository::find(conn, id)).unwrap();
    assert_eq!((row.object_count, row.stored_bytes), (1, 100_000), "it is counted once");
}

#[test]
fn a_lock_that_is_sent_again_while_it_is_removed_is_kept_or_gone_and_nothing_breaks() {
    let door = TestDoor::start();
    let repository = door.repository();
    let path = format!("locks/{}", name(b"lock"));
    for _ in 0..40 {
        repository.put("locks", b"lock");
        std::thread::scope(|scope| {
            let again = scope.spawn(|| repository.put("locks", b"lock").status);
            let removed = scope.spawn(|| repository.send("DELETE", &path, "").status);
            assert_eq!((again.join().unwrap(), removed.join().unwrap()), (200, 200));
        });
        let (listed, read) = (repository.get("locks/").text(), repository.get(&path).status);
        assert_eq!(read == 200, listed.contains(&path[6..]), "the ledger and the bytes agree");
    }
    assert_eq!(actions(&door), [], "nothing of it counts as healed");
}

#[test]
fn an_object_that_is_sent_many_times_at_once_is_taken_each_time_and_counted_once() {
    let door = TestDoor::start();
    let repository = door.repository();
    for round in 0..20_u8 {
        let bytes = vec![round; 70_000];
        std::thread::scope(|scope| {
            let sending: Vec<_> = (0..6).map(|_| scope.spawn(|| repository.put("data", &bytes).status)).collect();
            for status in sending {
                assert_eq!(status.join().unwrap(), 200);
            }
        });
    }

    let id = repository.id;
    let row = door.read(move |conn| store::repository::find(conn, id)).unwrap();
    assert_eq!((row.object_count, row.stored_bytes), (20, 20 * 70_000));
    wait_until("nothing is left in tmp", || files_below(&door.folder.join("tmp")).is_empty());
}

#[test]
fn a_damaged_object_is_healed_by_sending_it_again() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes = vec![42; 300_000];
    repository.put("data", &bytes);
    repository.put("snapshots", b"snapshot");
    let path = path_of(&door, &repository, &bytes);
    let mut damaged = bytes.clone();
    damaged[150_000] ^= 1;
    std::fs::write(&path, &damaged).unwrap();
    let queued = causes(&door).len();
    // The test of the new backup has run, as far as the queue knows.
    door.write(|conn| diesel::update(restore_tests::table).set(restore_tests::state.eq("finished")).execute(conn));

    assert_eq!(repository.put("data", &bytes).status, 200);

    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(copy(&door, &data_key(&repository, &bytes)).damaged_at.is_none());
    assert_eq!(actions(&door), [Action::BackupStored, Action::ObjectHealed]);
    assert_eq!(causes(&door).len(), queued + 1);
    assert!(causes(&door).contains(&TestCause::Damage));
    assert_eq!(repository.put("data", &bytes).status, 200);
    assert_eq!(actions(&door).len(), 2, "a sound object is not healed");
}

#[test]
fn a_missing_object_is_reported_as_lost_and_comes_back() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"pack");
    repository.put("snapshots", b"snapshot");
    std::fs::remove_file(path_of(&door, &repository, b"pack")).unwrap();
    let object = format!("data/{}", name(b"pack"));

    let answer = repository.get(&object);

    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("lost"), "{}", answer.text());
    assert!(copy(&door, &data_key(&repository, b"pack")).damaged_at.is_some());
    assert_eq!(repository.put("data", b"pack").status, 200);
    assert_eq!(repository.get(&object).body, b"pack");
    assert!(copy(&door, &data_key(&repository, b"pack")).damaged_at.is_none());
    let id = repository.id;
    assert_eq!(door.read(move |conn| store::repository::find(conn, id)).unwrap().object_count, 2);
}

#[test]
fn an_object_that_the_disk_cannot_read_is_lost_and_comes_back() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"pack");
    unreadable(&path_of(&door, &repository, b"pack"));
    let object = format!("data/{}", name(b"pack"));

    assert_eq!(repository.get(&object).status, 404);

    assert!(copy(&door, &data_key(&repository, b"pack")).damaged_at.is_some());
    assert_eq!(repository.put("data", b"pack").status, 200);
    assert_eq!(repository.get(&object).body, b"pack");
    unreadable(&path_of(&door, &repository, b"pack"));
    assert_eq!(repository.put("data", b"pack").status, 200, "found by the one who sends it, too");
    assert_eq!(repository.get(&object).body, b"pack");
}

#[test]
fn a_truncated_object_is_never_served_as_whole() {
    let door = TestDoor::start();
    let repository = door.repository();
    let bytes = vec![9; 700_000];
    repository.put("data", &bytes);
    std::fs::write(path_of(&door, &repository, &bytes), &bytes[..300_000]).unwrap();

    let answer = repository.get(&format!("data/{}", name(&bytes)));

    assert!(answer.body.len() < 700_000);
    assert!(copy(&door, &data_key(&repository, &bytes)).damaged_at.is_some());
}

/// What an upload leaves when the server dies between the link and the row.
fn interrupted(door: &TestDoor, key: &BlobKey, bytes: &[u8]) {
    let mut upload = door.blobs.begin(key).unwrap();
    upload.write(bytes).unwrap();
    // The mark stays if nobody settles it.
    let _ = upload.commit().unwrap();
}

#[test]
fn after_a_crash_between_link_and_row_the_start_adds_the_row() {
    let door = TestDoor::start();
    let repository = door.repository();
    interrupted(&door, &data_key(&repository, b"pack"), b"pack");
    interrupted(&door, &data_key(&repository, b"not its name"), b"torn");
    let key_of = |kind, bytes: &[u8]| BlobKey::new(repository.id, kind, name(bytes));
    interrupted(&door, &key_of(ObjectKind::Locks, b"lock"), b"lock");
    interrupted(&door, &key_of(ObjectKind::Snapshots, b"snapshot"), b"snapshot");
    interrupted(&door, &data_key(&repository, b"on a bad sector"), b"on a bad sector");
    unreadable(&path_of(&door, &repository, b"on a bad sector"));
    let stranger = BlobKey::new(RepositoryId::generate(NOW), ObjectKind::Data, name(b"pack"));
    interrupted(&door, &stranger, b"pack");
    std::fs::write(door.folder.join("tmp").join("half"), b"half").unwrap();
    assert_eq!(repository.get("data/").text(), "[]", "without a row it is not there");

    let again = holdfast::blob::fs::FsBlobs::open(&door.folder).unwrap();
    let done = service::repository::reconcile(&door.store, &again, NOW).unwrap();

    assert_eq!((done.added, done.removed), (2, 4));
    assert_eq!(repository.get("data/").text(), format!("[\"{}\"]", name(b"pack")));
    assert_eq!(repository.get(&format!("data/{}", name(b"pack"))).body, b"pack");
    assert_eq!(repository.get("locks/").text(), "[]");
    assert_eq!(causes(&door), [TestCause::NewBackup], "a snapshot is a restore point also then");
    assert_eq!(files_below(&door.folder).len(), 2);
    let third = holdfast::blob::fs::FsBlobs::open(&door.folder).unwrap();
    assert_eq!(service::repository::reconcile(&door.store, &third, NOW).unwrap(), Default::default());
}

#[test]
fn after_a_crash_a_repeated_post_adds_the_row() {
    let door = TestDoor::start();
    let repository = door.repository();
    interrupted(&door, &data_key(&repository, b"pack"), b"pack");

    assert_eq!(repository.put("data", b"pack").status, 200);

    assert!(row(&door, &data_key(&repository, b"pack")).is_some());
    assert_eq!(repository.get(&format!("data/{}", name(b"pack"))).body, b"pack");
}

#[test]
fn a_full_comparison_finds_what_is_lost_and_what_has_no_row() {
    let door = TestDoor::start();
    let repository = door.repository();
    for pack in [b"one", b"two"] {
        repository.put("data", pack);
    }
    std::fs::remove_file(path_of(&door, &repository, b"one")).unwrap();
    interrupted(&door, &data_key(&repository, b"new"), b"new");

    let done = service::repository::reconcile_repository(&door.store, &*door.blobs, repository.id, NOW).unwrap();

    assert_eq!((done.added, done.removed, done.damaged), (1, 0, 1));
    assert!(copy(&door, &data_key(&repository, b"one")).damaged_at.is_some());
}

#[test]
fn a_repository_has_a_limit_of_objects() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"one");
    let most = store::repository::MAX_OBJECTS;
    door.write(move |conn| diesel::update(repositories::table).set(repositories::object_count.eq(most)).execute(conn));

    assert_eq!(repository.put("data", b"one").status, 200, "it is there");
    assert_eq!(repository.put("data", b"two").status, 507);
    let two = data_key(&repository, b"two");
    let refused = door
        .store
        .write_blocking(move |conn| service::backup::received(conn, &two, 3, TokenKind::Agent, NOW))
        .unwrap_err();
    assert!(refused.to_string().contains("the most objects"), "{refused}");
}

#[test]
fn a_snapshot_is_never_older_than_what_it_needs() {
    let door = TestDoor::start();
    let repository = door.repository();
    repository.put("data", b"pack");
    door.clock.set(NOW - days(365));

    repository.put("snapshots", b"snapshot");

    let device = repository.device;
    let points = door.read(move |conn| store::restore_point::of_device(conn, device, 10));
    assert_eq!(points.len(), 1);
    assert!(points[0].as_of >= NOW, "a view as of it shows all of it");
    assert_eq!(points[0].stored_at, Some(points[0].received_at));
}

fn ticket(door: &TestDoor, repository: &TestRepository, expires_at: Time) -> TestRepository {
    let token = secret::generate("hf_ticket_").unwrap();
    let (hash, repository_id, device) = (secret::hash(&token), repository.id, repository.device);
    door.write(move |conn| -> holdfast::error::Result<_> {
        let owner = insert_person(conn, "owner", &[Role::Owner], None, SINCE)?;
        let point = store::restore_point::newest_stored(conn, repository_id)?.unwrap();
        diesel::insert_into(restores::table)
            .values((
                restores::id.eq(RestoreId::generate(NOW)),
                restores::device_id.eq(device),
                restores::target_device_id.eq(device),
                restores::target_generation.eq(1),
                restores::repository_id.eq(repository_id),
                restores::restore_point_id.eq(point.id),
                (
                    restores::selection.eq("[]"),
                    restores::conflict.eq("keep_both"),
                    restores::state.eq("queued"),
                    restores::requested_by.eq(owner.to_string()),
                    restores::reason.eq(""),
                    restores::requested_at.eq(NOW),
                    restores::ticket_hash.eq(hash),
                    restores::expires_at.eq(expires_at),
                    restores::command_id.eq(CommandId::generate(NOW)),
                ),
                (
                    restores::file_count.eq(0),
                    restores::restored_count.eq(0),
                    restores::matched_count.eq(0),
                    restores::byte_count.eq(0),
                    restores::failures.eq("[]"),
                ),
            ))
            .execute(conn)?;
        Ok(())
    });
    door.with_token(repository, &token)
}

#[test]
fn a_ticket_reads_what_there_was_at_its_restore_point() {
    let door = TestDoor::start();
    let (repository, other) = (door.repository(), door.repository());
    repository.put("data", b"before");
    repository.put("snapshots", b"snapshot");
    let ticket = ticket(&door, &repository, NOW + hours(2));
    door.clock.advance(hours(1));
    repository.put("data", b"after");
    repository.put("index", b"poison");

    assert_eq!(ticket.get(&format!("data/{}", name(b"before"))).body, b"before");
    assert_eq!(ticket.get("data/").text(), format!("[\"{}\"]", name(b"before")));
    assert_eq!(ticket.get(&format!("data/{}", name(b"after"))).status, 404);
    assert_eq!(ticket.send("HEAD", &format!("data/{}", name(b"after")), "").status, 404);
    assert_eq!(ticket.get("index/").text(), "[]");
    assert_eq!(ticket.put("data", b"new").status, 403);
    assert_eq!(ticket.put("locks", b"lock").status, 403);
    assert_eq!(ticket.post("?create=true", b"").status, 403);
    assert_eq!(ticket.send("DELETE", &format!("locks/{}", name(b"lock")), "").status, 403);
    assert_eq!(door.with_token(&other, &ticket.token).get("data/").status, 401);
    door.clock.advance(hours(1));
    assert_eq!(ticket.get("data/").status, 401, "it has expired");
}

#[test]
fn what_opens_a_repository_is_put_back_from_the_database_before_it_is_read() {
    let door = TestDoor::start();
    let repository = door.repository();
    let key = BlobKey::new(repository.id, ObjectKind::Keys, name(b"a key file"));
    door.write(move |conn| {
        store::kept_object::keep(conn, key.repository, key.kind, &key.name, b"a key file")?;
        service::backup::received(conn, &key, 10, TokenKind::Agent, NOW)
    });
    let path = door.folder.join(repository.id.as_str()).join("keys").join(name(b"a key file").as_str());
    assert!(!path.exists());

    for bad in [None, Some("a kex file"), Some("a k")] {
        if let Some(bad) = bad {
            std::fs::write(&path, bad).unwrap();
        }
        let answer = repository.get(&format!("keys/{}", name(b"a key file")));
        assert_eq!((answer.status, answer.text().as_str()), (200, "a key file"), "{bad:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"a key file", "{bad:?}");
    }
}

/// A disk that is full, or broken, for every write.
struct NoWrites(Arc<dyn BlobStore>, StopCause);

struct Refuse(StopCause);

impl Refuse {
    fn fault(&self) -> WriteFault {
        WriteFault::Stopped(self.0, "no".to_owned())
    }
}

impl Upload for Refuse {
    fn write(&mut self, _: &[u8]) -> Result<(), WriteFault> {
        Err(self.fault())
    }
    fn commit(self: Box<Self>) -> Result<Stored, WriteFault> {
        Err(self.fault())
    }
    fn replace(self: Box<Self>) -> Result<Stored, WriteFault> {
        Err(self.fault())
    }
}

impl BlobStore for NoWrites {
    fn begin(&self, _: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(Refuse(self.1)))
    }
    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        self.0.read(key, offset, len)
    }
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.0.size(key)
    }
    fn remove(&self, key: &BlobKey) -> Result<bool, WriteFault> {
        self.0.remove(key)
    }
    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        self.0.list(repository)
    }
    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        self.0.make_durable(key)
    }
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        self.0.unsettled()
    }
}

#[test]
fn a_full_disk_is_507_and_a_broken_one_500() {
    for (cause, status) in [(StopCause::Full, 507), (StopCause::ReadOnly, 507), (StopCause::Refused, 500)] {
        let door = TestDoor::start_with(|blobs| Arc::new(NoWrites(blobs, cause)));
        let repository = door.repository();

        let answer = repository.put("data", &vec![1; 2_000_000]);

        assert_eq!(answer.status, status);
        assert!(!answer.text().is_empty());
        assert_eq!(repository.get("data/").text(), "[]");
    }
}
