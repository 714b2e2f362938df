//! Attacks on the border: nobody, with an account, a device or the database, moves a key or a backup across it.
use super::{World, joins, key_file, refusal, team};
use crate::agent::{Device, order_restore, points};
use crate::support::NOW;
use crate::support::device::token;
use crate::support::people::act_as;
use agent::Stop;
use diesel::prelude::*;
use domain::id::{DeviceId, RepositoryId, TeamId};
use domain::key_holder::{KEY_FILE_NEEDED, KeyHolder, NO_CROSSING};
use domain::object::ObjectKind;
use holdfast::error::{Error, Result};
use holdfast::service::repository::ClientDraft;
use holdfast::store::Conn;
use holdfast::store::repository::Repository;
use holdfast::store::schema::{commands, devices, repositories, teams};
use holdfast::{service, store};
use secret::seal;
use std::fs;
use wire::{RestoreSecret, restore_context};

#[test]
fn a_device_whose_key_this_server_has_never_becomes_the_customers() {
    let world = World::new();
    let office = team(&world.server, "Office", KeyHolder::Server);
    let device = Device::new();
    let agent = joins(&world.server, &device, office, None).unwrap();
    agent.back_up(&Stop::default()).unwrap();
    let (id, clinic, now) = (agent.enrollment().device_id, world.team, world.now());
    let draft = service::device::Draft {
        name: "laptop-1".to_owned(),
        person: String::new(),
        team_id: Some(clinic),
        quota: None,
    };
    let moved = world.act(move |conn, by| service::device::change(conn, by, id, &draft, now));
    assert!(matches!(moved, Err(Error::Invalid(_))), "{moved:?}");
    // Nor by a new enrolment with a key of its own, nor after it was removed.
    drop(agent);
    for is_removed in [false, true] {
        if is_removed {
            world.server.act(move |conn| {
                let removed = devices::state.eq(domain::device::DeviceState::Removed);
                Ok(diesel::update(devices::table.find(id)).set(removed).execute(conn).map(drop)?)
            });
        }
        let again = token(&world.server, |it| (it.team_id, it.device_id) = (Some(clinic), Some(id)));
        let request = agent::EnrollRequest {
            server: world.server.url(),
            token: again,
            key_file: Some(key_file(&device)),
            again: true,
            ..agent::EnrollRequest::default()
        };
        let refused = format!("{:#}", device.join(request, world.server.app.clock.clone()).err().unwrap());
        assert!(refused.contains(NO_CROSSING), "{refused}");
    }
    let found = world.server.read(move |conn| {
        Ok((store::device::find(conn, id)?.unwrap().team_id, store::repository::of_device(conn, id)?))
    });
    assert_eq!((found.0, found.1.len(), found.1[0].key_holder), (Some(office), 1, KeyHolder::Server));
    assert_ne!(found.1[0].sealed_master_key, "");
}

#[test]
fn a_token_made_before_the_team_was_left_to_the_customer_joins_nothing_without_a_key_file() {
    let world = World::new();
    let practice = team(&world.server, "Practice", KeyHolder::Server);
    let early = token(&world.server, |it| it.team_id = Some(practice));
    let now = world.now();
    world.act(move |conn, by| service::team::hand_over_keys(conn, by, practice, now).map(drop)).unwrap();
    let device = Device::new();
    let refused = device.enroll_with(early.clone(), &world.server.url(), None, world.server.app.clock.clone());
    let refused = format!("{:#}", refused.err().unwrap());
    assert!(refused.contains(KEY_FILE_NEEDED), "{refused}");
    // The token is not used up by that.
    let request = agent::EnrollRequest {
        server: world.server.url(),
        token: early,
        key_file: Some(key_file(&device)),
        again: true,
        ..agent::EnrollRequest::default()
    };
    let agent = device.join(request, world.server.app.clock.clone()).unwrap();
    let id = agent.enrollment().repository_id;
    let repository = world.server.read(|conn| Ok(store::repository::find(conn, id)?)).unwrap();
    assert_eq!(repository.key_holder, KeyHolder::Customer);
}

/// What somebody who writes into the database would change.
#[derive(Clone, Copy)]
struct Sides {
    customers: DeviceId,
    own: DeviceId,
    clinic: TeamId,
    office: TeamId,
}

