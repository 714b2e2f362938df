//! The agent's life: check in, wait for commands, back up by policy.
//!
//! One thread speaks with the server and acts on commands; another does what
//! takes long, so that a wipe does not wait for a backup to end.
use super::Agent;
use super::command::{AskedBy, Order, Work};
use super::net::backoff::{Backoff, Stop, jitter, random};
use super::net::client::CallError;
use super::progress::Event;
use super::state::{BackupAnswer, BackupRequest, LastBackup, Policy, Wiped};
use crate::domain::time::Time;
use crate::domain::words;
use crate::protocol::agent::message::{Command, ErrorCode, WAIT, Waiting};
use anyhow::Result;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest that one wait for commands is open; the server answers before.
const WAIT_SECONDS: u64 = 50;
/// The least between two check-ins, whatever the server says.
const LEAST: Duration = Duration::from_secs(1);
/// The pause after a call for a command that then was not there.
const UNMET: Duration = Duration::from_secs(5);
/// How often the clock is asked whether a backup is due.
const TICK: Duration = Duration::from_secs(1);

impl Agent {
    /// Runs until stopped, or until the device is wiped.
    ///
    /// # Errors
    /// When the state directory can no longer be written, or the server says that it does not know the device.
    pub fn run(&self, stop: &Stop) -> Result<()> {
        if self.resume_wipe(stop)? {
            return Ok(());
        }
        self.settle_interrupted()?;
        self.note(Event::Note(format!("Running for {}", self.enrollment.server)));
        let (send, receive) = channel();
        if self.has_unfinished_restore()? {
            let _ = send.send(Work::Restore);
        }
        // Ends the long work alone, so that a wipe can wait for it.
        let work_stop = Stop::default();
        std::thread::scope(|scope| {
            let work_stop = &work_stop;
            let worker = scope.spawn(move || self.work(&receive, stop, work_stop));
            let result = self.speak(stop, work_stop, &send);
            stop.stop();
            work_stop.stop();
            drop(send);
            let worked = worker.join().unwrap_or_else(|_panic| Err(anyhow::anyhow!("the agent's worker has failed")));
            if self.state.find::<Wiped>()?.is_some() {
                // The other thread may have asked a server that knows this device no more.
                return Ok(());
            }
            result.and(worked)
        })
    }

