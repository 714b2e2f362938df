//! A restore to another device is an act against that device: a second person, mails, and another check at
//! delivery.
use crate::restore::World;
use crate::support::NOW;
use crate::support::device::{SimDevice, token};
use crate::support::people::{SINCE, act_as, act_by, colleague, comes_by_link, disable, person, take_roles};
use crate::support::visit::{Visit, hidden, location, text};
use diesel::prelude::*;
use domain::activity::Action;
use domain::by::Presence;
use domain::continuity::Doubt;
use domain::id::{RestoreId, TeamId, UserId};
use domain::restore::RestoreState;
use domain::role::{Reach, Role};
use domain::time::{days, hours, minutes};
use holdfast::error::Error;
use holdfast::service::approval;
use holdfast::service::device::Draft as DeviceDraft;
use holdfast::service::restore::{self, Decision, Draft};
use holdfast::store::schema::{approvals, device_status, restores};
use holdfast::{job, service, store};
use wire::DeviceFacts;

/// Renames a device's person, like somebody who edits it.
fn renames_person(world: &World, target: &SimDevice, person: &'static str) {
    let (id, now) = (target.id(), world.now());
    act_as(&world.server, world.operator, move |conn, by| {
        let draft = DeviceDraft { name: "laptop-1".to_owned(), person: person.to_owned(), team_id: None, quota: None };
        service::device::change(conn, by, id, &draft, now)
    })
    .unwrap();
}

fn refuses(world: &World, by: UserId, id: RestoreId) -> Result<(), Error> {
    let now = world.now();
    act_as(&world.server, by, move |conn, by| restore::refuse(conn, by, id, now)).map(drop)
}

#[test]
fn one_fresh_session_that_enrolled_its_own_machine_sends_nothing_to_it_from_another() {
    let world = World::new();
    let owner = person(&world.server, "owner", &[Role::Owner], None, SINCE);
    let session = Visit::of(&world.server, owner);
    let base = format!("/devices/{}/restores", world.source.id());
    let (point, target) = (world.draft.point.to_string(), world.target.id().to_string());
    let fields = [("point", point.as_str()), ("target", &target), ("reason", "none"), ("request_key", "k")];

    let made = location(&session.post(&base, &fields));

    assert!(world.fetched().is_none(), "the victim gets no order");
    let page = text(&session.get(&made));
    assert!(page.contains("You cannot decide this: you requested"), "{page}");
    let restore = world
        .server
        .read(|conn| Ok(store::restore::list(conn, &[RestoreState::Requested], &Reach::All, 9)?.remove(0).restore));
    let seen = approval::digest(&restore.crossing().unwrap().unwrap()).unwrap();
    assert_eq!(session.post(&format!("{made}/approvals"), &[("seen", &seen)]).status, 409);
    // Nor with an account that it makes, or gives the role to, for this purpose.
    for (name, by) in [("made by it", Some(owner)), ("made just now", None)] {
        let puppet = person(&world.server, &name.replace(' ', "-"), &[Role::Approver], by, world.now());
        assert!(world.approves_as(puppet, &restore).is_err(), "{name}");
    }
    assert!(world.fetched().is_none());
    assert_eq!(world.find(restore.id).state, RestoreState::Requested);
}

#[test]
fn a_restore_to_another_device_is_told_to_those_who_watch_and_to_its_person_when_asked_for_and_when_approved() {
    let world = World::new();
    renames_person(&world, &world.target, "victim@example.com");
    let recovery = colleague(&world.server, "recovery", Role::Recovery);
    colleague(&world.server, "auditor", Role::Auditor);
    colleague(&world.server, "grace", Role::Observer);
    renames_person(&world, &world.source, "grace@example.org");
    let restore = world.asks_as(recovery, &world.draft).unwrap();
    let to = |mails: Vec<holdfast::mail::Message>| {
        let mut to: Vec<_> =
            mails.iter().filter(|it| it.subject.starts_with("Restore")).map(|it| it.to.clone()).collect();
        to.sort();
        to
    };

    let asked = world.server.mails();
    let body = &asked.iter().find(|it| it.to == "victim@example.com").unwrap().body;
    assert!(body.contains("the old one broke") && body.contains("victim@example.com"), "{body}");
    let everyone = to(asked);
    for name in ["auditor@example.org", "grace@example.org", "victim@example.com", "second@example.org"] {
        assert_eq!(everyone.iter().filter(|it| *it == name).count(), 1, "{name}: {everyone:?}");
    }
    let Decision::Approved(_) = world.approves_as(world.second, &restore).unwrap() else { panic!() };

    assert_eq!(to(world.server.mails()), everyone);
}

