//! Bounds the work of hashing passwords: two are hashed at once, 32 wait, and the rest are told to try again. A
//! storm of sign-ins thus costs two cores and 38 MiB, not the server.
use crate::error::{Error, Result};
use crate::service::password;
use actix_web::web;
use anyhow::Context;
use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

const AT_ONCE: usize = 2;
const WAITING: usize = 32;

/// 30 tries in 10 minutes from one network: one every 20 s, at most 30 in a row.
const TRIES: NonZeroU32 = NonZeroU32::new(30).unwrap();
const EACH: Duration = Duration::from_secs(20);

/// What the pages of one process share. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Inner>);

struct Inner {
    slots: Semaphore,
    waiting: AtomicUsize,
    tries: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, DefaultClock>,
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    pub fn new() -> Self {
        let quota = Quota::with_period(EACH).unwrap_or_else(|| Quota::per_minute(TRIES)).allow_burst(TRIES);
        Self(Arc::new(Inner {
            slots: Semaphore::new(AT_ONCE),
            waiting: AtomicUsize::new(0),
            tries: RateLimiter::keyed(quota),
        }))
    }

    /// Counts a try from an address; a whole network (/24, /64) shares one budget.
    ///
    /// # Errors
    /// `TooMany` if it is used up.
    pub fn count_try(&self, address: IpAddr) -> Result<()> {
        if self.0.tries.len() > 10_000 {
            self.0.tries.retain_recent();
        }
        self.0.tries.check_key(&network(address)).map_err(|_not_until| Error::TooMany(EACH))
    }

    /// [`password::hash`] when there is room for it.
    ///
    /// # Errors
    /// `Busy` if too many are waiting.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.place()?.run(move || password::hash(&password)).await
    }

    /// A place in the queue. Taken before a try is counted, so that a full queue never counts as a wrong
    /// password.
    ///
    /// # Errors
    /// `Busy` if too many are waiting.
    pub fn place(&self) -> Result<Place> {
        let place = Place(Arc::clone(&self.0));
        let before = self.0.waiting.fetch_add(1, Ordering::SeqCst);
        if before < WAITING { Ok(place) } else { Err(Error::Busy(Duration::from_secs(2))) }
    }
}

/// A place in the queue; given back even if the visitor goes away.
pub struct Place(Arc<Inner>);

impl Place {
    /// [`password::is_right`] when its turn comes.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn is_right(self, password: String, stored: Option<String>) -> Result<bool> {
        self.run(move || password::is_right(&password, stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.0);
        let slot = inner.slots.acquire().await.context("waiting to hash a password")?;
        drop(self);
        let done = web::block(work).await.context("hashing a password")?;
        drop(slot);
        done
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            let [a, b, c, _] = it.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_thirty_tries() {
        let shared = Shared::new();
        for host in 0..30 {
            shared.count_try(IpAddr::from([192, 0, 2, host])).unwrap();
        }
        assert!(matches!(shared.count_try(IpAddr::from([192, 0, 2, 200])), Err(Error::TooMany(_))));
        assert!(shared.count_try(IpAddr::from([192, 0, 3, 1])).is_ok(), "another network");
    }

    #[actix_web::test]
    async fn a_storm_of_sign_ins_is_turned_away_instead_of_queued_for_ever() {
        let shared = Shared::new();
        let tries = (0..100).map(|_| {
            let shared = shared.clone();
            async move { shared.place()?.is_right("x".to_owned(), None).await }
        });

        let answers = futures_util::future::join_all(tries).await;

        let busy = answers.iter().filter(|it| matches!(it, Err(Error::Busy(_)))).count();
        assert_eq!(busy, 100 - WAITING - AT_ONCE);
        assert!(answers.iter().filter_map(|it| it.as_ref().ok()).all(|right| !right));
        assert_eq!(shared.0.waiting.load(Ordering::SeqCst), 0, "every place was given back");
    }
}
