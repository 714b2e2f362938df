//! One restore test, from the config to the last byte of the last file.
mod content;
mod expected;
mod files;
mod finding;
mod listing;
mod missing;

use crate::proof::frame::TestJob;
use domain::manifest::MAX_STORED_BYTES;
use domain::object::{ObjectKind, ObjectName};
use domain::restore_test::{Beyond, TestReport};
use expected::{Content, Expected, key_from, key_of};
use files::Files;
use finding::Finding;
use listing::{Listing, Met};
use repository::{Access, Entry, Fault, Id, MasterKey, NodeKind, Objects, Repository, Snapshot};
use std::collections::{HashMap, HashSet};

/// How many packs are kept in memory, so that files in the same pack read it once.
const KEEP: usize = 96 << 20;

/// Someone who waits.
pub trait Patience {
    /// Says now and then that work continues.
    fn alive(&mut self);
}

/// Tests a restore point: everything it needs is stored, intact, and comes back as the device had it.
///
/// Whatever the repository is like, this ends with a report.
pub fn run<O: Objects + Patience>(objects: &mut O, key: MasterKey, job: &TestJob) -> TestReport {
    let mut finding = Finding::default();
    match test(objects, key, job, &mut finding) {
        Ok(()) => finding.report(),
        Err(fault) => finding.report_cut_short(&fault),
    }
}

struct Test<'a, O> {
    repository: Repository<&'a mut O>,
    job: &'a TestJob,
    finding: &'a mut Finding,
    /// Files of other points that failed before.
    failed_before: HashSet<[u8; 16]>,
    /// What the device left out, and whether it was met in the backup or the manifest.
    excluded: HashMap<[u8; 16], bool>,
    /// The length of each chunk that was read and matches its id.
    known: Vec<Option<std::num::NonZeroU32>>,
    plain: Vec<u8>,
}

fn test<O: Objects + Patience>(
    objects: &mut O,
    key: MasterKey,
    job: &TestJob,
    finding: &mut Finding,
) -> Result<(), Fault> {
    let repository = Repository::open(objects, key, Access::WholePacks { keep: KEEP })?;
    let known = vec![None; repository.index().len()];
    let excluded = job.excluded.iter().map(|it| (key_of(it), false)).collect();
    let failed_before = job.failed_before.keys.iter().filter_map(|it| key_from(it)).collect();
    let mut test = Test { repository, job, finding, failed_before, excluded, known, plain: Vec::new() };
    let outcome = test.run();
    test.finding.take(test.repository.seen(), outcome.is_ok());
    outcome
}

