//! Undoing a restore: what it made is removed if it is still as it was made, and what it replaced goes back.
//! What is removed is kept as long as what is replaced.
//!
//! All of it comes from the restore's own trail: an order names a restore and nothing else. Each step can be taken
//! twice, so an undo that was interrupted begins again. What has changed since stays, and is reported.
mod back;
#[cfg(test)]
mod tests;

use super::area::{self, AREA};
use super::trail::{self, Step, Trail};
use crate::Agent;
use crate::net::backoff::{Backoff, Stop};
use crate::progress::Event;
use crate::protect;
use crate::state::{RestoreJournal, Roots, UndoJournal};
use anyhow::{Context, Result, bail};
use back::Back;
use domain::id::{CommandId, RestoreId};
use domain::manifest::encode_path;
use domain::restore::{UNDO_FOR, UndoReport};
use domain::time::Time;
use rustix::fs::{AtFlags, unlinkat};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use wire::{RESTORES, RestoreResult};

/// For how many hours of a running agent what a restore replaced is kept: a day longer than is promised. They are
/// counted one by one, because a clock may be wrong once, and what is removed then does not come back.
const KEPT_HOURS: u64 = UNDO_FOR.as_secs() / 3600 + 24;

/// A restore that can be undone on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoable {
    pub restore: RestoreId,
    /// None while the restore is under way.
    pub until: Option<Time>,
}

impl Agent {
    /// Writes down the order to undo a restore, unless nothing is known of that restore here.
    pub(crate) fn begin_undo(&self, command_id: CommandId, restore_id: RestoreId) -> Result<()> {
        if self.state.find::<UndoJournal>()?.is_some_and(|it| it.command_id != command_id) {
            let reason = "another restore is being undone here; order this one again when that is done";
            return self.finish(command_id, Err(reason.to_owned()));
        }
        if !self.is_undoable(restore_id)? {
            return self.finish(command_id, Err(NOTHING_KNOWN.to_owned()));
        }
        self.state.put(&UndoJournal { command_id, restore_id, report: None })
    }

    /// Whether a restore has ended here: an order with the same id would change how long what it replaced is kept.
    pub(super) fn has_ended(&self, restore: RestoreId) -> Result<bool> {
        let steps = trail::read(&trail::file(self.state.dir(), &restore.to_string()))?.unwrap_or_default();
        Ok(ended(&steps).is_some())
    }

    /// Whether something here may be undone: what was undone whole is only kept for its time.
    fn is_undoable(&self, restore: RestoreId) -> Result<bool> {
        let steps = trail::read(&trail::file(self.state.dir(), &restore.to_string()))?;
        Ok(steps.is_some_and(|it| !is_undone(&it)))
    }

    fn has_trail(&self, restore: RestoreId) -> bool {
        trail::file(self.state.dir(), &restore.to_string()).exists()
    }

    pub(crate) fn has_undo(&self, id: CommandId) -> Result<bool> {
        Ok(self.state.find::<UndoJournal>()?.is_some_and(|it| it.command_id == id))
    }

    pub(crate) fn has_unfinished_undo(&self) -> Result<bool> {
        Ok(self.state.find::<UndoJournal>()?.is_some())
    }

    /// Undoes a restore for a person at the device.
    ///
    /// # Errors
    /// When nothing is known of it, it is still under way, or the trail cannot be read.
    pub fn undo(&self, restore: RestoreId) -> Result<UndoReport> {
        if self.state.find::<RestoreJournal>()?.is_some_and(|it| it.order.restore_id == restore) {
            bail!("this restore is still under way; cancel it in the console first");
        }
        if self.is_read_only()? {
            bail!("{}", domain::epoch::READ_ONLY);
        }
        if !self.is_undoable(restore)? {
            bail!("{NOTHING_KNOWN}");
        }
        let report = self.undo_restore(restore)?;
        self.end_undo(restore, &report)?;
        Ok(report)
    }