#[test]
fn the_database_keeps_devices_and_repositories_on_their_side() {
    let world = World::new();
    let office = team(&world.server, "Office", KeyHolder::Server);
    let device = Device::new();
    let agent = joins(&world.server, &device, office, None).unwrap();
    let sides = Sides { customers: world.id(), own: agent.enrollment().device_id, clinic: world.team, office };
    let refuses = |what: &str, work: fn(&mut Conn, &Sides) -> QueryResult<usize>| {
        let done = world.server.store().write_blocking(move |conn| -> Result<usize> { Ok(work(conn, &sides)?) });
        assert!(done.is_err(), "{what}: {done:?}");
    };
    let moves = |of: DeviceId, to: Option<TeamId>| {
        world.server.store().write_blocking(move |conn| -> Result<usize> {
            Ok(diesel::update(devices::table.find(of)).set(devices::team_id.eq(to)).execute(conn)?)
        })
    };
    for (of, to) in [(sides.customers, None), (sides.customers, Some(office)), (sides.own, Some(sides.clinic))] {
        assert!(moves(of, to).is_err(), "{of} to {to:?}");
    }
    // To where it is, and between teams of this server.
    assert_eq!(moves(sides.customers, Some(sides.clinic)).unwrap(), 1);
    assert_eq!(moves(sides.own, None).unwrap(), 1);
    assert_eq!(moves(sides.own, Some(office)).unwrap(), 1);
    refuses("a customer's team with a device of this server", |conn, it| {
        diesel::update(teams::table.find(it.office)).set(teams::key_holder.eq(KeyHolder::Customer)).execute(conn)
    });
    refuses("a customer's repository of a device of this server", |conn, it| {
        adds(conn, it.own, |repository| {
            (repository.key_holder, repository.sealed_master_key) = (KeyHolder::Customer, String::new());
        })
    });
    refuses("a repository of this server of a customer's device", |conn, it| {
        adds(conn, it.customers, |repository| {
            (repository.key_holder, repository.sealed_master_key) = (KeyHolder::Server, "sealed".to_owned());
        })
    });
    refuses("a repository that is called the customer's", |conn, it| {
        let customers = (repositories::key_holder.eq(KeyHolder::Customer), repositories::sealed_master_key.eq(""));
        diesel::update(repositories::table.filter(repositories::device_id.eq(it.own))).set(customers).execute(conn)
    });
}

fn adds(conn: &mut Conn, device: DeviceId, change: impl FnOnce(&mut Repository)) -> QueryResult<usize> {
    let mut repository = store::repository::of_device(conn, device)?.remove(0);
    (repository.id, repository.generation) = (RepositoryId::generate(NOW), 2);
    change(&mut repository);
    store::repository::insert(conn, &repository).map(|()| 1)
}

#[test]
fn a_device_that_keeps_its_key_takes_no_order_that_brings_another() {
    let world = World::new();
    let server = &world.server;
    let (id, point) = (world.id(), points(server, &world.agent)[0].id);
    let file = world.device.docs().join("deep/7.txt");
    fs::remove_file(&file).unwrap();
    let restore = order_restore(server, id, point, &world.agent);
    // The server, or whoever controls it, brings the key of a backup that it made itself.
    server.act(move |conn| {
        let command = restore.command_id.unwrap();
        let payload = store::command::find(conn, command)?.unwrap().payload;
        let (_, rest) = payload.split_once("\"sealed\":\"").unwrap();
        let (ordered, _) = rest.split_once('"').unwrap();
        let agent = store::agent_enrollment::find(conn, id, 1)?.unwrap();
        let brought = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, [7; 64]);
        let secret = RestoreSecret { ticket: "hf_ticket".to_owned(), master_key: brought };
        let text = serde_json::to_string(&secret).unwrap();
        let key = seal::PublicKey::parse(&agent.sealing_key).unwrap();
        let sealed = seal::seal(&key, &restore_context(restore.id, id), text.as_bytes())?;
        let payload = payload.replace(ordered, &sealed);
        diesel::update(commands::table.find(command)).set(commands::payload.eq(payload)).execute(conn)?;
        Ok(())
    });
    let outcome = world.agent.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
    assert_eq!(outcome.files, 0);
    let failed = format!("{:?}", outcome.failures);
    assert!(failed.contains("the order brings another"), "{failed}");
    assert!(!file.exists());
}

#[test]
fn no_password_is_added_to_what_the_customer_keeps() {
    let world = World::new();
    let (repository, now) = (world.repository(), world.now());
    let kept = service::backup::keep(&*world.server.app.blobs, repository, ObjectKind::Keys, b"a key object").unwrap();
    let made = act_as(&world.server, world.owner, move |conn, by| {
        let draft = ClientDraft { name: "my NAS".to_owned(), reads: None, as_of: None };
        service::repository::make_client_token(conn, by, (repository, Some(&kept)), &draft, now).map(drop)
    });
    assert!(refusal(made).contains("no password can be made here"));
    let keys = world.server.read(move |conn| Ok(store::object::list(conn, repository, ObjectKind::Keys, None)?));
    assert_eq!(keys.len(), 1);
}
