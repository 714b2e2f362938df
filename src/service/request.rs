//! A device's signed request: accepted once, for the enrolment that signed it.
use crate::error::Result;
use crate::store::device::Device;
use crate::store::{self, Conn};
use domain::device::DeviceState;
use domain::id::DeviceId;
use domain::time::Time;

/// What a verified signature says about a request.
#[derive(Debug, Clone)]
pub struct Signed {
    pub device: DeviceId,
    /// The enrolment whose key signed it.
    pub generation: i64,
    pub jti: String,
    /// When `jti` may be forgotten.
    pub forget_at: Time,
}

/// Why a well-signed request is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestRefusal {
    /// The device no longer exists.
    Unknown,
    Wiped,
    /// The device has enrolled again since its key was looked up.
    KeyChanged,
    Replayed,
}

/// Records the request's id and returns its device, in the transaction of what the request does.
///
/// A wiped device is refused unless `wiped_too`: its report may come twice.
///
/// # Errors
/// When the database refuses. A refusal is a value: it undoes nothing.
pub fn accept(conn: &mut Conn, signed: &Signed, wiped_too: bool) -> Result<Result<Device, RequestRefusal>> {
    let Some(device) = store::device::find(conn, signed.device)? else { return Ok(Err(RequestRefusal::Unknown)) };
    match device.state {
        DeviceState::Enrolled => {}
        DeviceState::Removed => return Ok(Err(RequestRefusal::Unknown)),
        _ if wiped_too => {}
        DeviceState::Wiped | DeviceState::WipeFailed | DeviceState::CompanyDataRemoved | DeviceState::RemovalFailed => {
            return Ok(Err(RequestRefusal::Wiped));
        }
    }
    if device.generation != signed.generation {
        return Ok(Err(RequestRefusal::KeyChanged));
    }
    if !store::request_id::take(conn, signed.device, &signed.jti, signed.forget_at)? {
        return Ok(Err(RequestRefusal::Replayed));
    }
    Ok(Ok(device))
}