    /// The restores that can be undone here, oldest first.
    ///
    /// # Errors
    /// When a trail cannot be read.
    pub fn undoable(&self) -> Result<Vec<Undoable>> {
        let mut found = Vec::new();
        for restore in self.trails()? {
            let steps = trail::read(&trail::file(self.state.dir(), &restore.to_string()))?.unwrap_or_default();
            if is_undone(&steps) {
                continue;
            }
            found.push(Undoable { restore, until: ended(&steps).map(|it| it + UNDO_FOR) });
        }
        found.sort_by_key(|it| it.restore);
        Ok(found)
    }

    /// Continues an undo until it is done and told, or the agent stops.
    pub(crate) fn undo_unfinished(&self, stop: &Stop) -> Result<()> {
        let mut backoff = Backoff::default();
        while self.has_unfinished_undo()? && !stop.is_stopped() {
            if let Err(error) = self.undo_once() {
                let wait = backoff.next(None);
                self.note(Event::Warning(format!("The undo continues in {} s: {error:#}", wait.as_secs())));
                stop.sleep(wait);
            }
        }
        Ok(())
    }

    fn undo_once(&self) -> Result<()> {
        let Some(mut journal) = self.state.find::<UndoJournal>()? else { return Ok(()) };
        let report = match journal.report.take().map_or_else(|| self.undo_restore(journal.restore_id), Ok) {
            Ok(report) => report,
            Err(error) => {
                // Another try may end the same way; somebody can ask for it again.
                self.state.remove::<UndoJournal>()?;
                return self.finish(journal.command_id, Err(format!("{error:#}")));
            }
        };
        journal.report = Some(report.clone());
        self.state.put(&journal)?;
        self.end_undo(journal.restore_id, &report)?;
        let told = self.client.tell(&format!("{RESTORES}/{}/undone", journal.restore_id), &report);
        let said = report.sentence();
        let said = match told {
            Ok(()) => Ok(said),
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => Err(format!("{said}, but {error}")),
        };
        self.state.remove::<UndoJournal>()?;
        self.finish(journal.command_id, said)
    }

    fn undo_restore(&self, restore: RestoreId) -> Result<UndoReport> {
        self.note(Event::Note("Undoing a restore".to_owned()));
        let name = restore.to_string();
        let trail = Trail::open(self.state.dir(), &name).context("opening the trail of the restore")?;
        // What it removes is kept as long as what was replaced, from now on.
        trail.rejuvenate()?;
        let steps = trail::read(&trail::file(self.state.dir(), &name))?.unwrap_or_default();
        Ok(Back::new(&name, &steps, self.open_roots()?).run(&trail)?)
    }

    /// Forgets a trail of which nothing is left, or notes that all was undone. Otherwise somebody may put right what is
    /// in the way, and ask again.
    fn end_undo(&self, restore: RestoreId, report: &UndoReport) -> Result<()> {
        if !report.is_whole() {
            return Ok(());
        }
        let name = restore.to_string();
        let is_empty = |root: &OwnedFd| matches!(area::open_area(root.as_fd(), &name), Ok(None));
        if self.open_roots()?.iter().filter_map(|(_, root)| root.as_ref()).all(is_empty) {
            return self.forget_trail(restore);
        }
        if let Err(error) = Trail::open(self.state.dir(), &name)?.announce(&Step::Undone) {
            // Then it can be asked for again, and does nothing.
            tracing::warn!("the end of an undo could not be written down: {error}");
        }
        Ok(())
    }

    fn open_roots(&self) -> Result<Vec<(String, Option<OwnedFd>)>> {
        let roots = self.state.find::<Roots>()?.unwrap_or_default().roots;
        Ok(roots.into_iter().map(|it| (it.path.clone(), protect::open_marked(&it).ok())).collect())
    }

