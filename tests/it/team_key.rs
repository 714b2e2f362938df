//! Team keys and the proof key above them: whatever is replaced, each repository can be opened at every moment.
use crate::kill::server::{Server, World};
use crate::recovery_key::{DEVICE, DEVICE_ID, add_repositories, run};
use crate::support::device::{SimDevice, token};
use crate::support::people::{self, colleague};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, text};
use crate::support::{NOW, TestDatabase};
use diesel::connection::SimpleConnection;
use domain::activity::Action;
use domain::id::{DeviceId, TeamId, TeamKeyId};
use domain::role::{Reach, Role};
use domain::team_key::Progress;
use domain::time::{hours, minutes};
use holdfast::cli::control;
use holdfast::proof::keys::ProofKeys;
use holdfast::proof::{root, team_key as proof_side};
use holdfast::service::{device, team, team_key};
use holdfast::store::repository::Repository;
use holdfast::store::{self, Store};
use secret::seal;
use std::path::Path;

fn keys(server: &TestServer) -> &ProofKeys {
    server.app.proof_keys.as_deref().unwrap()
}

fn keep(server: &TestServer) -> usize {
    proof_side::keep(server.store(), keys(server), &server.app.clock).unwrap()
}

fn again(server: &TestServer) -> usize {
    server.act(|conn| team_key::wrap_again(conn, NOW));
    keep(server)
}

fn rotate(server: &TestServer, team: Option<&str>) -> usize {
    let team = team.map(str::to_owned);
    server.act(move |conn| team_key::rotate(conn, &control::actor(0), team.as_deref(), NOW))
}

fn repositories(store: &Store) -> Vec<Repository> {
    store
        .read_blocking(|conn| -> holdfast::error::Result<_> {
            let ids = store::ground::repositories(conn)?;
            ids.into_iter().map(|it| Ok(store::repository::find(conn, it)?.unwrap())).collect()
        })
        .unwrap()
}

/// What each repository's master key is, in the order of their ids.
fn opened(store: &Store, keys: &ProofKeys) -> Vec<String> {
    repositories(store).iter().map(|it| keys.open_master_key(it).unwrap().to_base64().to_string()).collect()
}

fn progress(server: &TestServer) -> (i64, i64) {
    let Progress { wrapped, total } = server.read(team_key::progress);
    (wrapped, total)
}

fn add_team(server: &TestServer, name: &str) -> TeamId {
    let (by, name) = (people::by(colleague(server, name, Role::Owner), &Reach::All), name.to_owned());
    server.act(move |conn| team::add(conn, &by, &name, NOW)).id
}

fn key_of(server: &TestServer, device: &SimDevice) -> (Option<TeamKeyId>, Option<Option<TeamId>>) {
    let id = device.id();
    server.read(|conn| {
        let repository = store::repository::active_of_device(conn, id)?.unwrap();
        let Some(id) = repository.team_key_id else { return Ok((None, None)) };
        Ok((Some(id), store::team_key::find(conn, id)?.map(|it| it.team_id)))
    })
}

#[test]
fn a_master_key_is_sealed_to_its_team_whichever_that_becomes() {
    let server = TestServer::start();
    let team = add_team(&server, "Sales");
    let first = SimDevice::join(&server);
    assert_eq!(key_of(&server, &first), (None, None), "no team has a key yet: it is sealed to the proof key");
    let before = opened(server.store(), keys(&server));

    assert_eq!(keep(&server), 1);
    assert_eq!(key_of(&server, &first).1, Some(None));
    let mut second = SimDevice::new();
    second.enrolled = Some(second.enroll(&server, &token(&server, |it| it.team_id = Some(team))).message());
    assert_eq!(key_of(&server, &second).1, Some(Some(team)), "at once, without the proof side");
    assert_eq!((progress(&server), again(&server)), ((2, 2), 0));

    // The web side has no secret: what it keeps opens with the proof key alone.
    let all = opened(server.store(), keys(&server));
    assert!(before.iter().all(|it| all.contains(it)));
    let (by, id) = (people::by(colleague(&server, "mover", Role::Owner), &Reach::All), first.id());
    let draft = device::Draft { name: "a".into(), person: String::new(), team_id: Some(team), quota: None };
    server.act(move |conn| device::change(conn, &by, id, &draft, NOW).map(drop));
    assert_eq!(keep(&server), 1, "a device that changes team is sealed to the other key without being asked");
    assert_eq!(key_of(&server, &first), key_of(&server, &second));
    assert_eq!(opened(server.store(), keys(&server)), all);
}

