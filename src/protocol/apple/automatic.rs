//! `POST /apple/enroll/automatic`: the profile of a device that Apple says is ours, and that enrolls while it is set up.
use crate::protocol::apple::enroll::handed_out;
use crate::protocol::apple::fault::Fault;
use crate::protocol::apple::profile;
use crate::protocol::apple::shared::Door;
use crate::service::apple::service::begin;
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use apple::machine_info::SignedMachineInfo;

/// Hands out the profile for the serial number that the device signed.
///
/// # Errors
/// When the signature is not good or not by a key that the settings' root vouches for, or the device is not one of ours.
pub async fn enroll(body: Bytes, door: Data<Door>) -> Result<HttpResponse, Fault> {
    let opened = door.opened()?;
    let said = SignedMachineInfo::parse(&body).map_err(Fault::bad)?;
    let roots = door.device_roots();
    if !roots.is_empty() && !said.signer.leads_to(roots, &said.others) {
        return Err(Fault::forbidden("the key that signed this is not one that Apple built into a device"));
    }
    let (serial, topic, now) = (said.info.serial, door.settings().topic.clone(), door.now());
    let begun = door.store().write(move |conn| begin(conn, &serial, (&topic, &profile::rights), now)).await?;
    handed_out(&door, opened, &begun, now)
}
