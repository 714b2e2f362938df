//! What the agent says to the person at the device.
use crate::backup;
use crate::cli::output::{print, print_json, say};
use crate::progress::{Event, Progress};
use crate::state::{
    Away, BackupIndex, Enrollment, LastBackup, LastFailure, Outbox, Policy, Roots, Seen, State, WipeJournal, Wiped,
};
use crate::{Agent, OwnKey, RestoreOutcome, Undoable, accepted_wipe};
use anyhow::{Context, Result};
use domain::fact::Changes;
use domain::time::with_iso_times;
use domain::words;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use wire::UndoReport;

/// Progress as a bar on a terminal, and as an occasional line elsewhere.
pub struct Terminal {
    bar: Option<ProgressBar>,
    last_line: Mutex<Option<Instant>>,
}

const LINE_EVERY: Duration = Duration::from_secs(10);

impl Terminal {
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            bar.set_style(style);
            bar
        });
        Self { bar, last_line: Mutex::default() }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    fn moving(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.tick();
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|it| it.elapsed() >= LINE_EVERY) {
            // The first moment of a step says nothing yet.
            if last.is_some() {
                say(&text);
            }
            *last = Some(Instant::now());
        }
    }
}

impl Progress for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) => self.line(&text),
            Event::Warning(text) => self.line(&format!("Warning: {text}")),
            Event::Hashed { files, bytes } => {
                self.moving(format!("  read {}, {}", words::files(files), words::bytes(bytes)));
            }
            Event::BackedUp { bytes, total: None } => self.moving(format!("  backed up {}", words::bytes(bytes))),
            Event::BackedUp { bytes, total: Some(total) } => {
                let percent = bytes.saturating_mul(100) / total.max(1);
                self.moving(format!(
                    "  backed up {} of {} ({}%)",
                    words::bytes(bytes),
                    words::bytes(total),
                    percent.min(100)
                ));
            }
            Event::Restored { files, total } => {
                self.moving(format!("  restored {} of {}", words::number(files), words::files(total)));
            }
            Event::Erased { files } => self.moving(format!("  erased {}", words::files(files))),
            Event::Done => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
                *self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
            }
        }
    }
}

pub fn enrolled(agent: &Agent, key_file: Option<&Path>) -> Result<()> {
    let enrollment = agent.enrollment();
    let roots: String = agent.roots()?.iter().map(|it| format!("  {}\n", it.display())).collect();
    print(&format!(
        "Enrolled as {} at {}.\nBacked up from now on, and erased if the device is wiped:\n{roots}Next: `holdfast \
         agent run` (or have your service manager run it), or `holdfast agent backup` for one backup.\n",
        enrollment.device_id, enrollment.server
    ));
    if let Some(path) = key_file {
        print(&format!(
            "The key to these backups is in {}, and not on the server. Keep a copy of that file elsewhere: without it \
             nobody restores them.\n",
            path.display()
        ));
        let there = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if agent.roots()?.iter().any(|it| there.starts_with(it)) {
            print("It lies in a protected folder: a wipe erases it there, and its own backup cannot give it back.\n");
        }
    }
    Ok(())
}

/// Prints the key file.
pub fn key(key: Option<OwnKey>) -> Result<()> {
    let key = key.context("the server keeps the key to this device’s backups: there is no key file")?;
    print(&key.text()?);
    Ok(())
}

pub fn backup(backup: &LastBackup) {
    let mut text = format!("Backed up {}, {}.\n", words::files(backup.file_count), words::bytes(backup.size_bytes));
    if backup.excluded_count > 0 {
        text.push_str(&format!(
            "{} changed during the backup or could not be read; left for the next backup.\n",
            words::counted(backup.excluded_count, "entry", "entries")
        ));
    }
    text.push_str(&not_in_it(backup));
    print(&text);
}

/// How many of the entries missing from a backup are printed.
const NAMED: usize = 20;

/// What a backup does not hold, by name.
fn not_in_it(backup: &LastBackup) -> String {
    let mut text: String =
        backup.away.iter().map(|it| format!("Not backed up: {}: {}\n", it.path, it.reason)).collect();
    if backup.left_out.count > 0 {
        text.push_str(&format!("Left out: {}\n", words::counted(backup.left_out.count, "entry", "entries")));
        let named = backup.left_out.named.iter().take(NAMED);
        text.extend(named.map(|it| format!("  {}: {}\n", it.path, it.reason)));
        if backup.left_out.count > NAMED as u64 {
            text.push_str("  and more; `holdfast agent status --json` lists up to 200\n");
        }
    }
    text
}

