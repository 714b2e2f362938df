//! The puller's side: what it does with its folder, and what it refuses, whoever asks.
//!
//! Nothing is ever removed, and nothing that is right is overwritten: bytes are taken only under the name that is their
//! SHA-256, and in the place of others only if those do not match theirs. A `config` has no such name, so it is kept as it
//! first came.
use super::message::{Asked, Done, Task, write_list};
use crate::blob::fs::FsBlobs;
use crate::blob::home::{Identity, Opening, read_marker};
use crate::blob::{self, BlobKey, BlobStore, ReadFault, StoreFault, WriteFault};
use anyhow::Context;
use domain::ground::AwayCause;
use domain::object::ObjectKind;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What is kept, and whose it is.
#[derive(Debug, Clone)]
pub struct Keeping {
    pub identity: Identity,
    pub blobs: Arc<FsBlobs>,
}

/// Whoever has the folder.
#[derive(Debug)]
pub struct Hand {
    dir: PathBuf,
    /// Whether a folder of another console is taken over, once.
    adopts: bool,
    keeping: Mutex<Option<Keeping>>,
}

impl Hand {
    /// Opens a folder that was used before; a new one is made once the console says whose it is.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(dir: &Path, adopts: bool) -> anyhow::Result<Self> {
        let hand = Self { dir: dir.to_owned(), adopts, keeping: Mutex::default() };
        if let Some(identity) = read_marker(dir).filter(|_| !adopts) {
            hand.begin(&identity, Opening::Known).with_context(|| format!("opening {}", dir.display()))?;
        }
        Ok(hand)
    }

    fn begin(&self, identity: &Identity, opening: Opening) -> Result<Keeping, StoreFault> {
        let blobs = FsBlobs::open_home(&self.dir, identity, opening)?;
        // What a stop interrupted is sent again, and compared.
        let unsettled =
            blobs.unsettled().map_err(|fault| StoreFault { cause: AwayCause::Unreadable, why: fault.to_string() })?;
        unsettled.into_iter().for_each(|(_, stored)| stored.settle());
        let keeping = Keeping { identity: identity.clone(), blobs: Arc::new(blobs) };
        *self.keeping.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeping.clone());
        Ok(keeping)
    }

    /// What is kept; none before the console said whose it is.
    pub fn keeping(&self) -> Option<Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does what is asked, or says why not.
    pub fn act(&self, task: &Task, bytes: &[u8]) -> (Done, Vec<u8>) {
        if let Task::Check { identity, is_new } = task {
            return (self.check(identity, *is_new).map_or_else(Done::from, |()| Done::Yes), Vec::new());
        }
        let Some(keeping) = self.keeping() else {
            let why = "its folder is not in use yet".to_owned();
            return (StoreFault { cause: AwayCause::Away, why }.into(), Vec::new());
        };
        act(&keeping.blobs, task, bytes)
    }

    fn check(&self, identity: &Identity, is_new: bool) -> Result<(), StoreFault> {
        let keeping = match self.keeping() {
            Some(keeping) => keeping,
            None if is_new && identity.copy.is_some() => {
                let opening = if self.adopts { Opening::Adopted } else { Opening::New };
                self.begin(identity, opening)?
            }
            None => {
                let why = format!("{} carries no marker: is its disk mounted?", self.dir.display());
                return Err(StoreFault { cause: AwayCause::Away, why });
            }
        };
        if keeping.identity != *identity {
            let why = format!(
                "{} is the second store of another console, or another of this one (server {}, database {}): its own \
                 command takes it over with --adopt",
                self.dir.display(),
                keeping.identity.server,
                keeping.identity.database
            );
            return Err(StoreFault { cause: AwayCause::Foreign, why });
        }
        keeping.blobs.check()
    }
}

