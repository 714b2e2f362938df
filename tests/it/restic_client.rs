//! The real restic at the door.
use crate::support::door::{TestDoor, TestRepository};
use crate::support::people::{self, SINCE, insert_person};
use crate::support::server::boss;
use crate::support::{NOW, skip};
use domain::account::UserState;
use domain::activity::Action;
use domain::id::{RepositoryId, RepositoryTokenId, UserId};
use domain::object::{ObjectKind, TokenKind};
use domain::role::{Permission, Reach, Role, Scope};
use domain::time::hours;
use holdfast::error::Error;
use holdfast::service::repository::{ClientDraft, Prepared, Recipients};
use holdfast::{service, store};
use secret::seal;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

pub fn has_restic() -> bool {
    Command::new("restic").arg("version").output().is_ok_and(|it| it.status.success()) || !skip("restic")
}

/// A repository as enrolment makes it, and its password.
pub fn enrolled(door: &TestDoor) -> (TestRepository, String) {
    let device = door.device();
    let (proof_key, _) = seal::generate().unwrap();
    let prepared = Prepared::make(&Recipients::only(proof_key), RepositoryId::generate(NOW)).unwrap();
    prepared.store(&*door.blobs).unwrap();
    let (id, token, password) = (prepared.id, prepared.token.clone(), prepared.password.clone());
    door.write(move |conn| service::repository::insert(conn, &prepared, device, 1, NOW));
    let token_id = RepositoryTokenId::generate(NOW);
    (TestRepository { id, device, token, token_id, address: door.address }, password)
}

/// A token that reads, for a person's own client, made by an owner.
fn own_client(door: &TestDoor, repository: &TestRepository) -> (RepositoryTokenId, String) {
    let owner = door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, SINCE));
    let reads = Some((hours(24), "a file is missed".to_owned()));
    client_token(door, repository, owner, &ClientDraft { name: "my laptop".to_owned(), reads, as_of: None }).unwrap()
}

fn client_token(
    door: &TestDoor,
    repository: &TestRepository,
    by: UserId,
    draft: &ClientDraft,
) -> Result<(RepositoryTokenId, String), Error> {
    client_token_with(door, repository, by, draft, b"a key object")
}

fn client_token_with(
    door: &TestDoor,
    repository: &TestRepository,
    by: UserId,
    draft: &ClientDraft,
    key: &[u8],
) -> Result<(RepositoryTokenId, String), Error> {
    let key = service::backup::keep(&*door.blobs, repository.id, ObjectKind::Keys, key).unwrap();
    let (draft, now) = (draft.clone(), door.clock.now());
    door.store.act_blocking(move |conn| {
        service::repository::make_client_token(
            conn,
            &people::by(by, &Reach::All),
            (key.key.repository, Some(&key)),
            &draft,
            now,
        )
    })
}

fn appends() -> ClientDraft {
    ClientDraft { name: "my NAS".to_owned(), reads: None, as_of: None }
}

fn reads(span: std::time::Duration) -> ClientDraft {
    ClientDraft { name: "my laptop".to_owned(), reads: Some((span, "a file is missed".to_owned())), as_of: None }
}

#[test]
fn a_token_that_only_appends_backs_up_with_restic_and_reads_no_backup() {
    if !has_restic() {
        return;
    }
    let (door, source) = (TestDoor::start(), tempfile::tempdir().unwrap());
    let (repository, password) = enrolled(&door);
    let agent = restic(&repository, &password);
    std::fs::write(source.path().join("canary"), b"what nobody else may read").unwrap();
    let path = source.path().to_str().unwrap();
    agent.good(&["backup", path]);
    let operator = door.write(|conn| insert_person(conn, "operator", &[Role::Operator], None, SINCE));
    // The password's own key once more: restic tries every key there is.
    let id = repository.id;
    let name = door.read(move |conn| store::object::list(conn, id, ObjectKind::Keys, None))[0].0.clone();
    let key = repository.get(&format!("keys/{name}")).body;
    let (_, token) = client_token_with(&door, &repository, operator, &appends(), &key).unwrap();
    let blind = door.with_token(&repository, &token);
    let client = restic(&blind, &password);

    std::fs::write(source.path().join("more"), b"another file").unwrap();
    client.good(&["backup", path]);
    client.good(&["backup", path]);

    assert!(!client.good(&["snapshots"]).contains(path), "it sees no snapshot, its own neither");
    assert!(agent.good(&["check", "--read-data"]).contains("no errors were found"));
    assert_eq!(agent.good(&["snapshots"]).matches(path).count(), 3);
    for kind in [ObjectKind::Data, ObjectKind::Snapshots] {
        let there = door.read(move |conn| store::object::list(conn, id, kind, None));
        assert!(!there.is_empty());
        for (name, _) in there {
            let path = format!("{kind}/{name}");
            assert_eq!(blind.get(&path).status, 403, "{path}");
            assert_eq!(blind.send("GET", &path, "Range: bytes=0-9\r\n").status, 403, "{path}");
        }
        assert_eq!(blind.get(&format!("{kind}/")).body, b"[]");
    }
}

