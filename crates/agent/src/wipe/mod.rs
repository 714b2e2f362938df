//! A wipe: the repository's key first, then the folders, then the signed
//! report until the server has it, then the signing key.
//!
//! Each step is written down before it is taken, so that a wipe continues after a restart. Only folders that
//! are in the order and in the agent's own record and that carry the mark are erased.
mod eraser;

use super::Agent;
use super::net::backoff::{Backoff, Stop};
use super::net::client::CallError;
use super::progress::Event;
use super::protect::{self, Forbidden};
use super::state::{
    BackupAnswer, BackupIndex, BackupRequest, Credentials, Journal, LastBackup, LastFailure, Outbox, ProtectedRoot,
    RestoreJournal, Roots, State, UndoJournal, WipeJournal, WipeStage, Wiped,
};
use super::{Identity, OwnKey, tree};
use anyhow::Result;
use domain::command::CommandKind;
use domain::id::CommandId;
use domain::time::{Time, days};
use domain::wipe::WipedRoot;
use eraser::Erased;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::Path;
use wire::{Payload, WIPE_REPORTS, WipeReceipt, WipeReport};

/// Without a receipt the signing key is destroyed after this time.
const DEADLINE: std::time::Duration = days(7);

impl Agent {
    pub(super) fn has_wipe(&self) -> Result<bool> {
        Ok(self.state.find::<WipeJournal>()?.is_some())
    }

    /// Takes the order for a wipe or a removal of company data and carries it out up to the receipt.
    ///
    /// # Errors
    /// When a step could not be written down or the agent was stopped; the next start continues.
    pub(super) fn wipe(
        &self,
        (command_id, kind): (CommandId, CommandKind),
        roots: &[String],
        stop: &Stop,
    ) -> Result<()> {
        if self.state.find::<WipeJournal>()?.is_none() {
            self.state.put(&self.ordered(command_id, kind, roots.to_vec()))?;
        }
        self.resume_wipe(stop).map(|_| ())
    }

    fn ordered(&self, command_id: CommandId, kind: CommandKind, roots: Vec<String>) -> WipeJournal {
        WipeJournal {
            command_id,
            kind,
            generation: self.enrollment.generation,
            roots,
            stage: WipeStage::Ordered,
            ordered_at: self.client.server_now(),
            wiped: Vec::new(),
            erasing: None,
            report: None,
        }
    }

    /// The wipe that is under way, or one that was accepted but has not begun: the agent may have been killed
    /// in between.
    fn wipe_to_do(&self) -> Result<Option<WipeJournal>> {
        if let Some(journal) = self.state.find()? {
            return Ok(Some(journal));
        }
        let Some((command_id, kind, roots)) = accepted(&self.state)? else { return Ok(None) };
        let journal = self.ordered(command_id, kind, roots);
        self.state.put(&journal)?;
        Ok(Some(journal))
    }

    /// Continues a wipe; says whether there was one.
    ///
    /// # Errors
    /// When a step could not be written down or the agent was stopped.
    pub fn resume_wipe(&self, stop: &Stop) -> Result<bool> {
        let Some(mut journal) = self.wipe_to_do()? else { return Ok(false) };
        if journal.stage == WipeStage::Ordered {
            let what = if journal.kind == CommandKind::RemoveCompanyData {
                "Company data is being removed from this device"
            } else {
                "This device is being wiped"
            };
            self.note(Event::Warning(what.to_owned()));
            self.destroy_key()?;
            journal.stage = WipeStage::KeyDestroyed;
            self.state.put(&journal)?;
        }
        if journal.stage == WipeStage::KeyDestroyed {
            let _nothing_else = self.busy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // What was under way until now may have written its records again.
            self.destroy_key()?;
            self.erase(&mut journal)?;
            let erased = journal.wiped.iter().filter(|it| it.refused.is_empty());
            self.end_trails(&erased.map(|it| it.path.as_str()).collect::<Vec<_>>())?;
            journal.report = Some(report(&journal, self.client.server_now()));
            journal.stage = WipeStage::Erased;
            self.state.put(&journal)?;
        }
        let receipt = self.send_wipe_report(&journal, stop)?;
        let (command_id, kind) = (journal.command_id, journal.kind);
        self.state.put(&Wiped { command_id, kind, wiped_at: self.client.server_now(), receipt })?;
        finish_wiped(&self.state)?;
        Ok(true)
    }

    /// Destroys what opens the backups, and what tells about the files.
    fn destroy_key(&self) -> Result<()> {
        self.state.destroy::<Credentials>()?;
        self.state.destroy::<OwnKey>()?;
        self.state.remove::<BackupIndex>()?;
        self.state.remove::<LastBackup>()?;
        self.state.remove::<LastFailure>()?;
        self.state.remove::<BackupRequest>()?;
        self.state.remove::<BackupAnswer>()?;
        self.state.remove::<Outbox>()?;
        self.state.remove::<RestoreJournal>()?;
        self.state.remove::<UndoJournal>()
    }

    fn erase(&self, journal: &mut WipeJournal) -> Result<()> {
        let recorded = self.state.find::<Roots>()?.unwrap_or_default().roots;
        for path in journal.roots.clone() {
            if journal.wiped.iter().any(|it| it.path == path) {
                continue;
            }
            let begun = journal.erasing.as_deref() == Some(path.as_str());
            let wiped = match recorded.iter().find(|it| it.path == path) {
                None => refused(&path, "this folder was not protected when the device was enrolled"),
                Some(root) => match self.may_erase(root, begun) {
                    Err(reason) => refused(&path, &reason),
                    Ok(None) => {
                        WipedRoot { path: path.clone(), removed_files: 0, removed_bytes: 0, refused: Vec::new() }
                    }
                    Ok(Some(dir)) => {
                        journal.erasing = Some(path.clone());
                        self.state.put(journal)?;
                        self.erase_root(root, &dir)
                    }
                },
            };
            journal.wiped.push(wiped);
            journal.erasing = None;
            self.state.put(journal)?;
        }
        self.note(Event::Done);
        Ok(())
    }

