//! What both sides say to each other: JSON before raw bytes.
use crate::blob::home::Identity;
use crate::blob::{BlobKey, ReadFault, StoreFault, WriteFault};
use anyhow::{Context, Result, ensure};
use domain::ground::{AwayCause, StopCause};
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The longest head of a frame, in bytes. A list has its entries in the body.
pub const MAX_HEAD: usize = 64 << 10;

/// The longest list in bytes: 250,000 objects of a hundred bytes.
pub const MAX_LIST: u64 = 64 << 20;

/// How much of a text of the other side is kept.
const MAX_TEXT: usize = 500;

/// What the puller says of itself each time it asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Another one each time the program starts: two at once are noticed.
    pub session: String,
    /// Which of its threads asks: one that asks again has lost what it was handed.
    pub worker: u8,
    /// Names, addresses and marks of the machine and of the disk that it keeps things on.
    pub hosts: BTreeSet<String>,
    /// Free and total bytes there.
    pub space: Option<(u64, u64)>,
}

impl Hello {
    /// Reads one, whoever sent it.
    ///
    /// # Errors
    /// When it is none, or out of bounds.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len() <= MAX_HEAD, "it is too large");
        let hello: Self = serde_json::from_slice(bytes).context("reading what the puller says of itself")?;
        let is_id = !hello.session.is_empty()
            && hello.session.len() <= 64
            && hello.session.bytes().all(|it| it.is_ascii_alphanumeric());
        ensure!(is_id && hello.worker < 8, "it is no puller of this version");
        ensure!(hello.hosts.len() <= 64 && hello.hosts.iter().all(|it| it.len() <= 255), "it has too many names");
        Ok(hello)
    }
}

/// What is at a key, in words that travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub repository: RepositoryId,
    kind: String,
    name: String,
}

impl From<&BlobKey> for Asked {
    fn from(key: &BlobKey) -> Self {
        let (kind, name) = (key.kind.as_str().to_owned(), key.name.as_str().to_owned());
        Self { repository: key.repository, kind, name }
    }
}

impl Asked {
    /// The key; none if it is no key of anything.
    pub fn key(&self) -> Option<BlobKey> {
        let (kind, name) = key_parts(&self.kind, &self.name)?;
        Some(BlobKey::new(self.repository, kind, name))
    }
}

fn key_parts(kind: &str, name: &str) -> Option<(ObjectKind, ObjectName)> {
    let kind = ObjectKind::parse(kind)?;
    let name = match kind {
        ObjectKind::Config => Some(ObjectName::config()).filter(|it| it.as_str() == name)?,
        ObjectKind::Keys
        | ObjectKind::Data
        | ObjectKind::Index
        | ObjectKind::Snapshots
        | ObjectKind::Locks
        | ObjectKind::Manifests => ObjectName::parse(name)?,
    };
    Some((kind, name))
}

/// What the puller is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Say whether the folder is that of this identity; with `is_new`, an empty one becomes it.
    Check {
        identity: Identity,
        is_new: bool,
    },
    /// Keep the bytes that follow; with `replaces`, in the place of what does not match its name.
    Put {
        object: Asked,
        replaces: bool,
    },
    Read {
        object: Asked,
        offset: u64,
        len: u64,
    },
    /// Read all of it from the disk itself.
    ReadBack {
        object: Asked,
    },
    Size {
        object: Asked,
    },
    StoredAt {
        object: Asked,
    },
    Durable {
        object: Asked,
    },
    List {
        repository: RepositoryId,
    },
    Repositories,
}

