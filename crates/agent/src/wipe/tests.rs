use super::*;
use crate::Surroundings;
use crate::protect::MARK_NAME;
use crate::state::{Enrollment, Marks};
use crate::testing::{NOW, NOWHERE, enrolled, open, server};
use clock::Clock;
use domain::time::hours;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use wire::{Command, Payload};

struct World {
    temp: tempfile::TempDir,
    docs: PathBuf,
    photos: PathBuf,
    clock: Clock,
}

impl World {
    fn new(server: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let base = temp.path().canonicalize().unwrap();
        let (docs, photos) = (base.join("docs"), base.join("photos"));
        for folder in [&docs, &photos] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "12345").unwrap();
        }
        fs::create_dir(base.join("outside")).unwrap();
        fs::write(base.join("outside/kept"), "kept").unwrap();
        let world = Self { temp, docs, photos, clock: Clock::fixed(NOW) };
        enrolled(&world.state(), server, &[world.docs.clone(), world.photos.clone()]);
        world
    }

    fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    fn agent(&self) -> Agent {
        open(&self.state(), &self.clock, Some(self.temp.path().canonicalize().unwrap().join("home")))
    }

    /// Why the agent does not open.
    fn refusal(&self) -> String {
        let around = Surroundings {
            platform: crate::platform::this(),
            clock: self.clock.clone(),
            progress: std::sync::Arc::new(crate::progress::Silent),
            home: None,
        };
        Agent::open(State::open(&self.state()).unwrap(), around).err().unwrap().to_string()
    }

    fn is_there<R: crate::state::Record>(&self) -> bool {
        State::view(&self.state()).unwrap().find::<R>().unwrap().is_some()
    }
}

fn texts(paths: &[&PathBuf]) -> Vec<String> {
    paths.iter().map(|it| it.display().to_string()).collect()
}

/// Gives receipts, and the reports it got.
fn receipts() -> (String, Receiver<WipeReport>) {
    let (sender, receiver) = channel();
    let address = server(move |path, body| {
        assert_eq!(path, WIPE_REPORTS);
        let report: WipeReport = serde_json::from_slice(body).unwrap();
        let receipt = WipeReceipt { command_id: report.command_id, received_at: NOW };
        sender.send(report).unwrap();
        (200, serde_json::to_string(&receipt).unwrap())
    });
    (address, receiver)
}

fn command() -> CommandId {
    CommandId::generate(NOW)
}

fn order() -> (CommandId, CommandKind) {
    (command(), CommandKind::Wipe)
}

#[test]
fn a_wipe_erases_key_and_folders_reports_and_then_forgets_who_it_is() {
    let (address, reports) = receipts();
    let world = World::new(&address);
    symlink(world.temp.path().join("outside"), world.docs.join("link")).unwrap();
    let id = command();

    world.agent().wipe((id, CommandKind::Wipe), &texts(&[&world.docs, &world.photos]), &Stop::default()).unwrap();

    let report = reports.recv().unwrap();
    assert!(report.complete && report.key_destroyed);
    assert_eq!(report.command_id, id);
    assert_eq!(report.roots.iter().map(|it| it.removed_files).collect::<Vec<_>>(), [2, 1]);
    assert!(!world.docs.exists() && !world.photos.exists());
    assert_eq!(fs::read(world.temp.path().join("outside/kept")).unwrap(), b"kept");
    assert!(!world.is_there::<Identity>() && !world.is_there::<Credentials>() && !world.is_there::<WipeJournal>());
    assert!(State::view(&world.state()).unwrap().get::<Wiped>().unwrap().receipt);
}

#[test]
fn what_is_not_recorded_marked_or_allowed_is_left_and_said() {
    let (address, reports) = receipts();
    let world = World::new(&address);
    let outside = world.temp.path().canonicalize().unwrap().join("outside");
    // The mark of `photos` is gone; `docs` is a symlink to somewhere else.
    fs::remove_file(world.photos.join(MARK_NAME)).unwrap();
    fs::rename(&world.docs, world.temp.path().join("moved")).unwrap();
    symlink(&outside, &world.docs).unwrap();
    let all = [texts(&[&world.docs, &world.photos, &outside]), vec!["/".to_owned()]].concat();

    world.agent().wipe(order(), &all, &Stop::default()).unwrap();

    let report = reports.recv().unwrap();
    assert!(!report.complete && report.key_destroyed);
    let said: Vec<_> = report.roots.iter().map(|it| it.refused.join("; ")).collect();
    assert!(said[0].contains("symlink"), "{said:?}");
    assert!(said[1].contains("mark"), "{said:?}");
    assert!(said[2].contains("not protected"), "{said:?}");
    assert!(said[3].contains("not protected"), "{said:?}");
    assert!(outside.join("kept").exists() && world.photos.join("file").exists());
    assert!(world.temp.path().join("moved/file").exists());
}

