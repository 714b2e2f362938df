//! `POST` of an object: hashed while it arrives, durable and in the ledger before it is acknowledged.
//!
//! The body goes in pieces to threads that may block, which hash and write one piece while the next is
//! received; a slow client holds two pieces of memory and no thread. Two buffers take turns: what was read from
//! the connection is copied and released at once, so that its memory, still in the processor's cache, can take
//! the next read.
use crate::blob::piece::{self, Piece};
use crate::blob::{BlobKey, BlobStore, Stored, Upload, WriteFault};
use crate::error::Error;
use crate::protocol::restic::access::Right;
use crate::protocol::restic::answer::Refusal;
use crate::protocol::restic::in_flight::Place;
use crate::protocol::restic::object::Known;
use crate::protocol::restic::{Asking, Door};
use crate::service::backup;
use crate::store::repository::MAX_OBJECTS;
use crate::store::{self, Conn};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use aws_lc_rs::digest;
use domain::object::{Location, ObjectKind, ObjectName, RepositoryState, TokenKind};
use domain::time::hours;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// A client that sends nothing for this long has gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most locks of one repository at once.
const LOCKS: i64 = 8;
/// Restic renews its lock every 5 minutes and calls one of 30 minutes stale.
const STALE_LOCK: Duration = hours(1);

/// Receives an object.
pub async fn receive(
    request: &HttpRequest,
    asking: Asking,
    kind: ObjectKind,
    name: ObjectName,
    payload: Payload,
) -> Result<HttpResponse, Refusal> {
    let (sent_by, length) = may_send(request, &asking, kind)?;
    let Asking { door, access, known } = asking;
    let key = BlobKey::new(access.repository.id, kind, name);
    let place = door.in_flight.enter(key.repository, length.most.min(2 * piece::SIZE as u64))?;
    make_room(&door, &key, &known).await?;
    let incoming = Incoming::new(Arc::clone(&door.blobs), key);
    let (incoming, rest, len) = take(incoming, payload, length).await?;
    let arrived = Arrived { incoming, rest, len, sent_by, is_known: known.object.is_some() };
    // In its own task: if the client leaves now, what it sent is still finished.
    actix_web::rt::spawn(finish(door, arrived, place)).await??;
    Ok(HttpResponse::Ok().finish())
}

/// The length of a body.
#[derive(Clone, Copy)]
struct Length {
    /// None for a body in chunks, as rustic sends it.
    said: Option<u64>,
    most: u64,
}

/// Everything that is refused before a byte of the body is read. Returns who sends it, and its length.
fn may_send(request: &HttpRequest, asking: &Asking, kind: ObjectKind) -> Result<(TokenKind, Length), Refusal> {
    let Right::Append(sent_by) = asking.access.right else {
        return Err(Refusal::forbidden("this ticket can only read"));
    };
    let repository = &asking.access.repository;
    if repository.state != RepositoryState::Active {
        return Err(Refusal::forbidden(backup::READ_ONLY));
    }
    let said = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse().ok());
    if said.is_some_and(|len: u64| len > kind.max_bytes()) {
        return Err(too_large(kind));
    }
    if asking.known.object.is_none() && repository.object_count >= MAX_OBJECTS {
        return Err(Refusal::full(backup::TOO_MANY_OBJECTS));
    }
    // Negative if the quota was set below what is there.
    let room = u64::try_from(repository.quota_bytes - repository.stored_bytes).unwrap_or(0);
    // What is sent again takes no more room, and it may heal.
    let room = if asking.known.object.is_some() { u64::MAX } else { room };
    if said.unwrap_or(1) > room {
        return Err(quota_full());
    }
    Ok((sent_by, Length { said, most: said.unwrap_or(kind.max_bytes().min(room)) }))
}

