//! A real server on its own port, with its own database and folder.
use super::{NOW, TestDatabase, gate};
use actix_web::dev::ServerHandle;
use clock::Clock;
use domain::activity::{Actor, ActorKind, Via};
use domain::by::{By, Presence};
use domain::id::UserId;
use domain::role::{Grants, Role, Scope};
use holdfast::app::App;
use holdfast::config::{Config, Options};
use holdfast::job;
use holdfast::mail::{Mailer, Message};
use holdfast::store::{Conn, Store};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

/// A running server; it stops when this is dropped.
pub struct TestServer {
    pub app: App,
    pub address: SocketAddr,
    running: Option<(ServerHandle, JoinHandle<()>)>,
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl TestServer {
    /// Starts one whose clock stands at [`NOW`].
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// [`TestServer::start`] with its own settings.
    pub fn with(options: Options) -> Self {
        Self::at(Clock::fixed(NOW), options)
    }

    /// [`TestServer::with`], at another time: other programs look at the system's clock.
    pub fn at(clock: Clock, options: Options) -> Self {
        let (database, folder) = (TestDatabase::new(), tempfile::tempdir().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let app = open(&database, &folder, &listener, clock, options);
        Self::serve(app, listener, database, folder)
    }

    /// [`TestServer::start`] with parts of it changed before it serves.
    pub fn changed(change: impl FnOnce(&mut App)) -> Self {
        let (database, folder) = (TestDatabase::new(), tempfile::tempdir().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut app = open(&database, &folder, &listener, Clock::fixed(NOW), Options::default());
        change(&mut app);
        Self::serve(app, listener, database, folder)
    }

    /// The same database and folder under a new process's worth of memory.
    pub fn restart(self) -> Self {
        self.restart_with(|_| {})
    }

    /// [`TestServer::restart`] with parts of it changed before it serves.
    pub fn restart_with(mut self, change: impl FnOnce(&mut App)) -> Self {
        self.stop();
        let clock = self.app.clock.clone();
        let (database, folder) =
            (std::mem::take(&mut self.database), std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()));
        drop(self);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut app = open(&database, &folder, &listener, clock, Options::default());
        change(&mut app);
        Self::serve(app, listener, database, folder)
    }

    fn serve(app: App, listener: TcpListener, database: TestDatabase, folder: tempfile::TempDir) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let serving = app.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = serving.serve(listener).unwrap();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        let handle = receiver.recv().unwrap();
        Self { app, address, running: Some((handle, thread)), database, folder }
    }

    fn stop(&mut self) {
        if let Some((handle, thread)) = self.running.take() {
            self.app.wake.stop();
            // The future asks the server when it is made; the thread ends when it has stopped.
            drop(handle.stop(true));
            thread.join().unwrap();
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.app.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub fn store(&self) -> &Store {
        &self.app.store
    }

    /// Sends the waiting mails; returns them by reader and subject.
    pub fn mails(&self) -> Vec<Message> {
        let mailer = Mailer::memory();
        while job::mail::run_once(self.store(), Some(&mailer), &self.app.clock).unwrap().more {}
        let mut sent = mailer.sent();
        sent.sort_by(|a, b| (&a.to, &a.subject).cmp(&(&b.to, &b.subject)));
        sent
    }

    /// Runs an act.
    pub fn act<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Conn) -> holdfast::error::Result<T> + Send + 'static,
    ) -> T {
        self.app.store.act_blocking(work).unwrap()
    }

    /// Reads.
    pub fn read<T>(&self, work: impl FnOnce(&mut Conn) -> holdfast::error::Result<T>) -> T {
        self.app.store.read_blocking(work).unwrap()
    }

    /// Sends one request and reads its answer.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat())
    }

    /// Sends bytes and reads the answer to its end.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A server that refuses a body may close before it has read all of it.
        let _ = stream.write_all(bytes);
        let (mut answer, mut piece) = (Vec::new(), [0; 8192]);
        while !is_whole(&answer) {
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
            }
        }
        Answer::parse(&answer)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(gate::reserved(self.address));
        self.stop();
    }
}

/// The listener comes first: a server that devices enroll with must know its own address.
fn open(
    database: &TestDatabase,
    folder: &tempfile::TempDir,
    listener: &TcpListener,
    clock: Clock,
    options: Options,
) -> App {
    let options = Options {
        data: Some(folder.path().join("data")),
        database: Some(database.url()),
        listen: Some(listener.local_addr().unwrap()),
        other_url: Some(vec![format!("http://{}", gate::reserve(listener.local_addr().unwrap()))]),
        workers: Some(2),
        ..options
    };
    App::open(Config::new(options).unwrap(), clock).unwrap()
}

/// Whether an answer is as long as it says; one without a length ends with the connection.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|it| it.parse().ok());
    length.is_some_and(|length: usize| answer.len() >= end + 4 + length)
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = bytes[end + 4..].to_vec();
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body = unchunk(&body);
        }
        Self { status, head, body }
    }

    /// A header's value; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        super::http::header(&self.head, name)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The body as a message; panics with the answer if it is not one.
    pub fn message<T: serde::de::DeserializeOwned>(&self) -> T {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}

/// A person at the console who may do everything.
pub fn boss() -> By {
    let grants = Grants::new(vec![(Role::Owner, Scope::Organisation)]);
    By { actor: admin(), user: UserId::generate(NOW), grants, presence: Presence::Page }
}

/// A person at the console, for acts.
pub fn admin() -> Actor {
    Actor { kind: ActorKind::User, id: None, name: "Ada".to_owned(), via: Via::Web, address: String::new() }
}
