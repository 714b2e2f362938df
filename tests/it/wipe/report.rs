//! What a report says, and whose word it is.
use super::world::World;
use crate::support::device::{SimDevice, token};
use domain::command::CommandKind;
use domain::wipe::{WipeState, WipedRoot};
use holdfast::store;
use holdfast::store::wipe::WipeRequest;
use wire::{CommandResult, WipeReport};

fn delivered() -> (World, WipeRequest) {
    let world = World::new();
    let released = world.released();
    assert_eq!(world.fetches().len(), 1);
    let request = world.find(released.id);
    assert_eq!(request.state, WipeState::Delivered);
    (world, request)
}

#[test]
fn another_device_reports_no_wipe_but_its_own() {
    let (world, request) = delivered();
    let mut other = SimDevice::new();
    let token = token(&world.server, |_| {});
    other.enrolled = Some(other.enroll(&world.server, &token).message());
    let report = WipeReport { generation: other.generation(), ..world.report(&request, &[]) };
    assert_eq!(report.generation, world.device.generation(), "only the device tells them apart");

    assert_eq!(other.send(&world.server, wire::WIPE_REPORTS, &report).status, 404);

    assert_eq!(world.find(request.id), request);
    assert_eq!(world.sends(&report).status, 200);
    assert_eq!(world.state(request.id), WipeState::Confirmed);
}

#[test]
fn a_report_of_another_enrolment_is_none_of_this_wipe() {
    let (world, request) = delivered();
    let report = world.report(&request, &[]);
    for generation in [report.generation - 1, report.generation + 1] {
        assert_ne!(world.sends(&WipeReport { generation, ..report.clone() }).status, 200);
    }
    assert_eq!(world.find(request.id), request);
}

#[test]
fn a_word_that_it_is_done_ends_no_wipe_without_the_report() {
    let (world, request) = delivered();
    let id = request.command_id.unwrap();

    let said = CommandResult { id, done: true, detail: "done".to_owned(), finished_at: world.now() };
    world.device.report(&world.server, vec![said]);

    assert_eq!(world.find(request.id), request);
    assert_eq!(world.sends(&world.report(&request, &[])).status, 200);
    assert_eq!(world.state(request.id), WipeState::Confirmed);
}

#[test]
fn only_a_report_that_is_whole_in_every_part_is_a_wipe_and_the_others_say_what_is_left() {
    type Change = fn(&mut WipeReport);
    let cases: [(Change, WipeState, &str); 7] = [
        (|_| {}, WipeState::Confirmed, "key destroyed, 96 files removed"),
        (|it| it.complete = false, WipeState::Failed, "the key is destroyed, but something was left"),
        (|it| it.key_destroyed = false, WipeState::Failed, "the key was not destroyed"),
        (|it| it.roots[0].refused = vec!["/x: busy".to_owned()], WipeState::Failed, "but something was left"),
        (|it| it.roots.clear(), WipeState::Failed, "does not mention 1 of the folders"),
        (
            |it| {
                it.roots.clear();
                it.key_destroyed = false;
            },
            WipeState::Failed,
            "the key was not destroyed",
        ),
        (
            |it| {
                it.roots.push(WipedRoot {
                    path: "/other".to_owned(),
                    removed_files: 4,
                    removed_bytes: 1,
                    refused: vec![],
                });
            },
            WipeState::Confirmed,
            "key destroyed, 100 files removed",
        ),
    ];
    for (change, state, note) in cases {
        let (world, request) = delivered();
        let mut report = world.report(&request, &[]);
        change(&mut report);

        assert_eq!(world.sends(&report).status, 200);

        let ended = world.find(request.id);
        assert_eq!(ended.state, state, "{report:?}");
        assert!(ended.state_note.contains(note), "{} for {report:?}", ended.state_note);
    }
}

#[test]
fn two_hundred_reasons_are_kept_and_the_rest_is_counted() {
    for (count, last) in [(200, "199: busy"), (201, "and 1 more"), (250, "and 50 more")] {
        let (world, request) = delivered();
        let mut report = world.report(&request, &[]);
        report.roots[0].refused = (0..count).map(|n| format!("{n}: busy")).collect();

        assert_eq!(world.sends(&report).status, 200);

        let kept: WipeReport = serde_json::from_str(&world.find(request.id).report.unwrap()).unwrap();
        let refused = &kept.roots[0].refused;
        assert_eq!((refused.len(), refused.last().map(String::as_str)), (200 + usize::from(count > 200), Some(last)));
        assert_eq!(refused[199], "199: busy");
    }
}

#[test]
fn an_order_that_is_not_the_requests_own_ends_and_leaves_the_request() {
    // Of another enrolment than the request: nothing else about it differs.
    let world = World::new();
    let released = world.released();
    let (id, generation) = (released.id, released.generation + 1);
    world.server.act(move |conn| {
        let other = WipeRequest { generation, ..released };
        Ok(store::wipe::update(conn, &other, WipeState::Released)?)
    });
    let request = world.find(id);
    assert_eq!(request.generation, generation);
    assert!(world.fetches().is_empty());
    assert_eq!(world.find(id), request, "the order is refused, and the request is as it was");
    let order = world.server.read(move |conn| Ok(store::command::find(conn, request.command_id.unwrap())?)).unwrap();
    assert!(order.result.as_deref().is_some_and(|it| it.contains("does not match its wipe request")), "{order:?}");
    assert_eq!(order.kind, CommandKind::Wipe);
}

#[test]
fn an_order_that_nobody_handed_out_is_not_taken_for_one_that_was() {
    let (world, request) = delivered();
    let id = request.id;
    world.server.act(move |conn| {
        let order = store::command::find(conn, request.command_id.unwrap())?.unwrap();
        let queued = store::command::Command {
            id: domain::id::CommandId::generate(order.created_at),
            state: domain::command::CommandState::Queued,
            ..order
        };
        store::command::insert(conn, &queued)?;
        let other = WipeRequest { command_id: Some(queued.id), ..request };
        Ok(store::wipe::update(conn, &other, WipeState::Delivered)?)
    });
    assert!(world.fetches().is_empty());
    assert_eq!(world.state(id), WipeState::Delivered);
}
