//! `holdfast key`: the keys on the server's side that open the repositories, and opening one by hand.
use crate::cli::control::{self, Answer, KeyAct, Request};
use crate::cli::device::ReadOptions;
use crate::cli::lock::{Lock, holder, refuse_read_only};
use crate::cli::output::{print, print_json};
use crate::cli::recovery_key;
use crate::cli::write::WriteOptions;
use crate::config::{Config, Options};
use crate::error::Error;
use crate::proof::{self, escrow, keys::ProofKeys};
use crate::service::team_key;
use crate::store::escrow::Escrow;
use crate::store::repository::Repository;
use crate::store::{self, Conn, Store};
use anyhow::{Context, anyhow, bail};
use clock::Clock;
use domain::id::DeviceId;
use domain::key_holder::{KeyHolder, KeyedAct, left_out};
use secret::recovery::RecoveryKey;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// What can be done with the server's keys.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Replace the teams' keys, or with `--root` the proof key; what is sealed to the old ones is sealed to the new
    Rotate {
        /// Only this team's key
        #[arg(long, value_name = "NAME", conflicts_with = "root")]
        team: Option<String>,
        /// The proof key itself; the server must not run
        #[arg(long)]
        root: bool,
        #[command(flatten)]
        key: KeyFile,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Say how far the repositories are sealed to the keys in use
    Status(ReadOptions),
    /// Print the master keys of a device's repositories, for opening them without this server; everyone is told
    Unseal {
        /// The device's id
        device: DeviceId,
        /// Why; it stays in the activity
        #[arg(long)]
        reason: String,
        /// Open them with three shares of a recovery key, from standard input, instead of the proof key
        #[arg(long)]
        shares: bool,
        #[command(flatten)]
        key: KeyFile,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// Where the proof key is.
#[derive(Debug, clap::Args)]
pub struct KeyFile {
    /// The proof key [default: DATA/proof.key]
    #[arg(long, value_name = "FILE", env = "HOLDFAST_PROOF_KEY")]
    proof_key: Option<PathBuf>,
}

impl KeyFile {
    fn config(&self, write: &WriteOptions, file: &Options) -> anyhow::Result<Config> {
        let given = Options { proof_key: self.proof_key.clone(), ..Options::default() };
        write.config(given.or(file.clone()))
    }
}

impl KeyCommand {
    /// Runs one sub-command.
    ///
    /// # Errors
    /// When the data or a key cannot be reached, or a rule refuses.
    pub(super) fn run(self, file: Options) -> anyhow::Result<ExitCode> {
        proof::confine::close_memory()?;
        match self {
            Self::Rotate { root: true, key, write, .. } => replace_root(&key.config(&write, &file)?, &write),
            Self::Rotate { team, write, .. } => write.run(Request::Key { act: KeyAct::RotateTeamKeys { team } }, file),
            Self::Status(read) => status(&read, file),
            Self::Unseal { device, reason, shares, key, write } => {
                let asked = Unseal { device, reason, shares };
                unseal(asked, &key.config(&write, &file)?, &write, file)
            }
        }
    }
}

fn replace_root(config: &Config, write: &WriteOptions) -> anyhow::Result<ExitCode> {
    refuse_read_only(&config.database)?;
    let running = || {
        format!(
            "{} is using {}: stop it first, and any `holdfast prove` elsewhere; they would go on with the old key",
            holder(&config.data),
            config.data.display()
        )
    };
    let _lock = Lock::take(&config.data)?.with_context(running)?;
    if Store::is_new(&config.database)? {
        bail!("there is no Holdfast in {}; name the server's folder with --data", config.data.display());
    }
    let store = Store::open(&config.database)?;
    let by = control::actor(rustix::process::getuid().as_raw());
    proof::root::replace(&store, &config.proof_key, &by, &Clock::System)?;
    let message = format!(
        "The proof key was replaced. Copies of the old one open nothing: keep a copy of {} elsewhere, and check it with \
         `holdfast admin proof-key verify`.",
        config.proof_key.display()
    );
    write.show(&Answer::Done { message })
}

/// How far it is, as `key status --json` prints it.
#[derive(Serialize)]
struct Status {
    wrapped: i64,
    total: i64,
}

fn status(read: &ReadOptions, file: Options) -> anyhow::Result<ExitCode> {
    let (found, customers) = read.open(file)?.read_blocking(|conn| {
        Ok::<_, Error>((team_key::progress(conn)?, store::repository::count_of(conn, KeyHolder::Customer)?))
    })?;
    if read.json {
        print_json(&Status { wrapped: found.wrapped, total: found.total })?;
    } else {
        print(&format!("{}\n", found.sentence()));
        if let Some(it) = left_out(customers) {
            print(&format!("{it}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Unseal {
    device: DeviceId,
    reason: String,
    shares: bool,
}

/// A master key as it is printed.
#[derive(Serialize)]
struct Opened {
    repository: String,
    generation: i64,
    /// 64 bytes in base64: AES-256 key, then `k` and `r` of Poly1305-AES.
    master_key: String,
}

fn unseal(asked: Unseal, config: &Config, write: &WriteOptions, file: Options) -> anyhow::Result<ExitCode> {
    let store = Store::open_read_only(&config.database)?;
    let with = match asked.shares {
        true => Opener::Shares(recovery_key::read_key()?),
        false => Opener::Proof(Box::new(ProofKeys::open(&config.proof_key)?.beside(&store))),
    };
    let device = asked.device;
    let sealed = store.read_blocking(|conn| sealed(conn, device))?;
    let mut opened = Vec::new();
    for (repository, escrows) in &sealed {
        let key =
            with.open(repository, escrows).with_context(|| format!("opening the repository {}", repository.id))?;
        opened.push(Opened {
            repository: repository.id.to_string(),
            generation: repository.generation,
            master_key: key.to_string(),
        });
    }
    // The entry comes first: nothing is shown that is not written down.
    let answer = write.ask(Request::Key { act: KeyAct::Unseal { device, reason: asked.reason } }, file)?;
    if matches!(answer, Answer::Refused { .. }) {
        return write.show(&answer);
    }
    if write.json {
        print_json(&opened)?;
    } else {
        for it in &opened {
            print(&format!("{}  enrolment {}  {}\n", it.repository, it.generation, it.master_key));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The repositories of a device, each with its escrow records.
fn sealed(conn: &mut Conn, device: DeviceId) -> Result<Vec<(Repository, Vec<Escrow>)>, Error> {
    let mut found = Vec::new();
    for repository in store::repository::of_device(conn, device)? {
        if let Some(why) = repository.key_holder.refusal(KeyedAct::Unseal) {
            return Err(Error::Refused(why.to_owned()));
        }
        let escrows = store::escrow::of_repository(conn, repository.id)?;
        found.push((repository, escrows));
    }
    if found.is_empty() { Err(Error::NotFound("device with backups")) } else { Ok(found) }
}

enum Opener {
    Proof(Box<ProofKeys>),
    Shares(RecoveryKey),
}

impl Opener {
    fn open(&self, repository: &Repository, escrows: &[Escrow]) -> anyhow::Result<Zeroizing<String>> {
        match self {
            Self::Proof(keys) => Ok(keys.open_master_key(repository)?.to_base64()),
            Self::Shares(key) => escrows
                .iter()
                .find_map(|it| {
                    let opened = escrow::open(key.private(), repository.id, &it.sealed_master_key).ok()?;
                    Some(opened.to_base64())
                })
                .ok_or_else(|| anyhow!("it is not sealed to the recovery key {}", key.name())),
        }
    }
}
