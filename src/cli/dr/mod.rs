//! `holdfast dr`: the copy of the console's own state, and the way back from it when everything else is lost.
mod blobs;
mod drill;
mod keys;
mod open;
mod prove;
mod rebuilt;
mod report;
mod restore;
mod state;
mod stateless;
mod undelete;

use crate::cli::control::Request;
use crate::cli::device::ReadOptions;
use crate::cli::output::{print, print_json};
use crate::cli::write::WriteOptions;
use crate::config::{Config, Options};
use crate::error::Error;
use crate::service;
use crate::service::console_copy::Keeper;
use crate::store::Store;
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::time::Time;
use serde::Serialize;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

/// Disaster recovery: keep, drill and restore the console itself.
#[derive(Debug, clap::Subcommand)]
pub enum DrCommand {
    /// Say how far the console's own state is kept on the second store, and how far that is proven
    Status(ReadOptions),
    /// Rehearse: bring the newest state and the backups back from the second store into a scratch folder, with the
    /// recovery shares, and throw them away. Changes nothing
    Drill(Box<drill::DrillOptions>),
    /// Restore-test each device's newest backup from the second store alone, with three recovery shares, where the server
    /// is; the server records what that shows
    Prove(Box<prove::ProveOptions>),
    /// Bring everything back from the second store into an empty data folder, with three recovery shares
    Restore(Box<restore::RestoreOptions>),
    /// Bring back what somebody deleted or overwrote in the bucket of the second store, from its older versions. Only
    /// looks, unless it is told to do it; then `dr restore` finds everything again
    Undelete(Box<undelete::UndeleteOptions>),
    /// Write the newest state from the second store to a file, decrypted: the database itself
    Export(Box<state::ExportOptions>),
    /// Keep the state on the second store now. For PostgreSQL: hand over a file that `pg_dump` made
    Keep(Box<KeepOptions>),
}

/// What `dr keep` needs.
#[derive(Debug, clap::Args)]
pub struct KeepOptions {
    /// The dump, in any format of `pg_dump` (PostgreSQL only)
    dump: Option<PathBuf>,
    #[command(flatten)]
    server: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl DrCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the data, the second store or the shares cannot be read, or what is there is not whole.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        match self {
            Self::Status(read) => status(&read, file),
            Self::Drill(options) => drill::run(*options, file),
            Self::Prove(options) => prove::run(*options, file),
            Self::Restore(options) => restore::run(*options, file),
            Self::Undelete(options) => undelete::run(*options, file),
            Self::Export(options) => state::export(*options, file),
            Self::Keep(options) => keep(*options, file),
        }
    }
}

/// What `dr status --json` prints.
#[derive(Serialize)]
struct Status {
    standing: &'static str,
    sentence: String,
    kept_up_to: Option<String>,
    proven_back_to: Option<String>,
    /// How the escrow records on the second store stand, with which it gives backups back without any state.
    escrow: String,
    escrow_is_good: bool,
    /// Whether anybody could delete what the second store has.
    protection: &'static str,
    protection_sentences: Vec<String>,
}

fn status(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let (state, coverage, copy) = read.open(file)?.read_blocking(move |conn| {
        let state = service::console_copy::console_copy(conn, now)?;
        Ok::<_, Error>((state, service::escrow::coverage(conn)?, service::copy::state(conn, now)?))
    })?;
    let (sentence, escrow) = (state.sentence(now, &Time::iso), coverage.sentence(now, &Time::iso));
    let protection = copy.protection_sentences(now, &Time::iso);
    if read.json {
        print_json(&Status {
            standing: state.standing(now).as_str(),
            sentence,
            kept_up_to: state.kept.as_ref().map(|it| it.taken_at.iso()),
            proven_back_to: state.proof.as_ref().map(|it| it.taken_at.iso()),
            escrow,
            escrow_is_good: coverage.is_good(now),
            protection: copy.protection(now).as_str(),
            protection_sentences: protection,
        })?;
    } else {
        let said: Vec<_> = [sentence, escrow].into_iter().chain(protection).collect();
        print(&format!("{}\n", said.join("\n")));
    }
    let is_wrong = state.is_wrong(now) || coverage.is_wrong(now);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn keep(options: KeepOptions, file: Options) -> anyhow::Result<ExitCode> {
    let KeepOptions { dump, server, json } = options;
    let Some(dump) = dump else {
        let (data, database) = (server.data.clone(), server.database.clone());
        return WriteOptions { data, database, json }.run(Request::KeepState, server.or(file));
    };
    let config = Config::new(server.or(file))?;
    let opened = File::open(&dump).with_context(|| format!("reading {}", dump.display()))?;
    let store = Store::open(&config.database)?;
    if !store.is_shared() {
        return Err(anyhow!("the server itself keeps an SQLite database; only PostgreSQL’s dumps are handed over"));
    }
    let copy = open::second_store(&config)?;
    let kept = Keeper::new(store, copy, config.data).keep_dump(opened, Clock::System.now())?;
    print(&format!("The dump is on the second store, as state {} of {}.\n", kept.sequence, kept.taken_at.iso()));
    Ok(ExitCode::SUCCESS)
}
