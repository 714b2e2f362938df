//! Another Holdfast that fetches what it keeps: a second store like the others, which nobody here can reach.
use crate::support::door::TestDoor;
use crate::support::server::admin;
use crate::support::{NOW, TestDatabase};
use agent::net::http::{Answer, Call, Http};
use clock::Clock;
use domain::copy::CopyStanding;
use domain::failure_domain::{SeenFolder, StoreKind};
use domain::ground::AwayCause;
use domain::object::{Location, ObjectKind};
use domain::time::{Time, hours};
use holdfast::app::App;
use holdfast::blob::fs::FsBlobs;
use holdfast::blob::home::{Opening, read_marker};
use holdfast::blob::pulled::{Done, Hello, Task, frame, unframe};
use holdfast::blob::system::{System, ThisMachine};
use holdfast::blob::{BlobKey, BlobStore, ReadFault, WriteFault};
use holdfast::config::{Config, Options};
use holdfast::store::copy::StoredCopy;
use holdfast::store::setting::{COPY, COPY_AWAY};
use holdfast::{job, service, store};
use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A system that takes this machine for another one than the puller's.
struct Apart;

impl System for Apart {
    fn folder(&self, path: &Path) -> io::Result<SeenFolder> {
        Ok(SeenFolder { hosts: BTreeSet::from(["zurich".to_owned()]), ..ThisMachine.folder(path)? })
    }
    fn hosts(&self, name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }
}

/// A console that serves, with the token of its puller.
struct Console {
    folder: tempfile::TempDir,
    database: TestDatabase,
    app: App,
    url: String,
    token: String,
    handle: actix_web::dev::ServerHandle,
    /// How often something was done: each time an hour later, so that nothing waits after a failure.
    hours: AtomicU32,
}

impl Drop for Console {
    fn drop(&mut self) {
        self.app.wake.stop();
        let handle = self.handle.clone();
        actix_web::rt::System::new().block_on(async move { handle.stop(false).await });
    }
}

impl Console {
    fn new(system: Arc<dyn System>) -> Self {
        let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::new());
        let options = Options {
            data: Some(folder.path().join("data")),
            database: Some(database.url()),
            location: Some("Zürich".to_owned()),
            copy: Some("pull:basel".to_owned()),
            copy_location: Some("Basel".to_owned()),
            ..Options::default()
        };
        let app = App::open_on(Config::new(options).unwrap(), Clock::fixed(NOW), system).unwrap();
        let token =
            app.store.act_blocking(|conn| service::puller::make(conn, &admin(), "basel", NOW)).expect("a token");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, receiver) = std::sync::mpsc::channel();
        let served = app.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = served.serve(listener).unwrap();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = receiver.recv().unwrap();
        Self { folder, database, app, url, token, handle, hours: AtomicU32::new(0) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn door(&self) -> TestDoor {
        TestDoor::on(&self.database, &self.path("data/blobs"))
    }

    fn copy(&self) -> &Arc<dyn BlobStore> {
        self.app.copy.as_ref().unwrap().copy()
    }

    fn later(&self) -> Time {
        NOW + hours(u64::from(self.hours.fetch_add(1, Ordering::SeqCst)))
    }

    fn is_asked(&self) -> bool {
        self.app.relay.as_ref().unwrap().hello().is_some()
    }

    /// Starts the program that fetches to `folder`, and waits until it asks.
    fn pulls_to(&self, folder: &str) -> Pulling {
        let token = self.path("token");
        std::fs::write(&token, &self.token).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(["pull", "--from", &self.url, "--token-file"]).arg(token).arg("--backups").arg(self.path(folder));
        let pulling = Pulling(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        until(|| self.is_asked());
        pulling
    }

    /// Copies until nothing is left; returns how much was copied and repaired.
    fn runs(&self) -> (usize, usize) {
        let (mut copied, mut repaired, now) = (0, 0, self.later());
        loop {
            let run = self.app.copy.as_ref().unwrap().run(now).unwrap();
            copied += run.copied;
            repaired += run.repaired;
            if run.failed || (!run.more && run.copied + run.repaired == 0) {
                return (copied, repaired);
            }
        }
    }

    fn row(&self, key: &BlobKey) -> Option<StoredCopy> {
        let key = key.clone();
        self.app
            .store
            .read_blocking(move |conn| store::copy::find(conn, Location::Copy, key.repository, key.kind, &key.name))
            .unwrap()
    }

    fn away(&self) -> Option<domain::ground::Away> {
        self.app.store.read_blocking(|conn| COPY_AWAY.find(conn)).unwrap()
    }

    fn verifies(&self) {
        let verifier = self.app.verifiers.0.iter().find(|it| it.location() == Location::Copy).unwrap();
        job::verification::read_back(verifier, self.later()).unwrap();
    }

    fn asks(&self, token: &str, path: &str, body: &[u8]) -> Answer {
        let (url, bearer) = (format!("{}{path}", self.url), format!("Bearer {token}"));
        let headers = [("Authorization", &*bearer)];
        let timeout = Duration::from_secs(60);
        let call = Call { method: "POST", url: &url, headers: &headers, body, timeout, limit: 1 << 28 };
        Http::new(None).unwrap().send(&call).unwrap()
    }
}

struct Pulling(Child);

impl Drop for Pulling {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not happen");
        std::thread::yield_now();
    }
}

