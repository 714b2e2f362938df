//! Background work. Each job is a reconciler: it takes no input, asks "what
//! should be done and is not?", may run twice, and runs on a period and when
//! it is woken.
pub mod alert;
pub mod mail;

use crate::error::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub done_count: usize,
    pub failed_count: usize,
    /// More waits than one run takes: run again at once.
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
#[derive(Clone)]
pub struct Job {
    name: &'static str,
    period: Duration,
    woken: Arc<Notify>,
    work: Arc<Work>,
}

impl Job {
    /// A job that runs `work`, on a thread where it may block, every `period`.
    pub fn new(
        name: &'static str,
        period: Duration,
        work: impl Fn() -> Result<Summary> + Send + Sync + 'static,
    ) -> Self {
        Self { name, period, woken: Arc::new(Notify::new()), work: Arc::new(work) }
    }

    /// Runs also whenever `woken` is notified.
    #[must_use]
    pub fn woken_by(mut self, woken: Arc<Notify>) -> Self {
        self.woken = woken;
        self
    }

    async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let work = Arc::clone(&self.work);
            let again = match tokio::task::spawn_blocking(move || work()).await {
                Ok(Ok(summary)) => {
                    if summary != Summary::default() {
                        tracing::debug!(job = self.name, ?summary, "a job ran");
                    }
                    summary.more
                }
                Ok(Err(error)) => {
                    tracing::warn!(job = self.name, error = format!("{error:#}"), "a job failed; it runs again");
                    false
                }
                Err(error) => {
                    tracing::error!(job = self.name, %error, "a job panicked; it runs again");
                    false
                }
            };
            if *stop.borrow() {
                return;
            }
            if again {
                continue;
            }
            tokio::select! {
                () = self.woken.notified() => {}
                () = tokio::time::sleep(self.period) => {}
                _ = stop.changed() => return,
            }
        }
    }
}

/// The jobs that run.
pub struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts jobs on the current runtime.
pub fn start(jobs: Vec<Job>) -> Running {
    let (stop, stopped) = watch::channel(false);
    let tasks = jobs.into_iter().map(|job| tokio::spawn(job.run(stopped.clone()))).collect();
    Running { stop, tasks }
}

impl Running {
    /// Lets each job finish its run, and ends.
    pub async fn stop(self) {
        // Nobody listening means that no job is left.
        let _ = self.stop.send(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a job ended badly");
            }
        }
    }
}
