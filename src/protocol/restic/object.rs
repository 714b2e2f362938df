//! Reads, lists and unlocks: first the ledger, only then the bytes.
use crate::blob::{BlobKey, BlobStore, ReadFault};
use crate::error::Error;
use crate::protocol::restic::answer::Refusal;
use crate::protocol::restic::range::{Wanted, wanted};
use crate::protocol::restic::{Asking, Door};
use crate::service::{backup, repository};
use crate::store::object::Object;
use crate::store::{self, Conn};
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use domain::id::RepositoryId;
use domain::object::{ObjectKind, ObjectName};
use futures_util::stream;
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

const V1: &str = "application/vnd.x.restic.rest.v1";
const V2: &str = "application/vnd.x.restic.rest.v2";

/// Bytes are read and sent in pieces of this size, two of which are in memory at once.
const PIECE: u64 = 256 << 10;

/// What the ledger says about one object.
#[derive(Debug, Default)]
pub struct Known {
    pub object: Option<Object>,
    /// How many locks there are, if a lock is named.
    pub lock_count: i64,
}

impl Known {
    /// # Errors
    /// When the database refuses.
    pub fn find(conn: &mut Conn, id: RepositoryId, kind: ObjectKind, name: &ObjectName) -> Result<Self, Error> {
        let object = store::object::find(conn, id, kind, name)?;
        let lock_count = if kind == ObjectKind::Locks { store::object::count(conn, id, ObjectKind::Locks)? } else { 0 };
        Ok(Self { object, lock_count })
    }
}

/// `GET` and `HEAD` of an object.
pub async fn read(request: &HttpRequest, asking: Asking) -> Result<HttpResponse, Refusal> {
    let right = asking.access.right;
    if asking.known.object.as_ref().is_some_and(|it| !right.reads(it.kind)) && request.method() != Method::HEAD {
        return Err(Refusal::forbidden("this token can only append, not read backups"));
    }
    let object =
        asking.known.object.filter(|it| right.shows(it.kind, it.received_at)).ok_or_else(Refusal::not_found)?;
    let size = object.size();
    let key = BlobKey::new(object.repository_id, object.kind, object.name);
    if request.method() == Method::HEAD {
        let nothing = stream::empty::<Result<Bytes, Refusal>>();
        return Ok(HttpResponse::Ok().content_type("application/octet-stream").body(SizedStream::new(size, nothing)));
    }
    let range = request.headers().get(header::RANGE).and_then(|it| it.to_str().ok());
    let (status, range) = match wanted(range, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::PastTheEnd => {
            let mut response = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "the object ends before this range");
            return Ok(past_the_end(&mut response, size));
        }
    };
    if store::kept_object::KINDS.contains(&key.kind) {
        let (door, opens, now) = (asking.door.clone(), key.clone(), asking.door.clock.now());
        let healed = spawn_blocking(move || repository::heal_one(&door.store, &*door.blobs, &opens, now)).await;
        // If it cannot be restored, what is there is judged like any other object.
        if let Ok(Err(error)) = healed {
            tracing::warn!(%key, error = format!("{error:#}"), "a file that opens a repository could not be healed");
        }
    }
    let first = fetch(&asking.door.blobs, &key, &range, size).await?;
    let Some(first) = first.filter(|it| it.len() as u64 == (range.end - range.start).min(PIECE)) else {
        damaged(&asking.door, key).await?;
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "the server has lost this object or part of it; it is marked as damaged, and sending it again heals it",
        ));
    };
    let mut response = HttpResponse::build(status);
    response.content_type("application/octet-stream").insert_header((header::ACCEPT_RANGES, "bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        response.insert_header((header::CONTENT_RANGE, text));
    }
    let len = range.end - range.start;
    Ok(response.body(SizedStream::new(len, Sending::start(asking.door, key, range, first).into_stream())))
}

