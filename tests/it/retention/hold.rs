//! Holds: what they cover, that they stand until two people lift them, and that no device sees them.
use super::world::{World, has_restic};
use crate::support::people::{SINCE, act_as, person};
use crate::support::visit::{Visit, hidden, location, text};
use domain::id::UserId;
use domain::retention::{Decision, HoldScope, Why};
use domain::role::Role;
use domain::time::days;
use holdfast::error::Error;
use holdfast::service::hold::{self, Draft};
use holdfast::service::removal;
use holdfast::service::retention::{self, Verdict};
use holdfast::store::hold::Hold;

fn make(world: &World, scope: HoldScope, point: Option<domain::id::RestorePointId>) -> Result<Hold, Error> {
    let draft = Draft { device: world.device, scope, point, reason: "a court asked for it".to_owned() };
    let now = world.now();
    act_as(&world.server, world.owner, move |conn, by| hold::make(conn, by, &draft, now))
}

fn ask(world: &World, who: UserId, id: domain::id::HoldId) -> Result<Hold, Error> {
    let now = world.now();
    act_as(&world.server, who, move |conn, by| hold::ask_lift(conn, by, id, "it is over", now))
}

fn lift(world: &World, who: UserId, it: &Hold) -> Result<Hold, Error> {
    let (now, id) = (world.now(), it.id);
    let seen = hold::lift_asked(it, now).unwrap().map(|it| it.digest).unwrap_or_default();
    act_as(&world.server, who, move |conn, by| hold::lift(conn, by, id, &seen, now))
}

#[test]
fn nothing_of_what_is_held_ends_whatever_the_hold_is_on() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    let oldest = world.points().remove(0).id;
    let ends = || match world.plan() {
        Verdict::Go(plan) => plan.ends.len(),
        Verdict::Nothing => 0,
        other @ (Verdict::Stopped(_) | Verdict::Unreadable(_)) => panic!("{other:?}"),
    };
    assert_eq!(ends(), 3);
    for (scope, point, left) in
        [(HoldScope::Point, Some(oldest), 2), (HoldScope::Device, None, 0), (HoldScope::Person, None, 0)]
    {
        let made = make(&world, scope, point).unwrap();
        assert_eq!(ends(), left, "{scope}");
        // Asked for and lifted by two people.
        let asked = ask(&world, world.owner, made.id).unwrap();
        assert_eq!(ends(), left, "asking ends nothing");
        lift(&world, world.second, &asked).unwrap();
        assert_eq!(ends(), 3, "{scope}");
    }
}

#[test]
fn a_hold_is_lifted_by_two_people_and_by_nobody_alone() {
    let world = World::new();
    let made = make(&world, HoldScope::Device, None).unwrap();
    let young = person(&world.server, "young", &[Role::Owner], None, world.now());
    let helpdesk = person(&world.server, "helpdesk", &[Role::Helpdesk], None, SINCE);

    assert!(lift(&world, world.second, &made).is_err(), "nobody asked");
    let asked = ask(&world, world.owner, made.id).unwrap();
    assert!(matches!(lift(&world, world.owner, &asked), Err(Error::Refused(_))), "alone");
    assert!(lift(&world, young, &asked).is_err(), "an account of today");
    assert!(ask(&world, world.second, made.id).is_err(), "somebody has asked already");
    let page = text(&Visit::of(&world.server, world.second).get("/approvals"));
    assert!(page.contains("Lift the hold on laptop-1") && page.contains("it is over"), "{page}");
    let overview = text(&Visit::of(&world.server, world.second).get("/"));
    assert!(overview.contains("1 request to keep less waits for approval"), "{overview}");
    let (id, now) = (made.id, world.now());
    let other = act_as(&world.server, world.second, move |conn, by| hold::lift(conn, by, id, "other", now));
    assert!(matches!(other, Err(Error::Conflict(_))), "{other:?}");
    let visit = Visit::of(&world.server, helpdesk);
    assert_eq!(visit.post(&format!("/holds/{id}/approvals"), &[]).status, 403);
    // Let it stand, and ask again.
    act_as(&world.server, world.second, move |conn, by| hold::keep(conn, by, id, now)).unwrap();
    assert!(lift(&world, world.second, &asked).is_err(), "it was answered");
    let asked = ask(&world, world.owner, id).unwrap();
    world.server.app.clock.advance(days(8));
    assert!(lift(&world, world.second, &asked).is_err(), "nobody agreed in time");
    let asked = ask(&world, world.owner, id).unwrap();
    lift(&world, world.second, &asked).unwrap();
    assert!(lift(&world, world.second, &asked).is_err(), "once");
}

