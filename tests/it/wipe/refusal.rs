//! Who may not, and what is not enough.
use super::world::{World, ask};
use crate::support::NOW;
use crate::support::people::{SINCE, act_as, act_by, colleague, comes_by_link, disable, person, take_roles};
use crate::support::visit::{Visit, location};
use diesel::prelude::*;
use domain::activity::Via;
use domain::by::{Author, Presence};
use domain::consent::SETTLED;
use domain::device::Ownership;
use domain::id::TeamId;
use domain::role::{Reach, Role, Scope};
use domain::time::{days, hours};
use domain::wipe::{WipeAction, WipeState};
use holdfast::error::Error;
use holdfast::service::wipe::{self, Ask, Decision};
use holdfast::store::schema::agent_enrollments;
use holdfast::{job, store};

#[test]
fn each_thing_that_is_missing_or_wrong_is_named() {
    let world = World::new();
    let good = world.ask();
    assert_eq!(good.consent, "4 lost, 92 not proven");
    let fields = [
        (Ask { serial: "SN-2".to_owned(), ..good.clone() }, "serial"),
        (Ask { serial: String::new(), ..good.clone() }, "serial"),
        (Ask { consent: String::new(), ..good.clone() }, "consent"),
        (Ask { consent: "3 lost, 92 not proven".to_owned(), ..good.clone() }, "consent"),
        (Ask { ticket: "x".repeat(201), ..good.clone() }, "ticket"),
    ];
    for (ask, field) in fields {
        match world.requests(ask) {
            Err(Error::Invalid(errors)) => assert!(errors.of(field).is_some(), "{field}: {errors}"),
            other => panic!("{field}: {other:?}"),
        }
    }
    for token in ["", "0", &good.consent] {
        let refused = world.requests(Ask { facts_token: token.to_owned(), ..good.clone() }).unwrap_err();
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    assert!(world.history().iter().all(|it| !it.starts_with("wipe_")), "nothing was begun");
}

#[test]
fn facts_that_changed_since_the_page_are_shown_again() {
    let world = World::new();
    let old = world.ask();
    world.says(5);

    let refused = world.requests(old.clone()).unwrap_err();
    let forged = Ask { consent: "5 lost, 92 not proven".to_owned(), ..old };

    assert!(refused.to_string().starts_with("the facts have changed"), "{refused}");
    assert!(world.requests(forged).is_err(), "the token stands for what was shown");
    assert!(world.requests(world.ask()).is_ok());
}

#[test]
fn all_that_was_backed_up_is_at_risk_where_the_proof_does_not_hold() {
    let world = World::new();
    world.says(0);
    world.proves(Some(1), 0);
    assert!(world.facts().loss().is_nothing());

    world.server.app.clock.advance(days(8));
    world.says(0);
    let lapsed = world.ask().consent;
    world.proves(None, 0);

    assert_eq!(lapsed, "0 lost, 100 not proven");
    assert_eq!(world.ask().consent, "0 lost, 100 not proven");
}

#[test]
fn a_count_of_two_days_ago_is_not_what_would_be_lost() {
    let world = World::new();
    world.says(0);
    world.proves(Some(1), 0);
    assert!(world.facts().loss().is_nothing());

    world.server.app.clock.advance(days(2));

    assert_eq!(world.ask().consent, "unknown lost, 0 not proven");
    assert!(world.requests(Ask { consent: String::new(), ..world.ask() }).is_err(), "the unknown is agreed to");
    world.requested();
}

#[test]
fn a_personal_device_has_no_full_wipe() {
    let world = World::with(Ownership::Personal);

    let refused = world.requests(world.ask()).unwrap_err();

    assert!(refused.to_string().contains("personal device"), "{refused}");
    assert!(world.requests(Ask { action: WipeAction::RemoveCompanyData, ..world.ask() }).is_ok());
}

#[test]
fn a_device_has_one_wipe_at_a_time_and_a_form_counts_once() {
    let world = World::new();
    let ask = Ask { request_key: Some("form-1".to_owned()), ..world.ask() };

    let first = world.requests(ask.clone()).unwrap();
    let again = world.requests(ask.clone()).unwrap();
    let other = world.requests(Ask { request_key: Some("form-2".to_owned()), ..ask.clone() }).unwrap_err();
    let stolen = {
        let (stranger, now) = (world.second, world.now());
        act_as(&world.server, stranger, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap_err()
    };

    assert_eq!(first.id, again.id);
    assert!(other.to_string().contains("another wipe"), "{other}");
    assert!(matches!(stolen, Error::Conflict(_)), "{stolen}");
    world.stops(first.id).unwrap();
    assert!(world.requests(world.ask()).is_ok());
}

#[test]
fn a_device_out_of_reach_does_not_exist() {
    let world = World::new();
    let (ask, now) = (world.ask(), world.now());
    let reach = Reach::Teams(vec![TeamId::generate(NOW)]);
    let elsewhere = reach.clone();

    let asked =
        act_by(&world.server, world.asker, Presence::Page, reach, move |conn, by| wipe::request(conn, by, &ask, now));
    let request = world.requested();
    let seen = world.seen(&request);
    let approved = act_by(&world.server, world.second, Presence::Page, elsewhere.clone(), move |conn, by| {
        wipe::approve(conn, by, request.id, &seen, now)
    });
    let stopped = act_by(&world.server, world.second, Presence::Page, elsewhere, move |conn, by| {
        wipe::stop(conn, by, request.id, "", now)
    });

    assert!(matches!(asked, Err(Error::NotFound(_))), "{asked:?}");
    assert!(matches!(approved, Err(Error::NotFound(_))), "{approved:?}");
    assert!(matches!(stopped, Err(Error::NotFound(_))), "{stopped:?}");
}

#[test]
fn only_a_second_person_whom_the_first_did_not_make_approves() {
    let world = World::new();
    let server = &world.server;
    let owner = person(server, "owner", &[Role::Owner], None, SINCE);
    let made_by_asker = person(server, "puppet", &[Role::Approver], Some(world.asker), SINCE + days(2));
    let fresh = person(server, "fresh", &[Role::Approver], Some(owner), NOW - hours(71));
    let gone = colleague(server, "gone", Role::Approver);
    disable(server, gone);
    let request = world.requested();

    for (who, why) in [
        (world.asker, "you requested this"),
        (made_by_asker, "the requester created your account"),
        (fresh, "72 hours"),
        (gone, "is disabled"),
    ] {
        let refused = world.approves_as(who, &request).unwrap_err();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
        assert_eq!(world.state(request.id), WipeState::Requested);
    }
    assert!(world.approves_as(owner, &request).is_ok());
}

#[test]
fn a_role_that_was_given_today_decides_nothing() {
    let world = World::new();
    let (old, before) = (colleague(&world.server, "old", Role::Observer), world.now());
    let by = crate::support::server::admin();
    world.server.act(move |conn| {
        let roles = [(Role::Approver, Scope::Organisation)];
        holdfast::service::user::set_roles(conn, Author::Host(&by), old, &roles, before)
    });
    let request = world.requested();

    let today = world.approves_as(old, &request).unwrap_err();
    world.server.app.clock.set(before + SETTLED);
    world.says(4);
    let settled = world.approves_as(old, &world.find(request.id));

    assert!(today.to_string().contains("this account and role for 72 hours"), "{today}");
    assert!(matches!(settled, Ok(Decision::Approved(_))), "{settled:?}");
}

#[test]
fn who_made_the_requester_does_not_approve() {
    let world = World::new();
    let maker = colleague(&world.server, "maker", Role::Owner);
    let made = person(&world.server, "made", &[Role::Operator], Some(maker), SINCE + days(3));
    let (ask, now) = (world.ask(), world.now());
    let request = act_as(&world.server, made, move |conn, by| wipe::request(conn, by, &ask, now)).unwrap();

    let refused = world.approves_as(maker, &request).unwrap_err();

    assert!(refused.to_string().contains("you created the requester's account"), "{refused}");
}

#[test]
fn nothing_but_the_page_approves() {
    let world = World::new();
    let request = world.requested();
    let (id, seen, now) = (request.id, world.seen(&request), world.now());

    let refused = act_by(&world.server, world.second, Presence::Script, Reach::All, move |conn, by| {
        assert_eq!(by.actor.via, Via::Web, "what the history says of them opens nothing");
        wipe::approve(conn, by, id, &seen, now)
    });

    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(world.approves_as(world.second, &request).is_ok());
}

#[test]
fn an_account_that_is_not_what_it_was_at_the_approval_holds_the_wipe() {
    type Change = fn(&World);
    let changes: &[(&str, Change)] = &[
        ("the approver is disabled", |world| disable(&world.server, world.second)),
        ("the requester is disabled", |world| disable(&world.server, world.asker)),
        ("the approver lost the role", |world| take_roles(&world.server, world.second)),
        ("the requester lost the role", |world| take_roles(&world.server, world.asker)),
        ("the approver came anew", |world| comes_by_link(&world.server, world.second, world.now())),
        ("the requester came anew", |world| comes_by_link(&world.server, world.asker, world.now())),
    ];
    for (name, change) in changes {
        for at_release in [true, false] {
            let world = World::new();
            let request = if at_release { world.requested() } else { world.released() };
            if at_release {
                world.approved(&request);
            }

            world.server.app.clock.advance(std::time::Duration::from_secs(1));
            change(&world);
            world.cools();

            assert!(world.fetches().is_empty(), "{name}");
            let held = world.find(request.id);
            assert_eq!(held.state, WipeState::Held, "{name}");
            assert!(held.state_note.contains("changed hands"), "{}", held.state_note);
        }
    }
}

#[test]
fn a_requester_without_the_role_has_nothing_approved() {
    let world = World::new();
    let request = world.requested();

    take_roles(&world.server, world.asker);

    let refused = world.approves_as(world.second, &request).unwrap_err();
    assert!(refused.to_string().contains("the requester may no longer request"), "{refused}");
    assert_eq!(world.state(request.id), WipeState::Requested);
}

#[test]
fn a_wiped_device_is_not_wiped_again() {
    let world = World::new();
    let facts = world.facts();
    let released = world.released();
    world.fetches();
    assert_eq!(world.sends(&world.report(&released, &[])).status, 200);

    let refused = world.requests(ask(&facts)).unwrap_err();

    assert!(refused.to_string().contains("the device is “Wiped”: there is nothing to wipe"), "{refused}");
    assert!(world.server.read(|conn| Ok(store::wipe::open_of_device(conn, facts.device_id)?)).is_none());
}

#[test]
fn whoever_sees_a_wipe_is_told_how_to_stop_its_order() {
    let world = World::new();
    let released = world.released();
    let observer = Visit::of(&world.server, colleague(&world.server, "observer", Role::Observer));
    let path = format!("/commands/{}/cancellations", released.command_id.unwrap());

    let answer = observer.post(&path, &[]);

    assert_eq!((answer.status, location(&answer).as_str()), (303, "/commands"), "not a bare no");
    assert_eq!(world.state(released.id), WipeState::Released);
}

#[test]
fn an_order_to_erase_nothing_is_not_queued() {
    let world = World::new();
    world.approved(&world.requested());
    // Only an edited database looks like this: the row comes and goes with its enrolment.
    let emptied = |conn: &mut store::Conn| Ok(diesel::delete(agent_enrollments::table).execute(conn).map(drop)?);
    world.server.act(emptied);

    world.server.app.clock.advance(hours(1));
    let done = job::wipe::run_once(&world.server.app.store, &world.server.app.clock);

    assert!(done.is_err(), "it is loud: {done:?}");
    let queued = world.server.read(|conn| Ok(store::command::of_device(conn, world.device.id(), 20)?));
    assert!(queued.is_empty(), "{queued:?}");
}
