//! Sidekick, 2009: what came back in the end was laid over what people had made in the meantime. Here a restore says
//! what it does with what is there, and can be undone.
use crate::agent::{Device, listing, order_restore_as, points};
use crate::restore::World;
use crate::support::people::act_as;
use crate::support::server::TestServer;
use crate::support::visit::{Visit, location, text};
use agent::Stop;
use agent::state::State;
use domain::activity::{Action, Actor};
use domain::command::CommandKind;
use domain::epoch::{Epoch, KnownEpoch, READ_ONLY};
use domain::restore::{Conflict, RestoreFailure, RestoreState, UndoReport, UndoState};
use domain::time::days;
use holdfast::service::restore::{self, Draft};
use holdfast::store::restore::Restore;
use holdfast::store::restore_undo::{self, RestoreUndo};
use holdfast::{service, store};
use std::fs;
use wire::{CHECK_IN, CheckInAnswer, DeviceFacts, Payload, RestoreResult};

/// A restore to the device it came from that replaces files.
fn replacing(world: &World) -> Draft {
    Draft { target: world.draft.device, conflict: Conflict::Replace, reason: String::new(), ..world.draft.clone() }
}

fn kinds(world: &World) -> Vec<CommandKind> {
    let answer = world.source.check_in(&world.server, DeviceFacts::default());
    answer.commands.into_iter().map(|it| it.kind).collect()
}

fn undo_of(world: &World, restore: &Restore) -> Option<RestoreUndo> {
    let id = restore.id;
    world.server.read(move |conn| Ok(restore_undo::find(conn, id)?))
}

/// Restored, with one file in place of another.
fn restored(world: &World) -> Restore {
    let restore = world.orders(&replacing(world)).unwrap();
    assert_eq!(kinds(world), [CommandKind::Restore]);
    let said = RestoreResult { replaced: vec!["/home/grace/a.vcf".to_owned()], ..world.all_back() };
    assert_eq!(world.tells(&world.source, restore.id, &said).status, 200);
    world.find(restore.id)
}

#[test]
fn d05_a_restore_that_replaced_files_is_undone_by_order_and_says_what_is_not_as_before() {
    let world = World::new();
    let done = restored(&world);
    assert_eq!(done.state, RestoreState::Compared);
    assert_eq!(done.outcome().unwrap().replaced_count, 1);
    let told = world.server.mails().into_iter().filter(|it| it.subject.contains("that replaces files")).count();
    assert!(told > 0, "who watches the device is told");
    let page = format!("/restores/{}", done.id);
    let operator = Visit::of(&world.server, world.operator);
    let seen = text(&operator.get(&page));
    assert!(seen.contains("Replaced what was there before: 1") && seen.contains("Undo this restore"), "{seen}");
    let stale = Visit::stale(&world.server, world.operator);
    assert_eq!(stale.post(&format!("{page}/undos"), &[]).status, 422, "the password is asked for");

    assert_eq!(location(&operator.post(&format!("{page}/undos"), &[])), page);
    assert_eq!(operator.post(&format!("{page}/undos"), &[]).status, 409, "it was ordered");
    let answer = world.source.check_in(&world.server, DeviceFacts::default());
    let orders: Vec<_> = answer.commands.iter().map(|it| &it.payload).collect();
    let [Payload::UndoRestore { restore_id }] = orders[..] else { panic!("{orders:?}") };
    assert_eq!(*restore_id, done.id);
    let reason = "it has changed since the restore, so it stays".to_owned();
    let failures = vec![RestoreFailure { path: "/home/grace/b.jpg".to_owned(), reason }];
    let said = UndoReport { wanted: 4, done: 3, failures };
    let tells = |said: &UndoReport| {
        world.source.send(&world.server, &format!("/agent/v1/restores/{}/undone", done.id), said).status
    };
    assert_eq!((tells(&said), tells(&said)), (200, 200), "told twice");

    assert_eq!(undo_of(&world, &done).unwrap().state, UndoState::Failed);
    let seen = text(&operator.get(&page));
    assert!(seen.contains("3 of 4 entries as before the restore"), "{seen}");
    let device = world.source.id();
    let history = world.server.read(|conn| Ok(store::activity::of_device(conn, device, 20)?));
    let count = |action| history.iter().filter(|it| it.action == action).count();
    assert_eq!((count(Action::RestoreUndoRequested), count(Action::RestoreNotUndone)), (1, 1));
    // What was in the way is gone: it is asked for once more.
    let id = done.id;
    let ended = undo_of(&world, &done).unwrap().command_id;
    world.source.report(&world.server, vec![done_with(ended, &world)]);
    assert_eq!(location(&operator.post(&format!("{page}/undos"), &[])), page);
    assert_eq!(tells(&UndoReport { wanted: 1, done: 1, failures: Vec::new() }), 200);
    assert_eq!(world.server.read(move |conn| Ok(restore_undo::find(conn, id)?)).unwrap().state, UndoState::Undone);
    assert_eq!(operator.post(&format!("{page}/undos"), &[]).status, 409, "there is nothing left to undo");
}