/// A device that uploaded a pack, an index and a snapshot; where they are.
fn backs_up(console: &Console) -> Vec<BlobKey> {
    let door = console.door();
    let repository = door.repository();
    let kept = [(ObjectKind::Data, &b"pack"[..]), (ObjectKind::Index, b"index"), (ObjectKind::Snapshots, b"snapshot")];
    kept.map(|(kind, bytes)| {
        assert_eq!(repository.put(kind.as_str(), bytes).status, 200);
        BlobKey::new(repository.id, kind, crate::support::door::name(bytes))
    })
    .to_vec()
}

#[test]
fn another_holdfast_fetches_everything_and_is_verified_and_repairs_like_any_second_store() {
    let console = Console::new(Arc::new(Apart));
    let keys = backs_up(&console);
    assert_eq!(console.runs(), (0, 0), "nobody has asked");
    assert_eq!(console.away().map(|it| it.cause), Some(AwayCause::Silent));
    let pulling = console.pulls_to("basel");

    assert_eq!(console.runs(), (3, 0));
    let second = console.app.store.read_blocking(|conn| COPY.find(conn)).unwrap().unwrap();
    assert!(second.counts() && second.kind == StoreKind::Puller && second.place == "pull:basel", "{second:?}");
    assert_eq!(console.away(), None);
    let device = console.app.store.read_blocking(store::device::all).unwrap().remove(0).id;
    let now = console.app.clock.now();
    let facts = console.app.store.read_blocking(move |conn| service::copy::of_device(conn, device, now)).unwrap();
    assert_eq!(facts.standing(), CopyStanding::Complete);
    console.verifies();
    let row = console.row(&keys[0]).unwrap();
    assert!(row.verified_at.is_some() && row.damaged_at.is_none(), "its bytes came back: {row:?}");

    let rotten = console.path("data/blobs").join(keys[0].repository.as_str()).join("data");
    let rotten = rotten.join(&keys[0].name.as_str()[..2]).join(keys[0].name.as_str());
    std::fs::remove_file(&rotten).unwrap();
    let lost = keys[0].clone();
    console.app.store.write_blocking(move |conn| service::backup::object_damaged(conn, &lost, NOW)).unwrap();
    assert_eq!(console.runs().1, 1, "what is lost here comes back from there");
    assert_eq!(std::fs::read(&rotten).unwrap(), b"pack");

    drop(pulling);
    let identity = read_marker(&console.path("basel")).unwrap();
    let folder = FsBlobs::open_home(&console.path("basel"), &identity, Opening::Beside).unwrap();
    for (key, bytes) in keys.iter().zip([&b"pack"[..], b"index", b"snapshot"]) {
        assert_eq!(folder.read(key, 0, 100).unwrap(), bytes, "the folder alone is a second store");
    }
}

