//! The device's command line: `holdfast-agent`, and `holdfast agent` of the server's program.
pub mod output;
mod show;

use crate::net::http::server_address;
use crate::progress::Event;
use crate::state::{LastBackup, State, Wiped};
use crate::{Agent, EnrollRequest, Stop, Surroundings, backup, platform};
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use clock::Clock;
use domain::id::RestoreId;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// The device's side of Holdfast: enrolls it, backs it up, and carries out what the console asks for.
#[derive(Debug, Parser)]
#[command(name = "holdfast-agent", version, propagate_version = true)]
struct Arguments {
    /// What to log, such as `info` or `holdfast_agent=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "HOLDFAST_LOG", global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Device(AgentCommand),
    /// The same, in the spelling of the server's program: a device has either, as `holdfast`.
    #[command(subcommand, hide = true)]
    Agent(AgentCommand),
}

/// Reads the arguments, runs the sub-command, and says what went wrong.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = output::log_to_stderr(arguments.log.as_deref().unwrap_or("info")).and_then(|()| {
        secret::install_crypto();
        let (Command::Device(command) | Command::Agent(command)) = &arguments.command;
        run(command)
    });
    outcome.unwrap_or_else(|error| {
        tracing::debug!(?error, "failed");
        output::say(&format!("holdfast-agent: {error:#}"));
        ExitCode::FAILURE
    })
}

/// What the agent of this device should do.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Join this device to a server
    ///
    /// Makes the device's keys, marks the folders, and writes everything to the state directory. A folder that is
    /// protected is backed up, and erased when the device is wiped.
    Enroll(Enroll),
    /// Check in, back up and carry out commands until stopped (for a service manager)
    Run(StateOption),
    /// Back up the protected folders now
    ///
    /// If `agent run` is running, it is asked to, and this command waits until it is done.
    Backup(StateOption),
    /// Show what the agent knows: server, folders, last backup, what has changed since
    Status {
        #[command(flatten)]
        state: StateOption,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The key to this device's backups, where the customer keeps it
    #[command(subcommand)]
    Key(KeyCommand),
    /// Look for a restore that is waiting for this device, and carry it out now
    Restore(StateOption),
    /// Undo a restore: remove what it made, and put back what it replaced
    ///
    /// What has changed since stays, and is named. The running agent does this when the console asks for it; to do it
    /// here, stop the agent first.
    Undo {
        #[command(flatten)]
        state: StateOption,
        /// Which restore, as in its address in the console [default: lists those that can be undone]
        restore: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Print the key file of this device
    ///
    /// Whoever has it reads all backups that were made with it; without it, nobody does.
    Show(StateOption),
}

#[derive(Debug, Args)]
pub struct StateOption {
    /// Where the agent keeps its keys and records [default: /var/lib/holdfast-agent for root, otherwise
    /// ~/.local/state/holdfast-agent]
    #[arg(long = "state", visible_alias = "data", value_name = "DIR", env = "HOLDFAST_AGENT_STATE")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Enroll {
    #[command(flatten)]
    state: StateOption,
    /// The server's address, such as `https://holdfast.example.org`
    #[arg(long, value_name = "URL")]
    server: String,
    /// The enrolment token that the console shows
    #[arg(long, env = "HOLDFAST_ENROLL_TOKEN", hide_env_values = true)]
    token: String,
    /// A folder to back up, and to erase when the device is wiped; may be given several times
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    protect: Vec<PathBuf>,
    /// Also back up what is mounted inside the protected folders; a wipe leaves it alone
    #[arg(long)]
    include_mounts: bool,
    /// The device's name in the console [default: the host's]
    #[arg(long)]
    name: Option<String>,
    /// Who uses the device
    #[arg(long, default_value = "")]
    person: String,
    /// PEM file with the certificates to trust instead of the public authorities
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Use plain http with a server that is not on this machine
    #[arg(long)]
    allow_http: bool,
    /// Enroll even if this device is already enrolled; commands of the earlier enrolment are dropped
    #[arg(long)]
    again: bool,
    /// Where the key to the backups is, for a team whose keys the customer keeps; made there if there is no such file
    ///
    /// The server never has it. Keep a copy of the file elsewhere: without it, nobody restores these backups.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl StateOption {
    fn path(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return std::path::absolute(dir).with_context(|| format!("--state {}", dir.display()));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/holdfast-agent"));
        }
        let home = std::env::home_dir().context("this account has no home directory; name one with --state")?;
        Ok(home.join(".local/state/holdfast-agent"))
    }

    fn open(&self) -> Result<State> {
        State::open(&self.path()?)
    }
}

