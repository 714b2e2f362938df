//! Teams whose keys the customer keeps: this server never has them, and says of their backups no more than it can know.
mod crossing;
mod surface;

use crate::agent::{Device, order_restore, points, prover};
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::people::{SINCE, act_as, colleague, person};
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use agent::{Agent, EnrollRequest, OwnKey, Stop};
use diesel::prelude::*;
use domain::activity::Action;
use domain::by::By;
use domain::disaster::{Event, Fate};
use domain::guard::GuardedAct;
use domain::id::{DeviceId, RepositoryId, RestorePointId, TeamId, UserId};
use domain::key_holder::{CAPPED, HAS_DEVICES, KEY_FILE_NEEDED, KEY_FILE_REFUSED, KeyHolder, NO_CROSSING};
use domain::object::ObjectKind;
use domain::proof::{Grade, TestCause};
use domain::retention::Brake;
use domain::role::{Reach, Role};
use domain::time::{Time, days, hours};
use holdfast::error::{Error, Result};
use holdfast::proof::{escrow, team_key};
use holdfast::service::{content, proof, retention};
use holdfast::store::escrow::Escrow;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::restore_test::RestoreTest;
use holdfast::store::schema::{device_proof, repositories, restore_points, teams};
use holdfast::store::team::Team;
use holdfast::{job, service, store};
use secret::recovery::RecoveryKey;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

fn team(server: &TestServer, name: &str, holder: KeyHolder) -> TeamId {
    let team = Team { id: TeamId::generate(NOW), name: name.to_owned(), created_at: NOW };
    server.act(move |conn| {
        store::team::insert(conn, &team)?;
        if holder == KeyHolder::Customer {
            store::team::hand_over(conn, team.id)?;
        }
        Ok(team.id)
    })
}

fn joins(server: &TestServer, device: &Device, team: TeamId, key_file: Option<&Path>) -> anyhow::Result<Agent> {
    let token = token(server, |it| it.team_id = Some(team));
    let key_file = key_file.map(PathBuf::from);
    let request = EnrollRequest { server: server.url(), token, key_file, again: true, ..EnrollRequest::default() };
    device.join(request, server.app.clock.clone())
}

/// A customer's team with one device, which has backed up.
struct World {
    server: TestServer,
    team: TeamId,
    device: Device,
    agent: Agent,
    owner: UserId,
}

impl World {
    fn new() -> Self {
        let server = TestServer::start();
        let owner = colleague(&server, "owner", Role::Owner);
        let team = team(&server, "Clinic", KeyHolder::Customer);
        let device = Device::new();
        let agent = joins(&server, &device, team, Some(&key_file(&device))).unwrap();
        agent.check_in().unwrap();
        agent.back_up(&Stop::default()).unwrap();
        Self { server, team, device, agent, owner }
    }

    fn id(&self) -> DeviceId {
        self.agent.enrollment().device_id
    }

    fn repository(&self) -> RepositoryId {
        self.agent.enrollment().repository_id
    }

    fn now(&self) -> Time {
        self.server.app.clock.now()
    }

    fn grade(&self) -> Grade {
        let (id, now) = (self.id(), self.now());
        self.server.read(|conn| Ok(store::device_proof::find(conn, id)?)).unwrap().evidence().grade(now)
    }

    /// Everything is read back, and what that shows is noted.
    fn verifies(&self) {
        let now = self.now();
        self.server.app.watch.look(now).unwrap();
        for verifier in &self.server.app.verifiers.0 {
            while job::verification::read_back(verifier, now).unwrap().more {}
        }
        job::verification::note_untested(self.server.store(), now).unwrap();
    }

    fn act<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut store::Conn, &By) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        act_as(&self.server, self.owner, work)
    }
}

fn key_file(device: &Device) -> PathBuf {
    device.folder.path().join("clinic.key")
}