fn done_with(id: domain::id::CommandId, world: &World) -> wire::CommandResult {
    wire::CommandResult { id, done: true, detail: "3 of 4".to_owned(), finished_at: world.now() }
}

#[test]
fn d05_an_agent_that_does_not_say_that_it_can_gets_no_order_to_replace_or_to_undo() {
    let world = World::new();
    let says = |orders: &[&str]| {
        let message = wire::CheckIn {
            orders: orders.iter().map(|it| (*it).to_owned()).collect(),
            ..world.source.check_in_message(DeviceFacts::default(), vec![])
        };
        world.source.send(&world.server, CHECK_IN, &message).message::<CheckInAnswer>()
    };
    says(&[]);
    let refused = world.orders(&replacing(&world)).unwrap_err().to_string();
    assert!(refused.contains("older than this"), "{refused}");
    let kept = world.orders(&Draft { conflict: Conflict::KeepBoth, ..replacing(&world) }).unwrap();
    says(&[]);
    world.tells(&world.source, kept.id, &world.all_back());
    let (now, id) = (world.now(), kept.id);
    let undo = || act_as(&world.server, world.operator, move |conn, by| restore::undo(conn, by, id, now));
    assert!(undo().unwrap_err().to_string().contains("older than this"));
    assert!(!text(&Visit::of(&world.server, world.operator).get(&format!("/restores/{id}"))).contains("Undo this"));

    says(&["lock", "undo_restore", "of_tomorrow"]);

    undo().unwrap();
    assert_eq!(world.orders(&replacing(&world)).unwrap().conflict, Conflict::Replace);
}

#[test]
fn d05_an_order_to_replace_asks_for_the_password() {
    let world = World::new();
    let (device, point) = (world.draft.device.to_string(), world.draft.point.to_string());
    let fields = [("point", point.as_str()), ("target", &device), ("conflict", "replace"), ("request_key", "k")];
    let path = format!("/devices/{device}/restores");
    assert_eq!(Visit::stale(&world.server, world.operator).post(&path, &fields).status, 422);
    assert!(world.fetched().is_none());
    let preview =
        text(&Visit::of(&world.server, world.operator).post(&format!("/devices/{device}/restore/preview"), &fields));
    assert!(
        preview.contains("give way to older ones") && preview.contains("no test of this point was measured"),
        "{preview}"
    );
    location(&Visit::of(&world.server, world.operator).post(&path, &fields));
}

#[test]
fn d05_files_are_replaced_only_on_the_device_they_were_backed_up_from() {
    let world = World::new();
    let elsewhere = Draft { conflict: Conflict::Replace, ..world.draft.clone() };
    let refused = world.asks(&elsewhere).unwrap_err().to_string();
    assert!(refused.contains("only what a device itself backed up"), "{refused}");
}

/// What happens between the order and its delivery.
type Change = Box<dyn Fn(&World)>;

#[test]
fn d05_an_order_to_replace_leaves_only_while_all_is_as_it_was_shown() {
    let world = World::new();
    let (device, point) = (world.source.id(), world.draft.point);
    let changed: [(&str, Change); 2] = [
        (
            "the person of the",
            Box::new(move |world| {
                world.server.act(move |conn| {
                    use diesel::prelude::*;
                    use holdfast::store::schema::devices;
                    let which = devices::table.find(device);
                    Ok(diesel::update(which).set(devices::person.eq("Ada")).execute(conn).map(drop)?)
                });
            }),
        ),
        (
            "what is known of its restore point",
            Box::new(move |world| {
                let now = world.now();
                world.server.act(move |conn| {
                    use diesel::prelude::*;
                    use holdfast::store::schema::restore_points;
                    let which = restore_points::table.find(point);
                    let at = restore_points::failed_at.eq(Some(now));
                    Ok(diesel::update(which).set(at).execute(conn).map(drop)?)
                });
            }),
        ),
    ];
    for (what, change) in changed {
        let restore = world.orders(&replacing(&world)).unwrap();
        change(&world);
        assert_eq!(kinds(&world), []);
        let ended = world.find(restore.id);
        assert_eq!(ended.state, RestoreState::Cancelled);
        assert!(ended.outcome().unwrap().note.contains(what), "{}", ended.outcome().unwrap().note);
    }
}

#[test]
fn d05_nothing_is_undone_while_it_is_frozen_after_its_time_or_by_somebody_who_may_no_longer() {
    let world = World::new();
    let done = restored(&world);
    let id = done.id;
    let undo = || {
        let now = world.now();
        act_as(&world.server, world.operator, move |conn, by| restore::undo(conn, by, id, now))
    };
    let now = world.now();
    undo().unwrap();
    world.server.act(move |conn| service::host::freeze(conn, &Actor::system(), now));
    assert_eq!(kinds(&world), [CommandKind::Restore; 0]);
    assert!(undo().unwrap_err().to_string().contains("frozen"));
    world.server.act(move |conn| service::host::unfreeze(conn, &Actor::system(), now));
    crate::support::people::take_roles(&world.server, world.operator);
    assert_eq!(kinds(&world), [CommandKind::Restore; 0]);
    assert_eq!(undo_of(&world, &done).unwrap().state, UndoState::Ended);

    let late = World::new();
    let done = restored(&late);
    late.server.app.clock.advance(days(14));
    let (now, id) = (late.now(), done.id);
    let refused = act_as(&late.server, late.operator, move |conn, by| restore::undo(conn, by, id, now)).unwrap_err();
    assert!(refused.to_string().contains("no longer kept"), "{refused}");
}

