//! One connection, and whose it is.
use super::{Crowd, take_one};
use domain::id::{DeviceId, UserId};
use std::time::Instant;

/// Whom a connection belongs to, once a request on it has shown that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    Device(DeviceId),
    Person(UserId),
    /// The other Holdfast that fetches copies.
    Puller,
}

/// One connection; dropping it makes room.
#[derive(Debug)]
pub struct Connection {
    pub(super) crowd: Crowd,
    pub(super) number: u64,
}

impl Connection {
    /// Notes a request; says whether it is a stranger's.
    pub fn asks(&self) -> bool {
        let mut now = self.crowd.now();
        let Some(entry) = now.all.get_mut(&self.number) else { return true };
        entry.asked = Some(Instant::now());
        entry.running += 1;
        entry.owner.is_none()
    }

    /// Notes that a request's answer is complete, or that nobody wants it any more.
    pub fn is_answered(&self) {
        let mut now = self.crowd.now();
        let Some(entry) = now.all.get_mut(&self.number) else { return };
        entry.running = entry.running.saturating_sub(1);
        entry.answered = Some(Instant::now());
    }

    /// A request showed whose it is. An owner with too many connections loses the least recently used one.
    pub fn belongs_to(&self, owner: Owner) {
        let (room, mut now) = (self.crowd.0.room, self.crowd.now());
        let Some(entry) = now.all.get_mut(&self.number).filter(|it| it.owner != Some(owner)) else { return };
        let before = entry.owner.replace(owner);
        now.forget_owner(before);
        let count = now.owners.entry(owner).or_default();
        *count += 1;
        if *count > room.owner {
            now.end_oldest(self.number, |it| *it == owner);
        }
        if matches!(owner, Owner::Device(_)) {
            now.devices += 1;
            if now.devices > room.devices {
                now.end_oldest(self.number, |it| matches!(it, Owner::Device(_)));
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut now = self.crowd.now();
        let Some(entry) = now.all.remove(&self.number) else { return };
        if !entry.is_ended {
            now.living = now.living.saturating_sub(1);
            take_one(&mut now.addresses, entry.address);
        }
        now.forget_owner(entry.owner);
    }
}
