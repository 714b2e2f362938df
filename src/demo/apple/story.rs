//! What happens to the demo's iPhones: one is lost and found on a map, the other is lost and erased by two people.
use crate::app::App;
use crate::demo::world::World;
use crate::error::{Error, Result as Done};
use crate::service::approval;
use crate::service::command::{self, Ask};
use crate::service::wipe::{self, Seen};
use crate::store::device::Device;
use crate::store::{self, Conn};
use anyhow::{Context, Result};
use domain::by::{By, Presence};
use domain::command::Order;
use domain::id::DeviceId;
use domain::note::Note;
use domain::time::Time;
use domain::wipe::{Erasure, WipeAction, WipeReason};

/// Puts a phone into lost mode, and asks where it is.
///
/// # Errors
/// When the console refuses.
pub fn loses(app: &App, world: &World, id: DeviceId) -> Result<()> {
    let note = Note {
        message: "This iPhone is lost. Please call us.".to_owned(),
        phone_number: "+43 1 234 56 78".to_owned(),
        footnote: String::new(),
    };
    let (by, now) = (world.operator.clone(), app.clock.now());
    let asked = app.store.act_blocking(move |conn| {
        for order in [Order::LostModeOn { note }, Order::Locate] {
            let ask = Ask { order: &order, request_key: None };
            command::queue_guarded(conn, &by, id, (ask, "reported lost"), now)?;
        }
        Ok::<_, Error>(())
    });
    asked.context("putting an iPhone of the demo into lost mode")
}

/// The operator asks for a wipe, and the approver agrees, each to what their page would show.
///
/// # Errors
/// When the console refuses.
pub fn erases(app: &App, world: &World, id: DeviceId) -> Result<()> {
    let now = app.clock.now();
    let (operator, approver) = (seeing(&world.operator), seeing(&world.approver));
    let asked = app.store.act_blocking(move |conn| {
        let device = store::device::find(conn, id)?.ok_or(Error::NotFound("device"))?;
        let request = request(conn, &operator, &device, now)?;
        let current = approval::digest(&wipe::facts(conn, &device, now)?)?;
        wipe::approve(conn, &approver, request.0, &Seen { agreed: request.1, current }, now).map(drop)
    });
    asked.context("asking to erase an iPhone of the demo")
}

/// A person at their page.
fn seeing(by: &By) -> By {
    By { presence: Presence::Page, ..by.clone() }
}

fn request(conn: &mut Conn, by: &By, device: &Device, now: Time) -> Done<(domain::id::WipeRequestId, String)> {
    let facts = wipe::facts(conn, device, now)?;
    let ask = wipe::Ask {
        device: device.id,
        action: WipeAction::Wipe,
        reason: WipeReason::LostOrStolen,
        ticket: "demo".to_owned(),
        facts_token: approval::digest(&facts)?,
        serial: facts.typed_name(),
        consent: facts.loss().consent(),
        request_key: None,
        erasure: Erasure { keeps_data_plan: true, ..Erasure::default() },
    };
    let request = wipe::request(conn, by, &ask, now)?;
    Ok((request.id, request.facts_digest))
}
