//! The names of files in `tmp`: each says which object was on its way.
use crate::blob::BlobKey;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use std::path::Path;

/// A test write that was under way when the server was killed.
pub fn is_probe(path: &Path) -> bool {
    path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("probe-"))
}

/// `repository.kind.name.run-number`.
pub fn key_of_mark(name: &str) -> Option<BlobKey> {
    let mut parts = name.split('.');
    let repository = RepositoryId::parse(parts.next()?)?;
    let kind = ObjectKind::parse(parts.next()?)?;
    let name = parts.next()?;
    let name = if kind == ObjectKind::Config { ObjectName::config() } else { ObjectName::parse(name)? };
    Some(BlobKey { repository, kind, name })
}
