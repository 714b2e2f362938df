//! `holdfast dr drill`: the loss of everything, rehearsed. Nothing is changed but a scratch folder, which goes again.
use super::keys::{Brought, KeyOptions};
use super::open::second_store;
use super::rebuilt::Place;
use super::report;
use super::restore::rebuild;
use crate::cli::output::{Table, print, print_json, say};
use crate::config::{Config, Options};
use crate::error::Error;
use crate::proof::keys::ProofKeys;
use crate::proof::runner::Runner;
use crate::proof::{self, Prover};
use crate::service;
use crate::store::{self, Conn, Store};
use anyhow::Context;
use clock::Clock;
use domain::activity::Actor;
use domain::id::DeviceId;
use domain::key_holder::{KeyHolder, devices_left_out};
use domain::proof::TestResult;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// What `dr drill` needs.
#[derive(Debug, clap::Args)]
pub struct DrillOptions {
    #[command(flatten)]
    key: KeyOptions,
    /// Folder for the scratch folder: it needs room for the database and all backups
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Rehearse what is left if no state of the console can be read: devices and backups from the escrow records
    #[arg(long)]
    without_state: bool,
    #[command(flatten)]
    server: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a device's newest backup did.
#[derive(Debug, Clone, Serialize)]
struct Drilled {
    device: String,
    result: &'static str,
    summary: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    report: report::Report,
    tests: Vec<Drilled>,
    /// Devices whose backups no share opens: not tested.
    of_customers: i64,
    seconds: f64,
}

/// Rehearses it.
///
/// # Errors
/// When the second store or the key cannot be read, or nothing there is whole.
pub fn run(options: DrillOptions, file: Options) -> anyhow::Result<ExitCode> {
    proof::confine::close_memory()?;
    let DrillOptions { key, scratch, without_state, server, json } = options;
    let config = Config::new(server.or(file))?;
    let copy = second_store(&config)?;
    let brought = Brought::read(&key)?;
    let begun = Instant::now();
    let above = scratch.unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&above).with_context(|| format!("making a folder below {}", above.display()))?;
    let (database, key) = (folder.path().join("holdfast.db"), folder.path().join("proof.key"));
    let place = Place { database, key, blobs: folder.path().join("blobs"), earlier: None };
    let done = rebuild(&*copy, &brought, &place, without_state, Clock::System.now())?;
    say("Testing the newest backup of each device…");
    let keys = Arc::new(ProofKeys::open(&place.key)?.beside(&done.store));
    let prover = Prover {
        store: done.store.clone(),
        blobs: Arc::clone(&done.blobs),
        keys,
        clock: Clock::System,
        runner: Runner::this_program().context("finding this program for restore tests")?,
        name: "a drill".to_owned(),
        parallel: 2,
    };
    let tests = test_all(&prover)?;
    let of_customers = i64::try_from(prover.store.read_blocking(service::copy_proof::of_customers)?.len())?;
    let report = report::Report::of(&done);
    let is_good = report.is_complete() && tests.iter().all(|it| it.result == TestResult::Passed.as_str());
    let outcome = Outcome { report, tests, of_customers, seconds: begun.elapsed().as_secs_f64() };
    show(&outcome, json)?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn test_all(prover: &Prover) -> anyhow::Result<Vec<Drilled>> {
    let now = prover.clock.now();
    let devices = prover.store.read_blocking(with_backups)?;
    let mut drilled = Vec::new();
    for device in devices {
        prover.store.act_blocking(move |conn| service::proof::ask_on_host(conn, &Actor::system(), device, now))?;
        prover.run_once(Some(device))?;
        drilled.extend(result(&prover.store, device)?);
    }
    Ok(drilled)
}

/// The devices that have a backup which can be tested here.
fn with_backups(conn: &mut Conn) -> Result<BTreeSet<DeviceId>, Error> {
    let mut found = BTreeSet::new();
    for id in store::ground::repositories(conn)? {
        if store::repository::find(conn, id)?.is_some_and(|it| it.key_holder == KeyHolder::Customer) {
            continue;
        }
        found.extend(store::restore_point::newest_stored(conn, id)?.map(|it| it.device_id));
    }
    Ok(found)
}

fn result(store: &Store, device: DeviceId) -> anyhow::Result<Option<Drilled>> {
    let found = store.read_blocking(move |conn| {
        let name = store::device::find(conn, device)?.map_or_else(|| device.to_string(), |it| it.name);
        Ok::<_, Error>(store::restore_test::of_device(conn, device, 1)?.pop().map(|it| (name, it)))
    })?;
    Ok(found.map(|(device, test)| {
        let result = test.result.map_or("not run", TestResult::as_str);
        Drilled { device, result, summary: test.summary }
    }))
}

fn show(outcome: &Outcome, json: bool) -> anyhow::Result<()> {
    if json {
        print_json(outcome)?;
        return Ok(());
    }
    report::print_report(&outcome.report, false)?;
    let mut table = Table::new(&["DEVICE", "RESTORE TEST", "WHAT IT FOUND"]);
    for it in &outcome.tests {
        table.row([it.device.clone(), it.result.to_owned(), it.summary.clone()]);
    }
    print(&format!("\n{}\n", table.text()));
    if let Some(it) = devices_left_out(outcome.of_customers) {
        print(&format!("{it}\n"));
    }
    print(&format!("The drill took {:.0} s. Nothing was changed.\n", outcome.seconds));
    Ok(())
}
