//! How much is under way at once, so that one device cannot crowd out another
//! and all of them together cannot fill the memory.
use crate::blob::BlobKey;
use crate::protocol::restic::answer::Refusal;
use domain::id::RepositoryId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Concurrent uploads per repository; restic makes 5, a proxy may send each twice, and two more are retries.
pub const PER_REPOSITORY: usize = 12;

/// How many bytes all uploads together may hold in memory.
pub const BUDGET: u64 = 256 << 20;

/// What is under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    now: Mutex<Now>,
    turn_ended: Notify,
}

#[derive(Debug, Default)]
struct Now {
    bytes: u64,
    repositories: HashMap<RepositoryId, usize>,
    being_stored: HashSet<BlobKey>,
}

/// One upload's place; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    in_flight: InFlight,
    repository: RepositoryId,
    bytes: u64,
}

/// The turn to store one object; dropping it lets the next one in.
#[derive(Debug)]
pub struct Turn {
    in_flight: InFlight,
    key: BlobKey,
}

impl InFlight {
    fn now(&self) -> MutexGuard<'_, Now> {
        // Counts and sets are intact after any panic.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for an upload that holds at most `bytes` in memory.
    ///
    /// # Errors
    /// 503 when the repository or the server has enough under way.
    pub fn enter(&self, repository: RepositoryId, bytes: u64) -> Result<Place, Refusal> {
        let mut now = self.now();
        if now.repositories.get(&repository).is_some_and(|count| *count >= PER_REPOSITORY) {
            return Err(Refusal::busy("too many simultaneous uploads from this device; try again"));
        }
        if now.bytes + bytes > BUDGET {
            return Err(Refusal::busy("the server has all the uploads it can take; try again"));
        }
        *now.repositories.entry(repository).or_default() += 1;
        now.bytes += bytes;
        Ok(Place { in_flight: self.clone(), repository, bytes })
    }

    /// Whether anything is on its way.
    pub fn is_any(&self) -> bool {
        !self.now().repositories.is_empty()
    }

    /// Waits until nobody else stores the same object.
    ///
    /// Taken once all its bytes have arrived, so that an upload that trickles or has died keeps no other waiting:
    /// a client's second try, or a proxy that sends everything twice.
    pub async fn turn(&self, key: &BlobKey) -> Turn {
        loop {
            // Before the look: a turn that ends in between is not missed.
            let ended = self.0.turn_ended.notified();
            if self.now().being_stored.insert(key.clone()) {
                return Turn { in_flight: self.clone(), key: key.clone() };
            }
            ended.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.in_flight.now().being_stored.remove(&self.key);
        self.in_flight.0.turn_ended.notify_waiters();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.in_flight.now();
        now.bytes -= self.bytes;
        if let Some(count) = now.repositories.get_mut(&self.repository) {
            *count -= 1;
            if *count == 0 {
                now.repositories.remove(&self.repository);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::object::{ObjectKind, ObjectName};
    use futures_util::FutureExt;

    fn repository(number: u8) -> RepositoryId {
        RepositoryId::parse(&format!("0190163d-8694-739b-aea5-{number:012}")).unwrap()
    }

    #[test]
    fn one_repository_cannot_take_the_place_of_another() {
        let in_flight = InFlight::default();
        let places: Vec<_> = (0..PER_REPOSITORY).map(|_| in_flight.enter(repository(1), 1).unwrap()).collect();

        assert!(in_flight.enter(repository(1), 1).is_err());
        assert!(in_flight.enter(repository(2), 1).is_ok());
        assert!(in_flight.is_any());
        drop(places);
        assert!(!in_flight.is_any());
        assert!(in_flight.enter(repository(1), 1).is_ok());
    }

    #[test]
    fn an_object_is_stored_by_one_at_a_time_and_the_next_one_waits_for_it() {
        let key = |number| BlobKey::new(repository(number), ObjectKind::Data, ObjectName::from_hash(&[1; 32]));
        let in_flight = InFlight::default();
        let first = in_flight.turn(&key(1)).now_or_never().unwrap();
        let (one, other) = (key(1), key(1));
        let mut waiting = [Box::pin(in_flight.turn(&one)), Box::pin(in_flight.turn(&other))];

        assert!(waiting.iter_mut().all(|it| it.now_or_never().is_none()));
        assert!(in_flight.turn(&key(2)).now_or_never().is_some(), "another repository's is another object");
        drop(first);

        let [second, mut third] = waiting;
        let second = second.now_or_never().unwrap();
        assert!((&mut third).now_or_never().is_none());
        drop(second);
        assert!(third.now_or_never().is_some());
        assert!(in_flight.now().being_stored.is_empty());
    }

    #[test]
    fn the_budget_is_shared_by_all() {
        let in_flight = InFlight::default();
        let place = in_flight.enter(repository(1), BUDGET).unwrap();
        assert!(in_flight.enter(repository(2), 1).is_err());
        drop(place);
        assert!(in_flight.enter(repository(2), 1).is_ok());
        assert!(in_flight.now().repositories.is_empty());
    }
}