#[test]
fn a_held_device_is_not_removed_and_what_is_in_the_trash_is_not_erased() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    assert!(world.pruner.prune(world.repository).unwrap());
    make(&world, HoldScope::Person, None).unwrap();
    let (device, now) = (world.device, world.now());

    let removed =
        act_as(&world.server, world.owner, move |conn, by| removal::request(conn, by, device, "laptop-1", now));
    assert!(matches!(&removed, Err(Error::Refused(why)) if why.contains("on hold")), "{removed:?}");
    world.pass(days(60));
    for _ in 0..3 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, domain::retention::PruneState::Trashed);
    let page = text(&Visit::of(&world.server, world.owner).get("/retention"));
    assert!(page.contains("On hold: nothing of it is erased until that is lifted"), "{page}");
}

#[test]
fn a_device_that_is_given_to_somebody_else_is_held_as_before() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    make(&world, HoldScope::Person, None).unwrap();
    let (device, now) = (world.device, world.now());
    for person in ["Eve", ""] {
        let name = "laptop-1".to_owned();
        let draft = holdfast::service::device::Draft { name, person: person.to_owned(), team_id: None, quota: None };
        act_as(&world.server, world.owner, move |conn, by| {
            holdfast::service::device::change(conn, by, device, &draft, now).map(drop)
        })
        .unwrap();
        assert!(matches!(world.plan(), Verdict::Nothing), "{person:?}: {:?}", world.plan());
    }
}

#[test]
fn the_page_of_holds_takes_a_hold_from_its_making_to_its_end_and_the_device_is_told_nothing() {
    let world = World::new();
    let path = format!("/devices/{}/holds", world.device);
    let owner = Visit::of(&world.server, world.owner);
    let page = text(&owner.get(&path));
    assert!(page.contains("Nothing of this device is on hold") && page.contains("no restore points yet"), "{page}");
    assert_eq!(owner.post(&path, &[("scope", "device"), ("reason", "")]).status, 422, "no reason");
    assert_eq!(owner.post(&path, &[("scope", "all"), ("reason", "x")]).status, 422, "no such choice");
    let before = world.server.read(move |conn| Ok(holdfast::store::command::open(conn, world.device, 1, SINCE)?)).len();

    assert_eq!(location(&owner.post(&path, &[("scope", "device"), ("reason", "a court asked for it")])), path);

    let page = text(&owner.get(&path));
    assert!(page.contains("Legal hold") && page.contains("a court asked for it"), "{page}");
    let id = page.split("action=\"/holds/").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(location(&owner.post(&format!("/holds/{id}/lifts"), &[("reason", "it is over")])), path);
    assert!(!text(&owner.get(&path)).contains("Lift the hold"), "not by who asked");
    let second = Visit::of(&world.server, world.second);
    let seen = hidden(&text(&second.get(&path)), "seen");
    assert_eq!(location(&second.post(&format!("/holds/{id}/approvals"), &[("seen", &seen)])), path);
    assert!(text(&owner.get(&path)).contains("Nothing of this device is on hold"));

    let after = world.server.read(move |conn| Ok(holdfast::store::command::open(conn, world.device, 1, SINCE)?)).len();
    assert_eq!(before, after, "no command");
    let mails = world.server.mails();
    assert!(mails.iter().all(|it| !it.to.contains("grace")), "nor its person: {mails:?}");
    assert!(mails.iter().any(|it| it.subject.contains("Hold made")), "{mails:?}");
}

#[test]
fn each_point_says_why_it_is_kept() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    world.keep_least();
    let (device, repository, now) = (world.device, world.repository, world.now());
    let points = world.server.read(move |conn| {
        let row = holdfast::store::device::find(conn, device)?.unwrap();
        let repository = holdfast::store::repository::find(conn, repository)?.unwrap();
        retention::points(conn, &row, &repository)
    });
    let keep = domain::retention::Keep::By(super::world::SHORTEST);
    let decided = domain::retention::decide(&keep, &points, now);
    assert_eq!(decided[..3], [Decision::Ends; 3]);
    assert!(decided[3..].iter().all(|it| *it != Decision::Ends), "{decided:?}");
    assert!(matches!(decided[3], Decision::Kept(Why::NewestVerified)));
    let page = text(&Visit::of(&world.server, world.owner).get(&format!("/devices/{device}/holds")));
    assert_eq!(page.matches(">Ends<").count(), 3, "{page}");
    assert!(page.contains("one of the newest three verified points"), "{page}");
}