#[test]
fn who_may_not_read_gets_no_token_that_reads() {
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    for role in Role::ALL {
        let user = door.write(move |conn| insert_person(conn, role.as_str(), &[*role], None, SINCE));
        let made = client_token(&door, &repository, user, &reads(hours(1)));
        let may = role.allows(Permission::ReadContents);
        assert_eq!(made.is_ok(), may, "{role}: {made:?}");
    }
}

#[test]
fn while_all_is_frozen_an_own_client_appends_and_reads_nothing() {
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    let (_, token) = own_client(&door, &repository);
    let operator = door.write(|conn| insert_person(conn, "operator", &[Role::Operator], None, SINCE));
    let (_, appending) = client_token(&door, &repository, operator, &appends()).unwrap();
    let (reader, writer) = (door.with_token(&repository, &token), door.with_token(&repository, &appending));
    assert_eq!(reader.get("config").status, 200);

    let now = door.clock.now();
    door.store.act_blocking(move |conn| service::host::freeze(conn, &holdfast::cli::control::actor(0), now)).unwrap();

    assert_eq!(reader.get("config").status, 401);
    assert_eq!(writer.get("config").status, 200);
    assert_eq!(repository.get("config").status, 200, "the device's own agent");
}

#[test]
fn a_token_that_reads_ends_by_itself_and_lives_no_longer_than_90_days() {
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    let owner = door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, SINCE));
    for span in [hours(0), hours(2161), hours(10_000)] {
        assert!(matches!(client_token(&door, &repository, owner, &reads(span)), Err(Error::Invalid(_))), "{span:?}");
    }
    let without = ClientDraft { reads: Some((hours(1), " ".to_owned())), ..reads(hours(1)) };
    assert!(matches!(client_token(&door, &repository, owner, &without), Err(Error::Invalid(_))), "no reason");
    let (_, token) = client_token(&door, &repository, owner, &reads(hours(24))).unwrap();
    let own = door.with_token(&repository, &token);

    door.clock.advance(hours(24) - std::time::Duration::from_secs(1));
    assert_eq!(own.get("config").status, 200);
    door.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(own.get("config").status, 401);
}

#[test]
fn a_token_dies_with_the_account_and_with_the_role_of_whoever_made_it() {
    type End = fn(&mut store::Conn, UserId) -> Result<(), Error>;
    let ends: [(&str, End); 3] = [
        ("disabled", |conn, user| {
            store::user::set_state(conn, user, UserState::Active, UserState::Disabled)?;
            Ok(())
        }),
        ("without the role", |conn, user| {
            store::user::revoke(conn, user, (Role::Owner, Scope::Organisation))?;
            Ok(())
        }),
        ("with another role", |conn, user| {
            store::user::revoke(conn, user, (Role::Owner, Scope::Organisation))?;
            store::user::grant(conn, user, (Role::Auditor, Scope::Organisation), None, NOW)?;
            Ok(())
        }),
    ];
    for (why, end) in ends {
        let door = TestDoor::start();
        let (repository, _) = enrolled(&door);
        let owner = door.write(|conn| insert_person(conn, "owner", &[Role::Owner], None, SINCE));
        let tokens = [appends(), reads(hours(24))].map(|it| client_token(&door, &repository, owner, &it).unwrap().1);
        let doors = tokens.map(|it| door.with_token(&repository, &it));
        assert!(doors.iter().all(|it| it.get("config").status == 200), "{why}");

        door.write(move |conn| end(conn, owner));

        assert!(doors.iter().all(|it| it.get("config").status == 401), "{why}");
        assert_eq!(repository.get("config").status, 200, "the agent's own token is nobody's");
    }
}

