//! Reads an object back, and says whether it is what it should be.
use super::key_of;
use crate::blob::{BlobKey, BlobStore, ReadFault, StoreFault};
use crate::store::verification::{Place, SizedCopy};
use aws_lc_rs::digest;
use std::ops::ControlFlow;

/// An object that is to be read back.
#[derive(Debug, Clone)]
pub struct Want {
    pub copy: SizedCopy,
    /// The bytes as the database keeps them, if it does.
    pub kept: Option<Vec<u8>>,
}

impl Want {
    /// Where it is.
    pub fn key(&self) -> BlobKey {
        key_of(&self.copy)
    }

    /// Its place in an order over everything.
    pub fn place(&self) -> Place {
        (self.copy.repository_id, self.copy.kind, self.copy.name.clone())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Intact,
    /// Missing or changed; what, in words.
    Damaged(String),
    /// Nobody can say: it is not named by its hash, and there is nothing to compare it with.
    Unsaid,
}

/// Why nothing was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to end.
    Stopped,
    /// The store as a whole cannot be read, which says nothing about the object.
    Away(StoreFault),
}

/// Reads an object back. What differs is read once more before it is called damaged. `go_on` is asked after each piece.
pub fn examine(blobs: &dyn BlobStore, want: &Want, go_on: &dyn Fn() -> bool) -> Result<Found, Ended> {
    let first = read(blobs, want, go_on)?;
    let Found::Damaged(why) = &first else { return Ok(first) };
    let second = read(blobs, want, go_on)?;
    if !matches!(second, Found::Damaged(_)) {
        tracing::error!(
            key = %want.key(), why,
            "an object was read in two ways: its disk or the memory of this machine is failing"
        );
    }
    Ok(second)
}

fn read(blobs: &dyn BlobStore, want: &Want, go_on: &dyn Fn() -> bool) -> Result<Found, Ended> {
    let (key, size) = (want.key(), want.copy.size());
    let mut hash = digest::Context::new(&digest::SHA256);
    let (mut len, mut is_stopped) = (0, false);
    let done = blobs.read_back(&key, &mut |piece| {
        hash.update(piece);
        len += piece.len() as u64;
        is_stopped = !go_on();
        // What is longer than it should be is damaged, however long it is.
        if is_stopped || len > size { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match done {
        Err(ReadFault::Away(fault)) => return Err(Ended::Away(fault)),
        Err(ReadFault::Lost) => return Ok(Found::Damaged("it is missing from the store".to_owned())),
        Err(ReadFault::Unreadable(why)) => return Ok(Found::Damaged(format!("the disk cannot read it: {why}"))),
        Ok(()) if is_stopped => return Err(Ended::Stopped),
        Ok(()) => {}
    }
    if len != size {
        let more_or_less = if len > size { "more" } else { "fewer" };
        return Ok(Found::Damaged(format!("it has {more_or_less} bytes than the {size} that were stored")));
    }
    let is_same = match (key.name.hash(), &want.kept) {
        (Some(named), _) => named == hash.finish().as_ref(),
        (None, Some(kept)) => secret::sha256(kept) == hash.finish().as_ref(),
        (None, None) => return Ok(Found::Unsaid),
    };
    Ok(if is_same { Found::Intact } else { Found::Damaged("its bytes have changed on the disk".to_owned()) })
}
