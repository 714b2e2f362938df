//! How much is under way at once, so that one device cannot crowd out another
//! and all of them together cannot fill the memory.
use crate::blob::BlobKey;
use crate::protocol::restic::answer::Refusal;
use domain::id::RepositoryId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Concurrent uploads per repository; restic makes 5, and one more is a retry.
pub const PER_REPOSITORY: usize = 6;

/// How many bytes all uploads together may hold in memory.
pub const BUDGET: u64 = 256 << 20;

/// What is under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<Now>>);

#[derive(Debug, Default)]
struct Now {
    bytes: u64,
    repositories: HashMap<RepositoryId, usize>,
    keys: HashSet<BlobKey>,
}

/// One upload's place; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    in_flight: InFlight,
    key: BlobKey,
    bytes: u64,
}

impl InFlight {
    fn now(&self) -> MutexGuard<'_, Now> {
        // Counts and sets are intact after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for an upload that holds at most `bytes` in memory.
    ///
    /// # Errors
    /// 503 when the repository or the server has enough under way.
    pub fn enter(&self, key: &BlobKey, bytes: u64) -> Result<Place, Refusal> {
        let mut now = self.now();
        if now.repositories.get(&key.repository).is_some_and(|count| *count >= PER_REPOSITORY) {
            return Err(Refusal::busy("too many simultaneous uploads from this device; try again"));
        }
        if now.bytes + bytes > BUDGET {
            return Err(Refusal::busy("the server has all the uploads it can take; try again"));
        }
        if !now.keys.insert(key.clone()) {
            return Err(Refusal::busy("this object is already being uploaded; try again"));
        }
        *now.repositories.entry(key.repository).or_default() += 1;
        now.bytes += bytes;
        Ok(Place { in_flight: self.clone(), key: key.clone(), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.in_flight.now();
        now.bytes -= self.bytes;
        now.keys.remove(&self.key);
        if let Some(count) = now.repositories.get_mut(&self.key.repository) {
            *count -= 1;
            if *count == 0 {
                now.repositories.remove(&self.key.repository);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::object::{ObjectKind, ObjectName};

    fn key(repository: i64, name: u8) -> BlobKey {
        let name = ObjectName::from_hash(&[name; 32]);
        BlobKey::new(
            RepositoryId::parse(&format!("0190163d-8694-739b-aea5-{repository:012}")).unwrap(),
            ObjectKind::Data,
            name,
        )
    }

    #[test]
    fn one_repository_cannot_take_the_place_of_another() {
        let in_flight = InFlight::default();
        let places: Vec<_> = (0..6).map(|at| in_flight.enter(&key(1, at), 1).unwrap()).collect();

        assert!(in_flight.enter(&key(1, 9), 1).is_err());
        assert!(in_flight.enter(&key(2, 9), 1).is_ok());
        drop(places);
        assert!(in_flight.enter(&key(1, 9), 1).is_ok());
    }

    #[test]
    fn an_object_is_on_its_way_once() {
        let in_flight = InFlight::default();
        let _place = in_flight.enter(&key(1, 1), 1).unwrap();
        assert!(in_flight.enter(&key(1, 1), 1).is_err());
        assert!(in_flight.enter(&key(2, 1), 1).is_ok());
    }

    #[test]
    fn the_budget_is_shared_by_all() {
        let in_flight = InFlight::default();
        let place = in_flight.enter(&key(1, 1), BUDGET).unwrap();
        assert!(in_flight.enter(&key(2, 2), 1).is_err());
        drop(place);
        assert!(in_flight.enter(&key(2, 2), 1).is_ok());
        assert!(in_flight.now().repositories.is_empty());
    }
}
