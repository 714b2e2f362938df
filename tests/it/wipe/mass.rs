//! One stolen session cannot wipe many devices.
use super::world::{World, ask};
use crate::setting;
use crate::support::NOW;
use crate::support::fleet;
use crate::support::people::{act_as, colleague};
use crate::support::visit::Visit;
use domain::consent::SETTLED;
use domain::id::{DeviceId, UserId, WipeRequestId};
use domain::role::{Reach, Role};
use domain::time::{days, hours, minutes};
use domain::wipe::{BEFORE_DELIVERY, WipeState};
use holdfast::error::{Error, Result};
use holdfast::service::approval;
use holdfast::service::wipe::{self, Decision, Seen};
use holdfast::store;

/// This many more devices like the first.
fn devices(world: &World, count: usize) -> Vec<DeviceId> {
    let id = world.device.id();
    world.server.act(move |conn| {
        let first = store::device::find(conn, id)?.unwrap();
        let mut ids = Vec::new();
        for number in 0..count {
            let serial = format!("M-{number}");
            let device = store::device::Device { id: DeviceId::generate(NOW), serial, ..first.clone() };
            store::device::insert(conn, &device)?;
            fleet::enroll(conn, &device);
            ids.push(device.id);
        }
        Ok(ids)
    })
}

fn asks_for(world: &World, id: DeviceId) -> Result<WipeRequestId> {
    let now = world.now();
    act_as(&world.server, world.asker, move |conn, by| {
        let device = store::device::find(conn, id)?.unwrap();
        let ask = ask(&wipe::facts(conn, &device, now)?);
        Ok(wipe::request(conn, by, &ask, now)?.id)
    })
}

fn count(world: &World, states: &[WipeState]) -> i64 {
    world.server.read(|conn| Ok(store::wipe::count(conn, states, &Reach::All)?))
}

#[test]
fn two_hundred_requests_of_one_session_wipe_nothing_and_stop_at_once() {
    let world = World::new();
    let requests: Vec<_> = devices(&world, 200).into_iter().map(|it| asks_for(&world, it).unwrap()).collect();

    assert_eq!(count(&world, &[WipeState::Requested]), 3);
    assert_eq!(count(&world, &[WipeState::Held]), 197);
    // The same session tries to be the second person too.
    for id in &requests {
        let request = world.find(*id);
        assert!(world.approves_as(world.asker, &request).is_err());
        let (id, now) = (*id, world.now());
        let lifted = act_as(&world.server, world.asker, move |conn, by| wipe::lift(conn, by, id, now));
        assert!(lifted.is_err());
    }
    for _ in 0..6 {
        world.server.app.clock.advance(hours(20));
        world.job();
    }
    assert_eq!(count(&world, &[WipeState::Requested]), 3, "time alone ends no hold");
    let mails = world.server.read(|conn| Ok(store::mail::waiting_count(conn)?));
    assert!(mails <= 12, "197 held requests are one mail each: {mails}");

    let now = world.now();
    let stopped = act_as(&world.server, world.second, move |conn, by| wipe::stop_all(conn, by, now)).unwrap();

    assert_eq!(stopped, 200);
    assert_eq!(world.told("Wipes stopped: 200"), 2, "one mail to each person");
    assert_eq!(count(&world, &BEFORE_DELIVERY), 0);
    let orders = world.server.read(|conn| {
        let all = requests.iter().map(|id| Ok(store::wipe::find(conn, *id)?.unwrap().command_id));
        all.collect::<Result<Vec<_>>>()
    });
    assert!(orders.iter().all(Option::is_none));
}

#[test]
fn a_stolen_owner_cannot_loosen_the_limit_and_wipe_many_on_the_same_day() {
    let world = World::new();
    let owner = colleague(&world.server, "owner", Role::Owner);
    let ids = devices(&world, 30);

    let answer = setting::sends(&Visit::of(&world.server, owner), "1", "1000");
    let requests: Vec<_> = ids[..20].iter().map(|it| asks_for(&world, *it).unwrap()).collect();

    assert_eq!(answer.status, 303);
    assert_eq!((count(&world, &[WipeState::Requested]), count(&world, &[WipeState::Held])), (3, 17));
    approves(&world, requests[0]);
    assert_eq!(world.find(requests[0]).release_at, Some(NOW + minutes(10)), "the hold is no shorter either");
    world.server.app.clock.set(NOW + SETTLED - minutes(1));
    asks_for(&world, ids[20]).unwrap();
    for id in &ids[21..26] {
        asks_for(&world, *id).unwrap();
    }
    assert_eq!(count(&world, &[WipeState::Held]), 20, "the limit is the old one until then");
    world.server.app.clock.set(NOW + SETTLED);
    for id in &ids[26..] {
        asks_for(&world, *id).unwrap();
    }
    assert_eq!(count(&world, &[WipeState::Held]), 20, "what nobody took back is in force");
}

