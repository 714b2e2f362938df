//! Holds: what may not be removed, whatever any rule says. A device is never told.
use crate::id::{DeviceId, RestorePointId};
use crate::text::text_enum;
use crate::words::is_same_name;

text_enum! {
    /// How much a hold covers.
    HoldScope {
        /// All restore points of a device, and the device itself.
        Device = "device",
        /// The same of every device of a person.
        Person = "person",
        /// One restore point.
        Point = "point",
    }
}

text_enum! {
    /// Who made a hold.
    HoldCause {
        Person = "person",
        /// A rule, because something unusual came; see [`Anomaly`](crate::retention::Anomaly).
        Anomaly = "anomaly",
    }
}

impl HoldCause {
    /// The name that people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "Legal hold",
            Self::Anomaly => "Hold after something unusual",
        }
    }
}

/// What a hold that stands covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    Device(DeviceId),
    Person(String),
    Point(RestorePointId),
}

impl Held {
    /// Whether a device, of that person, and everything of it is held.
    pub fn covers_device(&self, device: DeviceId, person: &str) -> bool {
        match self {
            Self::Device(held) => *held == device,
            // A hold on nobody would be one on every device without a person.
            Self::Person(held) => !held.trim().is_empty() && is_same_name(held, person),
            Self::Point(_) => false,
        }
    }

    /// Whether it holds a restore point of such a device.
    pub fn covers_point(&self, point: RestorePointId, device: DeviceId, person: &str) -> bool {
        *self == Self::Point(point) || self.covers_device(device, person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;

    #[test]
    fn a_hold_covers_what_it_names_and_nothing_else() {
        let [device, other] = [1, 2].map(|at| DeviceId::generate(Time::from_millis(at)));
        let [point, another] = [3, 4].map(|at| RestorePointId::generate(Time::from_millis(at)));
        for (held, covers_device, covers_point) in [
            (Held::Device(device), true, true),
            (Held::Device(other), false, false),
            (Held::Person(" ada".to_owned()), true, true),
            (Held::Person("Bob".to_owned()), false, false),
            (Held::Person(String::new()), false, false),
            (Held::Point(point), false, true),
            (Held::Point(another), false, false),
        ] {
            assert_eq!(held.covers_device(device, "Ada"), covers_device, "{held:?}");
            assert_eq!(held.covers_point(point, device, "Ada"), covers_point, "{held:?}");
        }
        assert!(!Held::Person(String::new()).covers_device(device, ""));
    }
}
