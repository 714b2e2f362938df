//! The process that reads what a device wrote: no network, no files, little memory.
//!
//! It confines itself before it reads a byte ([`confine`]). From then on it can
//! open nothing: neither file nor socket. All it has are two pipes to its parent, and one repository's key,
//! which is gone when it ends.
use crate::proof::check;
use crate::proof::confine;
use crate::proof::frame::{self, FromChild, FromParent, TestJob};
use anyhow::{Context, anyhow};
use domain::object::{ObjectKind, ObjectName};
use repository::{Fault, MasterKey, Objects, View};
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The sub-command's name.
pub const SUB_COMMAND: &str = "proof-child";

/// Its exit code if it could not even start its job.
const NO_JOB: u8 = 3;

/// Runs one test: the job comes through stdin, the report goes through stdout.
///
/// Call this before anything else of the program has run: no thread, no open file.
pub fn main() -> ExitCode {
    if confine::all().is_err() {
        // Without its limits it does nothing.
        return ExitCode::from(NO_JOB);
    }
    match run(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // The parent sees that no report came; there is nobody else to tell.
        Err(_why) => ExitCode::from(NO_JOB),
    }
}

fn run(input: &mut dyn Read, output: &mut dyn Write) -> anyhow::Result<()> {
    let job: TestJob =
        serde_json::from_slice(&frame::read(input, frame::MAX_FROM_PARENT)?).context("reading the job")?;
    let key = Zeroizing::new(frame::read(input, 64)?);
    let key = MasterKey::from_bytes(&key).ok_or_else(|| anyhow!("a key has 64 bytes"))?;
    let most = job.cpu_seconds.min(confine::MOST_CPU_SECONDS);
    confine::cpu(most)?;
    let mut pipe = Pipe::new(input, output);
    let report = check::run(&mut pipe, key, &job);
    FromChild::Done(Box::new(report)).send(pipe.output)?;
    // The parent checks what was used before it lets go.
    Ok(pipe.wait_for_end()?)
}

/// Objects by asking the parent.
pub struct Pipe<'a> {
    input: &'a mut dyn Read,
    output: &'a mut dyn Write,
    spoken: Instant,
}

impl<'a> Pipe<'a> {
    /// Over two pipes, or what stands for them.
    pub fn new(input: &'a mut dyn Read, output: &'a mut dyn Write) -> Self {
        Self { input, output, spoken: Instant::now() }
    }

    pub(super) fn output(&mut self) -> &mut dyn Write {
        self.output
    }

    /// Waits until the parent lets go.
    ///
    /// # Errors
    /// When the pipe cannot be read.
    pub fn wait_for_end(&mut self) -> std::io::Result<()> {
        let mut end = [0];
        while self.input.read(&mut end)? > 0 {}
        Ok(())
    }

    /// Asks, and appends to `before` if the answer is bytes.
    fn ask(&mut self, request: &FromChild, before: Vec<u8>) -> Result<FromParent, Fault> {
        self.spoken = Instant::now();
        let answer = request.send(self.output).and_then(|()| FromParent::receive(self.input, before));
        answer.map_err(|error| Fault::Unavailable(error.to_string()))
    }
}

impl Objects for Pipe<'_> {
    fn read(&mut self, kind: ObjectKind, name: &ObjectName, offset: u64, len: u64) -> Result<Vec<u8>, Fault> {
        self.read_into(Vec::new(), kind, name, offset, len)
    }

    fn read_into(
        &mut self,
        mut bytes: Vec<u8>,
        kind: ObjectKind,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<Vec<u8>, Fault> {
        bytes.clear();
        loop {
            let had = wide(bytes.len());
            let piece = (len - had.min(len)).min(frame::PIECE);
            let request = FromChild::Read { kind, name: name.clone(), offset: offset.saturating_add(had), len: piece };
            match self.ask(&request, bytes)? {
                FromParent::Bytes(all) => {
                    bytes = all;
                    let has = wide(bytes.len());
                    if has < had + piece || has >= len {
                        return Ok(bytes);
                    }
                }
                FromParent::Missing => return Err(Fault::Missing { kind, name: name.clone() }),
                FromParent::Unavailable(why) => return Err(Fault::Unavailable(why)),
                FromParent::Listed(_) | FromParent::ListedViews(_) => return Err(another()),
            }
        }
    }

    fn list(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64)>, Fault> {
        match self.ask(&FromChild::List(kind), Vec::new())? {
            FromParent::Listed(objects) => Ok(objects),
            FromParent::Unavailable(why) => Err(Fault::Unavailable(why)),
            FromParent::Bytes(_) | FromParent::Missing | FromParent::ListedViews(_) => Err(another()),
        }
    }

    fn list_views(&mut self, kind: ObjectKind) -> Result<Vec<(ObjectName, u64, View)>, Fault> {
        match self.ask(&FromChild::ListViews(kind), Vec::new())? {
            FromParent::ListedViews(objects) => Ok(objects),
            FromParent::Unavailable(why) => Err(Fault::Unavailable(why)),
            FromParent::Bytes(_) | FromParent::Missing | FromParent::Listed(_) => Err(another()),
        }
    }
}

fn another() -> Fault {
    Fault::Unavailable("an answer to another question".to_owned())
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl check::Patience for Pipe<'_> {
    fn alive(&mut self) {
        if self.spoken.elapsed() > Duration::from_secs(5) {
            self.spoken = Instant::now();
            // A parent that has gone shows at the next request.
            let _ = FromChild::Alive.send(self.output);
        }
    }
}
