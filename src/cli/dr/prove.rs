//! `holdfast dr prove`: each device's newest backup, restored from the second store alone with three shares, and what that
//! shows recorded. It begins with what was never proven so, or longest ago, so that runs that are stopped come around.
use super::open::known_second_store;
use crate::cli::control::{Answer, KeyAct, Request};
use crate::cli::output::{Table, plain, print, print_json, say};
use crate::cli::prove::host_name;
use crate::cli::recovery_key::read_shares;
use crate::cli::serve::told_to_stop;
use crate::cli::write::WriteOptions;
use crate::config::{Config, Options};
use crate::error::Error;
use crate::proof;
use crate::proof::copy_alone::CopyAlone;
use crate::proof::runner::Runner;
use crate::service::copy_proof::{self, Candidate, Ended};
use crate::store::Store;
use anyhow::{Context, bail};
use clock::Clock;
use domain::copy_proof::stopped_at;
use domain::id::DeviceId;
use domain::key_holder::devices_left_out;
use domain::proof::TestResult;
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let (mut candidates, customers) =
        store.read_blocking(|conn| Ok::<_, Error>((copy_proof::candidates(conn)?, copy_proof::of_customers(conn)?)))?;
    let customers = i64::try_from(customers.iter().filter(|it| device.is_none_or(|id| id == **it)).count())?;
    if let Some(device) = device {
        candidates.retain(|it| it.device.id == device);
    }
    if candidates.is_empty() {
        bail!(devices_left_out(customers).unwrap_or_else(|| "there is no such device with a backup".to_owned()));
    }
    // Also with --json: on the error stream, before anybody types shares.
    devices_left_out(customers).iter().for_each(|it| say(it));
    let copy = known_second_store(&config, &store)?;
    // Shares, and nothing as good as them: that they can be read is part of what is shown.
    let key = read_shares()?;
    let tests = CopyAlone {
        store: &store,
        copy,
        key: &key,
        runner: Runner::this_program().context("finding this program for restore tests")?,
        name: host_name(),
        clock: Clock::System,
    };
    let record = |ended| {
        let act = KeyAct::CopyTested { ended: Box::new(ended) };
        match write.ask(Request::Key { act }, settings.clone())? {
            Answer::Done { message } => Ok(message),
            Answer::Refused { message } => bail!(message),
            answer @ (Answer::Link { .. } | Answer::Token { .. } | Answer::PullToken { .. } | Answer::Test { .. }) => {
                bail!("the server gave an unexpected answer: {answer:?}")
            }
        }
    };
    // After the shares were read: until then a signal ends it at once.
    let stop = stops_when_told()?;
    let (rows, failed) = each(&candidates, &stop, |at, candidate| {
        say(&format!("{} of {}: {}", at + 1, candidates.len(), plain(&candidate.device.name)));
        one(&tests, candidate, record)
    });
    let stopped = stopped_at(rows.len(), candidates.len());
    let code = show(&rows, json)?;
    if let Some(error) = failed {
        say(&stopped.unwrap_or_default());
        return Err(error);
    }
    let Some(stopped) = stopped else { return Ok(code) };
    say(&stopped);
    Ok(ExitCode::FAILURE)
}

/// Whether it was told to stop, by Ctrl-C or SIGTERM: the test that runs still ends. Told once more, it ends at once.
fn stops_when_told() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::<AtomicBool>::default();
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build().context("waiting for signals")?;
    let flag = Arc::clone(&stop);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            waiting.block_on(told_to_stop());
            flag.store(true, Ordering::SeqCst);
            say("Stopping once this test has ended; the same again stops at once.");
            waiting.block_on(told_to_stop());
            std::process::exit(130);
        })
        .context("waiting for signals")?;
    Ok(stop)
}

/// Tests one after the other until `stop` says so, or one ends it with an error.
fn each<T, Done>(
    all: &[T],
    stop: &AtomicBool,
    mut one: impl FnMut(usize, &T) -> anyhow::Result<Done>,
) -> (Vec<Done>, Option<anyhow::Error>) {
    let mut rows = Vec::new();
    for (at, it) in all.iter().enumerate() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        match one(at, it) {
            Ok(row) => rows.push(row),
            Err(error) => return (rows, Some(error)),
        }
    }
    (rows, None)
}

/// One that could not be tested keeps no other from its turn; one that cannot be recorded ends it all, since no other can.
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
    let received_at = Some(point.received_at.iso());
    let ended = match tests.test(point.id) {
        Ok(ended) => ended,
        Err(error) => {
            let summary = format!("{:#}", anyhow::Error::from(error));
            return Ok(Row { device, name, point: received_at, result: "not tested", summary });
        }
    };
    let (result, summary) = (ended.report.result.as_str(), ended.report.summary.clone());
    record(ended).with_context(|| format!("{name} was tested, and that could not be recorded"))?;
    Ok(Row { device, name, point: received_at, result, summary })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_to_stop_it_ends_the_test_that_runs_and_begins_no_other() {
        let stop = AtomicBool::new(false);
        let done = each(&["a", "b", "c"], &stop, |at, it| {
            stop.store(at == 1, Ordering::SeqCst);
            Ok(format!("{at} {it}"))
        });
        assert_eq!(done.0, ["0 a", "1 b"]);
        assert_eq!(each(&["a"], &stop, |_, it| Ok(*it)).0, [""; 0], "told before the first");
    }

    #[test]
    fn one_that_cannot_be_recorded_ends_it_and_what_was_recorded_before_is_shown() {
        let (done, failed) = each(&["a", "b", "c"], &AtomicBool::new(false), |at, it| match at {
            0 => Ok(*it),
            _ => bail!("the server does not answer"),
        });
        assert_eq!(done, ["a"]);
        assert_eq!(failed.map(|it| it.to_string()).as_deref(), Some("the server does not answer"));
    }
}
