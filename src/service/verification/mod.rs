//! Verification: reads back from storage what was stored, and looks for what is not there.
//!
//! Two reconcilers for each location. [`Verifier::read_back`] reads bytes past the system's cache and compares them with
//! their names: first what was never read, then everything again in each cycle. [`Verifier::list`] compares the names
//! and sizes that a store lists with the ledger, repository by repository, and counts. A store that is away proves
//! nothing: nothing is noted then, good or bad.
mod damage;
mod examine;
mod list;
mod read_back;
mod resend;
mod shown;

pub use read_back::next_batch;
pub use resend::ask_again;
pub use shown::{Affected, AffectedPoint, Named, Shown, shown, standings};

use crate::blob::{BlobKey, BlobStore, StoreFault};
use crate::error::Result;
use crate::service::ground::Guarded;
use crate::store::verification::SizedCopy;
use crate::store::{self, Conn, Store};
use domain::ground::Ground;
use domain::object::Location;
use domain::time::Time;
use domain::verification::{Pace, Settings};
use list::Listing;
use read_back::Reading;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A location, and the store that has its bytes.
#[derive(Clone)]
pub struct Place {
    pub location: Location,
    pub blobs: Arc<dyn BlobStore>,
}

/// A question that is answered anew each time it is asked.
pub type Ask = Arc<dyn Fn() -> bool + Send + Sync>;

/// Verifies one location. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    store: Store,
    place: Place,
    settings: Settings,
    /// Whether devices are sending at the moment.
    is_receiving: Ask,
    /// Each has its own, so that a long list does not keep bytes from being read.
    reads: Guarded,
    lists: Guarded,
    reading: Mutex<Reading>,
    listing: Mutex<Listing>,
}

/// The verifiers of all locations, in the order in which pages show them.
#[derive(Clone, Default)]
pub struct Verifiers(pub Vec<Verifier>);

/// What one turn did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// How many objects were looked at.
    pub looked_at: usize,
    /// How many of them were found missing or changed, which nobody knew.
    pub damaged: usize,
    /// How many were known to be damaged, and are not.
    pub healed: usize,
    /// The next turn has something to do at once.
    pub more: bool,
}

impl Verifier {
    /// Verifies what is at a place; most of it waits while devices are sending.
    pub fn new(store: Store, place: Place, settings: Settings, is_receiving: Ask) -> Self {
        Self(Arc::new(Inner {
            store,
            place,
            settings,
            is_receiving,
            reads: Guarded::default(),
            lists: Guarded::default(),
            reading: Mutex::default(),
            listing: Mutex::default(),
        }))
    }

    /// The location.
    pub fn location(&self) -> Location {
        self.0.place.location
    }

    /// How it is done.
    pub fn settings(&self) -> Settings {
        self.0.settings
    }

    /// What it is doing; none before the first turn since the start.
    pub fn pace(&self) -> Option<Pace> {
        self.reading().pace
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.0.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.0.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the location is known to be away.
    fn is_away(&self) -> Result<bool> {
        let location = self.location();
        let away = self.0.store.read_blocking(move |conn| match location {
            Location::Primary => store::ground::away(conn),
            // It looks itself.
            Location::Copy => store::ground::copy_noted_away(conn),
        })?;
        Ok(away.is_some())
    }

    fn note_away(&self, fault: &StoreFault) {
        tracing::warn!(location = %self.location(), why = fault.why, "nothing was verified: the store cannot be read");
    }
}

/// Whether a location can be read and written.
///
/// # Errors
/// When the database refuses.
pub fn ground(conn: &mut Conn, location: Location, now: Time) -> Result<Ground> {
    match location {
        Location::Primary => Ok(store::ground::find(conn)?),
        // Nothing is ever received there; what cannot be written there is told by the copying itself.
        Location::Copy => Ok(Ground { away: store::ground::copy_away(conn, now)?, ..Ground::default() }),
    }
}

/// Where the bytes of a copy are.
fn key_of(copy: &SizedCopy) -> BlobKey {
    BlobKey::new(copy.repository_id, copy.kind, copy.name.clone())
}
