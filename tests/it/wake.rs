//! Whoever waits is woken by the commit that made work for them, and by nothing else.
use crate::support::NOW;
use crate::support::server::{admin, boss};
use crate::wipe::World;
use actix_web::rt::System;
use domain::command::Order;
use domain::id::DeviceId;
use domain::role::Permission;
use holdfast::error::{Error, Result};
use holdfast::service::command::{self, Ask};
use holdfast::service::mail::{self, Mail, Recipients};
use holdfast::service::proof;
use holdfast::store::{self, Conn, in_transaction};
use holdfast::wake::Woken;
use std::time::Duration;

type Make = fn(&mut Conn, DeviceId) -> Result<()>;

/// What makes work, and which of device, mail and restore tests it wakes.
const MADE: &[(&str, Make, [bool; 3])] = &[
    (
        "a command",
        |conn, id| {
            let device = store::device::find(conn, id)?.unwrap();
            command::queue(conn, &admin(), &device, Ask { order: &Order::lock(), request_key: None }, NOW).map(drop)
        },
        [true, false, false],
    ),
    (
        "a mail",
        |conn, _| {
            let to = Recipients::Permission(Permission::ViewDevices, None);
            let (subject, body) = ("Hello".to_owned(), "Hello\n".to_owned());
            let mail = Mail { to, kind: "test", dedupe_key: None, subject, body };
            assert!(mail::enqueue(conn, &mail, NOW)? > 0);
            Ok(())
        },
        [false, true, false],
    ),
    ("a restore test", |conn, id| proof::ask(conn, &boss(), id, NOW).map(drop), [false, false, true]),
    (
        "a restore test that waits already",
        |conn, id| proof::ask(conn, &boss(), id, NOW).map(drop),
        [false, false, true],
    ),
];

/// Who was woken by a write: device, mail, restore tests.
fn woken<T: Send + 'static>(world: &World, work: impl FnOnce(&mut Conn) -> Result<T> + Send + 'static) -> [bool; 3] {
    let store = world.server.store();
    let (device, mail, proof) =
        (store.wake().subscribe(world.device.id()), store.wake().on_mail(), store.wake().on_proof());
    let _ = store.act_blocking(work);
    let device = System::new().block_on(device.wait(Duration::ZERO)) == Woken::Yes;
    [device, mail.has_changed().unwrap(), proof.has_changed().unwrap()]
}

#[test]
fn a_commit_wakes_whoever_it_made_work_for_and_nobody_else() {
    let world = World::new();
    let id = world.device.id();
    for (name, make, wakes) in MADE {
        assert_eq!(woken(&world, move |conn| make(conn, id)), *wakes, "{name}");
    }
    assert_eq!(woken(&world, |_| Ok(())), [false; 3]);
}

#[test]
fn nobody_is_woken_by_what_was_taken_back() {
    let world = World::new();
    let id = world.device.id();
    let no = || Error::Refused("no".to_owned());
    for (name, make, _) in MADE {
        let whole = woken(&world, move |conn| {
            make(conn, id)?;
            Err::<(), _>(no())
        });
        assert_eq!(whole, [false; 3], "{name}: the whole write");
        let part = woken(&world, move |conn| {
            let undone: Result<()> = in_transaction(conn, |conn| {
                make(conn, id)?;
                Err(no())
            });
            assert!(undone.is_err());
            Ok(())
        });
        assert_eq!(part, [false; 3], "{name}: a part of one that was kept");
    }
}
