//! The agent against a real server: enrol, check in, back up, lose the server, be killed.
use crate::support::device::token;
use crate::support::gate::Gate;
use crate::support::server::{TestServer, admin};
use holdfast::agent::progress::{Event, Progress};
use holdfast::agent::state::{LastBackup, State};
use holdfast::agent::{Agent, EnrollRequest, Stop, Surroundings, platform};
use holdfast::clock::Clock;
use holdfast::domain::command::{CommandKind, CommandState};
use holdfast::domain::object::ObjectKind;
use holdfast::service::command::Ask;
use holdfast::store::restore_point::RestorePoint;
use holdfast::{service, store};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with files, a state directory, and what the agent says.
struct Device {
    folder: tempfile::TempDir,
    events: Receiver<Event>,
    progress: Arc<Watch>,
}

/// Something to do at an event.
type At = (Event, Box<dyn FnOnce() + Send>);

/// Passes events on, after doing something at one of them.
struct Watch {
    events: Mutex<Sender<Event>>,
    at: Mutex<Option<At>>,
}

impl Progress for Watch {
    fn event(&self, event: Event) {
        let mut at = self.at.lock().unwrap();
        if at.as_ref().is_some_and(|(awaited, _)| *awaited == event) {
            (at.take().unwrap().1)();
        }
        let _ = self.events.lock().unwrap().send(event);
    }
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("docs/deep")).unwrap();
        for number in 0..40 {
            fs::write(folder.path().join(format!("docs/deep/{number}.txt")), format!("file {number}").repeat(50))
                .unwrap();
        }
        let (sender, events) = channel();
        let progress = Arc::new(Watch { events: Mutex::new(sender), at: Mutex::default() });
        Self { folder, events, progress }
    }

    fn docs(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("docs")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn surroundings(&self, clock: Clock) -> Surroundings {
        let progress: Arc<dyn Progress> = self.progress.clone();
        Surroundings { platform: platform::this(), clock, progress, home: None }
    }

    fn enroll(&self, server: &TestServer, url: &str) -> Agent {
        let request = EnrollRequest {
            server: url.to_owned(),
            token: token(server, |_| {}),
            protect: vec![self.docs()],
            name: Some("laptop-1".to_owned()),
            ..EnrollRequest::default()
        };
        let state = State::open(&self.state()).unwrap();
        Agent::enroll(state, self.surroundings(server.app.clock.clone()), &request).unwrap()
    }

    /// Does something when the agent says `event`.
    fn when(&self, event: Event, act: impl FnOnce() + Send + 'static) {
        *self.progress.at.lock().unwrap() = Some((event, Box::new(act)));
    }

    fn await_note(&self, text: &str) {
        loop {
            match self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the agent never said: {text}")) {
                Event::Note(said) | Event::Warning(said) if said.contains(text) => return,
                _ => {}
            }
        }
    }
}

fn points(server: &TestServer, agent: &Agent) -> Vec<RestorePoint> {
    let device = agent.enrollment().device_id;
    server.read(move |conn| Ok(store::restore_point::of_device(conn, device, 100)?))
}

fn backing_up() -> Event {
    Event::Note("Backing up".to_owned())
}

#[test]
fn a_device_enrols_checks_in_and_backs_up() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());

    agent.check_in().unwrap();
    let id = agent.enrollment().device_id;
    let status = server.read(move |conn| Ok(store::device_status::find(conn, id)?)).unwrap();
    let facts = status.facts().unwrap();
    assert_eq!(facts.changes.unwrap().value.files, 40);
    assert!(facts.encryption.is_some());

    let backup = agent.back_up(&Stop::default()).unwrap();

    assert_eq!((backup.file_count, backup.excluded_count), (40, 0));
    let points = points(&server, &agent);
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].snapshot_name, backup.snapshot);
    assert_eq!(points[0].manifest_name.as_ref(), Some(&backup.manifest));
    assert_eq!(points[0].file_count, Some(40));
    assert_eq!(agent.facts().unwrap().changes.unwrap().value.files, 0);
}

