//! Background work. Each job is a reconciler: it takes no input, asks "what should be done but is not?", may
//! run twice, and runs on a period and when it is woken.
pub mod alert;
pub mod anomaly;
pub mod apple_service;
pub mod command;
pub mod console_copy;
pub mod copy;
pub mod copy_lock;
pub mod database;
pub mod escrow;
pub mod expiry;
pub mod ground;
pub mod mail;
pub mod push;
pub mod seen;
pub mod team_quota;
pub mod trash;
pub mod verification;
pub mod wipe;

use crate::error::Result;
use crate::wake::Wake;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub done_count: usize,
    pub failed_count: usize,
    /// More is waiting than one run handles: run again at once.
    pub more: bool,
}

impl Summary {
    /// A run in which nothing failed and nothing was left.
    pub fn done(done_count: usize) -> Self {
        Self { done_count, ..Self::default() }
    }
}

type Work = dyn Fn() -> Result<Summary> + Send + Sync;

/// One reconciler with its period.
pub struct Job {
    name: &'static str,
    period: Duration,
    woken: Option<watch::Receiver<()>>,
    work: Arc<Work>,
}

impl Job {
    /// A job that runs `work`, on a thread where it may block, every `period`.
    pub fn new(
        name: &'static str,
        period: Duration,
        work: impl Fn() -> Result<Summary> + Send + Sync + 'static,
    ) -> Self {
        Self { name, period, woken: None, work: Arc::new(work) }
    }

    /// Runs also whenever `woken` changes.
    #[must_use]
    pub fn woken_by(mut self, woken: watch::Receiver<()>) -> Self {
        self.woken = Some(woken);
        self
    }

    async fn run(mut self, wake: Wake) {
        while !wake.is_stopping() {
            if let Some(woken) = &mut self.woken {
                // A wake from here on is for the next run.
                woken.mark_unchanged();
            }
            if self.run_once().await {
                continue;
            }
            tokio::select! {
                () = changed(&mut self.woken) => {}
                () = tokio::time::sleep(self.period) => {}
                () = wake.stopped() => {}
            }
        }
    }

    /// True when it should run again at once.
    async fn run_once(&self) -> bool {
        let work = Arc::clone(&self.work);
        match tokio::task::spawn_blocking(move || work()).await {
            Ok(Ok(summary)) => {
                if summary != Summary::default() {
                    tracing::debug!(job = self.name, ?summary, "a job ran");
                }
                summary.more
            }
            Ok(Err(error)) => {
                tracing::warn!(job = self.name, error = format!("{error:#}"), "a job failed; it will run again");
                false
            }
            Err(error) => {
                tracing::error!(job = self.name, %error, "a job panicked; it will run again");
                false
            }
        }
    }
}

async fn changed(woken: &mut Option<watch::Receiver<()>>) {
    let gone = match woken {
        Some(woken) => woken.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending().await
    }
}

/// The running jobs; they end when the [`Wake`] says that the server is stopping.
pub struct Running(Vec<JoinHandle<()>>);

/// Starts jobs on the current runtime.
pub fn start(jobs: Vec<Job>, wake: &Wake) -> Running {
    Running(jobs.into_iter().map(|job| tokio::spawn(job.run(wake.clone()))).collect())
}

impl Running {
    /// Waits until each job has finished its last run.
    pub async fn finished(self) {
        for task in self.0 {
            if let Err(error) = task.await {
                tracing::error!(%error, "a job ended badly");
            }
        }
    }
}
