//! How much of its space a device's backups take.
use crate::words::bytes;
use serde::Serialize;

/// What a repository holds, and the most it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Space {
    pub stored_bytes: i64,
    pub quota_bytes: i64,
}

/// What is left of a repository's space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Enough,
    /// A tenth or less.
    Little,
    None,
}

impl Space {
    /// What is left.
    pub const fn room(self) -> Room {
        if self.stored_bytes >= self.quota_bytes {
            Room::None
        } else if self.stored_bytes >= self.quota_bytes - self.quota_bytes / 10 {
            Room::Little
        } else {
            Room::Enough
        }
    }

    /// How much is taken, from 0 to 100; for a chart.
    pub fn percent(self) -> i64 {
        let taken = i128::from(self.stored_bytes.max(0)) * 100 / i128::from(self.quota_bytes.max(1));
        i64::try_from(taken.min(100)).unwrap_or(100)
    }

    /// "12 GB of 1.0 TB".
    pub fn words(self) -> String {
        format!("{} of {}", bytes(self.stored_bytes), bytes(self.quota_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tenth_is_little_and_the_end_is_none() {
        for (stored_bytes, quota_bytes, room, percent) in [
            (0, 1_000, Room::Enough, 0),
            (899, 1_000, Room::Enough, 89),
            (900, 1_000, Room::Little, 90),
            (999, 1_000, Room::Little, 99),
            (1_000, 1_000, Room::None, 100),
            (5_000, 1_000, Room::None, 100),
            (0, 0, Room::None, 0),
            (i64::MAX, i64::MAX, Room::None, 100),
        ] {
            let space = Space { stored_bytes, quota_bytes };
            assert_eq!((space.room(), space.percent()), (room, percent), "{space:?}");
        }
    }

    #[test]
    fn space_is_said_with_its_quota() {
        let space = Space { stored_bytes: 12_000_000_000, quota_bytes: 1_000_000_000_000 };
        assert_eq!(space.words(), "12 GB of 1.0 TB");
    }
}
