//! What is kept and told when a restore or an enrolment ends.
use super::{World, text};
use crate::net::backoff::Stop;
use crate::restore::area::AREA;
use crate::restore::trail;
use crate::restore::undo::KEPT_HOURS;
use crate::testing::{NOW, enrolled, open, server};
use clock::Clock;
use domain::command::CommandKind;
use domain::id::{CommandId, RestoreId};
use domain::manifest::encode_path;
use domain::object::ObjectName;
use domain::restore::{Conflict, Landing};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::channel;
use wire::{RestoreOrder, RestoreResult, WipeReceipt, WipeReport};

fn receipts() -> String {
    server(|_, body| {
        let report: WipeReport = serde_json::from_slice(body).unwrap();
        let receipt = WipeReceipt { command_id: report.command_id, received_at: NOW };
        (200, serde_json::to_string(&receipt).unwrap())
    })
}

fn has_trail(state: &Path, id: RestoreId) -> bool {
    trail::file(state, id.as_str()).exists()
}

/// A device where one restore has ended and another was killed when it had moved a file away.
fn ended_and_killed() -> (World, RestoreId, RestoreId) {
    let world = World::new();
    enrolled(&world.state, &receipts(), std::slice::from_ref(&world.root));
    for name in ["x", "y"] {
        fs::write(world.file(name), "mine").unwrap();
    }
    let (ended, killed) = (RestoreId::generate(NOW), RestoreId::generate(NOW));
    world.restore(ended.as_str(), Conflict::Replace, &[text("x", "theirs")]);
    open(&world.state, &Clock::fixed(NOW), None).restore_ended(ended).unwrap();
    world.set_aside(killed.as_str(), "y");
    (world, ended, killed)
}

#[test]
fn d05_the_removal_of_company_data_leaves_nobodys_replaced_files_stranded() {
    let (world, ended, killed) = ended_and_killed();
    let order = (CommandId::generate(NOW), CommandKind::RemoveCompanyData);

    open(&world.state, &Clock::fixed(NOW), None).wipe(order, &[], &Stop::default()).unwrap();

    assert_eq!(fs::read_to_string(world.file("y")).unwrap(), "mine", "nothing took its place");
    assert!(has_trail(&world.state, ended) && has_trail(&world.state, killed));
    assert!(world.undo(ended.as_str()).is_whole());
    assert_eq!(fs::read_to_string(world.file("x")).unwrap(), "mine");
}

#[test]
fn d05_a_wipe_forgets_the_trails_of_what_it_erased() {
    for is_marked in [true, false] {
        let (world, ended, killed) = ended_and_killed();
        if !is_marked {
            fs::remove_file(world.file(crate::protect::MARK_NAME)).unwrap();
        }
        let order = (CommandId::generate(NOW), CommandKind::Wipe);
        let roots = [world.root.display().to_string()];

        open(&world.state, &Clock::fixed(NOW), None).wipe(order, &roots, &Stop::default()).unwrap();

        assert_eq!(world.root.exists(), !is_marked);
        for id in [ended, killed] {
            assert_eq!(has_trail(&world.state, id), !is_marked, "what is kept there is still known");
        }
    }
}

#[test]
fn d05_what_a_killed_restore_moved_away_goes_back_after_the_device_was_enrolled_again() {
    let (world, _, killed) = ended_and_killed();
    let agent = open(&world.state, &Clock::fixed(NOW), None);

    agent.expire_undos(false).unwrap();

    assert_eq!(fs::read_to_string(world.file("y")).unwrap(), "mine");
    assert!(agent.has_ended(killed).unwrap());
}

#[test]
fn d05_a_restore_that_cannot_go_on_tells_what_it_replaced_until_then() {
    let (tell, told) = channel();
    let server = server(move |path, body| {
        if path.ends_with("/result") {
            tell.send(serde_json::from_slice::<RestoreResult>(body).unwrap()).unwrap();
        }
        (200, r#"{"command_waits": false}"#.to_owned())
    });
    let world = World::new();
    enrolled(&world.state, &server, std::slice::from_ref(&world.root));
    for name in ["x", "y", "é"] {
        fs::write(world.file(name), "mine").unwrap();
    }
    let restore_id = RestoreId::generate(NOW);
    world.restore(restore_id.as_str(), Conflict::Replace, &[text("x", "theirs"), text("é", "theirs")]);
    world.set_aside(restore_id.as_str(), "y");
    let agent = open(&world.state, &Clock::fixed(NOW), None);
    let order = RestoreOrder {
        restore_id,
        repository_id: agent.enrollment().repository_id,
        repository_path: "/restic/r/".to_owned(),
        snapshot: ObjectName::from_hash(&[0; 32]),
        // Nobody can open it.
        sealed: String::new(),
        selection: Vec::new(),
        conflict: Conflict::Replace,
        landing: Landing::InPlace,
        file_count: 3,
        size_bytes: 1,
    };
    agent.begin_restore(CommandId::generate(NOW), order).unwrap();

    agent.restore_unfinished(&Stop::default()).unwrap();

    let result = told.recv().unwrap();
    let paths = ["x", "é"].map(|it| encode_path(world.file(it).as_os_str().as_bytes()));
    assert_eq!(result.replaced, paths);
    assert_eq!(result.failures.len(), 1);
    assert!(result.files.is_empty() && !agent.has_unfinished_restore().unwrap());
    assert_eq!(fs::read_to_string(world.file("y")).unwrap(), "mine", "it is back, so it was not replaced");
}

#[test]
fn d05_a_trail_is_known_until_all_that_it_kept_is_gone() {
    let (world, ended, _) = ended_and_killed();
    let agent = open(&world.state, &Clock::fixed(NOW), None);
    for _ in 0..KEPT_HOURS {
        agent.expire_undos(true).unwrap();
    }
    // Not the agent's: it cannot be removed as a file.
    let other = world.file(AREA).join(ended.as_str()).join("other");
    fs::create_dir(&other).unwrap();

    agent.expire_undos(false).unwrap();
    assert!(has_trail(&world.state, ended), "something is left");
    fs::remove_dir(&other).unwrap();
    let away = world.root.parent().unwrap().join("away");
    fs::rename(&world.root, &away).unwrap();
    agent.expire_undos(false).unwrap();
    assert!(has_trail(&world.state, ended), "its disk is not there");
    fs::rename(&away, &world.root).unwrap();
    agent.expire_undos(false).unwrap();
    assert!(!has_trail(&world.state, ended));
}
