//! The command channel: facts come back, orders go out one by one, and what cannot be done now stalls nothing.
use super::{QUESTIONS, World};
use crate::support::device::apple::SimApple;
use crate::support::people::colleague;
use crate::support::server::admin;
use crate::support::visit::{Visit, text};
use apple::plist::{Dictionary, Value, read};
use domain::command::{CommandKind, CommandState, Order};
use domain::device::{Encryption, Ownership};
use domain::fact::{FactKind, FactValue};
use domain::id::CommandId;
use domain::role::Role;
use domain::time::{hours, minutes};
use holdfast::service::command::{self, Ask};
use holdfast::store;
use holdfast::store::command::Command;

fn orders(world: &World, phone: &SimApple, order: Order) -> CommandId {
    let ((device, _), now) = (world.device(phone), world.now());
    let ask =
        move |conn: &mut _| command::queue(conn, &admin(), &device, Ask { order: &order, request_key: None }, now);
    world.server.act(ask).id
}

fn command(world: &World, id: CommandId) -> Command {
    world.server.read(move |conn| Ok(store::command::find(conn, id)?)).unwrap()
}

#[test]
fn what_a_phone_answers_becomes_facts_that_are_reported_and_no_more() {
    let world = World::new();
    let phone = world.phone(1);

    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();

    assert_eq!(kinds, QUESTIONS);
    assert!(phone.talks().is_empty(), "not again at once");
    let (device, _) = world.device(&phone);
    let status = world.server.read(move |conn| Ok(store::device_status::find(conn, device.id)?)).unwrap();
    let facts = status.facts().unwrap();
    assert_eq!(facts.encryption().map(|(it, _)| it.state), Some(Encryption::On));
    assert_eq!(facts.get(FactKind::BatteryPercent).map(|it| &it.value), Some(&FactValue::Number(50)));
    let backup = facts.get(FactKind::LastCloudBackup).unwrap();
    assert_eq!((&backup.value, backup.source.as_str()), (&FactValue::Number(1_794_452_645_000), "DeviceInformation"));
    let reader = Visit::of(&world.server, colleague(&world.server, "ada", Role::Operator));
    let page = text(&reader.get(&format!("/devices/{}", status.device_id)));
    assert!(page.contains("Apple reports a backup on 12 Nov"), "{page}");
    assert!(page.contains("We cannot test it."), "{page}");
    assert!(page.contains("Data Protection"), "{page}");

    world.server.app.clock.advance(hours(6));
    let again: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(again, QUESTIONS[..3], "it is asked again; for long lists once a day");
}

#[test]
fn a_lock_goes_out_once_and_its_answer_ends_it() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let id = orders(&world, &phone, Order::lock());

    let asked = phone.idles().unwrap();
    assert_eq!((asked.kind.as_str(), asked.id.as_str()), ("DeviceLock", id.as_str()));
    assert_eq!(command(&world, id).state, CommandState::Delivered);
    assert_eq!(phone.idles().unwrap().id, asked.id, "a device that did not answer did not receive it");
    assert!(phone.reports("Acknowledged", &asked).is_none());
    assert_eq!(command(&world, id).state, CommandState::Acknowledged);
    assert!(phone.reports("Error", &asked).is_none(), "a second answer changes nothing");
    assert_eq!(command(&world, id).state, CommandState::Acknowledged);
}

#[test]
fn an_error_ends_a_command_with_the_chain_of_its_causes() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let id = orders(&world, &phone, Order::lock());
    let asked = phone.idles().unwrap();
    let chain = "<plist version=\"1.0\"><dict><key>ErrorChain</key><array><dict><key>ErrorCode</key><integer>12021</integer>\
        <key>ErrorDomain</key><string>MCMDMErrorDomain</string><key>LocalizedDescription</key><string>x</string>\
        <key>USEnglishDescription</key><string>The device is asleep.</string></dict></array></dict></plist>";
    let report = phone.report("Error", Some(&asked), read(chain.as_bytes()).unwrap());
    assert!(phone.asked(&phone.says(report)).is_none());
    let ended = command(&world, id);
    assert_eq!(ended.state, CommandState::Failed);
    assert_eq!(ended.result.as_deref(), Some("The device is asleep. (MCMDMErrorDomain 12021)"));

    let id = orders(&world, &phone, Order::lock());
    let asked = phone.idles().unwrap();
    assert!(phone.reports("CommandFormatError", &asked).is_none());
    assert_eq!(command(&world, id).state, CommandState::Failed);
}

