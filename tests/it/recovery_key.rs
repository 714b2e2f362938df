//! Recovery keys: what is sealed to them, by whom, and what brings it back without the server.
use crate::kill::server::{Server, World};
use crate::support::device::SimDevice;
use crate::support::server::TestServer;
use crate::support::{NOW, TestDatabase};
use diesel::connection::SimpleConnection;
use domain::activity::Action;
use domain::id::{DeviceId, RepositoryId};
use domain::key_holder::KeyHolder;
use domain::object::RepositoryState;
use domain::recovery_key::Recoverability;
use domain::time::{hours, minutes};
use holdfast::cli::control;
use holdfast::error::Error;
use holdfast::proof::escrow;
use holdfast::proof::keys::ProofKeys;
use holdfast::service::recovery_key as service;
use holdfast::service::repository::{Prepared, Recipients, insert};
use holdfast::store::repository::{Repository, master_key_context};
use holdfast::store::{self, Store};
use secret::recovery::{RecoveryKey, Share};
use secret::seal;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn proof(server: &TestServer) -> &ProofKeys {
    server.app.proof_keys.as_deref().unwrap()
}

/// Makes a key as the command line does.
fn made(server: &TestServer) -> RecoveryKey {
    let key = RecoveryKey::make().unwrap();
    make(server, &key, &proof(server).vouch_for(key.public()).unwrap()).unwrap();
    key
}

fn make(server: &TestServer, key: &RecoveryKey, voucher: &str) -> Result<(), Error> {
    let (public, voucher) = (key.public().as_str().to_owned(), voucher.to_owned());
    let now = server.app.clock.now();
    server.store().act_blocking(move |conn| service::make(conn, &control::actor(0), &public, &voucher, now).map(drop))
}

fn confirm(server: &TestServer, key: &RecoveryKey) -> Result<(), Error> {
    let public = key.public().as_str().to_owned();
    let now = server.app.clock.now();
    server.store().act_blocking(move |conn| service::confirm(conn, &control::actor(0), &public, now).map(drop))
}

fn retire(server: &TestServer, key: &RecoveryKey) -> Result<(), Error> {
    let (name, now) = (key.name(), server.app.clock.now());
    server.store().act_blocking(move |conn| service::retire(conn, &control::actor(0), &name, now).map(drop))
}

fn add_missing(server: &TestServer) -> usize {
    escrow::add_missing(server.store(), proof(server), &server.app.clock).unwrap()
}

fn found(server: &TestServer) -> Recoverability {
    server.read(|conn| service::recoverability(conn, server.app.clock.now()))
}

fn repositories(server: &TestServer) -> Vec<Repository> {
    server.read(|conn| {
        let ids = store::ground::repositories(conn)?;
        Ok(ids.into_iter().map(|it| store::repository::find(conn, it).unwrap().unwrap()).collect())
    })
}

/// Whether each repository's records are exactly those of these keys, and open to its master key.
fn assert_opened_by(server: &TestServer, keys: &[&RecoveryKey]) {
    for repository in repositories(server) {
        let master_key = proof(server).open_master_key(&repository).unwrap();
        let records = server.read(|conn| Ok(store::escrow::of_repository(conn, repository.id)?));
        assert_eq!(records.len(), keys.len(), "{}", repository.id);
        for key in keys {
            let opens = |it: &store::escrow::Escrow| {
                let opened = escrow::open(key.private(), it.repository_id, &it.sealed_master_key);
                opened.is_ok_and(|it| *it.expose() == *master_key.expose())
            };
            assert_eq!(records.iter().filter(|it| opens(it)).count(), 1);
            // A record of one repository does not pass for another's.
            let other = RepositoryId::generate(NOW);
            assert!(records.iter().all(|it| escrow::open(key.private(), other, &it.sealed_master_key).is_err()));
        }
    }
}

fn entries(server: &TestServer) -> Vec<(Action, String)> {
    let all = server.read(|conn| Ok(store::activity::all(conn)?));
    let is_ours = |it: &Action| it.as_str().starts_with("recovery_key");
    all.into_iter().filter(|it| is_ours(&it.action)).map(|it| (it.action, it.reason)).collect()
}

