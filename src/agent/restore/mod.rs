//! A restore: another device's restore point, read by our own reader through
//! the door with a ticket, and written inside this device's protected folders.
//!
//! Nothing on the device is removed or replaced. The order is written down, so
//! that a restore goes on after a restart; what is already there and the same
//! counts as restored.
mod source;
mod target;
mod writer;

use super::Agent;
use super::command::Order;
use super::net::backoff::{Backoff, Stop};
use super::net::client::CallError;
use super::net::door::Door;
use super::progress::Event;
use super::state::{Journal, RestoreJournal, Roots};
use crate::domain::command::CommandKind;
use crate::domain::id::CommandId;
use crate::domain::manifest::ManifestFile;
use crate::domain::restore::Chosen;
use crate::domain::words::{files, number};
use crate::protocol::agent::message::{
    Payload, RESTORES, RestoreFailure, RestoreOrder, RestoreProgress, RestoreResult, RestoreSecret, WAIT, Waiting,
    restore_context,
};
use crate::repository::{Access, Entry, Fault, MasterKey, NodeKind, Repository};
use anyhow::{Context, Result, anyhow};
use source::Remote;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use target::Targets;
use writer::Written;

/// Packs that are kept while reading.
const KEEP: usize = 128 << 20;
/// Fewer files than this are fetched by ranges, not by whole packs.
const FEW: u64 = 200;
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Why a restore did not come to its end.
enum Cut {
    /// The server is away, or the agent is stopped: it goes on later.
    Later(String),
    /// It cannot be done as ordered.
    Never(String),
}

/// How a restore ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub files: u64,
    pub kept: u64,
    pub failures: Vec<RestoreFailure>,
}

impl Agent {
    /// Writes the order down, so that it is carried out whatever happens. One at a time: another would take its place.
    pub(super) fn begin_restore(&self, command_id: CommandId, order: RestoreOrder) -> Result<()> {
        if self.state.find::<RestoreJournal>()?.is_some_and(|it| it.command_id != command_id) {
            let reason = "another restore is under way here; ask again when it is done";
            return self.finish(command_id, Err(reason.to_owned()));
        }
        let begun_at = self.client.server_now();
        self.state.put(&RestoreJournal { command_id, order, begun_at, result: None })?;
        // It has a record of its own now, and the list of its files may be long.
        self.state.change::<Journal, ()>(|journal| {
            if let Some(entry) = journal.commands.iter_mut().find(|it| it.id == command_id) {
                entry.order = None;
            }
        })
    }

    pub(super) fn has_restore(&self, id: CommandId) -> Result<bool> {
        Ok(self.state.find::<RestoreJournal>()?.is_some_and(|it| it.command_id == id))
    }

    pub(super) fn has_unfinished_restore(&self) -> Result<bool> {
        Ok(self.state.find::<RestoreJournal>()?.is_some())
    }

    /// Carries out a restore that waits for this device, if one does.
    ///
    /// # Errors
    /// When the server cannot be reached, or the restore cannot be done.
    pub fn restore_waiting(&self, stop: &Stop) -> Result<Option<Outcome>> {
        if !self.has_unfinished_restore()? {
            let answer = self.check_in()?;
            for command in answer.commands.into_iter().filter(|it| it.kind == CommandKind::Restore) {
                if self.accept(&command)? == Order::Run
                    && let Payload::Restore(order) = command.payload
                {
                    self.begin_restore(command.id, order)?;
                    break;
                }
            }
        }
        let outcome = self.restore_once(stop)?;
        if outcome.is_some() {
            // The command's result goes with it.
            self.check_in()?;
        }
        Ok(outcome)
    }

    /// Goes on with a restore until it is done, cannot be done, or the agent stops.
    pub(super) fn restore_unfinished(&self, stop: &Stop) -> Result<()> {
        let mut backoff = Backoff::default();
        while self.has_unfinished_restore()? && !stop.is_stopped() {
            if let Err(error) = self.restore_once(stop) {
                let wait = backoff.next(None);
                self.note(Event::Warning(format!("The restore goes on in {} s: {error:#}", wait.as_secs())));
                stop.sleep(wait);
            }
        }
        Ok(())
    }