#[test]
fn while_all_is_frozen_no_restore_is_approved_and_none_that_is_under_way_reads_on() {
    let world = World::new();
    let restore = world.asks(&world.draft).unwrap();
    let Decision::Approved(_) = world.approves_as(world.second, &restore).unwrap() else { panic!() };
    let order = world.fetched().unwrap();
    let ticket = world.secret(&order).ticket;
    assert_eq!(world.reads(&order, &ticket).status, 200);
    let waiting = world.asks(&world.draft).unwrap();
    let now = world.now();

    world.server.act(move |conn| service::host::freeze(conn, &holdfast::cli::control::actor(0), now));

    assert!(world.approves_as(world.second, &waiting).is_err());
    assert_eq!(world.reads(&order, &ticket).status, 401);
}

#[test]
fn who_may_only_restore_does_not_send_one_persons_files_to_another_person() {
    let world = World::new();
    renames_person(&world, &world.target, "Eve");
    for (name, role, may) in [("op", Role::Operator, false), ("rec", Role::Recovery, true), ("own", Role::Owner, true)]
    {
        let by = colleague(&world.server, name, role);
        let asked = world.asks_as(by, &world.draft);
        assert_eq!(asked.is_ok(), may, "{name}: {asked:?}");
    }
}

#[test]
fn a_machine_that_took_a_devices_place_gets_none_of_its_backups_without_a_second_person() {
    let mut world = World::new();
    let id = world.source.id();
    let again = token(&world.server, |draft| draft.device_id = Some(id));
    let mut thief = SimDevice::new();
    thief.enrolled = Some(thief.enroll(&world.server, &again).message());
    let draft = Draft { target: id, ..world.draft.clone() };

    let restore = world.asks(&draft).unwrap();

    assert_eq!(restore.state, RestoreState::Requested);
    world.target = thief;
    assert!(world.fetched().is_none());
}

#[test]
fn a_device_gets_its_own_back_without_a_second_person() {
    let mut world = World::new();
    let draft = Draft { target: world.source.id(), reason: String::new(), ..world.draft.clone() };

    let restore = world.asks(&draft).unwrap();

    assert_eq!((restore.state, restore.agreed.as_deref()), (RestoreState::Queued, None));
    std::mem::swap(&mut world.source, &mut world.target);
    assert!(world.fetched().is_some());
}

#[test]
fn a_restore_is_held_while_two_machines_may_be_asking_for_it() {
    let mut world = World::new();
    let draft = Draft { target: world.source.id(), reason: String::new(), ..world.draft.clone() };
    world.asks(&draft).unwrap();
    std::mem::swap(&mut world.source, &mut world.target);
    assert!(world.target.check_in(&world.server, DeviceFacts::default()).commands.len() == 1);
    let id = world.target.id();
    let doubts = |doubt| {
        world.server.act(move |conn| {
            let row = device_status::table.find(id);
            Ok(diesel::update(row).set(device_status::doubt.eq(doubt)).execute(conn)?)
        })
    };

    assert_eq!(doubts(Doubt::TwoMachines), 1);
    assert!(world.fetched().is_none(), "which of them would get the files?");
    doubts(Doubt::None);
    assert!(world.fetched().is_some());
}

#[test]
fn what_changes_between_the_request_and_the_approval_ends_it() {
    let world = World::new();
    let restore = world.asks(&world.draft).unwrap();
    renames_person(&world, &world.target, "Eve");

    let Decision::Ended(ended) = world.approves_as(world.second, &restore).unwrap() else { panic!() };

    assert_eq!(ended.state, RestoreState::Cancelled);
    assert!(ended.outcome().unwrap().note.contains("the person of the target"));
    assert!(world.fetched().is_none());
}

