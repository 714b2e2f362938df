//! A restore: another device's restore point, read by our own reader through
//! the door with a ticket, and written inside this device's protected folders.
//!
//! Nothing on the device is destroyed: what is replaced, if that was ordered, is kept, and each step is written
//! down before it is taken, so that the restore can be undone. The order is written down too, so that a restore
//! continues after a restart; what is already there and identical counts as restored. What came back different but is not data is
//! reported by kind and count, not as a failure.
mod area;
mod batch;
mod content;
mod cut;
mod folders;
mod hands;
mod name;
mod place;
mod rights;
mod run;
mod same;
mod source;
mod steps;
mod target;
#[cfg(test)]
mod tests;
mod times;
mod trail;
mod undo;
mod writer;

pub use undo::Undoable;

use super::Agent;
use super::command::Order;
use super::net::backoff::{Backoff, Stop};
use super::net::door::Door;
use super::own_key::OwnKey;
use super::progress::Event;
use super::state::{Journal, RestoreJournal, Roots};
use anyhow::{Context, Result, anyhow};
use domain::command::CommandKind;
use domain::id::CommandId;
use domain::restore::{Chosen, RestoreFailure};
use domain::shortfall::Shortfall;
use domain::words::{files, number};
use repository::{Access, MasterKey};
use run::Run;
use source::Remote;
use std::rc::Rc;
use std::time::Duration;
use target::Targets;
use trail::Trail;
use wire::{Payload, RESTORES, RestoreOrder, RestoreResult, RestoreSecret, WAIT, Waiting, restore_context};

/// How many packs are kept while reading.
const KEEP: usize = 128 << 20;
/// Fewer files than this are fetched by ranges instead of whole packs.
const FEW: u64 = 200;

/// Why a restore did not finish.
enum Cut {
    /// The server is away, or the agent is stopped: it continues later.
    Later(String),
    /// It cannot be done as ordered.
    Never(String),
}

/// How a restore ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub files: u64,
    pub kept: u64,
    pub replaced: u64,
    pub failures: Vec<RestoreFailure>,
    pub shortfalls: Vec<Shortfall>,
}

