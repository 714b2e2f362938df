//! Many entries that get their names together: killed, undone, and changed by others at each step.
use super::{Backed, Kind, World, looks, text};
use crate::restore::area::AREA;
use crate::restore::cut::{killed_after, meanwhile};
use crate::restore::trail::{self, Step};
use domain::restore::Conflict;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Files and other things in two new folders and an old one, some of which are there already.
fn backed() -> Vec<Backed> {
    let link = |path: &str| Backed { kind: Kind::File { text: "linked".to_owned(), link: Some(1) }, ..text(path, "") };
    let is = |path: &str, kind| Backed { kind, mode: 0o500, ..text(path, "") };
    let mut all = vec![is("new", Kind::Folder), is("new/in", Kind::Folder)];
    all.extend([text("new/in/a", "a"), link("new/in/first"), text("new/z", "z"), is("old", Kind::Folder)]);
    all.extend(["x", "y", "z"].map(|it| text(&format!("old/{it}"), &format!("theirs {it}"))));
    all.extend([link("old/second"), is("old/link", Kind::Link("x".to_owned())), is("old/pipe", Kind::Pipe)]);
    all.push(text("top", "theirs top"));
    all
}

fn world() -> World {
    let world = World::in_memory();
    fs::create_dir(world.file("old")).unwrap();
    for name in ["old/x", "old/y", "old/link", "top"] {
        fs::write(world.file(name), format!("mine {name}")).unwrap();
    }
    fs::write(world.file("old/z"), "theirs z").unwrap();
    world
}

/// Every content below a folder.
fn contents(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in looks(root).into_keys().filter(|it| fs::symlink_metadata(it).unwrap().is_file()) {
        found.push(fs::read_to_string(path).unwrap());
    }
    found
}

fn has_temporary(root: &Path) -> bool {
    looks(root).into_keys().any(|it| it.to_string_lossy().contains(".holdfast-restore-"))
}

#[test]
fn d05_a_batch_that_was_killed_after_any_step_is_undone_or_finished() {
    for conflict in Conflict::ALL {
        for goes_on in [false, true] {
            let mut steps = 0;
            loop {
                let world = world();
                let before = looks(&world.root);
                let done = killed_after(Some(steps), || world.restore("r", *conflict, &backed())).is_some();
                let told = format!("{conflict}, step {steps}, goes on: {goes_on}");
                for name in ["old/x", "old/y", "old/link", "top"] {
                    let mine = format!("mine {name}");
                    assert!(contents(&world.root).contains(&mine), "{mine} is lost: {told}");
                }
                if goes_on {
                    world.restore("r", *conflict, &backed());
                    let is_back = |name: &str| fs::read_to_string(world.file(name)).unwrap();
                    assert_eq!((is_back("new/in/a"), is_back("new/z")), ("a".to_owned(), "z".to_owned()), "{told}");
                    let theirs = *conflict == Conflict::Replace;
                    assert_eq!(is_back("old/x") == "theirs x", theirs, "{told}");
                    let inode = |name: &str| fs::metadata(world.file(name)).unwrap().ino();
                    assert_eq!(inode("new/in/first"), inode("old/second"), "{told}");
                    assert!(!has_temporary(&world.root), "{told}");
                }

                let report = world.undo("r");

                assert!(report.is_whole(), "{told}: {report:#?}");
                world.purge("r");
                assert_eq!(looks(&world.root), before, "{told}");
                if done {
                    break;
                }
                steps += 1;
            }
            assert!(steps > 25, "{steps} steps");
        }
    }
}

type Act = fn(&Path);

