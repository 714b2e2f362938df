//! How many such processes run at once: in all, and for one person.
use crate::error::{Error, Result};
use domain::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many look inside at once. Each takes a process of at most a gibibyte and the ledger of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub all: usize,
    /// One person, or whoever has their session, cannot keep all others from looking.
    pub of_one: usize,
}

/// Looking at a page takes a moment.
pub(super) const LOOKING: Limits = Limits { all: 4, of_one: 2 };

/// A download takes as long as its reader likes.
pub(super) const TAKING: Limits = Limits { all: 4, of_one: 2 };

/// When to try again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// Places, each taken by one process. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room {
    limits: Limits,
    taken: Arc<Mutex<HashMap<UserId, usize>>>,
}

/// One place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    of: UserId,
}

impl Room {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// `Busy` when there is none.
    pub(super) fn enter(&self, of: UserId) -> Result<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&of).copied().unwrap_or(0);
        if own >= self.limits.of_one || taken.values().sum::<usize>() >= self.limits.all {
            return Err(Error::Busy(AGAIN));
        }
        taken.insert(of, own + 1);
        Ok(Place { room: self.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get(&self.of).copied() {
            Some(own) if own > 1 => drop(taken.insert(self.of, own - 1)),
            Some(_) | None => drop(taken.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Time;

    #[test]
    fn one_person_leaves_room_for_others_and_a_place_is_free_again() {
        let room = Room::new(Limits { all: 3, of_one: 2 });
        let [a, b, c] = [1, 2, 3].map(|at| UserId::generate(Time::from_millis(at)));
        let first = room.enter(a).unwrap();
        let _second = room.enter(a).unwrap();
        assert!(matches!(room.enter(a), Err(Error::Busy(_))), "one person has enough");
        let third = room.enter(b).unwrap();
        assert!(matches!(room.enter(c), Err(Error::Busy(_))), "all are taken");
        drop(first);
        drop(third);
        assert!(room.enter(a).is_ok());
        assert!(room.enter(c).is_ok());
    }
}