#[test]
fn an_unchanged_folder_costs_no_second_upload_and_a_changed_file_only_itself() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    agent.back_up(&Stop::default()).unwrap();
    let repository = agent.enrollment().repository_id;
    let packs = || server.read(move |conn| Ok(store::object::count(conn, repository, ObjectKind::Data)?));
    let first = packs();

    agent.back_up(&Stop::default()).unwrap();
    assert_eq!(packs(), first);

    fs::write(device.docs().join("deep/7.txt"), "changed").unwrap();
    assert_eq!(agent.facts().unwrap().changes.unwrap().value.files, 1);
    agent.back_up(&Stop::default()).unwrap();
    // One pack for the chunk and one for the folders above it.
    assert_eq!(packs(), first + 2);
    assert_eq!(points(&server, &agent).len(), 3);
}

#[test]
fn a_file_that_changes_during_a_backup_is_left_out_of_the_comparison() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let docs = device.docs();
    device.when(backing_up(), {
        let docs = docs.clone();
        move || {
            fs::write(docs.join("deep/3.txt"), "changed after it was hashed").unwrap();
            fs::remove_file(docs.join("deep/4.txt")).unwrap();
        }
    });

    agent.back_up(&Stop::default()).unwrap();

    let excluded = points(&server, &agent)[0].excluded_paths().unwrap();
    let expected: Vec<_> = ["3", "4"].map(|it| docs.join(format!("deep/{it}.txt")).display().to_string()).into();
    assert_eq!(excluded, expected);
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    gate.close();
    assert!(agent.check_in().is_err());

    let stop = Stop::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        device.await_note("cannot be reached");
        gate.open();
        device.await_note("The server is back");
        stop.stop();
        run.join().unwrap().unwrap();
    });
}

#[test]
fn a_report_that_could_not_be_sent_is_sent_later() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    gate.refuse("POST /agent/v1/backups");

    agent.back_up(&Stop::default()).unwrap();
    assert_eq!(points(&server, &agent)[0].manifest_name, None);
    assert!(agent.send_reports().is_err());

    // Another process of the agent finds it in the state directory.
    drop(agent);
    let agent =
        Agent::open(State::open(&device.state()).unwrap(), device.surroundings(server.app.clock.clone())).unwrap();
    gate.open();
    agent.send_reports().unwrap();
    assert_eq!(points(&server, &agent)[0].file_count, Some(40));
}

#[test]
fn a_command_reaches_an_agent_that_waits_and_its_answer_comes_back() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let id = agent.enrollment().device_id;
    let stop = Stop::default();

    std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        let now = server.app.clock.now();
        let command = server.act(move |conn| {
            let device = store::device::find(conn, id)?.unwrap();
            let ask = Ask::plain(CommandKind::BackUpNow, None);
            service::command::queue(conn, &admin(), &device, ask, now)
        });
        server.app.wake.device(id);
        device.await_note("Backed up 40 files");
        device.await_note("done");
        let answered = || server.read(move |conn| Ok(store::command::find(conn, command.id)?)).unwrap();
        let until = std::time::Instant::now() + PATIENCE;
        while answered().state != CommandState::Acknowledged && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(answered().state, CommandState::Acknowledged);
        stop.stop();
        run.join().unwrap().unwrap();
    });
    assert_eq!(points(&server, &agent).len(), 1);
}

#[test]
fn an_agent_that_is_killed_in_a_backup_makes_a_whole_one_afterwards() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    let (id, state) = (agent.enrollment().device_id, device.state());
    drop(agent);

    // The process's own clock is months away from the server's: it signs again with the server's time.
    let stalled = gate.stall("/data/");
    let mut killed = agent_process(&state, "backup").spawn().unwrap();
    stalled.recv_timeout(PATIENCE).expect("the agent uploads");
    killed.kill().unwrap();
    killed.wait().unwrap();
    gate.open();
    assert!(State::view(&state).unwrap().find::<LastBackup>().unwrap().is_none());

    let output = agent_process(&state, "backup").output().unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Backed up 40 files"));
    let points = server.read(move |conn| Ok(store::restore_point::of_device(conn, id, 100)?));
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].file_count, Some(40));

    let output = agent_process(&state, "status").arg("--json").output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["changes_since_backup"]["files"], 0);
    assert_eq!(status["last_backup"]["file_count"], 40);
}

fn agent_process(state: &Path, act: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("agent").arg(act).arg("--state").arg(state).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
