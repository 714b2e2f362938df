//! A device: a folder with files, and a real agent.
use crate::demo::random::Random;
use agent::platform::linux::Linux;
use agent::progress::{Event, Progress};
use agent::state::{Credentials, State};
use agent::{Agent, EnrollRequest, Stop, Surroundings};
use anyhow::{Context, Result, anyhow};
use clock::Clock;
use domain::id::{DeviceId, RepositoryId};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What a file is: its SHA-256.
pub type Manifest = BTreeMap<String, [u8; 32]>;

/// A device with its agent's state.
pub struct Device {
    pub name: String,
    pub id: DeviceId,
    pub repository: RepositoryId,
    pub files: PathBuf,
    state: PathBuf,
}

/// An agent that runs.
pub struct Running {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("an agent panicked");
        }
    }
}

/// What a device has.
#[derive(Debug, Clone, Copy)]
pub struct Holdings {
    pub bytes: u64,
    /// How many files share that; otherwise some small ones are beside large ones that do.
    pub files: Option<u64>,
}

const SMALL: u64 = 200;
const LARGE_BYTES: u64 = 2 << 20;
/// How many files a folder has, where many share what the device has.
const IN_A_FOLDER: u64 = 500;

impl Device {
    /// Fills a folder and enrolls it.
    ///
    /// # Errors
    /// When it cannot be written, or the server refuses.
    pub fn enroll(home: &Path, name: &str, holdings: Holdings, server: &str, token: String) -> Result<Self> {
        let home = home.join(name);
        let (files, state) = (home.join("files"), home.join("agent"));
        fill(&files, name, holdings)?;
        let request = EnrollRequest {
            server: server.to_owned(),
            token,
            protect: vec![files.clone()],
            name: Some(name.to_owned()),
            person: String::new(),
            ca: None,
            mounts: false,
            again: false,
            key_file: None,
        };
        let agent = Agent::enroll(State::open(&state)?, surroundings(), &request)
            .with_context(|| format!("enrolling {name}"))?;
        let (id, repository) = (agent.enrollment().device_id, agent.enrollment().repository_id);
        Ok(Self { name: name.to_owned(), id, repository, files, state })
    }

    fn agent(&self) -> Result<Agent> {
        Agent::open(State::open(&self.state)?, surroundings())
    }

    /// What opens its repository, as whoever has the device can read.
    ///
    /// # Errors
    /// When the agent's state cannot be read.
    pub fn credentials(&self) -> Result<Credentials> {
        State::view(&self.state)?.get()
    }

    /// Backs it up and checks in.
    ///
    /// # Errors
    /// When the server does not take it.
    pub fn back_up(&self) -> Result<()> {
        let agent = self.agent()?;
        agent.back_up(&Stop::default()).with_context(|| format!("backing up {}", self.name))?;
        agent.send_reports().map_err(|error| anyhow!("reporting the backup of {}: {error}", self.name))
    }

    /// Changes something that only a new backup has.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn work_on(&self) -> Result<()> {
        let mut random = Random::new(&format!("{} later", self.name));
        write(&self.files.join("later.bin"), &mut random, 1 << 20)
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn start(&self) -> Result<Running> {
        let agent = self.agent()?;
        let (stop, name) = (Stop::default(), self.name.clone());
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            if let Err(error) = agent.run(&stopped) {
                tracing::warn!(device = name, error = format!("{error:#}"), "the agent ended");
            }
        })?;
        Ok(Running { stop, thread: Some(thread) })
    }

    /// What is in its folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn manifest(&self) -> Result<Manifest> {
        let mut found = Manifest::new();
        for path in below(&self.files)? {
            let name = path.strip_prefix(&self.files)?.to_string_lossy().into_owned();
            // The agent's own mark.
            if !name.starts_with('.') {
                found.insert(name, secret::sha256(&fs::read(&path)?));
            }
        }
        Ok(found)
    }

    /// Loses every file; the folder is still the protected one.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn lose_everything(&self) -> Result<()> {
        for name in self.manifest()?.keys() {
            fs::remove_file(self.files.join(name))?;
        }
        Ok(())
    }
}

fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(below(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

fn fill(folder: &Path, seed: &str, holdings: Holdings) -> Result<()> {
    let mut random = Random::new(seed);
    match holdings.files {
        Some(files) => fill_evenly(folder, &mut random, holdings.bytes, files),
        None => fill_unevenly(folder, &mut random, holdings.bytes),
    }
}

fn fill_evenly(folder: &Path, random: &mut Random, bytes: u64, files: u64) -> Result<()> {
    for number in 0..files {
        let folder = folder.join(format!("folder-{:03}", number / IN_A_FOLDER));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        write(&folder.join(format!("{number:06}.bin")), random, bytes / files)?;
    }
    Ok(())
}

fn fill_unevenly(folder: &Path, random: &mut Random, bytes: u64) -> Result<()> {
    fs::create_dir_all(folder.join("documents")).with_context(|| format!("making {}", folder.display()))?;
    for number in 0..SMALL {
        let size = 200 + random.below(4_000);
        write(&folder.join(format!("documents/{number:03}.txt")), random, size)?;
    }
    let mut left = bytes;
    for number in 0.. {
        let size = left.min(LARGE_BYTES / 2 + random.below(LARGE_BYTES));
        if size == 0 {
            break;
        }
        left -= size;
        write(&folder.join(format!("photo-{number:04}.jpg")), random, size)?;
    }
    Ok(())
}

/// Bytes that do not compress.
fn write(path: &Path, random: &mut Random, size: u64) -> Result<()> {
    let mut bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| random.draw().to_le_bytes()).collect();
    bytes.truncate(usize::try_from(size)?);
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

fn surroundings() -> Surroundings {
    Surroundings { platform: Box::new(Linux), clock: Clock::System, progress: Arc::new(Quiet), home: None }
}

/// The agent's own words, for `--log debug`.
struct Quiet;

impl Progress for Quiet {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) | Event::Warning(text) => tracing::debug!(text, "agent"),
            Event::Hashed { .. }
            | Event::BackedUp { .. }
            | Event::Restored { .. }
            | Event::Erased { .. }
            | Event::Done => {}
        }
    }
}
