//! `holdfast dr prove`: each device's newest backup, restored from the second store alone with three shares, and what that
//! shows recorded.
use super::open::known_second_store;
use crate::cli::control::{Answer, KeyAct, Request};
use crate::cli::output::{Table, plain, print, print_json, say};
use crate::cli::prove::host_name;
use crate::cli::recovery_key::read_key;
use crate::cli::write::WriteOptions;
use crate::config::{Config, Options};
use crate::proof;
use crate::proof::copy_alone::CopyAlone;
use crate::proof::runner::Runner;
use crate::service::copy_proof::{self, Candidate, Ended};
use crate::store::Store;
use anyhow::{Context, bail};
use clock::Clock;
use domain::id::DeviceId;
use domain::proof::TestResult;
use serde::Serialize;
use std::process::ExitCode;

/// What `dr prove` needs.
#[derive(Debug, clap::Args)]
pub struct ProveOptions {
    /// Only this device
    #[arg(long, value_name = "ID")]
    device: Option<DeviceId>,
    #[command(flatten)]
    server: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How a device did.
#[derive(Debug, Clone, Serialize)]
struct Row {
    device: DeviceId,
    name: String,
    /// When the restore point that was tested was received.
    point: Option<String>,
    result: &'static str,
    summary: String,
}

/// Tests what the second store has, and has the server record it.
///
/// # Errors
/// When there is no second store or no key, the shares are not taken, or the server refuses.
pub fn run(options: ProveOptions, file: Options) -> anyhow::Result<ExitCode> {
    proof::confine::close_memory()?;
    let ProveOptions { device, server, json } = options;
    let write = WriteOptions { data: server.data.clone(), database: server.database.clone(), json };
    let settings = server.or(file);
    let config = Config::new(settings.clone())?;
    if Store::is_new(&config.database)? {
        bail!("there is no database at {}: this runs where the server is", config.database.name());
    }
    let store = Store::open_read_only(&config.database)?;
    // Before anybody types shares.
    let mut candidates = store.read_blocking(copy_proof::candidates)?;
    if let Some(device) = device {
        candidates.retain(|it| it.device.id == device);
    }
    if candidates.is_empty() {
        bail!("there is no such device with a backup");
    }
    let copy = known_second_store(&config, &store)?;
    let key = read_key()?;
    let tests = CopyAlone {
        store: &store,
        copy,
        key: &key,
        runner: Runner::this_program().context("finding this program for restore tests")?,
        name: host_name(),
        clock: Clock::System,
    };
    let mut rows = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.iter().enumerate() {
        say(&format!("{} of {}: {}", at + 1, candidates.len(), plain(&candidate.device.name)));
        rows.push(one(&tests, candidate, |ended| {
            let act = KeyAct::CopyTested { ended: Box::new(ended) };
            match write.ask(Request::Key { act }, settings.clone())? {
                Answer::Done { message } => Ok(message),
                Answer::Refused { message } => bail!(message),
                answer @ (Answer::Link { .. }
                | Answer::Token { .. }
                | Answer::PullToken { .. }
                | Answer::Test { .. }) => {
                    bail!("the server gave an unexpected answer: {answer:?}")
                }
            }
        })?);
    }
    show(&rows, json)
}

fn one(
    tests: &CopyAlone<'_>,
    candidate: &Candidate,
    record: impl Fn(Ended) -> anyhow::Result<String>,
) -> anyhow::Result<Row> {
    let (device, name) = (candidate.device.id, candidate.device.name.clone());
    let Some(point) = &candidate.point else {
        let summary = "The second store has no complete backup of it yet.".to_owned();
        return Ok(Row { device, name, point: None, result: "not copied", summary });
    };
    let ended = tests.test(point.id)?;
    let (result, said) = (ended.report.result, ended.report.summary.clone());
    record(ended).with_context(|| format!("recording the test of {}", plain(&candidate.device.name)))?;
    Ok(Row { device, name, point: Some(point.received_at.iso()), result: result.as_str(), summary: said })
}

fn show(rows: &[Row], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        print_json(&rows)?;
    } else {
        let mut table = Table::new(&["DEVICE", "BACKUP OF", "FROM THE SECOND STORE ALONE", "WHAT IT FOUND"]);
        for it in rows {
            let point = it.point.clone().unwrap_or_else(|| "-".to_owned());
            table.row([plain(&it.name), point, it.result.to_owned(), plain(&it.summary)]);
        }
        print(&table.text());
    }
    let is_good = rows.iter().all(|it| it.result == TestResult::Passed.as_str());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
