//! `holdfast prove`: restore tests without a server, or beside one on another host.
use crate::blob::fs::FsBlobs;
use crate::cli::lock::{self, Lock};
use crate::cli::serve::told_to_stop;
use crate::clock::Clock;
use crate::config::{Config, Options};
use crate::domain::id::DeviceId;
use crate::proof::Prover;
use crate::proof::keys::ProofKeys;
use crate::proof::runner::Runner;
use crate::service;
use crate::store::{Database, Store};
use crate::wake::Wake;
use anyhow::{Context, anyhow};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What `holdfast prove` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct ProveOptions {
    /// Folder of the server's data
    #[arg(long, value_name = "DIR", env = "HOLDFAST_DATA")]
    data: Option<PathBuf>,
    /// SQLite file, or `postgres://USER@HOST/NAME` [default: DATA/holdfast.db]
    #[arg(long, value_name = "URL", env = "HOLDFAST_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// Folder for backups [default: DATA/blobs]
    #[arg(long, value_name = "DIR", env = "HOLDFAST_BLOBS")]
    blobs: Option<PathBuf>,
    /// File with the private key that opens backups [default: DATA/proof.key]
    #[arg(long, value_name = "FILE", env = "HOLDFAST_PROOF_KEY")]
    proof_key: Option<PathBuf>,
    /// Run the tests that wait, then end
    #[arg(long)]
    once: bool,
    /// Test only this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// So many tests at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    parallel: usize,
}

/// Runs restore tests until Ctrl-C or SIGTERM, or once.
///
/// # Errors
/// When a server has the data folder, the key is missing, or the database is away.
pub fn run(options: ProveOptions, file: Options) -> anyhow::Result<ExitCode> {
    let ProveOptions { data, database, blobs, proof_key, once, device, parallel } = options;
    let given = Options { data, database, blobs, proof_key, ..Options::default() };
    let config = Config::new(given.or(Options { no_prove: None, ..file }))?;
    let _lock = take_lock(&config)?;
    let prover = prover(&config, parallel)?;
    if once {
        let ended = run_once(&prover, device)?;
        tracing::info!(ended, "restore tests ended");
        return Ok(ExitCode::SUCCESS);
    }
    actix_web::rt::System::new().block_on(keep_proving(prover, device))?;
    Ok(ExitCode::SUCCESS)
}

fn prover(config: &Config, parallel: usize) -> anyhow::Result<Prover> {
    let store = Store::open(&config.database)?;
    let keys = ProofKeys::of(&store, &config.proof_key, true, Clock::System.now())?;
    Ok(Prover {
        store,
        blobs: Arc::new(FsBlobs::open_read_only(&config.blobs).context("opening the backup store")?),
        keys: keys.ok_or_else(|| anyhow!("there is no proof key"))?,
        clock: Clock::System,
        wake: Wake::new(),
        runner: Runner::this_program().context("finding this program")?,
        name: host_name(),
        parallel: parallel.clamp(1, 32),
    })
}

fn run_once(prover: &Prover, device: Option<DeviceId>) -> crate::error::Result<usize> {
    let now = prover.clock.now();
    prover.store.read_blocking(|conn| service::proof::check_clock(conn, now))?;
    prover.run_once(device)
}

async fn keep_proving(prover: Prover, device: Option<DeviceId>) -> anyhow::Result<()> {
    let (wake, period) = (prover.wake.clone(), crate::proof::PERIOD);
    let stopping = wake.clone();
    actix_web::rt::spawn(async move {
        told_to_stop().await;
        stopping.stop();
    });
    while !wake.is_stopping() {
        let prover = prover.clone();
        let ran =
            tokio::task::spawn_blocking(move || run_once(&prover, device)).await.context("running restore tests")?;
        if let Err(error) = ran {
            tracing::warn!(?error, "restore tests could not be run; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = wake.stopped() => {}
        }
    }
    Ok(())
}

/// SQLite has one writer: while a server runs, its tests are the server's.
fn take_lock(config: &Config) -> anyhow::Result<Option<Lock>> {
    if let Database::Postgres(_) = config.database {
        return Ok(None);
    }
    let lock = Lock::take(&config.data)?.ok_or_else(|| {
        anyhow!(
            "{} uses {} and runs its restore tests; ask for one there with \"Prove now\", or stop it first. \
             With PostgreSQL this command may run beside it",
            lock::holder(&config.data),
            config.data.display()
        )
    })?;
    Ok(Some(lock))
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "another host".to_owned() } else { name }
}
