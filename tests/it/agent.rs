//! The agent against a real server: enroll, check in, back up, lose the server, be killed.
use crate::support::NOW;
use crate::support::device::token;
use crate::support::gate::Gate;
use crate::support::server::{TestServer, admin};
use agent::progress::{Event, Progress};
use agent::state::{Away, BackupRequest, LastBackup, State};
use agent::{Agent, EnrollRequest, Stop, Surroundings, platform};
use clock::Clock;
use domain::account::UserState;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::{By, Presence};
use domain::command::{CommandState, Order};
use domain::device::DeviceState;
use domain::fact::FactKind;
use domain::id::{CommandId, DeviceId, RestorePointId, UserId, WipeRequestId};
use domain::object::ObjectKind;
use domain::proof::Retest;
use domain::restore::{Conflict, RestoreState, Selection};
use domain::role::{Grants, Role, Scope};
use domain::time::{Time, days, hours, minutes};
use domain::wipe::{WipeAction, WipeReason, WipeState};
use holdfast::config::Options;
use holdfast::error::Result;
use holdfast::proof::Prover;
use holdfast::proof::runner::Runner;
use holdfast::service::command::Ask;
use holdfast::service::restore::Draft;
use holdfast::store::Conn;
use holdfast::store::restore::Restore;
use holdfast::store::restore_point::RestorePoint;
use holdfast::store::user::User;
use holdfast::{service, store};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with files, a state directory, and what the agent says.
pub struct Device {
    pub folder: tempfile::TempDir,
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
    pub fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// One whose files and whose agent's state are in a folder.
    pub fn within(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).unwrap();
        fs::create_dir_all(folder.path().join("docs/deep")).unwrap();
        for number in 0..40 {
            fs::write(folder.path().join(format!("docs/deep/{number}.txt")), format!("file {number}").repeat(50))
                .unwrap();
        }
        let (sender, events) = channel();
        let progress = Arc::new(Watch { events: Mutex::new(sender), at: Mutex::default() });
        Self { folder, events, progress }
    }

    pub fn docs(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("docs")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn surroundings(&self, clock: Clock) -> Surroundings {
        let progress: Arc<dyn Progress> = self.progress.clone();
        Surroundings { platform: platform::this(), clock, progress, home: None }
    }

    /// Starts its agent anew.
    pub fn open(&self, clock: Clock) -> anyhow::Result<Agent> {
        Agent::open(State::open(&self.state())?, self.surroundings(clock))
    }

    pub fn enroll(&self, server: &TestServer, url: &str) -> Agent {
        self.try_to_enroll(server, url, None).unwrap()
    }

    fn try_to_enroll(&self, server: &TestServer, url: &str, ca: Option<String>) -> anyhow::Result<Agent> {
        self.enroll_with(token(server, |_| {}), url, ca, server.app.clock.clone())
    }

    pub fn enroll_with(&self, token: String, url: &str, ca: Option<String>, clock: Clock) -> anyhow::Result<Agent> {
        self.join(EnrollRequest { server: url.to_owned(), token, ca, ..EnrollRequest::default() }, clock)
    }

    fn enroll_again(&self, server: &TestServer, token: &str, url: &str) -> anyhow::Result<Agent> {
        let (token, again) = (token.to_owned(), true);
        let request = EnrollRequest { server: url.to_owned(), token, again, ..EnrollRequest::default() };
        self.join(request, server.app.clock.clone())
    }

    pub fn join(&self, request: EnrollRequest, clock: Clock) -> anyhow::Result<Agent> {
        let protect = if request.protect.is_empty() { vec![self.docs()] } else { request.protect.clone() };
        let request = EnrollRequest { protect, name: Some("laptop-1".to_owned()), ..request };
        let state = State::open(&self.state()).unwrap();
        Agent::enroll(state, self.surroundings(clock), &request)
    }

    /// Does something when the agent says `event`.
    pub fn when(&self, event: Event, act: impl FnOnce() + Send + 'static) {
        *self.progress.at.lock().unwrap() = Some((event, Box::new(act)));
    }

    pub fn await_note(&self, text: &str) -> String {
        loop {
            let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the agent never said: {text}"));
            if let Event::Note(said) | Event::Warning(said) = event
                && said.contains(text)
            {
                return said;
            }
        }
    }
}

