//! The protocol log: the last messages between the server and an Apple device, for whoever looks for why something does not
//! work.
use crate::auth::{Can, ViewDevices};
use crate::error::{Error, Result};
use crate::service::reach;
use crate::store::apple::message::AppleMessage;
use crate::store::device::Device;
use crate::store::{self, Conn, Store};
use crate::web::PageResult;
use crate::web::layout::Layout;
use actix_web::web::{Data, Path};
use actix_web::{Responder, get};
use askama::Template;
use askama_web::WebTemplate;
use domain::id::DeviceId;
use domain::role::Reach;

#[derive(Template, WebTemplate)]
#[template(path = "device/messages.html")]
struct MessagesPage {
    layout: Layout,
    device: Device,
    messages: Vec<AppleMessage>,
}

#[get("/devices/{id}/messages")]
pub async fn show(
    by: Can<ViewDevices>,
    layout: Layout,
    store: Data<Store>,
    id: Path<DeviceId>,
) -> PageResult<impl Responder> {
    let (id, reach) = (id.into_inner(), by.reach().clone());
    let (device, messages) = store.read(move |conn| read(conn, &reach, id)).await?;
    Ok(MessagesPage { layout, device, messages })
}

fn read(conn: &mut Conn, reach: &Reach, id: DeviceId) -> Result<(Device, Vec<AppleMessage>)> {
    let device = reach::device(conn, reach, id)?;
    let enrollment = store::apple::enrollment::of_device(conn, id, device.generation)?;
    let enrollment = enrollment.ok_or(Error::NotFound("protocol log"))?;
    let messages = store::apple::message::newest(conn, enrollment.id)?;
    Ok((device, messages))
}
