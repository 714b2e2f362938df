//! Where in a bucket each object is.
use crate::blob::BlobKey;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use object_store::path::Path;
use std::fmt;

/// A part of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Place {
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl Place {
    pub(super) fn new(bucket: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { bucket: bucket.to_owned(), prefix }
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Everything of this part; none for the whole bucket.
    pub(super) fn root(&self) -> Option<Path> {
        (!self.prefix.is_empty()).then(|| Path::from(self.prefix.as_str()))
    }

    /// What every key of this part begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the server puts there to see whether it can delete it.
    pub(super) fn trial(&self) -> Path {
        Path::from(format!("{}holdfast/trial", self.prefix))
    }

    pub(super) fn marker(&self) -> Path {
        Path::from(format!("{}holdfast/store.json", self.prefix))
    }

    pub(super) fn repository(&self, id: RepositoryId) -> Path {
        Path::from(format!("{}{id}", self.prefix))
    }

    /// Where the object of a key is.
    pub(super) fn key(&self, key: &BlobKey) -> Path {
        let (repository, kind, name) = (&key.repository, key.kind, key.name.as_str());
        let rest = match kind {
            ObjectKind::Config => "config".to_owned(),
            ObjectKind::Data => format!("data/{}/{name}", name.get(..2).unwrap_or_default()),
            ObjectKind::Keys
            | ObjectKind::Index
            | ObjectKind::Snapshots
            | ObjectKind::Locks
            | ObjectKind::Manifests => format!("{kind}/{name}"),
        };
        Path::from(format!("{}{repository}/{rest}", self.prefix))
    }

    /// The repository that a path belongs to; none for anything else.
    pub(super) fn repository_of(&self, path: &Path) -> Option<RepositoryId> {
        let rest = path.as_ref().strip_prefix(&self.prefix)?;
        RepositoryId::parse(rest.split('/').next()?)
    }

    /// The key of an object of a repository; none for anything else that lies there.
    pub(super) fn key_of(&self, repository: RepositoryId, path: &Path) -> Option<BlobKey> {
        let rest = path.as_ref().strip_prefix(&self.prefix)?;
        let rest = rest.strip_prefix(repository.as_str())?.strip_prefix('/')?;
        let (kind, name) = match rest.split_once('/') {
            Some((kind, name)) => (ObjectKind::parse(kind)?, ObjectName::parse(name.rsplit('/').next()?)?),
            None if rest == "config" => (ObjectKind::Config, ObjectName::config()),
            None => return None,
        };
        let key = BlobKey::new(repository, kind, name);
        // What lies in another place than its own would not be found there.
        (self.key(&key) == *path).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Time;

    #[test]
    fn objects_lie_as_in_a_folder_and_are_found_again() {
        let repository = RepositoryId::generate(Time::from_millis(1));
        let name = ObjectName::from_hash(&[0xab; 32]);
        for (prefix, before) in [("", ""), ("of/mdm", "of/mdm/")] {
            let place = Place::new("copies", prefix);
            for kind in ObjectKind::ALL {
                let name = if *kind == ObjectKind::Config { ObjectName::config() } else { name.clone() };
                let key = BlobKey::new(repository, *kind, name.clone());
                let expected = match kind {
                    ObjectKind::Config => format!("{before}{repository}/config"),
                    ObjectKind::Data => format!("{before}{repository}/data/ab/{name}"),
                    ObjectKind::Keys
                    | ObjectKind::Index
                    | ObjectKind::Snapshots
                    | ObjectKind::Locks
                    | ObjectKind::Manifests => format!("{before}{repository}/{kind}/{name}"),
                };
                let path = place.key(&key);
                assert_eq!(path.as_ref(), expected);
                assert_eq!(place.key_of(repository, &path), Some(key));
                assert_eq!(place.repository_of(&path), Some(repository));
            }
            for other in
                ["holdfast/store.json", &format!("{repository}/data/cd/{name}"), &format!("{repository}/x/{name}")]
            {
                assert_eq!(place.key_of(repository, &Path::from(format!("{before}{other}"))), None, "{other}");
            }
            assert_eq!(place.repository_of(&place.marker()), None);
        }
    }
}
