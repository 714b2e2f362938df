//! The command line: one program, many sub-commands.
mod admin;
mod apple;
pub mod bench;
pub mod control;
mod danger;
pub mod demo;
pub mod device;
pub mod dr;
pub mod host;
mod key;
mod lock;
mod output;
mod proof_key;
mod prove;
mod pull;
mod puller;
mod recovery_key;
mod serve;
mod write;

use crate::config::Options;
use crate::content;
use crate::proof;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Mobile device management that proves each device's data can be restored.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, propagate_version = true)]
struct Arguments {
    /// TOML file with settings; flags and environment variables override it
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// What to log, such as `info` or `holdfast=debug` [default: info; the demo: warn]
    #[arg(long, value_name = "FILTER", env = "HOLDFAST_LOG", global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Manage users, API tokens and the set-up link
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Enroll this device, back it up, and carry out what the console asks for
    #[command(subcommand)]
    Agent(agent::cli::AgentCommand),
    /// Devices that Apple says are yours, and that enroll by themselves
    #[command(subcommand)]
    Apple(apple::AppleCommand),
    /// List commands, newest first
    Commands(device::CommandsOptions),
    /// Show one device: proof, facts, policies, restore points, tests and commands
    Device(device::DeviceOptions),
    /// List devices, worst proof first
    Devices(Box<device::DevicesOptions>),
    /// Destroy a server and bring it and its devices back, on scratch folders: the second store and three shares suffice
    DangerTest(Box<danger::DangerOptions>),
    /// Keep, rehearse and restore the console itself, from the second store
    #[command(subcommand)]
    Dr(dr::DrCommand),
    /// Try everything on this machine: a console and real agents on scratch folders
    Demo(demo::DemoOptions),
    /// Fetch the copies of a console on another machine, and keep them here: its second store
    Pull(pull::PullOptions),
    /// The other Holdfast that may fetch this console’s copies
    #[command(subcommand)]
    Puller(puller::PullerCommand),
    /// Run restore tests, or ask the server for one
    Prove(prove::ProveOptions),
    /// The server's own keys: replace them, and open a device's backups by hand
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Keys on paper that open every backup if the server and its proof key are lost
    #[command(subcommand)]
    RecoveryKey(recovery_key::RecoveryKeyCommand),
    /// Measure this program on this machine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Run the console and the endpoints for devices
    Serve(Box<Options>),
}

/// Reads the arguments, runs the sub-command, and prints what went wrong.
pub fn main() -> ExitCode {
    // Before anything else: this process limits itself while it has one thread and no open files.
    if std::env::args_os().nth(1).is_some_and(|it| it == proof::child::SUB_COMMAND) {
        return proof::child::main();
    }
    if std::env::args_os().nth(1).is_some_and(|it| it == proof::walk::child::SUB_COMMAND) {
        return proof::walk::child::main();
    }
    if std::env::args_os().nth(1).is_some_and(|it| it == content::child::SUB_COMMAND) {
        return content::child::main();
    }
    let arguments = Arguments::parse();
    let quiet = matches!(arguments.command, Command::Demo(_));
    let usual = if quiet { "warn" } else { "info,actix_server=warn" };
    let outcome = settings(&arguments).and_then(|file| {
        output::log_to_stderr(arguments.log.as_deref().or(file.log.as_deref()).unwrap_or(usual))?;
        secret::install_crypto();
        run(arguments, file)
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::debug!(?error, "failed");
            output::note(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn settings(arguments: &Arguments) -> anyhow::Result<Options> {
    Ok(arguments.config.as_deref().map(Options::read).transpose()?.unwrap_or_default())
}

fn run(arguments: Arguments, file: Options) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Admin(command) => admin::run(command, file),
        Command::Agent(command) => agent::cli::run(&command),
        Command::Apple(command) => command.run(file),
        Command::Commands(options) => device::commands(&options, file),
        Command::Device(options) => device::device(&options, file),
        Command::Devices(options) => device::devices(&options, file),
        Command::DangerTest(options) => danger::run(*options),
        Command::Dr(command) => command.run(file),
        Command::Demo(options) => demo::run(&options),
        Command::Prove(options) => prove::run(options, file),
        Command::Pull(options) => pull::run(options),
        Command::Puller(command) => command.run(file),
        Command::Key(command) => command.run(file),
        Command::RecoveryKey(command) => command.run(file),
        Command::Bench(command) => bench::run(&command),
        Command::Serve(options) => serve::run(options.or(file)),
    }
}
