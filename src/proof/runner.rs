//! The parent of the restore-test process: starts it, hands it objects, and judges how it ended.
use crate::blob::{BlobKey, BlobStore, ReadFault};
use crate::proof::child::SUB_COMMAND;
use crate::proof::frame::{self, FromChild, FromParent, TestJob};
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use domain::proof::Level;
use domain::restore_test::TestReport;
use repository::MasterKey;
use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many other objects are tried if the disk cannot read one.
const WITNESSES: usize = 20;

/// Starts the processes.
#[derive(Clone)]
pub struct Runner {
    /// The program that has the sub-command: this one.
    pub program: PathBuf,
    /// How long a child may be silent before it counts as hung.
    pub silence: Duration,
    /// No test takes longer.
    pub longest: Duration,
}

/// The objects one test may see.
pub struct Served {
    pub blobs: Arc<dyn BlobStore>,
    pub repository: RepositoryId,
    /// The ledger as it was when the restore point was received.
    pub ledger: HashMap<(ObjectKind, ObjectName), u64>,
    /// Manifests, each with the repository that has it.
    pub manifests: Vec<(ObjectName, RepositoryId)>,
}

/// How a test's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Reported(Box<TestReport>, Used),
    /// It was stopped because the server stops.
    Stopped,
}

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

impl Runner {
    /// Runs this very program.
    ///
    /// # Errors
    /// When the operating system does not say where it is.
    pub fn this_program() -> io::Result<Self> {
        Ok(Self::of(std::env::current_exe()?))
    }

    /// Runs another build of the program.
    pub fn of(program: PathBuf) -> Self {
        Self { program, silence: Duration::from_secs(90), longest: Duration::from_secs(8 * 3600) }
    }

    /// Runs one test in a separate process. It always ends with a report, or was stopped.
    pub fn run(&self, served: &Served, key: &MasterKey, job: &TestJob, watcher: &dyn Watcher) -> Ended {
        match self.start() {
            Ok((child, input, output)) => self.attend(child, input, output, &Talk { served, key, job, watcher }),
            Err(error) => {
                let why = format!("The test's process could not be started: {error}.");
                Ended::Reported(Box::new(TestReport::unproven(why)), Used::default())
            }
        }
    }

    fn start(&self) -> io::Result<(Child, ChildStdin, ChildStdout)> {
        let mut child = Command::new(&self.program)
            .arg(SUB_COMMAND)
            .env_clear()
            .current_dir("/")
            // Ctrl-C and a service manager's stop go to the whole group, but only the parent decides when this
            // one ends.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a pipe is missing"));
        };
        // A larger pipe means fewer turns; if the system refuses, it only takes longer.
        let _ = rustix::pipe::fcntl_setpipe_size(&input, frame::PIPE);
        Ok((child, input, output))
    }

    fn attend(&self, child: Child, mut input: ChildStdin, output: ChildStdout, talk: &Talk<'_>) -> Ended {
        let guard = Guard::new(child, self);
        let (said, used) = std::thread::scope(|scope| {
            scope.spawn(|| guard.watch(talk.watcher));
            let said = talk.run(&mut input, output, &guard);
            let used = guard.used();
            drop(input);
            guard.end();
            (said, used)
        });
        let (status, why) = guard.into_end();
        match (said, why) {
            (_, Some(Killed::Stopping)) => Ended::Stopped,
            (Ok(report), None) => Ended::Reported(Box::new(report), used),
            (Ok(_) | Err(_), Some(why)) => Ended::Reported(Box::new(why.report()), used),
            // It was ended together with the server, before the watch looked.
            (Err(_), None) if talk.watcher.stop() => Ended::Stopped,
            (Err(error), None) => Ended::Reported(Box::new(judge(status, &error)), used),
        }
    }
}

/// The report of a process that ended without one.
fn judge(status: io::Result<ExitStatus>, error: &io::Error) -> TestReport {
    const CPU: i32 = 24;
    /// ILL, ABRT, BUS and SEGV: what a program without memory does to itself.
    const CRASHES: [i32; 4] = [4, 6, 7, 11];
    let status = match status {
        Ok(status) => status,
        Err(error) => return TestReport::unproven(format!("The test's process was lost: {error}.")),
    };
    let limit = |what: &str| TestReport::failed(Level::Stored, format!("Failed: resource limit. {what}"));
    // It was ended because of what it said.
    if error.kind() == io::ErrorKind::InvalidData {
        return TestReport::failed(Level::Stored, "The test's process broke its protocol.");
    }
    match (status.signal(), status.code()) {
        (Some(CPU), _) => limit("The backup took more processor time than a backup of its size may."),
        (Some(signal), _) if CRASHES.contains(&signal) => limit("The backup took more memory than a test may use."),
        // Not sent from here: the system was out of memory, or somebody stopped it.
        (Some(_), _) => TestReport::unproven("The test's process was stopped from outside."),
        (None, Some(101)) => limit("The backup took more memory than a test may use."),
        (None, _) => TestReport::unproven(format!("The test's process could not do its work ({status}, {error}).")),
    }
}

