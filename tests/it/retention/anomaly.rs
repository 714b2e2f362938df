//! Something unusual in a backup: the last good point is held, people are told, and nothing ends.
use super::world::{World, has_restic};
use crate::support::people::{SINCE, person};
use domain::activity::Action;
use domain::retention::{Brake, HoldCause, HoldScope};
use domain::role::Role;
use domain::time::{days, hours};
use holdfast::service::retention::Verdict;
use holdfast::store;

#[test]
fn a_backup_that_lost_most_files_pins_the_last_good_point_and_is_told() {
    if !has_restic() {
        return;
    }
    let world = World::new();
    person(&world.server, "operator", &[Role::Operator], None, SINCE);
    let folder = world.source.path();
    for number in 0..200 {
        std::fs::write(folder.join(format!("{number}.txt")), format!("letter {number}").repeat(40)).unwrap();
    }
    world.pruner.run_once().unwrap();
    for day in 0..4 {
        std::fs::write(folder.join("diary"), format!("day {day}")).unwrap();
        world.back_up();
        world.pass(days(7));
        world.pruner.run_once().unwrap();
    }
    let device = world.device;
    let holds = || world.server.read(move |conn| Ok(store::hold::standing(conn, device)?));
    assert!(holds().is_empty(), "all is usual: {:?}", holds());
    let good = world.points().pop().unwrap().id;

    for number in 10..200 {
        std::fs::remove_file(folder.join(format!("{number}.txt"))).unwrap();
    }
    world.back_up();
    world.pass(hours(25));
    world.pruner.run_once().unwrap();
    world.pruner.run_once().unwrap();

    let held = holds();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((held[0].cause, held[0].scope, held[0].point_id), (HoldCause::Anomaly, HoldScope::Point, Some(good)));
    assert!(held[0].reason.contains("usually it has about 201"), "{}", held[0].reason);
    let mails = world.server.mails();
    let told = mails.iter().find(|it| it.subject.contains("Something unusual")).expect("somebody is told");
    assert!(told.body.contains("11 files"), "{}", told.body);
    let entries = world.server.read(move |conn| Ok(store::activity::of_device(conn, device, 100)?));
    assert_eq!(entries.iter().filter(|it| it.action == Action::AnomalyFound).count(), 1);
    // And nothing of the device ends while it stands.
    world.pass(days(60));
    world.keep_least();
    assert!(matches!(world.plan(), Verdict::Stopped(why) if why.contains(&Brake::Anomaly)));
}