/// Adds repositories as they were before there were recovery keys, all of one device.
pub fn add_repositories(store: &Store, device: DeviceId, proof: &seal::PublicKey, count: i64) {
    let proof = proof.clone();
    store
        .write_blocking(move |conn| -> Result<(), Error> {
            for generation in 0..count {
                let id = RepositoryId::generate(NOW);
                let key = repository::MasterKey::from_bytes(&secret::bytes::<64>()?).unwrap();
                let sealed = seal::seal(&proof, &master_key_context(id), key.to_base64().as_bytes())?;
                let repository = Repository {
                    id,
                    device_id: device,
                    generation: 1000 + generation,
                    state: RepositoryState::ReadOnly,
                    sealed_master_key: sealed,
                    team_key_id: None,
                    quota_bytes: 1,
                    stored_bytes: 0,
                    object_count: 0,
                    newest_at: NOW,
                    created_at: NOW,
                    key_holder: KeyHolder::Server,
                };
                store::repository::insert(conn, &repository)?;
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_recovery_key_opens_the_repositories_that_were_there_and_those_that_come() {
    let server = TestServer::start();
    SimDevice::join(&server);
    SimDevice::join(&server);
    assert_eq!(found(&server), Recoverability::NoKey);

    let key = made(&server);
    SimDevice::join(&server);
    let counts = |server: &TestServer| {
        let of_each = |it: Repository| server.read(|conn| Ok(store::escrow::of_repository(conn, it.id)?.len()));
        let mut counts: Vec<_> = repositories(server).into_iter().map(of_each).collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(counts(&server), [0, 0, 1], "the new one in the transaction of its enrolment");
    assert_eq!(add_missing(&server), 2);
    assert_eq!(add_missing(&server), 0);
    assert!(matches!(found(&server), Recoverability::NotConfirmed { .. }), "nobody typed the shares back");

    let printed = key.shares().unwrap();
    let typed: Vec<Share> = [4, 0, 2].map(|it: usize| Share::parse(&printed[it].text()).unwrap()).to_vec();
    let again = RecoveryKey::from_shares(&typed).unwrap();
    confirm(&server, &again).unwrap();

    assert_opened_by(&server, &[&again]);
    let all = Recoverability::Confirmed { name: key.name(), confirmed_at: NOW, covered: 3, total: 3 };
    assert_eq!(found(&server), all);
    let expected = [
        (Action::RecoveryKeyMade, String::new()),
        (Action::RecoveryKeySealedTo, "2 repositories".to_owned()),
        (Action::RecoveryKeyConfirmed, String::new()),
    ];
    assert_eq!(entries(&server), expected);
}

#[test]
fn nothing_is_sealed_to_a_key_that_nobody_with_the_proof_key_made() {
    let server = TestServer::start();
    SimDevice::join(&server);
    let rogue = RecoveryKey::make().unwrap();
    let (_, other_proof) = seal::generate().unwrap();
    let forged = seal::vouch(&other_proof, "recovery-key", rogue.public().as_str()).unwrap();

    for voucher in ["", "no hex", &"00".repeat(32), &forged] {
        make(&server, &rogue, voucher).unwrap();
        assert_eq!(add_missing(&server), 0, "{voucher}");
        server.act(|conn| Ok(conn.batch_execute("DELETE FROM recovery_keys")?));
    }
    // Not even to one in the place of a key that was vouched for.
    made(&server);
    let public = rogue.public().as_str().to_owned();
    server.act(move |conn| Ok(conn.batch_execute(&format!("UPDATE recovery_keys SET public_key = '{public}'"))?));
    assert_eq!(add_missing(&server), 0);
    assert_opened_by(&server, &[]);
}

#[test]
fn a_repository_that_was_made_while_the_key_was_gets_its_record_later() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let to = Recipients::only(proof(&server).public().clone());
    let prepared = Prepared::make(&to, RepositoryId::generate(NOW)).unwrap();
    let key = made(&server);
    assert_eq!(add_missing(&server), 1);

    let id = device.id();
    server.act(move |conn| insert(conn, &prepared, id, 2, NOW).map(drop));

    assert_eq!(add_missing(&server), 1);
    assert_opened_by(&server, &[&key]);
}

#[test]
fn a_repository_that_cannot_be_opened_hides_no_other_and_is_tried_again() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let (other, _) = seal::generate().unwrap();
    add_repositories(server.store(), device.id(), &other, 1);
    add_repositories(server.store(), device.id(), proof(&server).public(), 250);

    let key = made(&server);
    assert_eq!(add_missing(&server), 251);
    confirm(&server, &key).unwrap();
    assert!(matches!(found(&server), Recoverability::Confirmed { covered: 251, total: 252, .. }));
    assert_eq!(entries(&server)[1].1, "251 repositories; 1 could not be opened");
    let next = |server: &TestServer| server.read(|conn| Ok(store::recovery_key::all(conn)?))[0].seal_again_at;
    assert_eq!(next(&server), Some(NOW + hours(1)), "not at every turn");

    // A clock that was far ahead must not put it off for long.
    server.act(move |conn| {
        let key = store::recovery_key::all(conn)?.remove(0);
        Ok(store::recovery_key::seal_again(conn, key.id, Some(NOW + hours(9000)))?)
    });
    let waits = |now| server.read(|conn| service::waiting(conn, now)).len();
    assert_eq!((waits(NOW), waits(NOW + hours(8999) + minutes(1))), (1, 0));
}

#[test]
fn one_key_is_in_use_and_one_may_follow_it() {
    let server = TestServer::start();
    SimDevice::join(&server);
    let first = made(&server);
    let refused = |result: Result<(), Error>| result.unwrap_err().to_string();
    let fresh = || RecoveryKey::make().unwrap();

    assert!(refused(make(&server, &fresh(), "")).contains("its shares were never typed back"));
    add_missing(&server);
    confirm(&server, &first).unwrap();
    assert!(refused(retire(&server, &first)).contains("1 repository would no longer be recoverable"));

    let second = made(&server);
    assert!(
        refused(retire(&server, &first)).contains("1 repository would"),
        "not while the other was never typed back"
    );
    confirm(&server, &second).unwrap();
    assert!(refused(retire(&server, &first)).contains("1 repository would"), "nor before the other opens everything");
    assert!(refused(make(&server, &fresh(), "")).contains("there are two recovery keys"));
    add_missing(&server);
    assert_opened_by(&server, &[&first, &second]);

    retire(&server, &first).unwrap();
    assert!(refused(retire(&server, &first)).contains("retired already"));
    assert!(refused(confirm(&server, &first)).contains("was retired on"));
    assert!(refused(confirm(&server, &fresh())).contains("does not know"));
    add_missing(&server);
    assert_opened_by(&server, &[&second]);
    SimDevice::join(&server);
    assert_opened_by(&server, &[&second]);
    let said: Vec<_> = server.mails().into_iter().map(|it| it.subject).collect();
    assert_eq!(said, Vec::<String>::new(), "there is nobody to be told");

    // One that was never typed back can be given up.
    let third = made(&server);
    retire(&server, &third).unwrap();
    add_missing(&server);
    assert_opened_by(&server, &[&second]);
}

pub fn run(world: &World, words: &[&str], input: &str) -> (Output, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(words)
        .args(["--database", &world.database_url, "--log", "error", "--data"])
        .arg(world.folder("server"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without having read everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap();
    (output, said)
}

#[test]
fn shares_are_printed_once_and_typed_back_on_the_command_line() {
    let database = TestDatabase::new();
    let world = World::new(&database);
    let (output, said) = run(&world, &["recovery-key", "make"], "");
    assert!(!output.status.success() && said.contains("start the server once"), "{said}");
    let mut server = Server::start(&world);
    let data = world.folder("server");
    let store = Store::open(&world.database).unwrap();
    let proof = ProofKeys::open(&data.join("proof.key")).unwrap();
    store.write_blocking(|conn| conn.batch_execute(DEVICE)).unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), proof.public(), 3);
    drop(store);

    // With the server running, which does the writing.
    let (output, printed) = run(&world, &["recovery-key", "make"], "");
    assert!(output.status.success(), "{printed}");
    let shares = String::from_utf8(output.stdout).unwrap();
    let name = printed.split("recovery key ").nth(1).unwrap()[..6].to_owned();
    assert_eq!(shares.matches("\n# Share ").count(), 5, "{shares}");
    let (_, said) = run(&world, &["recovery-key", "list"], "");
    assert!(said.contains(&name) && said.contains("its shares were never typed back"), "{said}");
    server.end();
    let everything = std::fs::read_dir(&data).unwrap().filter_map(|it| std::fs::read(it.unwrap().path()).ok());
    let row = shares.lines().find(|it| it.len() == 39).unwrap().as_bytes();
    for file in everything {
        assert!(!file.windows(row.len()).any(|it| it == row), "a share is kept nowhere");
    }

    // And without one.
    let (output, said) = run(&world, &["prove", "--once"], "");
    assert!(output.status.success(), "{said}");
    let two: String = shares.split_inclusive("\n\n").take(3).collect();
    let (output, said) = run(&world, &["recovery-key", "confirm"], &two);
    assert!(!output.status.success() && said.contains("only 2 of the 3 shares"), "{said}");
    let (output, said) = run(&world, &["recovery-key", "confirm"], &shares);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains(&format!("they give the recovery key {name}. It opens 3 repositories, as the proof key does"))
    );
    let (_, said) = run(&world, &["recovery-key", "list"], "");
    assert!(said.contains("All 3 repositories are recoverable by shares"), "{said}");

    // Records that somebody exchanged are found, although they open.
    let key = RecoveryKey::from_shares(&typed(&shares)).unwrap();
    let store = Store::open(&world.database).unwrap();
    let id = store.read_blocking(store::ground::repositories).unwrap()[1];
    let forged = repository::MasterKey::from_bytes(&secret::bytes::<64>().unwrap()).unwrap();
    let forged = escrow::seal(key.public(), id, &forged).unwrap();
    let exchange = format!("UPDATE escrows SET sealed_master_key = '{forged}' WHERE repository_id = '{id}'");
    store.write_blocking(move |conn| conn.batch_execute(&exchange)).unwrap();
    drop(store);
    let (output, said) = run(&world, &["recovery-key", "confirm"], &shares);
    assert!(!output.status.success() && said.contains("does not open 1 repository of 3 as it should"), "{said}");

    let (output, said) = run(&world, &["recovery-key", "retire", &name.to_lowercase()], "");
    assert!(!output.status.success() && said.contains("3 repositories would no longer"), "{said}");
}

#[test]
fn the_whole_key_in_an_age_file_opens_a_device_and_does_not_pass_for_shares() {
    let database = TestDatabase::new();
    let world = World::new(&database);
    Server::start(&world).end();
    let store = Store::open(&world.database).unwrap();
    let proof = ProofKeys::open(&world.folder("server").join("proof.key")).unwrap();
    store.write_blocking(|conn| conn.batch_execute(DEVICE)).unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), proof.public(), 1);
    drop(store);
    let dir = world.folder("offline");
    let (private, file) = (dir.join("age.key"), dir.join("recovery.age"));
    let Ok(made) = Command::new("age-keygen").arg("-o").arg(&private).output() else {
        assert!(std::env::var_os("CI").is_none(), "age is needed under CI (Debian package age)");
        println!("skipped: age (Debian package age)");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made = std::fs::read_to_string(&private).unwrap();
    let public = made.lines().find_map(|it| it.strip_prefix("# public key: ")).unwrap();
    let to = |recipient: &str, file: &std::path::Path| -> Vec<String> {
        ["recovery-key", "make", "--age-to", recipient, "--age-file", file.to_str().unwrap()].map(str::to_owned).into()
    };
    let run = |args: &[String], input: &str| run(&world, &args.iter().map(String::as_str).collect::<Vec<_>>(), input);

    // What is wrong is said before there is a key.
    let taken = dir.join("taken");
    std::fs::write(&taken, b"something").unwrap();
    for (recipient, path, why) in [
        (&public[..61], &file, "a recipient begins with `age1`"),
        (public, &taken, "is there already"),
        (public, &dir.join("no such folder/file"), "cannot be reached"),
    ] {
        let (output, said) = run(&to(recipient, path), "");
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
    let (output, said) = run(&["recovery-key".into(), "make".into(), "--age-to".into(), public.into()], "");
    assert!(!output.status.success() && said.contains("--age-file"), "{said}");
    assert_eq!(run(&["recovery-key".into(), "list".into(), "--json".into()], "").0.stdout.trim_ascii(), b"[]");

    let (output, said) = run(&to(public, &file), "");
    assert!(output.status.success() && said.contains("for 1 person"), "{said}");
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    let opened = Command::new("age").arg("--decrypt").arg("-i").args([&private, &file]).output().unwrap();
    let whole = String::from_utf8(opened.stdout).unwrap();

    let (output, said) = run(&["recovery-key".into(), "confirm".into()], &whole);
    assert!(!output.status.success() && said.contains("type three shares"), "{said}");
    run(&["prove".into(), "--once".into()], "");
    let unseal = ["key", "unseal", DEVICE_ID, "--reason", "a rehearsal", "--shares"].map(str::to_owned);
    let (output, said) = run(&unseal, &whole);
    assert!(output.status.success(), "{said}");
}

fn typed(shares: &str) -> Vec<Share> {
    let rows: Vec<&str> = shares.lines().filter(|it| it.len() == 39).collect();
    rows.chunks(2).map(|it| Share::parse(&it.concat()).unwrap()).collect()
}

/// A device without a channel.
pub const DEVICE_ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";
pub const DEVICE: &str =
    "INSERT INTO devices VALUES ('0190163d-8694-739b-aea5-966c26f8ad91', 'laptop', '', NULL, 'linux', '',
    '', '', 'company', 'enrolled', 1, 0, NULL)";
