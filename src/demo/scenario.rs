//! The people, teams and devices of the demo.
use agent::platform::{Hardware, Platform, linux::Linux};
use anyhow::{Context, Result};
use domain::device::{Encryption, Ownership, Platform as Kind};
use domain::fact::{DEMO_SOURCE, EncryptionFact};
use domain::time::Time;
use serde::Deserialize;
use std::path::PathBuf;
use wire::{DeviceFacts, Fact};

/// Teams and devices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub team: Vec<Team>,
    pub device: Vec<Device>,
}

/// A team; its policy asks for backups if it names an interval.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Team {
    pub name: String,
    pub backup_every_minutes: Option<u32>,
}

/// One device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub name: String,
    pub person: String,
    pub team: String,
    #[serde(default = "company")]
    pub ownership: Ownership,
    pub model: String,
    pub serial: String,
    pub encryption: Encryption,
    pub passcode: Option<bool>,
    pub battery: Option<i64>,
    #[serde(default)]
    pub story: Story,
}

/// What happens to a device while somebody watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Story {
    #[default]
    Works,
    /// Its agent stops after the first proof.
    GoesSilent,
    /// Somebody works on its files after the first proof.
    ChangesAfterProof,
    /// Bytes of one of its stored objects are flipped after the first proof.
    DamagedBackup,
    /// It has no files, and is waiting for a restore.
    Empty,
}

fn company() -> Ownership {
    Ownership::Company
}

impl Scenario {
    /// The scenario with `count` devices: the first ones as described, then more of the working kind.
    ///
    /// # Errors
    /// When the file that comes with the program is not readable.
    pub fn with_devices(count: usize) -> Result<Self> {
        let mut scenario: Self = toml::from_str(include_str!("scenario.toml")).context("reading the demo scenario")?;
        let template = scenario.device.first().cloned().context("the demo scenario has no device")?;
        for number in scenario.device.len() + 1..=count {
            scenario.device.push(Device {
                name: format!("field-laptop-{number:02}"),
                person: format!("Field engineer {number}"),
                serial: format!("PF4K8{number:03}"),
                story: Story::Works,
                ..template.clone()
            });
        }
        Ok(scenario)
    }
}

/// The machine the demo runs on, overlaid with what the scenario says.
pub struct ScenarioPlatform {
    device: Device,
}

impl ScenarioPlatform {
    pub fn new(device: Device) -> Self {
        Self { device }
    }
}

fn told<T>(value: T, now: Time) -> Option<Fact<T>> {
    Some(Fact { value, source: DEMO_SOURCE.to_owned(), measured_at: now })
}

impl Platform for ScenarioPlatform {
    fn kind(&self) -> Kind {
        Linux.kind()
    }

    fn hardware(&self) -> Hardware {
        Hardware { model: self.device.model.clone(), serial: self.device.serial.clone(), ..Linux.hardware() }
    }

    fn facts(&self, roots: &[PathBuf], now: Time) -> DeviceFacts {
        let method = if self.device.encryption == Encryption::On { "LUKS2" } else { "" };
        DeviceFacts {
            encryption: told(EncryptionFact { state: self.device.encryption, method: method.to_owned() }, now),
            passcode_set: self.device.passcode.and_then(|it| told(it, now)),
            model: told(self.device.model.clone(), now),
            serial: told(self.device.serial.clone(), now),
            battery_percent: self.device.battery.and_then(|it| told(it, now)),
            ..Linux.facts(roots, now)
        }
    }

    fn lock(&self) -> std::result::Result<String, String> {
        // Never the screen of the person watching the demo.
        Ok("demo scenario: this device is a folder and has no screen to lock".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_tells_every_story_with_devices_of_its_teams() {
        let scenario = Scenario::with_devices(0).unwrap();

        assert!(scenario.device.len() >= 8);
        for story in [Story::GoesSilent, Story::ChangesAfterProof, Story::DamagedBackup, Story::Empty] {
            assert!(scenario.device.iter().any(|it| it.story == story), "{story:?}");
        }
        assert!(scenario.device.iter().any(|it| it.encryption == Encryption::Off));
        for device in &scenario.device {
            assert!(scenario.team.iter().any(|it| it.name == device.team), "{}", device.name);
        }
        assert_eq!(Scenario::with_devices(40).unwrap().device.len(), 40);
    }

    #[test]
    fn what_the_scenario_says_is_shown_as_such_and_the_rest_is_measured() {
        let device = Scenario::with_devices(0).unwrap().device.remove(0);
        let facts = ScenarioPlatform::new(device).facts(&[PathBuf::from("/")], Time::from_millis(1));

        assert_eq!(facts.encryption.unwrap().source, DEMO_SOURCE);
        assert_eq!(facts.serial.unwrap().value, "PF4K7Q2A");
        assert_eq!(facts.free_bytes.unwrap().source, "statvfs");
    }
}
