//! Wiping a device: nothing is sent without the facts, a second person, the hold, and one more check.
mod damage;
mod host;
mod identity;
mod mass;
mod page;
mod refusal;
mod report;
mod review;
mod step;
mod world;

pub use world::{World, ask, restore_point, said};

use crate::support::NOW;
use domain::command::{CommandKind, CommandState};
use domain::device::{DeviceState, Ownership};
use domain::id::CommandId;
use domain::object::RepositoryState;
use domain::time::{days, hours, minutes};
use domain::wipe::{WipeAction, WipeState};
use holdfast::store;
use holdfast::store::command::Command;
use std::time::Duration;
use wire::{ErrorCode, Payload, WipeReceipt};

#[test]
fn two_people_and_the_hold_wipe_a_device_and_its_backups_stay() {
    let world = World::new();

    let request = world.requested();
    assert_eq!(request.state, WipeState::Requested);
    assert!(world.fetches().is_empty(), "nothing goes out on a request");
    let approved = world.approved(&request);
    assert_eq!((approved.state, approved.release_at), (WipeState::Cooling, Some(NOW + minutes(10))));
    assert!(world.fetches().is_empty(), "nothing goes out while it waits");
    world.cools();
    let orders = world.fetches();
    assert_eq!(orders.len(), 1);
    assert_eq!(orders[0].payload, Payload::Wipe { roots: vec!["/home/grace".to_owned()] });
    assert_eq!(world.state(request.id), WipeState::Delivered);
    let report = world.report(&world.find(request.id), &[]);
    let receipt: WipeReceipt = world.sends(&report).message();
    let again: WipeReceipt = world.sends(&report).message();

    assert_eq!(receipt, again, "a report whose receipt was lost gets the same one");
    let done = world.find(request.id);
    assert_eq!((done.state, done.state_note.as_str()), (WipeState::Confirmed, "key destroyed, 96 files removed"));
    let id = world.device.id();
    world.server.read(|conn| {
        let device = store::device::find(conn, id)?.unwrap();
        assert_eq!((device.state, device.erased_at), (DeviceState::Wiped, Some(world.now())));
        let repositories = store::repository::of_device(conn, id)?;
        assert!(repositories.iter().all(|it| it.state == RepositoryState::ReadOnly));
        let tokens = store::repository::tokens(conn, repositories[0].id)?;
        assert!(tokens.iter().all(|it| it.revoked_at.is_some()));
        assert_eq!(store::restore_point::of_device(conn, id, 9)?.len(), 2, "what can be restored stays");
        let command = store::command::find(conn, done.command_id.unwrap())?.unwrap();
        assert_eq!(command.state, CommandState::Acknowledged);
        Ok(())
    });
    let acts = world.history();
    assert_eq!(
        acts.iter().filter(|it| it.starts_with("wipe_")).map(String::as_str).collect::<Vec<_>>(),
        ["wipe_requested", "wipe_approved", "wipe_released", "wipe_delivered", "wipe_acknowledged", "wipe_confirmed"]
    );
    let mails = world.server.read(|conn| Ok(store::mail::due(conn, world.now(), 50)?));
    for subject in ["Wipe requested: laptop-1", "Wipe approved: laptop-1", "Wipe confirmed: laptop-1"] {
        assert_eq!(mails.iter().filter(|it| it.subject == subject).count(), 2, "{subject}");
    }
}

#[test]
fn the_hold_cannot_be_cut_short() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);

    for _ in 0..10 {
        world.server.app.clock.advance(Duration::from_millis(59_999));
        world.job();
        assert_eq!(world.state(request.id), WipeState::Cooling);
        assert!(world.fetches().is_empty());
    }
    world.server.app.clock.advance(Duration::from_millis(10));
    world.job();

    assert_eq!(world.state(request.id), WipeState::Released);
}

