//! Bounds the memory of objects on their way.
use std::sync::{Condvar, Mutex, PoisonError};

/// How many bytes of objects are on their way at once. On the way to a bucket each is in memory twice.
const MOST: u64 = 96 << 20;

/// What is shared by the objects on their way.
#[derive(Default)]
pub struct Memory {
    taken: Mutex<u64>,
    freed: Condvar,
}

/// The part of one object; free again when it is dropped.
pub struct Held<'a> {
    memory: &'a Memory,
    size: u64,
}

impl Memory {
    /// Waits until there is room for `size` bytes; what is too large for all of it waits until it is alone.
    pub fn take(&self, size: u64) -> Held<'_> {
        let size = size.min(MOST);
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |taken: &mut u64| *taken > 0 && *taken + size > MOST;
        let mut taken = self.freed.wait_while(taken, is_full).unwrap_or_else(PoisonError::into_inner);
        *taken += size;
        Held { memory: self, size }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.memory.taken.lock().unwrap_or_else(PoisonError::into_inner) -= self.size;
        self.memory.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_on_their_way_share_the_memory_and_a_large_one_has_it_to_itself() {
        let memory = Memory::default();
        let (small, other) = (memory.take(MOST / 2), memory.take(MOST / 2));
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _held = memory.take(u64::MAX);
                order.lock().unwrap().push("large");
            });
            order.lock().unwrap().push("small");
            drop(small);
            drop(other);
        });
        assert_eq!(*order.lock().unwrap(), ["small", "large"]);
        assert_eq!(*memory.taken.lock().unwrap(), 0);
    }
}
