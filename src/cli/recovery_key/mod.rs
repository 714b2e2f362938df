//! `holdfast recovery-key`: a key on paper that opens every backup, for the day on which the server is gone.
mod age;
mod check;
mod typed;

pub(in crate::cli) use typed::{read_key, read_shares};

use crate::cli::control::{Answer, KeyAct, Request};
use crate::cli::device::ReadOptions;
use crate::cli::output::{Table, print, print_json, say, try_print};
use crate::cli::write::WriteOptions;
use crate::config::{Config, Options};
use crate::error::Error;
use crate::proof::{self, keys::ProofKeys};
use crate::service::console_copy::holder_key;
use crate::service::{self, recovery_key};
use crate::store::recovery_key::RecoveryKey as Kept;
use crate::store::{self, Conn, Store};
use anyhow::{Context, anyhow};
use clock::Clock;
use domain::console_copy::Holder;
use domain::key_holder::{KeyHolder, left_out};
use domain::recovery_key::Recoverability;
use domain::words::counted;
use secret::recovery::{NEEDED, RecoveryKey, SHARES, Share};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// What can be done with recovery keys.
#[derive(Debug, clap::Subcommand)]
pub enum RecoveryKeyCommand {
    /// Make one and print its five shares, once; any three open every backup. Then three are asked back
    Make {
        #[command(flatten)]
        key: KeyOptions,
        #[command(flatten)]
        age: Option<age::AgeOptions>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Type three shares (or pipe them in): says whether they give the key and the key opens every repository
    Confirm {
        #[command(flatten)]
        key: KeyOptions,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Type three shares (or pipe them in): writes the whole key to a file that only the named people's age keys open
    Age(age::AgeOptions),
    /// List recovery keys, and say how many repositories are recoverable by shares
    List(ReadOptions),
    /// Give one up: nothing is sealed to it any more
    Retire {
        /// The six characters that its shares bear
        name: String,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// Where the proof key is.
#[derive(Debug, clap::Args)]
pub struct KeyOptions {
    /// The proof key [default: DATA/proof.key]
    #[arg(long, value_name = "FILE", env = "HOLDFAST_PROOF_KEY")]
    proof_key: Option<PathBuf>,
}

impl RecoveryKeyCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the data or the proof key cannot be reached, or the shares are not taken.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        // Private halves are in this process for a moment.
        proof::confine::close_memory()?;
        match self {
            Self::Make { key, age, write } => make(&key, age.as_ref(), &write, file),
            Self::Confirm { key, write } => {
                let typed = read_shares()?;
                confirm(&typed, &key, &write, file)
            }
            Self::Age(to) => {
                to.check()?;
                to.write(&read_key()?)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::List(read) => list(&read, file),
            Self::Retire { name, write } => {
                let name = name.trim().to_ascii_uppercase();
                write.run(Request::Key { act: KeyAct::RetireRecoveryKey { name } }, file)
            }
        }
    }
}

fn config(key: &KeyOptions, write: &WriteOptions, file: &Options) -> anyhow::Result<Config> {
    let given = Options { proof_key: key.proof_key.clone(), ..Options::default() };
    write.config(given.or(file.clone()))
}

fn make(
    options: &KeyOptions,
    age: Option<&age::AgeOptions>,
    write: &WriteOptions,
    file: Options,
) -> anyhow::Result<ExitCode> {
    let config = config(options, write, &file)?;
    // Before there is a key that would be lost.
    age.map_or(Ok(()), age::AgeOptions::check)?;
    let proof = ProofKeys::open(&config.proof_key).context(
        "a recovery key is made where the proof key is, which vouches for it: start the server once, or name the key \
         with --proof-key",
    )?;
    let known = Store::open_read_only(&config.database)?.read_blocking(service::proof::public_key)?;
    if known.as_deref() != Some(proof.public().as_str()) {
        return Err(anyhow!("{} is not the proof key of this server", config.proof_key.display()));
    }
    let key = RecoveryKey::make()?;
    let shares = key.shares()?;
    let (public, voucher) = (key.public().as_str().to_owned(), proof.vouch_for(key.public())?);
    let state = holder_key(Holder::Recovery, &public, key.private())?;
    let answer = write.ask(Request::Key { act: KeyAct::RecoveryKeyMade { public, voucher, state } }, file.clone())?;
    if matches!(answer, Answer::Refused { .. }) {
        return write.show(&answer);
    }
    show(&key, &shares, &config.public_url, write.json).with_context(|| {
        format!("the shares could not be printed, and are lost: `holdfast recovery-key retire {}`", key.name())
    })?;
    if let Some(to) = age {
        to.write(&key)?;
    }
    if write.json || !std::io::stdin().is_terminal() {
        say("Nothing counts as recoverable by shares before three are typed back: holdfast recovery-key confirm");
        return Ok(ExitCode::SUCCESS);
    }
    say("\nPrint or write them down. Then type three of them back; Ctrl-C leaves that for `recovery-key confirm`.");
    let typed = read_shares()?;
    confirm(&typed, options, write, file)
}

/// A new key as `--json` prints it.
#[derive(Serialize)]
struct Made {
    name: String,
    public_key: String,
    needed: usize,
    shares: Vec<String>,
}

fn show(key: &RecoveryKey, shares: &[Share], url: &str, json: bool) -> anyhow::Result<()> {
    let (name, now) = (key.name(), Clock::System.now().iso());
    if json {
        let shares = shares.iter().map(|it| it.text().to_string()).collect();
        let made = Made { name, public_key: key.public().as_str().to_owned(), needed: NEEDED, shares };
        return Ok(try_print(&(serde_json::to_string_pretty(&made)? + "\n"))?);
    }
    try_print(&format!(
        "# Recovery key {name} of Holdfast at {url}, made {now}.\n\
         # Any {NEEDED} of these {SHARES} shares open every backup; fewer say nothing. Give each to another person.\n\
         # They are kept nowhere, and are not shown again.\n"
    ))?;
    for share in shares {
        let (number, text) = (share.number(), share.text());
        try_print(&format!("\n# Share {number} of {SHARES}, recovery key {name}\n{}\n", *text))?;
    }
    Ok(())
}

fn confirm(key: &RecoveryKey, options: &KeyOptions, write: &WriteOptions, file: Options) -> anyhow::Result<ExitCode> {
    let config = config(options, write, &file)?;
    let store = Store::open_read_only(&config.database)?;
    let proof = config.proof_key.try_exists()?.then(|| ProofKeys::open(&config.proof_key)).transpose()?;
    let proof = proof.map(|it| it.beside(&store));
    let opened = check::open_records(&store, key, proof.as_ref())?;
    let public = key.public().as_str().to_owned();
    let answer = write.ask(Request::Key { act: KeyAct::RecoveryKeyConfirmed { public } }, file)?;
    let answer = match answer {
        Answer::Done { message } => {
            let opened = counted(opened, "repository", "repositories");
            let compared = if proof.is_some() { ", as the proof key does" } else { "" };
            Answer::Done { message: format!("{message} It opens {opened}{compared}.") }
        }
        Answer::Link { .. }
        | Answer::Token { .. }
        | Answer::PullToken { .. }
        | Answer::Test { .. }
        | Answer::Refused { .. } => answer,
    };
    write.show(&answer)
}

/// A key as `recovery-key list` prints it.
#[derive(Serialize)]
struct Row {
    name: String,
    made_at: String,
    made_by: String,
    confirmed_at: Option<String>,
    confirmed_by: Option<String>,
    retired_at: Option<String>,
}

impl From<Kept> for Row {
    fn from(it: Kept) -> Self {
        Self {
            name: it.name,
            made_at: it.made_at.iso(),
            made_by: it.made_by,
            confirmed_at: it.confirmed_at.map(domain::time::Time::iso),
            confirmed_by: it.confirmed_by,
            retired_at: it.retired_at.map(domain::time::Time::iso),
        }
    }
}

fn list(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let now = Clock::System.now();
    let facts = |conn: &mut Conn| -> Result<(Vec<Kept>, Recoverability, i64), Error> {
        let customers = store::repository::count_of(conn, KeyHolder::Customer)?;
        Ok((store::recovery_key::all(conn)?, recovery_key::recoverability(conn, now)?, customers))
    };
    let (keys, found, customers) = read.open(file)?.read_blocking(facts)?;
    let rows: Vec<Row> = keys.into_iter().map(Row::from).collect();
    if read.json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["NAME", "MADE", "TYPED BACK", "BY", "RETIRED"]);
    let or_dash = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
    for it in rows {
        table.row([it.name, it.made_at, or_dash(it.confirmed_at), or_dash(it.confirmed_by), or_dash(it.retired_at)]);
    }
    print(&format!("{}\n{}\n", table.text(), found.sentence(domain::time::Time::iso)));
    if let Some(it) = left_out(customers) {
        print(&format!("{it}\n"));
    }
    Ok(ExitCode::SUCCESS)
}
