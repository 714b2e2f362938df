//! `holdfast demo`: a console and real agents on scratch folders.
//!
//! Nothing here is simulated except what the scenario file names, and the Apple devices (`demo/apple`), whose names say so: the agents are those of `holdfast agent`,
//! they back up through the backup door, and the server's own restore tests prove what they stored. The demo
//! acts on the world only as a person could: it fills folders, changes files, stops an agent, presses buttons,
//! and flips bytes on the disk.
pub mod apple;
mod device;
mod files;
pub mod people;
mod picture;
pub mod random;
mod scenario;
mod story;
mod world;

pub use people::Account;

use crate::app::App;
use anyhow::{Context, Result};
use device::Running;
use domain::words;
use scenario::Scenario;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use story::Teller;
use world::World;

/// How many devices join at the same time; more would only wait for the same two cores.
const AT_ONCE: usize = 4;

/// How often the storyteller looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A demo with its accounts, teams and policies in place.
pub struct Demo {
    app: App,
    world: World,
    scenario: Scenario,
    /// Who was woken of the simulated Apple devices.
    woken: apple::Woken,
}

/// What a script needs to use the demo; `DATA/demo.json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    url: &'a str,
    accounts: &'a [Account],
    devices: Vec<SummaryDevice<'a>>,
}

#[derive(Debug, Serialize)]
struct SummaryDevice<'a> {
    id: String,
    name: &'a str,
    serial: &'a str,
    files: &'a Path,
}

impl Demo {
    /// Makes the accounts, teams and policies in an empty database.
    ///
    /// # Errors
    /// When the database is not empty or refuses, or the push service cannot listen.
    pub fn prepare(app: App, device_count: usize, push: Option<apple::PushService>) -> Result<Self> {
        let scenario = Scenario::with_devices(device_count)?;
        let world = World::build(&app, &scenario)?;
        let woken = push.map(apple::PushService::serve).transpose()?.unwrap_or_default();
        Ok(Self { app, world, scenario, woken })
    }

    /// The accounts with their passwords.
    pub fn accounts(&self) -> &[Account] {
        &self.world.accounts
    }

    /// Enrolls the devices on a running server, and plays their stories until the server stops.
    ///
    /// # Errors
    /// When a device cannot enroll, or the database cannot be read.
    pub fn run(&self, say: &(dyn Fn(String) + Sync)) -> Result<()> {
        let phones = apple::enroll(&self.app, &self.world, say)?;
        let devices = self.enroll_all(say)?;
        self.write_summary(&devices)?;
        say(format!("devices enrolled: {}; each one backs up, and each backup is restore-tested", devices.len()));
        std::thread::scope(|scope| {
            let living = scope.spawn(|| apple::live((&self.app, &self.world), phones, &self.woken, say));
            let told = self.tell(&devices, say);
            let lived = living.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a simulated device panicked")));
            told.and(lived)
        })
    }

    fn tell(&self, devices: &[Running], say: &(dyn Fn(String) + Sync)) -> Result<()> {
        let mut teller = Teller::new(&self.app, &self.world, devices.len());
        let mut is_told = false;
        while !self.app.wake.is_stopping() {
            teller.look(devices, say)?;
            if !is_told && teller.is_done(devices) {
                is_told = true;
                say("every story has been told; the devices keep checking in, backing up and being tested".to_owned());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        devices.iter().for_each(Running::stop);
        Ok(())
    }

    /// Tells the server to stop.
    pub fn end(&self) {
        self.app.wake.stop();
    }

    fn enroll_all(&self, say: &(dyn Fn(String) + Sync)) -> Result<Vec<Running>> {
        let home = self.devices_folder();
        let mut devices = Vec::new();
        for group in self.scenario.device.chunks(AT_ONCE) {
            if self.app.wake.is_stopping() {
                break;
            }
            let joined: Vec<Result<Running>> = std::thread::scope(|scope| {
                let joining: Vec<_> = group
                    .iter()
                    .map(|told| {
                        let home = &home;
                        scope.spawn(move || {
                            let token = self.world.token_for(&self.app, told)?;
                            let device = Running::start(told.clone(), home, &self.app.config.public_url, token)?;
                            say(format!("{}: enrolled with {}", told.name, words::files(device.file_count)));
                            Ok(device)
                        })
                    })
                    .collect();
                joining
                    .into_iter()
                    .map(|it| it.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a device panicked"))))
                    .collect()
            });
            for device in joined {
                devices.push(device?);
            }
        }
        Ok(devices)
    }

    fn devices_folder(&self) -> PathBuf {
        // An agent's server address and folders are absolute.
        std::path::absolute(self.app.config.data.join("devices"))
            .unwrap_or_else(|_| self.app.config.data.join("devices"))
    }

    fn write_summary(&self, devices: &[Running]) -> Result<()> {
        let summary = Summary {
            url: &self.app.config.public_url,
            accounts: &self.world.accounts,
            devices: devices
                .iter()
                .map(|it| SummaryDevice {
                    id: it.id.to_string(),
                    name: &it.told.name,
                    serial: &it.told.serial,
                    files: &it.files,
                })
                .collect(),
        };
        let path = self.app.config.data.join("demo.json");
        let text = serde_json::to_string_pretty(&summary).context("writing what the demo made")?;
        // Only its owner may see the data folder; the same goes for the demo's passwords.
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}
