//! One restore under way: from the walk through the backup to the target folders.
use super::name::is_full;
use super::place::Fit;
use super::source::Remote;
use super::target::Targets;
use super::writer::Written;
use super::{Agent, Event};
use crate::net::backoff::Stop;
use crate::net::client::CallError;
use domain::manifest::ManifestFile;
use domain::restore::{Chosen, RestoreFailure};
use domain::shortfall::{self, ShortfallKind};
use repository::{Access, Entry, Fault, Id, MasterKey, NodeKind, Repository};
use std::collections::BTreeSet;
use std::io::Error;
use std::time::{Duration, Instant};
use wire::{RESTORES, RestoreOrder, RestoreProgress, RestoreResult};

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub struct Run<'a> {
    pub agent: &'a Agent,
    pub order: &'a RestoreOrder,
    pub stop: &'a Stop,
    pub chosen: Chosen<'a>,
    pub targets: Targets,
    pub result: RestoreResult,
    pub last: Option<Instant>,
}

type Reader<'a> = Repository<&'a mut Remote>;

impl Run<'_> {
    pub fn run(mut self, remote: &mut Remote, key: MasterKey, access: Access) -> Result<RestoreResult, Fault> {
        let done = self.walk(remote, key, access);
        self.targets.abandon();
        done.map(|()| self.result)
    }

    fn walk(&mut self, remote: &mut Remote, key: MasterKey, access: Access) -> Result<(), Fault> {
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
            self.take_done()?;
        }
        let (short, lost) = self.targets.finish().map_err(|error| Fault::Write(error.to_string()))?;
        self.take_done()?;
        short.into_iter().for_each(|it| shortfall::add(&mut self.result.shortfalls, it));
        lost.into_iter().for_each(|(path, reason)| self.fail(path, reason));
        self.tell(true);
        self.agent.note(Event::Done);
        self.result.files.sort_unstable();
        Ok(())
    }

    fn restore(&mut self, repository: &mut Reader<'_>, entry: &Entry, roots: &BTreeSet<Vec<u8>>) -> Result<(), Fault> {
        let path = entry.spelled();
        let is_chosen = self.chosen.covers(&path);
        match &entry.node.kind {
            // The folders above what was backed up are not part of it.
            NodeKind::Folder { .. } if !roots.iter().any(|root| is_in(&entry.path, root)) => Ok(()),
            NodeKind::Folder { .. } => {
                let known = self.targets.know(entry);
                if !is_chosen {
                    return Ok(());
                }
                match known.and_then(|()| self.targets.folder(entry)) {
                    Ok(()) => Ok(()),
                    Err(error) => self.refused(path, &error),
                }
            }
            _ if !is_chosen => Ok(()),
            NodeKind::Symlink { target } => {
                self.targets.symlink(entry, target).or_else(|error| self.refused(path, &error))
            }
            NodeKind::Other(kind) => self.other(path, entry, kind),
            NodeKind::File { content, .. } => self.file(repository, entry, content),
        }
    }

    fn file(&mut self, repository: &mut Reader<'_>, entry: &Entry, content: &[Id]) -> Result<(), Fault> {
        let mut fault = None;
        let written = self.targets.file(entry, content, &mut |out| {
            repository.copy(content, out).map(|_| ()).map_err(|it| {
                let text = it.to_string();
                fault = Some(it);
                Error::other(text)
            })
        });
        match (written, fault) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(fault @ (Fault::Unavailable(_) | Fault::Limit(_)))) => Err(fault),
            (Err(error), _) => self.refused(entry.spelled(), &error),
        }
    }

    /// What is not data: if it is not made, that is reported, but is not a failure.
    fn other(&mut self, path: String, entry: &Entry, kind: &str) -> Result<(), Fault> {
        let not_made = match kind {
            "fifo" => match self.targets.pipe(entry) {
                Err(error) if is_full(&error) => return self.refused(path, &error),
                Err(_) => ShortfallKind::Pipe,
                Ok(()) => return Ok(()),
            },
            "socket" => ShortfallKind::Socket,
            // Never: whoever can open it reaches the hardware behind it.
            "dev" | "chardev" => ShortfallKind::Device,
            _ => ShortfallKind::Unknown,
        };
        shortfall::note(&mut self.result.shortfalls, not_made, &path);
        Ok(())
    }

    /// Counts what became of entries: what is restored is on disk.
    fn take_done(&mut self) -> Result<(), Fault> {
        let done = self.targets.take_done().map_err(|error| Fault::Write(error.to_string()))?;
        for (path, written) in done {
            match written {
                Ok(Written::File { size, sha256, fit }) => {
                    self.fitted(&path, fit);
                    self.result.files.push(ManifestFile { path, size, sha256 });
                }
                Ok(Written::Made { fit }) => self.fitted(&path, fit),
                Ok(Written::Kept) => self.result.kept.push(path),
                Err(error) => self.refused(path, &error)?,
            }
        }
        self.tell(false);
        Ok(())
    }

    fn fitted(&mut self, path: &str, fit: Fit) {
        match fit {
            Fit::Own => {}
            Fit::Beside => self.result.kept.push(path.to_owned()),
            Fit::Replaced => self.result.replaced.push(path.to_owned()),
        }
    }

    /// A full disk ends the restore; any other refusal concerns only this entry.
    fn refused(&mut self, path: String, error: &Error) -> Result<(), Fault> {
        if is_full(error) {
            return Err(Fault::Write("the disk is full; free some space and order the restore again".to_owned()));
        }
        self.fail(path, error.to_string());
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
            // The result repeats all of this.
            tracing::debug!("progress of the restore: {error}");
        }
    }
}

fn is_in(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
