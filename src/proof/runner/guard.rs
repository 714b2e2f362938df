//! Looks after a child: how long it may be silent, how long it may run, and what it used.
use super::Runner;
use domain::proof::Level;
use domain::restore_test::TestReport;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a process used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub cpu: Duration,
    pub peak_memory_bytes: u64,
}

/// Someone who is told that the test is alive, and says whether to stop it.
pub trait Watcher: Sync {
    /// Called often.
    fn alive(&self) {}
    /// Checked twice a second.
    fn stop(&self) -> bool {
        false
    }
}

impl Watcher for () {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    Silent,
    TooLong,
    Stopping,
}

impl Killed {
    pub(crate) fn report(self) -> TestReport {
        let what = match self {
            Self::Silent => "The test made no progress.",
            Self::TooLong => "The test took longer than a test may.",
            Self::Stopping => return TestReport::unproven("The server stopped."),
        };
        TestReport::failed(Level::Stored, format!("Failed: resource limit. {what}"))
    }
}

/// Watches a child and ends it when it hangs.
pub(crate) struct Guard {
    state: Mutex<State>,
    changed: Condvar,
    silence: Duration,
    longest: Duration,
}

struct State {
    child: Child,
    begun: Instant,
    heard: Instant,
    /// The child is waiting for its parent: a slow store or database is not the backup's fault.
    waits: bool,
    ended: bool,
    killed: Option<Killed>,
}

impl Guard {
    pub(crate) fn new(child: Child, runner: &Runner) -> Self {
        let now = Instant::now();
        let state = State { child, begun: now, heard: now, waits: false, ended: false, killed: None };
        Self { state: Mutex::new(state), changed: Condvar::new(), silence: runner.silence, longest: runner.longest }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the child asked for, and counts its silence from then on.
    pub(crate) fn while_it_waits<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().waits = true;
        let done = work();
        let mut state = self.state();
        (state.waits, state.heard) = (false, Instant::now());
        done
    }

    pub(crate) fn watch(&self, watcher: &dyn Watcher) {
        let mut state = self.state();
        while !state.ended {
            let why = if watcher.stop() {
                Some(Killed::Stopping)
            } else if !state.waits && state.heard.elapsed() > self.silence {
                Some(Killed::Silent)
            } else if state.begun.elapsed() > self.longest {
                Some(Killed::TooLong)
            } else {
                None
            };
            if why.is_some() {
                state.killed = why;
                kill(&mut state.child);
                return;
            }
            let turn = Duration::from_millis(500).min(self.silence);
            state = self.changed.wait_timeout(state, turn).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What the child has used so far; it waits for its parent before it ends.
    pub(crate) fn used(&self) -> Used {
        let id = self.state().child.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let kilobytes: u64 = peak.and_then(|it| it.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        // After the name in brackets: state, then user and system time in hundredths as fields 12 and 13.
        let fields = stat.rsplit_once(')').map_or("", |it| it.1);
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
        Used { cpu: Duration::from_millis(ticks * 10), peak_memory_bytes: kilobytes * 1024 }
    }

    /// Ends the child now.
    pub(crate) fn kill(&self) {
        kill(&mut self.state().child);
    }

    /// Ends the watch, and the child: after its report, or after it broke the protocol, it is no longer needed.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.changed.notify_all();
    }

    pub(crate) fn into_end(self) -> (io::Result<ExitStatus>, Option<Killed>) {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (reap(&mut state.child), state.killed)
    }
}

/// Waits for a child whose input was closed; one that does not exit by itself is ended.
fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(2) {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    kill(child);
    child.wait()
}

fn kill(child: &mut Child) {
    // It fails only if the child is gone, which is what is wanted.
    let _ = child.kill();
}