#[test]
fn rotation_makes_new_keys_and_destroys_the_old_ones_once_nothing_needs_them() {
    let server = TestServer::start();
    add_team(&server, "Sales");
    let device = SimDevice::join(&server);
    keep(&server);
    let (before, old) = (opened(server.store(), keys(&server)), key_of(&server, &device).0.unwrap());

    assert_eq!((rotate(&server, Some("Sales")), progress(&server)), (1, (1, 1)), "of a team without devices");
    assert_eq!((rotate(&server, None), progress(&server)), (1, (0, 1)), "the team's waits for its successor");
    assert_eq!(opened(server.store(), keys(&server)), before, "with the old key meanwhile");
    assert_eq!(keep(&server), 1);
    assert_eq!((progress(&server), opened(server.store(), keys(&server))), ((1, 1), before));
    assert_ne!(key_of(&server, &device).0, Some(old));
    assert_eq!(server.read(|conn| Ok(store::team_key::all(conn)?)).len(), 2, "one for each team, none retired");

    let entries = server.read(|conn| Ok(store::activity::all(conn)?));
    let count = |action| entries.iter().filter(|it| it.action == action).count();
    let counts = [Action::TeamKeyMade, Action::TeamKeyRetired, Action::TeamKeyDestroyed].map(count);
    assert_eq!(counts, [4, 2, 2]);
    let unknown = server.store().act_blocking(|conn| team_key::rotate(conn, &control::actor(0), Some("x"), NOW));
    assert!(unknown.is_err());
}

#[test]
fn what_cannot_be_opened_keeps_its_old_key_and_hides_no_other() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    keep(&server);
    let broken = server.read(|conn| Ok(store::repository::active_of_device(conn, device.id())?.unwrap())).id;
    SimDevice::join(&server);
    let spoil = format!("UPDATE repositories SET sealed_master_key = 'AAAA' WHERE id = '{broken}'");
    server.act(move |conn| Ok(conn.batch_execute(&spoil)?));

    rotate(&server, None);
    assert_eq!((keep(&server), progress(&server)), (1, (1, 2)));
    let all = server.read(|conn| Ok(store::team_key::all(conn)?));
    assert_eq!(all.iter().filter(|it| it.retired_at.is_some()).count(), 1, "nobody knows whether it is needed");
}

#[test]
fn nothing_is_sealed_to_a_team_key_that_the_proof_key_did_not_make() {
    let server = TestServer::start();
    SimDevice::join(&server);
    keep(&server);
    let (public, private) = seal::generate().unwrap();
    // Whoever can write rows can seal a private half of theirs to the proof key's public one.
    let proof = keys(&server).public().clone();
    server.act(move |conn| {
        let current = store::team_key::current(conn, None)?.unwrap();
        store::team_key::retire(conn, current.id, NOW)?;
        let id = TeamKeyId::generate(NOW + minutes(1));
        let context = store::team_key::team_key_context(id);
        let sealed_private_key = seal::seal(&proof, &context, private.expose().as_bytes())?;
        let public_key = public.as_str().to_owned();
        let rogue = store::team_key::TeamKey { id, public_key, sealed_private_key, retired_at: None, ..current };
        store::team_key::insert(conn, &rogue)?;
        team_key::wrap_again(conn, NOW)
    });
    let before = repositories(server.store());

    assert_eq!(keep(&server), 0);
    assert_eq!(repositories(server.store()), before);
}