impl Task {
    /// The most bytes that may come back with the answer.
    pub fn most(&self) -> u64 {
        let most = |object: &Asked| object.key().map_or(0, |it| it.kind.max_bytes());
        match self {
            Self::Read { object, len, .. } => most(object).min(*len),
            Self::ReadBack { object } => most(object),
            Self::List { .. } | Self::Repositories => MAX_LIST,
            Self::Check { .. }
            | Self::Put { .. }
            | Self::Size { .. }
            | Self::StoredAt { .. }
            | Self::Durable { .. } => 0,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case", deny_unknown_fields)]
pub enum Done {
    /// As asked. What was asked for follows.
    Yes,
    /// Something is there already.
    Taken,
    Number {
        number: Option<u64>,
    },
    Lost,
    Unreadable {
        why: String,
    },
    Away {
        cause: String,
        why: String,
    },
    Full {
        why: String,
    },
    Failed {
        why: String,
    },
}

impl From<ReadFault> for Done {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Lost => Self::Lost,
            ReadFault::Unreadable(why) => Self::Unreadable { why },
            ReadFault::Away(fault) => fault.into(),
        }
    }
}

impl From<StoreFault> for Done {
    fn from(fault: StoreFault) -> Self {
        Self::Away { cause: fault.cause.as_str().to_owned(), why: fault.why }
    }
}

impl From<WriteFault> for Done {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Taken => Self::Taken,
            WriteFault::Away(fault) => fault.into(),
            WriteFault::Stopped(StopCause::Full, why) => Self::Full { why },
            WriteFault::Stopped(StopCause::Sync | StopCause::ReadOnly | StopCause::Refused, why)
            | WriteFault::Failed(why) => Self::Failed { why },
        }
    }
}

/// Only so much of what the other side writes, and nothing that a terminal obeys.
fn text(why: &str) -> String {
    why.chars().filter(|it| !it.is_control()).take(MAX_TEXT).collect()
}

fn away(cause: &str, why: &str) -> StoreFault {
    StoreFault { cause: AwayCause::parse(cause).unwrap_or(AwayCause::Unreadable), why: text(why) }
}

impl Done {
    /// The fault that it is for whoever reads; none if it is none.
    pub(super) fn of_reading(&self) -> Option<ReadFault> {
        Some(match self {
            Self::Yes | Self::Number { .. } => return None,
            Self::Lost => ReadFault::Lost,
            Self::Unreadable { why } => ReadFault::Unreadable(text(why)),
            Self::Away { cause, why } => away(cause, why).into(),
            Self::Full { why } | Self::Failed { why } => ReadFault::Unreadable(text(why)),
            Self::Taken => ReadFault::Unreadable("the puller’s answer is none".to_owned()),
        })
    }

    /// The same for whoever writes.
    pub(super) fn of_writing(&self) -> Option<WriteFault> {
        Some(match self {
            Self::Yes => return None,
            Self::Taken => WriteFault::Taken,
            Self::Away { cause, why } => away(cause, why).into(),
            Self::Full { why } => WriteFault::Stopped(StopCause::Full, text(why)),
            Self::Unreadable { why } | Self::Failed { why } => WriteFault::Failed(text(why)),
            Self::Lost | Self::Number { .. } => WriteFault::Failed("the puller’s answer is none".to_owned()),
        })
    }
}

/// A head and a body as one message: the head’s length in four bytes, the head as JSON, the body.
///
/// # Errors
/// When the head is too long.
pub fn frame(head: &impl Serialize, body: &[u8]) -> Result<Vec<u8>> {
    let head = serde_json::to_vec(head).context("writing a message")?;
    ensure!(head.len() <= MAX_HEAD, "a message’s head is too long");
    let length = u32::try_from(head.len()).context("writing a message")?;
    let mut out = Vec::with_capacity(4 + head.len() + body.len());
    out.extend(length.to_le_bytes());
    out.extend(head);
    out.extend_from_slice(body);
    Ok(out)
}

/// The two parts of a message, whoever wrote it.
///
/// # Errors
/// When it is none.
pub fn unframe<T: DeserializeOwned>(message: &[u8]) -> Result<(T, &[u8])> {
    let (length, rest) = message.split_first_chunk::<4>().context("the message is cut off")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).context("the message is too long")?;
    ensure!(length <= MAX_HEAD, "the message’s head is too long");
    let (head, body) = rest.split_at_checked(length).context("the message is cut off")?;
    Ok((serde_json::from_slice(head).context("reading a message")?, body))
}

