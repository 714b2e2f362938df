//! What people are told of the trash, while it can still be put back.
use super::world::{World, has_restic};
use crate::support::people::{SINCE, person};
use domain::retention::PruneState;
use domain::role::Role;
use domain::time::{days, hours};
use holdfast::job;
use holdfast::mail::Message;

/// The mails about the trash since the last look, to whoever runs backups.
fn told(world: &World) -> Vec<Message> {
    job::alert::run_once(&world.server.app.store, world.now()).unwrap();
    let mut mails = world.server.mails();
    mails.retain(|it| it.subject.starts_with("Restore points: "));
    mails
}

fn subjects(mails: &[Message]) -> Vec<(&str, &str)> {
    mails.iter().map(|it| (it.to.as_str(), it.subject.as_str())).collect()
}

#[test]
fn d9_people_are_told_when_points_go_to_the_trash_before_they_are_erased_and_once_they_were() {
    if !has_restic() {
        return;
    }
    let world = World::with_six_backups();
    person(&world.server, "operator", &[Role::Operator], None, SINCE);
    world.keep_least();
    assert_eq!(subjects(&told(&world)), []);
    let both = |what: &'static str| [("operator@example.org", what), ("owner@example.org", what)];

    assert!(world.pruner.prune(world.repository).unwrap());
    let mails = told(&world);
    assert_eq!(subjects(&mails), both("Restore points: moved to the trash"), "whoever runs backups, once each");
    let (prune, body) = (world.prunes().remove(0), &mails[0].body);
    for said in ["3 restore points of 1 device", "laptop-1 (Grace Hopper): 3 restore points", "Put back", "/retention"]
    {
        assert!(body.contains(said), "{said}: {body}");
    }
    assert!(body.contains(&format!("until {}", prune.erase_at.iso())), "{body}");
    world.pass(hours(30));
    assert_eq!(subjects(&told(&world)), [], "nothing new");

    world.pass(prune.erase_at.since(world.now()) - days(5));
    assert_eq!(subjects(&told(&world)), []);
    world.pass(days(1));
    let mails = told(&world);
    assert_eq!(subjects(&mails), both("Restore points: erased soon"));
    assert!(prune.erase_at.since(world.now()) >= days(3), "there is time");
    assert!(mails[0].body.contains(&format!("from {}", prune.erase_at.iso())), "{}", mails[0].body);
    world.pass(days(1));
    assert_eq!(subjects(&told(&world)), []);

    world.pass(days(4));
    for _ in 0..2 {
        world.pruner.run_once().unwrap();
    }
    assert_eq!(world.prunes()[0].state, PruneState::Erased);
    let mails = told(&world);
    assert_eq!(subjects(&mails), both("Restore points: erased"));
    assert!(mails[0].body.contains("Erased for good"), "{}", mails[0].body);
    world.pass(days(2));
    assert_eq!(subjects(&told(&world)), []);
}
