//! `/devices/{id}/inventory`: what a device says is on it.
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, Result};
use crate::service::apple::settings::{OnDevice, of_device};
use crate::service::reach;
use crate::store::device::Device;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::id::DeviceId;
use domain::inventory::{Application, Certificate, Inventory, Profile};
use domain::role::Reach;
use domain::time::Time;

/// A list, and when the device gave it.
type List<T> = Option<(Time, Vec<T>)>;

#[derive(Template, WebTemplate)]
#[template(path = "device/inventory.html")]
struct InventoryPage {
    layout: Layout,
    device: Device,
    settings: Vec<OnDevice>,
    profiles: List<Profile>,
    certificates: List<Certificate>,
    applications: List<Application>,
}

impl InventoryPage {
    fn how_far(&self, it: &OnDevice) -> String {
        it.standing.sentence(&|at| self.layout.zone.full(at))
    }
}

#[get("/devices/{id}/inventory")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    let (reach, id) = (by.reach().clone(), id.into_inner());
    let (device, settings, found) = store.read(move |conn| read(conn, &reach, id)).await?;
    let mut page = InventoryPage { layout, device, settings, profiles: None, certificates: None, applications: None };
    for (at, inventory) in found {
        match inventory {
            Inventory::Profiles(list) => page.profiles = Some((at, list)),
            Inventory::Certificates(list) => page.certificates = Some((at, list)),
            Inventory::Applications(list) => page.applications = Some((at, list)),
            Inventory::Location(_) => {}
        }
    }
    Ok(page)
}

/// A device, how far each setting is on it, and the lists that it gave.
type Read = (Device, Vec<OnDevice>, Vec<(Time, Inventory)>);

fn read(conn: &mut Conn, reach: &Reach, id: DeviceId) -> Result<Read> {
    let device = reach::device(conn, reach, id)?;
    let enrollment = store::apple::enrollment::of_device(conn, id, device.generation)?;
    let enrollment = enrollment.ok_or(Error::NotFound("list of what is on it"))?;
    let settings = of_device(conn, &device)?;
    Ok((device, settings, store::apple::report::inventories(conn, enrollment.id)?))
}