pub fn points(server: &TestServer, agent: &Agent) -> Vec<RestorePoint> {
    let device = agent.enrollment().device_id;
    server.read(move |conn| Ok(store::restore_point::of_device(conn, device, 100)?))
}

/// Spoils the first bytes of all stored packs and indexes of a repository.
fn spoil(server: &TestServer, agent: &Agent) {
    let blobs = &server.app.blobs;
    for (key, size) in blobs.list(agent.enrollment().repository_id).unwrap() {
        if matches!(key.kind, ObjectKind::Data | ObjectKind::Index) {
            let mut bytes = blobs.read(&key, 0, size).unwrap();
            bytes[..100].reverse();
            let mut upload = blobs.begin(&key).unwrap();
            upload.write(&bytes).unwrap();
            upload.replace().unwrap().settle();
        }
    }
}

pub fn prover(server: &TestServer) -> Prover {
    let runner = Runner::of(PathBuf::from(env!("CARGO_BIN_EXE_holdfast")));
    Prover { runner, ..server.app.prover().unwrap().expect("this server proves") }
}

fn packs(server: &TestServer, agent: &Agent) -> usize {
    let stored = server.app.blobs.list(agent.enrollment().repository_id).unwrap();
    stored.iter().filter(|(key, _)| key.kind == ObjectKind::Data).count()
}

#[test]
fn what_was_damaged_is_made_good_by_the_next_backup_and_not_sent_again_after_it() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let repository = agent.enrollment().repository_id;
    let prover = prover(&server);
    agent.back_up(&Stop::default()).unwrap();
    prover.run_once(None).unwrap();
    assert!(points(&server, &agent)[0].proven_at.is_some());
    let whole = packs(&server, &agent);

    spoil(&server, &agent);
    let now = server.app.clock.now();
    server.act(move |conn| service::proof::test_newest(conn, repository, now));
    prover.run_once(None).unwrap();
    let spoilt = points(&server, &agent).remove(0);
    assert_eq!((spoilt.proven_at, spoilt.retest), (None, Some(Retest::OnceHealed)));

    server.app.clock.advance(minutes(1));
    agent.back_up(&Stop::default()).unwrap();
    server.app.clock.advance(minutes(1));
    prover.run_once(None).unwrap();

    let points = points(&server, &agent);
    assert!(points[0].proven_at.is_some() && points[0].failed_at.is_none(), "{:?}", points[0]);
    assert_eq!((points[1].id, points[1].proven_at), (spoilt.id, None), "it is read as of its own time");
    assert_eq!(packs(&server, &agent), 2 * whole);
    agent.back_up(&Stop::default()).unwrap();
    assert_eq!(packs(&server, &agent), 2 * whole);
}

/// A certificate for 127.0.0.1 with its key, and the authority that signed it; PEM.
fn certificate(folder: &Path) -> (Options, String) {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let ca = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let write = |name: &str, pem: String| {
        fs::write(folder.join(name), pem).unwrap();
        Some(folder.join(name))
    };
    let options = Options {
        tls_certificate: write("certificate.pem", leaf.pem()),
        tls_key: write("key.pem", key.serialize_pem()),
        ..Options::default()
    };
    (options, ca)
}

