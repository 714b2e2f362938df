//! The life of a command: queued, delivered until answered, ended by the device or by time.
use crate::support::NOW;
use crate::support::device::SimDevice;
use crate::support::server::{TestServer, admin, boss};
use domain::command::{CommandState, Order};
use domain::id::CommandId;
use domain::time::{days, minutes};
use holdfast::error::Error;
use holdfast::service::command::{self, Ask};
use holdfast::store::Store;
use holdfast::store::command::Command;
use holdfast::{job, store};
use std::time::{Duration, Instant};
use wire::{CommandResult, DeviceFacts, Waiting};

fn queue(server: &TestServer, device: &SimDevice, order: Order, key: Option<&'static str>) -> Command {
    let (id, now) = (device.id(), server.app.clock.now());
    server.act(move |conn| {
        let device = store::device::find(conn, id)?.unwrap();
        command::queue(conn, &admin(), &device, Ask { order: &order, request_key: key }, now)
    })
}

fn state(server: &TestServer, id: CommandId) -> CommandState {
    server.read(|conn| Ok(store::command::find(conn, id)?)).unwrap().state
}

fn result(id: CommandId, done: bool, detail: &str) -> CommandResult {
    CommandResult { id, done, detail: detail.to_owned(), finished_at: NOW }
}

#[test]
fn a_command_is_delivered_again_until_its_result_has_come() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let command = queue(&server, &device, Order::lock(), None);

    for _ in 0..3 {
        let orders = device.check_in(&server, DeviceFacts::default()).commands;
        assert_eq!(orders.iter().map(|it| it.id).collect::<Vec<_>>(), [command.id]);
        assert_eq!(state(&server, command.id), CommandState::Delivered);
    }
    let answer = device.report(&server, vec![result(command.id, true, "locked")]);

    assert!(answer.commands.is_empty());
    let ended = server.read(|conn| Ok(store::command::find(conn, command.id)?)).unwrap();
    assert_eq!((ended.state, ended.result.as_deref()), (CommandState::Acknowledged, Some("locked")));
}

#[test]
fn a_result_that_is_repeated_changes_nothing_and_is_written_down_once() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let command = queue(&server, &device, Order::BackUpNow, None);
    device.check_in(&server, DeviceFacts::default());

    device.report(&server, vec![result(command.id, false, "disk full"), result(command.id, true, "no, it worked")]);
    device.report(&server, vec![result(command.id, true, "again")]);

    let ended = server.read(|conn| Ok(store::command::find(conn, command.id)?)).unwrap();
    assert_eq!((ended.state, ended.result.as_deref()), (CommandState::Failed, Some("disk full")));
    let entries = server.read(|conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::activity;
        Ok(activity::table.filter(activity::action.eq("command_finished")).count().get_result::<i64>(conn)?)
    });
    assert_eq!(entries, 1);
}

#[test]
fn results_of_others_commands_and_unknown_ones_change_nothing() {
    let server = TestServer::start();
    let (device, other) = (SimDevice::join(&server), SimDevice::join(&server));
    let command = queue(&server, &device, Order::lock(), None);

    other.report(&server, vec![result(command.id, true, "mine"), result(CommandId::generate(NOW), true, "what")]);

    assert_eq!(state(&server, command.id), CommandState::Queued);
}

#[test]
fn asking_twice_with_one_key_is_asking_once() {
    let server = TestServer::start();
    let (device, other) = (SimDevice::join(&server), SimDevice::join(&server));

    let (first, second) =
        (queue(&server, &device, Order::lock(), Some("k")), queue(&server, &device, Order::lock(), Some("k")));

    assert_eq!(first.id, second.id);
    assert_eq!(device.check_in(&server, DeviceFacts::default()).commands.len(), 1);
    let id = other.id();
    let refused = server.app.store.act_blocking(move |conn| {
        let other = store::device::find(conn, id)?.unwrap();
        command::queue(conn, &admin(), &other, Ask { order: &Order::lock(), request_key: Some("k") }, NOW)
    });
    assert!(matches!(refused, Err(Error::Conflict(_))));
}

