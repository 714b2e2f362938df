//! `holdfast puller`: the other Holdfast that may fetch what this console copies.
use crate::cli::control::{HostAct, Request};
use crate::cli::device::ReadOptions;
use crate::cli::output::{print, print_json};
use crate::cli::write::WriteOptions;
use crate::config::Options;
use crate::store::setting::PULLER;
use serde::Serialize;
use std::process::ExitCode;

/// What can be done with it.
#[derive(Debug, clap::Subcommand)]
pub enum PullerCommand {
    /// Let another Holdfast fetch; prints its token, once. Then start this server with `--copy pull:NAME`
    Add {
        name: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Let it fetch no more. What it has stays where it is
    Revoke {
        name: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Say which one may fetch
    Show(ReadOptions),
}

/// What `puller show --json` prints.
#[derive(Serialize)]
struct Shown {
    name: String,
    made_at: String,
    made_by: String,
}

impl PullerCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the data cannot be read, or the server does not answer.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add { name, write } => write.run(Request::Host { act: HostAct::MakePuller { name } }, file),
            Self::Revoke { name, write } => write.run(Request::Host { act: HostAct::RevokePuller { name } }, file),
            Self::Show(read) => show(&read, file),
        }
    }
}

fn show(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let known = read.open(file)?.read_blocking(|conn| PULLER.find(conn))?;
    let shown = known.map(|it| Shown { name: it.name, made_at: it.made_at.iso(), made_by: it.made_by });
    match (&shown, read.json) {
        (_, true) => print_json(&shown)?,
        (Some(it), false) => print(&format!("{} may fetch since {}, by {}.\n", it.name, it.made_at, it.made_by)),
        (None, false) => print("No other Holdfast may fetch.\n"),
    }
    Ok(ExitCode::SUCCESS)
}