#[test]
fn over_tls_an_agent_trusts_the_authority_that_it_was_given_and_no_other() {
    let device = Device::new();
    let (options, ca) = certificate(device.folder.path());
    let server = TestServer::with(options);

    let refused = device.try_to_enroll(&server, &server.url(), None).err().unwrap();
    let agent = device.try_to_enroll(&server, &server.url(), Some(ca)).unwrap();
    agent.back_up(&Stop::default()).unwrap();

    assert!(format!("{refused:#}").contains("--ca"), "{refused:#}");
    assert_eq!(points(&server, &agent).len(), 1);
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
    assert_eq!(facts.changes().unwrap().0.files, 40);
    assert!(facts.encryption().is_some());

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
fn an_empty_folder_in_the_place_of_a_protected_one_is_not_backed_up() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let aside = device.folder.path().join("aside");
    fs::rename(device.docs(), &aside).unwrap();
    fs::create_dir(device.docs()).unwrap();

    let error = agent.back_up(&Stop::default()).unwrap_err().to_string();

    assert!(error.contains("is its disk mounted"), "{error}");
    assert!(points(&server, &agent).is_empty());
    fs::remove_dir(device.docs()).unwrap();
    fs::rename(&aside, device.docs()).unwrap();
    agent.back_up(&Stop::default()).unwrap();
    assert_eq!(points(&server, &agent).len(), 1);
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

    let point = points(&server, &agent)[0].id;
    let excluded = server.read(|conn| Ok(store::restore_point::excluded(conn, point)?));
    // The folder's own time is that of the last removal in it.
    let expected: Vec<_> = ["deep", "deep/3.txt", "deep/4.txt"].map(|it| docs.join(it).display().to_string()).into();
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
fn an_agent_outlives_a_server_that_was_started_on_an_empty_folder() {
    let (server, empty) = (TestServer::start(), TestServer::start());
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    agent.check_in().unwrap();
    gate.refuse("POST /agent/v1/backups");
    agent.back_up(&Stop::default()).unwrap();
    gate.open();
    gate.lead_to(empty.address);

    let stop = Stop::default();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        // Asked more than once, and shown to whoever looks.
        device.await_note("does not know the device");
        device.await_note("does not know the device");
        let away = State::view(&device.state()).unwrap().get::<Away>().unwrap();
        assert!(away.reason.contains("does not know the device"), "{}", away.reason);
        assert!(!run.is_finished());
        gate.lead_to(server.address);
        device.await_note("The server is back");
        stop.stop();
        run.join().unwrap().unwrap();
    });
    assert_eq!(points(&server, &agent)[0].file_count, Some(40), "the report that was kept meanwhile has come");
}

/// Reads a request to its end: a connection that is closed before is reset, and its answer lost.
fn read_whole(stream: &TcpStream) -> std::io::Result<()> {
    let (mut reader, mut length) = (BufReader::new(stream), 0);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        let name_and_value = line.trim_end().split_once(": ");
        if let Some((_, value)) = name_and_value.filter(|it| it.0.eq_ignore_ascii_case("content-length")) {
            length = value.parse().unwrap();
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length])
}

/// A server that knows no device, and asks each to stay away for long.
fn server_that_knows_nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = format!(r#"{{"error":"unknown_device","message":"who?","server_time":{}}}"#, json!(NOW));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = read_whole(&stream);
            let head = format!("Retry-After: 1200\r\nConnection: close\r\nContent-Length: {}", body.len());
            let _ = write!(stream, "HTTP/1.1 404 Not Found\r\n{head}\r\n\r\n{body}");
        }
    });
    address
}

#[test]
fn an_agent_asks_a_server_that_does_not_know_it_at_its_own_pace() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    gate.lead_to(server_that_knows_nobody());

    let stop = Stop::default();
    let said = std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        // A connection that broke while the other server took over says less.
        let said = device.await_note("who?");
        stop.stop();
        run.join().unwrap().unwrap();
        said
    });

    let seconds: u64 = said.rsplit_once(" in ").unwrap().1.trim_end_matches(" s").parse().unwrap();
    assert!(seconds <= 60, "a wrong server does not keep it from the right one: {said}");
    let away = State::view(&device.state()).unwrap().get::<Away>().unwrap();
    assert!(away.reason.contains("who?"), "{}", away.reason);
}

