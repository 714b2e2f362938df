//! A machine with a server: a data folder, this program as the server, and this program as its command line.
use super::second::{SecondPlace, open_folder};
use crate::blob::BlobStore;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A data folder, and how a server on it is reached.
pub struct Machine {
    pub data: PathBuf,
    pub url: String,
    listen: String,
    second: SecondPlace,
}

/// A server that runs; it is killed when this is dropped.
pub struct Serving {
    child: Child,
}

/// How long a server may take to answer, and a command to end.
const PATIENCE: Duration = Duration::from_secs(120);

impl Machine {
    /// An address that nobody listens at, and an empty folder.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(data: PathBuf, second: SecondPlace) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Ok(Self { data, url: format!("http://{listen}"), listen, second })
    }

    /// Another machine that takes this one's address, and has of the second store what is left after the loss.
    pub fn successor(&self, data: PathBuf) -> Self {
        Self { data, url: self.url.clone(), listen: self.listen.clone(), second: self.second.left() }
    }

    /// This program, with the settings of the second store.
    fn program(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.env("HOLDFAST_DATA", &self.data).env("HOLDFAST_COPY", &self.second.copy);
        // One machine plays all parts here.
        command.env("HOLDFAST_COPY_IS_SPARE", "true");
        command.env("HOLDFAST_LOCATION", "here").env("HOLDFAST_COPY_LOCATION", "elsewhere");
        if let Some(endpoint) = &self.second.endpoint {
            command.env("HOLDFAST_COPY_ENDPOINT", endpoint);
        }
        if let Some(key) = &self.second.key {
            command.env("HOLDFAST_COPY_ACCESS_KEY", &key.id).env("HOLDFAST_COPY_SECRET_KEY", &key.secret);
        }
        Ok(command)
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn serve(&self) -> Result<Serving> {
        self.serve_with(&[])
    }

    /// [`Machine::serve`] with further arguments.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn serve_with(&self, further: &[&str]) -> Result<Serving> {
        fs::create_dir_all(&self.data)?;
        let log = self.data.with_extension("log");
        let written = File::options().create(true).append(true).open(&log)?;
        let mut command = self.program()?;
        command.args(["serve", "--listen", &self.listen, "--public-url", &self.url]).args(further);
        let child = command.stdout(Stdio::null()).stderr(written).spawn().context("starting the server")?;
        let mut serving = Serving { child };
        let until = Instant::now() + PATIENCE;
        while ureq::get(format!("{}/health", self.url)).call().is_err() {
            if let Some(status) = serving.child.try_wait()? {
                bail!("the server ended with {status}; {} says why", log.display());
            }
            ensure!(Instant::now() < until, "the server does not answer; {} says why", log.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(serving)
    }

    /// Runs a command with `input`; returns whether it succeeded, and what it said.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn run(&self, arguments: &[&str], input: &str) -> Result<(bool, String)> {
        let mut command = self.program()?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("running {arguments:?}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // What does not read it has ended.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        let text = if output.status.success() { output.stdout } else { [output.stdout, output.stderr].concat() };
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// [`Machine::run`] of something that must succeed.
    ///
    /// # Errors
    /// What it said, if it failed.
    pub fn must(&self, arguments: &[&str], input: &str) -> Result<String> {
        match self.run(arguments, input)? {
            (true, said) => Ok(said),
            (false, said) => bail!("{} failed: {}", arguments.join(" "), said.trim()),
        }
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.data.join("holdfast.db")
    }

    /// Its backup store, for whoever reads and writes there past the server.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn blobs(&self) -> Result<Box<dyn BlobStore>> {
        open_folder(&self.data.join("blobs"))
    }

    /// Takes everything away that the machine had.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn destroy(&self) -> Result<()> {
        remove(&self.data)
    }
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_dir_all(path).with_context(|| format!("destroying {}", path.display()))
}

impl Serving {
    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end();
    }
}