#[test]
fn a_clock_set_back_holds_the_wipe() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);

    world.server.app.clock.set(NOW - days(365));
    world.job();

    let held = world.find(request.id);
    assert_eq!(held.state, WipeState::Held);
    assert!(held.state_note.contains("clock was set back"), "{}", held.state_note);
    world.server.app.clock.set(NOW + days(1));
    world.job();
    assert_eq!(world.state(request.id), WipeState::Held, "only a person lets it go on");
    assert!(world.fetches().is_empty());
}

#[test]
fn a_clock_that_jumps_ahead_ends_no_hold() {
    let world = World::new();
    let request = world.requested();
    world.approved(&request);

    world.server.app.clock.set(NOW + days(1));
    world.job();

    assert_eq!(world.state(request.id), WipeState::Cooling);
    world.cools();
    assert_eq!(world.state(request.id), WipeState::Released);
}

#[test]
fn anyone_stops_it_in_every_state_before_delivery() {
    type Bring = fn(&World) -> domain::id::WipeRequestId;
    let states: &[(WipeState, Bring)] = &[
        (WipeState::Requested, |world| world.requested().id),
        (WipeState::Cooling, |world| world.approved(&world.requested()).id),
        (WipeState::Released, |world| world.released().id),
        (WipeState::Held, |world| {
            let id = world.approved(&world.requested()).id;
            world.server.app.clock.set(NOW - days(2));
            world.job();
            id
        }),
        (WipeState::ReviewAgain, |world| {
            let request = world.requested();
            world.says(5);
            world.approves_as(world.second, &request).unwrap();
            request.id
        }),
    ];
    for (state, bring) in states {
        let world = World::new();
        let id = bring(&world);
        assert_eq!(world.state(id), *state);

        let stopped = world.stops(id).unwrap();

        assert_eq!(stopped.state, WipeState::Cancelled, "{state}");
        world.cools();
        assert!(world.fetches().is_empty(), "{state}");
        assert!(world.history().contains(&"wipe_stopped".to_owned()));
        assert!(world.stops(id).is_err(), "once");
    }
}

#[test]
fn what_the_device_has_is_not_stopped() {
    let world = World::new();
    let request = world.released();
    assert_eq!(world.fetches().len(), 1);

    let refused = world.stops(request.id).unwrap_err();

    assert_eq!(refused.to_string(), "too late to stop: the wipe is “Delivered”");
    assert_eq!(world.fetches().len(), 1, "the order is there until the report has come");
}

#[test]
fn a_request_that_is_not_delivered_in_seven_days_ends() {
    let world = World::new();
    let released = world.released();

    world.server.app.clock.advance(days(7));
    world.job();

    assert_eq!(world.state(released.id), WipeState::Expired);
    assert!(world.fetches().is_empty());
}

#[test]
fn an_order_of_an_older_enrolment_is_never_delivered() {
    let mut world = World::new();
    let released = world.released();

    world.enrols_again();
    world.job();

    assert_eq!(world.device.generation(), 2);
    let facts = world.facts();
    assert_eq!(
        (facts.loss().only_here, facts.known.last_seen_at),
        (None, None),
        "what the old one said is not known of the new"
    );
    assert!(world.fetches().is_empty());
    assert_eq!(world.state(released.id), WipeState::Cancelled);
}

#[test]
fn an_order_without_a_report_fails_and_leaves_room_for_another() {
    let world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);

    world.server.app.clock.advance(days(14));
    world.expires();
    assert_eq!(world.state(released.id), WipeState::Delivered, "the device may still report");
    world.server.app.clock.advance(days(2));
    world.expires();

    let failed = world.find(released.id);
    assert_eq!((failed.state, failed.finished_at), (WipeState::Failed, Some(world.now())));
    assert!(failed.state_note.contains("treat the device as if nothing was erased"), "{}", failed.state_note);
    assert_eq!(world.told("Wipe failed: laptop-1"), 2);
    world.requested();
}

#[test]
fn a_device_that_enrolled_again_owes_no_report() {
    let mut world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);

    world.enrols_again();
    world.job();

    assert_eq!(world.state(released.id), WipeState::Failed);
}

