//! From a lost iPhone to the last thing it says: through the same gate as every other device.
use super::World;
use crate::support::device::apple::SimApple;
use crate::support::people::{act_as, colleague};
use crate::wipe::ask;
use domain::command::CommandState;
use domain::device::{DeviceState, Ownership};
use domain::role::Role;
use domain::time::minutes;
use domain::wipe::{WipeAction, WipeState};
use holdfast::service::approval;
use holdfast::service::wipe::{self, Ask, Seen};
use holdfast::store::wipe::WipeRequest;
use holdfast::{job, store};

fn request(world: &World, phone: &SimApple, action: WipeAction) -> WipeRequest {
    let ((device, _), now) = (world.device(phone), world.now());
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let asker = colleague(&world.server, "asker", Role::Operator);
    let ask = Ask { action, ..ask(&facts) };
    act_as(&world.server, asker, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap()
}

fn approve(world: &World, phone: &SimApple, request: &WipeRequest) {
    let ((device, _), now) = (world.device(phone), world.now());
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let seen = Seen { agreed: request.facts_digest.clone(), current: approval::digest(&facts).unwrap() };
    let (second, id) = (colleague(&world.server, "second", Role::Approver), request.id);
    act_as(&world.server, second, move |conn, by| wipe::approve(conn, by, id, &seen, now)).unwrap();
    world.server.app.clock.advance(minutes(10));
    job::wipe::run_once(world.server.store(), &world.server.app.clock).unwrap();
}

fn find(world: &World, request: &WipeRequest) -> WipeRequest {
    let id = request.id;
    world.server.read(move |conn| Ok(store::wipe::find(conn, id)?)).unwrap()
}

#[test]
fn a_lost_iphone_is_erased_through_the_gate_and_enrolls_again_without_an_old_command() {
    let world = World::new();
    let mut phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);

    let asked = request(&world, &phone, WipeAction::Wipe);
    assert!(phone.idles().is_none(), "nothing goes out on a request");
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();
    assert_eq!(order.kind, "EraseDevice");
    assert_eq!(find(&world, &asked).state, WipeState::Delivered);
    assert!(phone.reports("Acknowledged", &order).is_none());

    let done = find(&world, &asked);
    assert_eq!(done.state, WipeState::Confirmed);
    assert_eq!(done.state_note, "the device answered that it erases itself, which is the last it can say");
    let id = device.id;
    let (erased, command) = world.server.read(move |conn| {
        let command = store::command::find(conn, done.command_id.unwrap())?.unwrap();
        Ok((store::device::find(conn, id)?.unwrap(), command))
    });
    assert_eq!((erased.state, command.state), (DeviceState::Wiped, CommandState::Acknowledged));
    let acts: Vec<_> = world.history(id).into_iter().filter(|it| it.starts_with("wipe_")).collect();
    assert_eq!(
        acts,
        ["wipe_requested", "wipe_approved", "wipe_released", "wipe_delivered", "wipe_acknowledged", "wipe_confirmed"]
    );
    assert_eq!(phone.says(phone.report("Idle", None, Default::default())).status, 403, "its enrolment is over");

    phone.enrolls(&world.token(Ownership::Company));
    let (again, _) = world.device(&phone);
    assert_ne!(again.id, id, "an erased phone comes back as another device");
    let kinds: Vec<_> = phone.talks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, ["DeviceInformation", "SecurityInfo"]);
}

#[test]
fn an_error_says_that_the_phone_did_not_do_it_and_it_stays_ours() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let asked = request(&world, &phone, WipeAction::Wipe);
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();

    assert!(phone.reports("Error", &order).is_none());

    let failed = find(&world, &asked);
    assert_eq!(failed.state, WipeState::Failed);
    assert!(failed.state_note.contains("the device gave no reason"), "{}", failed.state_note);
    assert_eq!(world.device(&phone).0.state, DeviceState::Enrolled);
}

#[test]
fn a_personal_phone_is_never_erased_but_its_management_removed() {
    let world = World::new();
    let mut phone = SimApple::phone(world.door, 1);
    phone.enrolls(&world.token(Ownership::Personal));
    phone.talks();
    let (device, _) = world.device(&phone);
    let now = world.now();
    let facts = world.server.read(|conn| wipe::facts(conn, &device, now));
    let asker = colleague(&world.server, "somebody", Role::Operator);
    let whole = ask(&facts);
    assert!(act_as(&world.server, asker, move |conn, by| wipe::request(conn, by, &whole, now)).is_err());

    let asked = request(&world, &phone, WipeAction::RemoveCompanyData);
    approve(&world, &phone, &asked);
    let order = phone.idles().unwrap();
    assert_eq!(order.kind, "RemoveProfile");
    assert!(phone.reports("Acknowledged", &order).is_none());
    assert_eq!(find(&world, &asked).state, WipeState::Confirmed);
}

#[test]
fn an_order_to_erase_that_no_request_released_never_becomes_a_command() {
    let world = World::new();
    let phone = world.phone(1);
    phone.talks();
    let (device, _) = world.device(&phone);
    let now = world.now();
    world.server.act(move |conn| {
        let order = domain::command::Order::Wipe { roots: vec![] };
        let ask = holdfast::service::command::Ask { order: &order, request_key: None };
        holdfast::service::command::queue(conn, &crate::support::server::admin(), &device, ask, now)
    });
    assert!(phone.talks().is_empty());
}
