//! The parent of the restore-test process: starts it, hands it objects, and judges how it ended.
pub(crate) mod guard;
mod prune;
mod served;

pub use guard::{Used, Watcher};
pub use prune::{Keeper, Unneeded, Walked};
pub use served::Served;

use crate::proof::child::SUB_COMMAND;
use crate::proof::frame::{self, FromChild, FromParent, TestJob};
use domain::proof::Level;
use domain::restore_test::TestReport;
use guard::{Guard, Killed};
use repository::MasterKey;
use std::io::{self, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

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

/// How a test's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Reported(Box<TestReport>, Used),
    /// It was stopped because the server stops.
    Stopped,
}

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
        match self.start(SUB_COMMAND) {
            Ok((child, input, output)) => self.attend(child, input, output, &Talk { served, key, job, watcher }),
            Err(error) => {
                let why = format!("The test's process could not be started: {error}.");
                Ended::Reported(Box::new(TestReport::unproven(why)), Used::default())
            }
        }
    }

    /// Starts a process of this program that confines itself.
    ///
    /// # Errors
    /// When the system starts none.
    pub fn start(&self, sub_command: &str) -> io::Result<(Child, ChildStdin, ChildStdout)> {
        let mut child = Command::new(&self.program)
            .arg(sub_command)
            // The address of the database, with its password, may be in the environment.
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
            // The child waits for this before it ends, so that what it used could be read.
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
                    FromChild::ListViews(kind) => Answer::Send(self.served.list_views(kind)),
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
