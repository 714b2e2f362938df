//! Wakes what waits: long polls of devices, and jobs that would sleep until their next turn.
//!
//! The store wakes after each commit that made work; nobody else has to.
//! Waiting holds no database connection and no thread. A wake carries nothing: whoever is woken looks at the
//! database again, so a lost or repeated wake does no harm.
use domain::id::DeviceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What a write has made work for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A command was queued for this device.
    Device(DeviceId),
    /// A mail was put into the outbox.
    Mail,
    /// A restore test was queued, or may run at once.
    Proof,
}

/// The registry of who waits for what. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    devices: Mutex<HashMap<DeviceId, watch::Sender<Turn>>>,
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

    /// Wakes whoever does what was made.
    pub fn tell(&self, wanted: Wanted) {
        match wanted {
            Wanted::Device(id) => self.device(id),
            Wanted::Mail => self.mail(),
            Wanted::Proof => self.proof(),
        }
    }

    /// Ends the long poll of a device, if there is one.
    pub fn device(&self, id: DeviceId) {
        if let Some(waiting) = self.devices().get(&id) {
            waiting.send_modify(|it| it.woken += 1);
        }
    }

    /// Subscribes: a wake between this call and [`Waiting::wait`] is not lost.
    ///
    /// Subscribe first, then look at the database, then wait.
    pub fn subscribe(&self, id: DeviceId) -> Waiting {
        let mut devices = self.devices();
        let sender = devices.entry(id).or_insert_with(|| watch::Sender::new(Turn::default()));
        // Ends an earlier wait for this device: each device has one.
        sender.send_modify(|it| it.waiter += 1);
        let began = *sender.borrow();
        Waiting { wake: self.clone(), id, began, turn: Some(sender.subscribe()) }
    }

    /// Waits until the device is woken, at most `timeout`.
    pub async fn wait(&self, id: DeviceId, timeout: Duration) -> Woken {
        self.subscribe(id).wait(timeout).await
    }

    /// Whether any device waits.
    pub fn has_waiting_devices(&self) -> bool {
        !self.devices().is_empty()
    }

    /// Wakes the restore tests.
    fn proof(&self) {
        self.0.proof.send_replace(());
    }

    /// A receiver that changes with each wake of the restore tests.
    pub fn on_proof(&self) -> watch::Receiver<()> {
        self.0.proof.subscribe()
    }

    /// Wakes the sending of mails.
    fn mail(&self) {
        self.0.mail.send_replace(());
    }

    /// A receiver that changes with each wake of the mails.
    pub fn on_mail(&self) -> watch::Receiver<()> {
        self.0.mail.subscribe()
    }

    /// Ends all waits: the server is stopping.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        *self.0.stop.borrow()
    }

    /// Returns when the server stops.
    pub async fn stopped(&self) {
        let mut stop = self.0.stop.subscribe();
        // The sender lives in `self`, so this cannot fail before it is true.
        let _ = stop.wait_for(|it| *it).await;
    }

    fn devices(&self) -> MutexGuard<'_, HashMap<DeviceId, watch::Sender<Turn>>> {
        // A map of senders is whole after any panic.
        self.0.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a device was woken, and how many times it waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Turn {
    woken: u64,
    waiter: u64,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There is something to do.
    Yes,
    /// The timeout passed, or the server is stopping.
    No,
    /// The same device started a new wait.
    Replaced,
}

/// One long poll.
#[derive(Debug)]
pub struct Waiting {
    wake: Wake,
    id: DeviceId,
    began: Turn,
    turn: Option<watch::Receiver<Turn>>,
}

impl Waiting {
    /// Waits until the device is woken, waits anew, or the server stops; at most `timeout`.
    pub async fn wait(mut self, timeout: Duration) -> Woken {
        let (wake, began) = (self.wake.clone(), self.began);
        let Some(turn) = self.turn.as_mut() else { return Woken::No };
        tokio::select! {
            // A wake that came before the time was over counts.
            biased;
            changed = turn.wait_for(|it| *it != began) => match changed {
                Ok(now) if now.woken != began.woken => Woken::Yes,
                Ok(_) => Woken::Replaced,
                Err(_) => Woken::No,
            },
            () = tokio::time::sleep(timeout) => Woken::No,
            () = wake.stopped() => Woken::No,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut devices = self.wake.devices();
        self.turn = None;
        if devices.get(&self.id).is_some_and(|it| it.receiver_count() == 0) {
            devices.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::Time;

    fn id() -> DeviceId {
        DeviceId::generate(Time::from_millis(1_795_356_371_000))
    }

    #[actix_web::test]
    async fn a_wake_between_subscribing_and_waiting_is_not_lost() {
        let (wake, id) = (Wake::new(), id());
        let waiting = wake.subscribe(id);

        wake.device(id);

        assert_eq!(waiting.wait(Duration::from_secs(5)).await, Woken::Yes);
    }

    #[actix_web::test]
    async fn a_device_that_waits_again_ends_its_older_wait() {
        let (wake, id) = (Wake::new(), id());
        let older = wake.subscribe(id);
        let newer = wake.subscribe(id);

        assert_eq!(older.wait(Duration::from_secs(5)).await, Woken::Replaced);
        wake.device(id);
        assert_eq!(newer.wait(Duration::from_secs(5)).await, Woken::Yes);
    }

    #[actix_web::test]
    async fn another_device_is_not_woken_and_nobody_stays_in_the_registry() {
        let wake = Wake::new();
        let waiting = wake.subscribe(id());
        let other = wake.subscribe(DeviceId::generate(Time::from_millis(1)));

        wake.device(waiting.id);

        assert_eq!(other.wait(Duration::from_millis(1)).await, Woken::No);
        drop(waiting);
        assert!(!wake.has_waiting_devices());
    }

    #[actix_web::test]
    async fn stopping_ends_every_wait() {
        let wake = Wake::new();
        let waiting = wake.subscribe(id());

        wake.stop();

        assert_eq!(waiting.wait(Duration::from_secs(5)).await, Woken::No);
    }
}