impl Agent {
    /// Writes down the order, so that it is carried out whatever happens. One at a time: another would replace
    /// it.
    pub(super) fn begin_restore(&self, command_id: CommandId, order: RestoreOrder) -> Result<()> {
        if self.state.find::<RestoreJournal>()?.is_some_and(|it| it.command_id != command_id) {
            let reason = "another restore is under way here; order this one again when it is done";
            return self.finish(command_id, Err(reason.to_owned()));
        }
        if self.has_ended(order.restore_id)? {
            return self.finish(command_id, Err("this restore has already ended here".to_owned()));
        }
        let begun_at = self.client.server_now();
        self.state.put(&RestoreJournal { command_id, order, begun_at, result: None, refused: None })?;
        // It has its own record now, and the list of its files may be long.
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

    /// Carries out a restore that is waiting for this device, if there is one.
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

    /// Continues a restore until it is done, cannot be done, or the agent stops.
    pub(super) fn restore_unfinished(&self, stop: &Stop) -> Result<()> {
        let mut backoff = Backoff::default();
        while self.has_unfinished_restore()? && !stop.is_stopped() {
            if let Err(error) = self.restore_once(stop) {
                let wait = backoff.next(None);
                self.note(Event::Warning(format!("The restore continues in {} s: {error:#}", wait.as_secs())));
                stop.sleep(wait);
            }
        }
        Ok(())
    }

    /// Continues the restore that is written down; an error means that it is still to be done.
    fn restore_once(&self, stop: &Stop) -> Result<Option<Outcome>> {
        let Some(mut journal) = self.state.find::<RestoreJournal>()? else { return Ok(None) };
        if journal.result.is_none() {
            match self.carry_out(&journal, stop) {
                Ok(result) => journal.result = Some(result),
                Err(Cut::Later(reason)) => return Err(anyhow!(reason)),
                Err(Cut::Never(reason)) if !self.is_known() => {
                    // A server on an empty folder accepts no ticket and has no objects: that does not end the
                    // order.
                    return Err(anyhow!("{reason} (and the server does not recognise this device at the moment)"));
                }
                Err(Cut::Never(reason)) => {
                    let failures = vec![RestoreFailure { path: "/".to_owned(), reason: reason.clone() }];
                    journal.result = Some(RestoreResult { failures, ..RestoreResult::default() });
                    journal.refused = Some(reason);
                }
            }
            if let Some(result) = &mut journal.result {
                self.complete(result, journal.order.restore_id);
            }
            self.state.put(&journal)?;
        }
        self.tell_end(journal).map(Some)
    }

    /// Tells the server how a restore ended, and forgets its order.
    fn tell_end(&self, journal: RestoreJournal) -> Result<Outcome> {
        let result = journal.result.context("the restore has no result")?;
        let sent = if journal.refused.is_some() && result.replaced.is_empty() {
            // The command's result says it all.
            Ok(())
        } else {
            self.client.tell(&format!("{RESTORES}/{}/result", journal.order.restore_id), &result)
        };
        let outcome = Outcome {
            files: result.files.len() as u64,
            kept: result.kept.len() as u64,
            replaced: result.replaced.len() as u64,
            failures: result.failures,
            shortfalls: result.shortfalls,
        };
        let said = match (sent, journal.refused) {
            (Err(error), _) if error.is_temporary() => return Err(error.into()),
            (_, Some(reason)) => Err(reason),
            (Ok(()), None) => {
                Ok(format!("{} restored, {} failed", files(outcome.files), number(outcome.failures.len())))
            }
            (Err(error), None) => Err(format!("{} restored, but {error}", files(outcome.files))),
        };
        self.restore_ended(journal.order.restore_id)?;
        self.finish(journal.command_id, said)?;
        Ok(outcome)
    }

    /// Whether the server answers, and knows this device.
    fn is_known(&self) -> bool {
        self.client.get::<Waiting>(WAIT, "?seconds=0", Duration::from_secs(60)).is_ok()
    }

    /// What opens the repository: what the order brings, or what only this device has.
    ///
    /// A device that keeps its own key takes no other: whoever brings one could have made the backup, and with it what is
    /// written here.
    fn key_of(&self, secret: &RestoreSecret) -> Result<MasterKey, Cut> {
        let never = |why: &str| Cut::Never(why.to_owned());
        let own = self.state.find::<OwnKey>().map_err(|it| Cut::Never(format!("{it:#}")))?;
        match (own, secret.master_key.as_str()) {
            (Some(own), "") => own.master_key().map_err(|it| Cut::Never(format!("{it:#}"))),
            (Some(_), _) => {
                Err(never("the customer keeps the key to this device’s backups, and the order brings another"))
            }
            (None, "") => Err(never(
                "the customer keeps the key to this backup, and this device does not have it: enroll it again with --key-file",
            )),
            (None, brought) => MasterKey::from_base64(brought).ok_or_else(|| never("the order holds no readable key")),
        }
    }

    fn carry_out(&self, journal: &RestoreJournal, stop: &Stop) -> Result<RestoreResult, Cut> {
        let order = &journal.order;
        self.note(Event::Note(format!("Restoring {}", files(order.file_count))));
        let context = restore_context(order.restore_id, self.enrollment.device_id);
        let never = |error: anyhow::Error| Cut::Never(format!("{error:#}"));
        let opened = self.client.identity().open(&context, &order.sealed).map_err(never)?;
        let secret: RestoreSecret = serde_json::from_slice(&opened).context("reading the ticket").map_err(never)?;
        let key = self.key_of(&secret)?;
        let roots = self.state.get::<Roots>().map_err(never)?.roots;
        let landing = order.landing.allowed(order.repository_id, self.enrollment.repository_id);
        let trail = Trail::open(self.state.dir(), &order.restore_id.to_string())
            .context("writing down what the restore changes")
            .map_err(never)?;
        let targets = Targets::open(&roots, journal, landing, &Rc::new(trail)).map_err(never)?;
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
        let run = Run { agent: self, order, stop, chosen, targets, result: RestoreResult::default(), last: None };
        let outcome = run.run(&mut remote, key, access);
        outcome.map_err(|fault| remote.cut(&fault, stop))
    }
}
