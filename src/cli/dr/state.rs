//! `holdfast dr export`: the newest state as a file, to be kept where no network reaches.
use super::keys::{Brought, KeyOptions};
use super::open::second_store;
use crate::cli::output::print;
use crate::config::{Config, Options};
use crate::proof;
use crate::service::console_copy::{Source, check, fetch};
use anyhow::{Context, anyhow};
use clock::Clock;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `dr export` needs.
#[derive(Debug, clap::Args)]
pub struct ExportOptions {
    /// The file to write; must not exist. It is the database itself, and no longer encrypted
    to: PathBuf,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    server: Options,
}

/// Writes it.
///
/// # Errors
/// When there is no state that opens with the key and is whole, or the file cannot be written.
pub fn export(options: ExportOptions, file: Options) -> anyhow::Result<ExitCode> {
    proof::confine::close_memory()?;
    let ExportOptions { to, key, server } = options;
    let copy = second_store(&Config::new(server.or(file))?)?;
    let holders = [Brought::read(&key)?.holder()?];
    let fetched = fetch(&*copy, &holders, &to, Clock::System.now())?
        .ok_or_else(|| anyhow!("no state there opens with this key"))?;
    let what = match fetched.source {
        Source::Sqlite => {
            check(&to, fetched.counts.as_ref()).with_context(|| format!("checking {}", to.display()))?;
            "the SQLite database"
        }
        Source::Dump => "a dump of the PostgreSQL database; pg_restore or psql reads it",
    };
    print(&format!("{} is {what}, as of {}.\n", to.display(), fetched.head.taken_at.iso()));
    Ok(ExitCode::SUCCESS)
}
