//! Which packs the kept points need: every folder and every chunk of them, in every copy that any index names.
use super::frame::{FromPruner, MOST_PACKS, PruneJob};
use crate::proof::check::Patience;
use anyhow::Context;
use domain::object::ObjectKind;
use repository::{Access, BlobKind, Fault, Id, MasterKey, NodeKind, Objects, Repository, Rewritten, without_packs};
use std::collections::HashSet;

/// How many packs are kept in memory, so that folders in the same pack read it once.
const KEEP: usize = 96 << 20;

/// Entries of all kept points together; a folder that several have counts once.
const ENTRIES: u64 = 50_000_000;

/// Someone who is told the result.
pub trait Publish {
    /// # Errors
    /// When they have gone.
    fn publish(&mut self, said: &FromPruner) -> anyhow::Result<()>;
}

/// Walks everything that is kept, and says what may go.
///
/// # Errors
/// When nobody listens any more. A point that cannot be walked is said, and then nothing may go.
pub fn run<O: Objects + Patience + Publish>(objects: &mut O, key: MasterKey, job: &PruneJob) -> anyhow::Result<()> {
    let mut walk = match Repository::open(&mut *objects, key, Access::WholePacks { keep: KEEP }) {
        Ok(repository) => Walk { repository, needed: HashSet::new(), folders: HashSet::new(), left: ENTRIES },
        Err(fault) => return objects.publish(&FromPruner::Ends(Some(fault.to_string()))),
    };
    match walk.all(job) {
        Ok(()) => walk.publish(job),
        Err(fault) => walk.say(&FromPruner::Ends(Some(fault.to_string()))),
    }
}

struct Walk<'a, O> {
    repository: Repository<&'a mut O>,
    needed: HashSet<Id>,
    folders: HashSet<Id>,
    left: u64,
}

impl<O: Objects + Patience + Publish> Walk<'_, O> {
    fn say(&mut self, said: &FromPruner) -> anyhow::Result<()> {
        self.repository.objects().publish(said)
    }

    fn all(&mut self, job: &PruneJob) -> Result<(), Fault> {
        // An index that cannot be read may be the only one that names what a point needs.
        if let Some(fault) = self.repository.seen().faults.first() {
            return Err(fault.clone());
        }
        let mut open = Vec::new();
        for name in &job.snapshots {
            open.push(self.repository.snapshot(name)?.tree);
        }
        while let Some(tree) = open.pop() {
            // Points share most of their folders.
            if self.folders.insert(tree) {
                self.folder(&tree, &mut open)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, tree: &Id, open: &mut Vec<Id>) -> Result<(), Fault> {
        self.need(BlobKind::Tree, tree)?;
        let mut nodes = self.repository.tree(tree)?;
        while let Some(node) = nodes.next_node() {
            self.left = self.left.checked_sub(1).ok_or(Fault::Limit("the backups have more entries than the limit"))?;
            match node.map_err(Fault::Node)?.kind {
                NodeKind::File { content, .. } => {
                    content.iter().try_for_each(|it| self.need(BlobKind::Data, it))?;
                }
                NodeKind::Folder { tree: Some(tree) } => open.push(tree),
                NodeKind::Folder { tree: None } => return Err(Fault::Node("a folder has no content".to_owned())),
                NodeKind::Symlink { .. } | NodeKind::Other(_) => {}
            }
        }
        self.repository.objects().alive();
        Ok(())
    }

    /// Every pack that is said to have a copy: one of them may be a lie.
    fn need(&mut self, kind: BlobKind, id: &Id) -> Result<(), Fault> {
        let copies = self.repository.index().find(kind, id).ok_or(Fault::NotIndexed(*id))?;
        let packs: Vec<Id> = self.repository.index().packs(copies).map(|it| it.1).collect();
        if !packs.iter().any(|it| self.repository.pack_size(it).is_some()) {
            return Err(Fault::NotIndexed(*id));
        }
        self.needed.extend(packs);
        Ok(())
    }

    fn publish(&mut self, job: &PruneJob) -> anyhow::Result<()> {
        let unneeded = job.may_go.iter().filter(|it| it.hash().is_some_and(|hash| !self.needed.contains(&Id(hash))));
        let unneeded: Vec<_> = unneeded.take(MOST_PACKS).cloned().collect();
        let gone: HashSet<Id> = unneeded.iter().filter_map(|it| it.hash().map(Id)).collect();
        self.say(&FromPruner::Unneeded(unneeded))?;
        if !gone.is_empty() {
            for (name, _) in self.repository.objects().list(ObjectKind::Index)? {
                let json = self.repository.index_json(&name)?;
                match without_packs(&json, &gone)? {
                    Rewritten::Same => {}
                    Rewritten::Empty => self.say(&FromPruner::Index(name, Vec::new()))?,
                    Rewritten::New(json) => {
                        let nonce = secret::bytes::<16>().context("making a nonce")?;
                        let sealed = self.repository.seal_json(nonce, &json)?;
                        self.say(&FromPruner::Index(name, sealed))?;
                    }
                }
                self.repository.objects().alive();
            }
        }
        self.say(&FromPruner::Ends(None))
    }
}