fn too_large(kind: ObjectKind) -> Refusal {
    let text = format!("an object of this kind has at most {} bytes", kind.max_bytes());
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn quota_full() -> Refusal {
    Refusal::full(&format!("the backups of this device fill their quota; {}", backup::MORE_SPACE))
}

/// A client that died leaves its lock behind; eight of those would close the door for good.
async fn make_room(door: &Door, key: &BlobKey, known: &Known) -> Result<(), Refusal> {
    if key.kind != ObjectKind::Locks || known.object.is_some() || known.lock_count < LOCKS {
        return Ok(());
    }
    let (repository, cut) = (key.repository, door.clock.now() - STALE_LOCK);
    let stale = door.store.write(move |conn| backup::remove_locks(conn, repository, cut)).await?;
    if stale.is_empty() {
        return Err(Refusal::full("this repository has 8 locks; run `restic unlock`, or wait an hour"));
    }
    let blobs = Arc::clone(&door.blobs);
    spawn_blocking(move || stale.iter().try_for_each(|it| blobs.remove(it).map(drop))).await??;
    Ok(())
}

/// Bytes that are arriving.
struct Incoming {
    blobs: Arc<dyn BlobStore>,
    key: BlobKey,
    upload: Option<Box<dyn Upload>>,
    digest: digest::Context,
}

impl Incoming {
    fn new(blobs: Arc<dyn BlobStore>, key: BlobKey) -> Self {
        Self { blobs, key, upload: None, digest: digest::Context::new(&digest::SHA256) }
    }

    /// Hashes and writes; blocks.
    fn absorb(&mut self, piece: &[u8]) -> Result<(), WriteFault> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.blobs.begin(&self.key)?),
        };
        self.digest.update(piece);
        upload.write(piece)
    }
}

/// Receives a body and its length; what is left of it in memory is written by [`finish`].
async fn take(incoming: Incoming, mut payload: Payload, length: Length) -> Result<(Incoming, Piece, u64), Refusal> {
    let kind = incoming.key.kind;
    let room = usize::try_from(length.most).unwrap_or(usize::MAX);
    let mut at_work = AtWork::Idle(incoming);
    let (mut piece, mut received) = (Piece::new(room), 0);
    loop {
        let chunk = timeout(PATIENCE, payload.next()).await;
        let chunk = chunk.map_err(|_gone| Refusal::new(StatusCode::REQUEST_TIMEOUT, "nothing arrived for a minute"))?;
        let Some(chunk) = chunk else { break };
        let chunk =
            chunk.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        received += chunk.len() as u64;
        if received > length.most {
            // With a declared length the bytes end there.
            return Err(if length.most < kind.max_bytes() { quota_full() } else { too_large(kind) });
        }
        let mut chunk = &*chunk;
        while !chunk.is_empty() {
            if piece.is_full() {
                (at_work, piece) = at_work.absorb(piece).await?;
            }
            chunk = piece.fill(chunk);
        }
    }
    if let Some(len) = length.said.filter(|it| *it != received) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("{received} of {len} bytes arrived")));
    }
    let (incoming, _) = at_work.idle().await?;
    Ok((incoming, piece, received))
}

/// One piece is hashed and written while the next is received.
enum AtWork {
    Idle(Incoming),
    Busy(JoinHandle<Result<(Incoming, Piece), WriteFault>>),
}

impl AtWork {
    /// Waits for the piece being processed; its memory comes back empty.
    async fn idle(self) -> Result<(Incoming, Option<Piece>), Refusal> {
        match self {
            Self::Idle(incoming) => Ok((incoming, None)),
            Self::Busy(work) => {
                let (incoming, piece) = work.await??;
                Ok((incoming, Some(piece)))
            }
        }
    }

    /// Starts processing a piece, and returns memory for the next.
    async fn absorb(self, mut piece: Piece) -> Result<(Self, Piece), Refusal> {
        let (mut incoming, memory) = self.idle().await?;
        let work = spawn_blocking(move || {
            incoming.absorb(piece.bytes())?;
            piece.clear();
            Ok((incoming, piece))
        });
        Ok((Self::Busy(work), memory.unwrap_or_else(|| Piece::new(piece::SIZE))))
    }
}

/// What became of the bytes.
enum Placed {
    /// The same bytes were already there, intact.
    There,
    /// They were put where a ledger row said they should be but were not.
    Healed,
    /// They are durable but have no row.
    New(Stored),
}