#[test]
fn one_cut_connection_ends_no_backup() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    for message in ["POST /agent/v1/manifests", "GET /restic", "POST /restic"] {
        gate.refuse_once(message);

        fs::write(device.docs().join("new.txt"), message).unwrap();
        agent.back_up(&Stop::default()).unwrap();

        assert!(gate.is_open(), "{message} was cut");
    }
    assert_eq!(points(&server, &agent).len(), 3);
}

#[test]
fn a_proxy_that_sends_everything_twice_costs_nothing() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    gate.duplicate();
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    assert_eq!(agent.enrollment().generation, 1, "it joined once");
    let command = queue_backup(&server, agent.enrollment().device_id);

    assert_eq!(agent.check_in().unwrap().commands[0].id, command);
    agent.back_up(&Stop::default()).unwrap();
    agent.send_reports().unwrap();
    agent.check_in().unwrap();

    let points = points(&server, &agent);
    assert_eq!((points.len(), points[0].file_count), (1, Some(40)));
    assert!(State::view(&device.state()).unwrap().find::<Away>().unwrap().is_none());
}

#[test]
fn a_device_that_enrolls_again_continues_as_the_same_device_even_after_a_lost_answer() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    agent.back_up(&Stop::default()).unwrap();
    agent.check_in().unwrap();
    let id = agent.enrollment().device_id;
    drop(agent);
    queue_backup(&server, id);
    let second = device.enroll_again(&server, &token(&server, |_| {}), &gate.url()).err().unwrap();
    assert!(format!("{second:#}").contains("Enroll again…"), "no second device of one machine: {second:#}");
    let again = token(&server, |draft| draft.device_id = Some(id));

    gate.lose("POST /agent/v1/enroll");
    assert!(device.enroll_again(&server, &again, &gate.url()).is_err());
    let reopened = Agent::open(State::open(&device.state()).unwrap(), device.surroundings(server.app.clock.clone()));
    assert_eq!(reopened.unwrap().enrollment().generation, 1, "without an answer it is the device that it was");
    gate.open();
    let agent = device.enroll_again(&server, &again, &gate.url()).unwrap();

    assert_eq!((agent.enrollment().device_id, agent.enrollment().generation), (id, 3));
    assert!(agent.check_in().unwrap().commands.is_empty(), "an older command is never delivered");
    agent.back_up(&Stop::default()).unwrap();
    let points = points(&server, &agent);
    assert_eq!(points.len(), 2);
    assert_eq!(points.iter().filter(|it| it.repository_id == agent.enrollment().repository_id).count(), 1);
    drop(agent);
    let refused = device.enroll_again(&server, &again, &gate.url()).err().unwrap();
    assert!(format!("{refused:#}").contains("already used"), "{refused:#}");
    let agent =
        Agent::open(State::open(&device.state()).unwrap(), device.surroundings(server.app.clock.clone())).unwrap();
    agent.check_in().unwrap();
}

#[test]
fn an_agent_that_waits_says_that_the_server_is_away_and_since_when() {
    let server = TestServer::start();
    let gate = Gate::to(server.address);
    let device = Device::new();
    let agent = device.enroll(&server, &gate.url());
    let (id, stop) = (agent.enrollment().device_id, Stop::default());
    let status = || {
        let output = agent_process(&device.state(), "status").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    // The check-in passes, but the wait for commands does not.
    gate.refuse("GET /agent/v1/wait");

    std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        device.await_note("cannot be reached");
        let away = State::view(&device.state()).unwrap().get::<Away>().unwrap();
        assert_eq!(away.since, server.app.clock.now());
        assert!(status().contains(&format!("no good answer since {}", away.since.iso())), "{}", status());
        queue_backup(&server, id);
        gate.open();
        device.await_note("The server is back");
        stop.stop();
        run.join().unwrap().unwrap();
    });
    assert!(!status().contains("no good answer"), "{}", status());
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

