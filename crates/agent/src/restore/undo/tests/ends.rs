//! What is kept when an enrolment ends.
use super::{World, text};
use crate::net::backoff::Stop;
use crate::restore::trail;
use crate::testing::{NOW, enrolled, open, server};
use clock::Clock;
use domain::command::CommandKind;
use domain::id::{CommandId, RestoreId};
use domain::restore::Conflict;
use std::fs;
use std::path::Path;
use wire::{WipeReceipt, WipeReport};

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