    fn speak(&self, stop: &Stop, work_stop: &Stop, send: &Sender<Work>) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut called = false;
        while !stop.is_stopped() {
            self.news.store(false, Ordering::Release);
            // A report that was kept back goes before the check-in that may ask for the next backup.
            let answer = self.send_reports().and_then(|()| self.check_in());
            let commands = match answer {
                Ok(answer) => {
                    backoff.reset();
                    answer.commands
                }
                Err(error) => {
                    if is_final(&error) {
                        return Err(error.into());
                    }
                    self.server_failed();
                    let wait = backoff.next(error.retry_after());
                    self.note(Event::Warning(format!("{error}. Trying again in {} s", wait.as_secs())));
                    stop.sleep(wait);
                    continue;
                }
            };
            if called && commands.is_empty() {
                // Woken for a command that is not handed out yet: no reason to ask without a pause.
                stop.sleep(UNMET);
            }
            for command in commands {
                self.obey(command, stop, work_stop, send)?;
                if self.state.find::<Wiped>()?.is_some() {
                    return Ok(());
                }
            }
            called = self.await_command(stop)?;
        }
        Ok(())
    }

    fn obey(&self, command: Command, stop: &Stop, work_stop: &Stop, send: &Sender<Work>) -> Result<()> {
        if self.accept(&command)? == Order::Nothing {
            return Ok(());
        }
        self.note(Event::Note(format!("Command {}: {}", command.id, command.kind.name())));
        if command.kind.erases() {
            // A backup in the middle would read what is being erased.
            work_stop.stop();
        }
        // A worker that is gone has left its reason; the run ends with it.
        self.act(command, stop, &|work| drop(send.send(work)))
    }

    /// Waits until a check-in is due, a command waits, or there is something to tell; says whether a command waits.
    fn await_command(&self, stop: &Stop) -> Result<bool> {
        let seconds = self.state.find::<Policy>()?.unwrap_or_default().next_check_in_seconds;
        let due = Instant::now() + jitter(Duration::from_secs(seconds.into()).max(LEAST), random());
        let mut backoff = Backoff::default();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left < LEAST {
                stop.sleep_unless(due, || self.has_news());
                return Ok(false);
            }
            let poll = self.poll(left.as_secs().clamp(1, WAIT_SECONDS), stop);
            stop.sleep_unless(due, || self.has_news() || lock(&poll).is_some());
            if stop.is_stopped() || self.has_news() {
                return Ok(false);
            }
            match lock(&poll).take() {
                None => return Ok(false),
                Some(Ok(Waiting { command_waits })) => {
                    self.server_answered()?;
                    if command_waits {
                        return Ok(true);
                    }
                    backoff.reset();
                }
                Some(Err(error)) if is_final(&error) => return Err(error.into()),
                Some(Err(error)) => {
                    let pause = backoff.next(error.retry_after()).max(LEAST);
                    if self.server_failed() {
                        self.note(Event::Warning(format!("{error}. Trying again until it is back")));
                    }
                    stop.sleep_unless(due.min(Instant::now() + pause), || self.has_news());
                }
            }
        }
    }

    /// Asks the server to say when a command waits, on a thread of its own, so that a stop or a result does not wait
    /// for the answer.
    fn poll(&self, seconds: u64, stop: &Stop) -> Poll {
        let poll = Poll::default();
        let (client, answer, stop) = (Arc::clone(&self.client), Arc::clone(&poll), stop.clone());
        std::thread::spawn(move || {
            let timeout = Duration::from_secs(seconds + 20);
            let said = client.get::<Waiting>(WAIT, &format!("?seconds={seconds}"), timeout);
            *lock(&answer) = Some(said);
            stop.nudge();
        });
        poll
    }

    fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    fn work(&self, receive: &Receiver<Work>, stop: &Stop, work_stop: &Stop) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut not_before = Instant::now();
        while !stop.is_stopped() && !work_stop.is_stopped() {
            let work = match receive.recv_timeout(TICK) {
                Ok(work) => work,
                Err(RecvTimeoutError::Timeout) => match self.state.find::<BackupRequest>()? {
                    Some(request) => Work::Backup(AskedBy::Person(request)),
                    None if Instant::now() >= not_before && self.is_backup_due()? => Work::Backup(AskedBy::Policy),
                    None => continue,
                },
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let _busy = lock(&self.busy);
            if work_stop.is_stopped() {
                return Ok(());
            }
            match work {
                Work::Restore => self.restore_unfinished(work_stop)?,
                Work::Backup(asked_by) => match self.back_up_for(asked_by, work_stop)? {
                    Done::Yes => backoff.reset(),
                    Done::Failed => not_before = Instant::now() + backoff.next(None),
                },
            }
            // The server learns of it at once: also that nothing has changed since this backup.
            self.news.store(true, Ordering::Release);
            stop.nudge();
        }
        Ok(())
    }

    fn back_up_for(&self, asked_by: AskedBy, work_stop: &Stop) -> Result<Done> {
        let outcome = self.back_up(work_stop);
        if outcome.is_err() && work_stop.is_stopped() {
            // The agent is going down: the next start says what became of a command, and goes on with a request.
            return Ok(Done::Failed);
        }
        let outcome = outcome.map_err(|error| format!("{error:#}"));
        let detail =
            outcome.as_ref().map(|it| format!("{}, {}", words::files(it.file_count), words::bytes(it.size_bytes)));
        self.note(match &detail {
            Ok(detail) => Event::Note(format!("Backed up {detail}")),
            Err(error) => Event::Warning(format!("The backup failed: {error}")),
        });
        let done = if detail.is_ok() { Done::Yes } else { Done::Failed };
        match asked_by {
            AskedBy::Policy => {}
            AskedBy::Command(id) => self.finish(id, detail.map_err(Clone::clone))?,
            AskedBy::Person(BackupRequest { id }) => {
                self.state.put(&BackupAnswer { id, outcome })?;
                self.state.remove::<BackupRequest>()?;
            }
        }
        Ok(done)
    }

    /// Whether the policy asks for a backup now. Half a minute early at most, so that a backup every N hours is never
    /// late by the time that it takes.
    fn is_backup_due(&self) -> Result<bool> {
        let policy = self.state.find::<Policy>()?.unwrap_or_default().policy;
        let Some(every) = policy.backup_every_seconds else { return Ok(false) };
        let last = self.state.find::<LastBackup>()?.map(|it| it.started_at);
        Ok(is_due(last, Duration::from_secs(every), self.client.server_now()))
    }
}

/// The answer of a poll, once it is there.
type Poll = Arc<Mutex<Option<Result<Waiting, CallError>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nothing this agent can do makes the server take it again.
fn is_final(error: &CallError) -> bool {
    matches!(error.code(), Some(ErrorCode::UnknownDevice | ErrorCode::OldGeneration | ErrorCode::DeviceWiped))
}

/// Whether a backup was made.
enum Done {
    Yes,
    Failed,
}

fn is_due(last: Option<Time>, every: Duration, now: Time) -> bool {
    let early = Duration::from_secs(30).min(every / 10);
    // A last backup that lies in the future means that a clock was set back: back up, and be right again.
    last.is_none_or(|last| last > now + Duration::from_secs(60) || now.since(last) + early >= every)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{hours, minutes};

    #[test]
    fn a_backup_is_due_by_the_policys_interval() {
        let now = Time::from_millis(1_795_356_371_000);
        let every = hours(4);
        let cases = [
            (None, true),
            (Some(now), false),
            (Some(now - hours(3)), false),
            (Some(now - hours(4) + Duration::from_secs(20)), true),
            (Some(now - hours(5)), true),
            (Some(now + hours(24)), true),
        ];
        for (last, expected) in cases {
            assert_eq!(is_due(last, every, now), expected, "{last:?}");
        }
        assert!(!is_due(Some(now - Duration::from_secs(50)), minutes(1), now));
        assert!(is_due(Some(now - Duration::from_secs(54)), minutes(1), now));
    }
}