fn act(blobs: &FsBlobs, task: &Task, bytes: &[u8]) -> (Done, Vec<u8>) {
    let found = match task {
        // Done before: nothing is open without it.
        Task::Check { .. } => Ok((Done::Yes, Vec::new())),
        Task::Put { object, replaces } => {
            let put = on(object, |key| put(blobs, key, bytes, *replaces).map_err(Done::from));
            put.map(|()| (Done::Yes, Vec::new()))
        }
        Task::Read { object, offset, len } => on(object, |key| {
            let len = (*len).min(key.kind.max_bytes());
            Ok((Done::Yes, blobs.read(key, *offset, len)?))
        }),
        Task::ReadBack { object } => on(object, |key| Ok((Done::Yes, read_back(blobs, key)?))),
        Task::Size { object } => on(object, |key| Ok((Done::Number { number: blobs.size(key)? }, Vec::new()))),
        Task::StoredAt { object } => on(object, |key| {
            let number = blobs.stored_at(key)?.and_then(|it| u64::try_from(it.millis()).ok());
            Ok((Done::Number { number }, Vec::new()))
        }),
        Task::Durable { object } => on(object, |key| {
            blobs.make_durable(key).map_err(Done::from)?;
            Ok((Done::Yes, Vec::new()))
        }),
        Task::List { repository } => listed(|| {
            let listed = blobs.list(*repository)?;
            write_list(&listed).map_err(|error| ReadFault::Unreadable(error.to_string()))
        }),
        Task::Repositories => listed(|| {
            let there = blobs.repositories()?;
            serde_json::to_vec(&there).map_err(|error| ReadFault::Unreadable(error.to_string()))
        }),
    };
    found.unwrap_or_else(|done| (done, Vec::new()))
}

fn on<T>(object: &Asked, work: impl FnOnce(&BlobKey) -> Result<T, Done>) -> Result<T, Done> {
    let key = object.key().ok_or_else(|| Done::Failed { why: "that is the name of no object".to_owned() })?;
    work(&key)
}

fn listed(list: impl FnOnce() -> Result<Vec<u8>, ReadFault>) -> Result<(Done, Vec<u8>), Done> {
    Ok((Done::Yes, list()?))
}