fn queue_backup(server: &TestServer, id: DeviceId) -> CommandId {
    let now = server.app.clock.now();
    server.act(move |conn| {
        let device = store::device::find(conn, id)?.unwrap();
        let ask = Ask { order: &Order::BackUpNow, request_key: None };
        Ok(service::command::queue(conn, &admin(), &device, ask, now)?.id)
    })
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
        let command = queue_backup(&server, id);
        device.await_note("Backed up 40 files");
        device.await_note("done");
        let answered = || server.read(move |conn| Ok(store::command::find(conn, command)?)).unwrap();
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
fn a_backup_asked_for_at_the_device_is_made_by_the_agent_that_runs() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    let ask = || agent_process(&device.state(), "backup").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stop = Stop::default();

    let (backed_up, failed) = std::thread::scope(|scope| {
        let run = scope.spawn(|| agent.run(&stop));
        device.await_note("Running for");
        let backed_up = ask();
        fs::remove_dir_all(device.docs()).unwrap();
        let failed = ask();
        stop.stop();
        run.join().unwrap().unwrap();
        (backed_up, failed)
    });

    assert!(backed_up.status.success(), "{}", text(&backed_up.stderr));
    assert!(text(&backed_up.stderr).contains("Asking the running agent"), "{}", text(&backed_up.stderr));
    assert!(text(&backed_up.stdout).contains("Backed up 40 files"), "{}", text(&backed_up.stdout));
    assert!(!failed.status.success() && text(&failed.stderr).contains("docs"), "{}", text(&failed.stderr));
    assert_eq!(points(&server, &agent).len(), 1);
}

#[test]
fn a_backup_asked_of_an_agent_that_stops_is_no_longer_waited_for() {
    let device = Device::new();
    // Holds the lock, as an agent that never comes to the backup.
    let agent = State::open(&device.state()).unwrap();

    let asking = agent_process(&device.state(), "backup").spawn().unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while agent.find::<BackupRequest>().unwrap().is_none() && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    drop(agent);

    let answer = asking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(!answer.status.success() && said.contains("run this again"), "{said}");
    assert!(State::view(&device.state()).unwrap().find::<BackupRequest>().unwrap().is_none());
}

#[test]
fn facts_are_dated_by_the_servers_clock_even_when_the_devices_jumps() {
    let server = TestServer::start();
    let (device, clock) = (Device::new(), Clock::fixed(server.app.clock.now() + days(400)));
    let agent = device.enroll_with(token(&server, |_| {}), &server.url(), None, clock.clone()).unwrap();
    let id = agent.enrollment().device_id;
    let measured = || {
        let status = server.read(|conn| Ok(store::device_status::find(conn, id)?)).unwrap();
        status.facts().unwrap().get(FactKind::FreeBytes).unwrap().measured_at
    };

    for own in [clock.now(), server.app.clock.now(), Time::from_millis(0), server.app.clock.now() + days(4000)] {
        clock.set(own);

        agent.check_in().unwrap();

        assert_eq!(measured(), server.app.clock.now(), "{own:?}");
    }
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
    for time in [&status["last_backup"]["finished_at"], &status["enrollment"]["enrolled_at"]] {
        assert!(time.as_str().is_some_and(|it| it.ends_with('Z')), "{time}");
    }
}