#[test]
fn what_a_phone_cannot_do_now_stalls_nothing_and_comes_again_when_it_asks() {
    let world = World::new();
    let phone = world.phone(1);
    let first = orders(&world, &phone, Order::lock());
    // Of two of the same moment nobody can say which is the older.
    world.server.app.clock.advance(minutes(1));
    let second = orders(&world, &phone, Order::lock());

    for _ in 0..6 {
        let asked = phone.idles().unwrap();
        assert_eq!(asked.id, first.as_str());
        let next = phone.reports("NotNow", &asked).unwrap();
        assert_eq!(next.id, second.as_str(), "the next one is not held up");
        let mut put_off = Vec::new();
        let mut question = phone.reports("NotNow", &next);
        while let Some(asked) = question {
            put_off.push(asked.kind.clone());
            assert!(put_off.len() <= QUESTIONS.len(), "nothing of this comes again in this session");
            question = phone.reports("NotNow", &asked);
        }
        assert_eq!(put_off, QUESTIONS);
        world.server.app.clock.advance(minutes(10));
    }
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds[..2], ["DeviceLock", "DeviceLock"]);
    assert_eq!(kinds[2..], QUESTIONS);
    assert_eq!(command(&world, first).state, CommandState::Acknowledged);
}

#[test]
fn a_phone_that_refuses_a_question_is_not_asked_without_end() {
    let world = World::new();
    let phone = world.phone(1);
    let asked = phone.idles().unwrap();
    let mut kinds = vec![asked.kind.clone()];
    let mut next = phone.reports("Error", &asked);
    while let Some(asked) = next {
        kinds.push(asked.kind.clone());
        assert!(kinds.len() <= QUESTIONS.len(), "{kinds:?}");
        next = phone.reports("CommandFormatError", &asked);
    }
    assert_eq!(kinds, QUESTIONS);
    assert!(phone.idles().is_none());
}

#[test]
fn nobody_answers_for_another_device_or_a_command_that_was_never_asked() {
    let world = World::new();
    let (one, two) = (world.phone(1), world.phone(2));
    one.talks();
    two.talks();
    let id = orders(&world, &one, Order::lock());
    let asked = one.idles().unwrap();
    assert!(two.reports("Acknowledged", &asked).is_none());
    assert_eq!(command(&world, id).state, CommandState::Delivered);
    let mut unknown = asked.clone();
    unknown.id = "made-up".to_owned();
    assert_eq!(one.reports("Acknowledged", &unknown).unwrap().id, asked.id);
}

#[test]
fn a_mac_without_our_agent_is_not_asked_for_a_backup() {
    let world = World::new();
    let mut mac = SimApple::mac(world.door, 1);
    mac.enrolls(&world.token(Ownership::Company));
    mac.talks();
    let (device, _) = world.device(&mac);
    for (kind, can) in [(CommandKind::Lock, true), (CommandKind::Wipe, true), (CommandKind::BackUpNow, false)] {
        let of = device.clone();
        let refused = world.server.app.store.read_blocking(move |conn| command::require_order(conn, &of, kind));
        assert_eq!(refused.is_ok(), can, "{kind}");
    }
}

#[test]
fn a_mac_keeps_its_bootstrap_token_here_and_its_users_have_no_channel() {
    let world = World::new();
    let mut mac = SimApple::mac(world.door, 1);
    mac.enrolls(&world.token(Ownership::Company));
    let ask = || mac.says(mac.message("MessageType", "GetBootstrapToken"));
    assert_eq!(ask().status, 404);
    let mut set = mac.message("MessageType", "SetBootstrapToken");
    set.insert("BootstrapToken".to_owned(), Value::Data(b"bootstrap".to_vec()));
    assert_eq!(mac.says(set).status, 200);
    let answer = read(&ask().body).unwrap();
    assert_eq!(answer.get("BootstrapToken"), Some(&Value::Data(b"bootstrap".to_vec())));

    let mut user = mac.message("MessageType", "UserAuthenticate");
    user.insert("UserID".to_owned(), Value::String("grace".to_owned()));
    assert_eq!(mac.says(user).status, 410);
    let mut report = mac.report("Idle", None, Dictionary::new());
    report.insert("UserID".to_owned(), Value::String("grace".to_owned()));
    assert!(mac.asked(&mac.says(report)).is_none(), "a user's channel gets no order of the device");
    let mut declarative = mac.message("MessageType", "DeclarativeManagement");
    declarative.insert("Endpoint".to_owned(), Value::String("tokens".to_owned()));
    assert_eq!(mac.says(declarative).status, 404);
}
