//! What changes between a restore and its undo, and what somebody puts in the way.
use super::{World, looks, text};
use crate::restore::area::AREA;
use crate::restore::trail::{self, Step, Trail};
use crate::restore::undo::KEPT_HOURS;
use crate::restore::undo::back::Back;
use crate::testing::{NOW, NOWHERE, enrolled, open};
use crate::tree;
use clock::Clock;
use domain::id::RestoreId;
use domain::restore::Conflict;
use domain::time::days;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[test]
fn d05_what_has_changed_since_stays_and_is_named_and_nothing_is_lost() {
    let world = World::new();
    for name in ["edited", "removed", "left"] {
        fs::write(world.file(name), "mine").unwrap();
    }
    let backed = ["edited", "removed", "left", "new", "new and edited", "new folder/in"].map(|it| text(it, "theirs"));
    world.restore("r", Conflict::Replace, &backed);
    fs::write(world.file("edited"), "edited since").unwrap();
    fs::write(world.file("new and edited"), "edited since").unwrap();
    fs::remove_file(world.file("removed")).unwrap();
    fs::write(world.file("new folder/mine"), "mine").unwrap();

    let report = world.undo("r");

    let named: Vec<_> = report.failures.iter().map(|it| it.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(named, ["edited", "new and edited"]);
    assert_eq!((report.wanted, report.done), (6, 4));
    let read = |name: &str| fs::read_to_string(world.file(name)).unwrap();
    assert_eq!((read("edited"), read("new and edited")), ("edited since".to_owned(), "edited since".to_owned()));
    assert_eq!((read("left"), read("removed")), ("mine".to_owned(), "mine".to_owned()));
    assert!(!world.file("new").exists());
    assert_eq!(read("new folder/mine"), "mine", "somebody put it there");
    let kept = report.failures[0].reason.rsplit_once(AREA).unwrap().1.to_owned();
    assert_eq!(read(&format!("{AREA}{kept}")), "mine", "what cannot go back is where the report says");

    // Out of the way, it goes back when asked again.
    fs::remove_file(world.file("edited")).unwrap();
    assert_eq!(world.undo("r").failures.len(), 1);
    assert_eq!(read("edited"), "mine");
    // What was removed is kept: nothing that an undo removes is gone at once.
    let kept: Vec<_> = world.kept("r").iter().map(|it| it.rsplit('-').next().unwrap().to_owned()).collect();
    assert_eq!(kept, ["in", "left", "new"]);
    for name in world.kept("r") {
        assert_eq!(read(&format!("{AREA}/r/{name}")), "theirs");
    }
    world.purge("r");
    assert!(!world.file(AREA).exists());
}

#[test]
fn d05_the_first_of_two_restores_touches_nothing_of_the_second() {
    let world = World::new();
    fs::write(world.file("x"), "mine").unwrap();
    let before = looks(&world.root);
    world.restore("1", Conflict::Replace, &[text("x", "one"), text("only in the first", "one")]);
    world.restore("2", Conflict::Replace, &[text("x", "two")]);

    let first = world.undo("1");
    assert_eq!((first.wanted, first.done), (2, 1), "{first:?}");
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "two");
    assert!(world.undo("2").is_whole());
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "one");
    assert!(world.undo("1").is_whole());
    world.purge("1");
    world.purge("2");
    let names = |it: &BTreeMap<PathBuf, String>| it.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&looks(&world.root)), names(&before));
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "mine");
}

#[test]
fn d05_nothing_is_replaced_through_an_undo_folder_that_is_not_the_agents_own() {
    let world = World::new();
    let outside = world.root.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    let plant: [&dyn Fn(&Path); 3] = [
        &|it| symlink(&outside, it).unwrap(),
        &|it| {
            fs::create_dir(it).unwrap();
            fs::set_permissions(it, fs::Permissions::from_mode(0o777)).unwrap();
        },
        &|it| fs::write(it, "a file").unwrap(),
    ];
    for (number, plant) in plant.into_iter().enumerate() {
        let area = world.file(AREA);
        fs::write(world.file("x"), "mine").unwrap();
        plant(&area);

        world.restore(&number.to_string(), Conflict::Replace, &[text("x", "theirs")]);

        assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "mine", "{number}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(fs::read_dir(&world.root).unwrap().count() == 2, "no temporary file is left");
        assert!(world.undo(&number.to_string()).failures.is_empty());
        if fs::remove_dir(&area).is_err() {
            fs::remove_file(&area).unwrap();
        }
    }
}

