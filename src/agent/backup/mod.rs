//! A backup: hash the files, upload the manifest, back up, look again.
mod archive;
mod ask;
mod backend;
mod walk;

pub use ask::ask;
pub use walk::changes;

use super::Agent;
use super::net::backoff::Stop;
use super::net::client::CallError;
use super::net::door::Door;
use super::progress::Event;
use super::state::{BackupIndex, Credentials, LastBackup, Outbox};
use crate::domain::manifest::{Header, Manifest, encode_path};
use crate::domain::object::ObjectName;
use crate::domain::time::Time;
use crate::protocol::agent::message::{BACKUPS, BackupReport, MANIFESTS, ManifestStored};
use crate::secret;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use walk::Inventory;

/// What a backup left behind, before it is reported.
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
    /// When a folder is missing or without its mark, the server cannot be reached or refuses, or `stop` was asked for.
    pub fn back_up(&self, stop: &Stop) -> Result<LastBackup> {
        let roots = self.marked_roots()?;
        let started_at = self.client.server_now();
        let done = self.archive(&roots, started_at, stop)?;
        let finished_at = self.client.server_now();
        let backup = LastBackup {
            snapshot: done.snapshot.clone(),
            manifest: done.manifest.clone(),
            started_at,
            finished_at,
            file_count: done.inventory.files.len() as u64,
            size_bytes: done.inventory.size(),
            excluded_count: done.excluded.len() as u64,
        };
        let report = BackupReport {
            generation: self.enrollment.generation,
            snapshot: done.snapshot,
            manifest: done.manifest,
            file_count: backup.file_count,
            size_bytes: backup.size_bytes,
            excluded: done.excluded.into_iter().collect(),
            started_at,
            finished_at,
        };
        self.state.change::<Outbox, ()>(|outbox| outbox.backups.push(report))?;
        self.state.put(&backup)?;
        self.state.put(&BackupIndex { files: done.inventory.index })?;
        if let Err(error) = self.send_reports() {
            self.note(Event::Warning(format!("The backup is done; its report is sent later: {error}")));
        }
        Ok(backup)
    }

    fn archive(&self, roots: &[PathBuf], started_at: Time, stop: &Stop) -> Result<Archived> {
        self.note(Event::Note("Reading the files".to_owned()));
        let mut inventory = walk::inventory(roots, self.around.progress.as_ref(), stop)?;
        self.note(Event::Done);
        let stored = self.upload_manifest(roots, started_at, &mut inventory, stop)?;
        if stored.damaged {
            let text = "What the server has of earlier backups is damaged: everything is sent again";
            self.note(Event::Warning(text.to_owned()));
        }
        let manifest = stored.name;
        let credentials: Credentials = self.state.get()?;
        let address = format!("{}{}", self.client.server(), self.enrollment.repository_path);
        let user = self.enrollment.repository_id.to_string();
        let door = Door::new(self.client.http().clone(), &address, &user, &credentials.0.token, stop.clone());
        let plan = archive::Plan {
            roots,
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
        Ok(Archived { inventory, manifest, snapshot: archived.snapshot, excluded })
    }

    fn upload_manifest(
        &self,
        roots: &[PathBuf],
        made_at: Time,
        inventory: &mut Inventory,
        stop: &Stop,
    ) -> Result<ManifestStored> {
        let header = Header {
            version: 1,
            device_id: self.enrollment.device_id.to_string(),
            roots: roots.iter().map(|it| it.to_string_lossy().into_owned()).collect(),
            away: vec![],
            made_at: made_at.millis(),
            file_count: inventory.files.len() as u64,
        };
        let manifest = Manifest { header, files: inventory.files.clone() };
        let stored = manifest.encode().context("encoding the manifest")?;
        let name = ObjectName::from_hash(&secret::sha256(&stored));
        let answer: ManifestStored =
            self.client.post_bytes(MANIFESTS, &stored, stop).context("uploading the manifest")?;
        if answer.name != name {
            bail!("the server stored the manifest under another name; something between changes what is sent");
        }
        Ok(answer)
    }

    /// Sends the reports of backups that the server does not have.
    ///
    /// # Errors
    /// When the server cannot be reached; a report that it refuses for good is dropped with a warning.
    pub fn send_reports(&self) -> Result<(), CallError> {
        let waiting = self.state.find::<Outbox>()?.unwrap_or_default().backups;
        for report in waiting {
            match self.client.tell(BACKUPS, &report) {
                Ok(()) => {}
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    let at = report.finished_at.iso();
                    self.note(Event::Warning(format!(
                        "The server does not take the report of the backup of {at}: {error}"
                    )));
                }
            }
            self.state.change::<Outbox, ()>(|outbox| outbox.backups.retain(|it| it.snapshot != report.snapshot))?;
        }
        Ok(())
    }
}