fn past_the_end(refusal: &mut Refusal, size: u64) -> HttpResponse {
    use actix_web::ResponseError;
    let mut response = refusal.error_response();
    if let Ok(value) = header::HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

async fn fetch(
    blobs: &Arc<dyn BlobStore>,
    key: &BlobKey,
    range: &Range<u64>,
    size: u64,
) -> Result<Option<Bytes>, Refusal> {
    let piece = (range.start, range.end.min(range.start + PIECE));
    let piece = first_piece(Arc::clone(blobs), key.clone(), piece, size);
    Ok(piece.await??)
}

/// What was read of an object; none if the store has lost it.
type Piece = Result<Option<Bytes>, ReadFault>;

/// The first piece of an object; none if the store has lost it or part of it.
///
/// An object shorter than its row counts as lost before its first byte is sent, not in the middle of an answer.
fn first_piece(blobs: Arc<dyn BlobStore>, key: BlobKey, (from, to): (u64, u64), size: u64) -> JoinHandle<Piece> {
    spawn_blocking(move || match blobs.size(&key)? {
        Some(found) if found == size => read_whole(&*blobs, &key, from, to),
        Some(_) | None => Ok(None),
    })
}

fn read_whole(blobs: &dyn BlobStore, key: &BlobKey, from: u64, to: u64) -> Piece {
    match blobs.read(key, from, to - from) {
        Ok(piece) => Ok(Some(Bytes::from(piece))),
        Err(ReadFault::Lost | ReadFault::Unreadable(_)) => Ok(None),
        Err(fault @ ReadFault::Away(_)) => Err(fault),
    }
}

fn read_piece(blobs: Arc<dyn BlobStore>, key: BlobKey, from: u64, to: u64) -> JoinHandle<Piece> {
    spawn_blocking(move || read_whole(&*blobs, &key, from, to))
}

/// An object on its way out: while one piece is sent, the next is read.
struct Sending {
    door: Door,
    key: BlobKey,
    ready: Option<Bytes>,
    next: Option<JoinHandle<Piece>>,
    rest: Range<u64>,
}

impl Sending {
    fn start(door: Door, key: BlobKey, range: Range<u64>, first: Bytes) -> Self {
        let rest = (range.start + first.len() as u64)..range.end;
        Self { door, key, ready: Some(first), next: None, rest }
    }

    fn read_ahead(&mut self) {
        if self.rest.start < self.rest.end {
            let to = self.rest.end.min(self.rest.start + PIECE);
            self.next = Some(read_piece(Arc::clone(&self.door.blobs), self.key.clone(), self.rest.start, to));
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(first) = self.ready.take() {
            self.read_ahead();
            return Ok(Some(first));
        }
        let Some(next) = self.next.take() else { return Ok(None) };
        let expected = (self.rest.end - self.rest.start).min(PIECE);
        let piece = next.await??.filter(|it| it.len() as u64 == expected);
        let Some(piece) = piece else {
            let key = self.key.clone();
            damaged(&self.door, key).await?;
            // Nobody reads its status: the answer has begun, and breaks off here.
            return Err(Refusal::not_found());
        };
        self.rest.start += piece.len() as u64;
        self.read_ahead();
        Ok(Some(piece))
    }

    fn into_stream(self) -> impl stream::Stream<Item = Result<Bytes, Refusal>> {
        stream::try_unfold(self, |mut sending| async move { Ok(sending.step().await?.map(|piece| (piece, sending))) })
    }
}

/// Records that the ledger's object is not completely there, and has the newest backup tested.
async fn damaged(door: &Door, key: BlobKey) -> Result<(), Refusal> {
    let now = door.clock.now();
    door.store.act(move |conn| backup::object_damaged(conn, &key, now)).await?;
    Ok(())
}

/// `GET {kind}/`.
pub async fn list(request: &HttpRequest, asking: Asking, kind: ObjectKind) -> Result<HttpResponse, Refusal> {
    let is_v2 = request.headers().get(header::ACCEPT).is_some_and(|it| it == V2);
    let (id, right) = (asking.access.repository.id, asking.access.right);
    let text = asking.door.store.read(move |conn| {
        // For a client that cannot read them there are none: restic then makes a backup that does not build on
        // an earlier one.
        let objects =
            if right.reads(kind) { store::object::list(conn, id, kind, right.until_of(kind))? } else { Vec::new() };
        Ok::<_, Error>(if is_v2 { names_and_sizes(&objects) } else { names(&objects) })
    });
    Ok(HttpResponse::Ok().content_type(if is_v2 { V2 } else { V1 }).body(text.await?))
}

fn names(objects: &[(ObjectName, i64)]) -> String {
    let names: Vec<_> = objects.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("[{}]", names.join(","))
}

/// Written by hand: a name is hex and needs no escaping, and there may be a hundred thousand.
fn names_and_sizes(objects: &[(ObjectName, i64)]) -> String {
    let mut text = String::with_capacity(objects.len() * 96 + 2);
    text.push('[');
    for (at, (name, size)) in objects.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{{\"name\":\"{name}\",\"size\":{size}}}");
    }
    text.push(']');
    text
}

/// `DELETE locks/{name}`: the one thing a client may remove; fine if it is already gone.
pub async fn unlock(asking: Asking, name: ObjectName) -> Result<HttpResponse, Refusal> {
    if asking.access.right.until().is_some() {
        return Err(Refusal::forbidden("this ticket can only read"));
    }
    let key = BlobKey::new(asking.access.repository.id, ObjectKind::Locks, name);
    let (door, gone) = (asking.door, key.clone());
    // Not between the ledger and the bytes of one that is sent again.
    let _turn = door.in_flight.turn(&key).await;
    door.store.write(move |conn| backup::unlocked(conn, &gone)).await?;
    let blobs = Arc::clone(&door.blobs);
    spawn_blocking(move || blobs.remove(&key)).await??;
    Ok(HttpResponse::Ok().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_json() {
        let object = (ObjectName::from_hash(&[7; 32]), 12);
        let v2: serde_json::Value = serde_json::from_str(&names_and_sizes(&[object.clone(), object.clone()])).unwrap();
        assert_eq!(v2[1]["size"], 12);
        let v1: Vec<String> = serde_json::from_str(&names(std::slice::from_ref(&object))).unwrap();
        assert_eq!(v1, [object.0.as_str()]);
        assert_eq!(names_and_sizes(&[]), "[]");
    }
}