#[test]
fn what_changes_between_the_approval_and_the_delivery_is_seen_at_the_delivery() {
    type Change = fn(&World);
    let changes: &[(&str, Change)] = &[
        ("the person of the target", |world| renames_person(world, &world.target, "Eve")),
        ("what its requester or approver may do", |world| disable(&world.server, world.operator)),
        ("what its requester or approver may do", |world| take_roles(&world.server, world.second)),
    ];
    for (why, change) in changes {
        let world = World::new();
        let restore = world.orders(&world.draft).unwrap();
        assert_eq!(restore.state, RestoreState::Queued);
        change(&world);
        let note = || world.find(restore.id).outcome().unwrap().note;

        let order = world.fetched();

        assert!(order.is_none(), "{why}");
        assert!(note().contains(why), "{why}: {}", note());
        assert_eq!(world.find(restore.id).state, RestoreState::Cancelled);
    }
}

#[test]
fn a_ticket_dies_with_the_account_of_who_asked_and_of_who_approved() {
    type End = fn(&World);
    let ends: [End; 3] = [
        |world| disable(&world.server, world.operator),
        |world| disable(&world.server, world.second),
        |world| take_roles(&world.server, world.operator),
    ];
    for end in ends {
        let world = World::new();
        world.orders(&world.draft).unwrap();
        let order = world.fetched().unwrap();
        let ticket = world.secret(&order).ticket;
        assert_eq!(world.reads(&order, &ticket).status, 200);

        end(&world);

        assert_eq!(world.reads(&order, &ticket).status, 401);
    }
}

#[test]
fn an_account_that_changed_hands_since_the_approval_gets_nothing_sent_and_its_ticket_dies() {
    for comes in [|world: &World| world.operator, |world: &World| world.second] {
        for is_sent in [false, true] {
            let world = World::new();
            let restore = world.orders(&world.draft).unwrap();
            let sent = if is_sent { world.fetched() } else { None };
            world.server.app.clock.advance(minutes(1));

            comes_by_link(&world.server, comes(&world), world.now());

            match sent {
                Some(order) => assert_eq!(world.reads(&order, &world.secret(&order).ticket).status, 401),
                None => {
                    assert!(world.fetched().is_none(), "somebody else may have the account");
                    assert_eq!(world.find(restore.id).state, RestoreState::Cancelled);
                }
            }
        }
    }
}

#[test]
fn an_approval_counts_only_for_what_was_approved() {
    type Forge = fn(&mut store::Conn, RestoreId) -> Result<(), Error>;
    let forgeries: [Forge; 2] = [
        |conn, _| Ok(diesel::delete(approvals::table).execute(conn).map(drop)?),
        |conn, id| {
            let forged = store::restore::find(conn, id)?.unwrap();
            let mut agreed = forged.crossing()?.unwrap();
            agreed.file_count += 1;
            let agreed = serde_json::to_string(&agreed).unwrap();
            let set = (restores::agreed.eq(agreed), restores::file_count.eq(forged.file_count + 1));
            Ok(diesel::update(restores::table.find(id)).set(set).execute(conn).map(drop)?)
        },
    ];
    for forge in forgeries {
        let world = World::new();
        let restore = world.orders(&world.draft).unwrap();

        world.server.act(move |conn| forge(conn, restore.id));

        assert!(world.fetched().is_none());
        let note = world.find(restore.id).outcome().unwrap().note;
        assert!(note.contains("its approval changed"), "{note}");
    }
}

#[test]
fn a_restore_that_waits_is_refused_cancelled_or_runs_out_and_opens_nothing() {
    let world = World::new();
    let [refused, cancelled, overdue] = [(); 3].map(|()| world.asks(&world.draft).unwrap());

    refuses(&world, world.second, refused.id).unwrap();
    let now = world.now();
    act_as(&world.server, world.operator, move |conn, by| restore::cancel(conn, by, cancelled.id, now)).unwrap();
    world.server.app.clock.advance(days(7));
    job::wipe::run_once(&world.server.app.store, &world.server.app.clock).unwrap();

    let states = [refused.id, cancelled.id, overdue.id].map(|it| world.find(it).state);
    assert_eq!(states, [RestoreState::Cancelled, RestoreState::Cancelled, RestoreState::Expired]);
    assert!(world.approves_as(world.second, &overdue).is_err());
    assert!(world.fetched().is_none());
    let history = world.server.read(|conn| Ok(store::activity::of_device(conn, world.target.id(), 50)?));
    assert!(history.iter().any(|it| it.action == Action::RestoreRefused));
    assert!(refuses(&world, world.second, refused.id).is_err());
}