#[test]
fn a_look_at_all_repositories_comes_when_something_changed_and_every_hour() {
    let server = TestServer::start();
    let due = |now| server.read(move |conn| Ok(team_key::is_due(conn, now)?.is_some()));
    assert!(due(NOW));
    keep(&server);
    assert_eq!([NOW, NOW + minutes(59), NOW + hours(1)].map(due), [false, false, true]);
    assert!(due(NOW - hours(24)), "a clock that was ahead does not put it off");
    SimDevice::join(&server);
    assert!(!due(NOW), "a new repository is sealed to the key in use already");
    rotate(&server, None);
    assert!(due(NOW));
    keep(&server);
    assert!(!due(NOW));
}

fn files(data: &Path) -> Vec<String> {
    let names = std::fs::read_dir(data).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|it| it.starts_with("proof.")).collect();
    names.sort();
    names
}

#[test]
fn the_proof_key_is_replaced_and_a_cut_at_any_point_leaves_one_that_opens_everything() {
    let (database, folder) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let (store, path) = (database.store(), folder.path().join("proof.key"));
    let (by, clock) = (control::actor(0), clock::Clock::fixed(NOW));
    let open = || ProofKeys::of(&store, &path, true, NOW).unwrap().unwrap();
    let first = open();
    store.write_blocking(|conn| conn.batch_execute(DEVICE)).unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), first.public(), 7);
    let before = opened(&store, &first);
    let recovery = secret::recovery::RecoveryKey::make().unwrap();
    let (public, voucher) = (recovery.public().as_str().to_owned(), first.vouch_for(recovery.public()).unwrap());
    let actor = by.clone();
    store
        .act_blocking(move |conn| holdfast::service::recovery_key::make(conn, &actor, &public, &voucher, NOW).map(drop))
        .unwrap();

    root::replace(&store, &path, &by, &clock).unwrap();
    let second = open();
    assert_ne!(second.public(), first.public());
    assert_eq!(
        (opened(&store, &second), files(folder.path())),
        (before.clone(), vec!["proof.key".into(), "proof.pub".into()])
    );
    assert!(repositories(&store).iter().all(|it| first.open_master_key(it).is_err()), "the old one opens nothing");
    let added = holdfast::proof::escrow::add_missing(&store, &second, &clock).unwrap();
    assert_eq!(added, 7, "the new key vouches for the recovery key too");

    // Cut off before the commit: the file of the next key lies there, and nobody knows that key.
    let kept = std::fs::read(&path).unwrap();
    ProofKeys::open_or_make(&folder.path().join("other.key"), None).unwrap();
    std::fs::rename(folder.path().join("other.key"), folder.path().join("proof.next")).unwrap();
    assert_eq!(opened(&store, &open()), before);
    assert_eq!(std::fs::read(&path).unwrap(), kept);
    root::replace(&store, &path, &by, &clock).unwrap();
    assert_eq!(opened(&store, &open()), before);

    // Cut off after the commit: the database names the key whose file is still the next one.
    std::fs::rename(&path, folder.path().join("proof.next")).unwrap();
    std::fs::write(&path, &kept).unwrap();
    assert_eq!((opened(&store, &open()), files(folder.path()).len()), (before.clone(), 2));
    std::fs::rename(&path, folder.path().join("proof.next")).unwrap();
    assert_eq!(opened(&store, &open()), before, "also if the old one's file is gone");

    // What is sealed to the proof key itself and cannot be opened would be lost with it.
    let (other, _) = seal::generate().unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), &other, 1);
    let refused = root::replace(&store, &path, &by, &clock).unwrap_err().to_string();
    assert!(refused.contains("1 repository could not be sealed to a team's key"), "{refused}");
    let still = open();
    let opens = |it: &Repository| still.open_master_key(it).is_ok();
    assert_eq!(repositories(&store).iter().filter(|it| opens(it)).count(), 7);
}

