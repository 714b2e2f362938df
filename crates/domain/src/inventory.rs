//! Lists that a device gives of what is on it, and where it says that it is: its word, kept as it is.
use crate::text::text_enum;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most entries of a list that are kept.
pub const MAX_ENTRIES: usize = 1000;

text_enum! {
    /// Which list it is.
    InventoryKind {
        Profiles = "profiles",
        Certificates = "certificates",
        Applications = "applications",
        Location = "location",
    }
}

/// A profile that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub identifier: String,
    pub name: String,
    /// Whether it came from its management.
    pub is_managed: bool,
}

/// A certificate that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub name: String,
    /// Whether the device has its key.
    pub is_identity: bool,
}

/// An app that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    pub identifier: String,
    pub name: String,
    pub version: String,
}

/// Where a lost device says that it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Metres around; none if it does not say.
    pub accuracy: Option<f64>,
    /// When it was there, by its own clock; none if it does not say.
    pub at: Option<Time>,
}

impl Location {
    /// In words, such as `48.20849, 16.37208, within 12 m`; a map takes the first two.
    pub fn words(&self) -> String {
        let around = self.accuracy.map(|it| format!(", within {it:.0} m")).unwrap_or_default();
        format!("{:.5}, {:.5}{around}", self.latitude, self.longitude)
    }

    /// Whether it is a place on earth.
    pub fn is_possible(&self) -> bool {
        self.latitude.abs() <= 90.0 && self.longitude.abs() <= 180.0 && self.accuracy.is_none_or(|it| it >= 0.0)
    }
}

/// One list; kept as JSON, together with its kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Inventory {
    Profiles(Vec<Profile>),
    Certificates(Vec<Certificate>),
    Applications(Vec<Application>),
    Location(Location),
}

impl Inventory {
    pub const fn kind(&self) -> InventoryKind {
        match self {
            Self::Profiles(_) => InventoryKind::Profiles,
            Self::Certificates(_) => InventoryKind::Certificates,
            Self::Applications(_) => InventoryKind::Applications,
            Self::Location(_) => InventoryKind::Location,
        }
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// When it is of another kind.
    pub fn parse(kind: InventoryKind, json: &str) -> serde_json::Result<Self> {
        Ok(match kind {
            InventoryKind::Profiles => Self::Profiles(serde_json::from_str(json)?),
            InventoryKind::Certificates => Self::Certificates(serde_json::from_str(json)?),
            InventoryKind::Applications => Self::Applications(serde_json::from_str(json)?),
            InventoryKind::Location => Self::Location(serde_json::from_str(json)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_each_kind_is_read_again() {
        let location = Location { latitude: 48.208_49, longitude: 16.372_08, accuracy: Some(12.4), at: None };
        assert_eq!(location.words(), "48.20849, 16.37208, within 12 m");
        let text = |it: &str| it.to_owned();
        for inventory in [
            Inventory::Profiles(vec![Profile { identifier: text("a"), name: text("b"), is_managed: true }]),
            Inventory::Certificates(vec![Certificate { name: text("a"), is_identity: false }]),
            Inventory::Applications(vec![Application { identifier: text("a"), name: text("b"), version: text("1") }]),
            Inventory::Location(location),
        ] {
            let json = serde_json::to_string(&inventory).unwrap();
            assert_eq!(Inventory::parse(inventory.kind(), &json).unwrap(), inventory);
        }
    }

    #[test]
    fn what_is_no_place_is_none() {
        let at = |latitude, longitude, accuracy| Location { latitude, longitude, accuracy, at: None }.is_possible();
        assert!(at(-90.0, 180.0, None) && at(0.0, 0.0, Some(5.0)));
        assert!(!at(90.1, 0.0, None) && !at(0.0, -180.1, None) && !at(0.0, 0.0, Some(-1.0)));
        assert!(!at(f64::NAN, 0.0, None));
    }
}