/// Runs one sub-command.
///
/// # Errors
/// With what went wrong and what to do, for a person.
pub fn run(command: &AgentCommand) -> Result<ExitCode> {
    match command {
        AgentCommand::Enroll(options) => enroll(options),
        AgentCommand::Run(state) => {
            Agent::open(state.open()?, surroundings())?.run(&stop_on_signals()?)?;
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Backup(state) => {
            show::backup(&back_up(state)?);
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Restore(state) => {
            let (agent, stop) = open(state)?;
            Ok(show::restore(agent.restore_waiting(&stop)?.as_ref()))
        }
        AgentCommand::Key(KeyCommand::Show(state)) => {
            show::key(State::view(&state.path()?)?.find()?)?;
            Ok(ExitCode::SUCCESS)
        }
        AgentCommand::Undo { state, restore } => undo(state, restore.as_deref()),
        AgentCommand::Status { state, json } => show::status(&State::view(&state.path()?)?, *json),
    }
}

/// Makes a backup, or has the running agent make it.
fn back_up(state: &StateOption) -> Result<LastBackup> {
    if let Ok(view) = State::view(&state.path()?)
        && view.is_in_use()
    {
        surroundings().progress.event(Event::Note("Asking the running agent for a backup".to_owned()));
        return backup::ask(&view, &stop_on_signals()?);
    }
    let (agent, stop) = open(state)?;
    agent.back_up(&stop)
}

/// Undoes one restore, or lists those that can be undone.
fn undo(state: &StateOption, restore: Option<&str>) -> Result<ExitCode> {
    let (agent, _stop) = open(state)?;
    let Some(restore) = restore else {
        show::undoable(&agent.undoable()?);
        return Ok(ExitCode::SUCCESS);
    };
    let id = RestoreId::parse(restore).with_context(|| format!("{restore} is not the id of a restore"))?;
    Ok(show::undone(&agent.undo(id)?))
}

/// Opens the agent for one act. An interrupted wipe is finished first, and then there is nothing else to do.
fn open(state: &StateOption) -> Result<(Agent, Stop)> {
    let agent = Agent::open(state.open()?, surroundings())?;
    let stop = stop_on_signals()?;
    if agent.resume_wipe(&stop)? {
        bail!("{}", State::view(&state.path()?)?.get::<Wiped>()?.said());
    }
    Ok((agent, stop))
}

fn enroll(options: &Enroll) -> Result<ExitCode> {
    let ca = options
        .ca
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("reading --ca {}", path.display())))
        .transpose()?;
    let request = EnrollRequest {
        server: server_address(&options.server, options.allow_http)?,
        token: options.token.clone(),
        protect: options.protect.clone(),
        name: options.name.clone(),
        person: options.person.clone(),
        ca,
        mounts: options.include_mounts,
        again: options.again,
        key_file: options.key_file.clone(),
    };
    let agent = Agent::enroll(options.state.open()?, surroundings(), &request)?;
    show::enrolled(&agent, options.key_file.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn surroundings() -> Surroundings {
    Surroundings {
        platform: platform::this(),
        clock: Clock::System,
        progress: Arc::new(show::Terminal::new()),
        home: std::env::home_dir(),
    }
}

/// Stops at SIGTERM and SIGINT; a second one ends the process.
fn stop_on_signals() -> Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = Stop::default();
    let stopper = stop.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("watching for signals")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
                return;
            };
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            stopper.stop();
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
            std::process::exit(130);
        });
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same() {
        for line in ["holdfast-agent status --json", "holdfast agent status --json"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let (Command::Device(command) | Command::Agent(command)) = &arguments.command;
            assert!(matches!(command, AgentCommand::Status { json: true, .. }), "{line}");
        }
    }
}
