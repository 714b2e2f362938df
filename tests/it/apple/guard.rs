//! What one session may not ask of a device alone: the password again, a reason, and people who are told.
use super::World;
use crate::support::device::apple::SimApple;
use crate::support::people::colleague;
use crate::support::visit::{Visit, text};
use domain::command::CommandKind;
use domain::device::Ownership;
use domain::role::Role;
use holdfast::store;

/// A guarded order, where it is asked for, and whether a Mac takes it.
fn address(kind: CommandKind) -> &'static str {
    if kind == CommandKind::ClearPasscode { "passcode-clearings" } else { "orders/{kind}" }
}

#[test]
fn a_guarded_order_of_a_session_whose_password_is_old_asks_for_it_and_does_nothing() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    phone.is_supervised = true;
    phone.enrolls(&world.token(Ownership::Company));
    phone.talks();
    let mut mac = SimApple::mac(world.door, 2);
    mac.enrolls(&world.token(Ownership::Company));
    mac.talks();
    colleague(&world.server, "watcher", Role::Auditor);
    let owner = colleague(&world.server, "grace", Role::Owner);
    let (stale, fresh) = (Visit::stale(&world.server, owner), Visit::of(&world.server, owner));
    let fields = [("message", "call us"), ("reason", "it is lost")];
    for kind in CommandKind::ALL.iter().filter(|it| it.guarded().is_some()) {
        let is_of_macs = matches!(kind, CommandKind::RotateRecoveryKey | CommandKind::SetRecoveryLock);
        let (device, _) = world.device(if is_of_macs { &mac } else { &phone });
        let path = format!("/devices/{}/{}", device.id, address(*kind).replace("{kind}", kind.as_str()));
        let asked = || {
            let all = world.server.read(move |conn| Ok(store::command::of_device(conn, device.id, 100)?));
            all.iter().filter(|it| it.kind == *kind).count()
        };
        let answer = stale.post(&path, &fields);
        assert!(answer.status == 422 && text(&answer).contains("Enter your password"), "{kind}");
        assert_eq!(asked(), 0, "{kind}");
        let before = world.server.mails().len();
        assert_eq!(fresh.post(&path, &fields).status, 303, "{kind}");
        assert_eq!(asked(), 1, "{kind}");
        assert!(world.server.mails().len() > before, "nobody was told of {kind}");
    }
}

#[test]
fn one_session_asks_the_same_of_twenty_devices_and_no_more() {
    let world = World::new();
    let operator = Visit::of(&world.server, colleague(&world.server, "ada", Role::Operator));
    let phones: Vec<_> = (1..=21).map(|it| world.phone(it)).collect();
    for (at, phone) in phones.iter().enumerate() {
        let (device, _) = world.device(phone);
        let answer = operator.post(&format!("/devices/{}/orders/lock", device.id), &[]);
        assert_eq!(answer.status, if at < 20 { 303 } else { 409 }, "{at}");
    }
}