#[test]
fn d05_a_device_whose_server_came_back_from_an_older_copy_undoes_nothing() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let unknown = Epoch { id: "another".to_owned(), confirmed: false };
    let known = KnownEpoch { known: Some(String::new()), unknown: None }.hears(Some(&unknown));
    agent.state().put(&known).unwrap();
    let now = server.app.clock.now();
    let restore_id = domain::id::RestoreId::generate(now);
    let order = wire::Command {
        id: domain::id::CommandId::generate(now),
        kind: CommandKind::UndoRestore,
        generation: agent.enrollment().generation,
        expires_at: now + days(1),
        payload: Payload::UndoRestore { restore_id },
    };
    assert_eq!(agent.accept(&order).unwrap(), agent::Order::Nothing);
    let journal: agent::state::Journal = State::view(&device.state()).unwrap().get().unwrap();
    assert_eq!(journal.commands[0].result.as_ref().unwrap().detail, READ_ONLY);
    assert!(agent.undo(restore_id).unwrap_err().to_string().contains("older copy"));
}

#[test]
fn d05_a_real_device_is_as_it_was_after_a_restore_in_each_way_and_its_undo() {
    for conflict in Conflict::ALL {
        let server = TestServer::start();
        let device = Device::new();
        let agent = device.enroll(&server, &server.url());
        let gone = device.docs().join("gone");
        fs::create_dir(&gone).unwrap();
        fs::write(gone.join("x"), "gone").unwrap();
        agent.back_up(&Stop::default()).unwrap();
        let (id, point) = (agent.enrollment().device_id, points(&server, &agent)[0].id);
        let names = ["0.txt", "1.txt"].map(|it| device.docs().join("deep").join(it));
        fs::write(&names[0], "made since").unwrap();
        fs::remove_file(&names[1]).unwrap();
        fs::remove_dir_all(&gone).unwrap();
        let before = listing(&device.docs());

        let restore = order_restore_as(&server, (id, point), &agent, *conflict);
        let outcome = agent.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
        assert!(outcome.failures.is_empty(), "{conflict}: {:?}", outcome.failures);
        assert_eq!(outcome.replaced, u64::from(*conflict == Conflict::Replace), "{conflict}");
        let there = fs::read(&names[0]).unwrap();
        assert_eq!(there != b"made since", *conflict == Conflict::Replace, "{conflict}");
        assert!(names[1].exists() && gone.join("x").exists(), "{conflict}");
        let restore_id = restore.id;
        let is_undoable = |it: &agent::Undoable| it.restore == restore_id && it.until.is_some();
        assert!(agent.undoable().unwrap().iter().any(is_undoable), "{conflict}");

        let report = agent.undo(restore.id).unwrap();

        assert!(report.is_whole() && report.wanted > 0, "{conflict}: {report:?}");
        let mut after = listing(&device.docs());
        // What the undo removed is kept there.
        after.retain(|it| !it.0.starts_with(".holdfast-undo"));
        assert_eq!(after, before, "{conflict}");
        assert!(device.docs().join(".holdfast-undo").join(restore.id.as_str()).exists(), "{conflict}");
        assert!(agent.undoable().unwrap().is_empty());
    }
}

#[test]
fn d05_the_running_agent_undoes_a_restore_when_the_console_asks_for_it() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    agent.back_up(&Stop::default()).unwrap();
    let (id, point) = (agent.enrollment().device_id, points(&server, &agent)[0].id);
    fs::write(device.docs().join("new since"), "mine").unwrap();
    fs::remove_dir_all(device.docs().join("deep")).unwrap();
    let before = listing(&device.docs());
    let restore = order_restore_as(&server, (id, point), &agent, Conflict::Replace);
    agent.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");
    assert_ne!(listing(&device.docs()), before);
    let (restore_id, now, by) = (restore.id, server.app.clock.now(), restore.requested_by);
    act_as(&server, by, move |conn, by| restore::undo(conn, by, restore_id, now)).unwrap();

    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| agent.run(&stop));
        device.await_note("as before the restore");
        stop.stop();
        running.join().unwrap().unwrap();
    });

    let mut after = listing(&device.docs());
    // What the undo removed is kept there.
    after.retain(|it| !it.0.starts_with(".holdfast-undo"));
    assert_eq!(after, before);
    let undo = server.read(move |conn| Ok(restore_undo::find(conn, restore_id)?)).unwrap();
    assert_eq!(undo.state, UndoState::Undone);
}
