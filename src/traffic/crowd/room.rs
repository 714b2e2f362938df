//! How many connections there is room for.

/// How many connections there may be; up to half as many again if most are so new that nobody knows what they
/// want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In total.
    pub all: usize,
    /// From one address that is not a trusted proxy.
    pub address: usize,
    /// From one device, and from one person.
    pub owner: usize,
    /// From all devices together, so that people find room.
    pub devices: usize,
}

impl Room {
    /// What fits into this many file descriptors, with a share reserved for the database, the backups and the
    /// rest.
    pub fn of(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX).min(1 << 17);
        let all = (descriptors.saturating_sub((descriptors / 4).min(1024)) / 4).max(16);
        Self { all, address: (all / 4).max(8), owner: 32.min(all / 4).max(4), devices: all - all / 4 }
    }

    /// How many are accepted from the system at once; further ones wait in its queue. More than `full`, so that
    /// ended connections have time to go.
    pub const fn taken(self) -> usize {
        2 * self.all
    }

    /// How many are too many, whatever they may want.
    pub(super) const fn full(self) -> usize {
        self.all + self.all / 2
    }
}
