//! Snapshots: what a backup was, and where its folders begin.
use crate::Id;
use domain::manifest;
use domain::object::ObjectName;
use serde::Deserialize;

/// The needed parts of a snapshot. Its time is the device's claim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Snapshot {
    pub tree: Id,
    #[serde(default)]
    pub time: String,
    #[serde(default)]
    pub hostname: String,
    #[serde(default)]
    pub paths: Option<Vec<String>>,
    #[serde(default)]
    pub tags: Option<Vec<String>>,
}

impl Snapshot {
    /// Reads a snapshot's JSON.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// The manifests its tags name.
    pub fn manifests(&self) -> impl Iterator<Item = ObjectName> {
        self.tags.iter().flatten().filter_map(|tag| ObjectName::parse(tag.strip_prefix(manifest::TAG_PREFIX)?))
    }

    /// When the device says it was taken.
    pub fn claimed_at(&self) -> Option<domain::time::Time> {
        let at: jiff::Timestamp = self.time.parse().ok()?;
        Some(domain::time::Time::from_millis(at.as_millisecond()))
    }
}
