//! The device agent: enrolls, checks in, backs up, and does what it is told.
//!
//! Everything that depends on the operating system is in [`platform`];
//! everything that survives a restart is in [`state`]. `docs/protocol/agent.md`
//! describes what goes over the wire.
pub mod backup;
mod check_in;
pub mod cli;
mod command;
mod enroll;
mod identity;
pub mod net;
mod own_key;
pub mod platform;
pub mod progress;
mod protect;
mod restore;
mod run;
pub mod state;
#[cfg(test)]
mod testing;
mod tree;
mod wipe;

pub use command::Order;
pub use enroll::Request as EnrollRequest;
pub use identity::Identity;
pub use net::backoff::Stop;
pub use own_key::OwnKey;
pub use restore::{Outcome as RestoreOutcome, Undoable};
pub use wipe::accepted as accepted_wipe;

use anyhow::{Result, bail};
use backup::Scope;
use clock::Clock;
use domain::backup::RootAway;
use net::client::{Client, Signer};
use net::http::Http;
use platform::Platform;
use progress::Progress;
use state::{ClockOffset, Enrollment, Roots, State, Wiped};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// What an agent needs from outside.
pub struct Surroundings {
    pub platform: Box<dyn Platform>,
    pub clock: Clock,
    pub progress: Arc<dyn Progress>,
    /// The home directory of the account the agent runs as: never a protected folder.
    pub home: Option<PathBuf>,
}

/// One enrolled device.
pub struct Agent {
    state: State,
    around: Surroundings,
    enrollment: Enrollment,
    client: Arc<Client>,
    /// Held during long work, so that a wipe does not erase files under a running restore.
    busy: Mutex<()>,
    /// Set when there is something to tell the server before the next check-in is due.
    news: AtomicBool,
}

impl Agent {
    /// Opens the agent of an enrolled device.
    ///
    /// # Errors
    /// When the device is not enrolled, or was wiped.
    pub fn open(state: State, around: Surroundings) -> Result<Self> {
        enroll::finish_joining(&state)?;
        wipe::finish_wiped(&state)?;
        if let Some(wiped) = state.find::<Wiped>()? {
            bail!(
                "{} at {}, and it no longer belongs to any server; enroll it again to use it",
                wiped.said(),
                wiped.wiped_at.iso()
            );
        }
        let enrollment: Enrollment = state.get()?;
        let signer = Signer {
            identity: state.get::<Identity>()?,
            subject: enrollment.device_id.to_string(),
            audience: enrollment.audience.clone(),
        };
        let http = Http::new(enrollment.ca.as_deref())?;
        let offset = state.find::<ClockOffset>()?.unwrap_or_default();
        let client = Client::new(http, &enrollment.server, signer, around.clock.clone(), offset.millis);
        Ok(Self {
            state,
            around,
            enrollment,
            client: Arc::new(client),
            busy: Mutex::default(),
            news: AtomicBool::default(),
        })
    }

    pub fn enrollment(&self) -> &Enrollment {
        &self.enrollment
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The protected folders, as recorded at enrolment.
    ///
    /// # Errors
    /// When the record is damaged.
    pub fn roots(&self) -> Result<Vec<PathBuf>> {
        Ok(self.state.get::<Roots>()?.roots.into_iter().map(|it| PathBuf::from(it.path)).collect())
    }

    /// Whether a protected folder is there with its mark.
    fn is_back(&self, path: &str) -> bool {
        let roots = self.state.get::<Roots>().map(|it| it.roots).unwrap_or_default();
        roots.iter().any(|it| it.path == path && protect::open_marked(it).is_ok())
    }

    /// The protected folders that are there, each with its mark, and those that are not, with the reason: a
    /// backup of an empty folder in place of one would look complete.
    ///
    /// # Errors
    /// When none is there.
    fn marked_roots(&self) -> Result<(Scope, Vec<RootAway>)> {
        let Roots { roots, mounts } = self.state.get()?;
        let (mut scope, mut away) = (Scope { roots: Vec::new(), mounts }, Vec::new());
        for root in roots {
            match protect::open_marked(&root) {
                Ok(_) => scope.roots.push(PathBuf::from(root.path)),
                Err(error) => away.push(RootAway { path: root.path, reason: format!("{error:#}") }),
            }
        }
        if scope.roots.is_empty() {
            let reasons: Vec<_> = away.into_iter().map(|it| it.reason).collect();
            bail!("no protected folder can be backed up: {}", reasons.join("; "));
        }
        scope.roots.sort_unstable();
        Ok((scope, away))
    }
}
