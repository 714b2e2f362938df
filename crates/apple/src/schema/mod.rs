//! What Apple's schema allows: each command, payload and answer with its keys. For tests: whatever the server sends is
//! compared with it.
//!
//! `schema/schema.json` is made of Apple's files by `schema/extract.py`; their licence is beside it.
mod check;

pub use check::{Fault, check_command, check_declaration, check_payload, check_profile, check_protocol};

use crate::target::{Rights, System, Version};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The whole schema.
#[derive(Debug, Deserialize)]
pub struct Schema {
    pub commands: Vec<Item>,
    pub messages: Vec<Item>,
    pub profiles: Vec<Item>,
    pub declarations: Vec<Item>,
    pub protocol: Vec<Item>,
    pub statuses: Vec<Item>,
}

/// A command, message, payload, declaration or status.
#[derive(Debug, Deserialize)]
pub struct Item {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub file: String,
    #[serde(default)]
    pub on: BTreeMap<String, Limit>,
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Of a command: what a device answers.
    #[serde(default)]
    pub answers: Vec<Key>,
}

/// On which devices something is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Limit {
    /// A version, or `n/a`.
    pub since: Option<String>,
    pub removed: Option<String>,
    #[serde(default)]
    pub supervised: bool,
    /// On personal devices: `allowed`, `forbidden`, `required` or `ignored`.
    pub personal: Option<String>,
    pub rights: Option<String>,
}

/// A key of a dictionary, or what a list has: then its name says nothing.
#[derive(Debug, Deserialize)]
pub struct Key {
    pub key: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub values: Vec<serde_json::Value>,
    pub range: Option<Range>,
    pub format: Option<String>,
    #[serde(default)]
    pub on: BTreeMap<String, Limit>,
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// The least and the most of a number.
#[derive(Debug, Deserialize)]
pub struct Range {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Schema {
    /// The schema that is kept with this crate.
    ///
    /// # Panics
    /// When the file is damaged.
    #[expect(clippy::expect_used, reason = "a part of the program, and only for tests")]
    pub fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        let text = include_str!("../../schema/schema.json");
        SCHEMA.get_or_init(|| serde_json::from_str(text).expect("the schema is whole"))
    }

    /// A command by its request type.
    pub fn command(&self, name: &str) -> Option<&Item> {
        self.commands.iter().find(|it| it.name == name)
    }

    /// A payload by its type; several files may describe parts of one.
    pub fn payloads<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Item> {
        self.profiles.iter().filter(move |it| it.name == name)
    }
}

impl Item {
    /// On this system; none if it is not there at all.
    pub fn limit(&self, system: System) -> Option<&Limit> {
        self.on.get(system.name()).filter(|it| it.since.as_deref() != Some("n/a"))
    }
}

impl Limit {
    /// Since which version; none if the schema does not say.
    pub fn version(&self) -> Option<Version> {
        Version::parse(self.since.as_deref()?)
    }

    /// The right that it needs, as bits; none if it needs none.
    pub fn right(&self) -> Option<Rights> {
        Some(match self.rights.as_deref()? {
            "AllowInspection" => Rights::INSPECT_PROFILES,
            "AllowInstallationRemoval" => Rights::INSTALL_PROFILES,
            "AllowPasscodeRemovalAndLock" | "DeviceLockAndRemovePasscode" => Rights::LOCK_AND_CLEAR_PASSCODE,
            "AllowDeviceErase" => Rights::ERASE,
            "AllowQueryDeviceInformation" | "QueryDeviceInformation" => Rights::QUERY_DEVICE,
            "AllowQueryApplications" => Rights::QUERY_APPLICATIONS,
            "AllowQuerySecurity" | "QuerySecurity" => Rights::QUERY_SECURITY,
            _ => return None,
        })
    }
}
