//! The Apple devices of the demo. They are simulated, their names say so, and nothing that they say counts as proven; the
//! protocol is real: SCEP, check-ins, commands.
mod client;
mod push_service;
mod story;

pub use client::Client;
pub use push_service::{PushService, Woken};

use crate::app::App;
use crate::demo::world::World;
use crate::store;
use anyhow::{Context, Result};
use apple::simulated::{Device, Identity};
use domain::device::Ownership;
use domain::id::DeviceId;
use std::time::{Duration, Instant};

/// How often one comes although nothing woke it.
const EVERY: Duration = Duration::from_secs(60);

/// How often it is seen who was woken.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A device of the demo, and its person and team.
pub struct Told {
    pub device: Device,
    pub team: &'static str,
}

/// Two iPhones and a Mac.
pub fn devices() -> Vec<Told> {
    let device = |number: u8, name: &str, product: &str, os_version: &str, is_supervised| Device {
        udid: format!("00008030-00000000000DE{number:03}"),
        serial: format!("SIM0{number}APPLE"),
        name: format!("{name} (simulated)"),
        product: product.to_owned(),
        os_version: os_version.to_owned(),
        is_supervised,
    };
    vec![
        Told { device: device(1, "iPhone of the studio", "iPhone14,5", "17.5", true), team: "Studio" },
        Told { device: device(2, "iPhone of the field team", "iPhone15,2", "18.1", false), team: "Field engineers" },
        Told { device: device(3, "MacBook of the studio", "MacBookPro18,3", "15.1", false), team: "Studio" },
    ]
}

/// A device of the demo that has enrolled.
pub struct Enrolled {
    client: Client,
    id: DeviceId,
    /// Hex.
    push_token: String,
    came_at: Instant,
}

/// Enrolls them all.
///
/// # Errors
/// When one cannot enroll.
pub fn enroll(app: &App, world: &World, say: &(dyn Fn(String) + Sync)) -> Result<Vec<Enrolled>> {
    let Some(settings) = &app.config.apple else { return Ok(Vec::new()) };
    // Making a key takes longer than all the rest: they share one, each with its own certificate.
    let key = Identity::generate()?;
    let mut all = Vec::new();
    for told in devices() {
        let name = told.device.name.clone();
        let token = world.token(app, (&name, told.team), Ownership::Company)?;
        let at = (settings.listen, &app.clock);
        let push_token = secret::bytes::<32>()?;
        let client = Client::enroll(at, told.device, (&token, &key), &push_token)?;
        client.talks()?;
        let udid = client.device.udid.clone();
        let found = app.store.read_blocking(move |conn| store::apple::enrollment::named(conn, &udid))?;
        let (id, _) = found.with_context(|| format!("{name} enrolled, and is not there"))?;
        say(format!("{name}: enrolled over Apple’s protocol"));
        all.push(Enrolled { client, id, push_token: hex::encode(push_token), came_at: Instant::now() });
    }
    Ok(all)
}

/// Tells their stories, and answers for each until the server stops or it was erased.
///
/// # Errors
/// When the console refuses a part of a story.
pub fn live(
    (app, world): (&App, &World),
    mut devices: Vec<Enrolled>,
    woken: &Woken,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    if let [lost, stolen, ..] = devices.as_slice() {
        story::loses(app, world, lost.id)?;
        story::erases(app, world, stolen.id)?;
        say(format!("{}: reported lost; it is asked where it is", lost.client.device.name));
        say(format!("{}: reported stolen; a wipe was asked for and approved", stolen.client.device.name));
    }
    while !app.wake.is_stopping() {
        devices.retain_mut(|it| !it.has_come(woken) || it.is_there(say));
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

impl Enrolled {
    fn has_come(&mut self, woken: &Woken) -> bool {
        let comes = woken.take(&self.push_token) || self.came_at.elapsed() >= EVERY;
        if comes {
            self.came_at = Instant::now();
        }
        comes
    }

    /// Answers what it is asked; false once it does so no more.
    fn is_there(&self, say: &(dyn Fn(String) + Sync)) -> bool {
        let name = &self.client.device.name;
        match self.client.talks() {
            Ok(done) => {
                let is_erased = done.iter().any(|it| it.kind == "EraseDevice");
                for it in done.iter().filter(|it| it.kind != "DeviceInformation" && it.kind != "SecurityInfo") {
                    say(format!("{name}: answered {}", it.kind));
                }
                !is_erased
            }
            // Its management ended, or the server stops.
            Err(error) => {
                tracing::debug!(device = name, error = format!("{error:#}"), "the simulated device gave up");
                false
            }
        }
    }
}
