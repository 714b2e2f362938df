//! One device of the demo: a real agent on a scratch folder, in a thread.
use super::files;
use super::scenario::{Device, ScenarioPlatform, Story};
use agent::progress::{Event, Progress};
use agent::state::State;
use agent::{Agent, EnrollRequest, Stop, Surroundings};
use anyhow::{Context, Result};
use clock::Clock;
use domain::id::{DeviceId, RepositoryId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A device whose agent is running.
pub struct Running {
    pub told: Device,
    pub id: DeviceId,
    pub repository: RepositoryId,
    pub files: PathBuf,
    pub file_count: u64,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Fills the folder, enrolls with `token`, and starts the agent.
    ///
    /// # Errors
    /// When the folder cannot be written or the server refuses.
    pub fn start(told: Device, home: &Path, server: &str, token: String) -> Result<Self> {
        let home = home.join(&told.name);
        let files = home.join("files");
        std::fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        let file_count = if told.story == Story::Empty { 0 } else { files::fill(&files, &told.name)? };
        let request = EnrollRequest {
            server: server.to_owned(),
            token,
            protect: vec![files.clone()],
            name: Some(told.name.clone()),
            person: told.person.clone(),
            ca: None,
            mounts: false,
            again: false,
            key_file: None,
        };
        let agent = Agent::enroll(State::open(&home.join("agent"))?, surroundings(&told), &request)
            .with_context(|| format!("enrolling {}", told.name))?;
        let (id, repository) = (agent.enrollment().device_id, agent.enrollment().repository_id);
        let stop = Stop::default();
        let stopped = stop.clone();
        let name = told.name.clone();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || match agent.run(&stopped) {
            Ok(_) => tracing::debug!(device = name, "the agent ended"),
            Err(error) => tracing::warn!(device = name, error = format!("{error:#}"), "the agent ended"),
        })?;
        Ok(Self { told, id, repository, files, file_count, stop, thread: Some(thread) })
    }

    /// Asks the agent to stop, without waiting.
    pub fn stop(&self) {
        self.stop.stop();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(device = self.told.name, "the agent panicked");
        }
    }
}

fn surroundings(told: &Device) -> Surroundings {
    Surroundings {
        platform: Box::new(ScenarioPlatform::new(told.clone())),
        clock: Clock::System,
        progress: Arc::new(Log { device: told.name.clone() }),
        home: None,
    }
}

/// The agent's own words, for `--log debug`.
struct Log {
    device: String,
}

impl Progress for Log {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) => tracing::debug!(device = self.device, text, "agent"),
            Event::Warning(text) => tracing::debug!(device = self.device, text, "agent warns"),
            Event::Hashed { .. }
            | Event::BackedUp { .. }
            | Event::Restored { .. }
            | Event::Erased { .. }
            | Event::Done => {}
        }
    }
}