#[test]
fn keys_are_rotated_and_a_device_is_opened_by_hand_on_the_command_line() {
    let database = TestDatabase::new();
    let world = World::new(&database);
    let mut server = Server::start(&world);
    let store = Store::open(&world.database).unwrap();
    store.write_blocking(|conn| conn.batch_execute(DEVICE)).unwrap();
    let proof = ProofKeys::open(&world.folder("server").join("proof.key")).unwrap();
    add_repositories(&store, DeviceId::parse(DEVICE_ID).unwrap(), proof.public(), 3);
    drop(store);

    let (output, said) = run(&world, &["key", "rotate"], "");
    assert!(output.status.success() && said.contains("retired"), "{said}");
    let (output, said) = run(&world, &["key", "rotate", "--root"], "");
    assert!(!output.status.success() && said.contains("stop it first"), "{said}");
    server.end();
    for words in [&["prove", "--once"][..], &["key", "rotate", "--root"], &["key", "rotate"], &["prove", "--once"]] {
        let (output, said) = run(&world, words, "");
        assert!(output.status.success(), "{words:?}: {said}");
    }
    let (_, said) = run(&world, &["key", "status"], "");
    assert!(said.contains("All 3 repositories are sealed to the keys in use"), "{said}");

    let (output, said) = run(&world, &["key", "unseal", DEVICE_ID, "--reason", " "], "");
    assert!(!output.status.success() && !said.contains("enrolment"), "{said}");
    let (output, said) = run(&world, &["key", "unseal", DEVICE_ID, "--reason", "court order 12"], "");
    assert!(output.status.success(), "{said}");
    let (output, shares) = run(&world, &["recovery-key", "make"], "");
    assert!(output.status.success(), "{shares}");
    run(&world, &["prove", "--once"], "");
    let unseal = ["key", "unseal", DEVICE_ID, "--reason", "the server is gone", "--shares"];
    let (output, by_shares) = run(&world, &unseal, &String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success(), "{by_shares}");
    assert_eq!(by_shares, said, "both ways give the same master keys");
    assert_eq!(said.lines().count(), 3);

    let store = Store::open(&world.database).unwrap();
    let proof = ProofKeys::open(&world.folder("server").join("proof.key")).unwrap().beside(&store);
    assert!(opened(&store, &proof).iter().all(|it| said.contains(it)));
    let all = store.read_blocking(store::activity::all).unwrap();
    let unsealed: Vec<_> = all.iter().filter(|it| it.action == Action::MasterKeyUnsealed).collect();
    let reasons: Vec<_> = unsealed.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["court order 12", "the server is gone"]);
}

#[test]
fn the_pages_say_how_far_it_is_and_ask_for_what_is_missing() {
    let server = TestServer::start();
    SimDevice::join(&server);
    let visit = Visit::of(&server, colleague(&server, "owner", Role::Owner));
    let observer = Visit::of(&server, colleague(&server, "observer", Role::Observer));
    let settings = || text(&visit.get("/settings"));
    let nag = |visit: &Visit| text(&visit.get("/")).contains("<a href=\"/settings#recovery\">");

    assert!(settings().contains("No recovery key") && settings().contains("if the proof key is lost, every backup"));
    assert!(settings().contains("The one repository is not sealed to the key in use yet"));
    assert!(nag(&visit) && !nag(&observer), "only who can do something about it is asked");

    keep(&server);
    let recovery = secret::recovery::RecoveryKey::make().unwrap();
    let voucher = keys(&server).vouch_for(recovery.public()).unwrap();
    let public = recovery.public().as_str().to_owned();
    let made = public.clone();
    server.act(move |conn| {
        holdfast::service::recovery_key::make(conn, &control::actor(0), &made, &voucher, NOW).map(drop)
    });
    holdfast::proof::escrow::add_missing(server.store(), keys(&server), &server.app.clock).unwrap();
    assert!(settings().contains("Shares never typed back") && nag(&visit), "{}", settings());
    let called = ["Recoverable by shares", "is recoverable", "are recoverable"];
    assert!(!called.iter().any(|it| settings().contains(it)), "nothing is called that before");

    server.act(move |conn| holdfast::service::recovery_key::confirm(conn, &control::actor(0), &public, NOW).map(drop));
    assert!(settings().contains("Recoverable by shares") && !nag(&visit), "{}", settings());
    assert!(settings().contains("The one repository is recoverable by shares."), "{}", settings());
    assert!(settings().contains("The one repository is sealed to the key in use."), "{}", settings());
}
