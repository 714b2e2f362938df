//! Each step of a wipe writes what belongs to it, and leaves the rest of the request as it was.
use super::world::{World, ask};
use crate::support::people::{act_as, colleague, take_roles};
use diesel::connection::SimpleConnection;
use domain::command::{CommandState, Order};
use domain::id::{CommandId, DeviceId};
use domain::role::Role;
use domain::time::{Time, days, minutes};
use domain::wipe::WipeState;
use holdfast::service::wipe;
use holdfast::store;
use holdfast::store::command::Command;
use holdfast::store::wipe::WipeRequest;

/// Time passes, so that each moment that is noted is another.
fn later(world: &World) -> Time {
    world.server.app.clock.advance(minutes(1));
    world.now()
}

#[test]
fn from_the_request_to_the_end_each_step_adds_its_own() {
    let world = World::new();
    let requested = world.requested();
    let approved_at = later(&world);
    let approved = world.approved(&requested);
    assert_eq!(
        approved,
        WipeRequest {
            state: WipeState::Cooling,
            approved_by: Some(world.second),
            approved_at: Some(approved_at),
            release_at: Some(approved_at + minutes(10)),
            ..requested
        }
    );
    world.cools();
    let released = world.find(approved.id);
    assert!(released.command_id.is_some());
    assert_eq!(
        released,
        WipeRequest {
            state: WipeState::Released,
            command_id: released.command_id,
            state_note: "the order is waiting for the device".to_owned(),
            ..approved
        }
    );
    let delivered_at = later(&world);
    assert_eq!(world.fetches().len(), 1);
    let delivered = world.find(released.id);
    assert_eq!(
        delivered,
        WipeRequest {
            state: WipeState::Delivered,
            delivered_at: Some(delivered_at),
            state_note: "the device has the order; waiting for its report".to_owned(),
            ..released
        }
    );
    let reported_at = later(&world);
    assert_eq!(world.sends(&world.report(&delivered, &[])).status, 200);
    let confirmed = world.find(delivered.id);
    assert!(confirmed.report.is_some());
    assert_eq!(
        confirmed,
        WipeRequest {
            state: WipeState::Confirmed,
            acknowledged_at: Some(reported_at),
            finished_at: Some(reported_at),
            report: confirmed.report.clone(),
            state_note: "key destroyed, 96 files removed".to_owned(),
            ..delivered
        }
    );
}

#[test]
fn a_stop_says_by_whom_when_and_why() {
    let world = World::new();
    let approved = world.approved(&world.requested());
    let stopped_at = later(&world);
    let stopped = world.stops(approved.id).unwrap();
    assert_eq!(stopped, world.find(approved.id));
    assert!(stopped.stopped_by.is_some());
    assert_eq!(
        stopped,
        WipeRequest {
            state: WipeState::Cancelled,
            finished_at: Some(stopped_at),
            stopped_by: stopped.stopped_by.clone(),
            state_note: "the laptop was found".to_owned(),
            ..approved
        }
    );
}

#[test]
fn a_reason_to_stop_has_as_many_bytes_as_fit() {
    let world = World::new();
    let request = world.requested();
    let (id, now) = (request.id, world.now());
    let stops = |why: String| {
        act_as(&world.server, world.second, move |conn, by| wipe::stop(conn, by, id, &why, now)).map(|it| it.state_note)
    };
    assert!(stops("x".repeat(201)).is_err() && stops("a\nb".to_owned()).is_err());
    assert_eq!(stops("x".repeat(200)).unwrap(), "x".repeat(200));
}

#[test]
fn what_is_released_is_stopped_with_its_order_and_what_the_device_has_is_not() {
    let world = World::new();
    let released = world.released();
    let stopped = world.stops(released.id).unwrap();
    assert_eq!(stopped.state, WipeState::Cancelled);
    let order = world.server.read(move |conn| Ok(store::command::find(conn, released.command_id.unwrap())?)).unwrap();
    assert_eq!(order.state, CommandState::Cancelled, "before anybody asks for it");
    assert!(world.fetches().is_empty(), "the order went with it");

    let again = world.released();
    assert_eq!(world.fetches().len(), 1);
    assert!(world.stops(again.id).is_err());
    assert_eq!(world.state(again.id), WipeState::Delivered);
}

#[test]
fn a_review_begins_again_from_nothing() {
    let world = World::new();
    let approved = world.approved(&world.requested());
    world.says(400);
    world.cools();
    let waiting = world.find(approved.id);
    assert_eq!(waiting.state, WipeState::ReviewAgain, "{}", waiting.state_note);
    assert_eq!((waiting.delivered_at, waiting.finished_at), (None, None));
    let reviewed_at = later(&world);
    let (facts, id) = (world.facts(), waiting.id);
    let agreement = ask(&facts);
    let reviewed = act_as(&world.server, world.asker, move |conn, by| {
        wipe::review(conn, by, id, agreement.agreement(), reviewed_at)
    })
    .unwrap();
    assert_eq!(
        reviewed,
        WipeRequest {
            state: WipeState::Requested,
            facts: serde_json::to_string(&facts).unwrap(),
            facts_digest: ask(&facts).facts_token,
            approved_by: None,
            approved_at: None,
            release_at: None,
            command_id: None,
            state_note: "the requester agreed to the facts as they are now".to_owned(),
            expires_at: reviewed_at + days(7),
            ..waiting
        }
    );
}