#[test]
fn a_late_report_is_accepted() {
    let world = World::new();
    let released = world.released();
    world.fetches();
    world.server.app.clock.advance(days(16));
    world.expires();
    assert_eq!(world.state(released.id), WipeState::Failed);

    let receipt = world.sends(&world.report(&released, &[]));

    assert_eq!(receipt.status, 200);
    assert_eq!(world.state(released.id), WipeState::Confirmed);
    let device = world.server.read(|conn| Ok(store::device::find(conn, world.device.id())?)).unwrap();
    assert_eq!(device.state, DeviceState::Wiped);
}

#[test]
fn a_wipe_that_left_something_is_failed_and_says_so() {
    let world = World::new();
    let released = world.released();
    world.fetches();

    let receipt = world.sends(&world.report(&released, &["/home/grace/mount: another file system"]));

    assert_eq!(receipt.status, 200);
    let failed = world.find(released.id);
    assert_eq!(failed.state, WipeState::Failed);
    assert!(failed.report.unwrap().contains("another file system"));
    let device = world.server.read(|conn| Ok(store::device::find(conn, world.device.id())?)).unwrap();
    assert_eq!((device.state, device.erased_at), (DeviceState::WipeFailed, None), "it is not called wiped");
    let again = world.sends(&world.report(&released, &["/home/grace/mount: another file system"]));
    assert_eq!(again.status, 200, "a report whose receipt was lost gets the same one");
}

#[test]
fn a_folder_of_which_the_report_says_nothing_was_not_erased() {
    let world = World::new();
    let released = world.released();
    world.fetches();
    let mut report = world.report(&released, &[]);
    report.roots.clear();

    assert_eq!(world.sends(&report).status, 200);

    let failed = world.find(released.id);
    assert_eq!(failed.state, WipeState::Failed);
    assert!(failed.state_note.contains("does not mention 1 of the folders"), "{}", failed.state_note);
}

#[test]
fn a_report_without_an_order_is_not_a_wipe() {
    let world = World::new();
    let released = world.released();

    let early = world.sends(&world.report(&released, &[]));
    let foreign = {
        let mut report = world.report(&released, &[]);
        report.command_id = CommandId::generate(NOW);
        world.sends(&report)
    };

    assert_eq!((early.status, foreign.status), (409, 404));
    assert_eq!(world.state(released.id), WipeState::Released);
    assert_eq!(early.json()["error"], serde_json::to_value(ErrorCode::Conflict).unwrap());
}

#[test]
fn a_wipe_command_that_nobody_requested_is_not_delivered() {
    let world = World::new();
    let requested = world.requested();
    let id = world.device.id();
    let inserted = world.server.act(move |conn| {
        let command = Command {
            id: CommandId::generate(NOW),
            device_id: id,
            generation: 1,
            kind: CommandKind::Wipe,
            payload: r#"{"kind":"wipe","roots":["/home/grace"]}"#.to_owned(),
            state: CommandState::Queued,
            request_key: None,
            created_by: "somebody".to_owned(),
            created_at: NOW,
            expires_at: NOW + days(30),
            delivered_at: None,
            finished_at: None,
            result: None,
        };
        store::command::insert(conn, &command)?;
        let handed_out = Command { id: CommandId::generate(NOW), state: CommandState::Delivered, ..command.clone() };
        store::command::insert(conn, &handed_out)?;
        // One even names a request, which nobody approved.
        let named = Command { id: CommandId::generate(NOW), ..command };
        store::command::insert(conn, &named)?;
        let forged = store::wipe::WipeRequest { command_id: Some(named.id), ..requested.clone() };
        store::wipe::update(conn, &forged, WipeState::Requested)?;
        let released = store::wipe::WipeRequest { state: WipeState::Released, ..forged };
        store::wipe::update(conn, &released, WipeState::Requested)?;
        Ok([handed_out.id, named.id])
    });

    assert!(world.fetches().is_empty());

    for id in inserted {
        let command = world.server.read(|conn| Ok(store::command::find(conn, id)?)).unwrap();
        assert_eq!(command.state, CommandState::Cancelled);
    }
    assert!(world.history().contains(&"command_cancelled".to_owned()));
    assert!(world.history().contains(&"wipe_held".to_owned()));
}

