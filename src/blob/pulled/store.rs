//! The store as the rest of the server sees it.
use super::message::{Asked, Done, Task, read_list};
use super::relay::Relay;
use crate::blob::home::{Identity, Opening};
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault, Stored, Upload, WriteFault};
use bytes::Bytes;
use domain::ground::AwayCause;
use domain::id::RepositoryId;
use domain::object::ObjectKind;
use domain::time::Time;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// What a puller keeps.
#[derive(Debug, Clone)]
pub struct PulledBlobs {
    relay: Relay,
    identity: Identity,
    /// Where it was when it was last looked at.
    hosts: Arc<Mutex<BTreeSet<String>>>,
}

/// How much is handed on at once of what was read back.
const PIECE: usize = 1 << 20;

impl PulledBlobs {
    /// Has the puller use its folder as the store of `identity`: only its own command takes a folder that was another's.
    ///
    /// # Errors
    /// When the puller is gone, or its folder is not there or another's.
    pub fn open(relay: &Relay, identity: &Identity, opening: Opening) -> Result<Self, StoreFault> {
        let hosts = relay.hello().map(|it| it.hosts).unwrap_or_default();
        let blobs = Self { relay: relay.clone(), identity: identity.clone(), hosts: Arc::new(Mutex::new(hosts)) };
        blobs.look(matches!(opening, Opening::New | Opening::Adopted))?;
        Ok(blobs)
    }

    fn look(&self, is_new: bool) -> Result<(), StoreFault> {
        let (done, _) = self.relay.call(Task::Check { identity: self.identity.clone(), is_new }, Bytes::new())?;
        match done.of_reading() {
            None => Ok(()),
            Some(ReadFault::Away(fault)) => Err(fault),
            Some(fault @ (ReadFault::Lost | ReadFault::Unreadable(_))) => {
                Err(StoreFault { cause: AwayCause::Unreadable, why: fault.to_string() })
            }
        }
    }

    /// Asks for something to be read; none if nothing is there.
    fn get(&self, task: Task) -> Result<(Done, Bytes), ReadFault> {
        let most = task.most();
        let (done, bytes) = self.relay.call(task, Bytes::new())?;
        match done.of_reading() {
            Some(fault) => Err(fault),
            None if bytes.len() as u64 > most => Err(ReadFault::Unreadable("more came than was asked for".to_owned())),
            None => Ok((done, bytes)),
        }
    }

    fn number(&self, task: Task) -> Result<Option<u64>, ReadFault> {
        let (Done::Number { number }, _) = self.get(task)? else {
            return Err(ReadFault::Unreadable("the puller’s answer is none".to_owned()));
        };
        Ok(number)
    }
}

fn unreadable(error: &anyhow::Error) -> ReadFault {
    ReadFault::Unreadable(format!("{error:#}"))
}

impl BlobStore for PulledBlobs {
    fn begin(&self, key: &BlobKey) -> Result<Box<dyn Upload>, WriteFault> {
        Ok(Box::new(PulledUpload { relay: self.relay.clone(), key: key.clone(), bytes: Vec::new() }))
    }

    fn read(&self, key: &BlobKey, offset: u64, len: u64) -> Result<Vec<u8>, ReadFault> {
        Ok(self.get(Task::Read { object: key.into(), offset, len })?.1.into())
    }

    /// The puller reads it from its disk, and the bytes come here: to say that they are right is not enough.
    fn read_back(&self, key: &BlobKey, take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), ReadFault> {
        let (_, bytes) = self.get(Task::ReadBack { object: key.into() })?;
        for piece in bytes.chunks(PIECE) {
            if take(piece).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn size(&self, key: &BlobKey) -> Result<Option<u64>, ReadFault> {
        self.number(Task::Size { object: key.into() })
    }

    fn remove(&self, _: &BlobKey) -> Result<bool, WriteFault> {
        Err(WriteFault::Failed("nothing is ever removed from the second store".to_owned()))
    }

    fn list(&self, repository: RepositoryId) -> Result<Vec<(BlobKey, u64)>, ReadFault> {
        let (_, body) = self.get(Task::List { repository })?;
        read_list(repository, &body).map_err(|error| unreadable(&error))
    }

    fn repositories(&self) -> Result<Vec<RepositoryId>, ReadFault> {
        let (_, body) = self.get(Task::Repositories)?;
        serde_json::from_slice(&body).map_err(|error| unreadable(&error.into()))
    }

    fn stored_at(&self, key: &BlobKey) -> Result<Option<Time>, ReadFault> {
        let at = self.number(Task::StoredAt { object: key.into() })?;
        Ok(at.and_then(|it| i64::try_from(it).ok()).map(Time::from_millis))
    }

    fn make_durable(&self, key: &BlobKey) -> Result<(), WriteFault> {
        let (done, _) = self.relay.call(Task::Durable { object: key.into() }, Bytes::new())?;
        done.of_writing().map_or(Ok(()), Err)
    }

    /// Nothing: what a stop interrupted is sent again, and found to be there.
    fn unsettled(&self) -> Result<Vec<(BlobKey, Stored)>, ReadFault> {
        Ok(Vec::new())
    }

    fn check(&self) -> Result<(), StoreFault> {
        let hosts = self.relay.hello().map(|it| it.hosts);
        let mut known = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hosts) = hosts.filter(|it| *it != *known) {
            *known = hosts;
            // Once: whoever uses it judges it again before it is used.
            let why = "it is on another machine now, which is looked at first".to_owned();
            return Err(StoreFault { cause: AwayCause::Away, why });
        }
        drop(known);
        self.look(false)
    }

    fn space(&self) -> Option<(u64, u64)> {
        self.relay.hello().and_then(|it| it.space)
    }
}

/// An upload: kept in memory until it is whole, because the puller compares it with its name before it keeps any of it.
struct PulledUpload {
    relay: Relay,
    key: BlobKey,
    bytes: Vec<u8>,
}

impl PulledUpload {
    fn put(self, replaces: bool) -> Result<Stored, WriteFault> {
        let object = Asked::from(&self.key);
        let (done, _) = self.relay.call(Task::Put { object, replaces }, Bytes::from(self.bytes))?;
        done.of_writing().map_or_else(|| Ok(Stored::default()), Err)
    }
}

impl Upload for PulledUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault> {
        let most = self.key.kind.max_bytes();
        if (self.bytes.len() + bytes.len()) as u64 > most || self.key.kind == ObjectKind::Locks {
            return Err(WriteFault::Failed(format!(
                "an object of this kind has at most {most} bytes, and no lock is kept"
            )));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.put(false)
    }

    fn replace(self: Box<Self>) -> Result<Stored, WriteFault> {
        self.put(true)
    }
}