impl<O: Objects + Patience> Test<'_, O> {
    fn run(&mut self) -> Result<(), Fault> {
        let snapshot = self.repository.snapshot(&self.job.snapshot)?;
        let mut expected = self.expected(&snapshot)?;
        let files = self.walk(snapshot.tree, expected.as_mut())?;
        self.check_stored(&files);
        for file in files.in_stored_order() {
            self.check_file(&files, file, expected.as_mut().map(|it| &mut it.content))?;
            self.repository.objects().alive();
        }
        if let Some(expected) = expected {
            self.check_missing(&expected)?;
            self.check_missing_entries(&expected)?;
            // After both: only now is it known which of what was left out was met nowhere.
            self.count_unmet();
            self.check_failed_before(&expected.content)?;
        }
        Ok(())
    }

    /// The device's manifest, if there is one that is bound to this device and this snapshot.
    fn expected(&mut self, snapshot: &Snapshot) -> Result<Option<Manifest>, Fault> {
        let Some(name) = &self.job.manifest else { return Ok(None) };
        let named: Vec<ObjectName> = snapshot.manifests().take(10).collect();
        // A backup that names several could be checked against whichever suits.
        if named != [name.clone()] {
            self.finding.unbound(match named.as_slice() {
                [] => "the backup does not name the list of files that the device reported",
                [_] => "the backup names a different list of files from the one the device reported",
                [..] => "the backup names more than one list of files",
            });
            return Ok(None);
        }
        let stored = match self.repository.stored(ObjectKind::Manifests, name, MAX_STORED_BYTES) {
            Err(fault) if fault.is_fatal() => return Err(fault),
            Err(fault) => {
                self.finding.unbound("the device's list of files cannot be read");
                self.finding.object(&fault);
                return Ok(None);
            }
            Ok(stored) => stored,
        };
        let (content, device) = match Expected::read(&stored) {
            Ok(read) => read,
            Err(fault) => {
                self.finding.unbound(&format!("the device's list of files cannot be used: {fault}"));
                return Ok(None);
            }
        };
        if device != self.job.device.as_str() {
            self.finding.unbound("the list of files belongs to another device");
            return Ok(None);
        }
        self.finding.has_manifest = true;
        let listing = Listing::read(&stored).unwrap_or_default();
        self.finding.away(listing.as_ref().map(Listing::away).unwrap_or_default());
        self.finding.beyond = self.beyond(&stored)?;
        Ok(Some(Manifest { stored, content, listing }))
    }

    /// What this manifest has beyond that of the newest proven point.
    fn beyond(&mut self, stored: &[u8]) -> Result<Option<Beyond>, Fault> {
        let Some(base) = &self.job.base_manifest else { return Ok(None) };
        match self.repository.stored(ObjectKind::Manifests, base, MAX_STORED_BYTES) {
            Err(fault) if fault.is_fatal() => Err(fault),
            // Another point's manifest says nothing about this one.
            Err(_) => Ok(None),
            Ok(base) => Ok(expected::beyond(stored, &base, |key| !self.excluded.contains_key(key))),
        }
    }

    fn walk(&mut self, tree: Id, mut expected: Option<&mut Manifest>) -> Result<Files, Fault> {
        let mut files = Files::default();
        let mut walk = self.repository.walk(tree);
        while let Some(item) = walk.next(&mut self.repository) {
            match item {
                Ok(entry) => {
                    if let Some(listing) = expected.as_mut().and_then(|it| it.listing.as_mut()) {
                        self.compare(listing, &entry);
                    }
                    if let NodeKind::File { size, content } = &entry.node.kind {
                        let path = entry.spelled();
                        match files.add(&path, *size, content, self.repository.index()) {
                            Ok(()) => {}
                            Err(fault) if fault.is_fatal() => return Err(fault),
                            Err(fault) => {
                                self.finding.lost += 1;
                                self.meet(&key_of(&path), expected.as_mut().map(|it| &mut it.content));
                                self.finding.read_failed(path, &fault);
                            }
                        }
                    }
                }
                Err(it) if it.fault.is_fatal() => return Err(it.fault),
                Err(it) => self.finding.entry_failed(&it.path, &it.fault),
            }
            self.repository.objects().alive();
        }
        Ok(files)
    }

    /// Compares what the backup has for an entry, besides a file's content, with the manifest.
    fn compare(&mut self, listing: &mut Listing, entry: &Entry) {
        let path = entry.spelled();
        let met = listing.meet(&path, &entry.node);
        let is_excluded = self.excluded.get_mut(&key_of(&path)).map(|met| *met = true).is_some();
        let is_file = matches!(entry.node.kind, NodeKind::File { .. });
        match met {
            // A file is made good where its content is checked.
            Met::Same if !is_file && self.failed_before.contains(&key_of(&path)) => {
                self.finding.made_good.proven.push(hex::encode(key_of(&path)));
            }
            Met::Same => {}
            // A file is counted where its content is checked.
            Met::Unlisted if is_file || listing.is_above(&path) => {}
            Met::Unlisted => self.finding.entry_not_compared(&path),
            Met::Other(_) | Met::Changed(_) if is_excluded => {
                if !is_file {
                    self.finding.entry_not_compared(&path);
                }
            }
            Met::Other(why) => self.finding.other_metadata(path, why),
            Met::Changed(why) => {
                self.finding.file_count += u64::from(!is_file);
                self.finding.differs(path, why);
            }
        }
    }
}

struct Manifest {
    stored: Vec<u8>,
    content: Content,
    /// None in version 1, which lists only files.
    listing: Option<Listing>,
}