/// One conversation.
struct Talk<'a> {
    served: &'a Served,
    key: &'a MasterKey,
    job: &'a TestJob,
    watcher: &'a dyn Watcher,
}

/// The result of one message from the child.
enum Answer {
    Done(Box<TestReport>),
    None,
    Send(FromParent),
}

impl Talk<'_> {
    fn run(&self, input: &mut ChildStdin, output: ChildStdout, guard: &Guard) -> io::Result<TestReport> {
        frame::write(input, &[&serde_json::to_vec(self.job)?])?;
        frame::write(input, &[self.key.expose()])?;
        let mut output = BufReader::new(output);
        loop {
            let said = FromChild::receive(&mut output)?;
            let answer = guard.while_it_waits(|| {
                self.watcher.alive();
                match said {
                    FromChild::Done(report) => Answer::Done(report),
                    FromChild::Alive => Answer::None,
                    FromChild::Read { kind, name, offset, len } => {
                        Answer::Send(self.served.read(kind, name, offset, len))
                    }
                    FromChild::List(kind) => Answer::Send(self.served.list(kind)),
                }
            });
            match answer {
                Answer::Done(report) => return Ok(*report),
                Answer::None => {}
                Answer::Send(message) => message.send(input)?,
            }
        }
    }
}

impl Served {
    fn read(&self, kind: ObjectKind, name: ObjectName, offset: u64, len: u64) -> FromParent {
        let Some(repository) = self.holder(kind, &name) else { return FromParent::Missing };
        let key = BlobKey::new(repository, kind, name);
        match self.blobs.read(&key, offset, len.min(frame::PIECE)) {
            Ok(bytes) => FromParent::Bytes(bytes),
            Err(ReadFault::Lost) => FromParent::Missing,
            Err(ReadFault::Unreadable(why)) => self.unreadable(&key, why),
            Err(ReadFault::Away(fault)) => FromParent::Unavailable(fault.why),
        }
    }

    fn holder(&self, kind: ObjectKind, name: &ObjectName) -> Option<RepositoryId> {
        if let Some((_, repository)) = self.manifests.iter().find(|it| kind == ObjectKind::Manifests && it.0 == *name) {
            return Some(*repository);
        }
        self.ledger.contains_key(&(kind, name.clone())).then_some(self.repository)
    }

    /// The store cannot return an object; if it cannot read any other either, it is not the object that is
    /// damaged.
    fn unreadable(&self, key: &BlobKey, otherwise: String) -> FromParent {
        let config = BlobKey::new(self.repository, ObjectKind::Config, ObjectName::config());
        let listed = self.ledger.keys().map(|(kind, name)| BlobKey::new(self.repository, *kind, name.clone()));
        let mut others = std::iter::once(config).chain(listed).filter(|it| it != key).take(WITNESSES);
        if others.any(|it| self.blobs.read(&it, 0, 1).is_ok()) {
            FromParent::Missing
        } else {
            FromParent::Unavailable(otherwise)
        }
    }

    fn list(&self, kind: ObjectKind) -> FromParent {
        let mut listed: Vec<_> = self
            .ledger
            .iter()
            .filter(|((its, _), _)| *its == kind && kind != ObjectKind::Config)
            .map(|((_, name), size)| (name.clone(), *size))
            .collect();
        listed.sort_unstable();
        FromParent::Listed(listed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    Silent,
    TooLong,
    Stopping,
}

impl Killed {
    fn report(self) -> TestReport {
        let what = match self {
            Self::Silent => "The test made no progress.",
            Self::TooLong => "The test took longer than a test may.",
            Self::Stopping => return TestReport::unproven("The server stopped."),
        };
        TestReport::failed(Level::Stored, format!("Failed: resource limit. {what}"))
    }
}

/// Watches a child and ends it when it hangs.
struct Guard {
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
    fn new(child: Child, runner: &Runner) -> Self {
        let now = Instant::now();
        let state = State { child, begun: now, heard: now, waits: false, ended: false, killed: None };
        Self { state: Mutex::new(state), changed: Condvar::new(), silence: runner.silence, longest: runner.longest }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the child asked for, and counts its silence from then on.
    fn while_it_waits<T>(&self, work: impl FnOnce() -> T) -> T {
        self.state().waits = true;
        let done = work();
        let mut state = self.state();
        (state.waits, state.heard) = (false, Instant::now());
        done
    }

    fn watch(&self, watcher: &dyn Watcher) {
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
    fn used(&self) -> Used {
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

    /// Ends the watch, and the child: after its report, or after it broke the protocol, it is no longer needed.
    fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.changed.notify_all();
    }

    fn into_end(self) -> (io::Result<ExitStatus>, Option<Killed>) {
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
