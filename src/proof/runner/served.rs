//! What a child may read: the objects of one repository.
use crate::blob::{BlobKey, BlobStore, ReadFault};
use crate::proof::frame::{self, FromParent};
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use repository::View;
use std::collections::HashMap;
use std::sync::Arc;

/// How many other objects are tried if the disk cannot read one.
const WITNESSES: usize = 20;

/// The objects one test may see.
pub struct Served {
    pub blobs: Arc<dyn BlobStore>,
    pub repository: RepositoryId,
    /// The ledger as it was when the restore point was received.
    pub ledger: HashMap<(ObjectKind, ObjectName), u64>,
    /// The first view of each object that the earliest view lacks; empty where there is only one.
    pub since: HashMap<(ObjectKind, ObjectName), View>,
    /// Manifests, each with the repository that has it.
    pub manifests: Vec<(ObjectName, RepositoryId)>,
}

impl Served {
    /// What is in an object, or that it is not there for the child.
    pub(crate) fn read(&self, kind: ObjectKind, name: ObjectName, offset: u64, len: u64) -> FromParent {
        let Some(repository) = self.holder(kind, &name) else { return FromParent::Missing };
        let key = BlobKey::new(repository, kind, name);
        // Bounded here too: a child that was taken over may ask for anything.
        match self.blobs.read(&key, offset, len.min(frame::PIECE)) {
            Ok(bytes) => FromParent::Bytes(bytes),
            Err(ReadFault::Lost) => FromParent::Missing,
            Err(ReadFault::Unreadable(why)) => self.unreadable(&key, why),
            Err(ReadFault::Away(fault)) => FromParent::Unavailable(fault.why),
        }
    }

    fn holder(&self, kind: ObjectKind, name: &ObjectName) -> Option<RepositoryId> {
        if let Some((_, repository)) = self.manifests.iter().find(|it| kind == ObjectKind::Manifests && it.0 == *name) {
            return Some(*repository);
        }
        self.ledger.contains_key(&(kind, name.clone())).then_some(self.repository)
    }

    /// The store cannot return an object; if it cannot read any other either, it is not the object that is
    /// damaged.
    fn unreadable(&self, key: &BlobKey, otherwise: String) -> FromParent {
        let config = BlobKey::new(self.repository, ObjectKind::Config, ObjectName::config());
        let listed = self.ledger.keys().map(|(kind, name)| BlobKey::new(self.repository, *kind, name.clone()));
        let mut others = std::iter::once(config).chain(listed).filter(|it| it != key).take(WITNESSES);
        if others.any(|it| self.blobs.read(&it, 0, 1).is_ok()) {
            FromParent::Missing
        } else {
            FromParent::Unavailable(otherwise)
        }
    }

    /// The objects of a kind that the child may see.
    pub(crate) fn list(&self, kind: ObjectKind) -> FromParent {
        let mut listed: Vec<_> = self
            .ledger
            .iter()
            .filter(|((its, _), _)| *its == kind && kind != ObjectKind::Config)
            .map(|((_, name), size)| (name.clone(), *size))
            .collect();
        listed.sort_unstable();
        FromParent::Listed(listed)
    }

    /// The same, each with the first view that has it.
    pub(crate) fn list_views(&self, kind: ObjectKind) -> FromParent {
        let FromParent::Listed(listed) = self.list(kind) else { return FromParent::Missing };
        let since = |name: &ObjectName| self.since.get(&(kind, name.clone())).copied().unwrap_or(0);
        let views = listed.into_iter().map(|(name, size)| {
            let since = since(&name);
            (name, size, since)
        });
        FromParent::ListedViews(views.collect())
    }
}
