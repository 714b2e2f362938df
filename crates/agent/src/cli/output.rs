//! What the command line writes: a text or JSON for whatever reads it, and a line for the person beside it.
use anyhow::Context;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Without control characters: a device's name must not write on the terminal.
pub fn plain(text: &str) -> String {
    domain::name::plain(text)
}

/// Prints, and tolerates a reader that has seen enough (`| head`).
pub fn print(text: &str) {
    // A closed pipe is not our failure.
    let _ = try_print(text);
}

/// Prints, and says whether anybody still reads.
pub fn try_print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints as JSON.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"));
    Ok(())
}

/// Writes a line beside the output.
pub fn say(line: &str) {
    // Nobody listens: then nobody needs to know.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Logs to standard error what `filter` lets through.
///
/// # Errors
/// When the filter cannot be read.
pub fn log_to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("--log {filter}: write a level such as `info`, or `holdfast=debug`"))?;
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
    Ok(())
}
