//! Large bodies are held in memory until they are understood: so many bytes at once, and one of each device.
use crate::domain::id::DeviceId;
use crate::protocol::agent::fault::Fault;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that all large bodies together may hold: two of the largest.
const BUDGET: u64 = 128 << 20;

/// The large bodies that are being received, by their device. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LargeBodies(Arc<Mutex<HashMap<DeviceId, u64>>>);

/// The place of one body; dropping it gives it back.
#[derive(Debug)]
pub struct Place(LargeBodies, DeviceId);

impl LargeBodies {
    fn now(&self) -> MutexGuard<'_, HashMap<DeviceId, u64>> {
        // A map of numbers is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of a body of at most `bytes`.
    ///
    /// # Errors
    /// 503 when this device sends one already, or all together are too many bytes.
    pub fn enter(&self, device: DeviceId, bytes: u64) -> Result<Place, Fault> {
        let busy = |text| Err(Fault::busy(text, Duration::from_secs(2)));
        let mut now = self.now();
        if now.contains_key(&device) {
            return busy("this device sends another large message; try again");
        }
        if now.values().sum::<u64>() + bytes > BUDGET {
            return busy("the server has all the large messages that it can take; try again");
        }
        now.insert(device, bytes);
        Ok(Place(self.clone(), device))
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
    use crate::domain::time::Time;

    fn device(at: i64) -> DeviceId {
        DeviceId::generate(Time::from_millis(at))
    }

    #[test]
    fn one_of_a_device_and_no_more_than_the_memory_holds() {
        let (bodies, one) = (LargeBodies::default(), device(1));

        let first = bodies.enter(one, 64 << 20).unwrap();
        assert!(bodies.enter(one, 1 << 20).is_err(), "a second of the same device");
        let second = bodies.enter(device(2), 64 << 20).unwrap();
        assert!(bodies.enter(device(3), 1).is_err(), "over the budget");

        drop((first, second));
        assert!(bodies.enter(one, 128 << 20).is_ok());
    }
}