fn read_back(blobs: &FsBlobs, key: &BlobKey) -> Result<Vec<u8>, ReadFault> {
    let (mut bytes, most) = (Vec::new(), key.kind.max_bytes());
    blobs.read_back(key, &mut |piece| {
        bytes.extend_from_slice(piece);
        // What is longer does not match its name whatever follows.
        if bytes.len() as u64 > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(bytes)
}

fn put(blobs: &FsBlobs, key: &BlobKey, bytes: &[u8], replaces: bool) -> Result<(), WriteFault> {
    if key.kind == ObjectKind::Locks || bytes.len() as u64 > key.kind.max_bytes() {
        return Err(WriteFault::Failed("no lock is kept, and nothing that is too large for its kind".to_owned()));
    }
    let hash = hash_of(bytes);
    if key.name.hash().is_some_and(|it| it != hash) {
        return Err(WriteFault::Failed("its bytes do not match its name".to_owned()));
    }
    if blobs.size(key).map_err(writing)?.is_some() {
        let there = match blob::sha256_of(blobs, key) {
            Ok(there) => Some(there),
            Err(ReadFault::Lost | ReadFault::Unreadable(_)) => None,
            Err(ReadFault::Away(fault)) => return Err(fault.into()),
        };
        match (there == Some(hash), replaces, key.kind) {
            (true, true, _) => return blobs.make_durable(key),
            (_, false, _) => return Err(WriteFault::Taken),
            (false, true, ObjectKind::Config) => {
                return Err(WriteFault::Failed(
                    "a config is kept as it first came, and this is another one".to_owned(),
                ));
            }
            (
                false,
                true,
                ObjectKind::Keys
                | ObjectKind::Data
                | ObjectKind::Index
                | ObjectKind::Snapshots
                | ObjectKind::Locks
                | ObjectKind::Manifests,
            ) => {}
        }
    }
    let mut upload = blobs.begin(key)?;
    upload.write(bytes)?;
    let stored = if replaces { upload.replace()? } else { upload.commit()? };
    stored.settle();
    Ok(())
}

fn writing(fault: ReadFault) -> WriteFault {
    match fault {
        ReadFault::Away(fault) => fault.into(),
        ReadFault::Lost | ReadFault::Unreadable(_) => WriteFault::Failed(fault.to_string()),
    }
}

fn hash_of(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::RepositoryId;
    use domain::object::ObjectName;

    fn identity(server: &str) -> Identity {
        Identity { server: server.to_owned(), database: "d".to_owned(), copy: Some("c".to_owned()) }
    }

    fn opened(dir: &Path) -> Hand {
        let hand = Hand::open(dir, false).unwrap();
        assert_eq!(hand.act(&Task::Check { identity: identity("a"), is_new: true }, b"").0, Done::Yes);
        hand
    }

    fn key(kind: ObjectKind, bytes: &[u8]) -> BlobKey {
        let is_config = kind == ObjectKind::Config;
        let name = if is_config { ObjectName::config() } else { ObjectName::from_hash(&hash_of(bytes)) };
        let repository = RepositoryId::parse("0190163d-8694-739b-aea5-966c26f8ad90").unwrap();
        BlobKey::new(repository, kind, name)
    }

    fn put(hand: &Hand, key: &BlobKey, bytes: &[u8], replaces: bool) -> Done {
        hand.act(&Task::Put { object: key.into(), replaces }, bytes).0
    }

    fn has(hand: &Hand, key: &BlobKey) -> Vec<u8> {
        hand.act(&Task::ReadBack { object: key.into() }, b"").1
    }

    #[test]
    fn whoever_asks_can_neither_remove_nor_overwrite_what_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let hand = opened(dir.path());
        let (pack, config) = (key(ObjectKind::Data, b"pack"), key(ObjectKind::Config, b""));
        assert_eq!(put(&hand, &pack, b"pack", false), Done::Yes);
        assert_eq!(put(&hand, &config, b"config", false), Done::Yes);

        assert!(matches!(put(&hand, &pack, b"other", true), Done::Failed { .. }), "its bytes do not match its name");
        assert!(matches!(put(&hand, &config, b"other", true), Done::Failed { .. }), "it is kept as it first came");
        assert_eq!(put(&hand, &pack, b"pack", false), Done::Taken);
        assert_eq!(put(&hand, &pack, b"pack", true), Done::Yes, "nothing has to be done");
        assert!(matches!(put(&hand, &key(ObjectKind::Locks, b"l"), b"l", false), Done::Failed { .. }));
        assert_eq!((has(&hand, &pack), has(&hand, &config)), (b"pack".to_vec(), b"config".to_vec()));
    }

    #[test]
    fn what_is_rotten_is_replaced_by_what_matches_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let hand = opened(dir.path());
        let pack = key(ObjectKind::Data, b"pack");
        let mut upload = hand.keeping().unwrap().blobs.begin(&pack).unwrap();
        upload.write(b"rot").unwrap();
        upload.commit().unwrap().settle();
        assert_eq!(has(&hand, &pack), b"rot", "it is shown as it is, and not called right");
        assert_eq!(put(&hand, &pack, b"pack", true), Done::Yes);
        assert_eq!(has(&hand, &pack), b"pack");
    }

    #[test]
    fn a_folder_serves_one_console_and_no_console_can_change_that() {
        let dir = tempfile::tempdir().unwrap();
        let hand = Hand::open(dir.path(), false).unwrap();
        let (ours, other) = (identity("a"), identity("b"));
        let early = hand.act(&Task::Check { identity: ours.clone(), is_new: false }, b"").0;
        assert!(matches!(early, Done::Away { .. }), "an empty folder is not taken for one that is full");
        assert!(matches!(hand.act(&Task::Repositories, b"").0, Done::Away { .. }));
        drop(hand);
        drop(opened(dir.path()));

        let hand = Hand::open(dir.path(), false).unwrap();
        assert_eq!(hand.act(&Task::Check { identity: ours, is_new: false }, b"").0, Done::Yes);
        let Done::Away { cause, why } = hand.act(&Task::Check { identity: other.clone(), is_new: true }, b"").0 else {
            panic!("another console’s")
        };
        assert!(cause == AwayCause::Foreign.as_str() && why.contains("--adopt"), "{cause} {why}");
        drop(hand);
        let hand = Hand::open(dir.path(), true).unwrap();
        assert_eq!(hand.act(&Task::Check { identity: other, is_new: true }, b"").0, Done::Yes);
    }
}
