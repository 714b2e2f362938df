//! `holdfast bench`: measures, and prints the results with machine and settings.
use crate::bench;
use clap::Subcommand;
use std::process::ExitCode;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Apple devices: enrolments, polls and token updates per second, and what each costs
    Apple(bench::apple::Args),
    /// Durable signed check-ins per second, with the load generator on the same cores
    CheckIn(bench::check_in::Args),
    /// How fast backups are copied to an S3 server, and plain PUTs of the same bytes
    Copy(bench::copy::Args),
    /// What uploads and downloads cost the server, with a load generator and with restic
    Door(bench::door::Args),
    /// The list of devices at 100,000 devices, the server's start, and its memory
    Page(bench::page::Args),
    /// Restore tests: stored data per second of processor time, and memory
    Proof(bench::proof::Args),
    /// How fast the next objects to verify are found in a ledger of 13 million rows, and in how much memory
    Recovery(bench::recovery::Args),
    /// Reading stored backups back: data per second of processor time, beside SHA-256 alone
    Verify(bench::verify::Args),
}

/// Measures.
///
/// # Errors
/// When something failed: a figure with errors is not a result.
pub fn run(command: &BenchCommand) -> anyhow::Result<ExitCode> {
    match command {
        BenchCommand::Apple(args) => bench::apple::measure(args)?,
        BenchCommand::CheckIn(args) => bench::check_in::run(args)?,
        BenchCommand::Copy(args) => bench::copy::run(args)?,
        BenchCommand::Door(args) => bench::door::run(args)?,
        BenchCommand::Page(args) => bench::page::run(args)?,
        BenchCommand::Proof(args) => bench::proof::run(args)?,
        BenchCommand::Recovery(args) => bench::recovery::run(args)?,
        BenchCommand::Verify(args) => bench::verify::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