/// Says how a restore went; the exit code is 1 if something failed.
pub fn restore(outcome: Option<&RestoreOutcome>) -> ExitCode {
    let Some(outcome) = outcome else {
        print("No restore is waiting for this device. Order one in the console.\n");
        return ExitCode::SUCCESS;
    };
    let mut text = format!("Restored {}. Nothing on this device was destroyed.\n", words::files(outcome.files));
    if outcome.replaced > 0 {
        text.push_str(&format!(
            "Replaced, and kept for 14 days: {}. `holdfast agent undo` puts them back.\n",
            words::files(outcome.replaced)
        ));
    }
    if outcome.kept > 0 {
        text.push_str(&format!("Already there with different content, and kept: {}.\n", words::files(outcome.kept)));
    }
    for it in &outcome.shortfalls {
        text.push_str(&it.sentence());
        text.push('\n');
    }
    print(&text);
    for failure in &outcome.failures {
        say(&format!("Not restored: {}: {}", failure.path, failure.reason));
    }
    if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lists the restores that can be undone.
pub fn undoable(restores: &[Undoable]) {
    if restores.is_empty() {
        return print("No restore can be undone here.\n");
    }
    let line = |it: &Undoable| match it.until {
        Some(until) => format!("{}  until {}\n", it.restore, until.iso()),
        None => format!("{}  under way\n", it.restore),
    };
    print(&restores.iter().map(line).collect::<String>());
}

/// Says what an undo did; the exit code is 1 if something is not as before.
pub fn undone(report: &UndoReport) -> ExitCode {
    print(&format!("{}.\n", words::capital(&report.sentence())));
    for failure in &report.failures {
        say(&format!("Not as before: {}: {}", failure.path, failure.reason));
    }
    if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What `status --json` prints.
#[derive(Debug, Serialize)]
struct Status {
    enrollment: Option<Enrollment>,
    wiped: Option<Wiped>,
    wipe_under_way: bool,
    protected_roots: Vec<String>,
    running: bool,
    last_check_in: Option<Seen>,
    server_away: Option<Away>,
    last_backup: Option<LastBackup>,
    /// Why the last attempt at a backup failed; none if it succeeded.
    last_failure: Option<LastFailure>,
    /// None if a protected folder is missing.
    changes_since_backup: Option<Changes>,
    /// Protected folders that are missing, or are not the ones that were enrolled.
    roots_away: Vec<String>,
    reports_waiting: usize,
    policy: Option<Policy>,
}

/// Shows the device's state; the exit code is 1 if it is not enrolled.
pub fn status(state: &State, json: bool) -> Result<ExitCode> {
    let roots = state.find::<Roots>()?.unwrap_or_default().roots;
    let index: BackupIndex = state.find()?.unwrap_or_default();
    let counted = backup::changes(&roots, &index);
    let roots: Vec<String> = roots.into_iter().map(|it| it.path).collect();
    let status = Status {
        enrollment: state.find()?,
        wiped: state.find()?,
        wipe_under_way: state.find::<WipeJournal>()?.is_some() || accepted_wipe(state)?.is_some(),
        protected_roots: roots,
        running: state.is_in_use(),
        last_check_in: state.find()?,
        server_away: state.find()?,
        last_backup: state.find()?,
        last_failure: state.find()?,
        changes_since_backup: counted.as_ref().ok().copied(),
        roots_away: counted.err().unwrap_or_default(),
        reports_waiting: state.find::<Outbox>()?.unwrap_or_default().backups.len(),
        policy: state.find()?,
    };
    if json {
        print_json(&with_iso_times(serde_json::to_value(&status)?))?;
    } else {
        print(&in_words(&status));
    }
    let is_enrolled = status.enrollment.is_some() && status.wiped.is_none();
    Ok(if is_enrolled { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn in_words(status: &Status) -> String {
    if let Some(wiped) = &status.wiped {
        let receipt = if wiped.receipt { "the server has the report" } else { "the server never accepted the report" };
        return format!("{} at {}; {receipt}.\n", words::capital(wiped.said()), wiped.wiped_at.iso());
    }
    let Some(enrollment) = &status.enrollment else {
        return "Not enrolled. Run `holdfast agent enroll`.\n".to_owned();
    };
    let mut lines = vec![
        ("Device", format!("{} at {}", enrollment.device_id, enrollment.server)),
        ("Agent", if status.running { "running" } else { "not running" }.to_owned()),
        ("Checked in", status.last_check_in.map_or_else(|| "never".to_owned(), |it| it.at.iso())),
    ];
    if let Some(away) = &status.server_away {
        let why = if away.reason.is_empty() { String::new() } else { format!(": {}", away.reason) };
        lines.push(("Server", format!("no good answer since {}{why}. The agent keeps asking", away.since.iso())));
    }
    lines.extend(status.protected_roots.iter().map(|root| ("Protects", root.clone())));
    let backup = status.last_backup.as_ref().map(|it| {
        format!("{}, {}, {}", it.finished_at.iso(), words::files(it.file_count), words::bytes(it.size_bytes))
    });
    lines.push(("Backed up", backup.unwrap_or_else(|| "never".to_owned())));
    if let Some(failure) = &status.last_failure {
        lines.push(("Failed", format!("the last backup, {}: {}", failure.at.iso(), failure.reason)));
    }
    lines.push((
        "Changed",
        status.changes_since_backup.map_or_else(
            || {
                format!(
                    "not known: {} is not there, or is not the folder that was enrolled",
                    status.roots_away.join(", ")
                )
            },
            |it| format!("{}, {} since then", words::files(it.files), words::bytes(it.bytes)),
        ),
    ));
    if status.reports_waiting > 0 {
        let waiting = words::counted(status.reports_waiting, "backup report", "backup reports");
        lines.push(("Waiting", format!("{waiting} to be sent")));
    }
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect();
    text.push_str(&status.last_backup.as_ref().map(not_in_it).unwrap_or_default());
    if status.wipe_under_way {
        text.push_str("A wipe is under way.\n");
    }
    text
}