    /// Goes on with the restore that is written down; an error means that it is still to be done.
    fn restore_once(&self, stop: &Stop) -> Result<Option<Outcome>> {
        let Some(mut journal) = self.state.find::<RestoreJournal>()? else { return Ok(None) };
        if journal.result.is_none() {
            match self.carry_out(&journal, stop) {
                Ok(result) => {
                    journal.result = Some(result);
                    self.state.put(&journal)?;
                }
                Err(Cut::Later(reason)) => return Err(anyhow!(reason)),
                Err(Cut::Never(reason)) if !self.is_known() => {
                    // A server on an empty folder takes no ticket and has no objects: that is no end of the order.
                    return Err(anyhow!("{reason} (and the server does not take this device for one of its own now)"));
                }
                Err(Cut::Never(reason)) => {
                    self.state.remove::<RestoreJournal>()?;
                    self.finish(journal.command_id, Err(reason.clone()))?;
                    let path = "/".to_owned();
                    return Ok(Some(Outcome { files: 0, kept: 0, failures: vec![RestoreFailure { path, reason }] }));
                }
            }
        }
        let result = journal.result.context("the restore has no result")?;
        let sent = self.client.tell(&format!("{RESTORES}/{}/result", journal.order.restore_id), &result);
        let outcome =
            Outcome { files: result.files.len() as u64, kept: result.kept.len() as u64, failures: result.failures };
        let said = match sent {
            Ok(()) => Ok(format!("{} restored, {} failed", files(outcome.files), number(outcome.failures.len()))),
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => Err(format!("{} restored, but {error}", files(outcome.files))),
        };
        self.state.remove::<RestoreJournal>()?;
        self.finish(journal.command_id, said)?;
        Ok(Some(outcome))
    }

    /// Whether the server answers, and knows this device.
    fn is_known(&self) -> bool {
        self.client.get::<Waiting>(WAIT, "?seconds=0", Duration::from_secs(60)).is_ok()
    }

    fn carry_out(&self, journal: &RestoreJournal, stop: &Stop) -> Result<RestoreResult, Cut> {
        let order = &journal.order;
        self.note(Event::Note(format!("Restoring {}", files(order.file_count))));
        let context = restore_context(order.restore_id, self.enrollment.device_id);
        let never = |error: anyhow::Error| Cut::Never(format!("{error:#}"));
        let opened = self.client.identity().open(&context, &order.sealed).map_err(never)?;
        let secret: RestoreSecret = serde_json::from_slice(&opened).context("reading the ticket").map_err(never)?;
        let key = MasterKey::from_base64(&secret.master_key)
            .ok_or_else(|| Cut::Never("the order holds no readable key".to_owned()))?;
        let roots = self.state.get::<Roots>().map_err(never)?.roots;
        let targets = Targets::open(&roots, journal).map_err(never)?;
        let address = format!("{}{}", self.client.server(), order.repository_path);
        let user = order.repository_id.to_string();
        let door = Door::new(self.client.http().clone(), &address, &user, &secret.ticket, stop.clone());
        let mut remote = Remote::new(door);
        let access = if order.selection.is_empty() || order.file_count > FEW {
            Access::WholePacks { keep: KEEP }
        } else {
            Access::Ranges
        };
        let chosen = if order.selection.is_empty() { Chosen::All } else { Chosen::below(&order.selection) };
        let run = Run { agent: self, order, stop, chosen, targets, result: empty(), last: None };
        let outcome = run.run(&mut remote, key, access);
        outcome.map_err(|fault| remote.cut(&fault, stop))
    }
}

fn empty() -> RestoreResult {
    RestoreResult { files: Vec::new(), failures: Vec::new(), kept: Vec::new() }
}

struct Run<'a> {
    agent: &'a Agent,
    order: &'a RestoreOrder,
    stop: &'a Stop,
    chosen: Chosen<'a>,
    targets: Targets,
    result: RestoreResult,
    last: Option<Instant>,
}