#[test]
fn a_changed_order_is_not_delivered() {
    let forgeries: [fn(Command) -> Command; 4] = [
        |order| Command { payload: r#"{"kind":"wipe","roots":["/"]}"#.to_owned(), ..order },
        |order| Command { kind: CommandKind::RemoveCompanyData, ..order },
        |order| Command { kind: CommandKind::Lock, ..order },
        |order| Command { kind: CommandKind::Lock, payload: "?".to_owned(), ..order },
    ];
    for forge in forgeries {
        let world = World::new();
        let released = world.released();
        let id = world.server.act(move |conn| {
            let order = store::command::find(conn, released.command_id.unwrap())?.unwrap();
            let other = forge(Command { id: CommandId::generate(NOW), ..order });
            store::command::insert(conn, &other)?;
            let forged = store::wipe::WipeRequest { command_id: Some(other.id), ..released };
            store::wipe::update(conn, &forged, WipeState::Released)?;
            Ok(other.id)
        });

        assert!(world.fetches().is_empty());
        let ended = world.server.read(move |conn| Ok(store::command::find(conn, id)?)).unwrap();
        assert_eq!(ended.state, CommandState::Cancelled, "it does not wait for the next check-in");
    }
}

#[test]
fn a_personal_device_loses_its_key_and_none_of_its_files() {
    let world = World::with(Ownership::Personal);
    let ask = holdfast::service::wipe::Ask { action: WipeAction::RemoveCompanyData, ..world.ask() };

    let request = world.requests(ask).unwrap();
    world.approved(&request);
    world.cools();

    let orders = world.fetches();
    assert_eq!(orders[0].payload, Payload::None);
}

#[test]
fn an_answer_that_the_wipe_did_not_begin_ends_the_request() {
    let world = World::new();
    let released = world.released();
    let order = world.fetches().remove(0);

    world.device.report(
        &world.server,
        vec![wire::CommandResult {
            id: order.id,
            done: false,
            detail: "the agent was stopped before the wipe began; ask again".to_owned(),
            finished_at: NOW,
        }],
    );

    let failed = world.find(released.id);
    assert_eq!(failed.state, WipeState::Failed);
    assert!(failed.state_note.contains("ask again"), "{}", failed.state_note);
}

#[test]
fn whoever_was_told_of_a_request_is_told_by_whom_and_why_it_was_stopped() {
    let world = World::new();
    let request = world.requested();

    world.stops(request.id).unwrap();

    let mut mails = world.server.read(|conn| Ok(store::mail::due(conn, world.now(), 50)?));
    mails.sort_by(|one, other| one.recipient.cmp(&other.recipient));
    let told = |subject: &str| -> Vec<_> { mails.iter().filter(|it| it.subject == subject).collect() };
    let (asked, stopped) = (told("Wipe requested: laptop-1"), told("Wipe stopped: laptop-1"));
    assert_eq!(asked.len(), 2);
    assert_eq!(
        stopped.iter().map(|it| &it.recipient).collect::<Vec<_>>(),
        asked.iter().map(|it| &it.recipient).collect::<Vec<_>>()
    );
    let body = &stopped[0].body;
    assert!(body.contains("second") && body.contains("Why: the laptop was found"), "{body}");
}

#[test]
fn a_device_that_enrolls_again_is_reported_once_an_hour() {
    let mut world = World::new();
    let subject = "Device enrolled again: laptop-1";
    assert_eq!(world.told(subject), 0, "the first enrolment is none");

    world.enrols_again();
    world.enrols_again();
    let within_the_hour = world.told(subject);
    world.server.app.clock.advance(hours(1));
    world.enrols_again();

    assert_eq!((within_the_hour, world.told(subject)), (2, 4), "to both who read the history");
}
