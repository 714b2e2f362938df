//! Numbers that are good once, for five to ten minutes, and only as long as this process lives: a client that comes with
//! another is given a new one and comes again. So a stranger's requests leave nothing in the database.
use apple::acme::{NonceError, NonceKey};
use domain::time::{Time, minutes};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The unit in which they are counted.
const PERIOD: std::time::Duration = minutes(5);

/// How many that were used are remembered; after that, all that are out end.
const MOST: usize = 100_000;

/// Those that this process issued.
#[derive(Debug)]
pub struct Nonces(Mutex<State>);

#[derive(Debug)]
struct State {
    key: NonceKey,
    /// Those that were used, and when they were issued.
    used: HashMap<String, u64>,
    /// When the old ones were last forgotten.
    swept: u64,
}

impl Nonces {
    /// None is out yet.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new() -> Result<Self, NonceError> {
        Ok(Self(Mutex::new(State { key: NonceKey::generate()?, used: HashMap::new(), swept: 0 })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn issue(&self, now: Time) -> Result<String, NonceError> {
        self.state().key.issue(period(now))
    }

    /// Uses one up; false if it is none of ours, was used, or is too old.
    pub fn take(&self, nonce: &str, now: Time) -> bool {
        let (mut state, now) = (self.state(), period(now));
        let Some(issued) = state.key.period(nonce).filter(|it| (*it..=*it + 1).contains(&now)) else { return false };
        if state.swept != now {
            state.used.retain(|_, issued| *issued + 1 >= now);
            state.swept = now;
        }
        if state.used.len() >= MOST {
            // Without the key nobody can use one twice.
            if let Ok(key) = NonceKey::generate() {
                *state = State { key, used: HashMap::new(), swept: now };
            }
            return false;
        }
        state.used.insert(nonce.to_owned(), issued).is_none()
    }
}

fn period(time: Time) -> u64 {
    let millis = u64::try_from(time.millis()).unwrap_or_default();
    u64::try_from(PERIOD.as_millis()).map_or(0, |it| millis / it)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_795_356_371_000);

    #[test]
    fn a_nonce_is_good_once_for_five_to_ten_minutes() {
        let nonces = Nonces::new().unwrap();
        let nonce = nonces.issue(NOW).unwrap();
        assert!(nonces.take(&nonce, NOW));
        assert!(!nonces.take(&nonce, NOW) && !nonces.take(&nonce, NOW + minutes(5)), "twice");
        let (one, two) = (nonces.issue(NOW).unwrap(), nonces.issue(NOW).unwrap());
        assert!(nonces.take(&one, NOW + minutes(5)));
        assert!(!nonces.take(&two, NOW + minutes(10)), "too old");
        assert!(!nonces.take(&nonces.issue(NOW + minutes(20)).unwrap(), NOW), "the clock was set back");
        assert!(!nonces.take(&Nonces::new().unwrap().issue(NOW).unwrap(), NOW), "another process’s");
    }

    #[test]
    fn what_was_used_is_forgotten_once_it_is_too_old_and_never_grows_without_end() {
        let nonces = Nonces::new().unwrap();
        let later = NOW + minutes(20);
        assert!(nonces.take(&nonces.issue(NOW).unwrap(), NOW));
        assert!(nonces.take(&nonces.issue(later).unwrap(), later));
        assert_eq!(nonces.state().used.len(), 1);
        nonces.state().used = (0..MOST).map(|it| (it.to_string(), period(later))).collect();
        let before = nonces.issue(later).unwrap();
        assert!(!nonces.take(&before, later), "no room");
        assert!(!nonces.take(&before, later), "those that were out have ended");
        assert!(nonces.take(&nonces.issue(later).unwrap(), later));
    }
}