#[test]
fn an_order_that_was_taken_back_leaves_nothing_on_its_request() {
    let world = World::new();
    let released = world.released();
    world.says(400);
    let waiting = world.find(released.id);
    assert_eq!(waiting.state, WipeState::ReviewAgain, "{}", waiting.state_note);
    let (agreement, id, now) = (ask(&world.facts()), waiting.id, later(&world));
    let reviewed =
        act_as(&world.server, world.asker, move |conn, by| wipe::review(conn, by, id, agreement.agreement(), now))
            .unwrap();
    assert_eq!((reviewed.command_id, reviewed.release_at, reviewed.approved_at), (None, None, None));
    let approved = world.approved(&reviewed);
    assert_eq!(approved.state_note, "", "what the review said is over");
    world.cools();
    assert_ne!(world.find(id).command_id, released.command_id, "it has an order of its own");
}

#[test]
fn an_end_without_a_report_says_when() {
    let world = World::new();
    let request = world.requested();
    world.server.app.clock.advance(days(8));
    world.job();
    let expired = world.find(request.id);
    assert_eq!(
        expired,
        WipeRequest {
            state: WipeState::Expired,
            finished_at: Some(world.now()),
            state_note: "it was not delivered within 7 days".to_owned(),
            ..request
        }
    );
}

#[test]
fn a_hold_that_ends_leaves_no_old_approval_and_counts_from_then() {
    let world = World::new();
    let approved = world.approved(&world.requested());
    let third = colleague(&world.server, "third", Role::Approver);
    take_roles(&world.server, world.second);
    world.cools();
    let held = world.find(approved.id);
    assert_eq!(held.state, WipeState::Held, "{}", held.state_note);
    let lifted_at = later(&world);
    let id = held.id;
    let lifted = act_as(&world.server, third, move |conn, by| wipe::lift(conn, by, id, lifted_at)).unwrap();
    assert_eq!(
        lifted,
        WipeRequest {
            state: WipeState::Requested,
            passed_at: Some(lifted_at),
            approved_by: None,
            approved_at: None,
            release_at: None,
            state_note: String::new(),
            ..held
        }
    );
}

#[test]
fn a_request_of_an_enrolment_that_is_over_is_not_released() {
    let world = World::new();
    let approved = world.approved(&world.requested());
    let id = world.device.id();
    world.server.act(move |conn| {
        let device = store::device::find(conn, id)?.unwrap();
        Ok(conn.batch_execute(&format!("UPDATE devices SET generation = generation + 1 WHERE id = '{}'", device.id))?)
    });

    world.cools();

    let ended = world.find(approved.id);
    assert_eq!((ended.state, ended.command_id), (WipeState::Cancelled, None), "{}", ended.state_note);
}

#[test]
fn every_order_that_erases_counts_for_the_limit_whatever_is_behind_it() {
    let world = World::new();
    let approved = world.approved(&world.requested());
    let before = world.find(approved.id);
    let (id, generation, at) = (world.device.id(), world.device.generation(), world.now());
    world.server.app.clock.advance(minutes(10));
    world.server.act(move |conn| {
        for _ in 0..200 {
            let order = Order::RemoveCompanyData;
            store::command::insert(conn, &forged(id, generation, &order, at))?;
        }
        Ok(())
    });

    world.job();
    assert_eq!(world.find(approved.id), before, "it waits for its turn");

    world.server.app.clock.advance(minutes(61));
    world.says(4);
    let (steady, now) = (world.server.app.clock.steady_since(), world.now());
    let released = world.server.act(move |conn| wipe::release_due(conn, 10, steady, now));
    assert_eq!((released, world.state(approved.id)), (1, WipeState::Released));
}

/// An order that was carried out, with no request behind it.
fn forged(device: DeviceId, generation: i64, order: &Order, at: Time) -> Command {
    Command {
        id: CommandId::generate(at),
        device_id: device,
        generation,
        kind: order.kind(),
        payload: serde_json::to_string(order).unwrap(),
        state: CommandState::Acknowledged,
        created_at: at,
        expires_at: at + days(1),
        delivered_at: Some(at),
        finished_at: Some(at),
        created_by: "somebody".to_owned(),
        request_key: None,
        result: None,
    }
}

#[test]
fn the_history_says_why_a_wipe_was_asked_for_and_what_it_would_lose() {
    let world = World::new();
    let request = world.requested();
    let all = world.server.read(|conn| Ok(store::activity::all(conn)?));
    let entry = all.iter().find(|it| it.action == domain::activity::Action::WipeRequested).unwrap();
    let start = format!("{}: {} (T-17). ", request.action.name(), request.reason.name());
    let loss = entry.reason.strip_prefix(&start).unwrap_or_else(|| panic!("{}", entry.reason));
    assert!(loss.contains("4 files") && loss.contains("92 files"), "{loss}");
}

#[test]
fn an_order_that_did_not_arrive_and_is_taken_back_is_not_owed() {
    let world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);
    assert!(world.find(released.id).delivered_at.is_some());

    // It asks again without having got the answer, and there is more to lose by now.
    assert!(world.says(400).is_empty());

    let waiting = world.find(released.id);
    assert_eq!((waiting.state, waiting.delivered_at), (WipeState::ReviewAgain, None), "{}", waiting.state_note);
}