#[test]
fn d05_an_undo_follows_nothing_that_was_put_in_its_way() {
    let world = World::new();
    let outside = world.root.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(world.file("in")).unwrap();
    fs::write(world.file("in/x"), "mine").unwrap();
    world.restore("r", Conflict::Replace, &[text("in/x", "theirs"), text("in/y", "theirs")]);
    // The folder is swapped for a link to one that has the same files.
    fs::rename(world.file("in"), world.file("moved")).unwrap();
    for name in ["x", "y"] {
        fs::hard_link(world.file("moved").join(name), outside.join(name)).unwrap();
    }
    symlink(&outside, world.file("in")).unwrap();

    let report = world.undo("r");

    assert_eq!((report.done, report.failures.len()), (0, 2), "{report:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
    // The area is swapped too: what is in the other one was never replaced.
    fs::remove_file(world.file("in")).unwrap();
    fs::rename(world.file("moved"), world.file("in")).unwrap();
    let own = world.file(AREA).join("r");
    fs::rename(own.join("0"), own.join("kept")).unwrap();
    fs::write(own.join("0"), "planted").unwrap();
    let report = world.undo("r");
    assert!(report.failures.iter().any(|it| it.reason.contains("not what was replaced")), "{report:?}");
    assert!(!world.file("in/x").exists() && own.join("kept").exists());
}

#[test]
fn d05_what_a_restore_replaced_is_kept_for_its_time_whatever_the_server_says() {
    let world = World::new();
    let clock = Clock::fixed(NOW);
    enrolled(&world.state, NOWHERE, std::slice::from_ref(&world.root));
    fs::write(world.file("x"), "mine").unwrap();
    let id = RestoreId::generate(NOW);
    world.restore(id.as_str(), Conflict::Replace, &[text("x", "theirs")]);
    let agent = open(&world.state, &clock, None);
    agent.restore_ended(id).unwrap();
    agent.client.learn(NOW + days(400));
    let kept = world.file(AREA).join(id.as_str()).join("0");
    assert!(agent.has_ended(id).unwrap(), "the same order again would not make its time another");

    // A clock that is set forward, or was wrong when the restore ended, takes no hour away, nor does a restart.
    clock.advance(days(400));
    for _ in 0..2 * KEPT_HOURS {
        agent.expire_undos(false).unwrap();
    }
    for _ in 0..KEPT_HOURS {
        agent.expire_undos(true).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "mine");
    }
    assert_eq!(agent.undoable().unwrap()[0].until, Some(NOW + days(14)));
    agent.expire_undos(false).unwrap();

    assert!(!world.file(AREA).exists() && agent.undoable().unwrap().is_empty());
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "theirs");
    assert!(agent.undo(id).unwrap_err().to_string().contains("its time to be undone is over"));
}

#[test]
fn d05_what_an_undo_removed_is_kept_for_its_time_and_the_undo_is_not_offered_again() {
    let world = World::new();
    let clock = Clock::fixed(NOW);
    enrolled(&world.state, NOWHERE, std::slice::from_ref(&world.root));
    let id = RestoreId::generate(NOW);
    world.restore(id.as_str(), Conflict::Replace, &[text("x", "theirs")]);
    let agent = open(&world.state, &clock, None);
    agent.restore_ended(id).unwrap();
    for _ in 0..KEPT_HOURS {
        agent.expire_undos(true).unwrap();
    }

    assert!(agent.undo(id).unwrap().is_whole());

    assert!(!world.file("x").exists());
    let kept = world.kept(id.as_str());
    assert_eq!(kept.len(), 1);
    let kept = world.file(AREA).join(id.as_str()).join(&kept[0]);
    assert!(agent.undoable().unwrap().is_empty());
    assert!(agent.undo(id).unwrap_err().to_string().contains("was undone"));
    for _ in 0..KEPT_HOURS {
        agent.expire_undos(true).unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "theirs");
    }
    agent.expire_undos(false).unwrap();
    assert!(!world.file(AREA).exists() && !trail::file(&world.state, id.as_str()).exists());
}