#[test]
fn an_operator_whose_role_to_read_was_taken_appends_still() {
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    let roles = [Role::Recovery, Role::Operator];
    let user = door.write(move |conn| insert_person(conn, "both", &roles, None, SINCE));
    let [blind, own] = [appends(), reads(hours(24))].map(|it| client_token(&door, &repository, user, &it).unwrap().1);

    door.write(move |conn| store::user::revoke(conn, user, (Role::Recovery, Scope::Organisation)));

    assert_eq!(door.with_token(&repository, &blind).get("config").status, 200);
    assert_eq!(door.with_token(&repository, &own).get("config").status, 401);
}

struct Restic<'a> {
    repository: &'a TestRepository,
    password: &'a str,
    cache: tempfile::TempDir,
}

impl Restic<'_> {
    fn command(&self, program: &str) -> Command {
        let TestRepository { id, token, address, .. } = self.repository;
        let mut command = Command::new(program);
        command
            .env("RESTIC_REPOSITORY", format!("rest:http://{id}:{token}@{address}/restic/{id}/"))
            .env("RESTIC_PASSWORD", self.password)
            .env("RESTIC_CACHE_DIR", self.cache.path());
        command
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.command("restic").args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// What restic says until it gives up, or until the server's no. Newer ones end with that, 0.14 asks for minutes more.
    fn refused(&self, arguments: &[&str]) -> String {
        let mut restic =
            self.command("restic").args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        for line in BufReader::new(restic.stderr.take().unwrap()).lines() {
            said.push_str(&line.unwrap());
            if said.contains("403") {
                restic.kill().unwrap();
            }
        }
        assert!(!restic.wait().unwrap().success(), "{arguments:?} was not refused");
        self.good(&["unlock", "--remove-all"]);
        said
    }
}

fn restic<'a>(repository: &'a TestRepository, password: &'a str) -> Restic<'a> {
    Restic { repository, password, cache: tempfile::tempdir().unwrap() }
}

fn make_tree(folder: &Path) {
    for number in 0..300_u32 {
        let below = folder.join(format!("folder {}", number % 7)).join("ünïcode");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join(format!("{number}.txt")), number.to_string().repeat(100)).unwrap();
    }
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(|it| it.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(folder.join("large.bin"), large).unwrap();
    std::fs::write(folder.join("empty"), b"").unwrap();
}

fn is_same_tree(a: &Path, b: &Path) -> bool {
    Command::new("diff").arg("-r").args([a, b]).output().unwrap().status.success()
}

#[test]
fn restic_backs_up_checks_and_restores_and_cannot_remove_or_add_keys() {
    if !has_restic() {
        return;
    }
    let (door, source, target) = (TestDoor::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (repository, password) = enrolled(&door);
    let client = restic(&repository, &password);
    make_tree(source.path());
    let path = source.path().to_str().unwrap();

    client.good(&["backup", path]);
    std::fs::write(source.path().join("new file"), b"second backup").unwrap();
    client.good(&["backup", path]);

    assert!(client.good(&["check", "--read-data"]).contains("no errors were found"));
    assert!(client.refused(&["forget", "--keep-last", "1", "--prune"]).contains("403"));
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "another password").unwrap();
    let path_of_key = key.path().to_str().unwrap();
    assert!(client.refused(&["key", "add", "--new-password-file", path_of_key]).contains("403"));
    client.refused(&["init"]);
    client.good(&["restore", "latest", "--target", target.path().to_str().unwrap()]);
    assert!(is_same_tree(source.path(), &target.path().join(path.trim_start_matches('/'))));

    let (device, id) = (repository.device, repository.id);
    let points = door.read(move |conn| store::restore_point::of_device(conn, device, 10));
    assert_eq!(points.len(), 2);
    assert_eq!(door.read(move |conn| store::object::count(conn, id, ObjectKind::Keys)), 1);
}

