//! Wakes what waits: long polls of devices, and jobs that would sleep until their next turn.
//!
//! A wake holds no database connection and no thread. It carries nothing: who
//! is woken looks at the database again, so a lost or doubled wake does no harm.
use crate::domain::id::DeviceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The registry of who waits for what. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    devices: Mutex<HashMap<DeviceId, watch::Sender<()>>>,
    proof: watch::Sender<()>,
    mail: watch::Sender<()>,
    stop: watch::Sender<bool>,
}

impl Default for Wake {
    fn default() -> Self {
        Self(Arc::new(Inner {
            devices: Mutex::default(),
            proof: watch::Sender::new(()),
            mail: watch::Sender::new(()),
            stop: watch::Sender::new(false),
        }))
    }
}

impl Wake {
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the long poll of a device, if there is one. Called after the commit that queued a command.
    pub fn device(&self, id: DeviceId) {
        if let Some(waiting) = self.devices().get(&id) {
            waiting.send_replace(());
        }
    }

    /// Takes part from now on: a wake between this and [`Waiting::wait`] is not lost.
    ///
    /// Subscribe first, then look at the database, then wait.
    pub fn subscribe(&self, id: DeviceId) -> Waiting {
        let woken = self.devices().entry(id).or_insert_with(|| watch::Sender::new(())).subscribe();
        Waiting { wake: self.clone(), id, woken: Some(woken) }
    }

    /// Waits until the device is woken, at most `timeout`; true when it was woken.
    pub async fn wait(&self, id: DeviceId, timeout: Duration) -> bool {
        self.subscribe(id).wait(timeout).await
    }

    /// Whether any device waits.
    pub fn has_waiting_devices(&self) -> bool {
        !self.devices().is_empty()
    }

    /// Wakes the restore tests.
    pub fn proof(&self) {
        self.0.proof.send_replace(());
    }

    /// What changes with each wake of the restore tests.
    pub fn on_proof(&self) -> watch::Receiver<()> {
        self.0.proof.subscribe()
    }

    /// Wakes the sending of mails.
    pub fn mail(&self) {
        self.0.mail.send_replace(());
    }

    /// What changes with each wake of the mails.
    pub fn on_mail(&self) -> watch::Receiver<()> {
        self.0.mail.subscribe()
    }

    /// Ends all that waits: the server stops.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// Returns when the server stops.
    pub async fn stopped(&self) {
        let mut stop = self.0.stop.subscribe();
        // The sender lives in `self`, so this cannot fail before it is true.
        let _ = stop.wait_for(|it| *it).await;
    }

    fn devices(&self) -> MutexGuard<'_, HashMap<DeviceId, watch::Sender<()>>> {
        // A map of senders is whole after any panic.
        self.0.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One long poll.
#[derive(Debug)]
pub struct Waiting {
    wake: Wake,
    id: DeviceId,
    woken: Option<watch::Receiver<()>>,
}

impl Waiting {
    /// Waits until the device is woken or the server stops, at most `timeout`; true when it was woken.
    pub async fn wait(mut self, timeout: Duration) -> bool {
        let wake = self.wake.clone();
        let Some(woken) = self.woken.as_mut() else { return false };
        tokio::select! {
            changed = woken.changed() => changed.is_ok(),
            () = tokio::time::sleep(timeout) => false,
            () = wake.stopped() => false,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut devices = self.wake.devices();
        self.woken = None;
        if devices.get(&self.id).is_some_and(|it| it.receiver_count() == 0) {
            devices.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Time;

    fn id() -> DeviceId {
        DeviceId::generate(Time::from_millis(1_795_356_371_000))
    }

    #[actix_web::test]
    async fn a_wake_between_subscribing_and_waiting_is_not_lost() {
        let (wake, id) = (Wake::new(), id());
        let waiting = wake.subscribe(id);

        wake.device(id);

        assert!(waiting.wait(Duration::from_secs(5)).await);
    }

    #[actix_web::test]
    async fn another_device_is_not_woken_and_nobody_stays_in_the_registry() {
        let wake = Wake::new();
        let waiting = wake.subscribe(id());
        let other = wake.subscribe(DeviceId::generate(Time::from_millis(1)));

        wake.device(waiting.id);

        assert!(!other.wait(Duration::from_millis(1)).await);
        drop(waiting);
        assert!(!wake.has_waiting_devices());
    }

    #[actix_web::test]
    async fn stopping_ends_every_wait() {
        let wake = Wake::new();
        let waiting = wake.subscribe(id());

        wake.stop();

        assert!(!waiting.wait(Duration::from_secs(5)).await);
    }
}
