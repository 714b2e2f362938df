//! Who speaks on the command channel.
use crate::store::apple::enrollment::AppleEnrollment;
use crate::store::device::Device;

/// Who speaks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    pub device: &'a Device,
    pub enrollment: &'a AppleEnrollment,
    pub address: &'a str,
}
