//! The process that looks inside: no network, no files, little memory, one repository's key.
//!
//! It shuts itself in as a restore test's process does, before it reads a byte.
mod compare;
mod find;
mod has;
mod list;
mod parts;
mod path;
mod take;
mod tar;

use crate::content::message::{self, End, Job, Task};
use crate::proof::child::Pipe;
use crate::proof::confine;
use crate::proof::frame;
use anyhow::{Context, anyhow};
use repository::{Access, Fault, MasterKey, Repository};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;
use zeroize::Zeroizing;

/// The sub-command's name.
pub const SUB_COMMAND: &str = "content-child";

/// Its exit code if it could not even start its job.
const NO_JOB: u8 = 3;

/// How many bytes of packs are kept while a folder is read whole.
const KEEP: usize = 96 << 20;

/// Does one job: it comes through stdin, what was read goes through stdout.
///
/// Call this before anything else of the program has run: no thread, no open file.
pub fn main() -> ExitCode {
    if confine::all().is_err() {
        // Without its limits it does nothing.
        return ExitCode::from(NO_JOB);
    }
    match run(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // The parent sees that no end came; there is nobody else to tell.
        Err(_why) => ExitCode::from(NO_JOB),
    }
}

/// The one way out, for what is asked and what is said alike.
struct Shared<'a, 'b>(&'a RefCell<&'b mut (dyn Write + 'b)>);

impl Write for Shared<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

fn run(input: &mut dyn Read, output: &mut dyn Write) -> anyhow::Result<()> {
    let job: Job = serde_json::from_slice(&frame::read(input, frame::MAX_FROM_PARENT)?).context("reading the job")?;
    let key = Zeroizing::new(frame::read(input, 64)?);
    let key = MasterKey::from_bytes(&key).ok_or_else(|| anyhow!("a key has 64 bytes"))?;
    confine::cpu(job.cpu_seconds.min(confine::MOST_CPU_SECONDS))?;
    let output = RefCell::new(output);
    let (mut asking, mut saying) = (Shared(&output), Shared(&output));
    let mut pipe = Pipe::new(input, &mut asking);
    let end = work(&mut pipe, key, &job.task, &mut saying);
    message::end(&mut saying, &end)?;
    // The parent checks what was used before it lets go.
    Ok(pipe.wait_for_end()?)
}

fn work(pipe: &mut Pipe<'_>, key: MasterKey, task: &Task, out: &mut dyn Write) -> End {
    let access = match task {
        // A page needs a few parts of a large repository.
        Task::List { .. } | Task::Find { .. } | Task::Has { .. } | Task::Compare { .. } => Access::Ranges,
        Task::Take { .. } => Access::WholePacks { keep: KEEP },
    };
    let done = Repository::open(pipe, key, access).map_err(Stop::from).and_then(|mut it| match task {
        Task::List { snapshot, path, filter, from } => list::list(&mut it, snapshot, (path, filter), *from),
        Task::Take { snapshot, path, leaves_out } => take::take(&mut it, snapshot, (path, *leaves_out), out),
        Task::Find { points, text, from, bounds } => find::find(&mut it, points, (text, from), *bounds),
        Task::Has { point, paths, seconds } => has::has(&mut it, point, paths, Duration::from_secs(*seconds)),
        Task::Compare { old, new, from, seconds } => {
            compare::compare(&mut it, (old, new), *from, Duration::from_secs(*seconds))
        }
    });
    match done {
        Ok(end) => end,
        Err(stop) => stop.end(),
    }
}

/// Why a job ended early.
#[derive(Debug)]
enum Stop {
    NotThere,
    NotAFile,
    /// At a path, in the manifest's spelling; empty if it is not about one.
    Fault(String, Fault),
    /// The same in the middle of what is being sent: nothing after it would be readable.
    Broken(String, Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(String::new(), fault)
    }
}

impl Stop {
    fn end(self) -> End {
        match self {
            Self::NotThere => End::NotThere,
            Self::NotAFile => End::NotAFile,
            Self::Fault(path, fault) | Self::Broken(path, fault) => ended(path, fault),
        }
    }
}

fn ended(path: String, fault: Fault) -> End {
    match fault {
        Fault::Unavailable(why) | Fault::Write(why) => End::Away(short(&why)),
        Fault::Limit(why) => End::Limit(why.to_owned()),
        Fault::Missing { .. } | Fault::Object { .. } | Fault::Blob { .. } | Fault::NotIndexed(_) | Fault::Node(_) => {
            End::Damaged { path, why: short(&fault.to_string()) }
        }
    }
}

/// A text from outside, cut to what a page has room for.
fn short(text: &str) -> String {
    const LONGEST: usize = 300;
    let plain = |it: char| if it.is_control() { '\u{fffd}' } else { it };
    if text.chars().count() <= LONGEST {
        return text.chars().map(plain).collect();
    }
    text.chars().take(LONGEST).map(plain).chain(['…']).collect()
}
