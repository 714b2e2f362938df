//! The process that walks what devices wrote, confined like that of a restore test.
use super::frame::{FromPruner, PruneJob};
use super::needed::{self, Publish};
use crate::proof::child::Pipe;
use crate::proof::{confine, frame};
use anyhow::{Context, anyhow};
use repository::MasterKey;
use std::io::{Read, Write};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// The sub-command's name.
pub const SUB_COMMAND: &str = "prune-child";

/// Its exit code if it could not do its job.
const NO_JOB: u8 = 3;

/// Runs one walk: the job comes through stdin, the result goes through stdout.
///
/// Call this before anything else of the program has run: no thread, no open file.
pub fn main() -> ExitCode {
    if confine::all().is_err() {
        // Without its limits it does nothing.
        return ExitCode::from(NO_JOB);
    }
    match run(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // The parent sees that no end came; there is nobody else to tell.
        Err(_why) => ExitCode::from(NO_JOB),
    }
}

fn run(input: &mut dyn Read, output: &mut dyn Write) -> anyhow::Result<()> {
    let job: PruneJob =
        serde_json::from_slice(&frame::read(input, frame::MAX_FROM_PARENT)?).context("reading the job")?;
    let key = Zeroizing::new(frame::read(input, 64)?);
    let key = MasterKey::from_bytes(&key).ok_or_else(|| anyhow!("a key has 64 bytes"))?;
    confine::cpu(job.cpu_seconds.min(confine::MOST_CPU_SECONDS))?;
    let mut pipe = Pipe::new(input, output);
    needed::run(&mut pipe, key, &job)?;
    Ok(pipe.wait_for_end()?)
}

impl Publish for Pipe<'_> {
    fn publish(&mut self, said: &FromPruner) -> anyhow::Result<()> {
        Ok(said.send(self.output())?)
    }
}