#[test]
fn a_second_person_ends_a_hold_only_within_the_limit() {
    let world = World::new();
    let ids = devices(&world, 7);
    let requests: Vec<_> = ids.iter().map(|it| asks_for(&world, *it).unwrap()).collect();
    let lift =
        |id: WipeRequestId, now| act_as(&world.server, world.second, move |conn, by| wipe::lift(conn, by, id, now));

    let at_once = lift(requests[5], world.now());
    let passed = lift(requests[0], world.now());
    world.server.app.clock.advance(hours(1));
    let later = lift(requests[5], world.now()).unwrap();

    assert!(
        matches!(&at_once, Err(Error::Refused(why)) if why.contains("limit of 3 per hour for one person")),
        "{at_once:?}"
    );
    assert!(passed.is_err(), "it is not held");
    assert_eq!(later.state, WipeState::Requested);
    assert!(world.history().is_empty() || world.state(requests[6]) == WipeState::Held);
}

fn approves(world: &World, id: WipeRequestId) {
    let now = world.now();
    let decision = act_as(&world.server, world.second, move |conn, by| {
        let request = store::wipe::find(conn, id)?.unwrap();
        let device = store::device::find(conn, request.device_id)?.unwrap();
        let current = approval::digest(&wipe::facts(conn, &device, now)?)?;
        wipe::approve(conn, by, id, &Seen { agreed: request.facts_digest, current }, now)
    });
    assert!(matches!(decision, Ok(Decision::Approved(_))), "{decision:?}");
}

#[test]
fn no_more_leave_in_an_hour_than_the_limit_allows() {
    let world = World::new();
    let ids = devices(&world, 6);
    let mut requests: Vec<_> = ids[..3].iter().map(|it| asks_for(&world, *it).unwrap()).collect();
    world.server.app.clock.advance(hours(1));
    requests.extend(ids[3..].iter().map(|it| asks_for(&world, *it).unwrap()));
    for id in requests {
        approves(&world, id);
    }

    world.cools();
    assert_eq!((count(&world, &[WipeState::Released]), count(&world, &[WipeState::Cooling])), (3, 3));
    world.server.app.clock.advance(hours(1));
    world.job();

    assert_eq!(count(&world, &[WipeState::Released]), 6, "the last ones waited for their turn");
}

#[test]
fn a_clock_set_back_gives_no_room_below_the_limit() {
    let world = World::new();
    for id in devices(&world, 5) {
        asks_for(&world, id).unwrap();
    }

    world.server.app.clock.set(NOW - days(365));
    let id = asks_for(&world, devices(&world, 1)[0]).unwrap();

    assert_eq!(world.state(id), WipeState::Held);
    let now = world.now();
    let lifted = act_as(&world.server, world.second, move |conn, by| wipe::lift(conn, by, id, now)).unwrap();
    assert_eq!(lifted.state, WipeState::Requested, "a second person says that the clock is right now");
}

fn asks_as(world: &World, user: UserId, id: DeviceId) -> WipeState {
    let now = world.now();
    let asked = act_as(&world.server, user, move |conn, by| {
        let device = store::device::find(conn, id)?.unwrap();
        let ask = ask(&wipe::facts(conn, &device, now)?);
        wipe::request(conn, by, &ask, now)
    });
    asked.unwrap().state
}

#[test]
fn neither_one_person_nor_one_team_uses_up_the_limit_for_all() {
    let world = World::new();
    let (other, third) =
        (colleague(&world.server, "other", Role::Operator), colleague(&world.server, "third", Role::Operator));
    let ids = devices(&world, 12);
    let in_team = ids[..6].to_vec();
    world.server.act(move |conn| {
        let by = crate::support::server::boss();
        let team = holdfast::service::team::add(conn, &by, "Berlin", NOW)?.id;
        in_team.iter().try_for_each(|it| Ok(store::device::set_names(conn, *it, "laptop", "", Some(team))?))
    });

    let by_one: Vec<_> = ids[..2].iter().map(|it| asks_as(&world, world.asker, *it)).collect();
    let by_second: Vec<_> = ids[2..6].iter().map(|it| asks_as(&world, other, *it)).collect();
    let elsewhere: Vec<_> = ids[6..].iter().map(|it| asks_as(&world, third, *it)).collect();

    use WipeState::{Held, Requested};
    assert_eq!(by_one, [Requested, Requested]);
    assert_eq!(by_second, [Requested, Held, Held, Held], "the team's share is used up, whoever asks");
    assert_eq!(elsewhere[..3], [Requested, Requested, Held], "others have what is left of the limit");
}
