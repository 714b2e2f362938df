//! Large bodies are held in memory until they are parsed: one per device, and all together within a budget.
//!
//! What counts is what has arrived, not what was announced: a device that claims much but sends little takes no
//! room.
use crate::protocol::agent::fault::Fault;
use domain::id::DeviceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many bytes all large bodies together may hold: two of the largest.
const BUDGET: u64 = 128 << 20;
const PAUSE: Duration = Duration::from_secs(2);

/// The large bodies that are being received, by their device. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LargeBodies(Arc<Mutex<HashMap<DeviceId, u64>>>);

/// The place of one body; dropping it gives it back.
#[derive(Debug)]
pub struct Place(LargeBodies, DeviceId);

impl LargeBodies {
    fn now(&self) -> MutexGuard<'_, HashMap<DeviceId, u64>> {
        // A map of numbers is intact after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves the place of a body of which nothing has arrived yet.
    ///
    /// # Errors
    /// 503 when this device is already sending one.
    pub fn enter(&self, device: DeviceId) -> Result<Place, Fault> {
        let mut now = self.now();
        if now.contains_key(&device) {
            return Err(Fault::busy("this device is sending another large message; try again", PAUSE));
        }
        now.insert(device, 0);
        Ok(Place(self.clone(), device))
    }
}

impl Place {
    /// Counts this many more bytes as arrived.
    ///
    /// # Errors
    /// 503 when all bodies together hold too many.
    pub fn holds(&self, bytes: u64) -> Result<(), Fault> {
        let mut now = self.0.now();
        if now.values().sum::<u64>() + bytes > BUDGET {
            return Err(Fault::busy("the server has all the large messages it can take; try again", PAUSE));
        }
        *now.entry(self.1).or_default() += bytes;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Time;

    fn device(at: i64) -> DeviceId {
        DeviceId::generate(Time::from_millis(at))
    }

    #[test]
    fn one_per_device_and_no_more_than_the_memory_holds() {
        let (bodies, one) = (LargeBodies::default(), device(1));

        let first = bodies.enter(one).unwrap();
        assert!(bodies.enter(one).is_err(), "a second of the same device");
        let (second, third) = (bodies.enter(device(2)).unwrap(), bodies.enter(device(3)).unwrap());
        third.holds(1).unwrap();
        first.holds(64 << 20).unwrap();
        second.holds((64 << 20) - 1).unwrap();
        assert!(third.holds(1).is_err(), "over the budget");

        drop((first, second));
        third.holds((128 << 20) - 1).unwrap();
    }
}