    /// Ends a restore: from now on what it replaced is kept for its time. What it moved away and put nothing in
    /// place of goes back.
    pub(super) fn restore_ended(&self, restore: RestoreId) -> Result<()> {
        if self.has_trail(restore)
            && let Err(error) = self.end_trail(restore)
        {
            // On a full disk, for example: its time then begins later.
            tracing::warn!("the trail of restore {restore} could not be ended: {error:#}");
        }
        self.state.remove::<RestoreJournal>()
    }

    /// Puts what a restore moved away and put nothing in place of back, and adds to its result what it replaced in
    /// earlier tries.
    pub(super) fn complete(&self, result: &mut RestoreResult, restore: RestoreId) {
        let name = restore.to_string();
        let file = trail::file(self.state.dir(), &name);
        let replaced = || -> Result<Vec<String>> {
            if let Some(steps) = trail::read(&file)? {
                Back::new(&name, &steps, self.open_roots()?).mend(&Trail::open(self.state.dir(), &name)?);
            }
            Ok(replaced(&trail::read(&file)?.unwrap_or_default()))
        };
        match replaced() {
            Ok(all) => result.replaced = all,
            Err(error) => tracing::warn!("what restore {restore} replaced before it was interrupted: {error:#}"),
        }
    }

    fn end_trail(&self, restore: RestoreId) -> Result<()> {
        let name = restore.to_string();
        let trail = Trail::open(self.state.dir(), &name)?;
        let steps = trail::read(&trail::file(self.state.dir(), &name))?.unwrap_or_default();
        if roots(&steps).is_empty() {
            return self.forget_trail(restore);
        }
        if ended(&steps).is_none() {
            Back::new(&name, &steps, self.open_roots()?).mend(&trail);
            // For people. How long it is kept is counted, whatever a clock or a server says.
            trail.announce(&Step::Ended { at: self.around.clock.now() })?;
        }
        Ok(())
    }

    /// Removes what was kept for longer than its time.
    pub(crate) fn expire_undos(&self, has_run_an_hour: bool) -> Result<()> {
        let busy = self.state.find::<RestoreJournal>()?.map(|it| it.order.restore_id);
        let undoing = self.state.find::<UndoJournal>()?.map(|it| it.restore_id);
        for restore in self.trails()? {
            if busy != Some(restore)
                && undoing != Some(restore)
                && let Err(error) = self.expire(restore, has_run_an_hour)
            {
                // It is kept longer than it need be, which is no reason to keep the others.
                tracing::warn!("what is kept of restore {restore} is kept for longer: {error:#}");
            }
        }
        Ok(())
    }

    fn expire(&self, restore: RestoreId, has_run_an_hour: bool) -> Result<()> {
        let name = restore.to_string();
        let steps = trail::read(&trail::file(self.state.dir(), &name))?.unwrap_or_default();
        if ended(&steps).is_none() {
            // The enrolment that ordered it is gone, for example.
            return self.end_trail(restore);
        }
        if hours(&steps) < KEPT_HOURS {
            if has_run_an_hour {
                Trail::open(self.state.dir(), &name)?.announce(&Step::Hour)?;
            }
            return Ok(());
        }
        let (open, mut left) = (self.open_roots()?, Vec::new());
        for root in roots(&steps) {
            let purged = match open.iter().find(|(path, _)| path == root) {
                Some((_, Some(dir))) => purge(dir, &name),
                // A disk that is not there now may be there later.
                Some((_, None)) => Err(io::Error::other("it is not there")),
                None => Err(io::Error::other("it is no longer protected")),
            };
            left.extend(purged.err().map(|it| format!("{root}: {it}")));
        }
        if left.is_empty() {
            return self.forget_trail(restore);
        }
        bail!("it is still in {}", left.join("; "))
    }

