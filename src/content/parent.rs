//! The parent of the process that looks inside: hands it objects, passes on what it says, and judges how it ended.
use super::child::SUB_COMMAND;
use super::message::{End, Head, Job, Said};
use crate::proof::frame::{self, FromChild, FromParent};
use crate::proof::runner::guard::{Guard, Killed};
use crate::proof::runner::{Runner, Served, Used, Watcher};
use repository::MasterKey;
use std::io::{self, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus};

/// What the process says about what it reads.
#[derive(Debug)]
pub enum Heard {
    Head(Head),
    Part(Vec<u8>),
}

/// Why there is no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It took more of something than it may; which.
    #[error("the backup takes more {0} to read than is allowed for this")]
    Limit(&'static str),
    /// Whoever asked has gone, may no longer, or the server stops.
    #[error("it was stopped")]
    Stopped,
    /// Nobody knows why.
    #[error("the process that reads backups ended unexpectedly")]
    Lost,
}

/// What one process works with.
pub struct Work<'a> {
    pub served: &'a Served,
    pub key: &'a MasterKey,
    pub job: &'a Job,
    pub watcher: &'a dyn Watcher,
}

/// Runs one process to its end. What it says goes to `heard`, which returns false to stop it.
pub fn run(runner: &Runner, work: &Work<'_>, heard: &mut dyn FnMut(Heard) -> bool) -> (Result<End, Failure>, Used) {
    match runner.start(SUB_COMMAND) {
        Ok((child, input, output)) => attend(runner, child, (input, output), work, heard),
        Err(error) => {
            tracing::error!(%error, "the process that looks inside backups could not be started");
            (Err(Failure::Lost), Used::default())
        }
    }
}

fn attend(
    runner: &Runner,
    child: Child,
    (mut input, output): (ChildStdin, ChildStdout),
    work: &Work<'_>,
    heard: &mut dyn FnMut(Heard) -> bool,
) -> (Result<End, Failure>, Used) {
    let guard = Guard::new(child, runner);
    let (said, used) = std::thread::scope(|scope| {
        scope.spawn(|| guard.watch(work.watcher));
        let said = talk(work, &mut input, output, &guard, heard);
        let used = guard.used();
        // The child waits for this before it ends, so that what it used could be read.
        drop(input);
        if said.is_err() {
            guard.kill();
        }
        guard.end();
        (said, used)
    });
    let (status, why) = guard.into_end();
    let ended = match (said, why) {
        (Ok(Some(end)), None) => Ok(end),
        (Ok(None), _) | (_, Some(Killed::Stopping)) => Err(Failure::Stopped),
        (_, Some(Killed::Silent | Killed::TooLong)) => Err(Failure::Limit("time")),
        (Err(error), None) => Err(judge(status, &error)),
    };
    (ended, used)
}

/// Why a process ended without an end.
fn judge(status: io::Result<ExitStatus>, error: &io::Error) -> Failure {
    const CPU: i32 = 24;
    /// ILL, ABRT, BUS and SEGV: what a program without memory does to itself.
    const CRASHES: [i32; 4] = [4, 6, 7, 11];
    tracing::warn!(?status, %error, "the process that looks inside backups ended early");
    let Ok(status) = status else { return Failure::Lost };
    match (status.signal(), status.code()) {
        (Some(CPU), _) => Failure::Limit("processor time"),
        (Some(signal), _) if CRASHES.contains(&signal) => Failure::Limit("memory"),
        (None, Some(101)) => Failure::Limit("memory"),
        (Some(_) | None, _) => Failure::Lost,
    }
}

/// One conversation; no end if whoever listens had enough.
fn talk(
    work: &Work<'_>,
    input: &mut ChildStdin,
    output: ChildStdout,
    guard: &Guard,
    heard: &mut dyn FnMut(Heard) -> bool,
) -> io::Result<Option<End>> {
    frame::write(input, &[&serde_json::to_vec(work.job)?])?;
    frame::write(input, &[work.key.expose()])?;
    let mut output = BufReader::new(output);
    loop {
        let said = Said::receive(&mut output)?;
        // While the store or whoever listens is slow, the child's silence is not its own.
        let answer = guard.while_it_waits(|| match said {
            Said::Asked(FromChild::Read { kind, name, offset, len }) => {
                Answer::Send(work.served.read(kind, name, offset, len))
            }
            Said::Asked(FromChild::List(kind)) => Answer::Send(work.served.list(kind)),
            Said::Asked(FromChild::ListViews(kind)) => Answer::Send(work.served.list_views(kind)),
            Said::Asked(FromChild::Alive | FromChild::Done(_)) => Answer::None,
            Said::Head(head) => Answer::after(heard(Heard::Head(head))),
            Said::Part(bytes) => Answer::after(heard(Heard::Part(bytes))),
            Said::End(end) => Answer::End(end),
        });
        match answer {
            Answer::Send(message) => message.send(input)?,
            Answer::None => {}
            Answer::Stop => {
                guard.kill();
                return Ok(None);
            }
            Answer::End(end) => return Ok(Some(*end)),
        }
    }
}

/// The result of one message from the child.
enum Answer {
    Send(FromParent),
    None,
    Stop,
    End(Box<End>),
}

impl Answer {
    fn after(goes_on: bool) -> Self {
        if goes_on { Self::None } else { Self::Stop }
    }
}