#[test]
fn a_home_directory_or_what_holds_the_state_is_left_even_when_recorded() {
    let (address, reports) = receipts();
    let world = World::new(&address);
    let base = world.temp.path().canonicalize().unwrap();
    fs::rename(&world.docs, base.join("home")).unwrap();
    let state = State::open(&world.state()).unwrap();
    let mut roots: Roots = state.get().unwrap();
    roots.roots[0].path = base.join("home").display().to_string();
    // A tampered record names the folder above the state.
    let mut marks = Marks::default();
    protect::invent(&mut marks, std::slice::from_ref(&base)).unwrap();
    let above = protect::mark(std::slice::from_ref(&base), &marks).unwrap().roots.remove(0);
    roots.roots[1] = above;
    state.put(&roots).unwrap();
    drop(state);

    world.agent().wipe(order(), &texts(&[&base.join("home"), &base]), &Stop::default()).unwrap();

    let report = reports.recv().unwrap();
    let said: Vec<_> = report.roots.iter().map(|it| it.refused.join("; ")).collect();
    assert!(said[0].contains("home"), "{said:?}");
    assert!(said[1].contains("state"), "{said:?}");
    assert!(base.join("home/file").exists() && world.photos.join("file").exists());
}

#[test]
fn without_a_receipt_the_signing_key_stays_until_the_deadline() {
    let world = World::new(NOWHERE);
    let stop = Stop::default();
    stop.stop();

    let stopped = world.agent().wipe(order(), &texts(&[&world.docs, &world.photos]), &stop);

    // The folders and the repository's key are gone at once; only the report waits.
    assert!(stopped.is_err());
    assert!(!world.docs.exists() && !world.is_there::<Credentials>());
    assert!(world.is_there::<Identity>() && world.is_there::<WipeJournal>());

    world.clock.advance(DEADLINE + hours(1));
    assert!(world.agent().resume_wipe(&stop).unwrap());
    assert!(!world.is_there::<Identity>());
    assert!(!State::view(&world.state()).unwrap().get::<Wiped>().unwrap().receipt);
}

#[test]
fn a_kill_before_the_last_key_is_destroyed_leaves_none_behind() {
    let world = World::new(NOWHERE);
    let stop = Stop::default();
    stop.stop();
    world.agent().wipe(order(), &texts(&[&world.docs]), &stop).unwrap_err();
    let state = State::open(&world.state()).unwrap();
    state.put(&Wiped { command_id: command(), kind: CommandKind::Wipe, wiped_at: NOW, receipt: true }).unwrap();
    drop(state);
    assert!(world.is_there::<Identity>());

    assert!(world.refusal().contains("was wiped"));
    assert!(!world.is_there::<Identity>() && !world.is_there::<WipeJournal>());
}

#[test]
fn what_was_written_back_while_the_wipe_began_is_destroyed_too() {
    let world = World::new(NOWHERE);
    let stop = Stop::default();
    stop.stop();
    let agent = world.agent();
    agent
        .state
        .put(&WipeJournal {
            command_id: command(),
            kind: CommandKind::Wipe,
            generation: 1,
            roots: texts(&[&world.docs]),
            stage: WipeStage::KeyDestroyed,
            ordered_at: NOW,
            wiped: Vec::new(),
            erasing: None,
            report: None,
        })
        .unwrap();
    agent.state.put(&Outbox::default()).unwrap();

    agent.resume_wipe(&stop).unwrap_err();

    assert!(!world.is_there::<Outbox>() && !world.is_there::<Credentials>());
}

#[test]
fn an_interrupted_wipe_continues_where_it_was() {
    let (address, reports) = receipts();
    let world = World::new(&address);
    let state = State::open(&world.state()).unwrap();
    // Killed after `docs` was emptied except for its mark, but before it was removed.
    fs::remove_file(world.docs.join("file")).unwrap();
    fs::remove_file(world.docs.join(MARK_NAME)).unwrap();
    let id = command();
    state
        .put(&WipeJournal {
            command_id: id,
            kind: CommandKind::Wipe,
            generation: 1,
            roots: texts(&[&world.docs, &world.photos]),
            stage: WipeStage::KeyDestroyed,
            ordered_at: NOW,
            wiped: Vec::new(),
            erasing: Some(world.docs.display().to_string()),
            report: None,
        })
        .unwrap();
    drop(state);

    assert!(world.agent().resume_wipe(&Stop::default()).unwrap());

    let report = reports.recv().unwrap();
    assert!(report.complete, "{report:?}");
    assert!(!world.docs.exists() && !world.photos.exists());
    assert!(!world.is_there::<WipeJournal>());
}

#[test]
fn a_wiped_agent_does_not_open_again() {
    let (address, _reports) = receipts();
    let world = World::new(&address);
    world.agent().wipe(order(), &texts(&[&world.docs]), &Stop::default()).unwrap();

    let state = State::open(&world.state()).unwrap();
    assert!(state.find::<Enrollment>().unwrap().is_some());
    drop(state);
    assert!(world.refusal().contains("wiped"));
}

#[test]
fn removing_company_data_touches_no_folder_and_is_not_called_a_wipe() {
    let (address, reports) = receipts();
    let world = World::new(&address);
    let order = Command {
        id: command(),
        kind: CommandKind::RemoveCompanyData,
        generation: 1,
        expires_at: NOW + hours(1),
        // An order that names folders nevertheless.
        payload: Payload::Wipe { roots: texts(&[&world.docs]) },
    };

    world.agent().act(order, &Stop::default(), &|_| unreachable!()).unwrap();

    let report = reports.recv().unwrap();
    assert!(report.complete && report.key_destroyed && report.roots.is_empty());
    assert!(world.docs.join("file").exists() && !world.is_there::<Credentials>());
    let refusal = world.refusal();
    assert!(refusal.starts_with("company data was removed from this device at"), "{refusal}");
}
