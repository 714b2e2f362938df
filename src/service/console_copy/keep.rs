//! Keeps the console's own state on the second store, each minute what has changed.
use super::area::Day;
use super::generation::{Body, Head, INLINE, Piece, Record, Source};
use super::image::{Image, Known};
use super::key::{self, StateKey};
use super::state;
use crate::blob::{BlobKey, BlobStore, WriteFault};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::setting::{CONSOLE_KEPT, DATABASE_ID};
use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::console_copy::{Kept, Stage};
use domain::object::{ObjectKind, ObjectName};
use domain::time::Time;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps states. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    store: Store,
    copy: Arc<dyn BlobStore>,
    /// Where there is room for what is on its way.
    dir: PathBuf,
    last: Arc<Mutex<Option<Last>>>,
}

/// The state that was kept last by this process, which the next one can refer to.
struct Last {
    day: Day,
    record: ObjectName,
    known: Known,
    /// The key it was encrypted with: a new one begins anew.
    key: String,
}

impl Keeper {
    /// Keeps the states of `store` on `copy`.
    pub fn new(store: Store, copy: Arc<dyn BlobStore>, dir: PathBuf) -> Self {
        Self { store, copy, dir, last: Arc::default() }
    }

    /// The second store.
    pub fn copy(&self) -> &Arc<dyn BlobStore> {
        &self.copy
    }

    /// The database whose states these are.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Where there is room for what is on its way.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps the database as it is now. On failure the next run begins with all of it.
    ///
    /// # Errors
    /// When the database refuses. What goes wrong with the store is kept, and tried again.
    pub fn keep(&self, now: Time) -> Result<Option<Kept>> {
        let kept = self.keep_changes(now);
        if let Err(error) = &kept {
            // A full disk here, or a key that is missing: nobody would hear of it by the log.
            state::note_failure(&self.store, Stage::Keep, Some(&format!("{error:#}")), now)?;
        }
        kept
    }

    fn keep_changes(&self, now: Time) -> Result<Option<Kept>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key::current(&self.store)?;
        let day = Day::of(now);
        let exposed = key.cipher.expose().to_string();
        let before = last.take().filter(|it| it.day == day && it.key == exposed);
        let (known, previous) = match &before {
            Some(it) => (&it.known, Some(it.record.clone())),
            None => (&Known::new(), None),
        };
        let mut image = Image::of_database(&self.store, &self.dir, known, &key.cipher)?;
        match self.put(&mut image, Source::Sqlite, previous, &key, now) {
            Ok((record, kept)) => {
                *last = Some(Last { day, record, known: image.known, key: exposed });
                Ok(Some(kept))
            }
            Err(Put::Away) => Ok(None),
            Err(Put::Failed(why)) => {
                state::note_failure(&self.store, Stage::Keep, Some(&why), now)?;
                Ok(None)
            }
            Err(Put::Database(error)) => Err(error),
        }
    }

    /// Keeps a file that somebody made of the database, such as what `pg_dump` writes.
    ///
    /// # Errors
    /// When it cannot be read, is empty, or cannot be stored.
    pub fn keep_dump(&self, file: impl Read, now: Time) -> Result<Kept> {
        let key = key::current(&self.store)?;
        let mut image = Image::of_file(file, &self.dir, &key.cipher)?;
        match self.put(&mut image, Source::Dump, None, &key, now) {
            Ok((_, kept)) => Ok(kept),
            Err(Put::Away) => Err(anyhow!("the second store cannot be used").into()),
            Err(Put::Failed(why)) => Err(anyhow!(why).into()),
            Err(Put::Database(error)) => Err(error),
        }
    }

    /// Stores the pieces, then the record that names them, and notes that.
    fn put(
        &self,
        image: &mut Image,
        source: Source,
        previous: Option<ObjectName>,
        key: &StateKey,
        now: Time,
    ) -> Result<(ObjectName, Kept), Put> {
        let day = Day::of(now);
        let (database, sequence) = self.next()?;
        let head = Head::new(&database, sequence, now, previous, key);
        let (page_size, length, counts) = (image.page_size, image.length, image.counts);
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let mut body = Body { source, page_size, length, pieces: Vec::new(), inline: None, counts, program };
        let is_small = image.size() <= INLINE as u64;
        for piece in image.pieces() {
            let piece = piece?;
            if is_small && body.inline.is_none() && body.pieces.is_empty() {
                body.inline = Some(BASE64_STANDARD.encode(&piece));
                continue;
            }
            let name = self.put_object(day, ObjectKind::Data, &piece)?;
            body.pieces.push(Piece { name, size: piece.len() as u64 });
        }
        let record = Record::seal(head, &body, &key.cipher)?.bytes()?;
        if record.len() as u64 > ObjectKind::Snapshots.max_bytes() {
            return Err(Put::Failed("the database is too large to be kept this way".to_owned()));
        }
        let name = self.put_object(day, ObjectKind::Snapshots, &record)?;
        let kept = Kept { sequence, taken_at: now, by_shares: key.by_shares() };
        let noted = kept.clone();
        self.store.write_blocking(move |conn| CONSOLE_KEPT.set(conn, &noted, now))?;
        state::note_failure(&self.store, Stage::Keep, None, now)?;
        Ok((name, kept))
    }

    fn next(&self) -> Result<(String, i64)> {
        let (database, kept) =
            self.store.read_blocking(|conn| Ok::<_, Error>((DATABASE_ID.find(conn)?, CONSOLE_KEPT.find(conn)?)))?;
        let database = database.context("this database has no id yet: start the server once")?;
        Ok((database, kept.map_or(1, |it| it.sequence + 1)))
    }

    fn put_object(&self, day: Day, kind: ObjectKind, bytes: &[u8]) -> Result<ObjectName, Put> {
        let name = ObjectName::from_hash(&secret::sha256(bytes));
        let key = day.key(kind, name.clone()).context("the day has no area")?;
        match write(&*self.copy, &key, bytes) {
            // The same bytes, as their name says.
            Ok(()) | Err(WriteFault::Taken) => Ok(name),
            // The replicator keeps and tells that.
            Err(WriteFault::Away(_)) => Err(Put::Away),
            Err(WriteFault::Stopped(_, why) | WriteFault::Failed(why)) => Err(Put::Failed(why)),
        }
    }
}

fn write(blobs: &dyn BlobStore, key: &BlobKey, bytes: &[u8]) -> Result<(), WriteFault> {
    let mut upload = blobs.begin(key)?;
    upload.write(bytes)?;
    upload.commit()?.settle();
    Ok(())
}

/// Why a state was not kept.
enum Put {
    Away,
    Failed(String),
    Database(Error),
}

impl From<Error> for Put {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<anyhow::Error> for Put {
    fn from(error: anyhow::Error) -> Self {
        Self::Database(error.into())
    }
}