    fn trails(&self) -> Result<Vec<RestoreId>> {
        let entries = match std::fs::read_dir(trail::folder(self.state.dir())) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).context("reading the trails of restores"),
        };
        let names = entries.filter_map(|it| it.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|it| RestoreId::parse(it.strip_suffix(".jsonl")?)).collect())
    }

    fn forget_trail(&self, restore: RestoreId) -> Result<()> {
        match std::fs::remove_file(trail::file(self.state.dir(), &restore.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context("removing the trail of a restore")
            }
            _gone => Ok(std::fs::File::open(trail::folder(self.state.dir()))?.sync_all()?),
        }
    }

    /// Ends every restore, because this device's enrolment ends, and forgets the trails of which every folder was
    /// erased: they tell about its files. The others know where files are that a restore replaced.
    pub(crate) fn end_trails(&self, erased: &[&str]) -> Result<()> {
        for restore in self.trails()? {
            let ended =
                trail::read(&trail::file(self.state.dir(), &restore.to_string())).map(Option::unwrap_or_default);
            let ended = match ended {
                Ok(steps) if roots(&steps).iter().all(|it| erased.contains(it)) => self.forget_trail(restore),
                Ok(_) => self.end_trail(restore),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = ended {
                // No reason not to end the enrolment.
                tracing::warn!("the trail of restore {restore} could not be ended: {error:#}");
            }
        }
        Ok(())
    }
}

/// Why there is nothing to undo.
const NOTHING_KNOWN: &str =
    "nothing is known of this restore here: it changed nothing, was undone, or its time to be undone is over";

/// The protected folders in which a restore changed something.
fn roots(steps: &[Step]) -> BTreeSet<&str> {
    let changed = steps.iter().filter_map(|it| match it {
        Step::Kept { at, .. } | Step::Making { at } | Step::Creating { at, .. } | Step::Moving { at, .. } => Some(at),
        Step::Made { .. }
        | Step::Stayed { .. }
        | Step::Left { .. }
        | Step::Again { .. }
        | Step::Undoing { .. }
        | Step::Undone
        | Step::Hour
        | Step::Ended { .. } => None,
    });
    changed.map(|it| it.root.as_str()).collect()
}

/// The paths of what a restore replaced, as in its restore point: it replaces in place only.
fn replaced(steps: &[Step]) -> Vec<String> {
    let stayed = trail::stayed(steps);
    let mut seen = BTreeSet::new();
    let moved = steps.iter().filter_map(|it| {
        if let Step::Moving { at, slot, .. } = it { (!stayed.contains(slot)).then_some(at) } else { None }
    });
    moved.filter(|at| seen.insert(*at)).map(|at| format!("{}/{}", encode_path(at.root.as_bytes()), at.path)).collect()
}

/// When a restore ended.
fn ended(steps: &[Step]) -> Option<Time> {
    steps.iter().find_map(|it| if let Step::Ended { at } = it { Some(*at) } else { None })
}

/// Whether all of a restore was undone.
fn is_undone(steps: &[Step]) -> bool {
    steps.iter().any(|it| matches!(it, Step::Undone))
}

/// For how many hours of a running agent nothing has become of what is kept.
fn hours(steps: &[Step]) -> u64 {
    steps.iter().rev().take_while(|it| matches!(it, Step::Hour)).count() as u64
}

/// Removes what is kept of a restore in one protected folder. A folder that somebody put there stays.
fn purge(root: &OwnedFd, restore: &str) -> io::Result<()> {
    let Some((above, own)) = area::open_area(root.as_fd(), restore)? else { return Ok(()) };
    let mut failed = None;
    for name in crate::tree::names(own.as_fd())? {
        if let Err(error) = unlinkat(&own, &name, AtFlags::empty()) {
            failed = Some(io::Error::other(format!("{AREA}/{restore}/{}: {error}", name.to_string_lossy())));
        }
    }
    area::remove_area(root.as_fd(), above.as_fd(), restore);
    match failed {
        Some(error) => Err(error),
        None if area::open_area(root.as_fd(), restore)?.is_none() => Ok(()),
        None => Err(io::Error::other(format!("{AREA}/{restore} cannot be removed"))),
    }
}
