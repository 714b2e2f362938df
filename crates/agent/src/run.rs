//! The agent's life: check in, wait for commands, back up by policy.
//!
//! One thread talks to the server and acts on commands; another does the long work, so that a wipe does not
//! wait for a backup to end.
use super::Agent;
use super::command::{AskedBy, Order, Work};
use super::net::backoff::{Backoff, Stop, jitter, random};
use super::net::client::CallError;
use super::progress::Event;
use super::state::{BackupAnswer, BackupRequest, LastBackup, Policy, Wiped};
use anyhow::Result;
use domain::time::Time;
use domain::words;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::{Command, WAIT, Waiting};

/// The longest one wait for commands stays open; the server answers earlier.
const WAIT_SECONDS: u64 = 50;
/// The shortest time between two check-ins, whatever the server says.
const LEAST: Duration = Duration::from_secs(1);
/// The pause after being woken for a command that was not there.
const UNMET: Duration = Duration::from_secs(5);
/// How often to check whether a backup is due.
const TICK: Duration = Duration::from_secs(1);
/// How often to look for restores that can no longer be undone.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

impl Agent {
    /// Runs until stopped, or until the device is wiped: nothing else ends it.
    ///
    /// Whatever the server says, and whatever cannot be written down right now, is tried again later: a server
    /// started on an empty folder may know no device for an hour, and the right one needs them all back.
    ///
    /// # Errors
    /// When a thread of the agent failed.
    pub fn run(&self, stop: &Stop) -> Result<()> {
        if self.begin(stop) == Life::Wiped {
            return Ok(());
        }
        self.note(Event::Note(format!("Running for {}", self.enrollment.server)));
        let (send, receive) = channel();
        // Ends only the long work, so that a wipe can wait for it.
        let work_stop = Stop::default();
        std::thread::scope(|scope| {
            let work_stop = &work_stop;
            let worker = scope.spawn(move || self.work(&receive, stop, work_stop));
            self.speak(stop, work_stop, &send);
            stop.stop();
            work_stop.stop();
            drop(send);
            worker.join().map_err(|_panic| anyhow::anyhow!("the agent's worker has failed"))
        })
    }

    /// Continues what was under way when the agent was stopped, until that is written down.
    fn begin(&self, stop: &Stop) -> Life {
        let mut backoff = Backoff::default();
        while !stop.is_stopped() {
            match self.resume_wipe(stop) {
                Ok(true) => return Life::Wiped,
                Ok(false) => match self.settle_interrupted() {
                    Ok(()) => break,
                    Err(error) => self.wait_after(&error, &mut backoff, stop),
                },
                Err(error) => self.wait_after(&error, &mut backoff, stop),
            }
        }
        Life::GoesOn
    }

    fn wait_after(&self, error: &anyhow::Error, backoff: &mut Backoff, stop: &Stop) {
        if stop.is_stopped() {
            return self.note(Event::Note(format!("{error:#}")));
        }
        let wait = backoff.next(None);
        self.note(Event::Warning(format!("{error:#}. Trying again in {} s", wait.as_secs())));
        stop.sleep(wait);
    }

    fn speak(&self, stop: &Stop, work_stop: &Stop, send: &Sender<Work>) {
        let mut backoff = Backoff::default();
        let mut called = false;
        while !stop.is_stopped() {
            self.news.store(false, Ordering::Release);
            match self.turn(&mut called, (stop, work_stop), send, &mut backoff) {
                Ok(Life::Wiped) => return,
                Ok(Life::GoesOn) => {}
                Err(CallError::Internal(error)) => self.wait_after(&error, &mut backoff, stop),
                Err(error) => {
                    self.server_failed(&error);
                    let is_disowned = error.is_disowned();
                    let wait = if is_disowned { backoff.next_slow() } else { backoff.next(error.retry_after()) };
                    self.note(Event::Warning(format!("{error}. Trying again in {} s", wait.as_secs())));
                    stop.sleep(wait);
                }
            }
        }
    }

    /// One check-in, what it brings, and the wait for the next.
    fn turn(
        &self,
        called: &mut bool,
        (stop, work_stop): (&Stop, &Stop),
        send: &Sender<Work>,
        backoff: &mut Backoff,
    ) -> Result<Life, CallError> {
        // One that could not be written down at the time.
        if self.resume_wipe(stop)? {
            return Ok(Life::Wiped);
        }
        // A pending report goes before the check-in that may ask for the next backup.
        self.send_reports()?;
        let commands = self.check_in()?.commands;
        backoff.reset();
        if *called && commands.is_empty() {
            // Woken for a command that is not handed out yet: no reason to ask without a pause.
            stop.sleep(UNMET);
        }
        for command in commands {
            self.obey(command, stop, work_stop, send)?;
            if self.state.find::<Wiped>()?.is_some() {
                return Ok(Life::Wiped);
            }
        }
        *called = false;
        *called = self.await_command(stop)?;
        Ok(Life::GoesOn)
    }

    fn obey(&self, command: Command, stop: &Stop, work_stop: &Stop, send: &Sender<Work>) -> Result<()> {
        if self.accept(&command)? == Order::Nothing {
            return Ok(());
        }
        self.note(Event::Note(format!("Command {}: {}", command.id, command.kind.name())));
        if command.kind.erases() {
            // A running backup would read what is being erased.
            work_stop.stop();
        }
        self.act(command, stop, &|work| drop(send.send(work)))
    }