#[test]
fn d05_a_trail_that_was_cut_off_in_a_line_is_read_up_to_it() {
    let world = World::new();
    world.restore("r", Conflict::KeepBoth, &[text("x", "theirs")]);
    let path = trail::file(&world.state, "r");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(br#"{"creating":{"at":{"root":"/e"#);
    fs::write(&path, bytes).unwrap();

    assert!(world.undo("r").is_whole());

    assert!(!world.file("x").exists());
}

#[test]
fn d05_a_folder_that_has_the_name_of_a_file_is_not_replaced() {
    let world = World::new();
    fs::create_dir_all(world.file("x/y")).unwrap();
    let before = looks(&world.root);
    world.restore("r", Conflict::Replace, &[text("x", "theirs")]);
    assert!(world.file("x/y").is_dir());
    assert!(world.undo("r").is_whole());
    assert_eq!(looks(&world.root), before);
}

#[test]
fn d05_what_was_moved_away_and_has_nothing_in_its_place_goes_back_when_the_restore_ends() {
    let world = World::new();
    fs::write(world.file("x"), "mine").unwrap();
    world.set_aside("r", "x");

    let trail = Trail::open(&world.state, "r").unwrap();
    let dir = tree::open_dir(&world.root).unwrap();
    let read = trail::read(&trail::file(&world.state, "r")).unwrap().unwrap();
    Back::new("r", &read, vec![(world.root.to_str().unwrap().to_owned(), Some(dir))]).mend(&trail);

    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "mine");
}

/// As on a file system that cannot rename without replacing, killed between the two steps.
#[test]
fn d05_an_undo_or_a_restore_that_was_stopped_with_both_names_there_leaves_one() {
    let world = World::new();
    fs::write(world.file("x"), "mine").unwrap();
    world.restore("r", Conflict::Replace, &[text("x", "theirs")]);
    let (own, free) = (world.file(AREA).join("r"), world.root.with_file_name("free"));
    // The restored file got its name in the area, and kept its own.
    fs::rename(own.join("0"), &free).unwrap();
    let number = trail::read(&trail::file(&world.state, "r")).unwrap().unwrap();
    let number = number.iter().position(|it| matches!(it, Step::Creating { .. })).unwrap();
    let undone = format!("undone-{number}-x");
    fs::hard_link(world.file("x"), own.join(&undone)).unwrap();
    assert_eq!(world.undo("r").failures.len(), 1, "what it replaced is not there");
    assert!(!world.file("x").exists());
    assert_eq!(world.kept("r"), [undone.as_str()]);
    // What was replaced got its name again, and kept that in the area.
    fs::rename(&free, own.join("0")).unwrap();
    fs::hard_link(own.join("0"), world.file("x")).unwrap();
    assert!(world.undo("r").is_whole());
    assert_eq!(world.kept("r"), [undone.as_str()]);
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "mine");
    // A restore was killed when it moved a file away.
    world.set_aside("s", "x");
    fs::hard_link(world.file(AREA).join("s/0"), world.file("x")).unwrap();
    let steps = trail::read(&trail::file(&world.state, "s")).unwrap().unwrap();
    let roots = vec![(world.root.to_str().unwrap().to_owned(), tree::open_dir(&world.root).ok())];
    Back::new("s", &steps, roots).mend(&Trail::open(&world.state, "s").unwrap());
    assert!(world.kept("s").is_empty() && world.file("x").exists());
    let steps = trail::read(&trail::file(&world.state, "s")).unwrap().unwrap();
    assert!(steps.contains(&Step::Stayed { slot: 0 }), "it was not replaced");
}