#[test]
fn a_full_quota_stops_restic_and_spoils_nothing() {
    if !has_restic() {
        return;
    }
    let (door, source) = (TestDoor::start(), tempfile::tempdir().unwrap());
    door.write(|conn| service::setting::QUOTA.key.set(conn, &3_000_000, NOW));
    let (repository, password) = enrolled(&door);
    let client = restic(&repository, &password);
    std::fs::write(source.path().join("fits"), b"a small file").unwrap();
    client.good(&["backup", source.path().to_str().unwrap()]);
    make_tree(source.path());

    assert!(client.refused(&["backup", source.path().to_str().unwrap()]).contains("507"));

    assert!(client.good(&["check", "--read-data"]).contains("no errors were found"));
}

#[test]
fn a_second_client_works_with_its_own_password_until_its_token_is_revoked() {
    use holdfast::store::schema::activity;
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    let (id, token) = own_client(&door, &repository);

    let own = door.with_token(&repository, &token);
    assert_eq!(own.get(&format!("keys/{}", crate::support::door::name(b"a key object"))).status, 200);
    assert_eq!(own.put("data", b"appended").status, 200);
    assert_eq!(own.put("keys", b"another key").status, 403);
    let object = format!("data/{}", crate::support::door::name(b"appended"));
    let head = own.send("HEAD", &object, "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "8", 0));
    let part = own.send("GET", &object, "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.body.as_slice()), (206, &b"pen"[..]));
    assert_eq!(own.post(&object, b"another").status, 400, "other bytes of the same name");
    assert_eq!(own.get(&object).body, b"appended");
    assert_eq!(own.put("data", b"appended").status, 200, "the same bytes again");
    for rest in [object.as_str(), "config", ""] {
        assert_eq!(own.send("DELETE", rest, "").status, 403, "{rest}");
    }
    assert_eq!(own.post("config", b"another config").status, 403);
    door.write(move |conn| service::repository::revoke_token(conn, &boss(), id, NOW).map(drop));
    assert_eq!(own.get("keys/").status, 401);
    let done: Vec<Action> = door.read(|conn| {
        use diesel::prelude::*;
        activity::table.order(activity::seq).select(activity::action).load(conn)
    });
    assert_eq!(done, [Action::RepositoryTokenMade, Action::RepositoryTokenRevoked]);
}

#[test]
fn a_restore_point_says_whose_token_it_came_by() {
    let door = TestDoor::start();
    let (repository, _) = enrolled(&door);
    let (_, token) = own_client(&door, &repository);
    let own = door.with_token(&repository, &token);

    assert_eq!(
        [own.put("snapshots", b"by restic").status, repository.put("snapshots", b"by the agent").status],
        [200; 2]
    );

    let device = repository.device;
    let points = door.read(move |conn| store::restore_point::of_device(conn, device, 9));
    for (bytes, by) in [(&b"by restic"[..], TokenKind::OwnClient), (b"by the agent", TokenKind::Agent)] {
        let name = crate::support::door::name(bytes);
        assert_eq!(points.iter().find(|it| it.snapshot_name == name).map(|it| it.sent_by), Some(by));
    }
}

#[test]
fn a_new_enrolment_closes_the_old_repository() {
    let door = TestDoor::start();
    let (old, _) = enrolled(&door);
    old.put("data", b"old");
    let device = old.device;
    let (proof_key, _) = seal::generate().unwrap();
    let prepared = Prepared::make(&Recipients::only(proof_key), RepositoryId::generate(NOW)).unwrap();
    prepared.store(&*door.blobs).unwrap();
    let token = prepared.token.clone();
    let new = TestRepository { id: prepared.id, token, ..old.clone() };

    door.write(move |conn| {
        service::repository::close_older(conn, device, 2, NOW)?;
        service::repository::insert(conn, &prepared, device, 2, NOW)
    });

    assert_eq!(old.get("data/").status, 401, "the agent's old token has died");
    assert_eq!(new.put("data", b"new").status, 200);
    let id = old.id;
    let closed = door.read(move |conn| store::repository::find(conn, id)).unwrap();
    assert_eq!(closed.state, domain::object::RepositoryState::ReadOnly);
    let key = holdfast::blob::BlobKey::new(old.id, ObjectKind::Data, crate::support::door::name(b"late"));
    let late = door.store.write_blocking(move |conn| service::backup::received(conn, &key, 4, TokenKind::Agent, NOW));
    assert!(matches!(late, Err(Error::Refused(_))), "{late:?}");
}