impl Run<'_> {
    fn run(mut self, remote: &mut Remote, key: MasterKey, access: Access) -> Result<RestoreResult, Fault> {
        let mut repository = Repository::open(remote, key, access)?;
        let snapshot = repository.snapshot(&self.order.snapshot)?;
        let roots: BTreeSet<Vec<u8>> =
            snapshot.paths.clone().unwrap_or_default().into_iter().map(String::into_bytes).collect();
        let mut walk = repository.walk(snapshot.tree);
        while let Some(met) = walk.next(&mut repository) {
            if self.stop.is_stopped() {
                return Err(Fault::Unavailable("the restore was stopped".to_owned()));
            }
            match met {
                Err(it) if it.fault.is_fatal() => return Err(it.fault),
                Err(it) => self.fail(it.path, it.fault.to_string()),
                Ok(entry) => self.restore(&mut repository, &entry, &roots)?,
            }
        }
        if let Err(error) = self.targets.finish() {
            return Err(Fault::Write(error.to_string()));
        }
        self.tell(true);
        self.agent.note(Event::Done);
        self.result.files.sort_unstable();
        Ok(self.result)
    }

    fn restore(
        &mut self,
        repository: &mut Repository<&mut Remote>,
        entry: &Entry,
        roots: &BTreeSet<Vec<u8>>,
    ) -> Result<(), Fault> {
        let path = entry.spelled();
        if !self.chosen.covers(&path) {
            return Ok(());
        }
        match &entry.node.kind {
            // The folders above what was backed up are not part of it.
            NodeKind::Folder { .. } if !roots.iter().any(|root| is_in(&entry.path, root)) => Ok(()),
            NodeKind::Folder { .. } => {
                if let Err(error) = self.targets.folder(&entry.path) {
                    self.fail(path, error.to_string());
                }
                Ok(())
            }
            NodeKind::Symlink { target } => {
                match self.targets.symlink(&entry.path, target) {
                    Ok(Written::Kept) => self.result.kept.push(path),
                    Ok(Written::File { .. }) => {}
                    Err(error) => self.fail(path, error.to_string()),
                }
                Ok(())
            }
            NodeKind::Other(kind) => {
                self.fail(path, format!("it is a {kind}; only files, folders and links are restored"));
                Ok(())
            }
            NodeKind::File { content, .. } => {
                let mut fault = None;
                let written = self.targets.file(&entry.path, &entry.node, &mut |out| {
                    repository.copy(content, out).map(|_| ()).map_err(|it| {
                        let text = it.to_string();
                        fault = Some(it);
                        std::io::Error::other(text)
                    })
                });
                self.wrote(path, written, fault)
            }
        }
    }

    fn wrote(&mut self, path: String, written: std::io::Result<Written>, fault: Option<Fault>) -> Result<(), Fault> {
        match (written, fault) {
            (Ok(Written::File { size, sha256, beside }), _) => {
                if beside {
                    self.result.kept.push(path.clone());
                }
                self.result.files.push(ManifestFile { path, size, sha256 });
                self.tell(false);
            }
            (Ok(Written::Kept), _) => self.result.kept.push(path),
            (Err(_), Some(fault @ (Fault::Unavailable(_) | Fault::Limit(_)))) => return Err(fault),
            (Err(error), _) if error.kind() == std::io::ErrorKind::StorageFull => {
                return Err(Fault::Write("the disk is full; free some space and ask for the restore again".to_owned()));
            }
            (Err(error), _) => self.fail(path, error.to_string()),
        }
        Ok(())
    }

    fn fail(&mut self, path: String, reason: String) {
        self.result.failures.push(RestoreFailure { path, reason });
    }

    /// Tells the server and whoever watches, at most once a second.
    fn tell(&mut self, is_end: bool) {
        if !is_end && self.last.is_some_and(|it| it.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let (files, total) = (self.result.files.len() as u64, self.order.file_count);
        self.agent.note(Event::Restored { files, total });
        let progress = RestoreProgress { restored_count: files, file_count: total };
        let path = format!("{RESTORES}/{}/progress", self.order.restore_id);
        let told: Result<(), CallError> = self.agent.client.tell(&path, &progress);
        if let Err(error) = told {
            // The result says all of it again.
            tracing::debug!("progress of the restore: {error}");
        }
    }
}

fn is_in(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
