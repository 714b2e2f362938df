//! The real program on a data folder that outlives it.
use crate::support::{TestDatabase, free_address};
use holdfast::store::Database;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What stays while the server comes and goes.
pub struct World {
    /// What clients keep, and the server's own folder, unless that is on a disk of its own.
    pub data: tempfile::TempDir,
    pub server: PathBuf,
    pub program: PathBuf,
    pub database: Database,
    pub address: String,
    pub database_url: String,
}

impl World {
    pub fn new(database: &TestDatabase) -> Self {
        Self::with(tempfile::tempdir().unwrap(), database.database.clone(), database.url())
    }

    /// On an SQLite file, whatever the other tests run on.
    pub fn on_sqlite() -> Self {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("holdfast.db");
        let url = path.display().to_string();
        Self::with(data, Database::Sqlite(path), url)
    }

    /// All of the server's in a folder of another disk, and served by `program`.
    pub fn on_disk(folder: &Path, program: PathBuf) -> Self {
        let path = folder.join("server").join("holdfast.db");
        let url = path.display().to_string();
        let world = Self::with(tempfile::tempdir().unwrap(), Database::Sqlite(path), url);
        Self { server: folder.join("server"), program, ..world }
    }

    fn with(data: tempfile::TempDir, database: Database, database_url: String) -> Self {
        let server = data.path().join("server");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_holdfast"));
        Self { data, server, program, database, address: free_address(), database_url }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn stderr(&self) -> PathBuf {
        self.data.path().join("stderr")
    }

    /// What a traced server said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.stderr()).unwrap_or_default()
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.data.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

/// A server that answers.
pub struct Server {
    child: Child,
    /// Where it says which process it is, if the child is one that traces it.
    traced: Option<PathBuf>,
}

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(world: &World) -> Self {
        let (child, stderr) = (Command::new(&world.program), Stdio::inherit());
        Self::wait(world, child, stderr, None).expect("the server ended while starting")
    }

    /// [`Server::start`] with further settings, as variables of its environment.
    pub fn start_with(world: &World, settings: &[(&str, String)]) -> Self {
        let mut child = Command::new(&world.program);
        child.envs(settings.iter().cloned());
        Self::wait(world, child, Stdio::inherit(), None).expect("the server ended while starting")
    }

    /// Starts it under a program that traces it; none if it ends before it listens. What it says is in
    /// [`World::said`].
    pub fn traced(world: &World, tracer: Command) -> Option<Self> {
        let (mut tracer, said) = (tracer, std::fs::File::create(world.stderr()).unwrap());
        tracer.arg(&world.program);
        Self::wait(world, tracer, said.into(), Some(world.server.join("lock")))
    }

    fn wait(world: &World, command: Command, stderr: Stdio, traced: Option<PathBuf>) -> Option<Self> {
        let mut command = command;
        let mut child = command
            .arg("serve")
            .args(["--listen", &world.address, "--database", &world.database_url, "--log", "error"])
            .arg("--data")
            .arg(&world.server)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(&world.address).is_err() {
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { child, traced })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and waits until it has.
    pub fn end(&mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL: no handler runs, nothing is flushed by the program.
    pub fn kill(&mut self) {
        self.end_now().unwrap();
    }

    fn end_now(&mut self) -> std::io::Result<()> {
        // Who traces it ends with it, but not the other way round.
        let traced = self.traced.as_ref().and_then(|it| std::fs::read_to_string(it).ok()?.trim().parse().ok());
        match traced.and_then(rustix::process::Pid::from_raw) {
            Some(id) if !self.has_ended() => rustix::process::kill_process(id, rustix::process::Signal::KILL)?,
            Some(_) => {}
            None => self.child.kill()?,
        }
        self.child.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed already, or killed now: both are fine at the end.
        let _ = self.end_now();
    }
}
