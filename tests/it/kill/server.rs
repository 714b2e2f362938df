//! The real program on a data folder that outlives it.
use crate::support::TestDatabase;
use holdfast::store::Database;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What stays while the server comes and goes.
pub struct World {
    pub data: tempfile::TempDir,
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

    fn with(data: tempfile::TempDir, database: Database, database_url: String) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { data, database, address: free.local_addr().unwrap().to_string(), database_url }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.data.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

/// A server that answers.
pub struct Server(Child);

impl Server {
    /// Starts it and waits until it listens.
    pub fn start(world: &World) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .arg("serve")
            .args(["--listen", &world.address, "--database", &world.database_url, "--log", "error"])
            .arg("--data")
            .arg(world.folder("server"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(&world.address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the server ended while starting");
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }

    /// Asks it to stop, and waits until it has.
    pub fn end(&mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }

    /// SIGKILL: no handler runs, nothing is flushed by the program.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed already, or killed now: both are fine at the end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