    /// The open folder, if it may be erased; none if it is already gone. `begun` is set if its erasure was
    /// under way when the agent was stopped: then its mark may be gone.
    fn may_erase(&self, root: &ProtectedRoot, begun: bool) -> Result<Option<std::os::fd::OwnedFd>, String> {
        let path = Path::new(&root.path);
        let dir = match tree::open_dir(path) {
            Ok(dir) => dir,
            Err(error) if error.kind() == ErrorKind::NotFound && begun => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err("the folder is not there".to_owned()),
            Err(error) => return Err(format!("the folder cannot be opened without following a symlink: {error}")),
        };
        let forbidden = Forbidden { state: self.state.dir().to_owned(), home: self.around.home.clone() };
        if let Some(reason) = forbidden.reason(path, dir.as_fd()) {
            return Err(reason);
        }
        let is_same = rustix::fs::fstat(&dir).is_ok_and(|it| it.st_ino == root.inode);
        match protect::is_marked(dir.as_fd(), root) {
            Ok(true) => Ok(Some(dir)),
            Ok(false) if begun && is_same => Ok(Some(dir)),
            Ok(false) => Err("the folder does not carry the mark it got at enrolment".to_owned()),
            Err(error) => Err(format!("the folder's mark cannot be read: {error}")),
        }
    }

    fn erase_root(&self, root: &ProtectedRoot, dir: &std::os::fd::OwnedFd) -> WipedRoot {
        let Erased { files, bytes, refused } = eraser::erase(dir, &mut |files| self.note(Event::Erased { files }));
        let mut refused = refused;
        if refused.is_empty()
            && let Err(error) = eraser::remove_root(Path::new(&root.path), dir)
        {
            refused.push(format!("the folder is empty but could not be removed: {error}"));
        }
        WipedRoot { path: root.path.clone(), removed_files: files, removed_bytes: bytes, refused }
    }

    /// Sends the report until the receipt comes, or the deadline has passed.
    fn send_wipe_report(&self, journal: &WipeJournal, stop: &Stop) -> Result<bool> {
        let Some(report) = &journal.report else { return Ok(false) };
        let mut backoff = Backoff::default();
        loop {
            let error = match self.client.post::<WipeReceipt>(WIPE_REPORTS, report) {
                Ok(receipt) if receipt.command_id == report.command_id => return Ok(true),
                Ok(_) => CallError::Internal(anyhow::anyhow!("the receipt is for another wipe")),
                Err(error) => error,
            };
            // Even if the server does not know the device: it may be the wrong one, and the right one is
            // waiting for this.
            if self.client.server_now() > journal.ordered_at + DEADLINE {
                return Ok(false);
            }
            self.note(Event::Warning(format!("The report of the wipe has not been delivered yet: {error}")));
            let wait = if error.is_disowned() { backoff.next_slow() } else { backoff.next(error.retry_after()) };
            if stop.sleep(wait) {
                anyhow::bail!("stopped before the server accepted the report of the wipe; the next start sends it");
            }
        }
    }
}

/// The wipe or removal that was accepted but has not begun.
///
/// # Errors
/// When the journal is damaged.
pub fn accepted(state: &State) -> Result<Option<(CommandId, CommandKind, Vec<String>)>> {
    let journal = state.find::<Journal>()?.unwrap_or_default();
    let mut waiting = journal.commands.into_iter().filter(|it| it.result.is_none());
    Ok(waiting.find_map(|it| match (it.kind, it.order?) {
        (CommandKind::Wipe, Payload::Wipe { roots }) => Some((it.id, it.kind, roots)),
        // Whatever the order says, it names no folder.
        (CommandKind::RemoveCompanyData, _) => Some((it.id, it.kind, Vec::new())),
        (
            CommandKind::Wipe
            | CommandKind::Lock
            | CommandKind::BackUpNow
            | CommandKind::Restore
            | CommandKind::UndoRestore
            | CommandKind::LostModeOn
            | CommandKind::LostModeOff
            | CommandKind::PlaySound
            | CommandKind::Locate
            | CommandKind::ClearPasscode
            | CommandKind::Restart
            | CommandKind::ShutDown
            | CommandKind::RotateRecoveryKey
            | CommandKind::SetRecoveryLock
            | CommandKind::FetchBypassCode,
            _,
        ) => None,
    }))
}

/// Destroys the last key of a wiped device. The journal goes last: until then a kill means that this is done
/// again.
///
/// # Errors
/// When the file system refuses.
pub(super) fn finish_wiped(state: &State) -> Result<()> {
    if state.find::<Wiped>()?.is_some() && state.find::<WipeJournal>()?.is_some() {
        state.destroy::<Identity>()?;
        state.remove::<WipeJournal>()?;
    }
    Ok(())
}

fn refused(path: &str, reason: &str) -> WipedRoot {
    WipedRoot { path: path.to_owned(), removed_files: 0, removed_bytes: 0, refused: vec![reason.to_owned()] }
}

fn report(journal: &WipeJournal, finished_at: Time) -> WipeReport {
    WipeReport {
        command_id: journal.command_id,
        generation: journal.generation,
        complete: journal.wiped.iter().all(|it| it.refused.is_empty()),
        key_destroyed: journal.stage != WipeStage::Ordered,
        roots: journal.wiped.clone(),
        finished_at,
    }
}

#[cfg(test)]
mod tests;
