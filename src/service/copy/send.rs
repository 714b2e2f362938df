//! One object on its way from one store to the other: never without having been compared with its name.
use crate::blob::{self, BlobKey, BlobStore, ReadFault, StoreFault, WriteFault};
use crate::error::{Error, Result};
use crate::store::{self, Store};
use domain::object::Location;

/// What stops a run.
#[derive(Debug)]
pub(super) enum Halt {
    /// One of the stores is away, and so are all objects in it.
    Away(Location, StoreFault),
    /// The other store took something not, for a reason in words.
    Failed(String),
    /// The database refused.
    Database(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// How an object came to be where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It was sent.
    Sent,
    /// It was there, and was read back and compared.
    WasThere,
    /// Something else was there, or it was known to be damaged: it was replaced.
    Replaced,
}

/// An object, and what its bytes must hash to.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub key: BlobKey,
    hash: [u8; 32],
}

impl Wanted {
    /// Finds out what its bytes must be; none if nobody can say: only `config` is not named by its hash, and the
    /// database keeps its bytes.
    pub fn of(store: &Store, key: BlobKey) -> Result<Option<Self>> {
        let hash = match key.name.hash() {
            Some(hash) => Some(hash),
            None => {
                let kept =
                    store.read_blocking(|conn| store::kept_object::find(conn, key.repository, key.kind, &key.name))?;
                kept.map(|it| secret::sha256(&it))
            }
        };
        Ok(hash.map(|hash| Self { key, hash }))
    }

    fn is_these(&self, bytes: &[u8]) -> bool {
        secret::sha256(bytes) == self.hash
    }
}

/// The bytes of an object at a location; none if they are missing or are not what they should be.
pub(super) fn fetch(blobs: &dyn BlobStore, location: Location, wanted: &Wanted) -> Result<Option<Vec<u8>>, Halt> {
    match blob::read_all(blobs, &wanted.key, wanted.key.kind.max_bytes()) {
        Ok(bytes) => Ok(wanted.is_these(&bytes).then_some(bytes)),
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(None),
        Err(ReadFault::Away(fault)) => Err(Halt::Away(location, fault)),
    }
}

/// Whether the second store has the object already, as it should be; none if it has nothing there.
pub(super) fn has(blobs: &dyn BlobStore, wanted: &Wanted) -> Result<Option<bool>, Halt> {
    match blobs.size(&wanted.key) {
        Ok(None) => Ok(None),
        Ok(Some(_)) => is_there(blobs, wanted).map(Some),
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(Some(false)),
        Err(ReadFault::Away(fault)) => Err(Halt::Away(Location::Copy, fault)),
    }
}

/// Puts the right bytes of an object into the second store, and never over anything that is right.
///
/// Something that is there already is read back: that it has the name says nothing about its bytes.
pub(super) fn put(blobs: &dyn BlobStore, wanted: &Wanted, bytes: &[u8], is_damaged: bool) -> Result<Put, Halt> {
    if !is_damaged {
        match write(blobs, &wanted.key, bytes, false) {
            Ok(()) => return Ok(Put::Sent),
            Err(WriteFault::Taken) => {}
            Err(fault) => return Err(halt(Location::Copy, fault)),
        }
        if is_there(blobs, wanted)? {
            return Ok(Put::WasThere);
        }
    }
    replace(blobs, Location::Copy, &wanted.key, bytes).map(|()| Put::Replaced)
}

/// Whether the right bytes are there, to stay: whoever put them may have been stopped before they were durable.
fn is_there(blobs: &dyn BlobStore, wanted: &Wanted) -> Result<bool, Halt> {
    if fetch(blobs, Location::Copy, wanted)?.is_none() {
        return Ok(false);
    }
    blobs.make_durable(&wanted.key).map_err(|fault| halt(Location::Copy, fault))?;
    Ok(true)
}

/// Replaces what is at a location by the right bytes.
pub(super) fn replace(blobs: &dyn BlobStore, location: Location, key: &BlobKey, bytes: &[u8]) -> Result<(), Halt> {
    write(blobs, key, bytes, true).map_err(|fault| halt(location, fault))
}

fn write(blobs: &dyn BlobStore, key: &BlobKey, bytes: &[u8], is_replacement: bool) -> Result<(), WriteFault> {
    let mut upload = blobs.begin(key)?;
    upload.write(bytes)?;
    let stored = if is_replacement { upload.replace()? } else { upload.commit()? };
    // Its mark is for uploads that nobody else would send again.
    stored.settle();
    Ok(())
}

fn halt(location: Location, fault: WriteFault) -> Halt {
    match fault {
        WriteFault::Away(fault) => Halt::Away(location, fault),
        WriteFault::Taken => Halt::Failed("something is already there".to_owned()),
        WriteFault::Stopped(_, why) | WriteFault::Failed(why) => Halt::Failed(why),
    }
}