/// The entries of a list, as a body.
///
/// # Errors
/// Never, for what a store lists.
pub(super) fn write_list(listed: &[(BlobKey, u64)]) -> Result<Vec<u8>> {
    let listed: Vec<_> = listed.iter().map(|(key, size)| (key.kind.as_str(), key.name.as_str(), size)).collect();
    serde_json::to_vec(&listed).context("writing a list")
}

/// The same, read: entries that are no objects of the repository are left out.
///
/// # Errors
/// When it is no list.
pub(super) fn read_list(repository: RepositoryId, body: &[u8]) -> Result<Vec<(BlobKey, u64)>> {
    let listed: Vec<(String, String, u64)> = serde_json::from_slice(body).context("reading a list")?;
    let key = |kind: &str, name: &str| key_parts(kind, name).map(|(kind, name)| BlobKey::new(repository, kind, name));
    Ok(listed.into_iter().filter_map(|(kind, name, size)| Some((key(&kind, &name)?, size))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        let hosts = ["elsewhere".to_owned()].into();
        Hello { session: "abc".to_owned(), worker: 0, hosts, space: Some((1, 2)) }
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_nothing_else_is_one() {
        let bytes = frame(&hello(), b"body").unwrap();
        assert_eq!(unframe::<Hello>(&bytes).unwrap(), (hello(), &b"body"[..]));
        for cut in 0..bytes.len() - 4 {
            assert!(unframe::<Hello>(&bytes[..cut]).is_err(), "{cut}");
        }
        let long = [&u32::MAX.to_le_bytes()[..], &[b' '; 100_000]].concat();
        assert!(unframe::<Hello>(&long).is_err());
        assert!(frame(&"x".repeat(MAX_HEAD), b"").is_err());
    }

    #[test]
    fn a_stranger_says_nothing_that_is_out_of_bounds() {
        let read = |it: &Hello| Hello::parse(&serde_json::to_vec(it).unwrap());
        assert_eq!(read(&hello()).unwrap(), hello());
        for bad in [
            Hello { session: String::new(), ..hello() },
            Hello { session: "a/b".to_owned(), ..hello() },
            Hello { session: "a".repeat(65), ..hello() },
            Hello { worker: 8, ..hello() },
            Hello { hosts: (0..65).map(|it| it.to_string()).collect(), ..hello() },
            Hello { hosts: ["a".repeat(256)].into(), ..hello() },
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_list_has_only_objects_of_the_repository_that_was_asked_for() {
        use domain::time::Time;
        let repository = RepositoryId::generate(Time::from_millis(1));
        let name = "ab".repeat(32);
        let body = format!(
            r#"[["data","{name}",1],["data","../x",2],["config","config",3],["config","{name}",4],["x","y",5]]"#
        );
        let listed = read_list(repository, body.as_bytes()).unwrap();
        let sizes: Vec<_> = listed.iter().map(|it| it.1).collect();
        assert_eq!(sizes, [1, 3]);
        assert_eq!(read_list(repository, &write_list(&listed).unwrap()).unwrap(), listed);
        assert!(read_list(repository, b"{}").is_err());
    }

    #[test]
    fn what_the_other_side_writes_is_cut_and_obeyed_by_no_terminal() {
        let why = format!("\u{1b}[31m{}", "x".repeat(10_000));
        let Some(WriteFault::Failed(said)) = (Done::Failed { why }).of_writing() else { panic!("it failed") };
        assert!(said.chars().count() <= MAX_TEXT && !said.contains('\u{1b}'));
        let odd = Done::Away { cause: "no cause".to_owned(), why: String::new() };
        assert!(matches!(odd.of_reading(), Some(ReadFault::Away(fault)) if fault.cause == AwayCause::Unreadable));
    }
}