    /// Waits until a check-in is due, a command is waiting, or there is something to report; says whether a
    /// command is waiting.
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
                Some(Err(error)) => {
                    let pause = backoff.next(error.retry_after()).max(LEAST);
                    if self.server_failed(&error) {
                        self.note(Event::Warning(format!("{error}. Trying again until it is back")));
                    }
                    stop.sleep_unless(due.min(Instant::now() + pause), || self.has_news());
                }
            }
        }
    }

    /// Asks the server to say when a command is waiting, on a separate thread, so that a stop or a result does
    /// not wait for the answer.
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

    fn work(&self, receive: &Receiver<Work>, stop: &Stop, work_stop: &Stop) {
        let mut backups = Later { backoff: Backoff::default(), not_before: Instant::now(), looked_at: None };
        let mut backoff = Backoff::default();
        while !stop.is_stopped() && !work_stop.is_stopped() {
            let ordered = match receive.recv_timeout(TICK) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match self.work_once(ordered, &mut backups, stop, work_stop) {
                Ok(()) => backoff.reset(),
                Err(error) => self.wait_after(&error, &mut backoff, work_stop),
            }
        }
    }

    fn work_once(&self, ordered: Option<Work>, backups: &mut Later, stop: &Stop, work_stop: &Stop) -> Result<()> {
        let work = match ordered {
            Some(work) => work,
            None => match self.state.find::<BackupRequest>()? {
                Some(request) => Work::Backup(AskedBy::Person(request)),
                None if self.has_unfinished_restore()? => Work::Restore,
                None if self.has_unfinished_undo()? => Work::Undo,
                None if Instant::now() >= backups.not_before && self.is_backup_due()? => Work::Backup(AskedBy::Policy),
                None => return self.expire_now_and_then(backups),
            },
        };
        let _busy = lock(&self.busy);
        if work_stop.is_stopped() {
            return Ok(());
        }
        match work {
            Work::Restore => self.restore_unfinished(work_stop)?,
            Work::Undo => {
                // What is undone has ended.
                self.restore_unfinished(work_stop)?;
                self.undo_unfinished(work_stop)?;
            }
            Work::Backup(asked_by) => match self.back_up_for(asked_by, work_stop)? {
                Done::Yes => backups.backoff.reset(),
                Done::Failed => backups.not_before = Instant::now() + backups.backoff.next(None),
            },
        }
        // The server learns about it at once, including that nothing has changed since this backup.
        self.news.store(true, Ordering::Release);
        stop.nudge();
        Ok(())
    }

    /// Removes, once an hour, what old restores replaced. An hour counts only if the agent ran all through it: no
    /// clock that is set makes it longer.
    fn expire_now_and_then(&self, later: &mut Later) -> Result<()> {
        if later.looked_at.is_some_and(|it| it.elapsed() < EXPIRE_EVERY) {
            return Ok(());
        }
        let has_run_an_hour = later.looked_at.replace(Instant::now()).is_some();
        let _busy = lock(&self.busy);
        if let Err(error) = self.expire_undos(has_run_an_hour) {
            // It is kept longer than it need be, which is no reason to make no backups.
            tracing::warn!("what old restores replaced cannot be looked through: {error:#}");
        }
        Ok(())
    }

    fn back_up_for(&self, asked_by: AskedBy, work_stop: &Stop) -> Result<Done> {
        let outcome = self.back_up(work_stop);
        if outcome.is_err() && work_stop.is_stopped() {
            // The agent is shutting down: the next start says what became of a command, and continues a
            // request.
            return Ok(Done::Failed);
        }
        let outcome = outcome.map_err(|error| format!("{error:#}"));
        let detail = outcome.as_ref().map(|it| {
            let away: String = it.away.iter().map(|root| format!("; {} was not backed up", root.path)).collect();
            format!("{}, {}{away}", words::files(it.file_count), words::bytes(it.size_bytes))
        });
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

    /// Whether the policy asks for a backup now. At most half a minute early, so that a backup every N hours is
    /// not late by the time it takes.
    fn is_backup_due(&self) -> Result<bool> {
        let policy = self.state.find::<Policy>()?.unwrap_or_default().policy;
        let Some(every) = policy.backup_every_seconds else { return Ok(false) };
        let last = self.state.find::<LastBackup>()?;
        if last.as_ref().is_some_and(|it| it.away.iter().any(|root| self.is_back(&root.path))) {
            // Its files are in no backup that counts now.
            return Ok(true);
        }
        Ok(is_due(last.map(|it| it.started_at), Duration::from_secs(every), self.client.server_now()))
    }
}

/// The answer to a poll, once it is there.
type Poll = Arc<Mutex<Option<Result<Waiting, CallError>>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the device still belongs to its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    GoesOn,
    Wiped,
}

/// When the next backup by policy may begin after a failed one.
struct Later {
    backoff: Backoff,
    not_before: Instant,
    /// When this process last looked for restores that can no longer be undone.
    looked_at: Option<Instant>,
}

/// Whether a backup was made.
enum Done {
    Yes,
    Failed,
}

fn is_due(last: Option<Time>, every: Duration, now: Time) -> bool {
    let early = Duration::from_secs(30).min(every / 10);
    // A last backup in the future means that a clock was set back: a new backup puts that right.
    last.is_none_or(|last| last > now + Duration::from_secs(60) || now.since(last) + early >= every)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::{hours, minutes};

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