#[test]
fn a_reader_that_has_gone_is_not_a_failure_of_the_agent() {
    let server = TestServer::start();
    let device = Device::new();
    drop(device.enroll(&server, &server.url()));
    let gone = || std::io::pipe().unwrap().1;

    for arguments in [&[][..], &["--json"]] {
        let mut status = agent_process(&device.state(), "status");
        let output = status.args(arguments).stdout(gone()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let missing = device.state().join("nothing");
    let refused = agent_process(&missing, "backup").stderr(gone()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "it could not say why");
}

pub fn agent_process(state: &Path, act: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("agent").arg(act).arg("--state").arg(state).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Everything below a folder: path below it, permission bits, mtime, and content or link target.
pub fn listing(folder: &Path) -> Vec<(PathBuf, u32, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if name == Path::new(".holdfast-protected") {
                continue;
            }
            if meta.is_dir() {
                found.push((name, 0, 0, Vec::new()));
                folders.push(path);
            } else if meta.is_symlink() {
                found.push((name, 0, 0, fs::read_link(&path).unwrap().into_os_string().into_vec()));
            } else {
                let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
                found.push((name, meta.mode() & 0o777, time, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A person orders a restore of a backup of `from` to `to`; a second one approves if the data leaves its
/// device.
pub fn order_restore(server: &TestServer, from: DeviceId, point: RestorePointId, to: &Agent) -> Restore {
    order_restore_as(server, (from, point), to, Conflict::KeepBoth)
}

/// The same, with what happens to files that are there.
pub fn order_restore_as(
    server: &TestServer,
    (from, point): (DeviceId, RestorePointId),
    to: &Agent,
    conflict: Conflict,
) -> Restore {
    let draft = Draft {
        device: from,
        point,
        selection: Selection::All,
        target: to.enrollment().device_id,
        conflict,
        accepts_unproven: true,
        reason: "the old one broke".to_owned(),
        request_key: None,
    };
    let (keys, blobs, now) = (server.app.proof_keys.clone().unwrap(), server.app.blobs.clone(), server.app.clock.now());
    // One person for each target, because an account is made once.
    let eve = person(server, &format!("eve-{}", to.enrollment().device_id));
    let asked = as_person(server, &eve, move |conn, by| {
        let plan = service::restore::plan(conn, by, &draft)?;
        let manifest = service::restore::manifest(blobs.as_ref(), &plan.repository, &plan.manifest)?;
        let prepared = service::restore::prepare(&plan, &manifest, &draft.selection, keys.as_ref(), now)?;
        service::restore::request(conn, by, &draft, prepared, now)
    });
    let Some(crossing) = asked.crossing().unwrap() else { return asked };
    let seen = service::approval::digest(&crossing).unwrap();
    as_person(server, &person(server, &format!("carol-{}", to.enrollment().device_id)), move |conn, by| {
        match service::restore::approve(conn, by, asked.id, &seen, now)? {
            service::restore::Decision::Approved(it) => Ok(it),
            service::restore::Decision::Ended(it) => panic!("{it:?}"),
        }
    })
}

#[test]
fn another_devices_data_never_lands_in_place_though_the_server_orders_it() {
    let server = TestServer::start();
    let (attacker, victim) = (Device::new(), Device::new());
    let from = attacker.enroll(&server, &server.url());
    let to = victim.enroll(&server, &server.url());
    // A script that a start-up folder would run.
    let start_up = attacker.docs().join("start-up");
    fs::write(&start_up, "#!/bin/sh\necho owned\n").unwrap();
    fs::set_permissions(&start_up, fs::Permissions::from_mode(0o4755)).unwrap();
    from.back_up(&Stop::default()).unwrap();
    let (id, point) = (from.enrollment().device_id, points(&server, &from)[0].id);
    let before = listing(&victim.docs());

    let restore = order_restore(&server, id, point, &to);
    // The server, or whoever controls it, says something other than it should.
    server.act(move |conn| {
        use diesel::prelude::*;
        use holdfast::store::schema::commands;
        let command = restore.command_id.unwrap();
        let order = store::command::find(conn, command)?.unwrap();
        assert!(order.payload.contains("\"landing\":\"beside\""), "{}", order.payload);
        let payload = order.payload.replace("\"landing\":\"beside\"", "\"landing\":\"in_place\"");
        diesel::update(commands::table.find(command)).set(commands::payload.eq(payload)).execute(conn)?;
        Ok(())
    });
    to.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");

    let day = server.app.clock.now().iso()[..10].to_owned();
    let folder = format!("restored-{day}");
    let landed = victim.docs().join(&folder).join(start_up.strip_prefix("/").unwrap());
    assert_eq!(fs::metadata(&landed).unwrap().permissions().mode() & 0o7111, 0, "nothing of it can be executed");
    let outside: Vec<_> =
        listing(&victim.docs()).into_iter().filter(|it| !format!("{it:?}").contains(&folder)).collect();
    assert_eq!(outside, before);
}

#[test]
fn what_one_device_backed_up_another_gets_back_file_by_file() {
    let server = TestServer::start();
    let (lost, fresh) = (Device::new(), Device::new());
    let docs = lost.docs();
    fs::set_permissions(docs.join("deep/1.txt"), fs::Permissions::from_mode(0o4640)).unwrap();
    fs::write(docs.join(OsStr::from_bytes(b"bad\xff\n%.bin")), vec![7; 3_000_000]).unwrap();
    fs::write(docs.join("empty"), "").unwrap();
    fs::create_dir(docs.join("empty folder")).unwrap();
    symlink("../empty", docs.join("deep/link")).unwrap();
    symlink("/etc/passwd", docs.join("deep/outside")).unwrap();
    let from = lost.enroll(&server, &server.url());
    from.back_up(&Stop::default()).unwrap();
    let to = fresh.enroll(&server, &server.url());
    let id = from.enrollment().device_id;
    order_restore(&server, id, points(&server, &from)[0].id, &to);

    let outcome = to.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");

    let day = NOW.iso()[..10].to_owned();
    let restored = fresh.docs().join(format!("restored-{day}")).join(docs.strip_prefix("/").unwrap());
    assert_eq!(listing(&restored), listing(&docs));
    assert_eq!(outcome.files, 42);
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    // Nothing else is waiting, and nothing that was there is gone.
    assert!(to.restore_waiting(&Stop::default()).unwrap().is_none());
    assert_eq!(fs::read_dir(fresh.docs().join("deep")).unwrap().count(), 40);
}

#[test]
fn an_interrupted_restore_continues_and_keeps_what_is_there() {
    let server = TestServer::start();
    let device = Device::new();
    let agent = device.enroll(&server, &server.url());
    agent.back_up(&Stop::default()).unwrap();
    fs::write(device.docs().join("deep/1.txt"), "mine, and newer").unwrap();
    fs::remove_file(device.docs().join("deep/2.txt")).unwrap();
    let id = agent.enrollment().device_id;
    order_restore(&server, id, points(&server, &agent)[0].id, &agent);
    let stop = Stop::default();
    device.when(Event::Note("Restoring 40 files".to_owned()), {
        let stop = stop.clone();
        move || stop.stop()
    });

    assert!(agent.restore_waiting(&stop).is_err());
    drop(agent);
    let agent =
        Agent::open(State::open(&device.state()).unwrap(), device.surroundings(server.app.clock.clone())).unwrap();
    let outcome = agent.restore_waiting(&Stop::default()).unwrap().expect("the restore continues");

    // The same folder is protected here, so files come back in place.
    assert_eq!((outcome.files, outcome.kept, outcome.failures.len()), (40, 1, 0));
    let deep = device.docs().join("deep");
    assert_eq!(fs::read_to_string(deep.join("1.txt")).unwrap(), "mine, and newer");
    let day = NOW.iso()[..10].to_owned();
    assert!(fs::read_to_string(deep.join(format!("1 (restored {day}).txt"))).unwrap().starts_with("file 1file 1"));
    assert!(fs::read_to_string(deep.join("2.txt")).unwrap().starts_with("file 2file 2"));
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 41);
}

/// A long-standing account.
fn person(server: &TestServer, name: &str) -> User {
    let since = NOW - days(90);
    let user = User {
        id: UserId::generate(since),
        email: format!("{name}@example.org"),
        name: name.to_owned(),
        password_hash: None,
        state: UserState::Active,
        time_zone: "UTC".to_owned(),
        created_by: None,
        created_at: since,
        password_changed_at: Some(since),
    };
    let row = user.clone();
    server.act(move |conn| {
        store::user::insert(conn, &row)?;
        Ok(store::user::grant(conn, row.id, (Role::Owner, Scope::Organisation), None, since)?)
    });
    user
}

/// Runs an act as a person who may act on every device.
fn as_person<T: Send + 'static>(
    server: &TestServer,
    user: &User,
    act: impl FnOnce(&mut Conn, &By) -> Result<T> + Send + 'static,
) -> T {
    let user = user.clone();
    server.act(move |conn| {
        let (kind, id) = (ActorKind::User, Some(user.id.to_string()));
        let actor = Actor { kind, id, name: user.name.clone(), via: Via::Web, address: String::new() };
        let grants = Grants::new(vec![(Role::Owner, Scope::Organisation)]);
        act(conn, &By { actor, user: user.id, grants, presence: Presence::Page })
    })
}

/// Two people agree to wipe a device, and the hold passes.
pub fn order_wipe(server: &TestServer, id: DeviceId) -> WipeRequestId {
    let (ada, bob) = (person(server, "ada"), person(server, "bob"));
    let facts = move |conn: &mut Conn, now| {
        let device = store::device::find(conn, id)?.unwrap();
        service::wipe::facts(conn, &device, now)
    };
    let now = server.app.clock.now();
    let request = as_person(server, &ada, move |conn, by| {
        let facts = facts(conn, now)?;
        let ask = service::wipe::Ask {
            device: id,
            action: WipeAction::Wipe,
            reason: WipeReason::LostOrStolen,
            ticket: String::new(),
            facts_token: service::approval::digest(&facts)?,
            serial: facts.typed_name().to_owned(),
            consent: facts.loss().consent(),
            request_key: None,
            erasure: Default::default(),
        };
        service::wipe::request(conn, by, &ask, now)
    });
    let (request_id, agreed) = (request.id, request.facts_digest);
    as_person(server, &bob, move |conn, by| {
        let current = service::approval::digest(&facts(conn, now)?)?;
        service::wipe::approve(conn, by, request_id, &service::wipe::Seen { agreed, current }, now)
    });
    server.app.clock.advance(hours(1));
    holdfast::job::wipe::run_once(server.store(), &server.app.clock).unwrap();
    request_id
}

/// The whole of what Holdfast is for.
#[test]
fn a_wiped_device_comes_back_on_another_from_its_proven_backup() {
    let server = TestServer::start();
    let (lost, fresh) = (Device::new(), Device::new());
    let agent = lost.enroll(&server, &server.url());
    let id = agent.enrollment().device_id;
    let original = listing(&lost.docs());
    agent.back_up(&Stop::default()).unwrap();
    agent.check_in().unwrap();

    let prover = prover(&server);
    assert_eq!(prover.run_once(None).unwrap().len(), 1);
    let point = points(&server, &agent).remove(0);
    assert!(point.proven_at.is_some(), "{point:?}");

    let wipe = order_wipe(&server, id);
    agent.run(&Stop::default()).unwrap();

    assert!(!lost.docs().exists());
    let request = server.read(move |conn| Ok(store::wipe::find(conn, wipe)?)).unwrap();
    assert_eq!(request.state, WipeState::Confirmed, "{}", request.state_note);
    let device = server.read(move |conn| Ok(store::device::find(conn, id)?)).unwrap();
    assert_eq!(device.state, DeviceState::Wiped);

    let to = fresh.enroll(&server, &server.url());
    let restore = order_restore(&server, id, point.id, &to);
    let outcome = to.restore_waiting(&Stop::default()).unwrap().expect("a restore waited");

    assert_eq!((outcome.files, outcome.failures.len()), (40, 0));
    let day = server.app.clock.now().iso()[..10].to_owned();
    let back = fresh.docs().join(format!("restored-{day}")).join(lost.docs().strip_prefix("/").unwrap());
    assert_eq!(listing(&back), original);
    let restore = server.read(move |conn| Ok(store::restore::find(conn, restore.id)?)).unwrap();
    assert_eq!((restore.state, restore.matched_count), (RestoreState::Compared, 40), "{}", restore.failures);
}
