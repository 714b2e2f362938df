//! `holdfast bench`: measures, and prints with machine and settings.
use crate::bench;
use clap::Subcommand;
use std::process::ExitCode;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Durable check-ins a second, signed, with the load generator on the same cores
    CheckIn(bench::check_in::Args),
    /// What uploads and downloads cost the server, by a load generator and by restic
    Door(bench::door::Args),
    /// The list of devices at 100,000, the server's start, and its memory
    Page(bench::page::Args),
    /// Restore tests: stored data per second of processor time, and memory
    Proof(bench::proof::Args),
}

/// Measures.
///
/// # Errors
/// When something failed: a figure with errors is none.
pub fn run(command: &BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::CheckIn(args) => bench::check_in::run(args)?,
        BenchCommand::Door(args) => bench::door::run(args)?,
        BenchCommand::Page(args) => bench::page::run(args)?,
        BenchCommand::Proof(args) => bench::proof::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