/// What somebody may do while a restore runs.
fn acts() -> [(&'static str, Act); 5] {
    [
        ("saves over what is to be replaced", |root| {
            fs::write(root.join("saved"), "saved").unwrap();
            fs::rename(root.join("saved"), root.join("old/x")).unwrap();
        }),
        ("writes into what is to be replaced", |root| {
            // Where it was moved to, others cannot open it.
            if root.join("old/x").exists() {
                fs::write(root.join("old/x"), "saved").unwrap();
            }
        }),
        ("makes a file with a name that was free", |root| {
            if !root.join("old/second").exists() {
                fs::write(root.join("old/second"), "saved").unwrap();
            }
        }),
        ("makes a folder with a name that was free", |root| {
            if fs::create_dir(root.join("old/pipe")).is_ok() {
                fs::write(root.join("old/pipe/saved"), "saved").unwrap();
            }
        }),
        ("removes what is to be replaced", |root| drop(fs::remove_file(root.join("old/y")))),
    ]
}

#[test]
fn d05_what_somebody_does_while_a_batch_waits_is_never_lost() {
    for conflict in Conflict::ALL {
        for (said, act) in acts() {
            let mut steps = 0;
            loop {
                let world = world();
                let (root, told) = (world.root.clone(), format!("{conflict}, somebody {said} at step {steps}"));
                let saves = said.contains("saves");
                let acted = meanwhile(steps, move || act(&root), || world.restore("r", *conflict, &backed()));
                if !acted {
                    break;
                }
                let all = contents(&world.root);
                let is_saved = all.iter().any(|it| it == "saved");
                assert!(is_saved || !saves, "{told}: {all:#?}");
                assert!(!has_temporary(&world.root), "{told}");
                for name in ["old/link", "top"] {
                    assert!(all.contains(&format!("mine {name}")), "{told}");
                }

                let report = world.undo("r");

                let after = contents(&world.root);
                assert_eq!(is_saved, after.iter().any(|it| it == "saved"), "{told}: {after:#?}");
                assert_eq!(fs::read_to_string(world.file("top")).unwrap(), "mine top", "{told}");
                assert!(report.failures.iter().all(|it| it.path.contains("/old")), "{told}: {report:#?}");
                steps += 1;
            }
            assert!(steps > 25, "{steps} steps");
        }
    }
}

#[test]
fn d05_the_steps_of_a_batch_are_all_written_down_before_the_first_is_taken() {
    let world = world();
    let path = trail::file(&world.state, "r");
    let mut steps = 0;
    loop {
        let (file, root) = (path.clone(), world.root.clone());
        let wrong = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = std::rc::Rc::clone(&wrong);
        let name = format!("r{steps}");
        let file = file.with_file_name(format!("{name}.jsonl"));
        let acted = meanwhile(
            steps,
            move || {
                let told = trail::read(&file).unwrap().unwrap_or_default();
                let is_told = |path: &str| {
                    told.iter().any(|it| matches!(it, Step::Creating { at, .. } | Step::Moving { at, .. } | Step::Making { at } if at.path == path))
                };
                let unchanged =
                    |it: &str| fs::read_to_string(root.join(it)).is_ok_and(|text| text == format!("mine {it}"));
                for it in ["old/x", "old/y", "old/link", "top"] {
                    if !unchanged(it) && !is_told(it) {
                        seen.borrow_mut().push(it);
                    }
                }
                for it in ["new", "new/in", "new/in/a", "new/in/first", "new/z", "old/second", "old/pipe"] {
                    if fs::symlink_metadata(root.join(it)).is_ok() && !is_told(it) {
                        seen.borrow_mut().push(it);
                    }
                }
            },
            || world.restore(&name, Conflict::Replace, &backed()),
        );
        assert!(wrong.borrow().is_empty(), "changed before it was written down: {:?}", wrong.borrow());
        assert!(world.undo(&name).is_whole());
        world.purge(&name);
        if !acted {
            return;
        }
        steps += 1;
    }
}

/// A file system that does not tell `A` from `a` shows one file under both names.
#[test]
fn d05_two_names_that_are_one_to_the_file_system_are_undone_as_one() {
    let world = World::in_memory();
    world.restore("r", Conflict::KeepBoth, &[text("A", "one"), text("a", "two")]);
    fs::remove_file(world.file("a")).unwrap();
    fs::hard_link(world.file("A"), world.file("a")).unwrap();

    let report = world.undo("r");

    assert!(report.is_whole(), "{report:#?}");
    assert!(!world.file("A").exists());
    // What has nothing to do with the restore still stays.
    world.restore("s", Conflict::KeepBoth, &[text("B", "one"), text("b", "two")]);
    fs::remove_file(world.file("b")).unwrap();
    fs::write(world.file("b"), "somebody else's").unwrap();
    assert_eq!(world.undo("s").failures.len(), 1);
    assert_eq!(fs::read_to_string(world.file("b")).unwrap(), "somebody else's");
}

#[test]
fn two_entries_of_a_batch_that_want_the_same_name_both_come_back_and_are_undone() {
    let world = World::in_memory();
    fs::write(world.file("x"), "mine").unwrap();
    let before = looks(&world.root);
    // The first has to go beside, where the second belongs.
    let beside = "x (restored 2026-11-22)";
    world.restore("r", Conflict::KeepBoth, &[text("x", "theirs"), text(beside, "theirs too")]);

    let found: BTreeMap<_, _> = looks(&world.root)
        .into_keys()
        .filter(|it| it.is_file())
        .map(|it| {
            let text = fs::read_to_string(&it).unwrap();
            (it.file_name().unwrap().to_string_lossy().into_owned(), text)
        })
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(["mine", "theirs", "theirs too"].iter().all(|it| found.values().any(|had| had == it)), "{found:?}");
    assert!(world.undo("r").is_whole());
    world.purge("r");
    assert_eq!(looks(&world.root), before);
    assert!(!world.file(AREA).exists());
}