#[test]
fn a_command_is_cancelled_only_before_it_is_delivered() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let first = queue(&server, &device, Order::lock(), None);
    let cancelled = server.act(move |conn| command::cancel(conn, &boss(), first.id, NOW));
    assert_eq!(cancelled.state, CommandState::Cancelled);
    assert!(device.check_in(&server, DeviceFacts::default()).commands.is_empty());

    let second = queue(&server, &device, Order::lock(), None);
    device.check_in(&server, DeviceFacts::default());
    let late = server.app.store.act_blocking(move |conn| command::cancel(conn, &boss(), second.id, NOW));
    assert!(matches!(late, Err(Error::Conflict(_))));
}

#[test]
fn what_nobody_answers_expires_and_the_devices_own_answer_still_counts() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let (slow, never) = (queue(&server, &device, Order::BackUpNow, None), queue(&server, &device, Order::lock(), None));
    device.check_in(&server, DeviceFacts::default());
    server.app.clock.advance(days(1) + minutes(1));

    let summary = job::expiry::run_once(server.store(), server.app.clock.now()).unwrap();
    assert_eq!(summary.done_count, 1);
    assert_eq!((state(&server, slow.id), state(&server, never.id)), (CommandState::Expired, CommandState::Delivered));
    assert_eq!(device.check_in(&server, DeviceFacts::default()).commands.len(), 1);
    device.report(&server, vec![result(slow.id, true, "it took a day")]);
    assert_eq!(state(&server, slow.id), CommandState::Acknowledged);
    server.app.clock.advance(days(7));
    job::expiry::run_once(server.store(), server.app.clock.now()).unwrap();
    assert_eq!(state(&server, never.id), CommandState::Expired);
}

#[test]
fn a_long_poll_ends_as_soon_as_a_command_waits() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let waiting: Waiting = device.wait(&server, 0).message();
    assert!(!waiting.command_waits);

    let took = std::thread::scope(|scope| {
        let poll = scope.spawn(|| {
            let waiting: Waiting = device.wait(&server, 50).message();
            (waiting.command_waits, Instant::now())
        });
        while !server.app.wake.has_waiting_devices() {
            std::thread::yield_now();
        }
        let queued_at = Instant::now();
        queue(&server, &device, Order::lock(), None);
        let (command_waits, answered_at) = poll.join().unwrap();
        assert!(command_waits);
        answered_at.duration_since(queued_at)
    });

    assert!(took < Duration::from_secs(20), "{took:?}");
    let waiting: Waiting = device.wait(&server, 50).message();
    assert!(waiting.command_waits, "and at once while it is not delivered");
    device.check_in(&server, DeviceFacts::default());
    let waiting: Waiting = device.wait(&server, 0).message();
    assert!(!waiting.command_waits);
    assert!(!server.app.wake.has_waiting_devices(), "nobody is left in the registry");
}

#[test]
fn a_command_that_another_process_queued_wakes_a_waiting_device() {
    let server = TestServer::start();
    if !server.store().is_shared() {
        return;
    }
    let device = SimDevice::join(&server);
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| device.wait(&server, 50).message::<Waiting>().command_waits);
        while !server.app.wake.has_waiting_devices() {
            std::thread::yield_now();
        }
        let (id, other) = (device.id(), Store::open(&server.app.config.database).unwrap());
        let queued = other.act_blocking(move |conn| {
            let device = store::device::find(conn, id)?.unwrap();
            command::queue(conn, &admin(), &device, Ask { order: &Order::lock(), request_key: None }, NOW)
        });
        queued.unwrap();
        job::command::run_once(server.store(), NOW).unwrap();
        assert!(poll.join().unwrap());
    });
}

#[test]
fn a_stopping_server_ends_the_long_polls() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    std::thread::scope(|scope| {
        let poll = scope.spawn(|| device.wait(&server, 50).message::<Waiting>().command_waits);
        while !server.app.wake.has_waiting_devices() {
            std::thread::yield_now();
        }
        server.app.wake.stop();
        assert!(!poll.join().unwrap());
    });
}

#[test]
fn a_wipe_is_never_delivered_without_an_approved_request() {
    let server = TestServer::start();
    let device = SimDevice::join(&server);
    let command = queue(&server, &device, Order::wipe(vec![]), None);

    assert!(device.check_in(&server, DeviceFacts::default()).commands.is_empty());
    assert_ne!(state(&server, command.id), CommandState::Delivered);
}
