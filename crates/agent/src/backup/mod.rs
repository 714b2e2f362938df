//! A backup: hash the files, upload the manifest, back up, look again.
mod archive;
mod ask;
mod backend;
mod count;
mod look;
mod source;
mod walk;
mod walker;

pub use ask::ask;
pub use count::changes;
pub use walk::Scope;

use super::Agent;
use super::net::backoff::Stop;
use super::net::client::CallError;
use super::net::door::Door;
use super::progress::Event;
use super::state::{Credentials, LastBackup, LastFailure, Outbox};
use anyhow::{Context, Result, bail};
use domain::backup::RootAway;
use domain::manifest::{Header, VERSION, encode_path};
use domain::object::ObjectName;
use domain::time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use walk::Inventory;
use wire::{BACKUP_FAILURES, BACKUPS, BackupReport, FailedAttempt, MANIFESTS, ManifestStored};

/// The most bytes of names that changed during a backup; the server accepts a report of 32 MiB.
const EXCLUDED: usize = 16 << 20;

/// A longer reason is cut: a device gives one for each folder.
const REASON: usize = 2000;

/// The result of a backup, before it is reported.
struct Archived {
    inventory: Inventory,
    manifest: ObjectName,
    snapshot: ObjectName,
    excluded: BTreeSet<String>,
}

impl Agent {
    /// Backs up the protected folders once; the report is sent, or kept until it can be.
    ///
    /// # Errors
    /// When no folder is there with its mark, the server cannot be reached or refuses, or `stop` was requested.
    /// The reason is kept until a backup succeeds.
    pub fn back_up(&self, stop: &Stop) -> Result<LastBackup> {
        let outcome = self.back_up_once(stop);
        match &outcome {
            Ok(_) => self.state.remove::<LastFailure>()?,
            // Whoever stopped it knows.
            Err(_) if stop.is_stopped() => {}
            Err(error) => self.failed(&format!("{error:#}"))?,
        }
        outcome
    }

    fn back_up_once(&self, stop: &Stop) -> Result<LastBackup> {
        let (scope, away) = self.marked_roots()?;
        for root in &away {
            self.note(Event::Warning(format!("{} is not backed up: {}", root.path, root.reason)));
        }
        let started_at = self.client.server_now();
        let done = self.archive(&scope, &away, started_at, stop)?;
        let finished_at = self.client.server_now();
        let backup = LastBackup {
            snapshot: done.snapshot.clone(),
            manifest: done.manifest.clone(),
            started_at,
            finished_at,
            file_count: done.inventory.totals.files,
            size_bytes: done.inventory.totals.bytes,
            excluded_count: done.excluded.len() as u64,
            left_out: done.inventory.left_out.clone(),
            away: away.clone(),
        };
        let report = BackupReport {
            generation: self.enrollment.generation,
            snapshot: done.snapshot,
            manifest: done.manifest,
            file_count: backup.file_count,
            size_bytes: backup.size_bytes,
            excluded: done.excluded.into_iter().collect(),
            left_out: backup.left_out.clone(),
            away,
            started_at,
            finished_at,
        };
        self.state.change::<Outbox, ()>(|outbox| {
            outbox.newest = Some(report.clone());
            outbox.backups.push(report);
            // An earlier failure that was not reported no longer matters after this backup.
            outbox.failure = None;
        })?;
        self.state.put(&backup)?;
        self.state.put(&done.inventory.into_index())?;
        if let Err(error) = self.send_reports() {
            self.note(Event::Warning(format!("The backup is done; its report will be sent later: {error}")));
        }
        Ok(backup)
    }

