//! Where records lie in the second store: an area that looks like a repository which no device has.
use crate::blob::BlobKey;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};

/// Ids of repositories are random in all parts but their time, so none is ever this one, or one of a state's.
const AREA: &str = "00000000-0000-7000-9000-000000000000";

/// How the ids of areas begin.
const AREAS: &str = "00000000-0000-7000-";

/// Where records are.
pub fn area() -> Option<RepositoryId> {
    RepositoryId::parse(AREA)
}

/// Whether it is an area, and no device's repository.
pub fn is_area(id: RepositoryId) -> bool {
    id.as_str().starts_with(AREAS)
}

/// Where the record of this name is.
pub fn key(name: &ObjectName) -> Option<BlobKey> {
    Some(BlobKey::new(area()?, ObjectKind::Snapshots, name.clone()))
}