#[test]
fn whoever_has_the_console_destroys_nothing_there() {
    let console = Console::new(Arc::new(Apart));
    let keys = backs_up(&console);
    let _pulling = console.pulls_to("basel");
    assert_eq!(console.runs(), (3, 0));
    let copy = console.copy();

    assert!(copy.remove(&keys[0]).is_err() && copy.set_aside(&keys[0]).is_err() && copy.erase(&keys[0]).is_err());
    for replaces in [false, true] {
        let mut upload = copy.begin(&keys[0]).unwrap();
        upload.write(b"ransom").unwrap();
        let refused = if replaces { upload.replace() } else { upload.commit() };
        assert!(matches!(refused, Err(WriteFault::Failed(_))), "its bytes do not match its name");
    }
    let mut found = Vec::new();
    copy.read_back(&keys[0], &mut |piece| {
        found.extend_from_slice(piece);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found, b"pack");
    assert_eq!(copy.list(keys[0].repository).unwrap().len(), 3);
    assert!(matches!(copy.read(&BlobKey { kind: ObjectKind::Keys, ..keys[0].clone() }, 0, 1), Err(ReadFault::Lost)));
}

#[test]
fn d1_a_puller_on_this_machine_is_no_second_copy() {
    let console = Console::new(Arc::new(ThisMachine));
    backs_up(&console);
    let _pulling = console.pulls_to("basel");
    assert_eq!(console.runs(), (0, 0));
    let away = console.away().unwrap();
    assert!(away.cause == AwayCause::Foreign && away.why.contains("both are on the machine"), "{away:?}");
}

fn hello(session: &str) -> Vec<u8> {
    let hosts = BTreeSet::from(["basel".to_owned()]);
    serde_json::to_vec(&Hello { session: session.to_owned(), worker: 0, hosts, space: None }).unwrap()
}

#[test]
fn a_token_opens_this_door_alone_and_only_while_it_stands_and_for_one_program() {
    let console = Console::new(Arc::new(Apart));
    backs_up(&console);
    for wrong in ["", "hf_pull_wrong", "hf_repo_wrong"] {
        assert_eq!(console.asks(wrong, "/pull/v1/tasks", &hello("a")).status, 401, "{wrong}");
        assert_eq!(console.asks(wrong, "/pull/v1/answers/a/1", b"").status, 401, "{wrong}");
    }
    for other in ["/restic/x/data/y", "/devices/backup-commands", "/agent/v1/check-in"] {
        assert!(console.asks(&console.token, other, b"{}").status >= 400, "{other}");
    }
    let _pulling = console.pulls_to("basel");
    assert_eq!(console.asks(&console.token, "/pull/v1/tasks", &hello("thief")).status, 409);
    assert_eq!(console.asks(&console.token, "/pull/v1/answers/thief/1", b"").status, 410, "nothing was asked of it");
    assert_eq!(console.asks(&console.token, "/pull/v1/tasks", b"{}").status, 400);
    assert_eq!(console.asks(&console.token, "/pull/v1/objects", b"").status, 404, "nothing can be named");

    console.app.store.act_blocking(|conn| service::puller::revoke(conn, &admin(), "basel", NOW)).unwrap();
    assert_eq!(console.asks(&console.token, "/pull/v1/tasks", &hello("a")).status, 401);
}

#[test]
fn a_puller_that_says_yes_and_keeps_nothing_is_found_out_when_the_bytes_are_asked_for() {
    let console = Console::new(Arc::new(Apart));
    let keys = backs_up(&console);
    let lies = |number: u64, task: &Task| {
        let (done, bytes) = match task {
            Task::Check { .. } | Task::Put { .. } | Task::Durable { .. } => (Done::Yes, Vec::new()),
            Task::Size { .. } => (Done::Number { number: None }, Vec::new()),
            Task::StoredAt { .. } => (Done::Number { number: Some(1) }, Vec::new()),
            Task::Read { .. } | Task::ReadBack { .. } => (Done::Yes, b"anything".to_vec()),
            Task::List { .. } | Task::Repositories => (Done::Yes, b"[]".to_vec()),
        };
        let path = format!("/pull/v1/answers/liar/{number}");
        assert_eq!(console.asks(&console.token, &path, &frame(&done, &bytes).unwrap()).status, 204);
    };
    let (asking, is_over) = (&console, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let answer = asking.asks(&asking.token, "/pull/v1/tasks", &hello("liar"));
                if answer.status == 200 {
                    let ((number, task), _) = unframe::<(u64, Task)>(&answer.body).unwrap();
                    lies(number, &task);
                }
            }
        });
        until(|| console.is_asked());
        let copied = console.runs().0;
        console.verifies();
        is_over.store(true, Ordering::SeqCst);
        console.app.wake.stop();
        assert_eq!(copied, 3, "it said so");
    });
    for key in &keys {
        let row = console.row(key).unwrap();
        assert!(row.verified_at.is_none() && row.damaged_at.is_some(), "{row:?}");
    }
}

#[test]
fn one_other_holdfast_may_fetch_and_its_token_is_kept_as_a_hash() {
    let console = Console::new(Arc::new(Apart));
    let again = console.app.store.act_blocking(|conn| service::puller::make(conn, &admin(), "bern", NOW));
    assert!(again.unwrap_err().to_string().contains("puller revoke basel"));
    let known = console.app.store.read_blocking(|conn| store::setting::PULLER.find(conn)).unwrap().unwrap();
    assert!(!known.token_hash.contains(&console.token) && known.token_hash == secret::hash(&console.token));
    let wrong = console.app.store.act_blocking(|conn| service::puller::revoke(conn, &admin(), "bern", NOW));
    assert!(wrong.is_err());
    console.app.store.act_blocking(|conn| service::puller::revoke(conn, &admin(), "basel", NOW)).unwrap();
    for bad in ["", "a b", "a/b", &"a".repeat(65)] {
        let bad = bad.to_owned();
        assert!(console.app.store.act_blocking(move |conn| service::puller::make(conn, &admin(), &bad, NOW)).is_err());
    }
}
