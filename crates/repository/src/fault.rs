//! What can be wrong with a repository.
use crate::Id;
use domain::object::{ObjectKind, ObjectName};

/// The result of reading.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// What can be wrong with a repository; each case names what it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody can say: the store or the network failed, not the backup.
    #[error("the store cannot be read: {0}")]
    Unavailable(String),
    #[error("{kind} {} is not in the store", short(.name))]
    Missing { kind: ObjectKind, name: ObjectName },
    #[error("{kind} {} {problem}", short(.name))]
    Object { kind: ObjectKind, name: ObjectName, problem: Problem },
    /// No copy of a blob is good; the problem is the last copy's.
    #[error("chunk {} in pack {} {problem}", .id.short(), .pack.short())]
    Blob { id: Id, pack: Id, problem: Problem },
    #[error("chunk {} is in no index", .0.short())]
    NotIndexed(Id),
    #[error("{0}")]
    Node(String),
    /// Larger than any limit here allows.
    #[error("resource limit: {0}")]
    Limit(&'static str),
    /// The receiver of the content cannot take it.
    #[error("writing failed: {0}")]
    Write(String),
}

/// What is wrong with some bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("does not match its name")]
    Hash,
    #[error("has {had} bytes instead of {said}")]
    Size { said: u64, had: u64 },
    #[error("was changed or made with another key")]
    Mac,
    #[error("cannot be decompressed")]
    Zstd,
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    #[error("cannot be read: {0}")]
    Json(String),
    #[error("has an unknown encoding")]
    Encoding,
    #[error("has a header that cannot be read")]
    Header,
    #[error("is not where the index says")]
    NotInHeader,
    #[error("is in a pack that is missing from the store")]
    NoPack,
    #[error("does not match its id")]
    Content,
    #[error("has version {0}, which is not 1 or 2")]
    Version(u64),
}

impl Fault {
    /// Whether continuing makes no sense: the store is away, or a limit is reached.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Limit(_) | Self::Write(_))
    }

    /// The object whose stored bytes are not those that were received, if that is the fault.
    pub fn damaged(&self) -> Option<(ObjectKind, &ObjectName)> {
        match self {
            Self::Missing { kind, name } => Some((*kind, name)),
            // The server wrote it, and its name is not a hash.
            Self::Object { kind: kind @ ObjectKind::Config, name, .. } => Some((*kind, name)),
            Self::Object { kind, name, problem: Problem::Hash | Problem::Size { .. } } => Some((*kind, name)),
            Self::Object { .. }
            | Self::Unavailable(_)
            | Self::Blob { .. }
            | Self::NotIndexed(_)
            | Self::Node(_)
            | Self::Limit(_)
            | Self::Write(_) => None,
        }
    }

    /// The object the fault is about, if it is about a whole object.
    pub fn object_name(&self) -> Option<(ObjectKind, &ObjectName)> {
        match self {
            Self::Missing { kind, name } | Self::Object { kind, name, .. } => Some((*kind, name)),
            Self::Unavailable(_)
            | Self::Blob { .. }
            | Self::NotIndexed(_)
            | Self::Node(_)
            | Self::Limit(_)
            | Self::Write(_) => None,
        }
    }

    pub(crate) fn object(kind: ObjectKind, name: &ObjectName, problem: Problem) -> Self {
        Self::Object { kind, name: name.clone(), problem }
    }
}

/// The first digits of a name, as restic shows them.
fn short(name: &ObjectName) -> &str {
    name.as_str().get(..10).unwrap_or(name.as_str())
}

/// A parser's words, cut short: they may quote what a stranger wrote.
pub(crate) fn json(error: &serde_json::Error) -> Problem {
    let text: String = error.to_string().chars().filter(|it| !it.is_control()).take(120).collect();
    Problem::Json(text)
}
