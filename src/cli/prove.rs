//! `holdfast prove`: restore tests without a server, beside one on another host, or requested from the one
//! running here.
use crate::blob::fs::FsBlobs;
use crate::cli::control::{self, Answer, Request};
use crate::cli::device;
use crate::cli::lock::{self, Lock};
use crate::cli::output::{plain, print, print_json};
use crate::cli::serve::told_to_stop;
use crate::config::{Config, Options};
use crate::proof::Prover;
use crate::proof::keys::ProofKeys;
use crate::proof::runner::Runner;
use crate::service;
use crate::service::report::TestRow;
use crate::store::{self, Database, Store};
use anyhow::{Context, anyhow, bail};
use clock::Clock;
use domain::id::{DeviceId, RestoreTestId};
use domain::proof::TestResult;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How often to look at the database while a server runs the tests.
const LOOK_EVERY: Duration = Duration::from_millis(300);

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
    /// Run the waiting tests, or wait for the server to run them; print how they ended, and exit with status 1
    /// if one did not pass
    #[arg(long)]
    once: bool,
    /// Test only this device; a running server is asked to test its newest backup now
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    /// How many tests to run at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    parallel: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs restore tests until Ctrl-C or SIGTERM, or once. On SQLite a running server does it when asked.
///
/// # Errors
/// When the key is missing, the database is away, or the server refuses.
pub fn run(options: ProveOptions, file: Options) -> anyhow::Result<ExitCode> {
    crate::proof::confine::close_memory()?;
    let ProveOptions { data, database, blobs, proof_key, once, device, parallel, json } = options;
    let given = Options { data, database, blobs, proof_key, ..Options::default() };
    let config = Config::new(given.or(Options { no_prove: None, ..file }))?;
    lock::refuse_read_only(&config.database)?;
    let _lock = match config.database {
        Database::Postgres(_) => None,
        // SQLite has one writer: while a server runs, the server runs the tests.
        Database::Sqlite(_) => match Lock::take(&config.data)? {
            None => return ask_server(&config, once, device, json),
            lock => lock,
        },
    };
    let prover = prover(&config, parallel)?;
    if once {
        let ended = run_once(&prover, device)?;
        return show(&prover.store, &ended, json);
    }
    actix_web::rt::System::new().block_on(keep_proving(prover, device))?;
    Ok(ExitCode::SUCCESS)
}

/// Has the server running here test a device's newest backup, and waits for that test, or for all waiting
/// tests.
fn ask_server(config: &Config, once: bool, device: Option<DeviceId>, json: bool) -> anyhow::Result<ExitCode> {
    let asked = match device {
        Some(device) => match control::ask(&config.data, &Request::Prove { device })? {
            Answer::Test { id } => Some(id),
            Answer::Refused { message } => bail!(message),
            answer @ (Answer::Done { .. } | Answer::Link { .. } | Answer::Token { .. } | Answer::PullToken { .. }) => {
                bail!("the server gave an unexpected answer: {answer:?}")
            }
        },
        None if once => None,
        None => bail!(
            "{} is using {} and runs its restore tests by itself. With --device it tests that device now, and with \
             --once this command waits for all waiting tests",
            lock::holder(&config.data),
            config.data.display()
        ),
    };
    let store = Store::open_read_only(&config.database)?;
    let tests = match asked {
        Some(id) => vec![id],
        None => Vec::from_iter(store.read_blocking(store::restore_test::open)?),
    };
    if once {
        tracing::info!(count = tests.len(), "waiting for the server's restore tests");
        await_end(config, &store, &tests)?;
    }
    show(&store, &tests, json)
}

fn await_end(config: &Config, store: &Store, tests: &[RestoreTestId]) -> anyhow::Result<()> {
    loop {
        let open = store.read_blocking(store::restore_test::open)?;
        if !tests.iter().any(|it| open.contains(it)) {
            return Ok(());
        }
        if !control::is_answered(&config.data) {
            bail!("the server has stopped; the remaining tests run when it is started again");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A test and what it found, as this command prints it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    row: TestRow,
    summary: String,
}

fn show(store: &Store, tests: &[RestoreTestId], json: bool) -> anyhow::Result<ExitCode> {
    let mut shown = Vec::with_capacity(tests.len());
    for id in tests {
        // A test that waited because of a new backup disappears when newer ones come.
        if let Some(test) = store.read_blocking(|conn| store::restore_test::find(conn, *id))? {
            shown.push(Shown { row: TestRow::new(&test), summary: test.summary });
        }
    }
    if json {
        print_json(&shown)?;
    } else {
        print(&device::tests(shown.iter().map(|it| &it.row)).text());
        for it in shown.iter().filter(|it| !it.summary.is_empty()) {
            print(&format!("{}: {}\n", it.row.id, plain(&it.summary)));
        }
    }
    // Without `--once` a test is shown that has not ended.
    let is_good = shown.iter().all(|it| matches!(it.row.result, None | Some(TestResult::Passed)));
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prover(config: &Config, parallel: usize) -> anyhow::Result<Prover> {
    if Store::is_new(&config.database)? {
        bail!("there is no database at {}: start the server first", config.database.name());
    }
    let store = Store::open(&config.database)?;
    let identity = store
        .read_blocking(service::ground::known_identity)?
        .ok_or_else(|| anyhow!("no server has used this database yet: start it first"))?;
    let keys = ProofKeys::of(&store, &config.proof_key, true, Clock::System.now())?;
    Ok(Prover {
        store,
        blobs: Arc::new(FsBlobs::open_read_only(&config.blobs, &identity).context("opening the backup store")?),
        keys: keys.ok_or_else(|| anyhow!("there is no proof key"))?,
        clock: Clock::System,
        runner: Runner::this_program().context("finding this program")?,
        name: host_name(),
        parallel: parallel.clamp(1, 32),
    })
}

fn run_once(prover: &Prover, device: Option<DeviceId>) -> crate::error::Result<Vec<RestoreTestId>> {
    let now = prover.clock.now();
    prover.store.read_blocking(|conn| service::proof::check_clock(conn, now))?;
    prover.run_once(device)
}

async fn keep_proving(prover: Prover, device: Option<DeviceId>) -> anyhow::Result<()> {
    let (wake, period) = (prover.store.wake().clone(), crate::proof::PERIOD);
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

/// Who runs tests here, as pages show it.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "another host".to_owned() } else { name }
}