    fn archive(&self, scope: &Scope, away: &[RootAway], started_at: Time, stop: &Stop) -> Result<Archived> {
        self.note(Event::Note("Reading the files".to_owned()));
        let header = Header {
            version: VERSION,
            device_id: self.enrollment.device_id.to_string(),
            roots: scope.roots.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
            away: away.iter().map(|it| it.path.clone()).collect(),
            made_at: started_at.millis(),
            file_count: 0,
        };
        let mut inventory = walk::inventory(scope, &header, self.around.progress.as_ref(), stop)?;
        self.note(Event::Done);
        let stored = self.upload_manifest(&std::mem::take(&mut inventory.manifest), stop)?;
        if stored.damaged {
            let text = "The server's copy of earlier backups is damaged: everything is sent again";
            self.note(Event::Warning(text.to_owned()));
        }
        let manifest = stored.name;
        let credentials: Credentials = self.state.get()?;
        let address = format!("{}{}", self.client.server(), self.enrollment.repository_path);
        let user = self.enrollment.repository_id.to_string();
        let door = Door::new(self.client.http().clone(), &address, &user, &credentials.0.token, stop.clone());
        let plan = archive::Plan {
            scope,
            size: inventory.totals.bytes,
            newest: inventory.newest,
            host: &self.enrollment.device_id.to_string(),
            manifest: &manifest,
            password: &credentials.0.password,
            afresh: stored.damaged,
        };
        self.note(Event::Note("Backing up".to_owned()));
        let archived = archive::run(door, &plan, Arc::clone(&self.around.progress), stop)?;
        self.note(Event::Done);
        let mut excluded = walk::changed_since(&inventory);
        excluded.extend(inventory.unreadable.iter().cloned());
        excluded.extend(archived.unreadable.iter().map(|it| encode_path(it)));
        if excluded.iter().map(String::len).sum::<usize>() > EXCLUDED {
            bail!("too much changed during the backup: more names than a report can carry");
        }
        Ok(Archived { inventory, manifest, snapshot: archived.snapshot, excluded })
    }

    fn upload_manifest(&self, stored: &[u8], stop: &Stop) -> Result<ManifestStored> {
        let name = ObjectName::from_hash(&secret::sha256(stored));
        let answer: ManifestStored =
            self.client.post_bytes(MANIFESTS, stored, stop).context("uploading the manifest")?;
        if answer.name != name {
            bail!("the server stored the manifest under another name; something on the way changes what is sent");
        }
        Ok(answer)
    }

    /// Keeps the reason why a backup failed, and tells the server, now or when it can.
    fn failed(&self, reason: &str) -> Result<()> {
        let failure = LastFailure { at: self.client.server_now(), reason: reason.chars().take(REASON).collect() };
        self.state.put(&failure)?;
        self.state.change::<Outbox, ()>(|outbox| outbox.failure = Some(failure))?;
        // The next check-in tries again.
        if let Err(error) = self.send_reports() {
            tracing::debug!("the reason why a backup failed will be reported later: {error}");
        }
        Ok(())
    }

    fn send_failure(&self, failure: LastFailure) -> Result<(), CallError> {
        let generation = self.enrollment.generation;
        let told = FailedAttempt { generation, at: failure.at, reason: failure.reason.clone() };
        match self.client.tell(BACKUP_FAILURES, &told) {
            Err(error) if error.is_temporary() => return Err(error),
            // A server that refuses it has no use for it.
            Ok(()) | Err(_) => {}
        }
        self.state.change::<Outbox, ()>(|outbox| {
            if outbox.failure.as_ref() == Some(&failure) {
                outbox.failure = None;
            }
        })?;
        Ok(())
    }

    /// Has the newest report sent once more.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub(crate) fn report_again(&self) -> Result<()> {
        self.news.store(true, Ordering::Release);
        self.state.change::<Outbox, ()>(|outbox| {
            if let Some(newest) =
                outbox.newest.clone().filter(|it| outbox.backups.iter().all(|other| other.snapshot != it.snapshot))
            {
                outbox.backups.push(newest);
            }
        })
    }

    /// Sends the reports of backups the server does not have yet.
    ///
    /// # Errors
    /// When the server cannot be reached; a report it refuses for good is dropped with a warning.
    pub fn send_reports(&self) -> Result<(), CallError> {
        let Outbox { backups, failure, newest: _ } = self.state.find::<Outbox>()?.unwrap_or_default();
        if let Some(failure) = failure {
            self.send_failure(failure)?;
        }
        for report in backups {
            match self.client.tell(BACKUPS, &report) {
                Ok(()) => {}
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    let at = report.finished_at.iso();
                    self.note(Event::Warning(format!("The server refused the report of the backup of {at}: {error}")));
                }
            }
            self.state.change::<Outbox, ()>(|outbox| outbox.backups.retain(|it| it.snapshot != report.snapshot))?;
        }
        Ok(())
    }
}