/// A body that arrived completely.
struct Arrived {
    incoming: Incoming,
    rest: Piece,
    len: u64,
    sent_by: TokenKind,
    /// Whether the ledger had a row of it when it began to arrive.
    is_known: bool,
}

/// The hash, the disk, the ledger, in this order; only then may the client be told.
///
/// Whoever sends the same object at the same moment waits, and then finds it there.
async fn finish(door: Door, arrived: Arrived, _place: Place) -> Result<(), Refusal> {
    let _turn = door.in_flight.turn(&arrived.incoming.key).await;
    let (key, len, sent_by) = (arrived.incoming.key.clone(), arrived.len, arrived.sent_by);
    // Only what is sent again may be damaged, or have been removed in the meantime.
    let row = if arrived.is_known { door.store.read(row(key.clone())).await? } else { None };
    let placed = spawn_blocking(move || put_in_place(arrived, row)).await??;
    match placed {
        Placed::There => Ok(()),
        Placed::Healed => {
            let now = door.clock.now();
            door.store.act(move |conn| backup::object_healed(conn, &key, now)).await?;
            Ok(())
        }
        Placed::New(stored) => enter(&door, key, len, sent_by, stored).await,
    }
}

/// What the ledger says of an object that it has.
#[derive(Clone, Copy)]
struct Row {
    is_intact: bool,
}

fn row(key: BlobKey) -> impl FnOnce(&mut Conn) -> Result<Option<Row>, Error> + Send {
    move |conn| {
        let BlobKey { repository, kind, name } = &key;
        if store::object::find(conn, *repository, *kind, name)?.is_none() {
            return Ok(None);
        }
        let is_intact = store::copy::is_intact(conn, Location::Primary, *repository, *kind, name)?;
        Ok(Some(Row { is_intact }))
    }
}

fn put_in_place(arrived: Arrived, row: Option<Row>) -> Result<Placed, Refusal> {
    let Arrived { mut incoming, rest, .. } = arrived;
    incoming.absorb(rest.bytes())?;
    let Incoming { blobs, key, upload, digest } = incoming;
    let hash = digest.finish();
    if key.name.hash().is_none_or(|named| named != hash.as_ref()) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the body's SHA-256 is not the object's name"));
    }
    let Some(upload) = upload else { return Err(WriteFault::Failed("an upload was not begun".to_owned()).into()) };
    let is_there = blobs.size(&key)?.is_some();
    Ok(match (row, is_there) {
        (Some(Row { is_intact: true }), true) if backup::is_sound(&*blobs, &key)? => Placed::There,
        (Some(_), _) => {
            upload.replace()?.settle();
            Placed::Healed
        }
        // A crash left the bytes without their row, or another upload was faster: what has just arrived is known
        // to be complete.
        (None, true) => Placed::New(upload.replace()?),
        (None, false) => Placed::New(upload.commit()?),
    })
}

/// Writes the ledger's row.
async fn enter(door: &Door, key: BlobKey, len: u64, sent_by: TokenKind, stored: Stored) -> Result<(), Refusal> {
    let now = door.clock.now();
    let size = i64::try_from(len).unwrap_or(i64::MAX);
    let (entered, is_snapshot) = (key.clone(), key.kind == ObjectKind::Snapshots);
    let work = move |conn: &mut Conn| backup::received(conn, &entered, size, sent_by, now);
    // A snapshot queues a test and writes an entry; nothing else has to wait for acts.
    let added = if is_snapshot { door.store.act(work).await } else { door.store.write(work).await };
    match added {
        Ok(_) => {
            // Not waited for: if it fails, the next start deals with what is left.
            drop(spawn_blocking(move || stored.settle()));
            Ok(())
        }
        Err(error @ (Error::Full(_) | Error::Refused(_) | Error::NotFound(_))) => {
            let door = door.clone();
            spawn_blocking(move || backup::discard(&door.store, &*door.blobs, &key)).await??;
            stored.settle();
            Err(error.into())
        }
        // Nobody knows whether the row is there; the next start or the next try finds out.
        Err(error) => Err(error.into()),
    }
}