fn refusal<T>(done: Result<T>) -> String {
    match done {
        Err(Error::Refused(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was done"),
    }
}

#[test]
fn nothing_of_this_server_opens_what_a_customer_keeps() {
    let world = World::new();
    let (server, id) = (&world.server, world.repository());
    let keys = server.app.proof_keys.clone().unwrap();
    let recovery = RecoveryKey::make().unwrap();
    let (public, voucher) = (recovery.public().as_str().to_owned(), keys.vouch_for(recovery.public()).unwrap());
    let (host, now) = (holdfast::cli::control::actor(0), world.now());
    server.act(move |conn| service::recovery_key::make(conn, &host, &public, &voucher, now).map(drop));

    team_key::keep(server.store(), &keys, &server.app.clock).unwrap();
    assert_eq!(escrow::add_missing(server.store(), &keys, &server.app.clock).unwrap(), 0);

    let repository = server.read(|conn| Ok(store::repository::find(conn, id)?)).unwrap();
    assert_eq!((repository.key_holder, repository.sealed_master_key.as_str()), (KeyHolder::Customer, ""));
    assert_eq!(repository.team_key_id, None);
    assert!(server.read(|conn| Ok(store::escrow::of_repository(conn, id)?)).is_empty());
    assert!(refusal(keys.open_master_key(&repository).map(drop)).contains("the customer keeps"));
    assert!(refusal(keys.add_password(&repository).map(drop)).contains("the customer keeps"));
    let sealed = server
        .store()
        .write_blocking(move |conn| -> Result<()> { Ok(store::repository::reseal(conn, id, "sealed after all")?) });
    assert!(sealed.is_err(), "the database itself refuses it");
    let recovery_key_id = server.read(|conn| Ok(store::recovery_key::standing(conn)?))[0].id;
    let forged =
        Escrow { repository_id: id, recovery_key_id, sealed_master_key: "sealed after all".to_owned(), sealed_at: now };
    let kept = server.store().write_blocking(move |conn| -> Result<()> { Ok(store::escrow::insert(conn, &forged)?) });
    assert!(kept.is_err(), "nor is there a record of it");
    // Neither the key nor the password is among what was sent.
    let key = fs::read_to_string(key_file(&world.device)).unwrap();
    let secrets: serde_json::Value = serde_json::from_str(&key).unwrap();
    for (stored, size) in server.app.blobs.list(id).unwrap() {
        let bytes = server.app.blobs.read(&stored, 0, size).unwrap();
        for secret in ["master_key", "password"] {
            let secret = secrets[secret].as_str().unwrap().as_bytes();
            assert!(!bytes.windows(secret.len()).any(|it| it == secret), "{stored}");
        }
    }
    // What the shares open is counted without it, and it is said.
    let found = server.read(|conn| service::recovery_key::recoverability(conn, now));
    assert!(!found.sentence(Time::iso).contains("1 repository"), "{found:?}");
    let settings = text(&Visit::of(server, world.owner).get("/settings"));
    assert!(settings.contains("1 repository is left out: the customer keeps the key"), "{settings}");
}

#[test]
fn a_device_joins_with_a_key_of_its_own_only_where_the_customer_keeps_it() {
    let server = TestServer::start();
    let (clinic, office) = (team(&server, "Clinic", KeyHolder::Customer), team(&server, "Office", KeyHolder::Server));
    let (with, without) = (Device::new(), Device::new());

    let refused = format!("{:#}", joins(&server, &without, clinic, None).err().unwrap());
    assert!(refused.contains(KEY_FILE_NEEDED), "{refused}");
    let refused = format!("{:#}", joins(&server, &with, office, Some(&key_file(&with))).err().unwrap());
    assert!(refused.contains(KEY_FILE_REFUSED), "{refused}");
    assert!(server.read(|conn| Ok(store::device::all(conn)?)).is_empty());

    // A device that says it is something else than it is.
    let sim = SimDevice::new();
    let secret = token(&server, |it| it.team_id = Some(clinic));
    let long = "A".repeat(8192);
    for (config, key) in [("", "AAAA"), ("AAAA", "AAAA"), ("?", "AAAA"), ("AAAA", &*long)] {
        let mut message = serde_json::to_value(sim.enroll_message(&secret)).unwrap();
        message["own_repository"] = json!({ "config": config, "key": key });
        let answer = sim.send_enroll(&server, &message);
        assert!((400..500).contains(&answer.status), "{config} {}: {}", key.len(), answer.status);
    }
    assert!(server.read(|conn| Ok(store::device::all(conn)?)).is_empty());

    // What was made at the first try is used at the next.
    let key = fs::read_to_string(key_file(&with)).unwrap();
    let agent = joins(&server, &with, clinic, Some(&key_file(&with))).unwrap();
    assert_eq!(fs::read_to_string(key_file(&with)).unwrap(), key);
    agent.back_up(&Stop::default()).unwrap();
    assert_eq!(points(&server, &agent).len(), 1);

    // From then on nothing that a server says makes this device send backups that another can open.
    drop(agent);
    let refused = format!("{:#}", joins(&server, &with, office, None).err().unwrap());
    assert!(refused.contains("name its file with --key-file"), "{refused}");
}

#[test]
fn a_team_is_handed_over_once_without_devices_and_by_somebody_who_manages_people() {
    let server = TestServer::start();
    let owner = person(&server, "owner", &[Role::Owner], None, SINCE);
    let operator = colleague(&server, "operator", Role::Operator);
    let clinic = team(&server, "Clinic", KeyHolder::Server);
    let path = format!("/teams/{clinic}/key-handovers");
    assert_eq!(Visit::of(&server, operator).post(&path, &[]).status, 403);
    let stale = Visit::stale(&server, owner).post(&path, &[]);
    assert!(stale.status == 422 && text(&stale).contains("Enter your password"), "{}", stale.status);
    assert!(GuardedAct::HandOverKeys.guard().fresh);

    let visit = Visit::of(&server, owner);
    assert!(text(&visit.get(&format!("/teams/{clinic}/key"))).contains("no way back"));
    assert_eq!(location(&visit.post(&path, &[])), "/teams");
    assert!(text(&visit.get("/teams")).contains("The customer"));
    let entries = server.read(|conn| Ok(store::activity::all(conn)?));
    assert_eq!(entries.iter().filter(|it| it.action == Action::TeamKeyHandedOver).count(), 1);
    assert_eq!(visit.post(&path, &[]).status, 409, "it stays so");
    assert!(!text(&visit.get(&format!("/teams/{clinic}/key"))).contains("<form method=\"post\" action=\"/teams"));

    let office = team(&server, "Office", KeyHolder::Server);
    let device = Device::new();
    joins(&server, &device, office, None).unwrap();
    let refused = visit.post(&format!("/teams/{office}/key-handovers"), &[]);
    assert!(text(&refused).contains(&HAS_DEVICES[1..]), "{}", text(&refused));
    assert_eq!(server.read(|conn| Ok(store::team::key_holder(conn, Some(office))?)), KeyHolder::Server);
}

#[test]
fn no_device_moves_to_where_another_keeps_the_key() {
    let world = World::new();
    let office = team(&world.server, "Office", KeyHolder::Server);
    let practice = team(&world.server, "Practice", KeyHolder::Customer);
    let (id, now) = (world.id(), world.now());
    for team_id in [None, Some(office), Some(practice)] {
        let draft = service::device::Draft { name: "laptop-1".to_owned(), person: String::new(), team_id, quota: None };
        let moved = world.act(move |conn, by| service::device::change(conn, by, id, &draft, now));
        assert!(matches!(moved, Err(Error::Invalid(_))), "{moved:?}");
    }
    // Nor with a new enrolment, whatever it brings.
    let again = token(&world.server, |it| (it.team_id, it.device_id) = (Some(office), Some(id)));
    let sim = SimDevice::new();
    let answer = sim.send_enroll(&world.server, &sim.enroll_message(&again));
    assert!((400..500).contains(&answer.status) && String::from_utf8_lossy(&answer.body).contains(NO_CROSSING));
    let device = world.server.read(|conn| Ok(store::device::find(conn, id)?)).unwrap();
    assert_eq!((device.team_id, device.generation), (Some(world.team), 1));
}

#[test]
fn what_is_read_back_is_verified_and_never_proven() {
    let world = World::new();
    let (server, id, repository) = (&world.server, world.id(), world.repository());
    assert_eq!(prover(server).run_once(None).unwrap(), [], "no test is queued");
    assert_eq!(world.grade(), Grade::Stored);

    world.verifies();
    assert_eq!(world.grade(), Grade::Verified);
    let page = text(&Visit::of(server, world.owner).get(&format!("/devices/{id}")));
    assert!(page.contains("Verified, not proven") && page.contains(CAPPED), "{page}");
    let wipe = text(&Visit::of(server, world.owner).get(&format!("/devices/{id}/wipe")));
    assert!(wipe.contains("Nothing is proven.") && wipe.contains(CAPPED), "{wipe}");

    let now = world.now();
    let point = points(server, &world.agent)[0].id;
    let queued = server.act(move |conn| proof::queue(conn, point, TestCause::Asked, None, now));
    assert_eq!(queued, None);

    // Damage takes it down, and it comes back only with what was damaged.
    let pack =
        server.app.blobs.list(repository).unwrap().into_iter().find(|it| it.0.kind == ObjectKind::Data).unwrap().0;
    server.act(move |conn| service::backup::object_damaged(conn, &pack, now).map(drop));
    assert_eq!(world.grade(), Grade::Stored);
    world.server.app.clock.advance(hours(1));
    let now = world.now();
    job::verification::note_untested(server.store(), now).unwrap();
    assert_eq!(world.grade(), Grade::Stored);
    assert_eq!(server.read(|conn| Ok(store::evidence::count_to_retest(conn, id)?)), 0, "no test is waited for");

    // And it runs out by the clock alone.
    server.app.clock.advance(days(40));
    assert_eq!(world.grade(), Grade::Stored);
}

#[test]
fn the_database_takes_no_row_that_calls_such_a_backup_proven_or_gives_its_key_away() {
    let world = World::new();
    world.verifies();
    let (id, repository, team, now) = (world.id(), world.repository(), world.team, world.now());
    let point = points(&world.server, &world.agent)[0].clone();
    let refuses = |what: &str, work: fn(&mut store::Conn, &Forged) -> QueryResult<usize>| {
        let forged = Forged { id, repository, team, point: point.clone(), now };
        let done = world.server.store().write_blocking(move |conn| -> Result<usize> { Ok(work(conn, &forged)?) });
        assert!(done.is_err(), "{what}: {done:?}");
    };
    refuses("a point that is proven", |conn, it| {
        let proven = (restore_points::proven_at.eq(it.now), restore_points::proven_until.eq(it.now + days(7)));
        diesel::update(restore_points::table).set(proven).execute(conn)
    });
    refuses("a point that is partly proven", |conn, it| {
        diesel::update(restore_points::table).set(restore_points::partial_until.eq(it.now + days(7))).execute(conn)
    });
    refuses("a new point that is proven", |conn, it| {
        let id = RestorePointId::generate(it.now);
        store::restore_point::insert(conn, &RestorePoint { id, proven_at: Some(it.now), ..it.point.clone() })
            .map(|()| 1)
    });
    refuses("a device that is proven", |conn, it| {
        diesel::update(device_proof::table).set(device_proof::proven_until.eq(it.now + days(7))).execute(conn)
    });
    refuses("a device that is partly proven", |conn, it| {
        diesel::update(device_proof::table).set(device_proof::partial_at.eq(it.now)).execute(conn)
    });
    refuses("a test", |conn, it| {
        let test = RestoreTest::queued(it.point.id, it.id, TestCause::Asked, None, it.now);
        store::restore_test::insert(conn, &test).map(|()| 1)
    });
    refuses("a team of the server", |conn, it| {
        diesel::update(teams::table.find(it.team)).set(teams::key_holder.eq(KeyHolder::Server)).execute(conn)
    });
    refuses("a repository of the server", |conn, it| {
        let back = repositories::key_holder.eq(KeyHolder::Server);
        diesel::update(repositories::table.find(it.repository)).set(back).execute(conn)
    });
    assert_eq!(world.grade(), Grade::Verified);
    for path in [format!("/devices/{id}.json"), "/devices.csv".to_owned(), format!("/devices/{id}/restore-points")] {
        let shown = Visit::of(&world.server, world.owner).get(&path);
        assert_eq!(shown.status, 200, "{path}");
        let shown = text(&shown);
        let says_so = ["\"proven\"", ",proven,", "Proven</span>"].iter().any(|it| shown.contains(it));
        assert!(!says_so, "{path}: {shown}");
    }
}

/// What somebody who writes into the database would need.
struct Forged {
    id: DeviceId,
    repository: RepositoryId,
    team: TeamId,
    point: RestorePoint,
    now: Time,
}

#[test]
fn what_needs_the_key_is_refused_and_says_why() {
    let world = World::new();
    world.verifies();
    let (id, repository, now) = (world.id(), world.repository(), world.now());
    let point = points(&world.server, &world.agent)[0].id;
    let asked = world.act(move |conn, by| proof::ask(conn, by, id, now).map(drop));
    assert!(refusal(asked).contains("no restore of them can be tested here"));
    for kind in [domain::content::ReadKind::List, domain::content::ReadKind::Download] {
        let wanted = content::Wanted { kind, point, path: String::new(), reason: "a file is missed".to_owned() };
        let opened = world.act(move |conn, by| content::open(conn, by, &wanted, now).map(drop));
        assert!(refusal(opened).contains("nobody can look inside them here"));
    }
    let search = content::Search { device: id, text: "a".to_owned(), as_of: None, skip: 0, from: String::new() };
    let searched = world.act(move |conn, by| content::search(conn, by, &search, now).map(drop));
    assert!(refusal(searched).contains("nobody can look inside them here"));
    let compared = world.act(move |conn, by| content::compare(conn, by, (point, point), now).map(drop));
    assert!(refusal(compared).contains("nobody can look inside them here"));

    let facts = world.server.read(|conn| {
        let device = store::device::find(conn, id)?.unwrap();
        let repository = store::repository::find(conn, repository)?.unwrap();
        retention::state(conn, &device, &repository, now)
    });
    assert!(domain::retention::brakes(&facts, now).contains(&Brake::NoKey));
    let candidates = world.server.read(|conn| {
        let all = service::disaster::Known::read(conn, &Reach::All, now)?;
        Ok((all.tally(Event::CustomerKey), all.list(Event::ProofKey, Some(Fate::LosesAll))))
    });
    assert_eq!((candidates.0.lose_all, candidates.1.len()), (1, 0));
}

#[test]
fn with_the_customers_key_file_another_machine_gets_everything_back_and_without_it_nothing() {
    let world = World::new();
    let server = &world.server;
    let (fresh, stranger) = (Device::new(), Device::new());
    fs::copy(key_file(&world.device), key_file(&fresh)).unwrap();
    let to = joins(server, &fresh, world.team, Some(&key_file(&fresh))).unwrap();
    let other = joins(server, &stranger, world.team, Some(&key_file(&stranger))).unwrap();
    let keys = [&world.device, &fresh, &stranger].map(|it| OwnKey::read_or_make(&key_file(it)).unwrap());
    assert!(keys[0] == keys[1] && keys[0] != keys[2]);
    let point = points(server, &world.agent)[0].id;

    order_restore(server, world.id(), point, &to);
    let outcome = to.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
    assert_eq!((outcome.files, outcome.failures.len()), (40, 0), "{:?}", outcome.failures);
    let restored = fresh.docs().join(format!("restored-{}", &NOW.iso()[..10]));
    let file = world.device.docs().join("deep/7.txt");
    assert_eq!(fs::read(restored.join(file.strip_prefix("/").unwrap())).unwrap(), fs::read(&file).unwrap());

    order_restore(server, world.id(), point, &other);
    let outcome = other.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
    assert_eq!(outcome.files, 0);
    assert!(!outcome.failures.is_empty());

    // Nor is it handed to a device whose key this server keeps, or the other way.
    let (office, practice) = (team(server, "Office", KeyHolder::Server), team(server, "Practice", KeyHolder::Customer));
    let (clerk, doctor) = (Device::new(), Device::new());
    let clerk = joins(server, &clerk, office, None).unwrap();
    let doctor = joins(server, &doctor, practice, Some(&key_file(&doctor))).unwrap();
    for target in [clerk, doctor] {
        let planned = plan_to(&world, point, target.enrollment().device_id);
        assert!(refusal(planned).contains("files are restored only within it"));
    }
}

fn plan_to(world: &World, point: RestorePointId, target: DeviceId) -> Result<()> {
    let device = world.id();
    let draft = service::restore::Draft {
        device,
        point,
        selection: domain::restore::Selection::All,
        target,
        conflict: domain::restore::Conflict::KeepBoth,
        accepts_unproven: true,
        reason: "the old one broke".to_owned(),
        request_key: None,
    };
    world.act(move |conn, by| service::restore::plan(conn, by, &draft).map(drop))
}