#[test]
fn out_of_reach_a_restore_is_not_even_said_to_be_there_whatever_its_state() {
    let world = World::new();
    let berlin = || Reach::Teams([TeamId::generate(NOW)].into());
    let ended = world.asks(&world.draft).unwrap();
    refuses(&world, world.second, ended.id).unwrap();
    let waiting = world.asks(&world.draft).unwrap();
    let seen = approval::digest(&waiting.crossing().unwrap().unwrap()).unwrap();

    for id in [waiting.id, ended.id] {
        let (now, seen, page) = (world.now(), seen.clone(), Presence::Page);
        let (second, operator) = (world.second, world.operator);
        let said = [
            act_by(&world.server, second, page, berlin(), move |conn, by| restore::refuse(conn, by, id, now).map(drop)),
            act_by(&world.server, second, page, berlin(), move |conn, by| {
                restore::approve(conn, by, id, &seen, now).map(drop)
            }),
            act_by(&world.server, operator, page, berlin(), move |conn, by| {
                restore::cancel(conn, by, id, now).map(drop)
            }),
        ];
        assert_eq!(said.map(|it| it.unwrap_err().to_string()), ["there is no such restore"; 3]);
    }
}

#[test]
fn nobody_approves_by_a_token_or_twice_or_what_they_were_not_shown() {
    let world = World::new();
    let restore = world.asks(&world.draft).unwrap();
    let (id, now) = (restore.id, world.now());
    let seen = approval::digest(&restore.crossing().unwrap().unwrap()).unwrap();
    let shown = seen.clone();

    let by_token = act_by(&world.server, world.second, Presence::Script, Reach::All, move |conn, by| {
        restore::approve(conn, by, id, &seen, now)
    });
    assert!(by_token.is_err());
    let blind = act_as(&world.server, world.second, move |conn, by| restore::approve(conn, by, id, "", now));
    assert!(blind.is_err());
    world.approves_as(world.second, &restore).unwrap();
    let twice = act_as(&world.server, world.second, move |conn, by| restore::approve(conn, by, id, &shown, now));
    assert!(twice.is_err());
    let orders = world.server.read(|conn| Ok(store::command::newest(conn, 9)?));
    assert_eq!(orders.len(), 1);
}

#[test]
fn an_approval_is_good_for_a_day_from_when_it_was_given() {
    let world = World::new();
    let restore = world.asks(&world.draft).unwrap();
    world.server.app.clock.advance(days(6));

    let Decision::Approved(approved) = world.approves_as(world.second, &restore).unwrap() else { panic!() };

    assert_eq!(approved.expires_at, NOW + days(6) + hours(24));
    assert!(world.fetched().is_some());
}

#[test]
fn the_page_of_targets_tells_a_machine_that_was_just_made_from_the_one_that_is_meant() {
    let world = World::new();
    let visit = Visit::of(&world.server, world.operator);
    let (base, point) = (format!("/devices/{}/restore", world.source.id()), world.draft.point.to_string());

    world.target.check_in(&world.server, DeviceFacts::default());

    let page = text(&visit.post(&format!("{base}/where"), &[("point", &point)]));

    assert!(page.contains("Grace Hopper, company, encryption unknown, last seen"), "{page}");
    assert!(page.contains("needs a second person"), "{page}");
}

#[test]
fn the_second_person_decides_on_the_page_with_a_password_entered_just_now() {
    let world = World::new();
    let restore = world.asks(&world.draft).unwrap();
    let path = format!("/restores/{}", restore.id);
    let stale = Visit::stale(&world.server, world.second);
    let seen = hidden(&text(&stale.get(&path)), "seen");

    let asked = stale.post(&format!("{path}/approvals"), &[("seen", &seen)]);

    assert_eq!(asked.status, 422);
    assert!(text(&asked).contains("type=\"password\""));
    assert!(world.fetched().is_none());
    let fresh = Visit::of(&world.server, world.second);
    assert_eq!(fresh.post(&format!("{path}/approvals"), &[("seen", "0")]).status, 409);
    assert_eq!(location(&fresh.post(&format!("{path}/approvals"), &[("seen", &seen)])), path);
    assert!(world.fetched().is_some());
    let operator = Visit::of(&world.server, world.operator);
    assert_eq!(operator.post(&format!("{path}/approvals"), &[("seen", &seen)]).status, 403);
}
